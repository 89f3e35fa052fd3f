package merge

import (
	"cmp"
	"slices"
	"time"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// AttachedSlack is how much earlier than another machine one may have listed a
// thing last and still count as having it. Machines report at different times, and
// a display with two cables is listed by both: without, each report would move it.
const AttachedSlack = 24 * time.Hour

// Listing is what a machine says of a thing that is attached to it. The statement's
// FirstSeen is when it listed the thing first, and Heard when it did so last.
type Listing struct {
	// AssetID is that of the machine.
	AssetID string
	// Listed is set until the machine reports without it.
	Listed bool
}

// attach says which machine a thing is attached to: that which listed it last. Of
// several that did so within a day, one that lists it still comes before one that
// does not, and then that which began to do so later, since things move on.
func attach(a *pb.Asset, stmts []Statement) {
	var last time.Time
	var listed []*Statement
	for i := range stmts {
		if s := &stmts[i]; s.Listing != nil {
			listed = append(listed, s)
			if s.heard().After(last) {
				last = s.heard()
			}
		}
	}
	listed = slices.DeleteFunc(listed, func(s *Statement) bool { return last.Sub(s.heard()) > AttachedSlack })
	if len(listed) == 0 {
		return
	}
	best := slices.MinFunc(listed, func(a, b *Statement) int {
		return cmp.Or(compareListed(a, b), b.FirstSeen.Compare(a.FirstSeen), b.heard().Compare(a.heard()), compareStatements(*a, *b))
	})
	a.AttachedTo = &pb.AttachedTo{AssetId: best.Listing.AssetID, Listed: best.Listing.Listed}
	o := best.Observation
	a.Provenance["attached_to"] = &pb.Provenance{Source: o.GetSource(), SourceId: o.GetSourceId(), ObservedAt: o.GetObservedAt()}
}

func compareListed(a, b *Statement) int {
	switch {
	case a.Listing.Listed == b.Listing.Listed:
		return 0
	case a.Listing.Listed:
		return -1
	}
	return 1
}
