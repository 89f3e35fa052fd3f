package merge

import (
	"cmp"
	"slices"
	"time"
)

// Ways to choose among sources.
const (
	// PickRank takes the source that stands first in the order.
	PickRank = "rank"
	// PickNewest takes the newest statement, and the order only between two of
	// one time.
	PickNewest = "newest"
)

// unranked is the rank of the sources that a rule does not name.
const unranked = 1 << 10

// rule says whom to believe on a field.
type rule struct {
	order []string
	// ranks are by kind, and by SourcePrefix and name.
	ranks      map[string]int
	staleAfter time.Duration // 0 for never
	newest     bool
}

func newRule(order []string, staleAfter time.Duration, newest bool) *rule {
	r := &rule{order: order, ranks: make(map[string]int, len(order)), staleAfter: staleAfter, newest: newest}
	for i, origin := range order {
		r.ranks[origin] = i
	}
	return r
}

// rank returns the better of the ranks of a statement's source and of its kind.
func (r *rule) rank(s *Statement) int {
	best := unranked
	if n, ok := r.ranks[s.Kind]; ok {
		best = n
	}
	if n, ok := r.ranks[SourcePrefix+s.Observation.GetSource()]; ok {
		best = min(best, n)
	}
	return best
}

// sort puts the statements about one field in the order of belief. Whether one
// is stale is measured against the others that speak of the field and not
// against a clock: as long as nobody says anything newer, the old word stands,
// and time alone changes nothing.
func (r *rule) sort(with []said, mayBeStale bool) {
	if len(with) < 2 {
		return
	}
	var fresh time.Time
	if mayBeStale && r.staleAfter > 0 {
		fresh = freshest(with)
	}
	stale := func(s said) int {
		if !fresh.IsZero() && !lasting[s.stmt.Kind] && fresh.Sub(s.stmt.heard()) > r.staleAfter {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(with, func(a, b said) int {
		newer := b.from.GetObservedAt().AsTime().Compare(a.from.GetObservedAt().AsTime())
		rank := cmp.Compare(r.rank(a.stmt), r.rank(b.stmt))
		if r.newest {
			rank, newer = newer, rank
		}
		return cmp.Or(cmp.Compare(stale(a), stale(b)), rank, newer, compareStatements(*a.stmt, *b.stmt))
	})
}

// freshest is when any of the sources that repeat themselves was last heard of.
func freshest(with []said) time.Time {
	var t time.Time
	for _, s := range with {
		if !lasting[s.stmt.Kind] && s.stmt.heard().After(t) {
			t = s.stmt.heard()
		}
	}
	return t
}
