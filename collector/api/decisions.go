package api

import (
	"context"
	"errors"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/compliance"
	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// maxReason bounds what is said on a decision, in bytes.
const maxReason = 2000

// WaiveFinding accepts that an asset fails a rule, until a time and for a reason.
func (s *Service) WaiveFinding(ctx context.Context, r *adminpb.WaiveFindingRequest) (*adminpb.Finding, error) {
	now := s.Now()
	switch {
	case strings.TrimSpace(r.GetReason()) == "":
		return nil, status.Error(codes.InvalidArgument, "reason is missing: say why the finding is accepted, for whoever audits it")
	case r.GetUntil().CheckValid() != nil:
		return nil, status.Error(codes.InvalidArgument, "until is missing or no time: say when the waiver lapses, as in 2027-03-31T00:00:00Z")
	case !r.GetUntil().AsTime().After(now):
		return nil, status.Errorf(codes.InvalidArgument, "until is %s, which has passed: name a time to come", r.GetUntil().AsTime().Format(time.RFC3339))
	case r.GetUntil().AsTime().After(now.Add(compliance.MaxWaiver)):
		return nil, status.Error(codes.InvalidArgument, "until is more than three years ahead: name an earlier time, or turn the rule off under settings if it is not wanted")
	}
	return s.decide(ctx, r.GetId(), &storagepb.DecisionRecord{State: string(compliance.Waived), Until: r.GetUntil(), Reason: r.GetReason()})
}

// AcknowledgeFinding says that somebody looks after a finding.
func (s *Service) AcknowledgeFinding(ctx context.Context, r *adminpb.AcknowledgeFindingRequest) (*adminpb.Finding, error) {
	return s.decide(ctx, r.GetId(), &storagepb.DecisionRecord{State: string(compliance.Acknowledged), Reason: r.GetReason()})
}

// ReopenFinding takes back that a finding was waived or acknowledged.
func (s *Service) ReopenFinding(ctx context.Context, r *adminpb.ReopenFindingRequest) (*adminpb.Finding, error) {
	return s.decide(ctx, r.GetId(), &storagepb.DecisionRecord{})
}

// findingID names a finding.
func findingID(f *storagepb.FindingRecord) string { return f.GetAssetId() + "." + f.GetRule() }

func (s *Service) decide(ctx context.Context, id string, d *storagepb.DecisionRecord) (*adminpb.Finding, error) {
	asset, rule, ok := strings.Cut(id, ".")
	if !ok || len(id) > maxID+100 {
		return nil, status.Errorf(codes.NotFound, "there is no finding %.100q: its id is ASSET.RULE, as GET /v1/findings lists it", id)
	}
	if len(d.GetReason()) > maxReason {
		return nil, status.Errorf(codes.InvalidArgument, "reason is %d bytes long: %d are the most", len(d.GetReason()), maxReason)
	}
	if s.Compliance == nil {
		return nil, status.Error(codes.FailedPrecondition, "this collector judges nothing")
	}
	err := s.Store.View(ctx, func(tx *store.Tx) error {
		a, err := s.fleet(ctx).resolve(tx, asset)
		d.AssetId = a.GetId()
		return err
	})
	if err != nil {
		return nil, s.answer("read the asset", err)
	}
	d.Rule, d.By, d.At = rule, actor(ctx), timestamppb.New(s.Now())
	f, err := s.Compliance.Decide(ctx, d)
	if errors.Is(err, compliance.ErrNotFailing) {
		return nil, status.Errorf(codes.FailedPrecondition, "asset %s does not fail %.100q now: GET /v1/findings?asset=%s lists what it fails", d.GetAssetId(), rule, d.GetAssetId())
	}
	if err != nil {
		return nil, s.answer("store the decision", err)
	}
	var out *adminpb.Finding
	err = s.Store.View(ctx, func(tx *store.Tx) (err error) {
		out, err = s.findingOf(ctx, tx, f)
		return err
	})
	if err != nil {
		return nil, s.answer("read the finding", err)
	}
	return out, nil
}
