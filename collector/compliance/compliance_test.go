package compliance

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/expr"
	"github.com/rollcall-itam/rollcall/collector/kv/memkv"
	"github.com/rollcall-itam/rollcall/collector/policy"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const rules = `
rules:
  - id: os-is-new
    version: 1
    title: The system is new
    description: The system is of version 2.
    severity: high
    needs: [os.version]
    require: asset.os.version == "2"
    remediation: Upgrade it.
    references: {}
    examples:
      - {name: new, want: pass, asset: {os: {version: "2"}}}
      - {name: old, want: fail, asset: {os: {version: "1"}}}
  - id: seen-lately
    version: 1
    title: The device reports
    description: The device was heard of within a week.
    severity: low
    needs: [last_seen]
    require: age(asset.last_seen) < duration("168h")
    remediation: Look for it.
    references: {}
    examples:
      - {name: fresh, want: pass, asset: {last_seen: "2026-05-31T12:00:00Z"}}
      - {name: silent, want: fail, asset: {last_seen: "2026-05-01T12:00:00Z"}}
`

type fixture struct {
	t  *testing.T
	c  *catalog.Catalog
	e  *Engine
	st *store.Store

	mu  sync.Mutex
	now time.Time
}

func (f *fixture) clock() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func setup(t *testing.T) *fixture {
	t.Helper()
	db := memkv.New()
	t.Cleanup(func() { _ = db.Close() })
	st, err := store.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, st: st, now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)}
	log := slog.New(slog.DiscardHandler)
	f.c = catalog.New(st, f.clock, log)
	if err := f.c.DeclareSource(t.Context(), &storagepb.SourceRecord{Id: "agent", Kind: "agent", Unique: true}); err != nil {
		t.Fatal(err)
	}
	env, err := expr.New()
	if err != nil {
		t.Fatal(err)
	}
	file := policy.Read("test.yaml", []byte(rules))
	pack, problems := policy.Build(env, file)
	if len(problems) > 0 {
		t.Fatalf("rules: %v", problems)
	}
	f.e = New(Options{Store: st, Catalog: f.c, Pack: pack, Logger: log, Now: f.clock, Env: env, Files: []*policy.File{file}})
	f.c.OnChange(f.e.Changed)
	return f
}

func (f *fixture) report(id, version string) string {
	f.t.Helper()
	asset, err := f.c.Accept(context.Background(), &pb.Observation{Source: "agent", SourceId: id, ObservedAt: timestamppb.New(f.clock()),
		Subject: &pb.Observation_Device{Device: &pb.Device{Hardware: &pb.Hardware{Manufacturer: "Dell", Serial: "SER-" + id}, Os: &pb.Os{Version: version}}}})
	if err != nil {
		f.t.Fatal(err)
	}
	return asset
}

// settle judges what there is to judge.
func (f *fixture) settle() {
	f.t.Helper()
	for more := true; more; {
		var err error
		if more, err = f.e.turn(context.Background()); err != nil {
			f.t.Fatal(err)
		}
	}
}

// find returns findings by asset and rule.
func (f *fixture) find(q Query) []*storagepb.FindingRecord {
	found := f.e.Find(q)
	slices.SortFunc(found, func(a, b *storagepb.FindingRecord) int {
		return cmp.Or(cmp.Compare(a.GetAssetId(), b.GetAssetId()), cmp.Compare(a.GetRule(), b.GetRule()))
	})
	return found
}

func (f *fixture) open() string {
	var out []string
	for _, x := range f.find(Query{}) {
		out = append(out, x.GetRule()+" "+x.GetSeverity())
	}
	return fmt.Sprint(out)
}

