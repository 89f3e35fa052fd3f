package compliance

import (
	"cmp"
	"errors"
	"slices"
	"sync"

	"github.com/rollcall-itam/rollcall/collector/expr"
	"github.com/rollcall-itam/rollcall/collector/policy/eol"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// maxLifetimes bounds what is remembered of titles; a fleet has a few hundred
// thousand.
const maxLifetimes = 1 << 20

// lifetimes remembers which titles are of a product that ends, so that a title
// is matched once and not once on each device.
type lifetimes struct {
	table *eol.Table

	mu    sync.RWMutex
	known map[store.TitleID]*expr.Lifetime
}

// Outlive has assets judged by other end-of-life data from now on.
func (e *Engine) Outlive(table *eol.Table) {
	e.judgeAnew(func() { e.ends.Store(&lifetimes{table: table}) })
}

// of returns the lifetime of a title, nil where it is of no known product.
func (l *lifetimes) of(tx *store.Tx, id store.TitleID) (*expr.Lifetime, error) {
	l.mu.RLock()
	found, ok := l.known[id]
	l.mu.RUnlock()
	if ok {
		return found, nil
	}
	s, err := tx.Title(id)
	if err != nil {
		return nil, err
	}
	if l.table == nil {
		return nil, nil
	}
	if m, ok := l.table.Software(s); ok {
		found = &expr.Lifetime{Name: s.GetName(), Version: s.GetVersion(), Product: m.Product.Name, Cycle: m.Release.Name, End: m.End}
		if m.End.IsZero() { // supported, with no end announced
			found.End = expr.Never
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known == nil || len(l.known) >= maxLifetimes {
		l.known = make(map[store.TitleID]*expr.Lifetime)
	}
	l.known[id] = found
	return found, nil
}

// find fills in what the end-of-life data says of an asset: lazily of its
// software.
func (l *lifetimes) find(a *pb.Asset, r *expr.Record, software *titles) {
	if l.table == nil {
		return
	}
	if _, release, ok := l.table.OS(a.GetOs()); ok {
		r.LatestVersion, r.LatestAt = release.Latest, release.LatestAt
	}
	if software == nil {
		return
	}
	r.FindLifetimes = func() []*expr.Lifetime {
		found, err := l.ofAsset(software)
		if err != nil {
			software.err = errors.Join(software.err, err)
		}
		return found
	}
}

// ofAsset returns the lifetimes of an asset's software, nil where none is stated.
func (l *lifetimes) ofAsset(software *titles) ([]*expr.Lifetime, error) {
	if software.lifetimes != nil {
		return software.lifetimes, nil
	}
	ids, err := software.titles()
	if ids == nil || err != nil {
		return nil, err
	}
	all, unknown := l.ofKnown(ids)
	for _, id := range unknown {
		found, err := l.of(software.tx, id)
		if err != nil {
			return nil, err
		}
		if found != nil {
			all = append(all, found)
		}
	}
	// One product in several parts is told once.
	out := []*expr.Lifetime{}
	for _, found := range all {
		if !slices.ContainsFunc(out, func(o *expr.Lifetime) bool { return o.Product == found.Product && o.Cycle == found.Cycle }) {
			out = append(out, found)
		}
	}
	slices.SortFunc(out, func(a, b *expr.Lifetime) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
	})
	software.lifetimes = out
	return out, nil
}

// ofKnown returns the lifetimes of those titles that are remembered, and the
// others.
func (l *lifetimes) ofKnown(ids []store.TitleID) (all []*expr.Lifetime, unknown []store.TitleID) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	for _, id := range ids {
		if found, ok := l.known[id]; !ok {
			unknown = append(unknown, id)
		} else if found != nil {
			all = append(all, found)
		}
	}
	return all, unknown
}
