package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/history"
	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// toldOf returns what changed of a person that is worth telling. Unlike of an
// asset nothing else is kept: past states of people are not read, and what is not
// kept need not be erased.
func (f *filing) toldOf(before, now *adminpb.Person) ([]*storagepb.FieldChange, error) {
	if f.redact != nil {
		before, now = proto.CloneOf(before), proto.CloneOf(now)
		f.redact.Message(before)
		f.redact.Message(now)
	}
	changes, err := history.Diff(before, now)
	return slices.DeleteFunc(changes, func(c *storagepb.FieldChange) bool { return history.Bookkeeping(c.GetField()) }), err
}

// personHappened notes an event of a person; p is nil where the person is no more.
// A change of nothing that is told is not kept.
func (f *filing) personHappened(id string, p *adminpb.Person, e *storagepb.EventRecord) error {
	if f.quiet {
		return nil
	}
	e.At, e.Source, e.SourceId = timestamppb.New(f.catalog.now()), f.cause.Source, f.cause.ID
	change := PersonChange{Sequence: f.catalog.sequence.Add(1), PersonID: id, Kind: e.GetKind(), Person: p}
	f.people = append(f.people, change)
	err := f.tx.AppendChange(change.Sequence, &storagepb.ChangeRecord{At: e.GetAt(), PersonId: id, Kind: e.GetKind(), Source: e.GetSource(), SourceId: e.GetSourceId()})
	if err != nil || e.GetKind() == Changed && len(e.GetChanges()) == 0 {
		return err
	}
	return f.tx.AppendPersonEvent(id, change.Sequence, e)
}

// PersonEvents returns what happened to a person with this very id, the latest
// first, and whether there is more.
func (c *Catalog) PersonEvents(tx *store.Tx, id string, q Query) (events []Event, more bool, err error) {
	all, err := recorded(tx.ScanPersonEvents, id, q)
	if err != nil {
		return nil, false, err
	}
	events, more = q.page(all)
	return events, more, nil
}

// mendPersonEvents takes the erased person out of the history of another, or
// removes the history of somebody who is no more and bore the person's name: an
// account that was removed before its owner was erased.
func (e *eraser) mendPersonEvents(ctx context.Context, id string) error {
	for more := true; more; {
		events := 0
		err := e.catalog.store.Update(ctx, func(tx *store.Tx) (err error) {
			if _, err := tx.ResolvePerson(id); errors.Is(err, store.ErrNotFound) {
				events, err = tx.DeletePersonEvents(id, pruneBatch)
				more = events == pruneBatch
				return err
			}
			events, more, err = tx.RewritePersonEvents(id, e.mendPersonEvent)
			return err
		})
		if err := e.count("events of people", events > 0, err); err != nil {
			return err
		}
	}
	return nil
}

// mendPersonEvent takes the erased person out of an event, and tells whether they
// were in it.
func (e *eraser) mendPersonEvent(event *storagepb.EventRecord) (bool, error) {
	named := e.from.Message(event)
	for _, c := range event.GetChanges() {
		for _, side := range []*[]byte{&c.Old, &c.New} {
			p := new(adminpb.Person)
			if err := proto.Unmarshal(*side, p); err != nil {
				return false, fmt.Errorf("read what %s was: %w", c.GetField(), err)
			}
			if !e.from.Message(p) {
				continue
			}
			named = true
			var err error
			if *side, err = (proto.MarshalOptions{Deterministic: true}).Marshal(p); err != nil {
				return false, fmt.Errorf("encode what %s was: %w", c.GetField(), err)
			}
		}
	}
	event.Changes = slices.DeleteFunc(event.Changes, func(c *storagepb.FieldChange) bool { return slices.Equal(c.GetOld(), c.GetNew()) })
	if named && len(event.GetChanges()) == 0 && event.GetKind() == Changed {
		event.Because = becauseErased
	}
	return named, nil
}

// forgetPerson removes the history of the erased person, under all the ids that
// the person had.
func (f *filing) forgetPerson(ids ...string) error {
	for _, id := range ids {
		for n := pruneBatch; n == pruneBatch; {
			var err error
			if n, err = f.tx.DeletePersonEvents(id, pruneBatch); err != nil {
				return err
			}
		}
	}
	return nil
}
