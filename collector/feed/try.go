package feed

import (
	"context"
	"errors"
	"fmt"

	"github.com/rollcall-itam/rollcall/collector/feed/fetch"
	"github.com/rollcall-itam/rollcall/collector/feed/manifest"
	"github.com/rollcall-itam/rollcall/collector/feed/mapping"
)

// Tried is a record and what would come of it.
type Tried struct {
	Stream string
	Record any
	// Result is empty where Err is set.
	Result mapping.Result
	Err    error
}

// errEnough ends a reading that has what it was to show.
var errEnough = errors.New("enough")

// Try reads up to limit records of each stream of a feed, all for 0, and says
// what would come of them. It writes nothing.
func Try(ctx context.Context, c Config, o Options, limit int) ([]Tried, error) {
	s, err := open(c, o, nil)
	if err != nil {
		return nil, err
	}
	var all []Tried
	for i := range c.Manifest.Streams {
		tried, err := s.try(ctx, o, i, limit)
		all = append(all, tried...)
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// Layout says, a line each, how the file of a feed will be read: what was
// guessed of it, what its columns are taken for, and what it leaves open. Of a
// feed that reads no file there is nothing to say.
func Layout(ctx context.Context, c Config, o Options) ([]string, error) {
	s, err := open(c, o, nil)
	if err != nil {
		return nil, err
	}
	t, ok := s.reader.(rows)
	if !ok {
		return nil, nil
	}
	plan, err := t.Plan(ctx)
	if err != nil {
		return nil, fmt.Errorf("feed %s: %w", c.Name, err)
	}
	return plan.Describe(), nil
}

// try reads records of one stream.
func (s *source) try(ctx context.Context, o Options, i, limit int) (all []Tried, err error) {
	stream := &s.Manifest.Streams[i]
	take := func(records []any) error {
		if limit > 0 {
			records = records[:min(len(records), limit-len(all))]
		}
		if err := s.reader.Join(ctx, stream, records, s.mappings[i], nil); err != nil {
			return err
		}
		for _, r := range records {
			t := Tried{Stream: stream.Name, Record: r}
			t.Result, t.Err = s.mappings[i].Apply(s.Name, r, o.Now())
			all = append(all, t)
		}
		if limit > 0 && len(all) >= limit {
			return errEnough
		}
		return nil
	}
	if stream.Lookup != nil {
		err = s.tryLookup(ctx, o, stream, limit, take)
	} else {
		err = s.reader.Pages(ctx, fetch.Ask{Stream: stream}, func(p fetch.Page) error { return take(p.Records) })
	}
	if errors.Is(err, errEnough) {
		err = nil
	}
	return all, err
}

// tryLookup asks about the first devices that there are.
func (s *source) tryLookup(ctx context.Context, o Options, stream *manifest.Stream, limit int, take func([]any) error) error {
	if o.Fleet == nil {
		return nil
	}
	var serials []string
	for _, maker := range stream.Lookup.Makers {
		for serial, err := range o.Fleet.Serials(ctx, maker, s.Name) {
			if err != nil {
				return err
			}
			if serials = append(serials, serial); len(serials) >= min(stream.Lookup.Size, max(limit, 1)) {
				break
			}
		}
	}
	if len(serials) == 0 {
		return nil
	}
	records, err := s.reader.Lookup(ctx, stream, serials[:min(len(serials), stream.Lookup.Size)])
	if err != nil {
		return err
	}
	return take(records)
}
