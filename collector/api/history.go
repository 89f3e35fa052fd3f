package api

import (
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/history"
	"github.com/rollcall-itam/rollcall/collector/store"
	"github.com/rollcall-itam/rollcall/collector/watch"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Bounds of page_size.
const (
	defaultHistoryPage = 100
	maxHistoryPage     = 1000
)

// GetAssetHistory tells what happened to an asset, the latest first.
func (s *Service) GetAssetHistory(ctx context.Context, r *adminpb.GetAssetHistoryRequest) (*adminpb.GetAssetHistoryResponse, error) {
	q, list, err := historyQuery("history of "+r.GetId(), r)
	if err != nil {
		return nil, err
	}
	out, f := new(adminpb.GetAssetHistoryResponse), s.fleet(ctx)
	err = s.Store.View(ctx, func(tx *store.Tx) error {
		id := r.GetId()
		// An asset that is no more has a history of its own.
		if err := f.has(tx, id); err != nil {
			return err
		}
		events, more, err := s.Catalog.Events(tx, id, q)
		if err != nil {
			return err
		}
		if more {
			out.NextPageToken = nextPage(list, events[len(events)-1].Key)
		}
		for _, e := range events {
			told, err := tell(tx, e)
			if err != nil {
				return err
			}
			out.Events = append(out.Events, told)
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, s.answer("read the history", err)
	}
	return out, nil
}

// historyRequest asks for what happened to an asset or to a person.
type historyRequest interface {
	GetField() string
	GetSince() *timestamppb.Timestamp
	GetUntil() *timestamppb.Timestamp
	GetPageSize() int32
	GetPageToken() string
}

// historyQuery returns what is asked for, and the name of the list whose pages the
// tokens are of.
func historyQuery(of string, r historyRequest) (q catalog.Query, list string, err error) {
	q.Field = r.GetField()
	list = fmt.Sprintf("%s %s %d %d", of, r.GetField(), r.GetSince().GetSeconds(), r.GetUntil().GetSeconds())
	if q.Limit, err = pageSize(r.GetPageSize(), defaultHistoryPage, maxHistoryPage); err != nil {
		return q, list, err
	}
	if q.Before, err = pageAfter(list, r.GetPageToken()); err != nil {
		return q, list, err
	}
	q.After, q.Until, err = span(r.GetSince(), r.GetUntil())
	return q, list, err
}

// span checks the bounds of a time in question.
func span(since, until *timestamppb.Timestamp) (after, to time.Time, err error) {
	for _, t := range []*timestamppb.Timestamp{since, until} {
		if t != nil && t.CheckValid() != nil {
			return after, to, status.Error(codes.InvalidArgument, "since and until are times as in 2026-11-25T10:00:00Z")
		}
	}
	if since != nil {
		after = since.AsTime()
	}
	if until != nil {
		to = until.AsTime()
	}
	return after, to, nil
}

// tell makes an event what users see of it.
func tell(tx *store.Tx, e catalog.Event) (*adminpb.AssetEvent, error) {
	out := &adminpb.AssetEvent{At: timestamppb.New(e.At)}
	if e.Record == nil {
		out.Kind, out.Source, out.SourceId = catalog.Software, e.Ref.Source, e.Ref.ID
		removed, added, err := tx.SoftwareChange(e.Ref, e.N)
		if err != nil {
			return nil, err
		}
		out.Software = pair(removed, added)
		return out, nil
	}
	out.Kind, out.Source, out.SourceId, out.Into, out.From = watch.KindOf(e.Record), e.Record.GetSource(), e.Record.GetSourceId(), e.Record.GetInto(), e.Record.GetFrom()
	out.Because = e.Record.GetBecause()
	// What an asset held when it ended is not what changed about it.
	if out.Kind != catalog.Changed {
		return out, nil
	}
	for _, c := range e.Record.GetChanges() {
		told := &adminpb.AssetChange{Field: c.GetField()}
		var err error
		if told.Old, err = history.Value(c.GetField(), c.GetOld()); err != nil {
			return nil, err
		}
		if told.New, err = history.Value(c.GetField(), c.GetNew()); err != nil {
			return nil, err
		}
		out.Changes = append(out.Changes, told)
	}
	return out, nil
}

// title is what stays of a software row when it is updated.
type title struct{ kind, name, architecture, product string }

func titleOf(r *pb.Software) title {
	return title{r.GetKind(), r.GetName(), r.GetArchitecture(), r.GetProductId()}
}

// pair makes one event of the removal and the addition of one title.
func pair(removed, added []*pb.Software) []*adminpb.SoftwareEvent {
	gone := make(map[title][]*pb.Software)
	for _, r := range removed {
		gone[titleOf(r)] = append(gone[titleOf(r)], r)
	}
	var out []*adminpb.SoftwareEvent
	event := func(kind string, r *pb.Software, before string) {
		out = append(out, &adminpb.SoftwareEvent{Kind: kind, Name: r.GetName(), Version: r.GetVersion(), OldVersion: before,
			Architecture: r.GetArchitecture(), Publisher: r.GetPublisher()})
	}
	for _, r := range added {
		before := gone[titleOf(r)]
		switch {
		case len(before) == 0:
			event("installed", r, "")
			continue
		case before[0].GetVersion() == r.GetVersion():
			event("changed", r, r.GetVersion())
		default:
			event("updated", r, before[0].GetVersion())
		}
		gone[titleOf(r)] = before[1:]
	}
	for _, r := range removed {
		if slices.Contains(gone[titleOf(r)], r) {
			event("removed", r, r.GetVersion())
		}
	}
	return out
}

// listAsOf answers with the assets as they were, also those that are no more.
// How many there were is not counted.
func (s *Service) listAsOf(ctx context.Context, r *adminpb.ListAssetsRequest, limit int, after string, want *mask) (*adminpb.ListAssetsResponse, error) {
	out, f := new(adminpb.ListAssetsResponse), s.fleet(ctx)
	size := 0
	err := s.Store.View(ctx, func(tx *store.Tx) error {
		for ctx.Err() == nil {
			id, err := f.next(tx, after)
			if err != nil || id == "" {
				return err
			}
			if len(out.Assets) == limit || size > maxPageBytes {
				out.NextPageToken = nextPage(listOfAssets(r.GetAsOf()), after)
				return nil
			}
			after = id
			a, err := f.asOf(tx, id, r.GetAsOf())
			if status.Code(err) == codes.NotFound || err == nil && a.GetId() != id {
				continue // it came later, or was part of another by then
			}
			if err != nil {
				return err
			}
			show(a, want)
			size += proto.Size(a)
			out.Assets = append(out.Assets, a)
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, s.answer("list the assets as they were", err)
	}
	return out, nil
}
