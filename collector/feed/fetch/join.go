package fetch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rollcall-itam/rollcall/collector/feed/manifest"
	"github.com/rollcall-itam/rollcall/collector/feed/record"
)

// batch asks for the records whose ids were listed. lost is how many of them
// did not come.
func (f *Fetcher) batch(ctx context.Context, s *manifest.Stream, ids []any) (records []any, lost int, err error) {
	b := s.Batch
	if b == nil {
		return ids, 0, nil
	}
	at, err := path(b.Records)
	if err != nil {
		return nil, 0, err
	}
	ids, lost = askable(ids)
	for len(ids) > 0 {
		n := min(len(ids), b.Size)
		c, err := f.batchCall(b, ids[:n])
		if err != nil {
			return nil, 0, err
		}
		_, v, err := f.json(ctx, c, "")
		if err != nil {
			return nil, 0, err
		}
		if err := f.within(c, b.Errors, v); err != nil {
			return nil, 0, err
		}
		got, found := at.List(v)
		if !found {
			return nil, 0, f.broken(c.what(), fmt.Errorf("the answer has no records at %q: it is %s", b.Records, outline(v)))
		}
		lost += max(0, n-len(got))
		records, ids = append(records, got...), ids[n:]
	}
	return records, lost, nil
}

// askable drops what can be no id, and counts it.
func askable(ids []any) (good []any, lost int) {
	for _, id := range ids {
		switch id := id.(type) {
		case string:
			if id != "" {
				good = append(good, id)
				continue
			}
		case int64:
			good = append(good, id)
			continue
		}
		lost++
	}
	return good, lost
}

func (f *Fetcher) batchCall(b *manifest.Batch, ids []any) (call, error) {
	c := call{method: http.MethodPost}
	address := b.Post
	if b.Get != "" {
		c.method, address = http.MethodGet, b.Get
	}
	var err error
	if c.url, err = f.resolve(address, nil); err != nil {
		return c, err
	}
	if b.Get != "" {
		q := c.url.Query()
		for _, id := range ids {
			q.Add(b.Param, fmt.Sprint(id))
		}
		c.url.RawQuery = q.Encode()
		return c, nil
	}
	c.kind = "application/json"
	if c.body, err = json.Marshal(map[string]any{b.Param: ids}); err != nil {
		return c, fmt.Errorf("write the request: %w", err)
	}
	return c, nil
}

// Cache keeps answers between passes.
type Cache interface {
	// Get returns what was put under a key, nil if nothing was.
	Get(ctx context.Context, key string) ([]byte, error)
	Put(ctx context.Context, key string, value []byte) error
}

// maxCached bounds an answer that is kept; a larger one is asked for each time.
const maxCached = 256 << 10

// Chooser tells what the requests of a stream's fan-out depend on: a record's
// id, and whether request i is made for it.
type Chooser interface {
	Key(record any) (string, error)
	Wants(i int, record any) (bool, error)
}

// Join makes the requests that a stream has for each record, and puts their
// answers into the records.
func (f *Fetcher) Join(ctx context.Context, s *manifest.Stream, records []any, choose Chooser, cache Cache) error {
	for i := range s.FanOut {
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(s.FanOut[i].Parallel)
		for _, r := range records {
			o, ok := r.(map[string]any)
			if !ok {
				continue
			}
			g.Go(func() error { return f.joinOne(ctx, joining{s, i, choose, cache}, o) })
		}
		if err := g.Wait(); err != nil {
			return err
		}
	}
	return nil
}

// joining is one request of a fan-out.
type joining struct {
	stream *manifest.Stream
	i      int
	choose Chooser
	cache  Cache
}

// kept is a cached answer.
type kept struct {
	At   time.Time       `json:"at"`
	Body json.RawMessage `json:"body"`
}

