package api

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/connect"
	"github.com/rollcall-itam/rollcall/collector/feed"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

// ListFeeds tells how the reading of each connected system fares.
func (s *Service) ListFeeds(ctx context.Context, _ *adminpb.ListFeedsRequest) (*adminpb.ListFeedsResponse, error) {
	out := new(adminpb.ListFeedsResponse)
	if s.Feeds == nil {
		return out, nil
	}
	for _, st := range s.Feeds.Statuses() {
		out.Feeds = append(out.Feeds, s.feedOf(st))
	}
	if s.Connections != nil {
		for id, why := range s.Connections.Broken() {
			if !slices.ContainsFunc(out.Feeds, func(f *adminpb.Feed) bool { return f.GetId() == id }) {
				out.Feeds = append(out.Feeds, &adminpb.Feed{Id: id, Failures: 1, Error: why})
			}
		}
	}
	slices.SortFunc(out.Feeds, func(a, b *adminpb.Feed) int { return strings.Compare(a.GetId(), b.GetId()) })
	for _, f := range out.Feeds {
		if err := s.connection(ctx, f); err != nil {
			return nil, s.answer("read how the feeds are connected", err)
		}
	}
	return out, nil
}

// connection fills in how a feed is connected.
func (s *Service) connection(ctx context.Context, f *adminpb.Feed) error {
	f.Origin = "configuration"
	if s.Connections == nil {
		return nil
	}
	conn, err := s.Connections.Connection(ctx, f.GetId())
	if errors.Is(err, feed.ErrUnknown) {
		// It was disconnected since.
		return nil
	}
	if f.Connection = conn; conn != nil {
		f.Origin = "api"
	}
	return err
}

// RunFeed has a feed read now.
func (s *Service) RunFeed(ctx context.Context, r *adminpb.RunFeedRequest) (*adminpb.Feed, error) {
	return s.withFeed(ctx, r.GetId(), func() error {
		return s.Feeds.Start(r.GetId(), feed.Wish{Full: r.GetFull(), AcceptAbsences: r.GetAcceptAbsences()})
	})
}

// PauseFeed stops a feed after the pass under way, or lets it go on.
func (s *Service) PauseFeed(ctx context.Context, r *adminpb.PauseFeedRequest) (*adminpb.Feed, error) {
	return s.withFeed(ctx, r.GetId(), func() error {
		if s.Connections != nil {
			return s.Connections.Pause(ctx, actor(ctx), r.GetId(), r.GetPaused())
		}
		return s.Feeds.Pause(r.GetId(), r.GetPaused())
	})
}

// withFeed does something with a feed and answers with how it then fares.
func (s *Service) withFeed(ctx context.Context, id string, fn func() error) (*adminpb.Feed, error) {
	err := feed.ErrUnknown
	if s.Feeds != nil {
		err = fn()
	}
	if err != nil {
		return nil, s.feedError(id, err)
	}
	f := &adminpb.Feed{Id: id}
	for _, st := range s.Feeds.Statuses() {
		if st.Name == id {
			f = s.feedOf(st)
		}
	}
	if err := s.connection(ctx, f); err != nil {
		return nil, s.answer("read how the feed is connected", err)
	}
	return f, nil
}

// feedError turns an error about a feed into the status that the caller gets.
func (s *Service) feedError(id string, err error) error {
	switch {
	case errors.Is(err, feed.ErrUnknown):
		return status.Errorf(codes.NotFound, "there is no feed %.100q: list them with GET /v1/feeds", id)
	case errors.Is(err, feed.ErrTaken):
		return status.Error(codes.AlreadyExists, err.Error())
	case errors.Is(err, connect.ErrConfigured):
		// The one code for which the gateway answers 409, beside that of names
		// which are taken.
		return status.Error(codes.Aborted, err.Error())
	case errors.Is(err, connect.ErrInvalid):
		return status.Error(codes.InvalidArgument, err.Error())
	}
	return s.answer("reach the feed", err)
}

func (s *Service) feedOf(st feed.Status) *adminpb.Feed {
	p := st.Pass
	out := &adminpb.Feed{Id: st.Name, Title: st.Title, Kind: st.Kind, Paused: st.Paused, Running: st.Running, LastSuccess: moment(st.LastSuccess),
		Next: moment(st.Next), Failures: int32(st.Failures), Error: st.Error, Withheld: st.Withheld, WithheldSince: moment(st.WithheldSince)}
	if p.Started.IsZero() {
		return out
	}
	out.Pass = &adminpb.FeedPass{Full: p.Full, Started: moment(p.Started), Ended: moment(p.Ended), Ends: moment(p.Ends(s.Now())), Pages: int64(p.Pages),
		Records: int64(p.Records), Total: int64(p.Total), Stated: int64(p.Stated), Skipped: int64(p.Skipped), Withdrawn: int64(p.Withdrawn),
		ProblemCount: int64(p.ProblemCount), Notes: p.Notes}
	for _, x := range p.Problems {
		out.Pass.Problems = append(out.Pass.Problems, &adminpb.FeedProblem{SourceId: x.SourceID, Field: x.Field, Error: x.Text})
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
