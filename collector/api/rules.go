package api

import (
	"context"
	"errors"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/rollcall-itam/rollcall/collector/compliance"
	"github.com/rollcall-itam/rollcall/collector/policy"
	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// ListRules lists the rules with how many assets each says what of.
func (s *Service) ListRules(ctx context.Context, _ *adminpb.ListRulesRequest) (*adminpb.ListRulesResponse, error) {
	out := new(adminpb.ListRulesResponse)
	if s.Compliance == nil {
		return out, nil
	}
	site, err := s.Compliance.SiteRules(ctx)
	if err != nil {
		return nil, s.answer("list the rules", err)
	}
	counts := make(map[string]map[policy.Result]compliance.Ages)
	for _, c := range s.Compliance.Part(s.fleet(ctx).keep()).Counts() {
		counts[c.Rule.ID] = c.Results
	}
	for _, r := range s.Compliance.Pack().Rules() {
		out.Rules = append(out.Rules, tellRule(r, counts[r.ID], site[r.ID]))
	}
	return out, nil
}

// tellRule tells of one rule.
func tellRule(r *policy.Rule, n map[policy.Result]compliance.Ages, put *storagepb.RuleRevision) *adminpb.Rule {
	told := &adminpb.Rule{Id: r.ID, Version: int32(r.Version), Title: r.Title, Description: r.Description, Severity: string(r.Severity), Applies: r.Applies,
		Require: r.Require, Remediation: r.Remediation, Enabled: r.Enabled, Pass: int64(n[policy.Pass].Sum()), Fail: int64(n[policy.Fail].Sum()),
		Unknown: int64(n[policy.Unknown].Sum()), NotApplicable: int64(n[policy.NotApplicable].Sum()), Origin: "file", File: r.File}
	switch {
	case strings.HasPrefix(r.File, "builtin/"):
		told.Origin = "builtin"
	case put != nil:
		told.Origin, told.File, told.WrittenBy, told.WrittenAt, told.Content = "api", "", put.GetBy(), put.GetAt(), put.GetContent()
	}
	for framework, controls := range r.References {
		for _, c := range controls {
			told.References = append(told.References, framework+" "+c)
		}
	}
	slices.Sort(told.References)
	return told
}

// TryRules tells what rules would say of the fleet, and changes nothing.
func (s *Service) TryRules(ctx context.Context, r *adminpb.TryRulesRequest) (*adminpb.TryRulesResponse, error) {
	if err := s.mayWriteRules(); err != nil {
		return nil, err
	}
	trials, assets, problems, err := s.Compliance.Try(ctx, policy.Read("content", []byte(r.GetContent())))
	switch {
	case errors.Is(err, compliance.ErrBusy):
		return nil, later(codes.ResourceExhausted, "rules are being tried already: wait until that is done", retryLater)
	case errors.Is(err, compliance.ErrRule):
		return nil, status.Error(codes.InvalidArgument, err.Error())
	case err != nil:
		return nil, s.answer("try the rules", err)
	}
	out := &adminpb.TryRulesResponse{Assets: int64(assets)}
	for _, p := range problems {
		out.Problems = append(out.Problems, &adminpb.RuleProblem{Line: int32(p.Line), Column: int32(p.Column), Rule: p.Rule, Message: p.Message})
	}
	err = s.Store.View(ctx, func(tx *store.Tx) error {
		for _, t := range trials {
			told := &adminpb.TriedRule{Id: t.Rule.ID, Title: t.Rule.Title, Pass: int64(t.Results[policy.Pass]), Fail: int64(t.Results[policy.Fail]),
				Unknown: int64(t.Results[policy.Unknown]), NotApplicable: int64(t.Results[policy.NotApplicable])}
			for _, f := range t.Failing {
				a, err := s.fleet(ctx).asset(tx, f.GetAssetId())
				if errors.Is(err, store.ErrNotFound) {
					continue
				}
				if err != nil {
					return err
				}
				told.Failing = append(told.Failing, &adminpb.Finding{AssetId: a.GetId(), AssetName: a.GetName(), Rule: t.Rule.ID, Title: t.Rule.Title,
					Severity: f.GetSeverity(), Detail: f.GetDetail(), Remediation: t.Rule.Remediation})
			}
			out.Rules = append(out.Rules, told)
		}
		return nil
	})
	if err != nil {
		return nil, s.answer("try the rules", err)
	}
	return out, nil
}

// PutRule has a rule of the site hold from now on.
func (s *Service) PutRule(ctx context.Context, r *adminpb.PutRuleRequest) (*adminpb.Rule, error) {
	if err := s.mayWriteRules(); err != nil {
		return nil, err
	}
	if err := s.Compliance.PutRule(ctx, actor(ctx), r.GetId(), r.GetContent()); err != nil {
		return nil, s.refusedRule("store the rule", r.GetId(), err)
	}
	site, err := s.Compliance.SiteRules(ctx)
	rule := s.Compliance.Pack().Rule(r.GetId())
	if err != nil || rule == nil {
		return nil, s.answer("read the rule", errors.Join(err, store.ErrNotFound))
	}
	return tellRule(rule, nil, site[r.GetId()]), nil
}

// DeleteRule ends a rule that PutRule made.
func (s *Service) DeleteRule(ctx context.Context, r *adminpb.DeleteRuleRequest) (*adminpb.DeleteRuleResponse, error) {
	if err := s.mayWriteRules(); err != nil {
		return nil, err
	}
	if err := s.Compliance.DeleteRule(ctx, actor(ctx), r.GetId()); err != nil {
		return nil, s.refusedRule("delete the rule", r.GetId(), err)
	}
	return new(adminpb.DeleteRuleResponse), nil
}

func (s *Service) mayWriteRules() error {
	if s.Compliance == nil || s.Compliance.Env == nil {
		return status.Error(codes.FailedPrecondition, "this collector takes no rules through the API")
	}
	return nil
}

// refusedRule answers with what is wrong with a rule.
func (s *Service) refusedRule(doing, id string, err error) error {
	switch {
	case errors.Is(err, compliance.ErrRule):
		return status.Error(codes.InvalidArgument, err.Error())
	case errors.Is(err, compliance.ErrNotOurs):
		return status.Error(codes.FailedPrecondition, err.Error())
	case errors.Is(err, store.ErrNotFound):
		return status.Errorf(codes.NotFound, "there is no rule %.100q that was written through the API: GET /v1/rules lists them, with origin api", id)
	}
	return s.answer(doing, err)
}
