package feed

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rollcall-itam/rollcall/collector/feed/manifest"
)

// lookup asks a system about the devices that others know, those that it was
// asked about too long ago. Its key must be the serial number in capitals.
func (p *pass) lookup(ctx context.Context, s *manifest.Stream) error {
	if p.o.Fleet == nil {
		return errors.New("this feed looks devices up, and there is nothing that lists them")
	}
	l := &lookup{pass: p, stream: s}
	if err := l.budget(ctx); err != nil {
		return err
	}
	serials, err := p.askAbout(ctx, s)
	if err != nil {
		return err
	}
	for _, serial := range serials {
		if err := l.consider(ctx, serial); err != nil {
			return err
		}
	}
	return l.ask(ctx)
}

// askAbout lists the serial numbers that a lookup asks about. They are all read
// before the first is asked: a list of what is held must not wait for a system.
func (p *pass) askAbout(ctx context.Context, s *manifest.Stream) ([]string, error) {
	var serials []string
	var hashes []uint64
	for _, maker := range s.Lookup.Makers {
		for serial, err := range p.o.Fleet.Serials(ctx, maker, p.source.Name) {
			if err != nil {
				return nil, fmt.Errorf("list the devices to look up: %w", err)
			}
			serial = strings.ToUpper(strings.TrimSpace(serial))
			id := s.Name + "/" + serial
			if serial == "" || len(serial) > 64 || strings.ContainsAny(serial, s.Lookup.Join+" \t\r\n&?/\\") || p.seen.has(id) {
				continue
			}
			p.seen[hashID(id)] = struct{}{}
			serials, hashes = append(serials, serial), append(hashes, hashID(id))
		}
	}
	return serials, p.keep.add(ctx, &p.at.Seen, hashes)
}

// lookup is one round of questions.
type lookup struct {
	pass    *pass
	stream  *manifest.Stream
	waiting []string
	// left is how many requests today's allowance still has; used is its count.
	left int
}

func (l *lookup) day() string { return l.pass.o.Now().UTC().Format(time.DateOnly) }

// budget reads how many requests were made today.
func (l *lookup) budget(ctx context.Context) error {
	b, err := l.pass.keep.Get(ctx, "budget/"+l.stream.Name)
	if err != nil {
		return err
	}
	l.left = l.stream.Lookup.Daily
	if day, used, ok := strings.Cut(string(b), " "); ok && day == l.day() {
		n, err := strconv.Atoi(used)
		if err != nil {
			return fmt.Errorf("what was asked today cannot be read: %w", err)
		}
		l.left -= n
	}
	return nil
}

func (l *lookup) spend(ctx context.Context) error {
	l.left--
	return l.pass.keep.Put(ctx, "budget/"+l.stream.Name, fmt.Appendf(nil, "%s %d", l.day(), l.stream.Lookup.Daily-l.left))
}

func (l *lookup) cacheKey(serial string) string { return "lookup/" + l.stream.Name + "/" + serial }

// consider has a serial number asked about if the last answer is too old.
func (l *lookup) consider(ctx context.Context, serial string) error {
	b, err := l.pass.keep.Get(ctx, l.cacheKey(serial))
	if err != nil {
		return err
	}
	if t, err := time.Parse(time.RFC3339, string(b)); err == nil && l.pass.o.Now().Sub(t) < time.Duration(l.stream.Lookup.TTL) {
		return nil
	}
	if l.waiting = append(l.waiting, serial); len(l.waiting) >= l.stream.Lookup.Size {
		return l.ask(ctx)
	}
	return nil
}

// ask asks about the serial numbers that wait.
func (l *lookup) ask(ctx context.Context) error {
	p, asked := l.pass, l.waiting
	l.waiting = nil
	if len(asked) == 0 || l.left <= 0 {
		return nil
	}
	if err := l.spend(ctx); err != nil {
		return err
	}
	records, err := p.source.reader.Lookup(ctx, l.stream, asked)
	if err != nil {
		return err
	}
	p.board.change(func(s *Status) {
		s.Pass.Pages++
		s.Pass.Records += len(records)
	})
	if err := p.file(ctx, p.apply(l.stream, records)); err != nil {
		return err
	}
	return l.remember(ctx, asked)
}

// remember notes when serial numbers were asked about, all at once: the store
// commits what waits as one group.
func (l *lookup) remember(ctx context.Context, asked []string) error {
	now := []byte(l.pass.o.Now().UTC().Format(time.RFC3339))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for _, serial := range asked {
		g.Go(func() error { return l.pass.keep.Put(ctx, l.cacheKey(serial), now) })
	}
	return g.Wait()
}
