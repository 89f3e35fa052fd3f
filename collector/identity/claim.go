package identity

import (
	"cmp"
	"slices"
	"time"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Ref names one record of one source.
type Ref struct {
	Source, ID string
}

// String returns the record as people read it: jamf/123.
func (r Ref) String() string { return r.Source + "/" + r.ID }

func compareRefs(a, b Ref) int {
	return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.ID, b.ID))
}

// Claim is what identity needs to know of one record of a source. It is a
// value: nothing in this package changes one.
type Claim struct {
	Ref Ref
	// Unique is set where the source never lists one live device twice.
	Unique bool
	// Keys are the strong identifiers and Weak those that only corroborate,
	// both sorted; Ignored are those that say nothing, with the reason.
	Keys, Weak []Key
	Ignored    []Ignored
	Model      string
	// Virtual is set for a guest of a hypervisor.
	Virtual bool
	// From and Until are when the record was alive, as far as is known; Booted
	// is when the system that was last heard of started, zero if unknown.
	From, Until, Booted time.Time
}

// History is what is known of a record beside its latest statement. First and
// Last are the earliest and the latest observed_at of all statements that were
// accepted for it, in whatever order they came; zero stands for the latest
// statement's.
type History struct {
	Unique      bool
	First, Last time.Time
}

// NewClaim returns what an observation claims.
//
// A record is alive from its first statement, or the enrolment it tells of, to
// the last check-in it tells of, or its last statement: a feed goes on listing
// records of devices that are long gone, and what such a record says of its
// own last check-in is what counts.
func NewClaim(o *pb.Observation, h History) Claim {
	r := read(o)
	d := o.GetDevice()
	c := Claim{
		Ref: Ref{o.GetSource(), o.GetSourceId()}, Unique: h.Unique,
		Keys: r.strong, Weak: r.weak, Ignored: r.ignored, Virtual: r.virtual, Model: squeeze(upper(d.GetHardware().GetModel())),
		From: o.GetObservedAt().AsTime(), Until: o.GetObservedAt().AsTime(),
	}
	if !h.First.IsZero() && h.First.Before(c.From) {
		c.From = h.First
	}
	if h.Last.After(c.Until) {
		c.Until = h.Last
	}
	if at := d.GetMdm().GetEnrolledAt(); at.IsValid() && at.AsTime().Before(c.From) {
		c.From = at.AsTime()
	}
	last := d.GetMdm().GetLastCheckIn()
	if seen := d.GetEdr().GetLastSeen(); seen.IsValid() && (!last.IsValid() || seen.AsTime().After(last.AsTime())) {
		last = seen
	}
	if last.IsValid() && last.AsTime().Unix() > 0 && last.AsTime().Before(c.Until) {
		c.Until = last.AsTime()
	}
	if c.Until.Before(c.From) {
		c.From = c.Until
	}
	if at := d.GetOs().GetBootedAt(); at.IsValid() && !at.AsTime().After(c.Until) {
		c.Booted = at.AsTime()
	}
	return c
}

// compareClaims orders claims by their record; of two statements of one
// record, that which knows of the longer life comes first.
func compareClaims(a, b Claim) int {
	return cmp.Or(compareRefs(a.Ref, b.Ref), b.Until.Compare(a.Until), a.From.Compare(b.From),
		slices.CompareFunc(a.Keys, b.Keys, compareKeys), slices.CompareFunc(a.Weak, b.Weak, compareKeys))
}

// of returns the claim's identifiers of one kind, which stand side by side.
func of(keys []Key, kind string) []Key {
	from := slices.IndexFunc(keys, func(k Key) bool { return k.Kind == kind })
	if from < 0 {
		return nil
	}
	keys = keys[from:]
	if to := slices.IndexFunc(keys, func(k Key) bool { return k.Kind != kind }); to >= 0 {
		keys = keys[:to]
	}
	return keys
}

// share tells whether both state identifiers of a kind, and have one of them
// in common.
func share(a, b []Key, kind string) (both, common bool) {
	x, y := of(a, kind), of(b, kind)
	for _, k := range x {
		if slices.Contains(y, k) {
			return true, true
		}
	}
	return len(x) > 0 && len(y) > 0, false
}

func differ(a, b []Key, kind string) bool {
	both, common := share(a, b, kind)
	return both && !common
}

func agree(a, b []Key, kinds ...string) bool {
	return slices.ContainsFunc(kinds, func(kind string) bool {
		_, common := share(a, b, kind)
		return common
	})
}
