package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/connect"
	"github.com/rollcall-itam/rollcall/collector/feed"
	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// Bounds of what is tried and previewed at once.
const (
	defaultTried = 5
	maxTried     = 20
	maxPreviews  = 100
)

// CreateFeed connects a system.
func (s *Service) CreateFeed(ctx context.Context, r *adminpb.CreateFeedRequest) (*adminpb.Feed, error) {
	return s.changeFeed(ctx, r.GetId(), func() error {
		return s.Connections.Create(ctx, actor(ctx), r.GetId(), r.GetConnection(), r.GetPaused())
	})
}

// UpdateFeed changes how a system is connected.
func (s *Service) UpdateFeed(ctx context.Context, r *adminpb.UpdateFeedRequest) (*adminpb.Feed, error) {
	return s.changeFeed(ctx, r.GetId(), func() error {
		return s.Connections.Update(ctx, actor(ctx), r.GetId(), connect.Change{Connection: r.GetConnection(), Fields: fieldNames(r.GetFields()), Paused: r.Paused})
	})
}

// fieldNames takes a list apart, as in a,b.
func fieldNames(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}

func (s *Service) changeFeed(ctx context.Context, id string, fn func() error) (*adminpb.Feed, error) {
	if s.Connections == nil {
		return nil, status.Error(codes.Unimplemented, "this collector connects only the systems of its configuration")
	}
	return s.withFeed(ctx, id, fn)
}

// DeleteFeed disconnects a system.
func (s *Service) DeleteFeed(ctx context.Context, r *adminpb.DeleteFeedRequest) (*adminpb.DeleteFeedResponse, error) {
	var n int
	_, err := s.changeFeed(ctx, r.GetId(), func() (err error) {
		n, err = s.Connections.Delete(ctx, actor(ctx), r.GetId(), r.GetWithdraw())
		return err
	})
	if status.Code(err) == codes.DeadlineExceeded {
		return nil, status.Errorf(codes.DeadlineExceeded, "%d records are withdrawn and there are more: repeat the call until the feed is gone", n)
	}
	if err != nil {
		return nil, err
	}
	return &adminpb.DeleteFeedResponse{Withdrawn: int64(n)}, nil
}

// TestFeed asks a system for a few records and stores nothing.
func (s *Service) TestFeed(ctx context.Context, r *adminpb.TestFeedRequest) (*adminpb.TestFeedResponse, error) {
	limit := int(r.GetLimit())
	if limit == 0 {
		limit = defaultTried
	}
	switch {
	case limit < 1 || limit > maxTried:
		return nil, status.Errorf(codes.InvalidArgument, "limit: want 1 to %d", maxTried)
	case s.Feeds == nil || s.Connections == nil:
		return nil, status.Error(codes.Unimplemented, "this collector connects no systems")
	}
	conf, err := s.tested(r)
	if err != nil {
		return nil, s.feedError(r.GetId(), err)
	}
	out := new(adminpb.TestFeedResponse)
	out.Layout, err = s.Feeds.Layout(ctx, conf)
	var tried []feed.Tried
	if err == nil {
		tried, err = s.Feeds.Try(ctx, conf, limit)
	}
	if err != nil {
		out.Error = err.Error()
	}
	for _, t := range tried {
		one, err := s.triedRecord(ctx, t, conf)
		if err != nil {
			return nil, s.answer("place a record", err)
		}
		out.Records = append(out.Records, one)
	}
	return out, nil
}

// tested is the feed that a test is about.
func (s *Service) tested(r *adminpb.TestFeedRequest) (feed.Config, error) {
	if r.GetConnection() == nil {
		return s.Feeds.Config(r.GetId())
	}
	id := r.GetId()
	if id == "" {
		id = "test"
	}
	return s.Connections.Config(id, r.GetConnection())
}

func (s *Service) triedRecord(ctx context.Context, t feed.Tried, conf feed.Config) (*adminpb.TriedRecord, error) {
	raw, err := json.Marshal(t.Record)
	if err != nil {
		return nil, fmt.Errorf("show a record: %w", err)
	}
	out := &adminpb.TriedRecord{Stream: t.Stream, Record: string(raw), Observation: t.Result.Observation, LeftOut: t.Result.Skipped}
	if t.Err != nil {
		out.Error = t.Err.Error()
		return out, nil
	}
	if out.Observation == nil || out.LeftOut {
		return out, nil
	}
	out.Placement, err = s.placement(ctx, out.Observation, connect.SourceOf(conf))
	if errors.Is(err, catalog.ErrInvalid) {
		out.Error, err = err.Error(), nil
	}
	return out, err
}

// placement tells which asset an observation would join.
func (s *Service) placement(ctx context.Context, o *pb.Observation, source *storagepb.SourceRecord) (*adminpb.Placement, error) {
	p, err := s.Catalog.Place(ctx, o, source)
	if err != nil {
		return nil, err
	}
	return &adminpb.Placement{AssetId: p.Asset.GetId(), Name: p.Asset.GetName(), Reasons: p.Reasons}, nil
}

// PreviewObservations tells which asset each observation would join.
func (s *Service) PreviewObservations(ctx context.Context, r *adminpb.PreviewObservationsRequest) (*adminpb.PreviewObservationsResponse, error) {
	if n := len(r.GetObservations()); n < 1 || n > maxPreviews {
		return nil, status.Errorf(codes.InvalidArgument, "observations: want 1 to %d, got %d", maxPreviews, n)
	}
	out := new(adminpb.PreviewObservationsResponse)
	for i, o := range r.GetObservations() {
		var source *storagepb.SourceRecord
		if _, known := kinds[r.GetKind()]; known {
			source = &storagepb.SourceRecord{Id: o.GetSource(), Kind: r.GetKind(), Unique: r.GetUnique()}
		}
		p, err := s.placement(ctx, o, source)
		switch {
		case errors.Is(err, catalog.ErrInvalid), errors.Is(err, store.ErrInvalidRow), errors.Is(err, catalog.ErrUndeclared):
			return nil, status.Errorf(codes.InvalidArgument, "observations[%d]: %v", i, err)
		case err != nil:
			return nil, s.answer("place an observation", err)
		}
		out.Placements = append(out.Placements, p)
	}
	return out, nil
}
