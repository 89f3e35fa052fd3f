package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/merge"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// Operator is the source of what operators say.
const Operator = "operator"

// DeclareOperator makes the operators' source known.
func (c *Catalog) DeclareOperator(ctx context.Context) error {
	return c.DeclareSource(ctx, &storagepb.SourceRecord{Id: Operator, Kind: merge.KindOperator, Title: "What operators say"})
}

// Assert lets an operator state fields of an asset. change gets what operators
// say of it so far, as its own copy, and modifies it; once it says nothing any
// more it is withdrawn. Assert returns the asset's id. The error wraps
// store.ErrNotFound for an asset that is not there.
func (c *Catalog) Assert(ctx context.Context, by, assetID string, change func(*pb.Device) error) (string, error) {
	f, err := c.update(ctx, store.Ref{}, func(f *filing) error {
		f.cause = store.Ref{Source: Operator, ID: by}
		a, err := f.tx.ResolveAsset(assetID)
		if err != nil {
			return err
		}
		f.asset = a.GetId()
		return f.assert(by, a, change)
	})
	if err != nil {
		return "", fmt.Errorf("assert fields of asset %s: %w", assetID, err)
	}
	return f.asset, nil
}

func (f *filing) assert(by string, a *pb.Asset, change func(*pb.Device) error) error {
	held := &Held{tx: f.tx}
	i := slices.IndexFunc(a.GetSources(), func(s *pb.AssetSource) bool { return s.GetSource() == Operator })
	if i >= 0 {
		held.ref = store.Ref{Source: Operator, ID: a.GetSources()[i].GetSourceId()}
		var err error
		if held.Head, err = f.tx.Head(held.ref); err != nil {
			return err
		}
	} else {
		id, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("name what an operator says: %w", err)
		}
		held.ref = store.Ref{Source: Operator, ID: id.String()}
	}
	before, err := held.Observation()
	if err != nil {
		return err
	}
	device := new(pb.Device)
	if d := before.GetDevice(); d != nil {
		device = proto.CloneOf(d)
	}
	if err := change(device); err != nil {
		return err
	}
	f.ref = held.ref
	o := &pb.Observation{Source: held.ref.Source, SourceId: held.ref.ID, ObservedAt: timestamppb.New(f.catalog.now()), Subject: &pb.Observation_Device{Device: device}}
	switch {
	case proto.Size(device) == 0 && before == nil:
		return nil
	case proto.Size(device) == 0:
		return f.retract()
	case before == nil:
		if err := f.anchor(by, a); err != nil {
			return err
		}
	}
	if err := Check(o); err != nil {
		return err
	}
	return f.file(held, &Statement{Observation: o})
}

// anchor ties what an operator says of an asset to the oldest record of it.
func (f *filing) anchor(by string, a *pb.Asset) error {
	to, err := f.oldest(a)
	if err != nil {
		return err
	}
	return f.say(&storagepb.StatementRecord{By: by, Same: true, Anchor: true, SubjectSource: f.ref.Source, SubjectId: f.ref.ID, OtherSource: to.Source, OtherId: to.ID})
}

// oldest returns the first record of an asset that is no operator's.
func (f *filing) oldest(a *pb.Asset) (store.Ref, error) {
	var parts []part
	for _, s := range a.GetSources() {
		if s.GetSource() == Operator {
			continue
		}
		p, err := f.load(store.Ref{Source: s.GetSource(), ID: s.GetSourceId()})
		if err != nil {
			return store.Ref{}, err
		}
		parts = append(parts, p)
	}
	if len(parts) == 0 {
		return store.Ref{}, fmt.Errorf("asset %s is only what an operator says of it: %w", a.GetId(), store.ErrNotFound)
	}
	return slices.MinFunc(parts, compareParts).ref, nil
}

// say stores a statement with an id and a time.
func (f *filing) say(s *storagepb.StatementRecord) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("make a statement id: %w", err)
	}
	s.Id, s.At = id.String(), timestamppb.New(f.catalog.now())
	return f.tx.PutStatement(s)
}

