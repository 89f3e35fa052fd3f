package api

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/rollcall-itam/rollcall/collector/compliance"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

// defaultTrend is how many days back are told unless asked for others.
const defaultTrend = 30

// GetCompliance tells how the fleet stands by its rules, and stood on each day.
func (s *Service) GetCompliance(ctx context.Context, r *adminpb.GetComplianceRequest) (*adminpb.Compliance, error) {
	n := int(r.GetDays())
	switch {
	case n == 0:
		n = defaultTrend
	case n < 0 || n > compliance.MaxTrend:
		return nil, status.Errorf(codes.InvalidArgument, "days is %d: ask for 1 to %d", n, compliance.MaxTrend)
	}
	if s.Compliance == nil {
		return new(adminpb.Compliance), nil
	}
	keep := s.fleet(ctx).keep()
	if keep != nil {
		// How it stood is kept of the whole fleet only.
		today := s.Compliance.Part(keep).Today()
		return &adminpb.Compliance{Now: today, Days: []*adminpb.ComplianceDay{today}}, nil
	}
	days, err := s.Compliance.Trend(ctx)
	if err != nil {
		return nil, s.answer("read how the fleet stood", err)
	}
	return &adminpb.Compliance{Now: s.Compliance.Part(nil).Today(), Days: days[max(0, len(days)-n):]}, nil
}
