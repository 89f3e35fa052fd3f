package api

import (
	"context"
	"errors"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/feed"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// ListFeeds tells how the reading of each connected system fares.
func (s *Service) ListFeeds(context.Context, *pb.ListFeedsRequest) (*pb.ListFeedsResponse, error) {
	out := new(pb.ListFeedsResponse)
	if s.Feeds == nil {
		return out, nil
	}
	for _, st := range s.Feeds.Statuses() {
		out.Feeds = append(out.Feeds, s.feedOf(st))
	}
	return out, nil
}

// RunFeed has a feed read now.
func (s *Service) RunFeed(_ context.Context, r *pb.RunFeedRequest) (*pb.Feed, error) {
	return s.withFeed(r.GetId(), func() error {
		return s.Feeds.Start(r.GetId(), feed.Wish{Full: r.GetFull(), AcceptAbsences: r.GetAcceptAbsences()})
	})
}

// PauseFeed stops a feed after the pass under way, or lets it go on.
func (s *Service) PauseFeed(_ context.Context, r *pb.PauseFeedRequest) (*pb.Feed, error) {
	return s.withFeed(r.GetId(), func() error { return s.Feeds.Pause(r.GetId(), r.GetPaused()) })
}

func (s *Service) withFeed(id string, fn func() error) (*pb.Feed, error) {
	err := feed.ErrUnknown
	if s.Feeds != nil {
		err = fn()
	}
	if errors.Is(err, feed.ErrUnknown) {
		return nil, status.Errorf(codes.NotFound, "there is no feed %.100q: list them with GET /v1/feeds; they are connected in the collector's configuration", id)
	}
	if err != nil {
		return nil, s.answer("reach the feed", err)
	}
	all := s.Feeds.Statuses()
	return s.feedOf(all[slices.IndexFunc(all, func(st feed.Status) bool { return st.Name == id })]), nil
}

func (s *Service) feedOf(st feed.Status) *pb.Feed {
	p := st.Pass
	out := &pb.Feed{Id: st.Name, Title: st.Title, Kind: st.Kind, Paused: st.Paused, Running: st.Running, LastSuccess: moment(st.LastSuccess),
		Next: moment(st.Next), Failures: int32(st.Failures), Error: st.Error}
	if p.Started.IsZero() {
		return out
	}
	out.Pass = &pb.FeedPass{Full: p.Full, Started: moment(p.Started), Ended: moment(p.Ended), Ends: moment(p.Ends(s.Now())), Pages: int64(p.Pages),
		Records: int64(p.Records), Total: int64(p.Total), Stated: int64(p.Stated), Skipped: int64(p.Skipped), Withdrawn: int64(p.Withdrawn),
		ProblemCount: int64(p.ProblemCount), Notes: p.Notes}
	for _, x := range p.Problems {
		out.Pass.Problems = append(out.Pass.Problems, &pb.FeedProblem{SourceId: x.SourceID, Field: x.Field, Error: x.Text})
	}
	return out
}

// moment returns a time as a message, none for the zero time.
func moment(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
