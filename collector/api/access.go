package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/rollcall-itam/rollcall/collector/enroll"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// Roles of tokens. An operator may what a viewer may, and an admin all that
// people do; the others are scopes of one purpose.
const (
	viewer      = "viewer"
	operator    = "operator"
	admin       = "admin"
	scrape      = "metrics"
	serviceDesk = "servicedesk"
)

var ladder = []string{viewer, operator, admin}

// grant says who may call.
type grant struct {
	// least is the lowest role of the ladder that may.
	least string
	// also is a scope that may, or empty.
	also string
}

func (g grant) allows(role string) bool {
	return (role != "" && role == g.also) || (slices.Contains(ladder, role) && slices.Index(ladder, role) >= slices.Index(ladder, g.least))
}

func (g grant) String() string {
	roles := slices.Clone(ladder[slices.Index(ladder, g.least):])
	if g.also != "" {
		roles = append(roles, g.also)
	}
	return strings.Join(roles, " or ")
}

// grants names who may call what; a method that is not here is closed to all.
var grants = map[string]grant{
	adminpb.AdminService_ListAssets_FullMethodName:           {least: viewer, also: serviceDesk},
	adminpb.AdminService_GroupAssets_FullMethodName:          {least: viewer, also: serviceDesk},
	adminpb.AdminService_ListSoftware_FullMethodName:         {least: viewer, also: serviceDesk},
	adminpb.AdminService_ListSoftwareAssets_FullMethodName:   {least: viewer, also: serviceDesk},
	adminpb.AdminService_GetAsset_FullMethodName:             {least: viewer, also: serviceDesk},
	adminpb.AdminService_ListAssetSoftware_FullMethodName:    {least: viewer, also: serviceDesk},
	adminpb.AdminService_GetAssetSourceStates_FullMethodName: {least: viewer, also: serviceDesk},
	adminpb.AdminService_ExplainAsset_FullMethodName:         {least: viewer, also: serviceDesk},
	adminpb.AdminService_GetAssetHistory_FullMethodName:      {least: viewer, also: serviceDesk},
	adminpb.AdminService_AssertAsset_FullMethodName:          {least: operator},
	adminpb.AdminService_ListStatements_FullMethodName:       {least: viewer},
	adminpb.AdminService_DeleteStatement_FullMethodName:      {least: operator},
	adminpb.AdminService_PutSource_FullMethodName:            {least: operator},
	adminpb.AdminService_ListSources_FullMethodName:          {least: viewer},
	adminpb.AdminService_DeleteObservation_FullMethodName:    {least: operator},
	adminpb.AdminService_ListFindings_FullMethodName:         {least: viewer, also: serviceDesk},
	adminpb.AdminService_GroupFindings_FullMethodName:        {least: viewer},
	adminpb.AdminService_WaiveFinding_FullMethodName:         {least: operator},
	adminpb.AdminService_AcknowledgeFinding_FullMethodName:   {least: operator, also: serviceDesk},
	adminpb.AdminService_ReopenFinding_FullMethodName:        {least: operator},
	adminpb.AdminService_GetCompliance_FullMethodName:        {least: viewer},
	adminpb.AdminService_TryRules_FullMethodName:             {least: operator},
	adminpb.AdminService_PutRule_FullMethodName:              {least: admin},
	adminpb.AdminService_DeleteRule_FullMethodName:           {least: admin},
	adminpb.AdminService_ListRules_FullMethodName:            {least: viewer},
	adminpb.AdminService_ListFeeds_FullMethodName:            {least: viewer},
	adminpb.AdminService_RunFeed_FullMethodName:              {least: operator},
	adminpb.AdminService_PauseFeed_FullMethodName:            {least: operator},
	adminpb.AdminService_WatchChanges_FullMethodName:         {least: viewer, also: serviceDesk},
	adminpb.AdminService_ExportAssets_FullMethodName:         {least: viewer, also: serviceDesk},
	adminpb.AdminService_CreateFeed_FullMethodName:           {least: admin},
	adminpb.AdminService_UpdateFeed_FullMethodName:           {least: admin},
	adminpb.AdminService_DeleteFeed_FullMethodName:           {least: admin},
	adminpb.AdminService_TestFeed_FullMethodName:             {least: admin},
	adminpb.AdminService_PreviewObservations_FullMethodName:  {least: operator},
	adminpb.AdminService_ListAudit_FullMethodName:            {least: admin},
	adminpb.AdminService_VerifyAudit_FullMethodName:          {least: admin},
	adminpb.AdminService_GetServerInfo_FullMethodName:        {least: viewer, also: serviceDesk},
	adminpb.AdminService_ListAgents_FullMethodName:           {least: viewer},
	adminpb.AdminService_RevokeAgent_FullMethodName:          {least: operator},
	adminpb.AdminService_ListPeople_FullMethodName:           {least: viewer, also: serviceDesk},
	adminpb.AdminService_GetPerson_FullMethodName:            {least: viewer, also: serviceDesk},
	adminpb.AdminService_GetPersonContext_FullMethodName:     {least: viewer, also: serviceDesk},
	adminpb.AdminService_ErasePerson_FullMethodName:          {least: admin},
	adminpb.AdminService_ListErasures_FullMethodName:         {least: admin},
	adminpb.AdminService_DeleteErasure_FullMethodName:        {least: admin},
	adminpb.AdminService_CreateToken_FullMethodName:          {least: admin},
	adminpb.AdminService_ListTokens_FullMethodName:           {least: admin},
	adminpb.AdminService_RevokeToken_FullMethodName:          {least: admin},
}

