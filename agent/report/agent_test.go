package report

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/pkg/section"
	"github.com/rollcall-itam/rollcall/pkg/synth"
	"github.com/rollcall-itam/rollcall/pkg/tlsconf"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errLost = grpcstatus.Error(codes.Unavailable, "the connection was lost")

// bench is one agent's surroundings: a state folder that outlives it, a clock,
// a collector.
type bench struct {
	t       *testing.T
	c       *collector
	dir     string
	token   string
	ids     map[string]string
	clock   time.Time
	packer  *Packer
	trust   Trust
	logged  *records
	dialing func(*Dialer)
}

func newBench(t *testing.T, c *collector) *bench {
	t.Helper()
	p, err := NewPacker(1)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, c: c, dir: t.TempDir(), token: "rce_one", ids: map[string]string{IDSystemUUID: "u1", IDMachine: "m1"}, clock: time.Now(),
		packer: p, trust: Trust{Authorities: trusted(c)}, logged: new(records)}
	c.now = func() time.Time { return b.clock }
	return b
}

// start starts the agent on its folder, as after a restart.
func (b *bench) start() *Agent {
	b.t.Helper()
	a, err := b.open()
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(a.Close)
	return a
}

func (b *bench) open() (*Agent, error) {
	folder, err := OpenFolder(b.dir)
	if err != nil {
		return nil, err
	}
	d := Dialer{Addr: b.c.addr}
	if b.dialing != nil {
		b.dialing(&d)
	}
	return New(Options{
		Dialer: d, Trust: b.trust, Folder: folder, Packer: b.packer, Version: "1.2.3-4-gabcdef12", Platform: "linux/amd64",
		Machine: Machine{Hostname: "host", BootID: "0b6f5d8e52a14a3c8f102f6a9f0f3c11", IDs: b.ids},
		Token: func() (Token, error) {
			if b.token == "" {
				return Token{}, ErrNoToken
			}
			return Token{Secret: b.token}, nil
		},
		Now: func() time.Time { return b.clock }, Random: func() float64 { return 0.5 }, Log: slog.New(b.logged),
	})
}

func (b *bench) exchange(a *Agent, d *pb.Device, states ...*pb.SectionStatus) Answer {
	b.t.Helper()
	answer, err := a.Exchange(b.t.Context(), b.pack(d, states...))
	if err != nil {
		b.t.Fatal(err)
	}
	return answer
}

func (b *bench) pack(d *pb.Device, states ...*pb.SectionStatus) *Inventory {
	b.t.Helper()
	inv, err := b.packer.Pack(&pb.Observation{ObservedAt: timestamppb.New(b.clock), Sections: states, Subject: &pb.Observation_Device{Device: d}})
	if err != nil {
		b.t.Fatal(err)
	}
	return inv
}

// held checks that the collector holds the device, whatever the order of its
// software.
func (b *bench) held(a *Agent, want *pb.Device) {
	b.t.Helper()
	byName := protocmp.SortRepeated(func(x, y *pb.Software) bool { return x.GetName()+x.GetVersion() < y.GetName()+y.GetVersion() })
	if diff := cmp.Diff(want, b.c.byID[a.ID()].device, protocmp.Transform(), byName); diff != "" {
		b.t.Errorf("the collector holds another device (-want +got):\n%s", diff)
	}
	// The device's user is shown exactly that.
	shown, err := ReadReported(b.dir)
	if err != nil {
		b.t.Fatal(err)
	}
	o, err := shown.Observation()
	if err != nil {
		b.t.Fatal(err)
	}
	if diff := cmp.Diff(b.c.byID[a.ID()].device, o.GetDevice(), protocmp.Transform(), byName); diff != "" {
		b.t.Errorf("shown is another device than the collector holds (-held +shown):\n%s", diff)
	}
}

// records keeps what was logged.
type records struct{ messages []string }

func (r *records) Enabled(context.Context, slog.Level) bool { return true }
func (r *records) Handle(_ context.Context, rec slog.Record) error {
	text := rec.Message
	rec.Attrs(func(a slog.Attr) bool { text += fmt.Sprintf(" %s=%v", a.Key, a.Value); return true })
	r.messages = append(r.messages, text)
	return nil
}
func (r *records) WithAttrs([]slog.Attr) slog.Handler { return r }
func (r *records) WithGroup(string) slog.Handler      { return r }

func device(seed int) *pb.Device { return synth.New(1, 400, 150).Device(seed) }

// reported returns the sections of the last report that have a payload.
func (c *collector) reported() []string {
	var names []string
	for _, s := range c.reports[len(c.reports)-1].GetSections() {
		if s.GetPayloadBytes() > 0 {
			names = append(names, s.GetName())
		}
	}
	return names
}

