package api

import (
	"context"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/merge"
	"github.com/rollcall-itam/rollcall/collector/store"
	"github.com/rollcall-itam/rollcall/collector/view"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Bounds of page_size.
const (
	defaultPage = 50
	maxPage     = 1000
)

var errOfThePresent = status.Error(codes.InvalidArgument, "filter, search, order_by and view are of the present: leave them out, or as_of")

// ListAssets answers with assets in the order of their ids, or with those that
// a filter or a search finds, in the order that is asked for.
func (s *Service) ListAssets(ctx context.Context, r *adminpb.ListAssetsRequest) (*adminpb.ListAssetsResponse, error) {
	limit, err := pageSize(r.GetPageSize(), defaultPage, maxPage)
	if err != nil {
		return nil, err
	}
	if r.GetAsOf() != nil && r.GetView() != "" {
		return nil, errOfThePresent
	}
	q := question{filter: r.GetFilter(), search: r.GetSearch(), orderBy: r.GetOrderBy(), fields: r.GetFields()}
	if err := s.under(ctx, r.GetView(), &q); err != nil {
		return nil, err
	}
	f := s.fleet(ctx)
	if q.filter != "" || q.search != "" || q.orderBy != "" || f.scope != nil && r.GetAsOf() == nil {
		if r.GetAsOf() != nil {
			return nil, errOfThePresent
		}
		return s.findAssets(ctx, assetQuery{list: "assets", token: r.GetPageToken(), fields: q.fields,
			Query: view.Query{Filter: q.filter, Search: q.search, OrderBy: q.orderBy, Limit: limit}})
	}
	list := listOfAssets(r.GetAsOf())
	after, err := pageAfter(list, r.GetPageToken())
	if err != nil {
		return nil, err
	}
	want, err := parseMask(q.fields, (*pb.Asset)(nil).ProtoReflect().Descriptor())
	if err != nil {
		return nil, err
	}
	if r.GetAsOf() != nil {
		return s.listAsOf(ctx, r, limit, after, want)
	}
	out := &adminpb.ListAssetsResponse{TotalSize: int32(f.Len())}
	last, bytes := "", 0
	err = s.Store.View(ctx, func(tx *store.Tx) error {
		return f.each(tx, after, func(a *pb.Asset) error {
			if len(out.Assets) == limit || bytes > maxPageBytes {
				out.NextPageToken = nextPage(list, last)
				return store.Stop
			}
			last = a.GetId()
			if err := s.present(tx, a, want); err != nil {
				return err
			}
			bytes += proto.Size(a)
			out.Assets = append(out.Assets, a)
			return ctx.Err()
		})
	})
	if err != nil {
		return nil, s.answer("list the assets", err)
	}
	return out, nil
}

// listOfAssets names the list that page tokens belong to, nil being now.
func listOfAssets(asOf *timestamppb.Timestamp) string {
	if asOf == nil {
		return "assets"
	}
	return fmt.Sprint("assets as of ", asOf.AsTime().UnixNano())
}

// GetAsset answers with one asset, also under an id that it had before.
func (s *Service) GetAsset(ctx context.Context, r *adminpb.GetAssetRequest) (*pb.Asset, error) {
	want, err := parseMask(r.GetFields(), (*pb.Asset)(nil).ProtoReflect().Descriptor())
	if err != nil {
		return nil, err
	}
	var a *pb.Asset
	err = s.Store.View(ctx, func(tx *store.Tx) (err error) {
		if r.GetAsOf() != nil {
			if a, err = s.fleet(ctx).asOf(tx, r.GetId(), r.GetAsOf()); err == nil {
				show(a, want)
			}
			return err
		}
		if a, err = s.fleet(ctx).resolve(tx, r.GetId()); err != nil {
			return err
		}
		if err := s.attach(ctx, tx, a, want); err != nil {
			return err
		}
		return s.present(tx, a, want)
	})
	if err != nil {
		return nil, s.answer("read the asset", err)
	}
	return a, nil
}

// maxID bounds an id, so that a longer one is not looked up.
const maxID = 256

func unknownAsset(id string) error {
	return status.Errorf(codes.NotFound, "there is no asset %.100q: list the ids with GET /v1/assets?fields=id,name", id)
}

// present makes a stored asset, which must be the caller's own, what users see
// of it.
func (s *Service) present(tx *store.Tx, a *pb.Asset, want *mask) error {
	if err := s.Catalog.Date(tx, a); err != nil {
		return err
	}
	s.countFindings(a)
	show(a, want)
	return nil
}

// show leaves of an asset what is wanted.
func show(a *pb.Asset, want *mask) {
	if want.wants("provenance") {
		merge.Expand(a)
	}
	want.apply(a.ProtoReflect())
}

// GetAssetSourceStates tells how complete the last statement of each source
// of an asset was.
func (s *Service) GetAssetSourceStates(ctx context.Context, r *adminpb.GetAssetSourceStatesRequest) (*adminpb.GetAssetSourceStatesResponse, error) {
	out := new(adminpb.GetAssetSourceStatesResponse)
	err := s.Store.View(ctx, func(tx *store.Tx) error {
		a, err := s.fleet(ctx).resolve(tx, r.GetId())
		if err != nil {
			return err
		}
		for _, src := range a.GetSources() {
			o, err := tx.Observation(store.Ref{Source: src.GetSource(), ID: src.GetSourceId()})
			if err != nil {
				return err
			}
			out.Sources = append(out.Sources, sourceState(o))
		}
		return nil
	})
	if err != nil {
		return nil, s.answer("read what the sources said", err)
	}
	return out, nil
}

func sourceState(o *pb.Observation) *adminpb.SourceState {
	out := &adminpb.SourceState{Source: o.GetSource(), SourceId: o.GetSourceId(), ObservedAt: o.GetObservedAt()}
	for _, x := range o.GetSections() {
		out.Sections = append(out.Sections, &adminpb.SourceSection{Name: x.GetName(), State: x.GetState(), Reason: x.GetReason()})
	}
	for _, p := range o.GetProblems() {
		out.Problems = append(out.Problems, &adminpb.SourceProblem{Section: p.GetSection(), Fact: p.GetFact(), Error: p.GetError()})
	}
	return out
}
