package api

import (
	"context"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/identity"
	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// Bounds of a request to erase a person.
const (
	maxEraseReason = 500
	maxAlso        = 50
	// eraseWait is how long a call waits for an erasure, which goes on without it.
	eraseWait = 20 * time.Second
)

// States of an erasure.
const (
	erasurePlanned = "planned"
	erasureRunning = "running"
	erasureDone    = "done"
)

// ErasePerson removes a person from everything that is kept.
func (s *Service) ErasePerson(ctx context.Context, r *adminpb.ErasePersonRequest) (*adminpb.Erasure, error) {
	if err := checkErasure(r); err != nil {
		return nil, err
	}
	e := catalog.Erasing{By: actor(ctx), Reason: r.GetReason(), Also: r.GetAlso()}
	err := s.Store.View(ctx, func(tx *store.Tx) (err error) {
		e.Person, err = findPerson(tx, r.GetId())
		return err
	})
	if status.Code(err) == codes.NotFound {
		if id := s.Catalog.ErasedBy(r.GetId()); id != "" && !r.GetDryRun() {
			return s.erasure(ctx, id)
		}
		// Devices may name somebody whom no directory knows.
		if !identifies(r.GetId()) {
			return nil, err
		}
		e.Also = append([]string{r.GetId()}, e.Also...)
		err = nil
	}
	if err != nil {
		return nil, s.answer("find the person", err)
	}
	if r.GetDryRun() {
		plan, assets, err := s.Catalog.PlanErasure(ctx, e)
		if err != nil {
			return nil, s.refusedErasure(r.GetId(), err)
		}
		out := erasureOut(plan)
		out.Id, out.State, out.Assets = "", erasurePlanned, assets
		return out, nil
	}
	return s.erase(ctx, r.GetId(), e)
}

// erase waits a while for an erasure. One that takes longer goes on.
func (s *Service) erase(ctx context.Context, id string, e catalog.Erasing) (*adminpb.Erasure, error) {
	type outcome struct {
		record *storagepb.ErasureRecord
		err    error
	}
	done := make(chan outcome, 1)
	go func() {
		record, err := s.Catalog.Erase(context.WithoutCancel(ctx), e)
		s.forgetAnswers()
		s.changes.Forget()
		if s.Notifications != nil {
			err = errors.Join(err, s.Notifications.Reload(context.WithoutCancel(ctx)))
		}
		done <- outcome{record, err}
	}()
	patience := time.NewTimer(eraseWait)
	defer patience.Stop()
	select {
	case o := <-done:
		if o.err != nil {
			return nil, s.refusedErasure(id, o.err)
		}
		return erasureOut(o.record), nil
	case <-patience.C:
	case <-ctx.Done():
	}
	return &adminpb.Erasure{State: erasureRunning, Reason: e.Reason, By: e.By}, nil
}

func checkErasure(r *adminpb.ErasePersonRequest) error {
	switch {
	case r.GetReason() == "" && !r.GetDryRun():
		return status.Error(codes.InvalidArgument, "reason is missing: say why, as in \"request 17\"; it is kept in the audit log, so it must not name the person")
	case len(r.GetReason()) > maxEraseReason:
		return status.Errorf(codes.InvalidArgument, "reason has %d bytes: at most %d", len(r.GetReason()), maxEraseReason)
	case len(r.GetAlso()) > maxAlso:
		return status.Errorf(codes.InvalidArgument, "also names %d names: at most %d", len(r.GetAlso()), maxAlso)
	}
	for _, name := range append([]string{r.GetId()}, r.GetAlso()...) {
		if name == "" || len(name) > maxID {
			return status.Errorf(codes.InvalidArgument, "a name has %d bytes: 1 to %d", len(name), maxID)
		}
	}
	return nil
}

// identifies tells whether a text is an address or an account.
func identifies(text string) bool {
	for _, kind := range []string{identity.Email, identity.Account} {
		if _, ok := identity.PersonKey(kind, "", text); ok {
			return true
		}
	}
	return false
}

func (s *Service) refusedErasure(id string, err error) error {
	switch {
	case errors.Is(err, catalog.ErrHeld):
		return status.Error(codes.FailedPrecondition, err.Error())
	case errors.Is(err, catalog.ErrInvalid):
		return status.Error(codes.InvalidArgument, err.Error())
	case errors.Is(err, store.ErrNotFound):
		return unknownPerson(id)
	}
	return s.answer("erase the person", err)
}

func (s *Service) erasure(ctx context.Context, id string) (*adminpb.Erasure, error) {
	var r *storagepb.ErasureRecord
	err := s.Store.View(ctx, func(tx *store.Tx) (err error) {
		r, err = tx.Erasure(id)
		return err
	})
	if err != nil {
		return nil, s.answer("read the erasure", err)
	}
	return erasureOut(r), nil
}

func erasureOut(r *storagepb.ErasureRecord) *adminpb.Erasure {
	out := &adminpb.Erasure{Id: r.GetId(), State: erasureRunning, At: r.GetAt(), By: r.GetBy(), Reason: r.GetReason(), CompletedAt: r.GetCompletedAt(),
		Counts: maps.Clone(r.GetCounts()), Kept: slices.Clone(r.GetKept()), Refused: r.GetRefused(), LastRefusedAt: r.GetLastRefusedAt()}
	if r.GetCompletedAt() != nil {
		out.State = erasureDone
	}
	for _, m := range r.GetMarks() {
		out.Marks = append(out.Marks, hex.EncodeToString(m))
	}
	return out
}

// ListErasures lists who was erased, without saying who it was.
func (s *Service) ListErasures(ctx context.Context, r *adminpb.ListErasuresRequest) (*adminpb.ListErasuresResponse, error) {
	limit, err := pageSize(r.GetPageSize(), defaultPage, maxPage)
	if err != nil {
		return nil, err
	}
	after, err := pageAfter("erasures", r.GetPageToken())
	if err != nil {
		return nil, err
	}
	out := new(adminpb.ListErasuresResponse)
	err = s.Store.View(ctx, func(tx *store.Tx) error {
		return tx.ScanErasures(after, func(e *storagepb.ErasureRecord) error {
			if len(out.Erasures) == limit {
				out.NextPageToken = nextPage("erasures", out.Erasures[limit-1].GetId())
				return store.Stop
			}
			out.Erasures = append(out.Erasures, erasureOut(e))
			return ctx.Err()
		})
	})
	if err != nil {
		return nil, s.answer("list the erasures", err)
	}
	return out, nil
}

// DeleteErasure takes a person in again who was erased, once somebody states them.
func (s *Service) DeleteErasure(ctx context.Context, r *adminpb.DeleteErasureRequest) (*adminpb.DeleteErasureResponse, error) {
	err := s.Catalog.DeleteErasure(ctx, actor(ctx), r.GetId())
	switch {
	case errors.Is(err, store.ErrNotFound) || len(r.GetId()) > maxID:
		return nil, status.Errorf(codes.NotFound, "there is no erasure %.100q: list them with GET /v1/erasures", r.GetId())
	case errors.Is(err, catalog.ErrInvalid):
		return nil, status.Error(codes.FailedPrecondition, err.Error())
	case err != nil:
		return nil, s.answer("delete the erasure", err)
	}
	return new(adminpb.DeleteErasureResponse), nil
}
