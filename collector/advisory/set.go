package advisory

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Set is all advisories at one moment. It is safe for use by several goroutines.
type Set struct {
	shelves []*shelf
	catalog *Catalog
	covered map[string]bool

	// mu guards what was asked before: packages of which many titles and devices are
	// made are looked up once.
	mu         sync.Mutex
	known      map[string][]Match
	advisories map[place]*Advisory
}

// place is where an advisory stands.
type place struct {
	shelf *shelf
	at    int64
}

// Bounds of what is remembered; a fleet has some ten thousand versions of packages.
const (
	maxKnown    = 200_000
	maxRecalled = 200_000
)

// newSet joins shelves and the catalog, which may be nil.
func newSet(shelves []*shelf, catalog *Catalog) *Set {
	s := &Set{shelves: shelves, catalog: catalog, covered: make(map[string]bool), known: make(map[string][]Match), advisories: make(map[place]*Advisory)}
	for _, shelf := range shelves {
		for _, scope := range shelf.Scopes {
			s.covered[scope] = true
		}
	}
	return s
}

// Covers tells whether there are advisories for a release of a distribution, as
// ScopeOf returns it.
func (s *Set) Covers(scope string) bool { return s != nil && s.covered[scope] }

// Scopes returns the releases of distributions that are covered, in order.
func (s *Set) Scopes() []string {
	if s == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(s.covered))
}

// Match returns the advisories that are said of an installed title of a release
// of a distribution, what is exploited and the gravest first. What it returns is
// shared and must not be modified.
func (s *Set) Match(scope string, title *pb.Software) ([]Match, error) {
	d := distributionOf(scope)
	if d == nil || !s.Covers(scope) {
		return nil, nil
	}
	have, ok := d.lookup(title)
	if !ok {
		return nil, nil
	}
	asked := key(scope, have.name) + "\x00" + have.version
	s.mu.Lock()
	matches, ok := s.known[asked]
	s.mu.Unlock()
	if ok {
		return matches, nil
	}
	matches, err := s.match(scope, d, have)
	if err != nil {
		return nil, fmt.Errorf("match %s %s: %w", have.name, have.version, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= maxKnown {
		clear(s.known)
	}
	s.known[asked] = matches
	return matches, nil
}

// match looks a package up.
func (s *Set) match(scope string, d *distribution, have installed) ([]Match, error) {
	found := make(map[string]Match)
	for _, shelf := range s.shelves {
		err := shelf.entries(key(scope, have.name), func(at int64, a *affected) error {
			hit, fixedIn := a.affects(have.version, d.order)
			if !hit {
				return nil
			}
			advisory, err := s.advisory(place{shelf, at})
			if err != nil {
				return err
			}
			m := Match{Advisory: advisory, Ecosystem: a.ecosystem, Package: have.name, Installed: have.version, Fixed: fixedIn, Exploited: s.exploited(advisory)}
			if before, twice := found[advisory.ID]; twice {
				m = join(scope, before, m)
			}
			found[advisory.ID] = m
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return slices.SortedFunc(maps.Values(found), compareMatches), nil
}

// join returns one of two matches of one advisory, which may stand in several
// files, name several parts of a release, or have several ranges: what is fixed is
// fixed in all of them.
func join(scope string, a, b Match) Match {
	if n := a.Advisory.Modified.Compare(b.Advisory.Modified); n > 0 {
		return a
	} else if n < 0 {
		return b
	}
	if a.Fixed == "" || b.Fixed == "" {
		a.Fixed = ""
	} else {
		a.Fixed = Later(scope, a.Fixed, b.Fixed)
	}
	return a
}

// advisory returns what stands in a place.
func (s *Set) advisory(at place) (*Advisory, error) {
	s.mu.Lock()
	a := s.advisories[at]
	s.mu.Unlock()
	if a != nil {
		return a, nil
	}
	a, err := at.shelf.advisory(at.at)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.advisories) >= maxRecalled {
		clear(s.advisories)
	}
	s.advisories[at] = a
	return a, nil
}

// exploited returns what the catalog says of an advisory's vulnerabilities: of the
// one that must be fixed first.
func (s *Set) exploited(a *Advisory) *Exploited {
	if s.catalog == nil {
		return nil
	}
	var first *Exploited
	for _, cve := range a.CVEs() {
		if e := s.catalog.Entries[cve]; e != nil && (first == nil || first.Due == "" || e.Due != "" && e.Due < first.Due) {
			first = e
		}
	}
	return first
}

// affects tells whether a version is affected, by the rule of OSV (Evaluation in
// https://ossf.github.io/osv-schema/): the last event that the version has
// reached decides. fixedIn is the first later version that is fixed.
func (a *affected) affects(version string, order func(a, b string) int) (hit bool, fixedIn string) {
	if len(a.events) == 0 {
		return slices.ContainsFunc(a.versions, func(v string) bool { return order(v, version) == 0 }), ""
	}
	compare := func(x, y event) int {
		if x.version == "0" || y.version == "0" { // 0 stands before every version
			return strings.Compare(zero(x.version), zero(y.version))
		}
		return order(x.version, y.version)
	}
	events := slices.Clone(a.events)
	slices.SortStableFunc(events, compare)
	at := event{version: version}
	for _, e := range events {
		switch c := compare(at, e); {
		case e.kind == introduced && c >= 0:
			hit = true
		case (e.kind == fixed || e.kind == limit) && c >= 0, e.kind == lastAffected && c > 0:
			hit = false
		case e.kind == fixed && fixedIn == "":
			fixedIn = e.version
		}
	}
	if !hit {
		return false, ""
	}
	return true, fixedIn
}

func zero(version string) string {
	if version == "0" {
		return "0"
	}
	return "1"
}

// Later returns the later of two versions of a release's packages, of which an
// empty one is before all.
func Later(scope, a, b string) string {
	d := distributionOf(scope)
	if a == "" || b != "" && d != nil && d.order(a, b) < 0 {
		return b
	}
	return a
}
