package identity

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// maxAddresses is how many e-mail addresses one person has at most; a record
// with more is a list of people.
const maxAddresses = 50

// Departed is the status of somebody who left.
const Departed = "departed"

// PersonClaim is what identity needs to know of one record about a person.
type PersonClaim struct {
	Ref Ref
	// Unique is set where the source never lists one living account twice.
	Unique bool
	// Departed is set where the source says that the person left: the address
	// may by now be somebody else's.
	Departed bool
	// Keys are the identifiers, sorted; Ignored are those that say nothing.
	Keys    []Key
	Ignored []Ignored
}

// NewPersonClaim returns what an observation about a person claims.
func NewPersonClaim(o *pb.Observation, unique bool) PersonClaim {
	p := o.GetPerson()
	c := PersonClaim{Ref: Ref{o.GetSource(), o.GetSourceId()}, Unique: unique, Departed: p.GetStatus() == Departed}
	for _, e := range p.GetEmails() {
		c.add(Email, "", e)
	}
	c.add(Email, "", p.GetUpn())
	c.add(Account, "", p.GetAccount())
	c.add(EmployeeID, "", p.GetEmployeeId())
	for _, id := range o.GetIdentifiers() {
		c.add(id.GetKind(), id.GetScope(), id.GetValue())
	}
	c.Keys = sortKeys(c.Keys)
	if addresses := of(c.Keys, Email); len(addresses) > maxAddresses {
		for _, k := range addresses[:maxAddresses] {
			c.Ignored = append(c.Ignored, Ignored{Key: k, Reason: "one of too many addresses on one record"})
		}
		c.Keys = slices.DeleteFunc(c.Keys, func(k Key) bool { return k.Kind == Email })
	}
	slices.SortStableFunc(c.Ignored, func(a, b Ignored) int { return compareKeys(a.Key, b.Key) })
	c.Ignored = slices.Compact(c.Ignored)
	c.Ignored = c.Ignored[:min(len(c.Ignored), maxAddresses)]
	return c
}

func (c *PersonClaim) add(kind, scope, value string) {
	if value == "" || !utf8.ValidString(scope+value) {
		return
	}
	k, ok := PersonKey(kind, scope, value)
	switch {
	case ok:
		c.Keys = append(c.Keys, k)
	case k.Value != "":
		c.Ignored = append(c.Ignored, Ignored{Key: k, Reason: "it stands where there is none, or for many people"})
	}
}

// PersonKey returns an identifier of a person in the form in which it is
// compared; false for one that tells nobody from others, whose key has a value
// only where it is well-formed.
func PersonKey(kind, scope, value string) (Key, bool) {
	switch kind {
	case Email, "upn":
		return address(value)
	case Account, "sam_account_name", "samaccountname":
		return account(scope, value)
	case EmployeeID:
		return employeeID(value)
	}
	return Key{}, false
}

// employeeID reads a number of personnel. Leading zeros stay: some systems pad
// and others do not, but two people may be 7 and 007.
func employeeID(value string) (Key, bool) {
	v := squeeze(upper(strings.TrimFunc(value, blank)))
	if v == "" || len(v) > maxValue || strings.ContainsFunc(v, unicode.IsControl) {
		return Key{}, false
	}
	k := Key{EmployeeID, "", v}
	switch v {
	case "N/A", "NA", "NONE", "NULL", "UNKNOWN", "TBD", "TEST", "CONTRACTOR", "EXTERNAL", "TEMP", "-":
		return k, false
	}
	return k, strings.Trim(v, "0") != "" && (len(v) < 4 || !oneCharacter(v))
}

// ResolvePeople decides which claims are one person. Like Resolve it is a
// function of the set of claims: neither order nor repetition matters, and each
// connected component may be resolved alone.
//
// An address, an account or an employee id unites all who carry it, unless two
// of them cannot be one person. Where those that remain once the departed are
// left out can be, the identifier passed on to them. What operators say
// outranks identifiers, as it does for devices.
func ResolvePeople(claims []PersonClaim, statements []Statement) Resolution {
	r := newPeople(claims)
	r.state(statements)
	for _, k := range r.keys() {
		r.judge(k)
	}
	return r.resolution()
}

type people struct {
	claims  []PersonClaim
	holders map[Key][]int
	sets    *sets
	// denied are the pairs that operators keep apart, with what they say.
	denied map[denial]string
	res    Resolution
}

func newPeople(claims []PersonClaim) *people {
	claims = slices.Clone(claims)
	slices.SortFunc(claims, func(a, b PersonClaim) int {
		return cmp.Or(compareRefs(a.Ref, b.Ref), slices.CompareFunc(a.Keys, b.Keys, compareKeys))
	})
	claims = slices.CompactFunc(claims, func(a, b PersonClaim) bool { return a.Ref == b.Ref })
	p := &people{claims: claims, holders: make(map[Key][]int), sets: newSets(len(claims)), denied: make(map[denial]string)}
	for i, c := range claims {
		for _, k := range c.Keys {
			p.holders[k] = append(p.holders[k], i)
		}
	}
	return p
}

// keys returns those that more than one claim carries, firmest first.
func (p *people) keys() []Key {
	var keys []Key
	for k, holders := range p.holders {
		if len(holders) > 1 {
			keys = append(keys, k)
		}
	}
	return sortKeys(keys)
}

