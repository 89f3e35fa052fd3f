package api

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/rollcall-itam/rollcall/collector/compliance"
	"github.com/rollcall-itam/rollcall/collector/view"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// GroupFindings counts findings that are not resolved, by rule, severity or
// state, or by a field of the asset.
func (s *Service) GroupFindings(ctx context.Context, r *adminpb.GroupFindingsRequest) (*adminpb.GroupFindingsResponse, error) {
	limit := int(r.GetLimit())
	switch {
	case limit == 0:
		limit = defaultGroups
	case limit < 0 || limit > maxGroups:
		return nil, status.Errorf(codes.InvalidArgument, "limit is %d: ask for 1 to %d groups", limit, maxGroups)
	}
	if r.GetBy() == "" {
		return nil, status.Error(codes.InvalidArgument, "by is missing: rule, severity, state, or a field of the asset such as owner.department")
	}
	if err := checkQuery("", r.GetBy()); err != nil {
		return nil, err
	}
	q, err := s.findingQuery(r.GetRule(), r.GetSeverity(), r.GetState())
	if err != nil {
		return nil, err
	}
	if q.State == compliance.Resolved {
		return nil, status.Error(codes.InvalidArgument, "resolved findings are listed with GET /v1/findings?state=resolved, and not counted")
	}
	if s.Compliance == nil {
		return new(adminpb.GroupFindingsResponse), nil
	}
	found := s.fleet(ctx).findings(s.Compliance.Find(q))
	if r.GetFilter() != "" {
		places, err := s.fleet(ctx).MatchFindings(ctx, r.GetFilter(), s.Now(), view.Findings{Records: found, Seen: s.Compliance.Seen})
		if err != nil {
			return nil, s.answerQuery("count the findings", err)
		}
		some := make([]*storagepb.FindingRecord, len(places))
		for i, at := range places {
			some[i] = found[at]
		}
		found = some
	}
	values, err := s.valuesOf(ctx, found, strings.TrimPrefix(r.GetBy(), "asset."))
	if err != nil {
		return nil, s.answerQuery("count the findings", err)
	}
	return group(found, values, limit), nil
}

// valuesOf returns what each finding is counted by.
func (s *Service) valuesOf(ctx context.Context, found []*storagepb.FindingRecord, by string) ([]string, error) {
	out := make([]string, len(found))
	for i, f := range found {
		switch by {
		case "rule":
			out[i] = f.GetRule()
		case "severity":
			out[i] = f.GetSeverity()
		case "state":
			out[i] = string(compliance.StateOf(f))
		default:
			out[i] = f.GetAssetId()
		}
	}
	if slices.Contains([]string{"rule", "severity", "state"}, by) {
		return out, nil
	}
	return s.fleet(ctx).Texts(by, out)
}

// group counts findings, which come by asset.
func group(found []*storagepb.FindingRecord, values []string, limit int) *adminpb.GroupFindingsResponse {
	byValue := make(map[string]*adminpb.FindingGroup)
	last := make(map[string]string)
	for i, f := range found {
		g := byValue[values[i]]
		if g == nil {
			g = &adminpb.FindingGroup{Value: values[i]}
			byValue[values[i]] = g
		}
		g.Count++
		if compliance.StateOf(f) == compliance.Waived {
			g.Waived++
		}
		if last[values[i]] != f.GetAssetId() {
			g.Assets++
			last[values[i]] = f.GetAssetId()
		}
	}
	out := &adminpb.GroupFindingsResponse{TotalSize: int32(len(found)), TotalGroups: int32(len(byValue))}
	for _, g := range byValue {
		out.Groups = append(out.Groups, g)
	}
	slices.SortFunc(out.Groups, func(a, b *adminpb.FindingGroup) int {
		return cmp.Or(cmp.Compare(b.GetCount(), a.GetCount()), strings.Compare(a.GetValue(), b.GetValue()))
	})
	if len(out.Groups) > limit {
		for _, g := range out.Groups[limit:] {
			out.OtherSize += g.GetCount()
		}
		out.Groups = out.Groups[:limit]
	}
	return out
}
