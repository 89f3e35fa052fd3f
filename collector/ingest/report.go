package ingest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/enroll"
	"github.com/rollcall-itam/rollcall/collector/store"
	"github.com/rollcall-itam/rollcall/pkg/section"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// errSendAll ends the filing of a report that does not build on what is held.
var errSendAll = errors.New("the report builds on another baseline")

// maxSkew is how far ahead of ours an agent's clock may be before what it says
// of the present is dated by ours.
const maxSkew = 5 * time.Minute

// Report takes in one report.
func (s *Service) Report(stream pb.AgentService_ReportServer) error {
	ctx := stream.Context()
	resp, err := s.measured(ctx, func() inbox { return listen(ctx, stream) })
	if err != nil {
		return err
	}
	return stream.SendAndClose(resp)
}

// ReportSmall takes in one report that is a single message.
func (s *Service) ReportSmall(ctx context.Context, r *pb.ReportRequest) (*pb.ReportResponse, error) {
	return s.measured(ctx, func() inbox { return single(r) })
}

// measured takes in a report, counts it, and answers.
func (s *Service) measured(ctx context.Context, open func() inbox) (*pb.ReportResponse, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	begin := s.now()
	resp, err := s.report(ctx, who, open)
	s.metrics.reported(resp, err, s.now().Sub(begin))
	if err != nil {
		return nil, s.answer(err)
	}
	return resp, nil
}

func (s *Service) report(ctx context.Context, who enroll.Identity, open func() inbox) (*pb.ReportResponse, error) {
	if !s.reports.TryAcquire(1) {
		return nil, errBusy
	}
	defer s.reports.Release(1)
	in := open()
	first, err := in.next()
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: it has no message", errInvalid)
	}
	if err != nil {
		return nil, err
	}
	header := first.GetHeader()
	payload, decoded, err := checkHeader(header)
	if err != nil {
		return nil, err
	}
	// Memory for payload and content is bounded over all reports under way.
	if err := s.reserve(ctx, payload+decoded); err != nil {
		return nil, err
	}
	defer s.memory.Release(payload + decoded)
	data, err := joinPayload(in, first, payload)
	if err != nil {
		return nil, err
	}
	sections, err := decode(s.decoder, s.store, header, data)
	if err != nil {
		return nil, err
	}
	s.metrics.received(len(data), sections)
	return s.file(ctx, who, header, sections)
}

// maxWait is how long a report waits for memory that others hold.
const maxWait = 10 * time.Second

// reserve waits a while for memory; it is to be released.
func (s *Service) reserve(ctx context.Context, bytes int64) error {
	wait, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	if err := s.memory.Acquire(wait, bytes); err != nil {
		return errBusy
	}
	return nil
}

// file hands a checked report to the catalog.
func (s *Service) file(ctx context.Context, who enroll.Identity, h *pb.ReportHeader, sections []received) (*pb.ReportResponse, error) {
	for _, r := range sections {
		if err := s.store.PrepareTitles(ctx, r.added); err != nil {
			return nil, err
		}
	}
	ref := store.Ref{Source: Source, ID: who.SourceID}
	observed, problems := s.dated(h)
	var generation int64
	drifted := false
	labels := labelsDigest(who.Labels)
	id, err := s.catalog.Apply(ctx, ref, func(held *catalog.Held) (*catalog.Statement, error) {
		base := held.Head.GetBaseline()
		next, err := advance(base, h, sections)
		if err != nil {
			return nil, err
		}
		generation = next.GetGeneration()
		next.Labels = labels
		next.ClockAheadSeconds = s.ahead(h)
		drifted = base != nil && drift(base, next)
		st := &catalog.Statement{Baseline: next,
			Observation: &pb.Observation{Source: ref.Source, SourceId: ref.ID, ObservedAt: observed, Problems: problems}}
		taken := weigh(st, held.Head.GetSections(), sections)
		st.SameContent = !taken && held.Head != nil && bytes.Equal(base.GetLabels(), labels)
		if !st.SameContent {
			before, err := held.Observation()
			if err != nil {
				return nil, err
			}
			st.Observation.Subject = &pb.Observation_Device{Device: assemble(before.GetDevice(), sections, who.Labels)}
		}
		return st, nil
	})
	if errors.Is(err, errSendAll) {
		return &pb.ReportResponse{SendAll: true}, nil
	}
	if err != nil {
		return nil, err
	}
	s.catalog.Seen(ref, s.now())
	if drifted && s.onDrift != nil {
		s.onDrift(id)
	}
	return &pb.ReportResponse{Generation: generation, AssetId: id, NextCheckIn: durationpb.New(s.pace.next())}, nil
}

// dated returns when the report was made, by our clock where the agent's is
// ahead or missing, and the problems with that one added.
func (s *Service) dated(h *pb.ReportHeader) (*timestamppb.Timestamp, []*pb.Problem) {
	now := s.now()
	at := h.GetObservedAt()
	if at != nil && at.AsTime().Before(now.Add(maxSkew)) && at.AsTime().Year() >= 2000 {
		return at, h.GetProblems()
	}
	text := "the report has no time"
	if at != nil {
		text = fmt.Sprintf("the device's clock differs from the collector's by %v: set it by NTP", at.AsTime().Sub(now).Round(time.Second))
	}
	return timestamppb.New(now), append(slices.Clone(h.GetProblems()), &pb.Problem{Section: section.OS, Fact: "clock", Error: text})
}

