package api

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/enroll"
	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// CreateToken makes a token and answers with its secret, once.
func (s *Service) CreateToken(ctx context.Context, r *adminpb.CreateTokenRequest) (*adminpb.CreateTokenResponse, error) {
	if d := r.GetExpiresIn(); d != nil && d.GetSeconds() == 0 && d.GetNanos() == 0 { // 0 stands for the usual life
		r = proto.CloneOf(r)
		r.ExpiresIn = nil
	}
	out, err := s.Tokens.Create(ctx, actor(ctx), r)
	if err != nil {
		return nil, s.answer("create the token", err)
	}
	return out, nil
}

// ListTokens answers with all tokens, without their secrets.
func (s *Service) ListTokens(ctx context.Context, r *adminpb.ListTokensRequest) (*adminpb.ListTokensResponse, error) {
	limit, err := pageSize(r.GetPageSize(), defaultPage, maxPage)
	if err != nil {
		return nil, err
	}
	after, err := pageAfter("tokens", r.GetPageToken())
	if err != nil {
		return nil, err
	}
	tokens, err := s.Tokens.List(ctx, after, limit+1)
	if err != nil {
		return nil, s.answer("list the tokens", err)
	}
	out := &adminpb.ListTokensResponse{Tokens: tokens}
	if len(tokens) > limit {
		out.Tokens = tokens[:limit]
		out.NextPageToken = nextPage("tokens", tokens[limit-1].GetId())
	}
	return out, nil
}

// RevokeToken refuses a token from now on.
func (s *Service) RevokeToken(ctx context.Context, r *adminpb.RevokeTokenRequest) (*adminpb.RevokeTokenResponse, error) {
	err := store.ErrNotFound
	if len(r.GetId()) <= maxID {
		err = s.Tokens.Revoke(ctx, actor(ctx), r.GetId())
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil, status.Errorf(codes.NotFound, "there is no token %.100q: GET /v1/tokens lists the ids (an id is no secret, and not the token itself)", r.GetId())
	}
	if err != nil {
		return nil, s.answer("revoke the token", err)
	}
	return &adminpb.RevokeTokenResponse{}, nil
}

// GetCaller tells who asks.
func (s *Service) GetCaller(ctx context.Context, _ *adminpb.GetCallerRequest) (*adminpb.Caller, error) {
	c := callerOf(ctx)
	return &adminpb.Caller{Actor: c.name, Name: c.title, Role: c.role, Scope: c.scope.Texts(), ExpiresAt: c.until, Kind: c.kind}, nil
}

// SignOut ends the session of who asks.
func (s *Service) SignOut(ctx context.Context, _ *adminpb.SignOutRequest) (*adminpb.SignOutResponse, error) {
	c := callerOf(ctx)
	if c.kind != enroll.KindSession {
		return nil, status.Error(codes.FailedPrecondition, "this is a token and no session: forget it, or have an administrator revoke it with `rollcall token revoke`")
	}
	if err := s.Tokens.Revoke(ctx, c.name, c.account); err != nil {
		return nil, s.answer("end the session", err)
	}
	return &adminpb.SignOutResponse{}, nil
}

// RevokeSessions ends all sessions of a person.
func (s *Service) RevokeSessions(ctx context.Context, r *adminpb.RevokeSessionsRequest) (*adminpb.RevokeSessionsResponse, error) {
	if r.GetPerson() == "" || len(r.GetPerson()) > maxID {
		return nil, status.Error(codes.InvalidArgument, "person is missing: name who signed in, as GET /v1/tokens has them, like ann@example.com")
	}
	n, err := s.Tokens.RevokeSessions(ctx, actor(ctx), r.GetPerson())
	if err != nil {
		return nil, s.answer("end the sessions", err)
	}
	return &adminpb.RevokeSessionsResponse{Revoked: int32(n)}, nil
}

// agentSource is the source under which agents report.
const agentSource = "agent"

// ListAgents answers with the enrolled agents in the order of their ids.
func (s *Service) ListAgents(ctx context.Context, r *adminpb.ListAgentsRequest) (*adminpb.ListAgentsResponse, error) {
	limit, err := pageSize(r.GetPageSize(), defaultPage, maxPage)
	if err != nil {
		return nil, err
	}
	after, err := pageAfter("agents", r.GetPageToken())
	if err != nil {
		return nil, err
	}
	out, f := new(adminpb.ListAgentsResponse), s.fleet(ctx)
	err = s.Store.View(ctx, func(tx *store.Tx) error {
		err := tx.ScanEnrolments(after, func(e *storagepb.EnrolmentRecord) error {
			if !f.record(store.Ref{Source: agentSource, ID: e.GetAgentId()}) {
				return ctx.Err()
			}
			if len(out.Agents) == limit {
				out.NextPageToken = nextPage("agents", out.Agents[limit-1].GetId())
				return store.Stop
			}
			out.Agents = append(out.Agents, s.agent(e))
			return ctx.Err()
		})
		if err != nil {
			return err
		}
		for _, a := range out.Agents {
			m, err := tx.Member(store.Ref{Source: agentSource, ID: a.GetId()})
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			a.AssetId = m.GetAssetId() // none before the first report
		}
		return nil
	})
	if err != nil {
		return nil, s.answer("list the agents", err)
	}
	return out, nil
}

func (s *Service) agent(e *storagepb.EnrolmentRecord) *adminpb.Agent {
	a := &adminpb.Agent{Id: e.GetAgentId(), Hostname: e.GetHostname(), Platform: e.GetPlatform(), AgentVersion: e.GetAgentVersion(),
		EnrolledAt: e.GetEnrolledAt(), CertificateExpiresAt: e.GetCertificateExpiresAt(), RenewalSequence: e.GetRenewalSequence(),
		RevokedAt: e.GetRevokedAt(), Conflicted: e.GetConflicted(), Labels: e.GetLabels()}
	if at, ok := s.Catalog.LastSeen(store.Ref{Source: agentSource, ID: a.GetId()}); ok {
		a.LastSeen = timestamppb.New(at)
	}
	return a
}

// RevokeAgent refuses an agent from its next call on.
func (s *Service) RevokeAgent(ctx context.Context, r *adminpb.RevokeAgentRequest) (*adminpb.RevokeAgentResponse, error) {
	err := store.ErrNotFound
	if len(r.GetId()) <= maxID && s.fleet(ctx).record(store.Ref{Source: agentSource, ID: r.GetId()}) {
		err = s.Enroller.Revoke(ctx, actor(ctx), r.GetId(), r.GetReason())
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil, status.Errorf(codes.NotFound, "there is no agent %.100q: GET /v1/agents lists the ids", r.GetId())
	}
	if err != nil {
		return nil, s.answer("revoke the agent", err)
	}
	return &adminpb.RevokeAgentResponse{}, nil
}
