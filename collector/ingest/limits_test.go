package ingest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/rollcall-itam/rollcall/collector/enroll"
	"github.com/rollcall-itam/rollcall/collector/store"
	"github.com/rollcall-itam/rollcall/pkg/section"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// slow is the stream of an agent that sends what it is told to and then nothing
// until its call is over.
type slow struct {
	grpc.ServerStreamingServer[pb.ReportResponse]
	ctx  context.Context
	over chan struct{}
	send []*pb.ReportRequest
}

func (s *slow) Context() context.Context { return s.ctx }

func (s *slow) SendAndClose(*pb.ReportResponse) error { return nil }

func (s *slow) Recv() (*pb.ReportRequest, error) {
	if len(s.send) > 0 {
		m := s.send[0]
		s.send = s.send[1:]
		return m, nil
	}
	<-s.over
	return nil, context.Canceled
}

// call makes one call of an agent that stops after a header, with the given
// deadline of the server.
func call(t *testing.T, s *Service, deadline time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithValue(context.Background(), callerKey{}, enroll.Identity{AgentID: "a", SourceID: "a"}), deadline)
	defer cancel()
	stream := &slow{ctx: ctx, over: make(chan struct{}), send: []*pb.ReportRequest{{Header: &pb.ReportHeader{Sections: []*pb.SectionHeader{
		{Name: section.OS, State: section.Complete, Digest: make([]byte, 32), PayloadBytes: 100, DecodedBytes: 1000}}}}}}
	defer close(stream.over)
	return s.Report(stream)
}

func wantRetry(t *testing.T, err error, code codes.Code, retry time.Duration) {
	t.Helper()
	var got time.Duration
	for _, d := range grpcstatus.Convert(err).Details() {
		if info, ok := d.(*errdetails.RetryInfo); ok {
			got = info.GetRetryDelay().AsDuration()
		}
	}
	if grpcstatus.Code(err) != code || got != retry {
		t.Errorf("%v, retry after %v; want %v and %v", err, got, code, retry)
	}
}

// An agent that sends a header and then nothing gives back what it holds.
func TestAReportThatDoesNotArriveEnds(t *testing.T) {
	s := service(t)
	for range 3 {
		wantRetry(t, call(t, s, 10*time.Millisecond), codes.DeadlineExceeded, 0)
	}
	if !s.reports.TryAcquire(maxReports) || !s.memory.TryAcquire(memoryForReports) {
		t.Error("what the reports held is not given back")
	}
}

func TestABusyCollectorSaysSo(t *testing.T) {
	s := service(t)
	if !s.reports.TryAcquire(maxReports) {
		t.Fatal("a new service has reports under way")
	}
	wantRetry(t, call(t, s, time.Minute), codes.ResourceExhausted, retryBusy)
	s.reports.Release(maxReports)
	if !s.memory.TryAcquire(memoryForReports - 1000) {
		t.Fatal("a new service holds memory")
	}
	wantRetry(t, call(t, s, 10*time.Millisecond), codes.ResourceExhausted, retryBusy)
}

// What went wrong inside is not told to agents; what they can mend is.
func TestWhatAgentsHearOfErrors(t *testing.T) {
	s := service(t)
	err := s.answer(errors.New("open /var/lib/secret: input/output error"))
	if grpcstatus.Code(err) != codes.Internal || strings.Contains(err.Error(), "secret") {
		t.Errorf("an inner error is told as %v", err)
	}
	wantRetry(t, s.answer(fmt.Errorf("file: %w", store.ErrFull)), codes.ResourceExhausted, retryFull)
	if err := s.answer(fmt.Errorf("enrol: %w", enroll.ErrUsedUp)); !strings.Contains(err.Error(), "rollcall token create") {
		t.Errorf("a spent token is told as %v", err)
	}
}

func TestGuessersAreTakenTogether(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	g, err := newGuard(func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	for i := range failureBurst {
		g.failed(fmt.Sprintf("2001:db8:1:2::%x", i))
	}
	for address, refused := range map[string]bool{"2001:db8:1:2:ffff::1": true, "2001:db8:1:3::1": false, "192.0.2.1": false, "": false, "fe80::1%eth0": false} {
		if err := g.allow(address); (err != nil) != refused {
			t.Errorf("from %q: %v, want refused %v", address, err, refused)
		}
	}
	for i := range allFailureBurst {
		g.failed(fmt.Sprintf("10.0.%d.%d", i>>8, i&255))
	}
	if g.allow("192.0.2.1") == nil {
		t.Error("a guesser with many addresses is not slowed down")
	}
	now = now.Add(time.Minute)
	if err := g.allow("192.0.2.1"); err != nil {
		t.Errorf("a minute later: %v", err)
	}
}

func TestTheFleetCanBeSlowedDown(t *testing.T) {
	for stretch, want := range map[float64]time.Duration{-1: time.Minute, 1: time.Minute, 3: 3 * time.Minute, 1000: maxStretch * time.Minute} {
		p := pace{checkIn: time.Minute, stretch: func() float64 { return stretch }}
		seen := map[time.Duration]bool{}
		for range 100 {
			got := p.next()
			seen[got] = true
			if got < want*9/10 || got > want*11/10 {
				t.Errorf("stretched %v times: %v, want 10 %% around %v", stretch, got, want)
			}
		}
		if len(seen) < 50 {
			t.Errorf("stretched %v times: only %d different waits of 100: the fleet would come at once", stretch, len(seen))
		}
	}
}
