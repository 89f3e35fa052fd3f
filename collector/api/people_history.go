package api

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/history"
	"github.com/rollcall-itam/rollcall/collector/store"
	"github.com/rollcall-itam/rollcall/collector/watch"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

// GetPersonHistory tells what happened to the record of a person, the latest first.
func (s *Service) GetPersonHistory(ctx context.Context, r *adminpb.GetPersonHistoryRequest) (*adminpb.GetPersonHistoryResponse, error) {
	q, list, err := historyQuery("history of person "+r.GetId(), r)
	if err != nil {
		return nil, err
	}
	out, f := new(adminpb.GetPersonHistoryResponse), s.fleet(ctx)
	err = s.Store.View(ctx, func(tx *store.Tx) error {
		id, err := f.personWithHistory(tx, r.GetId())
		if err != nil {
			return err
		}
		events, more, err := s.Catalog.PersonEvents(tx, id, q)
		if err != nil {
			return err
		}
		if more {
			out.NextPageToken = nextPage(list, events[len(events)-1].Key)
		}
		for _, e := range events {
			told, err := tellOfPerson(e)
			if err != nil {
				return err
			}
			out.Events = append(out.Events, told)
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, s.answer("read the history of the person", err)
	}
	return out, nil
}

// personWithHistory returns the id under which the events of somebody stand: of
// one who was united with another, or whom nobody states any more, that very id.
// Those may be seen by who sees all people alone, since nothing is left that says
// whose part of the fleet they were in.
func (f fleet) personWithHistory(tx *store.Tx, id string) (string, error) {
	p, err := f.person(tx, id)
	_, notID := uuid.Parse(id)
	if notID != nil || err == nil && (p.GetId() == id || f.scope != nil) {
		return p.GetId(), err
	}
	if err != nil && (status.Code(err) != codes.NotFound || f.scope != nil) {
		return "", err
	}
	found := false
	scanned := tx.ScanPersonEvents(id, time.Time{}, func(time.Time, []byte) error {
		found = true
		return store.Stop
	})
	if scanned != nil || !found {
		return p.GetId(), errors.Join(scanned, err)
	}
	return id, nil
}

// tellOfPerson makes an event what users see of it.
func tellOfPerson(e catalog.Event) (*adminpb.PersonEvent, error) {
	r := e.Record
	out := &adminpb.PersonEvent{At: timestamppb.New(e.At), Kind: watch.KindOf(r), Source: r.GetSource(), SourceId: r.GetSourceId(), Into: r.GetInto(), From: r.GetFrom(), Because: r.GetBecause()}
	for _, c := range r.GetChanges() {
		told := &adminpb.PersonChange{Field: c.GetField()}
		var err error
		if told.Old, err = history.PersonValue(c.GetField(), c.GetOld()); err != nil {
			return nil, err
		}
		if told.New, err = history.PersonValue(c.GetField(), c.GetNew()); err != nil {
			return nil, err
		}
		out.Changes = append(out.Changes, told)
	}
	return out, nil
}
