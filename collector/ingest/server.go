package ingest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/enroll"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// ServerOptions bound what one connection may cost: messages, headers, streams
// and time. Agents connect, report and go; an idle connection is closed.
func ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxRecvMsgSize(1 << 20), grpc.MaxSendMsgSize(4 << 20), grpc.MaxHeaderListSize(16 << 10),
		grpc.MaxConcurrentStreams(100), grpc.ConnectionTimeout(15 * time.Second),
		grpc.SharedWriteBuffer(true), grpc.ReadBufferSize(16 << 10), grpc.WriteBufferSize(16 << 10),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionIdle: time.Minute, MaxConnectionAge: 30 * time.Minute, MaxConnectionAgeGrace: 30 * time.Second,
			Time: 2 * time.Minute, Timeout: 20 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Minute}),
	}
}

// callTimeout bounds one call of an agent.
const callTimeout = time.Minute

const (
	agentService = "/" + "rollcall.v1.AgentService" + "/"
	enrolMethod  = pb.AgentService_Enroll_FullMethodName
)

type callerKey struct{}

// caller returns who the interceptor found to call.
func caller(ctx context.Context) (enroll.Identity, error) {
	who, ok := ctx.Value(callerKey{}).(enroll.Identity)
	if !ok {
		return who, grpcstatus.Error(codes.Unauthenticated, "a client certificate is needed: enrol first")
	}
	return who, nil
}

// authenticate finds out who calls a method of AgentService; anybody may call
// Enroll, which asks for a token.
func (s *Service) authenticate(ctx context.Context, method string) (context.Context, error) {
	if method == enrolMethod {
		return ctx, nil
	}
	p, _ := peer.FromContext(ctx)
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 {
		s.metrics.rejected("no_certificate")
		return nil, grpcstatus.Error(codes.Unauthenticated, "a client certificate of this collector is needed: enrol first")
	}
	who, err := s.enroller.Authenticate(ctx, info.State.VerifiedChains[0][0])
	if err != nil {
		s.metrics.rejected(reason(err))
		return nil, status(err)
	}
	return context.WithValue(ctx, callerKey{}, who), nil
}

// UnaryInterceptor authenticates agents, bounds the time of their calls, and
// turns a panic into an error of the one call that caused it. Calls of other
// services pass.
func (s *Service) UnaryInterceptor(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	if !strings.HasPrefix(info.FullMethod, agentService) {
		return handler(ctx, req)
	}
	defer s.recover(info.FullMethod, &err)
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if ctx, err = s.authenticate(ctx, info.FullMethod); err != nil {
		return nil, err
	}
	return handler(ctx, req)
}

// StreamInterceptor does the same for streams.
func (s *Service) StreamInterceptor(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	if !strings.HasPrefix(info.FullMethod, agentService) {
		return handler(srv, stream)
	}
	defer s.recover(info.FullMethod, &err)
	ctx, cancel := context.WithTimeout(stream.Context(), callTimeout)
	defer cancel()
	if ctx, err = s.authenticate(ctx, info.FullMethod); err != nil {
		return err
	}
	return handler(srv, &authenticated{ServerStream: stream, ctx: ctx})
}

// authenticated is a stream whose context knows the caller.
type authenticated struct {
	grpc.ServerStream
	ctx context.Context
}

// Context returns the stream's context with the caller in it.
func (a *authenticated) Context() context.Context { return a.ctx }

func (s *Service) recover(method string, err *error) {
	if r := recover(); r != nil {
		s.metrics.rejected("panic")
		s.log.Error("call panicked", "method", method, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
		*err = grpcstatus.Error(codes.Internal, "internal error; the collector's log has the details")
	}
}

func peerAddress(ctx context.Context) string {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return ""
	}
	host, _, err := net.SplitHostPort(p.Addr.String())
	if err != nil {
		return p.Addr.String()
	}
	return host
}

// retryWhenFull is when an agent should come back to a collector that takes no
// more data for now.
const retryWhenFull = 5 * time.Minute

// outcome is how an error is told to an agent and counted.
type outcome struct {
	err    error
	code   codes.Code
	reason string
}

var outcomes = []outcome{
	{errInvalid, codes.InvalidArgument, "invalid"},
	{catalog.ErrInvalid, codes.InvalidArgument, "invalid"},
	{enroll.ErrBadRequest, codes.InvalidArgument, "invalid"},
	{enroll.ErrUnknownToken, codes.PermissionDenied, "unknown_token"},
	{enroll.ErrExpired, codes.PermissionDenied, "expired_token"},
	{enroll.ErrRevokedToken, codes.PermissionDenied, "revoked_token"},
	{enroll.ErrUsedUp, codes.PermissionDenied, "used_up_token"},
	{enroll.ErrUnknownAgent, codes.Unauthenticated, "unknown_agent"},
	{enroll.ErrRevokedAgent, codes.PermissionDenied, "revoked_agent"},
	{errTooMany, codes.ResourceExhausted, "limited"},
	{store.ErrFull, codes.ResourceExhausted, "storage_full"},
	{store.ErrClosed, codes.Unavailable, "stopping"},
	{store.ErrNotFound, codes.NotFound, "not_found"},
	{context.DeadlineExceeded, codes.DeadlineExceeded, "timeout"},
	{context.Canceled, codes.Canceled, "canceled"},
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

// status returns the gRPC status by which an agent hears of an error, with the
// time after which to try again where it is the collector that is short.
func status(err error) error {
	o := find(err)
	st := grpcstatus.New(o.code, err.Error())
	if o.code == codes.ResourceExhausted {
		if with, derr := st.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(retryWhenFull)}); derr == nil {
			st = with
		}
	}
	return st.Err()
}
