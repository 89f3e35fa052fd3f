package identity

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Statement is what an operator says about two records, and outranks every
// identifier. One that is withdrawn is simply not handed in.
type Statement struct {
	// Same is set for same_as and not for not_same_as.
	Same bool
	// Subject is the record that was spoken of, Other the one it was compared
	// with. Of a pair that is not the same, it is Other that must do without
	// the identifiers that they share.
	Subject, Other Ref
	At             time.Time
	// By is the operator, for the explanation.
	By string
}

// denial is a pair of claims that an operator keeps apart.
type denial struct {
	subject, other int
}

// state files what operators say: of two that contradict each other, the one
// said later holds and the other is listed as refused.
func (r *resolver) state(statements []Statement) {
	statements = slices.Clone(statements)
	slices.SortFunc(statements, compareStatements)
	for _, s := range slices.CompactFunc(statements, func(a, b Statement) bool { return compareStatements(a, b) == 0 }) {
		subject, ok := r.index[s.Subject]
		other, known := r.index[s.Other]
		if !ok || !known || subject == other {
			continue // of a record that is gone, or not of this component
		}
		members := []int{min(subject, other), max(subject, other)}
		switch {
		case s.Same && r.deniedBetween(subject, other), !s.Same && r.sets.root(subject) == r.sets.root(other):
			r.res.Refusals = append(r.res.Refusals, Refusal{Records: r.refs(members), Reason: "operator " + s.By + " says " + verb(s) + ", and what was said later contradicts it"})
		case s.Same:
			r.spoken.unite(subject, other)
			r.tie(Tie{Reason: "operator " + s.By + " says that they are the same"}, members)
		default:
			r.denied = append(r.denied, denial{subject, other})
			r.res.Refusals = append(r.res.Refusals, Refusal{Records: r.refs(members), Reason: "operator " + s.By + " says " + verb(s)})
		}
	}
}

// compareStatements puts the latest first.
func compareStatements(a, b Statement) int {
	return cmp.Or(b.At.Compare(a.At), compareRefs(a.Subject, b.Subject), compareRefs(a.Other, b.Other),
		strings.Compare(a.By, b.By), strings.Compare(verb(a), verb(b)))
}

func verb(s Statement) string {
	if s.Same {
		return "that they are the same"
	}
	return "that they are not the same"
}

func (r *resolver) isDenied(i, j int) bool {
	return slices.Contains(r.denied, denial{i, j}) || slices.Contains(r.denied, denial{j, i})
}

// deniedBetween tells whether an operator keeps apart any two members of the
// groups of i and j.
func (r *resolver) deniedBetween(i, j int) bool {
	a, b := r.sets.root(i), r.sets.root(j)
	return slices.ContainsFunc(r.denied, func(d denial) bool {
		x, y := r.sets.root(d.subject), r.sets.root(d.other)
		return (x == a && y == b) || (x == b && y == a)
	})
}

// allowed leaves out of the claims that carry an identifier those that an
// operator said are not the same as another of them.
func (r *resolver) allowed(holders []int) []int {
	return slices.DeleteFunc(slices.Clone(holders), func(i int) bool {
		return slices.ContainsFunc(r.denied, func(d denial) bool {
			return d.other == i && slices.Contains(holders, d.subject)
		})
	})
}
