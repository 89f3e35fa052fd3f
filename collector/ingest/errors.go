package ingest

import (
	"context"
	"errors"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/enroll"
	"github.com/rollcall-itam/rollcall/collector/store"
	"github.com/rollcall-itam/rollcall/collector/updates"
)

var (
	// errInvalid is wrapped by errors about a report that is out of bounds, not
	// what it claims to be, or unreadable.
	errInvalid = errors.New("invalid report")
	errTooMany = errors.New("too many enrolments were refused")
	errBusy    = errors.New("the collector is busy with other reports: report again later")
	errFetches = errors.New("the collector hands out as many updates as it can: try again later")
	errSlow    = errors.New("the report took too long to arrive: report again")
)

// Times after which an agent that finds the collector short of something
// should come back.
const (
	retryBusy    = 15 * time.Second
	retryLimited = time.Minute
	retryFull    = 5 * time.Minute
)

// outcome is how an error is told to an agent and counted.
type outcome struct {
	err    error
	code   codes.Code
	reason string
	retry  time.Duration
}

var outcomes = []outcome{
	{err: errInvalid, code: codes.InvalidArgument, reason: "invalid"},
	{err: catalog.ErrInvalid, code: codes.InvalidArgument, reason: "invalid"},
	{err: enroll.ErrBadRequest, code: codes.InvalidArgument, reason: "invalid"},
	{err: enroll.ErrUnknownToken, code: codes.PermissionDenied, reason: "unknown_token"},
	{err: enroll.ErrExpired, code: codes.PermissionDenied, reason: "expired_token"},
	{err: enroll.ErrRevokedToken, code: codes.PermissionDenied, reason: "revoked_token"},
	{err: enroll.ErrUsedUp, code: codes.PermissionDenied, reason: "used_up_token"},
	{err: enroll.ErrUnknownAgent, code: codes.Unauthenticated, reason: "unknown_agent"},
	{err: enroll.ErrRevokedAgent, code: codes.PermissionDenied, reason: "revoked_agent"},
	{err: errTooMany, code: codes.ResourceExhausted, reason: "limited", retry: retryLimited},
	{err: errBusy, code: codes.ResourceExhausted, reason: "busy", retry: retryBusy},
	{err: errFetches, code: codes.ResourceExhausted, reason: "updates_busy", retry: retryFull},
	{err: updates.ErrUnavailable, code: codes.FailedPrecondition, reason: "no_such_update"},
	{err: errSlow, code: codes.DeadlineExceeded, reason: "timeout"},
	{err: store.ErrFull, code: codes.ResourceExhausted, reason: "storage_full", retry: retryFull},
	{err: store.ErrClosed, code: codes.Unavailable, reason: "stopping"},
	{err: context.DeadlineExceeded, code: codes.DeadlineExceeded, reason: "timeout"},
	{err: context.Canceled, code: codes.Canceled, reason: "canceled"},
}

func find(err error) outcome {
	for _, o := range outcomes {
		if errors.Is(err, o.err) {
			return o
		}
	}
	if st, ok := grpcstatus.FromError(err); ok && st.Code() != codes.Unknown {
		return outcome{code: st.Code(), reason: "transport"}
	}
	return outcome{code: codes.Internal, reason: "internal"}
}

func reason(err error) string { return find(err).reason }

// blames tells whether the caller brought the error about.
func blames(err error) bool {
	code := find(err).code
	return code == codes.InvalidArgument || code == codes.PermissionDenied
}

// answer returns the gRPC status by which an agent hears of an error, with the
// time after which to try again where it is the collector that is short. What
// went wrong inside is for the collector's log, not for agents.
func (s *Service) answer(err error) error {
	o := find(err)
	if o.reason == "internal" {
		s.log.Error("call failed", "error", err)
		return grpcstatus.Error(codes.Internal, "internal error: the collector's log has the details")
	}
	st := grpcstatus.New(o.code, err.Error())
	if o.retry > 0 {
		if with, derr := st.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(o.retry)}); derr == nil {
			st = with
		}
	}
	return st.Err()
}
