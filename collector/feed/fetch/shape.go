package fetch

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/rollcall-itam/rollcall/collector/feed/manifest"
	"github.com/rollcall-itam/rollcall/collector/feed/record"
)

const (
	// maxSide bounds the records of a list that joins another: they are held in
	// memory while that is read.
	maxSide = 200_000
	// maxFound bounds how many of them one record takes.
	maxFound = 1000
)

// side is a further list, read whole.
type side struct {
	manifest.Join
	by, on, each record.Path
	found        map[string][]any
}

// readSides reads the lists that join this one, once.
func (w *walker) readSides(ctx context.Context) error {
	if w.sides != nil {
		return nil
	}
	for _, j := range w.ask.Stream.Join {
		if j.Setting != "" && w.f.o.Settings[j.Setting] != "yes" {
			continue
		}
		s, err := newSide(j)
		if err != nil {
			return err
		}
		err = w.f.list(ctx, Ask{Stream: further(w.ask.Stream, j.List, j.Into), over: w.ask.over}, func(p Page) error {
			for _, r := range p.Records {
				s.add(r)
			}
			return bounded(p.Next.Records, maxSide)
		})
		if err != nil {
			return fmt.Errorf("read what joins as %s: %w", j.Into, err)
		}
		w.sides = append(w.sides, s)
	}
	return nil
}

func newSide(j manifest.Join) (*side, error) {
	s := &side{Join: j, found: make(map[string][]any)}
	var err error
	if s.by, err = path(j.By); err != nil {
		return nil, err
	}
	if s.on, err = path(j.On); err != nil {
		return nil, err
	}
	s.each, err = path(j.Each)
	return s, err
}

// add keeps what is needed of a record.
func (s *side) add(r any) {
	keys := s.by.All(r)
	if o, ok := r.(map[string]any); ok && s.Keep != nil {
		r = only(o, s.Keep)
	}
	for _, k := range keys {
		if key := joinKey(k); key != "" && len(s.found[key]) < maxFound {
			s.found[key] = append(s.found[key], r)
		}
	}
}

func only(o map[string]any, keys []string) map[string]any {
	kept := make(map[string]any, len(keys))
	for _, k := range keys {
		if v, ok := o[k]; ok {
			kept[k] = v
		}
	}
	return kept
}

// joinKey is the form in which values are compared, empty for what is none.
func joinKey(v any) string {
	switch v := v.(type) {
	case string:
		return strings.ToLower(strings.TrimSpace(v))
	case int64:
		return strconv.FormatInt(v, 10)
	}
	return ""
}

// join gives a record, or the elements of a list in it, what belongs to them.
func (s *side) join(o map[string]any) {
	targets := []any{o}
	if s.Each != "" {
		targets, _ = s.each.List(o)
	}
	for _, t := range targets {
		to, ok := t.(map[string]any)
		if !ok {
			continue
		}
		var found []any
		for _, k := range s.on.All(to) {
			if key := joinKey(k); key != "" && len(found) < maxFound {
				found = append(found, s.found[key]...)
			}
		}
		if found != nil {
			to[s.Into] = found
		}
	}
}

// shape puts the records of a page into the form that the mapping wants:
// nested ones taken out of what holds them, with objects in the place of pairs
// and with what joins them. answer is what the page came with.
func (w *walker) shape(records []any, answer any) ([]any, error) {
	s := w.ask.Stream
	if s.Nested == nil && len(w.sides) == 0 && len(s.Pairs) == 0 && len(w.ask.over) == 0 {
		return records, nil
	}
	records, err := nested(s.Nested, records)
	if err != nil {
		return nil, err
	}
	pairs := make([]pairPaths, len(s.Pairs))
	for i, p := range s.Pairs {
		if pairs[i], err = w.newPairs(p, answer); err != nil {
			return nil, err
		}
	}
	for _, r := range records {
		o, ok := r.(map[string]any)
		if !ok {
			continue
		}
		for name, v := range w.ask.over {
			o[name] = v
		}
		for _, p := range pairs {
			p.gather(o)
		}
		for _, side := range w.sides {
			side.join(o)
		}
	}
	return records, nil
}

// nested takes records out of the records that hold them.
func nested(n *manifest.Nested, records []any) ([]any, error) {
	if n == nil {
		return records, nil
	}
	at, err := path(n.List)
	if err != nil {
		return nil, err
	}
	var all []any
	for _, outer := range records {
		inner, _ := at.List(outer)
		all = append(all, inner...)
		o, ok := outer.(map[string]any)
		if !ok || n.Outer == "" {
			continue
		}
		around := maps.Clone(o)
		if first, _, ok := strings.Cut(n.List, "."); ok || first == n.List {
			delete(around, first)
		}
		for _, r := range inner {
			if r, ok := r.(map[string]any); ok {
				r[n.Outer] = around
			}
		}
	}
	return all, nil
}