func (f *fixture) stored(id string) (open, resolved int) {
	err := f.st.View(context.Background(), func(tx *store.Tx) error {
		return tx.ScanFindingsOf(id, func(x *storagepb.FindingRecord) error {
			if x.GetResolvedAt() == nil {
				open++
			} else {
				resolved++
			}
			return nil
		})
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return open, resolved
}

// A finding opens with the change that makes an asset fail and is resolved by
// the one that mends it; time alone opens one too, without anybody looking at
// every asset.
func TestFindingsFollowChangesAndTime(t *testing.T) {
	f := setup(t)
	id := f.report("1", "1")
	f.settle()
	if got := f.open(); got != "[os-is-new high]" {
		t.Errorf("open: %s", got)
	}
	opened := f.find(Query{})[0].GetOpenedAt().AsTime()
	f.now = f.now.Add(time.Hour)
	f.e.look(id)
	f.settle()
	if again := f.find(Query{})[0].GetOpenedAt().AsTime(); !again.Equal(opened) {
		t.Errorf("a finding that goes on is opened anew at %v", again)
	}
	f.report("1", "2")
	f.settle()
	if got := f.open(); got != "[]" {
		t.Errorf("open after the upgrade: %s", got)
	}
	if open, resolved := f.stored(id); open != 0 || resolved != 1 {
		t.Errorf("%d open and %d resolved findings are stored", open, resolved)
	}
	f.now = f.now.Add(6 * 24 * time.Hour)
	f.settle()
	if got := f.open(); got != "[]" {
		t.Errorf("open a day too early: %s", got)
	}
	f.now = f.now.Add(25 * time.Hour)
	if wait := f.e.untilDue(); wait > time.Second {
		t.Errorf("the engine would sleep for %v", wait)
	}
	f.settle()
	if got := f.open(); got != "[seen-lately low]" {
		t.Errorf("open after a week of silence: %s", got)
	}
	for _, c := range f.e.Counts() {
		for result, ages := range c.Results {
			if want := map[string]int{"os-is-new pass": 1, "seen-lately fail": 1}[c.Rule.ID+" "+string(result)]; ages.Sum() != want {
				t.Errorf("%d assets %s %s, want %d", ages.Sum(), result, c.Rule.ID, want)
			}
		}
	}
	// An asset that is no more has nothing open.
	if err := f.c.Withdraw(context.Background(), store.Ref{Source: "agent", ID: "1"}); err != nil {
		t.Fatal(err)
	}
	f.settle()
	if open, _ := f.stored(id); open != 0 || f.open() != "[]" {
		t.Errorf("after the end %d are stored open, and %s", open, f.open())
	}
}

// What the collector knows itself is judged, too.
func TestWhatTheCollectorKnows(t *testing.T) {
	f := setup(t)
	id := f.report("1", "1")
	end := f.now.AddDate(0, 0, 30)
	err := f.st.Update(context.Background(), func(tx *store.Tx) error {
		return tx.PutEnrolment(&storagepb.EnrolmentRecord{AgentId: "1", CertificateExpiresAt: timestamppb.New(end)})
	})
	if err != nil {
		t.Fatal(err)
	}
	err = f.st.View(context.Background(), func(tx *store.Tx) error {
		a, err := tx.Asset(id)
		if err != nil {
			return err
		}
		r, err := f.e.record(tx, a, nil)
		if err == nil && (!r.CertificateEnd.Equal(end) || r.IdentityIssues == nil || len(r.IdentityIssues) != 0) {
			t.Errorf("known: %+v", r)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	// A twin that is alive at the same time.
	f.now = f.now.Add(time.Hour)
	f.report("1", "1")
	twin := func() {
		_, err := f.c.Accept(context.Background(), &pb.Observation{Source: "agent", SourceId: "2", ObservedAt: timestamppb.New(f.clock()),
			Subject: &pb.Observation_Device{Device: &pb.Device{Hardware: &pb.Hardware{Manufacturer: "Dell", Serial: "SER-1"}}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	twin()
	for range 3 {
		f.now = f.now.Add(26 * time.Hour)
		f.report("1", "1")
		twin()
	}
	err = f.st.View(context.Background(), func(tx *store.Tx) error {
		a, err := tx.ResolveAsset(id)
		if err != nil {
			return err
		}
		issues, err := f.c.Issues(tx, a)
		if fmt.Sprint(issues) != "[collision]" {
			t.Errorf("issues %v", issues)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A restart opens nothing anew.
func TestFindingsOutliveARestart(t *testing.T) {
	f := setup(t)
	f.report("1", "1")
	f.settle()
	opened := f.find(Query{})[0].GetOpenedAt().AsTime()
	f.now = f.now.Add(time.Hour)
	f.e = New(f.e.Options)
	if err := f.e.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.settle()
	if got := f.find(Query{}); len(got) != 1 || !got[0].GetOpenedAt().AsTime().Equal(opened) {
		t.Errorf("after a restart: %v", got)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.e.Run(ctx) }()
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A change of software alone is judged by rules that look at software, and by
// nobody else.
func TestSoftwareAloneChanges(t *testing.T) {
	f := setup(t)
	env, err := expr.New()
	if err != nil {
		t.Fatal(err)
	}
	const banned = `
rules:
  - id: no-telnet
    version: 1
    title: No telnet server
    description: Servers run no telnet server.
    severity: high
    applies: asset.class == "server"
    needs: [software]
    require: "!has_software('telnetd')"
    remediation: Remove it.
    references: {}
    examples:
      - {name: clean, want: pass, asset: {class: server}, software: []}
      - {name: found, want: fail, asset: {class: server}, software: [{name: telnetd, version: "1"}]}
      - {name: other, want: not_applicable, asset: {class: laptop}, software: [{name: telnetd, version: "1"}]}
`
	pack, problems := policy.Build(env, policy.Read("test.yaml", []byte(banned)))
	if len(problems) > 0 {
		t.Fatalf("rules: %v", problems)
	}
	f.e.Replace(pack)
	report := func(id, class, title string) {
		t.Helper()
		_, err := f.c.Accept(t.Context(), &pb.Observation{Source: "agent", SourceId: id, ObservedAt: timestamppb.New(f.clock()),
			Subject: &pb.Observation_Device{Device: &pb.Device{Class: class, Hardware: &pb.Hardware{Manufacturer: "Dell", Serial: "SER-" + id},
				Software: []*pb.Software{{Kind: "deb", Name: title, Version: "1"}}}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	report("1", "server", "openssh")
	report("2", "laptop", "openssh")
	f.settle()
	if got := f.open(); got != "[]" {
		t.Fatalf("open: %s", got)
	}
	report("2", "laptop", "telnetd")
	if more, err := f.e.turn(t.Context()); more || err != nil {
		t.Errorf("an asset is judged anew though no rule looked at its software (%v)", err)
	}
	report("1", "server", "telnetd")
	f.settle()
	if got := f.open(); got != "[no-telnet high]" {
		t.Errorf("open with telnetd: %s", got)
	}
	// As of now a rule looks at this one's software, too.
	report("2", "server", "telnetd")
	f.settle()
	if got := f.open(); got != "[no-telnet high no-telnet high]" {
		t.Errorf("open with two servers: %s", got)
	}
	report("1", "server", "openssh")
	report("2", "server", "openssh")
	f.settle()
	if got := f.open(); got != "[]" {
		t.Errorf("open after telnetd is gone: %s", got)
	}
}
