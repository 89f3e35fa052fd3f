package identity

import (
	"cmp"
	"fmt"
	"slices"
)

// MaxClaimants is how many records may carry one identifier before it is taken
// to identify nothing: more than that is a placeholder that no list has.
const MaxClaimants = 50

// Tie is an identifier that unites records. With is the weak identifier that
// they share beside it, where Key alone was refused; a statement of an operator
// is a tie without a key.
type Tie struct {
	Key, With Key
	Records   []Ref
	Reason    string
}

// Refusal is an identifier that several records carry and that unites them no
// further than Resolution.Ties say. Collision is set where two live devices
// carry it, Quarantined where too many records do.
type Refusal struct {
	Key         Key
	Records     []Ref
	Reason      string
	Collision   bool
	Quarantined bool
}

// Resolution says which records are one thing, and why. Everything in it is
// sorted, so that two resolutions of the same claims are equal.
type Resolution struct {
	// Groups partitions the records.
	Groups   [][]Ref
	Ties     []Tie
	Refusals []Refusal
}

// Resolve decides which claims are one thing. It is a function of the set of
// claims and statements alone: their order does not matter, nor do repetitions
// of a claim. Claims that share no identifier and no statement, not over any
// chain of others, do not affect each other, so each connected component may be
// resolved alone. Where a component has all claims that carry an identifier,
// or more than MaxClaimants of them, that identifier is judged as among all.
func Resolve(claims []Claim, statements []Statement) Resolution {
	r := newResolver(claims)
	r.state(statements)
	r.void()
	r.markTorn()
	for _, k := range r.keys() {
		r.judge(k)
	}
	for _, k := range r.refused {
		r.rescue(k)
	}
	return r.resolution()
}

type resolver struct {
	claims  []Claim
	index   map[Ref]int
	holders map[Key][]int
	sets    *sets
	spoken  *sets // what operators united
	denied  []denial
	torn    map[int]bool
	// refused are the identifiers that need another beside them.
	refused []Key
	res     Resolution
}

func newResolver(claims []Claim) *resolver {
	claims = slices.Clone(claims)
	slices.SortFunc(claims, compareClaims)
	claims = slices.CompactFunc(claims, func(a, b Claim) bool { return a.Ref == b.Ref })
	r := &resolver{claims: claims, index: make(map[Ref]int, len(claims)), holders: make(map[Key][]int), sets: newSets(len(claims)), spoken: newSets(len(claims))}
	for i, c := range claims {
		r.index[c.Ref] = i
		for _, k := range c.Keys {
			r.holders[k] = append(r.holders[k], i)
		}
		claims[i].Keys = slices.Clone(c.Keys)
	}
	return r
}

// void takes out the identifiers that identify nothing whoever else carries
// them: those of too many records, and those that two live devices have. They
// do not count against others either: a machine with a placeholder for its
// serial number in one source may well have a real one in another.
func (r *resolver) void() {
	var gone []Key
	for _, k := range r.keys() {
		holders := r.holders[k]
		refusal := Refusal{Key: k, Records: r.refs(holders)}
		if len(holders) > MaxClaimants {
			refusal.Quarantined, refusal.Reason = true, fmt.Sprintf("more than %d records carry it", MaxClaimants)
		} else if refusal.Reason = r.collision(r.allowed(holders)); refusal.Reason != "" {
			refusal.Collision = true
			r.refused = append(r.refused, k)
		}
		if refusal.Reason != "" {
			r.res.Refusals = append(r.res.Refusals, refusal)
			gone = append(gone, k)
		}
	}
	for _, k := range gone {
		for _, i := range r.holders[k] {
			r.claims[i].Keys = slices.DeleteFunc(r.claims[i].Keys, func(have Key) bool { return have == k })
		}
	}
}

// collision tells why the claims are of two devices that are live at once.
func (r *resolver) collision(holders []int) string {
	for n, i := range holders {
		for _, j := range holders[:n] {
			a, b := &r.claims[j], &r.claims[i]
			if !rivals(a, b) || r.sets.root(i) == r.sets.root(j) {
				continue
			}
			if o := twins(a, b); o.live {
				return fmt.Sprintf("%s and %s: %s", a.Ref, b.Ref, o.reason)
			}
		}
	}
	return ""
}

