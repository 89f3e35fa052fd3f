package compliance

import (
	"errors"
	"fmt"
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

	mu    sync.Mutex
	known map[store.TitleID]*expr.Lifetime
}

// Outlive has assets judged by other end-of-life data from now on.
func (e *Engine) Outlive(table *eol.Table) {
	e.ends.Store(&lifetimes{table: table})
	e.judgeAnew()
}

// of returns the lifetime of a title, nil where it is of no known product.
func (l *lifetimes) of(tx *store.Tx, id store.TitleID) (*expr.Lifetime, error) {
	l.mu.Lock()
	found, ok := l.known[id]
	l.mu.Unlock()
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
func (e *Engine) find(tx *store.Tx, a *pb.Asset, r *expr.Record, software *titles) {
	ends := e.ends.Load()
	if ends.table == nil {
		return
	}
	if _, release, ok := ends.table.OS(a.GetOs()); ok {
		r.LatestVersion, r.LatestAt = release.Latest, release.LatestAt
	}
	if software == nil {
		return
	}
	r.FindLifetimes = func() []*expr.Lifetime {
		found, err := ends.ofAsset(tx, software)
		if err != nil {
			software.err = errors.Join(software.err, err)
		}
		return found
	}
}

// ofAsset returns the lifetimes of an asset's software, nil where none is stated.
func (l *lifetimes) ofAsset(tx *store.Tx, software *titles) ([]*expr.Lifetime, error) {
	if software.lifetimes != nil {
		return software.lifetimes, nil
	}
	ids, _, err := tx.SoftwareTitles(software.ref)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the titles of %s: %w", software.ref, err)
	}
	software.lifetimes = []*expr.Lifetime{}
	seen := make(map[string]bool)
	for _, id := range ids {
		found, err := l.of(tx, id)
		if err != nil {
			return nil, err
		}
		// One product in several parts is told once.
		if found != nil && !seen[found.Product+" "+found.Cycle] {
			seen[found.Product+" "+found.Cycle] = true
			software.lifetimes = append(software.lifetimes, found)
		}
	}
	return software.lifetimes, nil
}
