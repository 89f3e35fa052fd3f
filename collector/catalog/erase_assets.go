package catalog

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/collector/history"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// mendAsset takes the person out of the records of an asset and out of its
// history, and makes it anew. All its past states are then what they were without
// the person.
func (e *eraser) mendAsset(ctx context.Context, id, what string) error {
	if e.done[id] {
		return nil
	}
	e.done[id] = true
	for more, events := true, 0; more; {
		err := e.catalog.store.Update(ctx, func(tx *store.Tx) (err error) {
			events, more, err = e.mendEvents(tx, id)
			return err
		})
		if err := e.count("events", events > 0, err); err != nil {
			return err
		}
	}
	changed := false
	_, err := e.catalog.update(ctx, store.Ref{}, func(f *filing) (err error) {
		f.because, f.redact = becauseErased, e.from
		changed, err = e.mendMembers(f, id)
		return err
	})
	return e.count(what, changed, err)
}

func (e *eraser) mendMembers(f *filing, id string) (bool, error) {
	before, err := f.tx.Asset(id)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	before = proto.CloneOf(before)
	refs, _, err := f.refs(id)
	if err != nil {
		return false, err
	}
	var moved []store.Ref
	for _, ref := range refs {
		p, err := f.load(ref)
		if err != nil {
			return false, err
		}
		f.ref = ref
		if e.from.Within(ref.ID) {
			if err := f.withdraw(p); err != nil {
				return false, err
			}
			continue
		}
		now := proto.CloneOf(p.o)
		if !e.from.Message(now) {
			continue
		}
		if ref.Source == Operator && proto.Size(now.GetDevice()) == 0 {
			if err := f.retract(); err != nil {
				return false, err
			}
			continue
		}
		if err := e.restate(f, p, now); err != nil {
			return false, err
		}
		moved = append(moved, ref)
	}
	f.ref = store.Ref{}
	if len(moved) > 0 {
		err = f.regroup(moved...)
	} else if _, gone := f.tx.Asset(id); gone == nil {
		err = f.remerge(id)
	}
	if err != nil {
		return false, err
	}
	now, err := f.tx.Asset(id)
	if errors.Is(err, store.ErrNotFound) {
		return true, nil
	}
	return err == nil && !proto.Equal(before, now), err
}

// restate stores what is left of a record.
func (e *eraser) restate(f *filing, p part, now *pb.Observation) error {
	claim, err := f.claimOf(now, p.head)
	if err != nil {
		return err
	}
	if err := f.claim(p.claim, claim); err != nil {
		return err
	}
	head := proto.CloneOf(p.head)
	head.Problems = now.GetProblems()
	return errors.Join(f.tx.PutContent(now), f.tx.PutHead(p.ref, head))
}

// mendEvents rewrites the history of an asset: each event becomes the difference
// of the two states around it, each without the person. Where that takes several
// transactions, the earliest events come first, since the later ones are needed to
// read the states before them.
func (e *eraser) mendEvents(tx *store.Tx, id string) (int, bool, error) {
	state, err := tx.Asset(id)
	if errors.Is(err, store.ErrNotFound) {
		state = &pb.Asset{Id: id}
	} else if err != nil {
		return 0, false, err
	}
	return tx.RewriteEvents(id, func(event *storagepb.EventRecord) (bool, error) {
		after := proto.CloneOf(state)
		b, err := proto.Marshal(event)
		if err != nil {
			return false, fmt.Errorf("encode an event: %w", err)
		}
		p := history.NewPast(state)
		if err := p.Undo(b); err != nil {
			return false, err
		}
		before := proto.CloneOf(p.Asset())
		named := e.from.Message(event)
		if len(event.GetChanges()) == 0 {
			return named, nil
		}
		// Both, whatever the first says.
		a, z := e.from.Message(before), e.from.Message(after)
		if !a && !z {
			return named, nil
		}
		if event.GetKind() == United || event.GetKind() == Withdrawn {
			after = nil
		}
		changes, err := history.Diff(before, after)
		if err != nil {
			return false, err
		}
		same := proto.Equal(&storagepb.EventRecord{Changes: changes}, &storagepb.EventRecord{Changes: event.GetChanges()})
		if event.Changes = changes; len(changes) == 0 {
			event.Because = becauseErased
		}
		return named || !same, nil
	})
}