// ahead returns how far the agent's clock is ahead of ours, in seconds, nil where
// it does not say.
func (s *Service) ahead(h *pb.ReportHeader) *int64 {
	if h.GetSentAt().CheckValid() != nil {
		return nil
	}
	ahead := int64(h.GetSentAt().AsTime().Sub(s.now()) / time.Second)
	return &ahead
}

// drift tells whether a clock went another way by more than what calls take to
// arrive.
func drift(before, now *storagepb.BaselineRecord) bool {
	moved := before.GetClockAheadSeconds() - now.GetClockAheadSeconds()
	return moved > driftTold || moved < -driftTold || (before.ClockAheadSeconds == nil) != (now.ClockAheadSeconds == nil)
}

// driftTold is how many seconds a clock has to move to have the asset judged
// again.
const driftTold = 60

// advance returns the baseline after a report, or errSendAll where the report
// does not build on the one that is held.
func advance(base *storagepb.BaselineRecord, h *pb.ReportHeader, sections []received) (*storagepb.BaselineRecord, error) {
	next := &storagepb.BaselineRecord{Digests: make(map[string][]byte), SoftwareHeld: base.GetSoftwareHeld()}
	switch {
	case h.GetBaseGeneration() == 0:
		next.Generation = base.GetGeneration() + 1
		if base == nil {
			var err error
			if next.Generation, err = firstGeneration(); err != nil {
				return nil, err
			}
		}
	case h.GetBaseGeneration() != base.GetGeneration():
		return nil, errSendAll
	default:
		next.Generation = base.GetGeneration() + 1
		for name, digest := range base.GetDigests() {
			next.Digests[name] = digest
		}
	}
	for _, r := range sections {
		if !r.hasPayload() {
			continue
		}
		if r.head.GetDelta() && !bytes.Equal(r.head.GetBaseDigest(), base.GetSoftwareHeld()) {
			return nil, errSendAll
		}
		next.Digests[r.head.GetName()] = r.head.GetDigest()
	}
	return next, nil
}

// firstGeneration is random, so that a baseline of an earlier life of the
// agent or of the collector never matches by chance.
func firstGeneration() (int64, error) {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return 0, fmt.Errorf("begin a baseline: %w", err)
	}
	return int64(binary.BigEndian.Uint64(b[:])>>2 | 1), nil
}

// labelsDigest tells apart what a device was stored with.
func labelsDigest(labels map[string]string) []byte {
	sum := sha256.New()
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		fmt.Fprintf(sum, "%d %s %d %s\n", len(k), k, len(labels[k]), labels[k])
	}
	return sum.Sum(nil)[:16]
}

// weigh decides which of the sections that arrived are taken, notes in the
// statement how complete each is from then on and what changes of the software,
// and tells whether any other section is taken.
func weigh(st *catalog.Statement, held []*pb.SectionStatus, sections []received) (content bool) {
	states := make(map[string]*pb.SectionStatus, len(held))
	for _, s := range held {
		states[s.GetName()] = s
	}
	for i := range sections {
		r := &sections[i]
		if !r.known {
			continue
		}
		name := r.head.GetName()
		state := &pb.SectionStatus{Name: name, State: r.head.GetState(), Reason: r.head.GetReason(), CompleteAt: states[name].GetCompleteAt()}
		states[name] = state
		// What a complete section said outlives a partial one: absence in it
		// proves nothing.
		r.taken = r.hasPayload() && (state.State != section.Partial || state.CompleteAt == nil)
		if !r.taken {
			continue
		}
		if state.State == section.Complete {
			state.CompleteAt = st.Observation.GetObservedAt()
		}
		if name != section.Software {
			content = true
			continue
		}
		st.Software = catalog.SoftwareChange{Replace: !r.head.GetDelta(), Removed: r.removed, Added: r.added}
		st.Baseline.SoftwareHeld = r.head.GetDigest()
	}
	for _, name := range section.Names() {
		if s := states[name]; s != nil {
			st.Observation.Sections = append(st.Observation.Sections, s)
		}
	}
	return content
}

// assemble returns what is held of a device, changed by the sections that are
// taken.
func assemble(held *pb.Device, sections []received, labels map[string]string) *pb.Device {
	device := &pb.Device{Labels: labels}
	if d := held; d != nil {
		device.Name, device.Class, device.Hardware, device.Os, device.Patch = d.Name, d.Class, d.Hardware, d.Os, d.Patch
		device.Security, device.Mdm, device.Edr, device.PrimaryUser = d.Security, d.Mdm, d.Edr, d.PrimaryUser
		device.Network, device.Storage, device.Identifiers = d.Network, d.Storage, d.Identifiers
	}
	for _, r := range sections {
		if r.taken && r.head.GetName() != section.Software {
			section.Replace(device, r.device, r.head.GetName())
		}
	}
	return device
}
