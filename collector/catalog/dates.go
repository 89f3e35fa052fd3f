package catalog

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// undate takes out of a merged record when its sources said what it holds: each
// report renews that, and a report that changes nothing must not cost a write.
// Date puts it back.
func undate(a *pb.Asset) {
	a.LastSeen = nil
	for _, s := range a.GetSources() {
		s.LastSeen = nil
	}
	for _, p := range a.GetProvenance() {
		p.ObservedAt = nil
	}
	for _, c := range a.GetConflicts() {
		for _, v := range c.GetValues() {
			v.ObservedAt = nil
		}
	}
}

// Date fills in when the sources of a stored asset, which must be the caller's
// own, said what it holds, and when they were last heard of.
func (c *Catalog) Date(tx *store.Tx, a *pb.Asset) error {
	observed := make(map[store.Ref]*timestamppb.Timestamp, len(a.GetSources()))
	for _, s := range a.GetSources() {
		ref := store.Ref{Source: s.GetSource(), ID: s.GetSourceId()}
		h, err := tx.Head(ref)
		if err != nil {
			return fmt.Errorf("head of %s, a source of asset %s: %w", ref, a.GetId(), err)
		}
		at := h.GetObservedAt()
		if by := h.GetListedBy(); by != nil {
			last, err := c.lastListing(tx, by)
			if err != nil {
				return fmt.Errorf("head of %s, a source of asset %s: %w", ref, a.GetId(), err)
			}
			at = timestamppb.New(last)
		}
		observed[ref] = at
		s.LastSeen = at
		if at, ok := c.LastSeen(ref); ok {
			s.LastSeen = newer(s.LastSeen, at)
		}
		a.LastSeen = newer(a.GetLastSeen(), s.LastSeen.AsTime())
	}
	if to := a.GetAttachedTo(); to != nil {
		from := a.GetProvenance()["attached_to"]
		to.LastListedAt = observed[store.Ref{Source: from.GetSource(), ID: from.GetSourceId()}]
	}
	// What is known of the owner is stated by sources of the person.
	if err := headsOf(tx, a.GetProvenance(), observed); err != nil {
		return fmt.Errorf("sources of the owner of asset %s: %w", a.GetId(), err)
	}
	for _, p := range a.GetProvenance() {
		p.ObservedAt = observed[store.Ref{Source: p.GetSource(), ID: p.GetSourceId()}]
	}
	for _, conflict := range a.GetConflicts() {
		for _, v := range conflict.GetValues() {
			v.ObservedAt = observed[store.Ref{Source: v.GetSource(), ID: v.GetSourceId()}]
		}
	}
	return nil
}

func newer(held *timestamppb.Timestamp, at time.Time) *timestamppb.Timestamp {
	if held != nil && !at.After(held.AsTime()) {
		return held
	}
	return timestamppb.New(at)
}
