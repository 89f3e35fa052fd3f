package api

import (
	"cmp"
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
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/enroll"
	"github.com/rollcall-itam/rollcall/collector/scope"
	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

// Roles of tokens. An operator may what a viewer may, and an admin all that
// people do; an auditor may what a viewer may, and read the audit log; the others
// are for one purpose.
const (
	viewer      = "viewer"
	auditor     = "auditor"
	operator    = "operator"
	admin       = "admin"
	scrape      = "metrics"
	serviceDesk = "servicedesk"
)

var ladder = []string{viewer, operator, admin}

// reach is what of the fleet an answer is about.
type reach int

const (
	// What nobody has thought about is closed as whole is.
	_ reach = iota
	// whole is a call that is about all of the fleet, or how it is run: it is closed
	// to who may see a part only.
	whole
	// part is a call that is answered from what its caller may see, with
	// Service.fleet.
	part
	// nothing is a call that is not about assets.
	nothing
)

// grant says who may call.
type grant struct {
	reach reach
	// least is the lowest role of the ladder that may.
	least string
	// also is a scope that may, or empty.
	also string
}

func (g grant) allows(role string) bool {
	if role == auditor && g.also != auditor {
		role = viewer
	}
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
	adminpb.AdminService_ListAssets_FullMethodName:           {reach: part, least: viewer, also: serviceDesk},
	adminpb.AdminService_GroupAssets_FullMethodName:          {reach: part, least: viewer, also: serviceDesk},
	adminpb.AdminService_ListSoftware_FullMethodName:         {reach: part, least: viewer, also: serviceDesk},
	adminpb.AdminService_ListSoftwareAssets_FullMethodName:   {reach: part, least: viewer, also: serviceDesk},
	adminpb.AdminService_GetAsset_FullMethodName:             {reach: part, least: viewer, also: serviceDesk},
	adminpb.AdminService_ListAssetSoftware_FullMethodName:    {reach: part, least: viewer, also: serviceDesk},
	adminpb.AdminService_GetAssetSourceStates_FullMethodName: {reach: part, least: viewer, also: serviceDesk},
	adminpb.AdminService_ExplainAsset_FullMethodName:         {reach: part, least: viewer, also: serviceDesk},
	adminpb.AdminService_GetAssetHistory_FullMethodName:      {reach: part, least: viewer, also: serviceDesk},
	adminpb.AdminService_AssertAsset_FullMethodName:          {reach: part, least: operator},
	adminpb.AdminService_ListStatements_FullMethodName:       {reach: part, least: viewer},
	adminpb.AdminService_DeleteStatement_FullMethodName:      {reach: part, least: operator},
	adminpb.AdminService_PutSource_FullMethodName:            {reach: whole, least: operator},
	adminpb.AdminService_ListSources_FullMethodName:          {reach: whole, least: viewer},
	adminpb.AdminService_DeleteObservation_FullMethodName:    {reach: part, least: operator},
	adminpb.AdminService_ListFindings_FullMethodName:         {reach: part, least: viewer, also: serviceDesk},
	adminpb.AdminService_GroupFindings_FullMethodName:        {reach: part, least: viewer},
	adminpb.AdminService_WaiveFinding_FullMethodName:         {reach: part, least: operator},
	adminpb.AdminService_AcknowledgeFinding_FullMethodName:   {reach: part, least: operator, also: serviceDesk},
	adminpb.AdminService_ReopenFinding_FullMethodName:        {reach: part, least: operator},
	adminpb.AdminService_GetCompliance_FullMethodName:        {reach: part, least: viewer},
	adminpb.AdminService_TryRules_FullMethodName:             {reach: whole, least: operator},
	adminpb.AdminService_PutRule_FullMethodName:              {reach: whole, least: admin},
	adminpb.AdminService_DeleteRule_FullMethodName:           {reach: whole, least: admin},
	adminpb.AdminService_ListRules_FullMethodName:            {reach: part, least: viewer},
	adminpb.AdminService_ListFeeds_FullMethodName:            {reach: whole, least: viewer},
	adminpb.AdminService_RunFeed_FullMethodName:              {reach: whole, least: operator},
	adminpb.AdminService_PauseFeed_FullMethodName:            {reach: whole, least: operator},
	adminpb.AdminService_WatchChanges_FullMethodName:         {reach: part, least: viewer, also: serviceDesk},
	adminpb.AdminService_ExportAssets_FullMethodName:         {reach: part, least: viewer, also: serviceDesk},
	adminpb.AdminService_CreateFeed_FullMethodName:           {reach: whole, least: admin},
	adminpb.AdminService_UpdateFeed_FullMethodName:           {reach: whole, least: admin},
	adminpb.AdminService_DeleteFeed_FullMethodName:           {reach: whole, least: admin},
	adminpb.AdminService_TestFeed_FullMethodName:             {reach: whole, least: admin},
	adminpb.AdminService_PreviewObservations_FullMethodName:  {reach: whole, least: operator},
	adminpb.AdminService_ListAudit_FullMethodName:            {reach: whole, least: admin, also: auditor},
	adminpb.AdminService_VerifyAudit_FullMethodName:          {reach: whole, least: admin, also: auditor},
	adminpb.AdminService_GetServerInfo_FullMethodName:        {reach: part, least: viewer, also: serviceDesk},
	adminpb.AdminService_ListAgents_FullMethodName:           {reach: part, least: viewer},
	adminpb.AdminService_RevokeAgent_FullMethodName:          {reach: part, least: operator},
	adminpb.AdminService_ListPeople_FullMethodName:           {reach: part, least: viewer, also: serviceDesk},
	adminpb.AdminService_GetPerson_FullMethodName:            {reach: part, least: viewer, also: serviceDesk},
	adminpb.AdminService_GetPersonContext_FullMethodName:     {reach: part, least: viewer, also: serviceDesk},
	adminpb.AdminService_ErasePerson_FullMethodName:          {reach: whole, least: admin},
	adminpb.AdminService_ListErasures_FullMethodName:         {reach: whole, least: admin},
	adminpb.AdminService_DeleteErasure_FullMethodName:        {reach: whole, least: admin},
	adminpb.AdminService_CreateToken_FullMethodName:          {reach: whole, least: admin},
	adminpb.AdminService_ListTokens_FullMethodName:           {reach: whole, least: admin},
	adminpb.AdminService_GetCaller_FullMethodName:            {reach: nothing, least: viewer, also: serviceDesk},
	adminpb.AdminService_RevokeToken_FullMethodName:          {reach: whole, least: admin},
	adminpb.AdminService_SignOut_FullMethodName:              {reach: nothing, least: viewer, also: serviceDesk},
	adminpb.AdminService_RevokeSessions_FullMethodName:       {reach: whole, least: admin},
	// A view is a question: what it finds depends on who asks it.
	adminpb.AdminService_ListViews_FullMethodName:        {reach: nothing, least: viewer, also: serviceDesk},
	adminpb.AdminService_GetView_FullMethodName:          {reach: nothing, least: viewer, also: serviceDesk},
	adminpb.AdminService_CreateView_FullMethodName:       {reach: nothing, least: viewer, also: serviceDesk},
	adminpb.AdminService_UpdateView_FullMethodName:       {reach: nothing, least: viewer, also: serviceDesk},
	adminpb.AdminService_DeleteView_FullMethodName:       {reach: nothing, least: viewer, also: serviceDesk},
	adminpb.AdminService_ExplainPerson_FullMethodName:    {reach: part, least: viewer, also: serviceDesk},
	adminpb.AdminService_GetPersonHistory_FullMethodName: {reach: part, least: viewer, also: serviceDesk},
	// A person's department can decide who may see their devices.
	adminpb.AdminService_AssertPerson_FullMethodName: {reach: whole, least: operator},
	// Whoever subscribes has what is known of the fleet sent out.
	adminpb.AdminService_ListSubscriptions_FullMethodName:        {reach: whole, least: viewer},
	adminpb.AdminService_GetSubscription_FullMethodName:          {reach: whole, least: viewer},
	adminpb.AdminService_CreateSubscription_FullMethodName:       {reach: whole, least: admin},
	adminpb.AdminService_PauseSubscription_FullMethodName:        {reach: whole, least: operator},
	adminpb.AdminService_DeleteSubscription_FullMethodName:       {reach: whole, least: admin},
	adminpb.AdminService_TestSubscription_FullMethodName:         {reach: whole, least: operator},
	adminpb.AdminService_RotateSubscriptionSecret_FullMethodName: {reach: whole, least: admin},
	adminpb.AdminService_ListDeadLetters_FullMethodName:          {reach: whole, least: viewer},
	adminpb.AdminService_RetryDeadLetters_FullMethodName:         {reach: whole, least: operator},
	adminpb.AdminService_ListAssetVulnerabilities_FullMethodName: {reach: part, least: viewer, also: serviceDesk},
	adminpb.AdminService_ListVulnerabilities_FullMethodName:      {reach: part, least: viewer},
	adminpb.AdminService_GetVulnerability_FullMethodName:         {reach: part, least: viewer},
	adminpb.AdminService_GetAdvisoryStatus_FullMethodName:        {reach: nothing, least: viewer},
}

// metricsGrant says who may read /metrics.
var metricsGrant = grant{reach: whole, least: viewer, also: scrape}

const adminService = "/" + "rollcall.v1.AdminService" + "/"

// callTimeout bounds one call.
const callTimeout = 30 * time.Second

// caller is who asks.
type caller struct {
	// name is how the audit log calls him, and account that of which his calls
	// are counted: the id of his token or session, which kind tells apart.
	name, account, kind string
	// title is what his token is for, or his own name.
	title string
	role  string
	// scope is what he may see and change; nil is all.
	scope *scope.Scope
	// until is when he has to sign in anew.
	until *timestamppb.Timestamp
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
	return cmp.Or(callerOf(ctx).name, "nobody")
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
	c, err := s.authorise(ctx, header, address, g)
	if err != nil {
		return nil, err
	}
	if retry, ok := s.limits.allow(c.account); !ok {
		return nil, later(codes.ResourceExhausted, fmt.Sprintf("this token is used more than %.0f times a second: ask less often, or for larger pages", s.limits.rate), retry)
	}
	c.again = func(ctx context.Context) error {
		_, err := s.authorise(ctx, header, address, g)
		return err
	}
	ctx = store.WithScope(context.WithValue(ctx, callerKey{}, c), c.scope.String())
	return ctx, s.signedIn(ctx, c, address)
}

// authorise returns who has the token in an Authorization header if it may be
// used for what g guards.
func (s *Service) authorise(ctx context.Context, header, address string, g grant) (*caller, error) {
	scheme, secret, _ := strings.Cut(header, " ")
	if secret = strings.TrimSpace(secret); !strings.EqualFold(scheme, "Bearer") || secret == "" {
		return nil, status.Error(codes.Unauthenticated, "a token is needed: send the header `Authorization: Bearer TOKEN`; the first token is in the file admin-token of the collector's data folder, and people get one with `rollcall login` where the collector knows a sign-in provider")
	}
	if !s.failures.allow(address, secret) {
		return nil, later(codes.ResourceExhausted, "too many failed sign-ins from this address: check the token, and wait a few seconds", retryLater)
	}
	c, err := s.known(ctx, secret)
	for _, reason := range []error{enroll.ErrUnknownToken, enroll.ErrExpired, enroll.ErrRevokedToken, enroll.ErrSessionOver} {
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
	switch {
	case !g.allows(c.role):
		return nil, status.Errorf(codes.PermissionDenied, "this token's role is %s; this needs %s: ask an administrator for such a token", c.role, g)
	case c.scope != nil && g.reach != part && g.reach != nothing:
		return nil, status.Errorf(codes.PermissionDenied, "this is about the whole fleet, and this token is for a part of it (%s): ask an administrator for a token without a scope", c.scope)
	}
	return c, nil
}

// known returns whose secret this is.
func (s *Service) known(ctx context.Context, secret string) (*caller, error) {
	r, err := s.Tokens.Verify(ctx, secret)
	if err != nil {
		return nil, err
	}
	sc, err := scope.Parse(r.GetScope())
	if err != nil {
		return nil, fmt.Errorf("read the scope of token %s: %w", r.GetId(), err)
	}
	return &caller{name: enroll.ActorOf(r), account: r.GetId(), kind: r.GetKind(), title: r.GetName(), role: r.GetRole(), scope: sc, until: r.GetExpiresAt()}, nil
}

// host is the part of an address that stands for one caller.
func host(address string) string {
	h, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return h
}
