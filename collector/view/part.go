package view

import (
	"context"
	"slices"
	"strings"

	"github.com/RoaringBitmap/roaring/v2"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/rollcall-itam/rollcall/collector/scope"
	"github.com/rollcall-itam/rollcall/collector/store"
)

// Part is the part of the fleet that somebody may see. Whatever is asked on
// somebody's behalf is asked of a Part; there is no other way to ask.
type Part struct {
	*View
	scope *scope.Scope
}

// Part returns the part of the fleet that a scope admits; all of it for nil.
func (v *View) Part(s *scope.Scope) Part { return Part{View: v, scope: s} }

// Whole tells whether the part is all of the fleet.
func (p Part) Whole() bool { return p.scope == nil }

// fresh returns a snapshot of the part after reading the software of some
// assets where it changed, so that whoever asks after a change sees it.
func (p Part) fresh(ctx context.Context) (*Snapshot, error) {
	if _, err := p.refreshSome(ctx, refreshNow); err != nil {
		return nil, err
	}
	return p.Snapshot().within(p.scope), nil
}

// within returns the snapshot without the assets that a scope does not admit.
func (s *Snapshot) within(sc *scope.Scope) *Snapshot {
	if sc == nil {
		return s
	}
	out := *s
	out.part = newSet(s.rows)
	admits := s.admits(sc)
	s.all().each(func(row uint32) bool {
		if admits(row) {
			out.part.add(row)
		}
		return true
	})
	out.partRows = roaring.FromDense(out.part, false)
	return &out
}

// admits returns a function that tells of rows whether a scope admits them. A
// value is looked at once, however many rows have it.
func (s *Snapshot) admits(sc *scope.Scope) func(row uint32) bool {
	var checks []func(row uint32) bool
	for _, t := range sc.Terms() {
		name, key := t.Path, ""
		if label, ok := strings.CutPrefix(t.Path, "labels."); ok {
			name, key = "labels", label
		}
		f := s.field(name)
		known := make(map[uint32]bool)
		checks = append(checks, func(row uint32) bool {
			code := f.code(row)
			is, ok := known[code]
			if !ok {
				is = slices.Contains(t.Values, f.label(code, key))
				known[code] = is
			}
			return is
		})
	}
	return func(row uint32) bool {
		for _, check := range checks {
			if !check(row) {
				return false
			}
		}
		return true
	}
}

// label returns the value behind a code, or, where the field is a map of texts,
// what it has under a key.
func (f *field) label(code uint32, key string) string {
	if key == "" {
		return f.text(code)
	}
	one := field{path: f.path, s: f.s, column: f.column, kind: protoreflect.StringKind,
		keyed: mapValues(f.s.values[f.column.index][code:code+1], key)}
	return one.text(0)
}

// now returns what tells of rows whether they are in the part, as they are for
// as long as the lock is held.
func (p Part) now() (admits func(row uint32) bool) {
	if p.scope == nil {
		return func(uint32) bool { return true }
	}
	return p.snapshot().admits(p.scope)
}

// Len returns the number of assets in the part.
func (p Part) Len() int {
	if p.scope == nil {
		return p.View.Len()
	}
	return p.Snapshot().within(p.scope).part.len()
}

// AssetOf returns the asset in the part that an observation belongs to, empty
// where there is none.
func (p Part) AssetOf(ref store.Ref) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, ok := p.refs[ref]
	if !ok {
		return ""
	}
	if !p.now()(at.row) {
		return ""
	}
	return p.ids.get(at.row)
}

// Has tells of each of some ids whether it is that of an asset in the part.
func (p Part) Has(ids []string) []bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	admits := p.now()
	out := make([]bool, len(ids))
	for i, id := range ids {
		at, ok := p.assets[id]
		out[i] = ok && at.here && admits(at.row)
	}
	return out
}

// With returns the assets in the part that are with who has one of the
// addresses, in lower case: those whose owner that is, and those whose user it
// is and that have no owner. They are sorted by their ids.
func (p Part) With(addresses ...string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var ids []string
	admits := p.now()
	for _, address := range addresses {
		for _, row := range p.owners.rows[address] {
			if admits(row) {
				ids = append(ids, p.ids.get(row))
			}
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// counts returns what tells how many assets in the part are with who has some
// addresses, of which none is there twice.
func (p Part) counts() func(addresses []string) int {
	if p.scope == nil {
		return p.countWith
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	admits := p.now()
	of := make(map[string]int)
	for row, address := range p.owners.of {
		if address != "" && admits(uint32(row)) {
			of[strings.Clone(address)]++
		}
	}
	return func(addresses []string) (n int) {
		for _, address := range addresses {
			n += of[address]
		}
		return n
	}
}
