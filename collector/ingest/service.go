// Package ingest is what endpoint agents talk to: the gRPC service that enrols
// them and takes in their reports.
package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/enroll"
	"github.com/rollcall-itam/rollcall/collector/store"
	"github.com/rollcall-itam/rollcall/collector/updates"
	"github.com/rollcall-itam/rollcall/pkg/section"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// Source is the source that all agents' observations belong to.
const Source = "agent"

// Bounds of the reports under way at one time: how many there are, and their
// payload and content together, in bytes.
const (
	maxReports       = 1024
	memoryForReports = 256 << 20
)

// Options are what a Service works with.
type Options struct {
	Store    *store.Store
	Catalog  *catalog.Catalog
	Enroller *enroll.Enroller
	Logger   *slog.Logger
	Now      func() time.Time
	Metrics  prometheus.Registerer
	// CheckIn is the interval at which agents are asked to check in, 0 for
	// five minutes; Inventory that at which they read themselves anew, 0 for an
	// hour.
	CheckIn, Inventory time.Duration
	// Updates are the versions of the agent that are offered; nil for none.
	Updates *updates.Shelf
	// Stretch says how many times longer than usual agents shall stay away,
	// from 1 to 12, so that a collector short of something can slow the fleet
	// down; nil for 1.
	Stretch func() float64
	// Drifted hears of an asset whose clock went another way; nil for nobody.
	Drifted func(assetID string)
}

// Service implements AgentService. Its methods are called through the server
// that NewServer makes.
type Service struct {
	pb.UnimplementedAgentServiceServer
	store    *store.Store
	catalog  *catalog.Catalog
	enroller *enroll.Enroller
	log      *slog.Logger
	now      func() time.Time
	metrics  *metrics
	decoder  *zstd.Decoder
	onDrift  func(assetID string)
	reports  *semaphore.Weighted
	memory   *semaphore.Weighted
	guard    *guard
	pace     pace
	updates  *updates.Shelf
	fetches  *semaphore.Weighted
}

// New returns the service and declares its source.
func New(ctx context.Context, o Options) (*Service, error) {
	dec, err := newDecoder()
	if err != nil {
		return nil, fmt.Errorf("make a decoder: %w", err)
	}
	guard, err := newGuard(o.Now)
	if err != nil {
		return nil, fmt.Errorf("make the guard of enrolments: %w", err)
	}
	err = o.Catalog.DeclareSource(ctx, &storagepb.SourceRecord{Id: Source, Kind: "agent", Unique: true, Title: "Rollcall agents"})
	if err != nil {
		return nil, err
	}
	s := &Service{store: o.Store, catalog: o.Catalog, enroller: o.Enroller, log: o.Logger, now: o.Now, decoder: dec, onDrift: o.Drifted,
		reports: semaphore.NewWeighted(maxReports), memory: semaphore.NewWeighted(memoryForReports), guard: guard, metrics: newMetrics(o.Metrics),
		updates: o.Updates, fetches: semaphore.NewWeighted(maxFetches), pace: pace{checkIn: o.CheckIn, inventory: o.Inventory, stretch: o.Stretch}}
	if o.Updates != nil {
		o.Metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "rollcall_agent_updates_expire_timestamp_seconds",
			Help: "Until when the signed manifest of the agent's versions counts, 0 where there is none."}, func() float64 { return seconds(o.Updates.Expires()) }))
	}
	if s.pace.checkIn == 0 {
		s.pace.checkIn = 5 * time.Minute
	}
	if s.pace.inventory == 0 {
		s.pace.inventory = time.Hour
	}
	return s, nil
}

// Close releases what the service holds; no call may be under way.
func (s *Service) Close() { s.decoder.Close() }

// pace is how often agents come.
type pace struct {
	checkIn, inventory time.Duration
	stretch            func() float64
}

const maxStretch = 12

// next spreads the fleet: 10 % around the interval.
func (p pace) next() time.Duration {
	wait := float64(p.checkIn) * (0.9 + 0.2*rand.Float64())
	if p.stretch != nil {
		wait *= min(max(p.stretch(), 1), maxStretch)
	}
	return time.Duration(wait)
}

func (p pace) settings() *pb.AgentSettings {
	return &pb.AgentSettings{CheckInInterval: durationpb.New(p.checkIn), InventoryInterval: durationpb.New(p.inventory)}
}

// Enroll exchanges a token for a client certificate.
func (s *Service) Enroll(ctx context.Context, r *pb.EnrollRequest) (*pb.EnrollResponse, error) {
	address := peerAddress(ctx)
	if err := s.guard.allow(address); err != nil {
		s.metrics.enrolled("limited")
		s.metrics.rejected(reason(err))
		return nil, s.answer(err)
	}
	resp, err := s.enroller.Enroll(ctx, address, r)
	if err != nil {
		if blames(err) {
			s.guard.failed(address)
		}
		s.metrics.enrolled("refused")
		s.metrics.rejected(reason(err))
		s.log.Warn("enrolment refused", "peer", address, "hostname", r.GetHostname(), "error", err)
		return nil, s.answer(err)
	}
	s.metrics.enrolled("accepted")
	s.log.Info("agent enrolled", "peer", address, "hostname", r.GetHostname(), "agent_id", resp.GetAgentId())
	resp.Settings = s.pace.settings()
	return resp, nil
}

// Renew replaces a client certificate.
func (s *Service) Renew(ctx context.Context, r *pb.RenewRequest) (*pb.RenewResponse, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	resp, err := s.enroller.Renew(ctx, who, r)
	if err != nil {
		s.metrics.enrolled("renewal_refused")
		s.log.Warn("renewal refused", "agent_id", who.AgentID, "error", err)
		return nil, s.answer(err)
	}
	s.metrics.enrolled("renewed")
	return resp, nil
}

// CheckIn tells an agent which sections are wanted, and which version of itself
// there is for it. It writes nothing but that the agent runs another version
// than before.
func (s *Service) CheckIn(ctx context.Context, r *pb.CheckInRequest) (*pb.CheckInResponse, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	if len(r.GetSections()) > maxSections {
		return nil, s.answer(fmt.Errorf("%w: %d sections, at most %d", errInvalid, len(r.GetSections()), maxSections))
	}
	ref := store.Ref{Source: Source, ID: who.SourceID}
	var head *storagepb.HeadRecord
	err = s.store.View(ctx, func(tx *store.Tx) (err error) {
		head, err = tx.Head(ref)
		return err
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, s.answer(err)
	}
	base := head.GetBaseline()
	resp := &pb.CheckInResponse{Generation: base.GetGeneration(), ServerTime: timestamppb.New(s.now()), NextCheckIn: durationpb.New(s.pace.next()), Settings: s.pace.settings()}
	for _, d := range r.GetSections() {
		if !section.Known(d.GetName()) {
			continue
		}
		if r.GetGeneration() != base.GetGeneration() || !bytes.Equal(d.GetDigest(), base.GetDigests()[d.GetName()]) {
			resp.Wanted = append(resp.Wanted, d.GetName())
		}
	}
	if base != nil && len(resp.Wanted) == 0 {
		s.catalog.Seen(ref, s.now())
	}
	resp.UpdateVersion = s.offered(ctx, who, r)
	s.metrics.checkedIn(len(resp.Wanted) > 0)
	return resp, nil
}
