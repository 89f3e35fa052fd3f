package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// Placement is the asset that an observation would join.
type Placement struct {
	// Asset is nil where the observation would be an asset of its own. It must not
	// be modified.
	Asset *pb.Asset
	// Reasons say why, a line each.
	Reasons []string
}

// Place tells which asset an observation would join if it were accepted, and
// stores nothing. source declares its source, where that is not done yet.
func (c *Catalog) Place(ctx context.Context, o *pb.Observation, source *storagepb.SourceRecord) (p Placement, err error) {
	if err := Check(o); err != nil {
		return p, err
	}
	ref := store.Ref{Source: o.GetSource(), ID: o.GetSourceId()}
	err = c.store.View(ctx, func(tx *store.Tx) error {
		p, err = newFiling(c, tx, ref).placement(o, source)
		return err
	})
	if err != nil {
		return p, fmt.Errorf("place %s: %w", ref, err)
	}
	return p, nil
}

func (f *filing) placement(o *pb.Observation, source *storagepb.SourceRecord) (Placement, error) {
	var p Placement
	declared, err := f.source(f.ref.Source)
	if errors.Is(err, ErrUndeclared) && source != nil {
		declared, err = source, nil
	}
	if err != nil {
		return p, err
	}
	self := part{ref: f.ref, o: o, head: &storagepb.HeadRecord{FirstObserved: o.GetObservedAt(), LastObserved: o.GetObservedAt()}}
	if self.head.GetFirstObserved() == nil {
		self.head.FirstObserved = timestamppb.New(f.catalog.now())
		self.head.LastObserved = self.head.FirstObserved
	}
	held, err := f.tx.Member(f.ref)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return p, err
	}
	if err == nil {
		self.member = held
		if head, err := f.tx.Head(f.ref); err == nil {
			self.head.FirstObserved = head.GetFirstObserved()
		}
	}
	self.claim = claimUnder(o, self.head, declared)
	c := newComponent(f)
	c.add(self)
	if err := c.complete(); err != nil {
		return p, err
	}
	if held != nil {
		p.Reasons = append(p.Reasons, "it was stated before, under the same id")
	}
	return p, f.settle(c, &p)
}

// settle finds the group that the observation is in, and its asset.
func (f *filing) settle(c *component, p *Placement) error {
	res := c.resolve()
	mine := func(r store.Ref) bool { return r == f.ref }
	for _, t := range res.Ties {
		for _, r := range t.Records {
			if mine(store.Ref(r)) {
				p.Reasons = append(p.Reasons, t.Because())
				break
			}
		}
	}
	groups := c.groups()
	ids, err := assetsOf(groups)
	if err != nil {
		return err
	}
	for g, group := range groups {
		if !slices.ContainsFunc(group, func(q part) bool { return mine(q.ref) }) {
			continue
		}
		a, err := f.tx.Asset(ids[g])
		if errors.Is(err, store.ErrNotFound) {
			// The id is one that was just made.
			return nil
		}
		p.Asset = a
		return err
	}
	return nil
}
