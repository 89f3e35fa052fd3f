package api

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/store"
	"github.com/rollcall-itam/rollcall/collector/view"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// Bounds of saved views.
const (
	defaultViewsPage = 100
	maxViewsPage     = 1000
	maxOwnViews      = 200
	maxSharedViews   = 1000
	maxViewTitle     = 200
)

var (
	viewID = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)
	// sharing is who may share a view, and managing who may change those of others.
	sharing  = grant{reach: nothing, least: operator}
	managing = grant{reach: nothing, least: admin}
)

func unknownView(id string) error {
	return status.Errorf(codes.NotFound, "there is no view %.70q of yours, and none that is shared: list them with GET /v1/views", id)
}

// ListViews lists the caller's views and those that are shared.
func (s *Service) ListViews(ctx context.Context, r *adminpb.ListViewsRequest) (*adminpb.ListViewsResponse, error) {
	limit, err := pageSize(r.GetPageSize(), defaultViewsPage, maxViewsPage)
	if err != nil {
		return nil, err
	}
	const list = "views"
	after, err := pageAfter(list, r.GetPageToken())
	if err != nil {
		return nil, err
	}
	all := make(map[string]*adminpb.SavedView)
	err = s.Store.View(ctx, func(tx *store.Tx) error {
		clear(all)
		for _, whose := range []store.Whose{store.SharedView, s.Store.Whose(actor(ctx))} {
			err := tx.ScanSavedViews(whose, func(v *storagepb.ViewRecord) error {
				all[v.GetView().GetId()] = v.GetView()
				return ctx.Err()
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, s.answer("list the views", err)
	}
	out := new(adminpb.ListViewsResponse)
	for _, id := range slices.Sorted(maps.Keys(all)) {
		if id <= after {
			continue
		}
		if len(out.Views) == limit {
			out.NextPageToken = nextPage(list, out.Views[limit-1].GetId())
			break
		}
		out.Views = append(out.Views, all[id])
	}
	return out, nil
}

// GetView answers with the caller's view of an id, or else with the shared one.
func (s *Service) GetView(ctx context.Context, r *adminpb.GetViewRequest) (*adminpb.SavedView, error) {
	var v *adminpb.SavedView
	err := s.Store.View(ctx, func(tx *store.Tx) (err error) {
		v, _, err = s.savedView(ctx, tx, r.GetId())
		return err
	})
	if err != nil {
		return nil, s.answer("read the view", err)
	}
	return v, nil
}

// savedView returns a view that the caller may use, and whose it is.
func (s *Service) savedView(ctx context.Context, tx *store.Tx, id string) (*adminpb.SavedView, store.Whose, error) {
	if !viewID.MatchString(id) {
		return nil, "", unknownView(id)
	}
	for _, whose := range []store.Whose{s.Store.Whose(actor(ctx)), store.SharedView} {
		v, err := tx.SavedView(whose, id)
		if !errors.Is(err, store.ErrNotFound) {
			return v.GetView(), whose, err
		}
	}
	return nil, "", unknownView(id)
}

// CreateView keeps a question.
func (s *Service) CreateView(ctx context.Context, r *adminpb.CreateViewRequest) (*adminpb.SavedView, error) {
	v := proto.CloneOf(r.GetView())
	if v == nil {
		v = new(adminpb.SavedView)
	}
	v.Owner, v.CreatedAt, v.UpdatedAt = actor(ctx), timestamppb.New(s.Now()), nil
	if err := s.checkView(ctx, v); err != nil {
		return nil, err
	}
	whose := s.whose(v)
	err := s.Store.Update(ctx, func(tx *store.Tx) error {
		if err := s.vacant(tx, whose, v.GetId()); err != nil {
			return err
		}
		return s.keepView(ctx, tx, v, "view.create")
	})
	if err != nil {
		return nil, s.answer("keep the view", err)
	}
	return v, nil
}

// whose is where a view belongs.
func (s *Service) whose(v *adminpb.SavedView) store.Whose {
	if v.GetShared() {
		return store.SharedView
	}
	return s.Store.Whose(v.GetOwner())
}

// vacant tells whether there is room for another view with an id.
func (s *Service) vacant(tx *store.Tx, whose store.Whose, id string) error {
	n, most := 0, maxOwnViews
	if whose == store.SharedView {
		most = maxSharedViews
	}
	err := tx.ScanSavedViews(whose, func(v *storagepb.ViewRecord) error {
		if n++; v.GetView().GetId() == id {
			return status.Errorf(codes.AlreadyExists, "there is a view %q already: change it with PATCH /v1/views/%s, or choose another id", id, id)
		}
		return nil
	})
	if err == nil && n >= most {
		return status.Errorf(codes.ResourceExhausted, "there are %d views already, which is the most: delete one", n)
	}
	return err
}

// keepView stores a view, and in the audit log that it was.
func (s *Service) keepView(ctx context.Context, tx *store.Tx, v *adminpb.SavedView, action string) error {
	if err := tx.PutSavedView(s.whose(v), &storagepb.ViewRecord{View: v}); err != nil {
		return err
	}
	return tx.AppendAudit(&storagepb.AuditRecord{At: timestamppb.New(s.Now()), Actor: actor(ctx), Action: action, Target: v.GetId(), Detail: detail(v)})
}

// UpdateView changes a view.
func (s *Service) UpdateView(ctx context.Context, r *adminpb.UpdateViewRequest) (*adminpb.SavedView, error) {
	var v *adminpb.SavedView
	before := store.Whose("")
	err := s.Store.View(ctx, func(tx *store.Tx) (err error) {
		v, before, err = s.changeable(ctx, tx, r.GetId())
		return err
	})
	if err != nil {
		return nil, s.answer("read the view", err)
	}
	was := proto.CloneOf(v)
	if err := merged(v, r.GetView(), fieldNames(r.GetFields())); err != nil {
		return nil, err
	}
	v.UpdatedAt = timestamppb.New(s.Now())
	if err := s.checkView(ctx, v); err != nil {
		return nil, err
	}
	err = s.Store.Update(ctx, func(tx *store.Tx) error {
		now, whose, err := s.changeable(ctx, tx, r.GetId())
		switch {
		case err != nil:
			return err
		case whose != before || !proto.Equal(now, was):
			return status.Error(codes.Aborted, "somebody else has just changed this view: look at it, and repeat the call")
		case s.whose(v) != before:
			if err := s.vacant(tx, s.whose(v), v.GetId()); err != nil {
				return err
			}
			if err := tx.DeleteSavedView(before, v.GetId()); err != nil {
				return err
			}
		}
		return s.keepView(ctx, tx, v, "view.update")
	})
	if err != nil {
		return nil, s.answer("keep the view", err)
	}
	return v, nil
}

// changeable returns a view that the caller may change.
func (s *Service) changeable(ctx context.Context, tx *store.Tx, id string) (*adminpb.SavedView, store.Whose, error) {
	v, whose, err := s.savedView(ctx, tx, id)
	if err == nil && whose == store.SharedView && v.GetOwner() != actor(ctx) && !managing.allows(callerOf(ctx).role) {
		return nil, "", status.Errorf(codes.PermissionDenied, "view %q is of somebody else: ask them or an administrator, or make one of your own with another id", id)
	}
	return v, whose, err
}

// settable are the fields of a view that an update may set.
var settable = []protoreflect.Name{"title", "filter", "search", "order_by", "fields", "group_by", "shared"}

// merged takes fields over from a view to another: those that are named, or else
// those that are given.
func merged(into, from *adminpb.SavedView, names []string) error {
	given := from.ProtoReflect()
	if len(names) == 0 {
		for _, name := range settable {
			if given.Has(given.Descriptor().Fields().ByName(name)) {
				names = append(names, string(name))
			}
		}
	}
	if len(names) == 0 {
		return status.Errorf(codes.InvalidArgument, "nothing is to be changed: give a view with at least one of %v, or name in fields what to forget", settable)
	}
	for _, name := range names {
		if !slices.Contains(settable, protoreflect.Name(name)) {
			return status.Errorf(codes.InvalidArgument, "fields names %.50q, which cannot be set: it is none of %v", name, settable)
		}
		field := given.Descriptor().Fields().ByName(protoreflect.Name(name))
		into.ProtoReflect().Set(field, given.Get(field))
	}
	return nil
}

// DeleteView forgets a view.
func (s *Service) DeleteView(ctx context.Context, r *adminpb.DeleteViewRequest) (*adminpb.DeleteViewResponse, error) {
	err := s.Store.Update(ctx, func(tx *store.Tx) error {
		v, whose, err := s.changeable(ctx, tx, r.GetId())
		if err != nil {
			return err
		}
		if err := tx.DeleteSavedView(whose, v.GetId()); err != nil {
			return err
		}
		return tx.AppendAudit(&storagepb.AuditRecord{At: timestamppb.New(s.Now()), Actor: actor(ctx), Action: "view.delete", Target: v.GetId(), Detail: detail(v)})
	})
	if err != nil {
		return nil, s.answer("delete the view", err)
	}
	return new(adminpb.DeleteViewResponse), nil
}

// checkView makes sure that a view can be asked, by asking it: so it is held to
// what any question is held to.
func (s *Service) checkView(ctx context.Context, v *adminpb.SavedView) error {
	switch {
	case !viewID.MatchString(v.GetId()):
		return status.Errorf(codes.InvalidArgument, "id %.70q: use lower-case letters, digits, points, hyphens and underscores, a letter or digit first, at most 63", v.GetId())
	case len(v.GetTitle()) > maxViewTitle || strings.ContainsFunc(v.GetTitle(), func(r rune) bool { return !unicode.IsGraphic(r) }):
		return status.Errorf(codes.InvalidArgument, "title: one line of at most %d bytes", maxViewTitle)
	case v.GetShared() && !sharing.allows(callerOf(ctx).role):
		return status.Errorf(codes.PermissionDenied, "your role is %s; to share a view, or to change one that is shared, takes %s: keep it for yourself", callerOf(ctx).role, sharing)
	}
	if err := checkQuery(v.GetSearch(), v.GetOrderBy()); err != nil {
		return err
	}
	if _, err := parseMask(v.GetFields(), (*pb.Asset)(nil).ProtoReflect().Descriptor()); err != nil {
		return err
	}
	f := s.fleet(ctx)
	if _, err := f.List(ctx, view.Query{Filter: v.GetFilter(), Search: v.GetSearch(), OrderBy: v.GetOrderBy(), Limit: 1, Now: s.Now()}); err != nil {
		return s.answerQuery("try the view", err)
	}
	if v.GetGroupBy() == "" {
		return nil
	}
	if err := checkQuery("", v.GetGroupBy()); err != nil {
		return err
	}
	if _, err := f.GroupBy(ctx, view.GroupQuery{By: v.GetGroupBy(), Limit: 1, Now: s.Now()}); err != nil {
		return s.answerQuery("try the view", err)
	}
	return nil
}

// question is what a call asks for.
type question struct{ filter, search, orderBy, fields, by string }

// under adds to a question what the view that the call names has; an empty name
// adds nothing.
func (s *Service) under(ctx context.Context, name string, q *question) error {
	if name == "" {
		return nil
	}
	v, err := s.GetView(ctx, &adminpb.GetViewRequest{Id: name})
	if err != nil {
		return err
	}
	switch {
	case q.filter == "":
		q.filter = v.GetFilter()
	case v.GetFilter() != "":
		// An error has to point into what the caller wrote.
		if _, err := s.fleet(ctx).List(ctx, view.Query{Filter: q.filter, Limit: 1, Now: s.Now()}); err != nil {
			return s.answerQuery("read the filter", err)
		}
		q.filter = fmt.Sprintf("(%s\n) && (%s\n)", v.GetFilter(), q.filter) // line breaks end comments
	}
	q.search = strings.TrimSpace(v.GetSearch() + " " + q.search)
	for _, x := range []struct {
		asked *string
		kept  string
	}{{&q.orderBy, v.GetOrderBy()}, {&q.fields, v.GetFields()}, {&q.by, v.GetGroupBy()}} {
		if *x.asked == "" {
			*x.asked = x.kept
		}
	}
	return nil
}
