package identity

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Likeness is how much two groups of records that were not united look like
// one thing: a suggestion for a person to judge, never acted on.
type Likeness struct {
	// Score is from 0 to 100; below 50 a pair is not worth showing.
	Score int
	// Reasons are those for and, beginning with "but", those against.
	Reasons []string
}

// weights are the odds, as a power of two, that two records which agree on an
// identifier of a kind are one device rather than two.
var weights = map[string]float64{
	Serial: 6, Part: 6, UUID: 5, IMEI: 8, CloudInstance: 8, UDID: 8, Directory: 5, MDM: 5, EDR: 5,
	Board: 5, MAC: 4, Disk: 4, AssetTag: 3, Hostname: 2,
}

// prior is the odds that two records are one device before anything of them is
// compared.
const prior = -3

// Compare returns how alike two groups of claims are.
func Compare(a, b []Claim) Likeness {
	odds := float64(prior)
	var l Likeness
	for _, kind := range []string{Serial, Part, IMEI, CloudInstance, UUID, UDID, Directory, MDM, EDR, Board, MAC, Disk, AssetTag, Hostname} {
		if k, ok := common(a, b, kind); ok {
			odds += weights[kind]
			l.Reasons = append(l.Reasons, "both have "+k.String())
		}
	}
	if odds == prior {
		return Likeness{}
	}
	if o := strongest(a, b); o.reason != "" {
		odds -= o.weight
		l.Reasons = append(l.Reasons, "but "+o.reason)
	}
	l.Score = int(math.Round(100 / (1 + math.Exp2(-odds))))
	return l
}

// common returns an identifier of a kind that a claim of each group carries.
func common(a, b []Claim, kind string) (Key, bool) {
	var found []Key
	for _, x := range a {
		for _, k := range slices.Concat(of(x.Keys, kind), of(x.Weak, kind)) {
			if slices.ContainsFunc(b, func(y Claim) bool { return slices.Contains(y.Keys, k) || slices.Contains(y.Weak, k) }) {
				found = append(found, k)
			}
		}
	}
	if len(found) == 0 {
		return Key{}, false
	}
	return slices.MinFunc(found, compareKeys), true
}

// strongest returns what speaks most against two groups being one.
func strongest(a, b []Claim) objection {
	var most objection
	for i := range a {
		for j := range b {
			o := apart(&a[i], &b[j])
			if o.weight > most.weight || (o.weight == most.weight && o.reason < most.reason) {
				most = o
			}
		}
	}
	return most
}

// Suggestion is a pair of groups that may be one thing. A and B are the first
// records of the two.
type Suggestion struct {
	A, B Ref
	Likeness
}

// weakHolders is how many groups may have a weak identifier in common for it to
// suggest anything: a host name that more have is nobody's own.
const weakHolders = 8

// Suggest returns the pairs of groups of a resolution that may be one thing,
// likeliest first. The claims may be any that share identifiers of any kind,
// refused and weak ones too. Pairs on which an operator has spoken are left out.
func Suggest(claims []Claim, statements []Statement, resolution Resolution) []Suggestion {
	group := make(map[Ref]int)
	for g, refs := range resolution.Groups {
		for _, ref := range refs {
			group[ref] = g
		}
	}
	members := make([][]Claim, len(resolution.Groups))
	carriers := make(map[Key][]int)
	for _, c := range claims {
		g, ok := group[c.Ref]
		if !ok || slices.ContainsFunc(members[g], func(m Claim) bool { return m.Ref == c.Ref }) {
			continue
		}
		members[g] = append(members[g], c)
		for _, k := range slices.Concat(c.Keys, c.Weak) {
			if k.Kind != Maker && k.Kind != Product && !slices.Contains(carriers[k], g) {
				carriers[k] = append(carriers[k], g)
			}
		}
	}
	spoken := make(map[[2]int]bool)
	for _, s := range statements {
		a, ok := group[s.Subject]
		if b, known := group[s.Other]; ok && known {
			spoken[[2]int{min(a, b), max(a, b)}] = true
		}
	}
	var out []Suggestion
	for _, pair := range pairs(carriers) {
		if l := Compare(members[pair[0]], members[pair[1]]); l.Score >= 50 && !spoken[pair] {
			out = append(out, Suggestion{A: resolution.Groups[pair[0]][0], B: resolution.Groups[pair[1]][0], Likeness: l})
		}
	}
	slices.SortFunc(out, func(a, b Suggestion) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), compareRefs(a.A, b.A), compareRefs(a.B, b.B))
	})
	return out
}

// pairs returns the pairs of groups that carry one identifier, each once.
func pairs(carriers map[Key][]int) [][2]int {
	seen := make(map[[2]int]bool)
	var out [][2]int
	for _, groups := range carriers {
		if len(groups) > weakHolders {
			continue
		}
		for n, a := range groups {
			for _, b := range groups[:n] {
				if p := [2]int{min(a, b), max(a, b)}; !seen[p] {
					seen[p] = true
					out = append(out, p)
				}
			}
		}
	}
	return out
}

// Because says in one sentence why a tie unites its records.
func (t Tie) Because() string {
	switch {
	case t.Key == Key{}:
		return t.Reason
	case t.With == Key{}:
		return fmt.Sprintf("%d records have %s", len(t.Records), t.Key)
	}
	return fmt.Sprintf("%d records have %s and also %s", len(t.Records), t.Key, t.With)
}
