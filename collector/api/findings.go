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
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Bounds of page_size.
const (
	defaultFindingsPage = 100
	maxFindingsPage     = 1000
)

// ListFindings lists the rules that assets fail, by asset and rule.
func (s *Service) ListFindings(ctx context.Context, r *pb.ListFindingsRequest) (*pb.ListFindingsResponse, error) {
	limit, err := pageSize(r.GetPageSize(), defaultFindingsPage, maxFindingsPage)
	if err != nil {
		return nil, err
	}
	list := strings.Join([]string{"findings", r.GetAsset(), r.GetRule(), r.GetSeverity()}, " ")
	after, err := pageAfter(list, r.GetPageToken())
	if err != nil {
		return nil, err
	}
	if severity := policy.Severity(r.GetSeverity()); severity != "" && !slices.Contains(policy.Severities, severity) {
		return nil, status.Errorf(codes.InvalidArgument, "severity %.50q is none of: critical, high, medium, low, info", r.GetSeverity())
	}
	out := new(pb.ListFindingsResponse)
	if s.Compliance == nil {
		return out, nil
	}
	if r.GetRule() != "" && s.Compliance.Pack.Rule(r.GetRule()) == nil {
		return nil, status.Errorf(codes.NotFound, "there is no rule %.100q: list them with GET /v1/rules", r.GetRule())
	}
	q := compliance.Query{Rule: r.GetRule(), Severity: policy.Severity(r.GetSeverity())}
	err = s.Store.View(ctx, func(tx *store.Tx) error {
		if r.GetAsset() != "" {
			a, err := resolve(tx, r.GetAsset())
			if err != nil {
				return err
			}
			q.AssetID = a.GetId()
		}
		all := s.Compliance.Find(q)
		out.TotalSize = int32(len(all))
		for _, f := range all {
			key := f.GetAssetId() + "\x00" + f.GetRule()
			if key <= after {
				continue
			}
			if len(out.Findings) == limit {
				last := out.Findings[limit-1]
				out.NextPageToken = nextPage(list, last.GetAssetId()+"\x00"+last.GetRule())
				return nil
			}
			told, err := s.findingOf(tx, f)
			if err != nil {
				return err
			}
			out.Findings = append(out.Findings, told)
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, s.answer("list the findings", err)
	}
	return out, nil
}

func (s *Service) findingOf(tx *store.Tx, f *pb.FindingRecord) (*pb.Finding, error) {
	out := &pb.Finding{AssetId: f.GetAssetId(), Rule: f.GetRule(), Severity: f.GetSeverity(), OpenedAt: f.GetOpenedAt(), Detail: f.GetDetail()}
	if r := s.Compliance.Pack.Rule(f.GetRule()); r != nil {
		out.Title, out.Remediation = r.Title, r.Remediation
	}
	a, err := tx.Asset(f.GetAssetId())
	if errors.Is(err, store.ErrNotFound) {
		return out, nil // it ended a moment ago
	}
	out.AssetName = a.GetName()
	return out, err
}

// ListRules lists the rules with how many assets each says what of.
func (s *Service) ListRules(context.Context, *pb.ListRulesRequest) (*pb.ListRulesResponse, error) {
	out := new(pb.ListRulesResponse)
	if s.Compliance == nil {
		return out, nil
	}
	counts := make(map[string]map[policy.Result]int)
	for _, c := range s.Compliance.Counts() {
		if counts[c.Rule.ID] == nil {
			counts[c.Rule.ID] = make(map[policy.Result]int)
		}
		counts[c.Rule.ID][c.Result] = c.Assets
	}
	for _, r := range s.Compliance.Pack.Rules() {
		n := counts[r.ID]
		told := &pb.Rule{Id: r.ID, Version: int32(r.Version), Title: r.Title, Description: r.Description, Severity: string(r.Severity), Applies: r.Applies,
			Require: r.Require, Remediation: r.Remediation, Enabled: r.Enabled, Pass: int64(n[policy.Pass]), Fail: int64(n[policy.Fail]),
			Unknown: int64(n[policy.Unknown]), NotApplicable: int64(n[policy.NotApplicable])}
		for framework, controls := range r.References {
			for _, c := range controls {
				told.References = append(told.References, framework+" "+c)
			}
		}
		slices.Sort(told.References)
		out.Rules = append(out.Rules, told)
	}
	return out, nil
}

// countFindings says on an asset how many rules it fails.
func (s *Service) countFindings(a *pb.Asset) {
	if s.Compliance == nil {
		return
	}
	open, judged := s.Compliance.Open(a.GetId())
	if !judged {
		return // a moment after it came to be: unknown, not none
	}
	n := int32(len(open))
	a.Findings = &pb.FindingCounts{Open: &n, BySeverity: make(map[string]int32)}
	for _, f := range open {
		a.Findings.BySeverity[f.GetSeverity()]++
	}
}
