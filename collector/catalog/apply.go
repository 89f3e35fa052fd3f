package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/collector/identity"
	"github.com/rollcall-itam/rollcall/collector/store"
	"github.com/rollcall-itam/rollcall/pkg/section"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// ErrUndeclared is returned for an observation of a source that was never
// declared.
var ErrUndeclared = errors.New("the source is not declared")

// Accept files one observation with the software it states, in place of what
// its source said before about the same thing, and returns the asset that it
// is about. An error that wraps ErrInvalid tells what is wrong with it.
func (c *Catalog) Accept(ctx context.Context, o *pb.Observation) (string, error) {
	if err := Check(o); err != nil {
		return "", err
	}
	var software SoftwareChange
	if rows := o.GetDevice().GetSoftware(); len(rows) > 0 {
		encoded, err := section.Encode(o.GetDevice(), section.Software)
		if err != nil {
			return "", err
		}
		if software.Added, err = c.store.ParseRows(encoded, section.FieldDeviceSoftware); err != nil {
			return "", fmt.Errorf("%w: software: %w", ErrInvalid, err)
		}
		if err := c.store.PrepareTitles(ctx, software.Added); err != nil {
			return "", err
		}
		software.Replace = true
		bare := proto.CloneOf(o)
		bare.GetDevice().Software = nil
		o = bare
	}
	return c.Apply(ctx, store.Ref{Source: o.GetSource(), ID: o.GetSourceId()},
		func(*Held) (*Statement, error) { return &Statement{Observation: o, Software: software}, nil })
}

// Apply runs fn in the one transaction of an accepted observation: fn sees
// what is held under ref and returns what is to be held from now on. fn may run
// more than once and runs on the store's only writer, so whatever can be done
// before belongs before. Apply returns the asset that the observation is about.
func (c *Catalog) Apply(ctx context.Context, ref store.Ref, fn func(*Held) (*Statement, error)) (string, error) {
	if err := ref.Check(); err != nil {
		return "", fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	var f *filing
	err := c.store.Update(ctx, func(tx *store.Tx) error {
		held := &Held{tx: tx, ref: ref}
		var err error
		if held.Head, err = tx.Head(ref); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		s, err := fn(held)
		if err != nil {
			return err
		}
		f = newFiling(c, tx, ref)
		return f.file(held, s)
	})
	if err != nil {
		return "", fmt.Errorf("file observation %s: %w", ref, err)
	}
	for _, change := range f.changes {
		for _, notify := range c.onChange {
			notify(change)
		}
	}
	c.Seen(ref, f.observed)
	return f.asset, nil
}

// file stores the statement and brings the assets it touches up to date.
func (f *filing) file(held *Held, s *Statement) error {
	o := s.Observation
	if o.GetSource() != f.ref.Source || o.GetSourceId() != f.ref.ID {
		return fmt.Errorf("%w: the observation names itself %s/%s", ErrInvalid, o.GetSource(), o.GetSourceId())
	}
	if _, err := f.kind(f.ref.Source); err != nil {
		return err
	}
	same, err := f.software(s.Software)
	if err != nil {
		return err
	}
	if err := f.tx.PutHead(f.ref, &pb.HeadRecord{ObservedAt: o.GetObservedAt(), Problems: o.GetProblems(), Sections: o.GetSections(), Baseline: s.Baseline}); err != nil {
		return err
	}
	f.observed = o.GetObservedAt().AsTime()
	member, err := f.tx.Member(f.ref)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if s.SameContent && same && member != nil && !member.GetShared() {
		// Nothing of the asset changes but when it was confirmed, which is not
		// stored with it.
		f.asset = member.GetAssetId()
		return nil
	}
	before, err := held.Observation()
	if err != nil {
		return err
	}
	if s.SameContent {
		if before == nil {
			return fmt.Errorf("%w: it repeats content of %s that is not held", ErrInvalid, f.ref)
		}
		return f.place(before, before, member)
	}
	if err := f.tx.PutContent(o); err != nil {
		return err
	}
	return f.place(before, o, member)
}

// place brings the assets up to date that an observation was and is part of.
func (f *filing) place(before, o *pb.Observation, member *pb.MemberRecord) error {
	keys, _ := identity.Keys(o)
	var held []identity.Key
	if before != nil {
		held, _ = identity.Keys(before)
	}
	if member != nil && slices.Equal(keys, held) {
		// The same identifiers as before: the grouping cannot have changed.
		f.asset = member.GetAssetId()
		if !member.GetShared() {
			return f.put(f.asset, nil, []part{{ref: f.ref, o: o, member: member}})
		}
		return f.refresh(f.asset, o)
	}
	if err := f.claim(held, keys); err != nil {
		return err
	}
	return f.regroup(o, member, keys)
}

// software brings the software rows up to date, and tells whether there are as
// many as before.
func (f *filing) software(s SoftwareChange) (same bool, err error) {
	before := -1
	switch {
	case s.Replace:
		f.rows = len(s.Added)
		return false, f.tx.ReplaceSoftware(f.ref, s.Added)
	case len(s.Removed)+len(s.Added) > 0:
		before, f.rows, err = f.tx.ChangeSoftware(f.ref, s.Removed, s.Added)
		return before == f.rows, err
	}
	f.rows, err = f.countRows(f.ref)
	return true, err
}

// countRows returns how many software rows an observation states, -1 for none.
func (f *filing) countRows(ref store.Ref) (int, error) {
	rows, err := f.tx.SoftwareCount(ref)
	if errors.Is(err, store.ErrNotFound) {
		return -1, nil
	}
	return rows, err
}

// claim brings the identifier index up to date.
func (f *filing) claim(before, now []identity.Key) error {
	for _, k := range before {
		if !slices.Contains(now, k) {
			if err := f.tx.Unclaim(k.Identifier(), f.ref); err != nil {
				return err
			}
		}
	}
	for _, k := range now {
		if !slices.Contains(before, k) {
			if err := f.tx.Claim(k.Identifier(), f.ref); err != nil {
				return err
			}
		}
	}
	return nil
}
