package identity

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// The estates of these tests are small and crowded: few values, so that nearly
// every claim shares something with another and all rules meet.

var day0 = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func someKeys(t *rapid.T, kind, label string, values int) []Key {
	n := rapid.IntRange(0, 2).Draw(t, label+" count")
	var keys []Key
	for range n {
		keys = append(keys, Key{kind, "", fmt.Sprintf("%s%d", kind, rapid.IntRange(1, values).Draw(t, label))})
	}
	return keys
}

func someClaims(t *rapid.T) []Claim {
	n := rapid.IntRange(0, 14).Draw(t, "claims")
	claims := make([]Claim, n)
	for i := range claims {
		from := day0.Add(time.Duration(rapid.IntRange(0, 400).Draw(t, "from")) * time.Hour)
		until := from.Add(time.Duration(rapid.IntRange(0, 300).Draw(t, "life")) * time.Hour)
		c := Claim{
			Ref:    Ref{rapid.SampledFrom([]string{"agent", "edr", "idp"}).Draw(t, "source"), fmt.Sprint(i)},
			Keys:   sortKeys(slices.Concat(someKeys(t, Serial, "serial", 3), someKeys(t, UUID, "uuid", 3), someKeys(t, EDR, "edr", 4))),
			Weak:   sortKeys(slices.Concat(someKeys(t, MAC, "mac", 4), someKeys(t, Hostname, "name", 3), someKeys(t, Maker, "maker", 2))),
			Model:  rapid.SampledFrom([]string{"", "A", "B"}).Draw(t, "model"),
			From:   from,
			Until:  until,
			Booted: until.Add(-time.Duration(rapid.IntRange(0, 50).Draw(t, "up")) * time.Hour),
		}
		c.Unique, c.Virtual = c.Ref.Source != "idp", rapid.IntRange(0, 4).Draw(t, "virtual") == 0
		claims[i] = c
	}
	return claims
}

func someStatements(t *rapid.T, claims []Claim, most int) []Statement {
	var out []Statement
	for range rapid.IntRange(0, most).Draw(t, "statements") {
		ref := func() Ref {
			if len(claims) == 0 {
				return Ref{"agent", "gone"}
			}
			return rapid.SampledFrom(claims).Draw(t, "spoken of").Ref
		}
		out = append(out, Statement{Same: rapid.Bool().Draw(t, "same"), Subject: ref(), Other: ref(), By: "ann",
			At: day0.Add(time.Duration(rapid.IntRange(0, 9).Draw(t, "at")) * time.Hour)})
	}
	return out
}

// Neither the order of claims and statements nor how often they are repeated
// changes anything, the explanation included.
func TestResolutionDoesNotDependOnOrderOrRepetition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		claims := someClaims(t)
		statements := someStatements(t, claims, 4)
		want := Resolve(claims, statements)
		again := slices.Clone(claims)
		for range rapid.IntRange(0, 4).Draw(t, "repetitions") {
			if len(claims) > 0 {
				again = append(again, rapid.SampledFrom(claims).Draw(t, "repeated"))
			}
		}
		got := Resolve(rapid.Permutation(again).Draw(t, "order"), rapid.Permutation(slices.Concat(statements, statements)).Draw(t, "order of statements"))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("another order, another resolution (-want +got):\n%s", diff)
		}
	})
}

// Each connected component may be resolved alone: together, the resolutions of
// all components are the resolution of everything.
func TestComponentsResolveAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		claims := someClaims(t)
		statements := someStatements(t, claims, 3)
		var got Resolution
		for _, component := range components(claims, statements) {
			r := Resolve(component, statements)
			got.Groups = append(got.Groups, r.Groups...)
			got.Ties = append(got.Ties, r.Ties...)
			got.Refusals = append(got.Refusals, r.Refusals...)
		}
		sorted := (&resolver{res: got, sets: newSets(0)}).resolution()
		if diff := cmp.Diff(Resolve(claims, statements), sorted); diff != "" {
			t.Fatalf("components alone (-all at once +alone):\n%s", diff)
		}
	})
}

// components divides claims by what connects them at all.
func components(claims []Claim, statements []Statement) [][]Claim {
	keys := make([][]Key, len(claims))
	for i, c := range claims {
		keys[i] = slices.Clone(c.Keys)
		for n, s := range statements {
			if s.Subject == c.Ref || s.Other == c.Ref {
				keys[i] = append(keys[i], Key{Kind: "statement", Value: fmt.Sprint(n)})
			}
		}
	}
	var out [][]Claim
	for i, g := range plainGroups(keys) {
		for len(out) <= g {
			out = append(out, nil)
		}
		out[g] = append(out[g], claims[i])
	}
	return out
}

// Every record is in one group; records that an operator keeps apart are in
// two, and so are, unless an operator unites them, those that are two live
// devices by the word of a source that lists each once.
func TestGroupsKeepTheirPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		claims := someClaims(t)
		var denials []Statement
		for _, s := range someStatements(t, claims, 4) {
			if s.Same = false; s.Subject != s.Other {
				denials = append(denials, s)
			}
		}
		group := make(map[Ref]int)
		for g, refs := range Resolve(claims, denials).Groups {
			for _, ref := range refs {
				if _, twice := group[ref]; twice {
					t.Fatalf("%s is in two groups", ref)
				}
				group[ref] = g
			}
		}
		if len(group) != len(claims) {
			t.Fatalf("%d records in groups, want %d", len(group), len(claims))
		}
		for _, s := range denials {
			if group[s.Subject] == group[s.Other] {
				t.Fatalf("%s and %s are together against an operator's word", s.Subject, s.Other)
			}
		}
		for i := range claims {
			for j := range claims[:i] {
				a, b := &claims[i], &claims[j]
				if group[a.Ref] == group[b.Ref] && rivals(a, b) && twins(a, b).live {
					t.Fatalf("%s and %s are two live devices in one group", a.Ref, b.Ref)
				}
			}
		}
	})
}

// What an operator unites is together, whatever the identifiers say.
func TestSameAsOutranksEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		claims := someClaims(t)
		if len(claims) < 2 {
			t.Skip("nothing to unite")
		}
		a, b := claims[0].Ref, claims[1].Ref
		r := Resolve(claims, []Statement{{Same: true, Subject: a, Other: b, By: "ann", At: day0}})
		if !slices.ContainsFunc(r.Groups, func(g []Ref) bool { return slices.Contains(g, a) && slices.Contains(g, b) }) {
			t.Fatalf("%s and %s are not together", a, b)
		}
	})
}

func TestObjectionsAreSymmetric(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		claims := someClaims(t)
		for i := range claims {
			for j := range claims[:i] {
				if there, back := apart(&claims[i], &claims[j]), apart(&claims[j], &claims[i]); there != back {
					t.Fatalf("%v one way, %v the other", there, back)
				}
			}
		}
	})
}

// Suggestions follow the claims, not their order, and a pair that an operator
// has judged is not suggested again.
func TestSuggestionsAreStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		claims := someClaims(t)
		r := Resolve(claims, nil)
		want := Suggest(claims, nil, r)
		got := Suggest(rapid.Permutation(claims).Draw(t, "order"), nil, r)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("another order, other suggestions:\n%s", diff)
		}
		for _, s := range want {
			statements := []Statement{{Subject: s.A, Other: s.B, By: "ann", At: day0}}
			for _, left := range Suggest(claims, statements, Resolve(claims, statements)) {
				if left.A == s.A && left.B == s.B {
					t.Fatalf("%s and %s are suggested against an operator's word", s.A, s.B)
				}
			}
		}
	})
}
