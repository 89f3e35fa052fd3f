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
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
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
	pb.AdminService_ListAssets_FullMethodName:           {least: viewer, also: serviceDesk},
	pb.AdminService_GroupAssets_FullMethodName:          {least: viewer, also: serviceDesk},
	pb.AdminService_ListSoftware_FullMethodName:         {least: viewer, also: serviceDesk},
	pb.AdminService_ListSoftwareAssets_FullMethodName:   {least: viewer, also: serviceDesk},
	pb.AdminService_GetAsset_FullMethodName:             {least: viewer, also: serviceDesk},
	pb.AdminService_ListAssetSoftware_FullMethodName:    {least: viewer, also: serviceDesk},
	pb.AdminService_GetAssetSourceStates_FullMethodName: {least: viewer, also: serviceDesk},
	pb.AdminService_ExplainAsset_FullMethodName:         {least: viewer, also: serviceDesk},
	pb.AdminService_GetAssetHistory_FullMethodName:      {least: viewer, also: serviceDesk},
	pb.AdminService_AssertAsset_FullMethodName:          {least: operator},
	pb.AdminService_ListStatements_FullMethodName:       {least: viewer},
	pb.AdminService_DeleteStatement_FullMethodName:      {least: operator},
	pb.AdminService_PutSource_FullMethodName:            {least: operator},
	pb.AdminService_ListSources_FullMethodName:          {least: viewer},
	pb.AdminService_DeleteObservation_FullMethodName:    {least: operator},
	pb.AdminService_ListFindings_FullMethodName:         {least: viewer, also: serviceDesk},
	pb.AdminService_ListRules_FullMethodName:            {least: viewer},
	pb.AdminService_ListFeeds_FullMethodName:            {least: viewer},
	pb.AdminService_RunFeed_FullMethodName:              {least: operator},
	pb.AdminService_PauseFeed_FullMethodName:            {least: operator},
	pb.AdminService_GetServerInfo_FullMethodName:        {least: viewer, also: serviceDesk},
	pb.AdminService_ListAgents_FullMethodName:           {least: viewer},
	pb.AdminService_RevokeAgent_FullMethodName:          {least: operator},
	pb.AdminService_CreateToken_FullMethodName:          {least: admin},
	pb.AdminService_ListTokens_FullMethodName:           {least: admin},
	pb.AdminService_RevokeToken_FullMethodName:          {least: admin},
}

// metricsGrant says who may read /metrics.
var metricsGrant = grant{least: viewer, also: scrape}

const adminService = "/" + "rollcall.v1.AdminService" + "/"

// callTimeout bounds one call.
const callTimeout = 30 * time.Second

type actorKey struct{}

// actor names who calls, for the audit log.
func actor(ctx context.Context) string {
	id, _ := ctx.Value(actorKey{}).(string)
	return "token:" + id
}

// UnaryInterceptor authenticates the calls of AdminService on a listener that
// callers reach directly. Calls of other services pass.
func (s *Service) UnaryInterceptor(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if !strings.HasPrefix(info.FullMethod, adminService) {
		return handler(ctx, req)
	}
	address := ""
	if p, ok := peer.FromContext(ctx); ok {
		address = host(p.Addr.String())
	}
	return s.serve(ctx, address, req, info, handler)
}

// serve lets a call through if its token allows it, bounds its time, counts it,
// and turns a panic into an error of the one call that caused it.
func (s *Service) serve(ctx context.Context, address string, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	began := s.Now()
	defer func() { s.calls.answered(strings.TrimPrefix(info.FullMethod, adminService), err, s.Now().Sub(began)) }()
	defer func() {
		if r := recover(); r != nil {
			s.Logger.Error("call panicked", "method", info.FullMethod, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			err = status.Error(codes.Internal, "internal error; the collector's log has the details")
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	g, known := grants[info.FullMethod]
	if !known {
		return nil, status.Errorf(codes.PermissionDenied, "%s may not be called by anybody", info.FullMethod)
	}
	var header string
	if md, _ := metadata.FromIncomingContext(ctx); len(md.Get("authorization")) > 0 {
		header = md.Get("authorization")[0]
	}
	id, err := s.authorise(ctx, header, address, g)
	if err != nil {
		return nil, err
	}
	return handler(context.WithValue(ctx, actorKey{}, id), req)
}

// authorise returns the id of the token in an Authorization header if it may
// be used for what g guards.
func (s *Service) authorise(ctx context.Context, header, address string, g grant) (string, error) {
	scheme, secret, _ := strings.Cut(header, " ")
	if secret = strings.TrimSpace(secret); !strings.EqualFold(scheme, "Bearer") || secret == "" {
		return "", status.Error(codes.Unauthenticated, "a token is needed: send the header `Authorization: Bearer TOKEN`; the first token is in the file admin-token of the collector's data folder")
	}
	if !s.failures.allow(address, secret) {
		return "", later(codes.ResourceExhausted, "too many failed sign-ins from this address: check the token, and wait a few seconds", retryLater)
	}
	r, err := s.Tokens.Verify(ctx, secret)
	for _, reason := range []error{enroll.ErrUnknownToken, enroll.ErrExpired, enroll.ErrRevokedToken} {
		if errors.Is(err, reason) {
			s.failures.failed(address, secret)
			return "", status.Error(codes.Unauthenticated, err.Error())
		}
	}
	if err != nil {
		return "", s.answer("check the token", err)
	}
	s.failures.passed(secret)
	if !g.allows(r.GetRole()) {
		return "", status.Errorf(codes.PermissionDenied, "this token's role is %s; this needs %s: ask an administrator for such a token", r.GetRole(), g)
	}
	return r.GetId(), nil
}

// host is the part of an address that stands for one caller.
func host(address string) string {
	h, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return h
}
