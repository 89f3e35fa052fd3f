package api

import (
	"context"
	"errors"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// kinds are the kinds of sources, and whether one of them lists a live device
// once where nobody says otherwise.
var kinds = map[string]bool{"agent": true, "mdm": true, "idp": false, "edr": true, "purchasing": true, "warranty": true, "cloud": true,
	"saas": false, "file": false, "operator": false}

// reserved are the sources that state things by themselves.
var reserved = []string{"agent", catalog.Operator, catalog.Parts}

// PutSource declares who may hand in observations.
func (s *Service) PutSource(ctx context.Context, r *adminpb.PutSourceRequest) (*adminpb.Source, error) {
	unique, known := kinds[r.GetKind()]
	switch {
	case !known:
		names := make([]string, 0, len(kinds))
		for k := range kinds {
			names = append(names, k)
		}
		slices.Sort(names)
		return nil, status.Errorf(codes.InvalidArgument, "kind %.50q is none of: %s", r.GetKind(), strings.Join(names, ", "))
	case slices.Contains(reserved, r.GetId()):
		return nil, status.Errorf(codes.InvalidArgument, "source %q is the collector's own: choose another id", r.GetId())
	case len(r.GetId()) > 64 || len(r.GetTitle()) > 200 || strings.ContainsAny(r.GetId(), "/\\ \t\n") || r.GetId() == "":
		return nil, status.Error(codes.InvalidArgument, "the id of a source has 1 to 64 characters without spaces and slashes, its title at most 200")
	}
	if r.Unique != nil {
		unique = r.GetUnique()
	}
	rec := &storagepb.SourceRecord{Id: r.GetId(), Kind: r.GetKind(), Unique: unique, Title: r.GetTitle()}
	if err := s.Catalog.DeclareSource(ctx, rec); err != nil {
		return nil, s.answer("declare the source", err)
	}
	return sourceOf(rec), nil
}

func sourceOf(r *storagepb.SourceRecord) *adminpb.Source {
	unique := r.GetUnique()
	return &adminpb.Source{Id: r.GetId(), Kind: r.GetKind(), Unique: &unique, Title: r.GetTitle()}
}

// ListSources lists who states things, how many, and when last.
func (s *Service) ListSources(ctx context.Context, _ *adminpb.ListSourcesRequest) (*adminpb.ListSourcesResponse, error) {
	out := new(adminpb.ListSourcesResponse)
	err := s.Store.View(ctx, func(tx *store.Tx) error {
		err := tx.ScanSources(func(r *storagepb.SourceRecord) error {
			out.Sources = append(out.Sources, sourceOf(r))
			return nil
		})
		if err != nil {
			return err
		}
		for _, src := range out.Sources {
			err := tx.ScanHeads(src.GetId(), func(_ store.Ref, h *storagepb.HeadRecord) error {
				src.Observations++
				if at := h.GetObservedAt(); src.LastStatement == nil || at.AsTime().After(src.LastStatement.AsTime()) {
					src.LastStatement = at
				}
				return ctx.Err()
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, s.answer("list the sources", err)
	}
	return out, nil
}

// DeleteObservation withdraws what a source said about one thing.
func (s *Service) DeleteObservation(ctx context.Context, r *adminpb.DeleteObservationRequest) (*adminpb.DeleteObservationResponse, error) {
	ref := store.Ref{Source: r.GetSource(), ID: r.GetSourceId()}
	if err := ref.Check(); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	if ref.Source == catalog.Operator {
		return nil, status.Error(codes.InvalidArgument, "what operators say is taken back with clear in POST /v1/assets/{id}:assert")
	}
	if ref.Source == catalog.Parts {
		return nil, status.Error(codes.InvalidArgument, "it follows what a machine lists, and is withdrawn with the machine's own record")
	}
	err := store.ErrNotFound
	if s.fleet(ctx).record(ref) {
		err = s.Catalog.Withdraw(ctx, ref)
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil, status.Errorf(codes.NotFound, "nothing is held of %.200q", ref.String())
	}
	if err != nil {
		return nil, s.answer("withdraw the observation", err)
	}
	return new(adminpb.DeleteObservationResponse), nil
}
