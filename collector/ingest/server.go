package ingest

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"runtime/debug"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/rollcall-itam/rollcall/collector/enroll"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// NewServer returns a gRPC server with the service on it, for a listener with
// the given TLS configuration. Other services may be registered on it, which
// authenticate their callers themselves: an agent's certificate counts for
// nothing there. Their interceptors come as more options.
func (s *Service) NewServer(conf *tls.Config, more ...grpc.ServerOption) *grpc.Server {
	options := append(serverOptions(), grpc.Creds(s.Credentials(conf)),
		grpc.ChainUnaryInterceptor(s.unary), grpc.ChainStreamInterceptor(s.stream))
	g := grpc.NewServer(append(options, more...)...)
	pb.RegisterAgentServiceServer(g, s)
	return g
}

// serverOptions bound what one connection may cost: messages, headers, streams
// and time. Agents connect, report and go; an idle connection is closed.
func serverOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxRecvMsgSize(1 << 20), grpc.MaxSendMsgSize(4 << 20), grpc.MaxHeaderListSize(16 << 10),
		grpc.MaxConcurrentStreams(100), grpc.ConnectionTimeout(15 * time.Second),
		grpc.ReadBufferSize(16 << 10), grpc.WriteBufferSize(16 << 10),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionIdle: time.Minute, MaxConnectionAge: 30 * time.Minute, MaxConnectionAgeGrace: 30 * time.Second,
			Time: 2 * time.Minute, Timeout: 20 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Minute}),
	}
}

// callTimeout bounds one call of an agent, fetchTimeout one that fetches an
// update: 16 MiB take so long at 150 kbit/s.
const (
	callTimeout  = time.Minute
	fetchTimeout = 15 * time.Minute
)

func timeoutOf(method string) time.Duration {
	if method == pb.AgentService_FetchUpdate_FullMethodName {
		return fetchTimeout
	}
	return callTimeout
}

const (
	agentService = "/rollcall.v1.AgentService/"
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
	var info credentials.TLSInfo
	p, ok := peer.FromContext(ctx)
	if ok {
		info, ok = p.AuthInfo.(credentials.TLSInfo)
	}
	if !ok || len(info.State.VerifiedChains) == 0 {
		s.metrics.rejected("no_certificate")
		return nil, grpcstatus.Error(codes.Unauthenticated, "a client certificate of this collector is needed: enrol first")
	}
	who, err := s.enroller.Authenticate(ctx, info.State.VerifiedChains[0][0])
	if err != nil {
		s.metrics.rejected(reason(err))
		return nil, s.answer(err)
	}
	return context.WithValue(ctx, callerKey{}, who), nil
}

// unary authenticates agents, bounds the time of their calls, and
// turns a panic into an error of the one call that caused it. Calls of other
// services pass.
func (s *Service) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
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

// stream does the same for streams.
func (s *Service) stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	if !strings.HasPrefix(info.FullMethod, agentService) {
		return handler(srv, stream)
	}
	defer s.recover(info.FullMethod, &err)
	ctx, cancel := context.WithTimeout(stream.Context(), timeoutOf(info.FullMethod))
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

// peerAddress returns the caller's address without the port.
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