func (f *Fetcher) joinOne(ctx context.Context, j joining, o map[string]any) error {
	fan := j.stream.FanOut[j.i]
	wanted, err := j.choose.Wants(j.i, o)
	if err != nil || !wanted {
		return err
	}
	id, err := j.choose.Key(o)
	if err != nil {
		// The mapping tells of a record without an id.
		return nil
	}
	key := "join/" + j.stream.Name + "/" + fan.Into + "/" + id
	if v, ok, err := j.fresh(ctx, key, f.o.Now().Add(-time.Duration(fan.TTL))); err != nil || ok {
		o[fan.Into] = v
		return err
	}
	extra, err := holes(fan, o)
	over := overOf(j.stream, o)
	maps.Copy(extra, over)
	if err != nil {
		// A record that cannot be asked about is still a record.
		f.o.Logger.Debug("feed cannot ask about a record", "stream", j.stream.Name, "record", id, "error", err)
		return nil
	}
	v, err := f.about(ctx, fan, extra, over)
	if err != nil {
		return err
	}
	o[fan.Into] = v
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("keep an answer: %w", err)
	}
	if len(body) > maxCached || j.cache == nil {
		return nil
	}
	b, err := json.Marshal(kept{f.o.Now(), body})
	if err != nil {
		return fmt.Errorf("keep an answer: %w", err)
	}
	return j.cache.Put(ctx, key, b)
}

// fresh returns a kept answer that is younger than a time.
func (j joining) fresh(ctx context.Context, key string, since time.Time) (any, bool, error) {
	if j.cache == nil {
		return nil, false, nil
	}
	b, err := j.cache.Get(ctx, key)
	if err != nil || b == nil {
		return nil, false, err
	}
	var k kept
	if json.Unmarshal(b, &k) != nil || !k.At.After(since) {
		// What cannot be read is asked for again.
		return nil, false, nil
	}
	if bytes.Equal(k.Body, []byte("null")) {
		return nil, true, nil
	}
	v, err := record.Decode(k.Body)
	return v, err == nil, nil
}

// about asks one thing about a record, whose values are extra.
func (f *Fetcher) about(ctx context.Context, fan manifest.FanOut, extra, over map[string]string) (any, error) {
	var err error
	c := call{method: http.MethodGet, empty: fan.Empty, over: over}
	if fan.Empty == nil {
		c.empty = []int{http.StatusNotFound}
	}
	if c.url, err = f.resolve(fan.Get, extra); err != nil {
		return nil, err
	}
	if err := f.query(c.url, fan.Query, extra); err != nil {
		return nil, err
	}
	a, v, err := f.json(ctx, c, "")
	if err != nil || a.none {
		return nil, err
	}
	p, err := path(fan.Records)
	if err != nil {
		return nil, err
	}
	return p.Get(v), nil
}

// holes returns the values of a record that a request names.
func holes(fan manifest.FanOut, o map[string]any) (map[string]string, error) {
	names := fan.Get.Names()
	for _, values := range fan.Query {
		for _, t := range values {
			names = append(names, t.Names()...)
		}
	}
	extra := make(map[string]string)
	for _, name := range names {
		rest, ok := strings.CutPrefix(name, "record.")
		if !ok {
			continue
		}
		p, err := path(rest)
		if err != nil {
			return extra, err
		}
		switch v := p.Get(o).(type) {
		case string:
			extra[name] = v
		case int64:
			extra[name] = strconv.FormatInt(v, 10)
		default:
			return extra, errors.New("a record has no " + rest + ", which a request about it needs")
		}
		if extra[name] == "" || extra[name] == "." || extra[name] == ".." {
			return extra, fmt.Errorf("a record has %q for %s, which makes no address", extra[name], rest)
		}
	}
	return extra, nil
}

// Lookup asks a system about serial numbers.
func (f *Fetcher) Lookup(ctx context.Context, s *manifest.Stream, serials []string) ([]any, error) {
	extra := map[string]string{manifest.NameSerials: strings.Join(serials, s.Lookup.Join)}
	c, params, err := f.listCall(s, extra)
	if err != nil {
		return nil, err
	}
	c.url.RawQuery = params.Encode()
	a, v, err := f.json(ctx, c, s.Format)
	if err != nil || a.none {
		return nil, err
	}
	if err := f.within(c, s.Errors, v); err != nil {
		return nil, err
	}
	p, err := path(s.Records)
	if err != nil {
		return nil, err
	}
	records, found := p.List(v)
	if !found {
		return nil, f.broken(c.what(), fmt.Errorf("the answer has no records at %q: it is %s", s.Records, outline(v)))
	}
	return records, nil
}