// retract withdraws what operators say of an asset.
func (f *filing) retract() error {
	p, err := f.load(f.ref)
	if err != nil {
		return err
	}
	said, err := f.tx.StatementsOf(f.ref)
	if err != nil {
		return err
	}
	for _, s := range said {
		if s.GetAnchor() {
			if err := f.tx.DeleteStatement(s); err != nil {
				return err
			}
		}
	}
	return f.withdraw(p)
}

// anchorElsewhere ties what operators say of an asset to another of its records
// when the one that it was tied to is withdrawn.
func (f *filing) anchorElsewhere(p part) error {
	said, err := f.tx.StatementsOf(p.ref)
	if err != nil {
		return err
	}
	for _, s := range said {
		if !s.GetAnchor() || s.GetOtherSource() != p.ref.Source || s.GetOtherId() != p.ref.ID {
			continue
		}
		if err := f.tx.DeleteStatement(s); err != nil {
			return err
		}
		a, err := f.tx.Asset(p.member.GetAssetId())
		if err != nil {
			return err
		}
		a.Sources = slices.DeleteFunc(a.Sources, func(x *pb.AssetSource) bool {
			return x.GetSource() == p.ref.Source && x.GetSourceId() == p.ref.ID
		})
		to, err := f.oldest(a)
		if errors.Is(err, store.ErrNotFound) {
			continue // the operator's word is all that is left
		}
		if err != nil {
			return err
		}
		s = proto.CloneOf(s)
		s.OtherSource, s.OtherId = to.Source, to.ID
		if err := f.tx.PutStatement(s); err != nil {
			return err
		}
	}
	return nil
}

// Say lets an operator state that two records are the same thing, or are not;
// of a pair that is not the same, it is other that must do without what they
// share. The error wraps store.ErrNotFound where one of them is not held.
func (c *Catalog) Say(ctx context.Context, by string, same bool, subject, other store.Ref) (*storagepb.StatementRecord, error) {
	if subject == other {
		return nil, fmt.Errorf("%w: %s is compared with itself", ErrInvalid, subject)
	}
	s := &storagepb.StatementRecord{By: by, Same: same, SubjectSource: subject.Source, SubjectId: subject.ID, OtherSource: other.Source, OtherId: other.ID}
	_, err := c.update(ctx, store.Ref{}, func(f *filing) error {
		f.cause = store.Ref{Source: Operator, ID: by}
		for _, ref := range []store.Ref{subject, other} {
			if _, err := f.tx.Member(ref); err != nil {
				return fmt.Errorf("record %s of a thing: %w", ref, err)
			}
		}
		if err := f.say(s); err != nil {
			return err
		}
		return f.regroup(subject, other)
	})
	if err != nil {
		return nil, fmt.Errorf("file an operator's statement: %w", err)
	}
	return s, nil
}

// Unsay takes an operator's statement back. The error wraps store.ErrNotFound
// for one that is not there.
func (c *Catalog) Unsay(ctx context.Context, by, id string) error {
	_, err := c.update(ctx, store.Ref{}, func(f *filing) error {
		f.cause = store.Ref{Source: Operator, ID: by}
		s, err := f.tx.Statement(id)
		if err != nil {
			return err
		}
		if s.GetAnchor() {
			return fmt.Errorf("%w: it ties fields that an operator stated to their asset, and ends with those", ErrInvalid)
		}
		people, err := f.speaksOfPeople(s)
		if err != nil {
			return err
		}
		if err := f.tx.DeleteStatement(s); err != nil {
			return err
		}
		if people {
			return f.regroupPeople(subjectOf(s), otherOf(s))
		}
		return f.regroup(subjectOf(s), otherOf(s))
	})
	if err != nil {
		return fmt.Errorf("take back statement %s: %w", id, err)
	}
	return nil
}

// regroup decides anew on the assets of records and of all that bears on them.
func (f *filing) regroup(refs ...store.Ref) error {
	c := newComponent(f)
	for _, ref := range refs {
		if err := c.visit(ref); err != nil {
			return err
		}
	}
	if err := c.complete(); err != nil {
		return err
	}
	return f.assign(c)
}