func TestOnlyWhatChangedIsSent(t *testing.T) {
	c := newCollector(t)
	b := newBench(t, c)
	a, d := b.start(), device(1)
	if got := b.exchange(a, d); len(got.Sections) != 9 || got.AssetID != "asset" || a.ID() == "" {
		t.Errorf("first exchange of %q: %+v", a.ID(), got)
	}
	b.held(a, d)
	if got := b.exchange(a, d); len(got.Sections) != 0 || len(c.reports) != 1 || got.NextCheckIn != 5*time.Minute {
		t.Errorf("an unchanged device is reported again: %+v", got)
	}
	d = proto.CloneOf(d)
	d.Os.Kernel = "6.9"
	b.exchange(a, d)
	if diff := cmp.Diff([]string{section.OS}, c.reported()); diff != "" {
		t.Errorf("sections sent after a new kernel (-want +got):\n%s", diff)
	}
	b.held(a, d)

	// A restart forgets nothing that matters.
	a = b.start()
	if b.exchange(a, d); len(c.reports) != 2 {
		t.Errorf("%d reports, want none after a restart", len(c.reports)-2)
	}
}

func TestSoftwareTravelsAsDelta(t *testing.T) {
	c := newCollector(t)
	b := newBench(t, c)
	a, d := b.start(), device(1)
	full := b.exchange(a, d)
	for round := range 3 {
		d = proto.CloneOf(d)
		d.Software = synth.Upgrade(d.Software, 5, round+1)
		// A row that repeats and one that goes.
		d.Software = append(d.Software[1:], d.Software[2])
		got := b.exchange(a, d)
		if !got.Delta || got.Bytes*3 > full.Bytes {
			t.Errorf("round %d: %+v, want a delta of much less than %d bytes", round, got, full.Bytes)
		}
		b.held(a, d)
	}
	// What was acknowledged is in memory only: after a restart it goes whole.
	a, d = b.start(), proto.CloneOf(d)
	d.Software = synth.Upgrade(d.Software, 5, 9)
	if got := b.exchange(a, d); got.Delta {
		t.Errorf("a delta on a base that the agent does not have: %+v", got)
	}
	b.held(a, d)
	// A delta that would cost more than the whole is not made.
	d = proto.CloneOf(d)
	d.Software = device(2).Software[:3]
	if got := b.exchange(a, d); got.Delta {
		t.Errorf("a delta where the whole is smaller: %+v", got)
	}
	b.held(a, d)
}

func TestBaselineThatDoesNotMatchIsSentWhole(t *testing.T) {
	c := newCollector(t)
	b := newBench(t, c)
	a, d := b.start(), device(1)
	b.exchange(a, d)
	full := func(what string) {
		t.Helper()
		if last := c.reports[len(c.reports)-1]; last.GetBaseGeneration() != 0 || len(last.GetSections()) != 9 {
			t.Errorf("%s: base %d and %d sections, want all", what, last.GetBaseGeneration(), len(last.GetSections()))
		}
		b.held(a, d)
	}
	// The collector was restored from a backup.
	c.byID[a.ID()].generation += 7
	b.exchange(a, d)
	full("another generation")

	// The collector changes its mind between check-in and report.
	d = proto.CloneOf(d)
	d.Software = synth.Upgrade(d.Software, 5, 1)
	c.sendAll = 1
	before := len(c.reports)
	b.exchange(a, d)
	full("send_all")
	if n := len(c.reports) - before; n != 2 {
		t.Errorf("%d reports, want the refused one and a full one", n)
	}
	// It must not become a loop.
	d = proto.CloneOf(d)
	d.Os.Kernel = "7"
	c.sendAll, before = 100, len(c.reports)
	if _, err := a.Exchange(t.Context(), b.pack(d)); !errors.Is(err, ErrStillMismatched) || Permanent(err) {
		t.Errorf("error %v, want one that is tried again later", err)
	}
	if n := len(c.reports) - before; n != 2 {
		t.Errorf("%d reports to a collector that is never content, want 2", n)
	}
	c.sendAll = 0
	b.exchange(a, d)
	b.held(a, d)
}