// metricsGrant says who may read /metrics.
var metricsGrant = grant{least: viewer, also: scrape}

const adminService = "/" + "rollcall.v1.AdminService" + "/"

// callTimeout bounds one call.
const callTimeout = 30 * time.Second

// caller is who asks.
type caller struct {
	// token is the id of the token.
	token string
	// again tells whether the token may still be used, for calls that last.
	again func(context.Context) error
}

type callerKey struct{}

func callerOf(ctx context.Context) *caller {
	c, _ := ctx.Value(callerKey{}).(*caller)
	if c == nil {
		c = new(caller)
	}
	return c
}

// actor names who calls, for the audit log.
func actor(ctx context.Context) string {
	if c := callerOf(ctx); c.token != "" {
		return "token:" + c.token
	}
	return "nobody"
}

// UnaryInterceptor authenticates the calls of AdminService on a listener that
// callers reach directly. Calls of other services pass.
func (s *Service) UnaryInterceptor(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if !strings.HasPrefix(info.FullMethod, adminService) {
		return handler(ctx, req)
	}
	return s.serve(ctx, peerAddress(ctx), req, info, handler)
}

// StreamInterceptor does so for calls whose answers are streams.
func (s *Service) StreamInterceptor(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	if !strings.HasPrefix(info.FullMethod, adminService) {
		return handler(srv, stream)
	}
	return s.serveStream(srv, &callerStream{ServerStream: stream, address: peerAddress(stream.Context())}, info, handler)
}

func peerAddress(ctx context.Context) string {
	if p, ok := peer.FromContext(ctx); ok {
		return host(p.Addr.String())
	}
	return ""
}

// serve lets a call through if its token allows it, bounds its time, counts it,
// and turns a panic into an error of the one call that caused it.
func (s *Service) serve(ctx context.Context, address string, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	began := s.Now()
	defer func() { s.calls.answered(strings.TrimPrefix(info.FullMethod, adminService), err, s.Now().Sub(began)) }()
	defer s.recovered(info.FullMethod, &err)
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if ctx, err = s.admit(ctx, info.FullMethod, address); err != nil {
		return nil, err
	}
	if resp, err = handler(ctx, req); err == nil {
		err = s.record(ctx, info.FullMethod, req)
	}
	return resp, err
}

