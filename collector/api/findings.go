package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/compliance"
	"github.com/rollcall-itam/rollcall/collector/policy"
	"github.com/rollcall-itam/rollcall/collector/store"
	"github.com/rollcall-itam/rollcall/collector/view"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// Bounds of page_size.
const (
	defaultFindingsPage = 100
	maxFindingsPage     = 1000
)

// ListFindings lists the rules that assets fail, by asset and rule or in the
// order that is asked for.
func (s *Service) ListFindings(ctx context.Context, r *adminpb.ListFindingsRequest) (*adminpb.ListFindingsResponse, error) {
	limit, err := pageSize(r.GetPageSize(), defaultFindingsPage, maxFindingsPage)
	if err != nil {
		return nil, err
	}
	if err := checkQuery("", r.GetOrderBy()); err != nil {
		return nil, err
	}
	// A page goes on in the same list only: what is asked for is a part of it.
	list := fmt.Sprintf("findings %q", []string{r.GetAsset(), r.GetRule(), r.GetSeverity(), r.GetState(), r.GetOwner(), r.GetDepartment(), r.GetFilter(), r.GetOrderBy()})
	after, err := pageAfter(list, r.GetPageToken())
	if err != nil {
		return nil, err
	}
	q, err := s.findingQuery(r.GetRule(), r.GetSeverity(), r.GetState())
	if err != nil {
		return nil, err
	}
	all, err := s.findings(ctx, q, r)
	if err != nil {
		return nil, err
	}
	page, err := s.fleet(ctx).ListFindings(ctx, view.FindingQuery{Filter: r.GetFilter(), OrderBy: r.GetOrderBy(), After: after, Limit: limit, Now: s.Now()}, view.Findings{Records: all, Seen: s.Compliance.Seen})
	if err != nil {
		return nil, s.answerQuery("list the findings", err)
	}
	out := &adminpb.ListFindingsResponse{TotalSize: int32(page.Total)}
	if page.Last != "" {
		out.NextPageToken = nextPage(list, page.Last)
	}
	err = s.Store.View(ctx, func(tx *store.Tx) error {
		for _, i := range page.Found {
			told, err := s.findingOf(ctx, tx, all[i])
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
	if s.Compliance == nil {
		return nil, nil
	}
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
		if at := s.Compliance.JudgedAt(f.GetAssetId()); !at.IsZero() {
			out.LastSeen = timestamppb.New(at)
		}
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
