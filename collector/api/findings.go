package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/rollcall-itam/rollcall/collector/compliance"
	"github.com/rollcall-itam/rollcall/collector/policy"
	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// Bounds of page_size.
const (
	defaultFindingsPage = 100
	maxFindingsPage     = 1000
)

// ListFindings lists the rules that assets fail, by asset and rule.
func (s *Service) ListFindings(ctx context.Context, r *adminpb.ListFindingsRequest) (*adminpb.ListFindingsResponse, error) {
	limit, err := pageSize(r.GetPageSize(), defaultFindingsPage, maxFindingsPage)
	if err != nil {
		return nil, err
	}
	list := fmt.Sprintf("findings %q", []string{r.GetAsset(), r.GetRule(), r.GetSeverity(), r.GetState(), r.GetOwner(), r.GetDepartment()})
	after, err := pageAfter(list, r.GetPageToken())
	if err != nil {
		return nil, err
	}
	q, err := s.findingQuery(r.GetRule(), r.GetSeverity(), r.GetState())
	if err != nil {
		return nil, err
	}
	out := new(adminpb.ListFindingsResponse)
	if s.Compliance == nil {
		return out, nil
	}
	all, err := s.findings(ctx, q, r)
	if err != nil {
		return nil, err
	}
	err = s.Store.View(ctx, func(tx *store.Tx) error {
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
			told, err := s.findingOf(ctx, tx, f)
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

// findingQuery checks what findings are asked for.
func (s *Service) findingQuery(rule, severity, state string) (q compliance.Query, err error) {
	q = compliance.Query{Rule: rule, Severity: policy.Severity(severity), State: compliance.State(state)}
	switch {
	case severity != "" && !slices.Contains(policy.Severities, q.Severity):
		return q, status.Errorf(codes.InvalidArgument, "severity %.50q is none of: critical, high, medium, low, info", severity)
	case state != "" && !slices.Contains(compliance.States, q.State):
		return q, status.Errorf(codes.InvalidArgument, "state %.50q is none of: open, acknowledged, waived, resolved", state)
	case rule != "" && s.Compliance != nil && s.Compliance.Pack().Rule(rule) == nil:
		return q, status.Errorf(codes.NotFound, "there is no rule %.100q: list them with GET /v1/rules", rule)
	}
	return q, nil
}

// findings returns those that are asked for.
func (s *Service) findings(ctx context.Context, q compliance.Query, r *adminpb.ListFindingsRequest) (all []*storagepb.FindingRecord, err error) {
	if r.GetAsset() != "" {
		err := s.Store.View(ctx, func(tx *store.Tx) error {
			a, err := s.fleet(ctx).resolve(tx, r.GetAsset())
			q.AssetID = a.GetId()
			return err
		})
		if err != nil {
			return nil, s.answer("read the asset", err)
		}
	}
	if q.State == compliance.Resolved {
		if all, err = s.Compliance.Resolved(ctx, q); err != nil {
			return nil, s.answer("list the findings", err)
		}
	} else {
		all = s.Compliance.Find(q)
	}
	all = s.fleet(ctx).findings(all)
	for path, want := range map[string]string{"owner.email": r.GetOwner(), "owner.department": r.GetDepartment()} {
		if want == "" {
			continue
		}
		values, err := s.valuesOf(ctx, all, path)
		if err != nil {
			return nil, s.answerQuery("list the findings", err)
		}
		var some []*storagepb.FindingRecord
		for i, f := range all {
			if strings.EqualFold(values[i], want) {
				some = append(some, f)
			}
		}
		all = some
	}
	return all, nil
}

func (s *Service) findingOf(ctx context.Context, tx *store.Tx, f *storagepb.FindingRecord) (*adminpb.Finding, error) {
	d := f.GetDecision()
	out := &adminpb.Finding{Id: findingID(f), AssetId: f.GetAssetId(), Rule: f.GetRule(), Severity: f.GetSeverity(), OpenedAt: f.GetOpenedAt(), Detail: f.GetDetail(),
		State: string(compliance.StateOf(f)), DecidedBy: d.GetBy(), DecidedAt: d.GetAt(), Reason: d.GetReason(), WaivedUntil: d.GetUntil(),
		ResolvedAt: f.GetResolvedAt(), LastSeen: f.GetResolvedAt()}
	if f.GetResolvedAt() == nil {
		out.LastSeen = s.Compliance.JudgedAt(f.GetAssetId())
	}
	if r := s.Compliance.Pack().Rule(f.GetRule()); r != nil {
		out.Title, out.Remediation = r.Title, r.Remediation
	}
	a, err := s.fleet(ctx).asset(tx, f.GetAssetId())
	if errors.Is(err, store.ErrNotFound) {
		return out, nil // it ended a moment ago
	}
	out.AssetName = a.GetName()
	return out, err
}

// countFindings says on an asset how many rules it fails, those apart on which
// that is waived.
func (s *Service) countFindings(a *pb.Asset) {
	if s.Compliance == nil {
		return
	}
	open, judged := s.Compliance.Open(a.GetId())
	if !judged {
		return // a moment after it came to be: unknown, not none
	}
	counts := &pb.FindingCounts{Open: new(int32), BySeverity: make(map[string]int32)}
	for _, f := range open {
		if compliance.StateOf(f) == compliance.Waived {
			counts.Waived++
			continue
		}
		*counts.Open++
		counts.BySeverity[f.GetSeverity()]++
	}
	a.Findings = counts
}