func TestStatusThatIsLostCostsAFullReport(t *testing.T) {
	c := newCollector(t)
	b := newBench(t, c)
	a, d := b.start(), device(1)
	b.exchange(a, d)
	for _, text := range []string{"", "{", `{"generation":1,"unknown":2}`, `{"agent_id":"somebody else","generation":1}`} {
		if err := os.WriteFile(b.dir+"/"+statusFile, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		id := a.ID()
		a = b.start()
		if got := b.exchange(a, d); len(got.Sections) != 9 || a.ID() != id {
			t.Errorf("with status %q: %+v as %s, want all as %s", text, got, a.ID(), id)
		}
		b.held(a, d)
	}
}

// A section without content removes nothing, and its state is told once.
func TestStateOfASectionIsReported(t *testing.T) {
	c := newCollector(t)
	b := newBench(t, c)
	a, d := b.start(), device(1)
	b.exchange(a, d)
	failed := &pb.SectionStatus{Name: section.Software, State: section.Failed, Reason: "dpkg: \x00 broken"}
	for range 2 {
		b.exchange(a, &pb.Device{Name: d.Name, Class: d.Class, Hardware: d.Hardware, Os: d.Os, Patch: d.Patch, Security: d.Security,
			PrimaryUser: d.PrimaryUser, Network: d.Network, Storage: d.Storage}, failed)
	}
	b.held(a, d)
	if state := c.byID[a.ID()].states[section.Software]; state != section.Failed || len(c.reports) != 2 {
		t.Errorf("state %s in %d reports, want failed in 2", state, len(c.reports))
	}
	// Well again, with the same content as before: that is told as well.
	b.exchange(a, d)
	if state := c.byID[a.ID()].states[section.Software]; state != section.Complete {
		t.Errorf("state %s, want complete again", state)
	}
	n := len(c.reports)
	inv := func() *Inventory {
		i, err := b.packer.Pack(&pb.Observation{Subject: &pb.Observation_Device{Device: d},
			Problems: []*pb.Problem{{Section: "os", Fact: "x", Error: "no\xffsuch file"}}})
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	for range 2 {
		if _, err := a.Exchange(t.Context(), inv()); err != nil {
			t.Fatal(err)
		}
	}
	if got := c.byID[a.ID()].problems; len(c.reports) != n+1 || len(got) != 1 || got[0].GetError() != "no?such file" {
		t.Errorf("%d more reports with problems %v, want one with one", len(c.reports)-n, got)
	}
}

func TestConnectionsEndAndSessionsResume(t *testing.T) {
	c := newCollector(t)
	b := newBench(t, c)
	a, d := b.start(), device(1)
	for range 3 {
		b.exchange(a, d)
		c.waitClosed()
	}
	if n := len(c.resumed); !slices.Contains(c.resumed, true) || !c.resumed[n-1] {
		t.Errorf("resumed: %v, want the later connections to be", c.resumed)
	}
}

func TestRefusals(t *testing.T) {
	c := newCollector(t)
	b := newBench(t, c)
	a, d := b.start(), device(1)
	b.exchange(a, d)
	c.byID[a.ID()].revoked = true
	id := a.ID()
	b.token = "rce_two"
	for range 2 {
		if _, err := a.Exchange(t.Context(), b.pack(d)); !errors.Is(err, ErrRevoked) || !Permanent(err) {
			t.Errorf("revoked: %v", err)
		}
	}
	if a.ID() != id || c.tokens["rce_two"] != "" {
		t.Error("a revoked agent enrolled anew by itself")
	}
	sum, err := Summarise(b.dir)
	if err != nil || sum.AgentID != id || sum.LastError == "" || sum.LastReport.IsZero() {
		t.Errorf("summary %+v, %v", sum, err)
	}

	// An agent that the collector has lost enrols anew, once an hour at most.
	delete(c.byID, id)
	b.exchange(a, d)
	if a.ID() == id {
		t.Error("an unknown agent did not enrol anew")
	}
	b.held(a, d)
	delete(c.byID, a.ID())
	b.token = "rce_three"
	if _, err := a.Exchange(t.Context(), b.pack(d)); !errors.Is(err, ErrUnknown) || c.tokens["rce_three"] != "" {
		t.Errorf("a second time within the hour: %v", err)
	}
	b.clock = b.clock.Add(time.Hour)
	b.exchange(a, d)
}

func TestWhomAnAgentTrusts(t *testing.T) {
	c, other := newCollector(t), newAuthority(t, "other CA")
	b := newBench(t, c)
	pin := tlsconf.PinOf(c.ca.cert)
	for name, tc := range map[string]struct {
		trust Trust
		good  bool
	}{
		"its CA":     {Trust{Authorities: trusted(c)}, true},
		"its pin":    {Trust{Pin: pin}, true},
		"other CA":   {Trust{Authorities: certificates(other)}, false},
		"other pin":  {Trust{Pin: tlsconf.PinOf(other.cert)}, false},
		"nobody":     {Trust{}, false},
		"agents' CA": {Trust{Pin: tlsconf.PinOf(c.agents.cert)}, false},
	} {
		b.dir, b.trust = t.TempDir(), tc.trust
		c.tokens["rce_one"] = ""
		_, err := b.start().Exchange(t.Context(), b.pack(device(1)))
		if tc.good != (err == nil) {
			t.Errorf("%s: %v", name, err)
		}
		if used := c.tokens["rce_one"] != ""; used != tc.good {
			t.Errorf("%s: the token reached the collector: %v", name, used)
		}
	}
}