// markTorn finds the claims that have the serial number of one machine and the
// UUID of another, and takes the serial number from them: a typing error, a
// tool that read the wrong table, a board that was moved. Left are the
// identifiers that have more behind them.
func (r *resolver) markTorn() {
	r.torn = make(map[int]bool)
	for i := range r.claims {
		if k, ok := r.foreignSerial(i); ok {
			r.torn[i] = true
			r.refuse(k, []int{i}, "the serial number stands alone against the other identifiers of the record")
		}
	}
	for i := range r.torn {
		r.claims[i].Keys = slices.DeleteFunc(r.claims[i].Keys, func(k Key) bool { return k.Kind == Serial })
	}
}

// foreignSerial returns the serial number of a claim where everything else
// speaks against it: those with the claim's UUID have another one, or those
// with the serial number have another UUID and host name. That the same
// source says the same in an older record counts little against two others.
func (r *resolver) foreignSerial(i int) (Key, bool) {
	c := &r.claims[i]
	serials, uuids := of(c.Keys, Serial), of(c.Keys, UUID)
	if len(serials) == 0 || len(uuids) == 0 {
		return Key{}, false
	}
	against := make(map[string]bool)
	for _, k := range uuids {
		for _, j := range r.holders[k] {
			if differ(c.Keys, r.claims[j].Keys, Serial) {
				against[r.claims[j].Ref.Source] = true
			}
		}
	}
	for _, k := range serials {
		for _, j := range r.holders[k] {
			d := &r.claims[j]
			switch {
			case j == i:
			case agree(c.Weak, d.Weak, MAC, Disk, Board, Hostname), agree(c.Keys, d.Keys, UUID), succeeds(c, d):
				if d.Ref.Source != c.Ref.Source || len(against) < 2 {
					return Key{}, false
				}
			case differ(c.Keys, d.Keys, UUID) && differ(c.Weak, d.Weak, Hostname):
				against[d.Ref.Source] = true
			}
		}
	}
	return serials[0], len(against) > 0
}

// keys returns those that more than one claim carries, firmest first.
func (r *resolver) keys() []Key {
	var keys []Key
	for k, holders := range r.holders {
		if len(holders) > 1 {
			keys = append(keys, k)
		}
	}
	return sortKeys(keys)
}

// judge takes an identifier whole or refuses it whole: where two of those that
// carry it cannot be one device, it does not say which of the two the others
// are.
func (r *resolver) judge(k Key) {
	holders := slices.DeleteFunc(r.allowed(r.holders[k]), func(i int) bool { return !slices.Contains(r.claims[i].Keys, k) })
	if len(holders) < 2 {
		return
	}
	if whole := slices.DeleteFunc(slices.Clone(holders), func(i int) bool { return r.torn[i] && k.Kind == UUID }); len(whole) < len(holders) {
		r.refuse(k, holders, "one of them also has another machine's serial number")
		holders = whole
	}
	if reason := r.conflict(holders); reason != "" {
		r.refuse(k, holders, reason)
		return
	}
	r.tie(Tie{Key: k}, holders)
}

func (r *resolver) refuse(k Key, holders []int, reason string) {
	r.res.Refusals = append(r.res.Refusals, Refusal{Key: k, Records: r.refs(holders), Reason: reason})
	if !slices.Contains(r.refused, k) {
		r.refused = append(r.refused, k)
	}
}

// rescue unites those of the claims of a refused identifier that have a weak
// one in common as well: two copies of a machine share its UUID, and their
// network cards tell which records are of which copy.
func (r *resolver) rescue(k Key) {
	parts := make(map[Key][]int)
	for _, i := range r.allowed(r.holders[k]) {
		for _, w := range r.claims[i].Weak {
			if r.corroborates(i, w, k) {
				parts[w] = append(parts[w], i)
			}
		}
	}
	weak := make([]Key, 0, len(parts))
	for w, holders := range parts {
		if len(holders) > 1 {
			weak = append(weak, w)
		}
	}
	slices.SortFunc(weak, func(a, b Key) int {
		return cmp.Or(cmp.Compare(weakRank(a.Kind), weakRank(b.Kind)), compareKeys(a, b))
	})
	for _, w := range weak {
		if r.conflict(parts[w]) == "" {
			r.tie(Tie{Key: k, With: w}, parts[w])
		}
	}
}

