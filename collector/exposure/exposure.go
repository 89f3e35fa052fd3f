// Package exposure tells which assets have packages that advisories are said of.
package exposure

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/rollcall-itam/rollcall/collector/advisory"
	"github.com/rollcall-itam/rollcall/collector/view"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// rest is how many times as long as a survey took its answer stands at least, while
// the fleet changes: who asks over and over keeps at most a tenth of a core busy.
const rest = 10

// Exposure surveys the fleet. It is safe for use by several goroutines.
type Exposure struct {
	view *view.View
	set  func() *advisory.Set
	now  func() time.Time

	// mu is held during a survey: who asks meanwhile gets the same one.
	mu     sync.Mutex
	latest atomic.Pointer[Survey]
}

// New returns what surveys the fleet of a view by the advisories that set returns.
func New(v *view.View, set func() *advisory.Set, now func() time.Time) *Exposure {
	return &Exposure{view: v, set: set, now: now}
}

// Survey is which advisories are said of which assets, at one moment.
type Survey struct {
	At time.Time
	// Found are the advisories that any asset is exposed to: those that are known to
	// be exploited first, then by severity, then by how many assets have it.
	Found []*Found
	// Assets counts the assets that are exposed, by the gravest severity of what is
	// said of them, and Exploited those with something that is known to be
	// exploited.
	Assets    map[string]int
	Exploited int
	// Covered and NotCovered count the assets for whose system there are advisories,
	// and those for whose there are none.
	Covered, NotCovered int

	installs *view.Installs
	took     time.Duration
	set      *advisory.Set
	byID     map[string]*Found
}

// Found is one advisory with the packages that it is said of.
type Found struct {
	Advisory  *advisory.Advisory
	Exploited *advisory.Exploited
	Packages  []*Package
	// Assets counts those that have any of the packages.
	Assets int
	rows   *roaring.Bitmap
}

// Package is one version of a package that an advisory is said of.
type Package struct {
	Ecosystem, Name, Installed, Fixed string
	// Assets counts those that have it.
	Assets int
	rows   *roaring.Bitmap
}

// Survey returns how the part of the fleet stands; of all of it as it was a moment
// ago, which is some times as long as it takes to tell.
func (e *Exposure) Survey(ctx context.Context, part view.Part) (*Survey, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	set := e.set()
	whole := part.Whole()
	if last := e.latest.Load(); whole && last != nil && last.set == set && (part.Unchanged(last.installs) || e.now().Sub(last.At) < rest*last.took) {
		return last, nil
	}
	s, err := e.survey(ctx, part, set)
	if err != nil {
		return nil, fmt.Errorf("see which assets advisories are said of: %w", err)
	}
	if whole {
		e.latest.Store(s)
	}
	return s, nil
}

func (e *Exposure) survey(ctx context.Context, part view.Part, set *advisory.Set) (*Survey, error) {
	s := &Survey{At: e.now(), Assets: make(map[string]int), set: set, byID: make(map[string]*Found)}
	var err error
	if s.installs, err = part.Installs(ctx, advisory.ScopeOf); err != nil {
		return nil, err
	}
	for scope, n := range s.installs.Systems() {
		if set.Covers(scope) {
			s.Covered += n
		}
	}
	s.NotCovered = part.Len() - s.Covered
	wants := func(scope, kind string) bool { return set.Covers(scope) && advisory.Packages(scope, kind) }
	err = s.installs.Each(ctx, wants, func(scope string, title *pb.Software, rows *roaring.Bitmap) error {
		matches, err := set.Match(scope, title)
		if err != nil {
			return err
		}
		for i := range matches {
			s.add(&matches[i], rows)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.finish()
	s.took = e.now().Sub(s.At)
	return s, nil
}

// add counts one match of some assets.
func (s *Survey) add(m *advisory.Match, rows *roaring.Bitmap) {
	f := s.byID[m.Advisory.ID]
	if f == nil {
		f = &Found{Advisory: m.Advisory, Exploited: m.Exploited, rows: roaring.New()}
		s.byID[m.Advisory.ID] = f
	}
	f.rows.Or(rows)
	i := slices.IndexFunc(f.Packages, func(p *Package) bool {
		return p.Ecosystem == m.Ecosystem && p.Name == m.Package && p.Installed == m.Installed && p.Fixed == m.Fixed
	})
	if i < 0 {
		i = len(f.Packages)
		f.Packages = append(f.Packages, &Package{Ecosystem: m.Ecosystem, Name: m.Package, Installed: m.Installed, Fixed: m.Fixed, rows: roaring.New()})
	}
	f.Packages[i].rows.Or(rows)
}

// finish counts and puts in order.
func (s *Survey) finish() {
	worst, exploited := make([]*roaring.Bitmap, len(advisory.Severities)), roaring.New()
	for i := range worst {
		worst[i] = roaring.New()
	}
	for _, f := range s.byID {
		f.Assets = int(f.rows.GetCardinality())
		for _, p := range f.Packages {
			p.Assets = int(p.rows.GetCardinality())
		}
		slices.SortFunc(f.Packages, func(a, b *Package) int {
			return cmp.Or(cmp.Compare(b.Assets, a.Assets), strings.Compare(a.Ecosystem, b.Ecosystem), strings.Compare(a.Name, b.Name), strings.Compare(a.Installed, b.Installed))
		})
		worst[advisory.Rank(f.Advisory.Severity)].Or(f.rows)
		if f.Exploited != nil {
			exploited.Or(f.rows)
		}
	}
	seen := roaring.New()
	for i, severity := range advisory.Severities {
		worst[i].AndNot(seen)
		seen.Or(worst[i])
		s.Assets[severity] = int(worst[i].GetCardinality())
	}
	s.Exploited = int(exploited.GetCardinality())
	s.Found = slices.SortedFunc(maps.Values(s.byID), compareFound)
}

func compareFound(a, b *Found) int {
	first := func(f *Found) int {
		if f.Exploited != nil {
			return 0
		}
		return 1
	}
	return cmp.Or(cmp.Compare(first(a), first(b)), cmp.Compare(advisory.Rank(a.Advisory.Severity), advisory.Rank(b.Advisory.Severity)),
		cmp.Compare(b.Assets, a.Assets), strings.Compare(a.Advisory.ID, b.Advisory.ID))
}

// Find returns what was found of an advisory by its id, or of the first that an
// alias names; nil where no asset is exposed to it.
func (s *Survey) Find(id string) *Found {
	if f := s.byID[id]; f != nil {
		return f
	}
	for _, f := range s.Found {
		if slices.Contains(f.Advisory.Aliases, id) {
			return f
		}
	}
	return nil
}

// IDs returns the ids of the assets that are exposed to an advisory, sorted.
func (s *Survey) IDs(f *Found) []string {
	ids := s.installs.IDs(f.rows)
	slices.Sort(ids)
	return ids
}
