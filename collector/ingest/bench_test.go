package ingest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/enroll"
	"github.com/rollcall-itam/rollcall/collector/kv/memkv"
	"github.com/rollcall-itam/rollcall/collector/store"
	"github.com/rollcall-itam/rollcall/pkg/section"
	"github.com/rollcall-itam/rollcall/pkg/synth"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// titles is how many software rows the devices of the benchmarks have.
const titles = 1000

func service(t testing.TB) *Service {
	t.Helper()
	db := memkv.New()
	t.Cleanup(func() { _ = db.Close() })
	st, err := store.Open(context.Background(), db)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	s, err := New(context.Background(), Options{Store: st, Catalog: catalog.New(st, time.Now, log), Logger: log, Now: time.Now, Metrics: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// wire is a report as it arrives.
type wire struct {
	header  *pb.ReportHeader
	payload []byte
}

func (w *wire) add(tb testing.TB, enc *zstd.Encoder, h *pb.SectionHeader, encoded []byte) {
	tb.Helper()
	packed := enc.EncodeAll(encoded, nil)
	h.State, h.PayloadBytes, h.DecodedBytes = section.Complete, int64(len(packed)), int64(len(encoded))
	w.header.Sections, w.payload = append(w.header.Sections, h), append(w.payload, packed...)
}

func newEncoder(tb testing.TB) *zstd.Encoder {
	tb.Helper()
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = enc.Close() })
	return enc
}

// whole is a report of all sections of a device.
func whole(tb testing.TB, enc *zstd.Encoder, d *pb.Device) wire {
	tb.Helper()
	w := wire{header: &pb.ReportHeader{ObservedAt: timestamppb.Now()}}
	for _, name := range section.Names() {
		encoded, err := section.Encode(d, name)
		if err != nil {
			tb.Fatal(err)
		}
		digest, err := section.Digest(name, encoded)
		if err != nil {
			tb.Fatal(err)
		}
		w.add(tb, enc, &pb.SectionHeader{Name: name, Digest: digest}, encoded)
	}
	return w
}

// take does what Report does once a report has arrived.
func (s *Service) take(tb testing.TB, source string, w wire) *pb.ReportResponse {
	tb.Helper()
	if _, _, err := checkHeader(w.header); err != nil {
		tb.Fatal(err)
	}
	sections, err := decode(s.decoder, s.store, w.header, w.payload)
	if err != nil {
		tb.Fatal(err)
	}
	resp, err := s.file(context.Background(), enroll.Identity{AgentID: source, SourceID: source}, w.header, sections)
	if err != nil || resp.GetSendAll() {
		tb.Fatalf("%v %v", resp, err)
	}
	return resp
}

// The cost of a full report of 1,000 titles, from its bytes to its asset, on an
// engine that costs next to nothing. With -benchtime=1000x each is the first of
// its device.
func BenchmarkReportFull(b *testing.B) {
	const devices = 1000
	s, fleet, enc := service(b), synth.New(1, 5000, titles), newEncoder(b)
	reports := make([]wire, devices)
	bytes := 0
	for i := range reports {
		reports[i] = whole(b, enc, fleet.Device(i))
		bytes += len(reports[i].payload)
	}
	for n := 0; b.Loop(); n++ {
		s.take(b, fmt.Sprint("agent-", n%devices), reports[n%devices])
	}
	b.ReportMetric(float64(bytes)/devices, "payload-B")
}

// The cost of a change of 20 titles.
func BenchmarkReportDelta(b *testing.B) {
	s, fleet, enc := service(b), synth.New(1, 5000, titles), newEncoder(b)
	device := fleet.Device(0)
	first := whole(b, enc, device)
	generation := s.take(b, "agent", first).GetGeneration()
	var digest []byte
	for _, h := range first.header.Sections {
		if h.GetName() == section.Software {
			digest = h.GetDigest()
		}
	}
	const variants = 64
	states := [][]*pb.Software{device.Software}
	var deltas [variants]wire
	for i := range deltas {
		last := states[i]
		next := synth.Upgrade(last, 20, i+1)
		if i == variants-1 {
			next = states[0]
		}
		deltas[i], digest = change(b, enc, digest, last, next)
		states = append(states, next)
	}
	for n := 0; b.Loop(); n++ {
		w := deltas[n%variants]
		w.header.BaseGeneration = generation
		generation = s.take(b, "agent", w).GetGeneration()
	}
}

// change is the report of a delta between two lists of rows of one length.
func change(tb testing.TB, enc *zstd.Encoder, base []byte, from, to []*pb.Software) (wire, []byte) {
	tb.Helper()
	sum, d := section.Sum(base), new(pb.SoftwareDelta)
	hash := func(s *pb.Software) [32]byte {
		b, err := proto.MarshalOptions{Deterministic: true}.Marshal(s)
		if err != nil {
			tb.Fatal(err)
		}
		return sha256.Sum256(b)
	}
	for i := range from {
		if proto.Equal(from[i], to[i]) {
			continue
		}
		d.Removed, d.Added = append(d.Removed, from[i]), append(d.Added, to[i])
		sum.Sub(hash(from[i]))
		sum.Add(hash(to[i]))
	}
	encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(d)
	if err != nil {
		tb.Fatal(err)
	}
	w := wire{header: &pb.ReportHeader{ObservedAt: timestamppb.Now()}}
	w.add(tb, enc, &pb.SectionHeader{Name: section.Software, Digest: sum[:], Delta: true, BaseDigest: base}, encoded)
	return w, sum[:]
}

// The cost of a check-in at which nothing has changed, without what gRPC takes.
func BenchmarkCheckIn(b *testing.B) {
	s, fleet, enc := service(b), synth.New(1, 5000, titles), newEncoder(b)
	w := whole(b, enc, fleet.Device(0))
	r := &pb.CheckInRequest{Generation: s.take(b, "agent", w).GetGeneration()}
	for _, h := range w.header.Sections {
		r.Sections = append(r.Sections, &pb.SectionDigest{Name: h.GetName(), Digest: h.GetDigest()})
	}
	ctx := context.WithValue(context.Background(), callerKey{}, enroll.Identity{AgentID: "agent", SourceID: "agent"})
	for b.Loop() {
		if resp, err := s.CheckIn(ctx, r); err != nil || len(resp.GetWanted()) != 0 {
			b.Fatalf("%v %v", resp, err)
		}
	}
}