// callerStream is a stream whose caller is known.
type callerStream struct {
	grpc.ServerStream
	address string
	ctx     context.Context
}

// Context returns the stream's context with its caller.
func (c *callerStream) Context() context.Context { return c.ctx }

// serveStream is serve for a stream, which may last.
func (s *Service) serveStream(srv any, stream *callerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	began := s.Now()
	defer func() { s.calls.answered(strings.TrimPrefix(info.FullMethod, adminService), err, s.Now().Sub(began)) }()
	defer s.recovered(info.FullMethod, &err)
	if stream.ctx, err = s.admit(stream.ServerStream.Context(), info.FullMethod, stream.address); err != nil {
		return err
	}
	return handler(srv, stream)
}

// recovered turns a panic into an error. It is to be deferred.
func (s *Service) recovered(method string, err *error) {
	if r := recover(); r != nil {
		s.Logger.Error("call panicked", "method", method, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
		*err = status.Error(codes.Internal, "internal error; the collector's log has the details")
	}
}

// admit returns the context of a call that its token allows.
func (s *Service) admit(ctx context.Context, method, address string) (context.Context, error) {
	g, known := grants[method]
	if !known {
		return nil, status.Errorf(codes.PermissionDenied, "%s may not be called by anybody", method)
	}
	var header string
	if md, _ := metadata.FromIncomingContext(ctx); len(md.Get("authorization")) > 0 {
		header = md.Get("authorization")[0]
	}
	return s.enter(ctx, header, address, g)
}

// enter returns a context with the caller whose token an Authorization header
// has, if it may be used for what g guards.
func (s *Service) enter(ctx context.Context, header, address string, g grant) (context.Context, error) {
	r, err := s.authorise(ctx, header, address, g)
	if err != nil {
		return nil, err
	}
	if retry, ok := s.limits.allow(r.GetId()); !ok {
		return nil, later(codes.ResourceExhausted, fmt.Sprintf("this token is used more than %.0f times a second: ask less often, or for larger pages", s.limits.rate), retry)
	}
	if err := s.signedIn(ctx, r, address); err != nil {
		return nil, err
	}
	c := &caller{token: r.GetId(), again: func(ctx context.Context) error {
		_, err := s.authorise(ctx, header, address, g)
		return err
	}}
	return context.WithValue(ctx, callerKey{}, c), nil
}

// authorise returns the token in an Authorization header if it may be used for
// what g guards.
func (s *Service) authorise(ctx context.Context, header, address string, g grant) (*storagepb.TokenRecord, error) {
	scheme, secret, _ := strings.Cut(header, " ")
	if secret = strings.TrimSpace(secret); !strings.EqualFold(scheme, "Bearer") || secret == "" {
		return nil, status.Error(codes.Unauthenticated, "a token is needed: send the header `Authorization: Bearer TOKEN`; the first token is in the file admin-token of the collector's data folder")
	}
	if !s.failures.allow(address, secret) {
		return nil, later(codes.ResourceExhausted, "too many failed sign-ins from this address: check the token, and wait a few seconds", retryLater)
	}
	r, err := s.Tokens.Verify(ctx, secret)
	for _, reason := range []error{enroll.ErrUnknownToken, enroll.ErrExpired, enroll.ErrRevokedToken} {
		if errors.Is(err, reason) {
			s.failures.failed(address, secret)
			s.refusedSignIn(ctx, address, reason)
			return nil, status.Error(codes.Unauthenticated, err.Error())
		}
	}
	if err != nil {
		return nil, s.answer("check the token", err)
	}
	s.failures.passed(secret)
	if !g.allows(r.GetRole()) {
		return nil, status.Errorf(codes.PermissionDenied, "this token's role is %s; this needs %s: ask an administrator for such a token", r.GetRole(), g)
	}
	return r, nil
}

// host is the part of an address that stands for one caller.
func host(address string) string {
	h, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return h
}
