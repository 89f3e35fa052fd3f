// Package api answers people, scripts and service desks: AdminService, over
// gRPC and, translated, over REST.
package api

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/advisory"
	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/compliance"
	"github.com/rollcall-itam/rollcall/collector/connect"
	"github.com/rollcall-itam/rollcall/collector/enroll"
	"github.com/rollcall-itam/rollcall/collector/exposure"
	"github.com/rollcall-itam/rollcall/collector/feed"
	"github.com/rollcall-itam/rollcall/collector/notify"
	"github.com/rollcall-itam/rollcall/collector/signin"
	"github.com/rollcall-itam/rollcall/collector/store"
	"github.com/rollcall-itam/rollcall/collector/view"
	"github.com/rollcall-itam/rollcall/collector/watch"
	"github.com/rollcall-itam/rollcall/pkg/buildinfo"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// Options are what a Service works with.
type Options struct {
	Store    *store.Store
	Catalog  *catalog.Catalog
	View     *view.View
	Tokens   *enroll.Tokens
	Enroller *enroll.Enroller
	// Compliance judges the assets; nil where nothing does.
	Compliance *compliance.Engine
	// Feeds are read on their schedules; nil for none.
	Feeds *feed.Runner
	// Library holds the advisories, and Exposure tells whom they are about; nil for
	// neither.
	Library  *advisory.Library
	Exposure *exposure.Exposure
	// Connections are the feeds that people connect; nil where they cannot.
	Connections *connect.Connections
	// Notifications tell receivers outside what happens; nil where nobody is told.
	Notifications *notify.Notifier
	// SignIn lets people in whom a provider knows; nil where there is none.
	SignIn *signin.Flow
	// Changes is the log of changes; nil has the service follow the catalog itself.
	Changes *watch.Log
	Logger  *slog.Logger
	Now     func() time.Time
	// Engine names the storage engine, for GetServerInfo.
	Engine string
	// CAPin is the pin of the authority that agents trust, for GetServerInfo.
	CAPin string
	// Rate is how many calls a second one token may make; 0 is DefaultRate, and
	// less is no limit.
	Rate float64
	// Metrics gets the counts of calls; nil registers none.
	Metrics prometheus.Registerer
}

// Service implements AdminService.
type Service struct {
	adminpb.UnimplementedAdminServiceServer
	Options
	started  time.Time
	failures *failures
	limits   *limits
	signIns  signIns
	doors    *doors
	calls    calls
	changes  *watch.Log
	// forgetAnswers drops what is kept of answers to calls that may be repeated.
	forgetAnswers func()
	watchers      watchers
	// patience is how long a client of a stream may take to read what was sent.
	patience time.Duration
	// exports holds a token for each export under way.
	exports chan struct{}
}

// New returns the service. It is to be called before the catalog files anything.
func New(o Options) (*Service, error) {
	f, err := newFailures(o.Now)
	if err != nil {
		return nil, err
	}
	l, err := newLimits(o.Now, o.Rate)
	if err != nil {
		return nil, err
	}
	d, err := newDoors(o)
	if err != nil {
		return nil, err
	}
	s := &Service{Options: o, started: o.Now(), failures: f, doors: d, limits: l, calls: newCalls(o.Metrics), changes: o.Changes, watchers: watchers{of: make(map[string]int)}, patience: readPatience,
		exports: make(chan struct{}, maxExports)}
	s.forgetAnswers = func() {}
	if s.changes == nil {
		s.changes = watch.New(o.Store)
		s.changes.Follow(o.Catalog)
	}
	return s, nil
}

// Drain ends the calls that last; they say that the collector is stopping.
func (s *Service) Drain() { s.changes.Close() }

// Register adds the service to a gRPC server, which must be made with one of
// its interceptors.
func (s *Service) Register(g *grpc.Server) { adminpb.RegisterAdminServiceServer(g, s) }

// GetServerInfo tells which collector answers.
func (s *Service) GetServerInfo(ctx context.Context, _ *adminpb.GetServerInfoRequest) (*adminpb.GetServerInfoResponse, error) {
	f := s.fleet(ctx)
	out := &adminpb.GetServerInfoResponse{Version: buildinfo.Version(), Store: s.Engine, Assets: int64(f.Len()), StartedAt: timestamppb.New(s.started), CaPin: s.CAPin}
	err := s.Store.View(ctx, func(tx *store.Tx) error {
		return tx.ScanEnrolments("", func(e *storagepb.EnrolmentRecord) error {
			if f.record(store.Ref{Source: agentSource, ID: e.GetAgentId()}) {
				out.Agents++
			}
			return ctx.Err()
		})
	})
	if err != nil {
		return nil, s.answer("count the agents", err)
	}
	return out, nil
}

// retryLater is when to come back to a collector that is short of something.
const retryLater = 10 * time.Second

// answer turns an error into the status that the caller gets. What is no
// fault of the caller is logged, and its inside stays here.
func (s *Service) answer(doing string, err error) error {
	if st, ok := status.FromError(err); ok {
		return st.Err()
	}
	switch {
	case errors.Is(err, enroll.ErrBadToken), errors.Is(err, enroll.ErrBadRequest):
		return status.Error(codes.InvalidArgument, err.Error())
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, "the call was cancelled")
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, "the call took too long: ask for a smaller page")
	case errors.Is(err, store.ErrFull):
		return later(codes.ResourceExhausted, "the collector's disk is nearly full and nothing is written: free some space, then repeat the call", time.Minute)
	case errors.Is(err, store.ErrClosed):
		return later(codes.Unavailable, "the collector is stopping: repeat the call once it runs again", retryLater)
	}
	s.Logger.Error("api call failed", "doing", doing, "error", err)
	return status.Errorf(codes.Internal, "could not %s; the collector's log has the details", doing)
}

// later is a status with the time after which to try again.
func later(code codes.Code, message string, after time.Duration) error {
	st := status.New(code, message)
	if with, err := st.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(after)}); err == nil {
		st = with
	}
	return st.Err()
}
