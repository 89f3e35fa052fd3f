package api

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/collector/store"
	"github.com/rollcall-itam/rollcall/collector/view"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Bounds of a question.
const (
	maxSearch     = 256
	maxOrderBy    = 256
	defaultGroups = 100
	maxGroups     = 10_000
)

// assetQuery is a question for a page of assets.
type assetQuery struct {
	view.Query
	// list names the list that page tokens belong to.
	list, token, fields string
}

// findAssets answers with the assets that a query finds. Those that end while
// it is answered are left out.
func (s *Service) findAssets(ctx context.Context, q assetQuery) (*adminpb.ListAssetsResponse, error) {
	if err := checkQuery(q.Search, q.OrderBy); err != nil {
		return nil, err
	}
	// A page goes on in the same list only: what is asked for is a part of it.
	list := fmt.Sprintf("%s %q %q %q %q %q", q.list, q.Filter, q.Search, q.OrderBy, q.Product, q.Version)
	var err error
	if q.After, err = pageAfter(list, q.token); err != nil {
		return nil, err
	}
	want, err := parseMask(q.fields, (*pb.Asset)(nil).ProtoReflect().Descriptor())
	if err != nil {
		return nil, err
	}
	q.Now = s.Now()
	f := s.fleet(ctx)
	page, err := f.List(ctx, q.Query)
	if err != nil {
		return nil, s.answerQuery("find the assets", err)
	}
	out := &adminpb.ListAssetsResponse{TotalSize: int32(page.Total)}
	if page.Last != "" {
		out.NextPageToken = nextPage(list, page.Last)
	}
	bytes := 0
	err = s.Store.View(ctx, func(tx *store.Tx) error {
		for i, id := range page.IDs {
			if bytes > maxPageBytes {
				out.NextPageToken = nextPage(list, page.Places[i-1])
				return nil
			}
			a, err := f.asset(tx, id)
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			if err := s.present(tx, a, want); err != nil {
				return err
			}
			bytes += proto.Size(a)
			out.Assets = append(out.Assets, a)
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, s.answer("read the assets", err)
	}
	return out, nil
}

// checkQuery bounds what a filter's own bound does not.
func checkQuery(search, field string) error {
	switch {
	case len(search) > maxSearch:
		return status.Errorf(codes.InvalidArgument, "search is %d bytes long: %d are the most", len(search), maxSearch)
	case len(field) > maxOrderBy:
		return status.Errorf(codes.InvalidArgument, "the name of a field is %d bytes long: %d are the most", len(field), maxOrderBy)
	}
	return nil
}

// answerQuery is answer for the errors of a view.
func (s *Service) answerQuery(doing string, err error) error {
	var wrong *view.QueryError
	var field *view.FieldError
	switch {
	case errors.As(err, &field):
		near := meant(field.Path, (*pb.Asset)(nil).ProtoReflect().Descriptor())
		if near == "" {
			near = "; there are name, class, os.version, owner.email, labels.site, last_seen and the others that /openapi.json has of v1Asset"
		}
		return status.Errorf(codes.InvalidArgument, "%s%s", err, near)
	case errors.As(err, &wrong):
		return status.Error(codes.InvalidArgument, err.Error())
	case errors.Is(err, view.ErrNoProduct):
		return status.Error(codes.NotFound, "there is no such software: list the ids with GET /v1/software")
	case errors.Is(err, view.ErrPosition):
		return errPageToken
	}
	return s.answer(doing, err)
}

// GroupAssets counts assets by the values of one field.
func (s *Service) GroupAssets(ctx context.Context, r *adminpb.GroupAssetsRequest) (*adminpb.GroupAssetsResponse, error) {
	limit := int(r.GetLimit())
	switch {
	case limit == 0:
		limit = defaultGroups
	case limit < 0 || limit > maxGroups:
		return nil, status.Errorf(codes.InvalidArgument, "limit is %d: ask for 1 to %d groups", limit, maxGroups)
	}
	q := question{filter: r.GetFilter(), search: r.GetSearch(), by: r.GetBy()}
	if err := s.under(ctx, r.GetView(), &q); err != nil {
		return nil, err
	}
	if q.by == "" {
		return nil, status.Error(codes.InvalidArgument, "by is missing: name the field to count by, as in by=os.version")
	}
	if err := checkQuery(q.search, q.by); err != nil {
		return nil, err
	}
	g, err := s.fleet(ctx).GroupBy(ctx, view.GroupQuery{By: q.by, Filter: q.filter, Search: q.search, Limit: limit, Now: s.Now()})
	if err != nil {
		return nil, s.answerQuery("count the assets", err)
	}
	out := &adminpb.GroupAssetsResponse{TotalSize: int32(g.Total), TotalGroups: int32(g.Groups), OtherSize: int32(g.Rest)}
	for _, v := range g.Values {
		group := &adminpb.AssetGroup{Count: int32(v.Count)}
		if v.Stated {
			group.Value = proto.String(v.Text)
		}
		out.Groups = append(out.Groups, group)
	}
	return out, nil
}

// ListSoftware tells which software there is, the most installed first.
func (s *Service) ListSoftware(ctx context.Context, r *adminpb.ListSoftwareRequest) (*adminpb.ListSoftwareResponse, error) {
	limit, err := pageSize(r.GetPageSize(), defaultPage, maxPage)
	if err != nil {
		return nil, err
	}
	if err := checkQuery(r.GetSearch(), ""); err != nil {
		return nil, err
	}
	list := fmt.Sprintf("software %q", r.GetSearch())
	after, err := pageAfter(list, r.GetPageToken())
	if err != nil {
		return nil, err
	}
	products, total, last, err := s.fleet(ctx).Products(ctx, view.ProductQuery{Search: r.GetSearch(), After: after, Limit: limit})
	if err != nil {
		return nil, s.answerQuery("list the software", err)
	}
	out := &adminpb.ListSoftwareResponse{TotalSize: int32(total)}
	if last != "" {
		out.NextPageToken = nextPage(list, last)
	}
	for _, p := range products {
		title := &adminpb.SoftwareTitle{Id: p.ID, Kind: p.Kind, Name: p.Name, Publisher: p.Publisher, Installs: int32(p.Installs)}
		for _, v := range p.Versions {
			title.Versions = append(title.Versions, &adminpb.SoftwareVersion{Version: v.Version, Installs: int32(v.Installs)})
		}
		out.Software = append(out.Software, title)
	}
	return out, nil
}

// ListSoftwareAssets tells on which assets a software is.
func (s *Service) ListSoftwareAssets(ctx context.Context, r *adminpb.ListSoftwareAssetsRequest) (*adminpb.ListAssetsResponse, error) {
	limit, err := pageSize(r.GetPageSize(), defaultPage, maxPage)
	if err != nil {
		return nil, err
	}
	if len(r.GetVersion()) > store.MaxSoftwareString || len(r.GetId()) > maxID {
		return nil, s.answerQuery("find the assets", view.ErrNoProduct)
	}
	return s.findAssets(ctx, assetQuery{list: "assets with", token: r.GetPageToken(), fields: r.GetFields(),
		Query: view.Query{Filter: r.GetFilter(), OrderBy: r.GetOrderBy(), Product: r.GetId(), Version: r.GetVersion(), Limit: limit}})
}