// state files what operators say: of two that contradict each other, the one
// said later holds and the other is listed as refused.
func (p *people) state(statements []Statement) {
	statements = slices.Clone(statements)
	slices.SortFunc(statements, compareStatements)
	index := make(map[Ref]int, len(p.claims))
	for i, c := range p.claims {
		index[c.Ref] = i
	}
	for _, s := range slices.CompactFunc(statements, func(a, b Statement) bool { return compareStatements(a, b) == 0 }) {
		subject, ok := index[s.Subject]
		other, known := index[s.Other]
		if !ok || !known || subject == other {
			continue // of a record that is gone, or not of this crowd
		}
		members := []int{min(subject, other), max(subject, other)}
		says := "operator " + s.By + " says " + verb(s)
		switch {
		case s.Same && p.deniedBetween(members) != "", !s.Same && p.sets.root(subject) == p.sets.root(other):
			p.res.Refusals = append(p.res.Refusals, Refusal{Records: p.refs(members), Reason: says + ", and what was said later contradicts it"})
		case s.Same:
			p.sets.unite(subject, other)
			p.res.Ties = append(p.res.Ties, Tie{Reason: says, Records: p.refs(members)})
		default:
			p.denied[denial{subject, other}] = says
			p.res.Refusals = append(p.res.Refusals, Refusal{Records: p.refs(members), Reason: says})
		}
	}
}

// allowed leaves out of the claims that carry an identifier those that an
// operator said are not the same as another of them.
func (p *people) allowed(holders []int) []int {
	return slices.DeleteFunc(slices.Clone(holders), func(i int) bool {
		for d := range p.denied {
			if d.other == i && slices.Contains(holders, d.subject) {
				return true
			}
		}
		return false
	})
}

// deniedBetween tells which operator keeps apart any two members of the groups
// of these claims.
func (p *people) deniedBetween(members []int) string {
	var says []string
	for d, said := range p.denied {
		a, b := p.sets.root(d.subject), p.sets.root(d.other)
		in := func(root int) bool {
			return slices.ContainsFunc(members, func(i int) bool { return p.sets.root(i) == root })
		}
		if a != b && in(a) && in(b) {
			says = append(says, said)
		}
	}
	if len(says) == 0 {
		return ""
	}
	return slices.Min(says)
}

func (p *people) judge(k Key) {
	holders := p.allowed(p.holders[k])
	if len(holders) > MaxClaimants {
		p.res.Refusals = append(p.res.Refusals, Refusal{Key: k, Records: p.refs(holders), Quarantined: true,
			Reason: fmt.Sprintf("more than %d records carry it", MaxClaimants)})
		return
	}
	if reason := p.conflict(holders); reason != "" {
		p.res.Refusals = append(p.res.Refusals, Refusal{Key: k, Records: p.refs(holders), Collision: true, Reason: reason})
		holders = slices.DeleteFunc(slices.Clone(holders), func(i int) bool { return p.claims[i].Departed })
		if p.conflict(holders) != "" {
			return
		}
	}
	if len(holders) < 2 {
		return
	}
	for _, i := range holders[1:] {
		p.sets.unite(holders[0], i)
	}
	p.res.Ties = append(p.res.Ties, Tie{Key: k, Records: p.refs(holders)})
}

// conflict tells why the groups of these claims cannot all be one person.
func (p *people) conflict(members []int) string {
	if said := p.deniedBetween(members); said != "" {
		return said
	}
	var roots []int
	for _, i := range members {
		roots = append(roots, p.sets.root(i))
	}
	slices.Sort(roots)
	roots = slices.Compact(roots)
	for n, a := range roots {
		for _, b := range roots[:n] {
			for _, i := range p.sets.members[a] {
				for _, j := range p.sets.members[b] {
					if reason := distinct(&p.claims[min(i, j)], &p.claims[max(i, j)]); reason != "" {
						return reason
					}
				}
			}
		}
	}
	return ""
}

// distinct tells why two records are of two people.
func distinct(a, b *PersonClaim) string {
	numbers := differ(a.Keys, b.Keys, EmployeeID)
	same := a.Ref.Source == b.Ref.Source
	switch {
	case same && a.Unique && b.Unique && !a.Departed && !b.Departed:
		return fmt.Sprintf("%s and %s are two living accounts of one directory", a.Ref, b.Ref)
	case numbers && same:
		return fmt.Sprintf("%s and %s have different employee ids in one source", a.Ref, b.Ref)
	case numbers && a.Departed != b.Departed:
		return fmt.Sprintf("%s and %s have different employee ids, and one of them left: the identifier was given to somebody else", a.Ref, b.Ref)
	}
	return ""
}

func (p *people) refs(members []int) []Ref {
	refs := make([]Ref, len(members))
	for n, i := range members {
		refs[n] = p.claims[i].Ref
	}
	slices.SortFunc(refs, compareRefs)
	return refs
}

func (p *people) resolution() Resolution {
	for i := range p.claims {
		if p.sets.root(i) == i {
			p.res.Groups = append(p.res.Groups, p.refs(p.sets.members[i]))
		}
	}
	slices.SortFunc(p.res.Groups, func(a, b []Ref) int { return compareRefs(a[0], b[0]) })
	return p.res
}
