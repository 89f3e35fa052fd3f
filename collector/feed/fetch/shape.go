package fetch

import (
	"context"
	"fmt"
	"maps"
	"slices"
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
// nested ones taken out of what holds them, with what joins them, and with
// objects in the place of pairs.
func (w *walker) shape(records []any) ([]any, error) {
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
		if pairs[i], err = newPairs(p); err != nil {
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
		for _, side := range w.sides {
			side.join(o)
		}
		for _, p := range pairs {
			p.gather(o)
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

// pairPaths makes objects of lists of names and values.
type pairPaths struct {
	manifest.Pairs
	list, name, value record.Path
}

func newPairs(p manifest.Pairs) (pairPaths, error) {
	made := pairPaths{Pairs: p}
	for text, to := range map[*string]*record.Path{&p.List: &made.list, &p.Name: &made.name, &p.Value: &made.value} {
		var err error
		if *to, err = path(*text); err != nil {
			return made, err
		}
	}
	return made, nil
}

// gather adds the object. Of a name that comes twice the first holds, so that
// what a system adds at the end replaces nothing.
func (p pairPaths) gather(o map[string]any) {
	into := make(map[string]any)
	if p.Name == "" {
		from, _ := p.list.Get(o).(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(from)) {
			p.put(into, name, []any{from[name]})
		}
		o[p.Into] = into
		return
	}
	elements, _ := p.list.List(o)
	for _, e := range elements {
		if name, ok := p.name.Get(e).(string); ok {
			p.put(into, name, p.value.All(e))
		}
	}
	o[p.Into] = into
}

func (p pairPaths) put(into map[string]any, name string, values []any) {
	if p.Lower {
		name = strings.ToLower(name)
	}
	values = slices.DeleteFunc(values, func(v any) bool { return v == nil })
	// The names of pairs were no keys when the answer was cleared of secrets.
	if _, taken := into[name]; name == "" || taken || len(values) == 0 || record.Secret(name) {
		return
	}
	if into[name] = values[0]; len(values) > 1 {
		into[name] = values
	}
}