// corroborates tells whether a weak identifier of a claim counts beside a
// refused one. That a maker gave out a serial of this shape once is known; that
// two machines with one placeholder are of one maker says nothing. And of a
// claim that may be of a board that was moved, only what does not move with it.
func (r *resolver) corroborates(i int, w, k Key) bool {
	switch {
	case w.Kind == Maker:
		return factoryShape(w.Value, k) && slices.Contains(r.claims[i].Keys, k)
	case r.torn[i]:
		return w.Kind == Hostname || w.Kind == Disk
	}
	return true
}

// weakRank orders the weak kinds by how firmly they hold to the chassis.
func weakRank(kind string) int {
	return slices.Index([]string{Board, MAC, Disk, AssetTag, Hostname, Maker}, kind)
}

// conflict tells why the groups of these claims cannot all be one device.
func (r *resolver) conflict(members []int) string {
	roots := r.roots(members)
	for n, a := range roots {
		for _, b := range roots[:n] {
			if reason := r.between(a, b); reason != "" {
				return reason
			}
		}
	}
	return ""
}

// between tells why two groups cannot be one device. What stands in one group
// already was judged before, or an operator said so.
func (r *resolver) between(a, b int) string {
	for _, i := range r.sets.members[a] {
		for _, j := range r.sets.members[b] {
			if r.isDenied(i, j) {
				return "an operator says that they are not the same"
			}
			x, y := &r.claims[min(i, j)], &r.claims[max(i, j)]
			if o := apart(x, y); o.reason != "" && !r.waived(i, j) {
				return fmt.Sprintf("%s and %s: %s", x.Ref, y.Ref, o.reason)
			}
		}
	}
	return ""
}

// waived tells whether an objection to two claims counts no more, because an
// operator united one of them with a claim to which there is none and which
// shares an identifier with the other.
func (r *resolver) waived(i, j int) bool {
	for _, a := range r.spoken.members[r.spoken.root(i)] {
		for _, b := range r.spoken.members[r.spoken.root(j)] {
			x, y := &r.claims[a], &r.claims[b]
			if (a != i || b != j) && slices.ContainsFunc(x.Keys, func(k Key) bool { return slices.Contains(y.Keys, k) }) && apart(x, y).reason == "" {
				return true
			}
		}
	}
	return false
}

// roots returns the groups of the members, in order.
func (r *resolver) roots(members []int) []int {
	roots := make([]int, len(members))
	for n, i := range members {
		roots[n] = r.sets.root(i)
	}
	slices.Sort(roots)
	return slices.Compact(roots)
}

func (r *resolver) tie(t Tie, members []int) {
	if len(members) < 2 {
		return
	}
	for _, i := range members[1:] {
		r.sets.unite(members[0], i)
	}
	t.Records = r.refs(members)
	r.res.Ties = append(r.res.Ties, t)
}

func (r *resolver) refs(members []int) []Ref {
	refs := make([]Ref, len(members))
	for n, i := range members {
		refs[n] = r.claims[i].Ref
	}
	slices.SortFunc(refs, compareRefs)
	return refs
}

func (r *resolver) resolution() Resolution {
	for i := range r.claims {
		if r.sets.root(i) == i {
			r.res.Groups = append(r.res.Groups, r.refs(r.sets.members[i]))
		}
	}
	slices.SortFunc(r.res.Groups, func(a, b []Ref) int { return compareRefs(a[0], b[0]) })
	slices.SortFunc(r.res.Ties, func(a, b Tie) int {
		return cmp.Or(compareKeys(a.Key, b.Key), compareKeys(a.With, b.With), cmp.Compare(a.Reason, b.Reason), slices.CompareFunc(a.Records, b.Records, compareRefs))
	})
	slices.SortFunc(r.res.Refusals, func(a, b Refusal) int {
		return cmp.Or(compareKeys(a.Key, b.Key), cmp.Compare(a.Reason, b.Reason), slices.CompareFunc(a.Records, b.Records, compareRefs))
	})
	return r.res
}
