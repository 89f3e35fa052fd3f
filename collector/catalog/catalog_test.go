package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/identity"
	"github.com/rollcall-itam/rollcall/collector/kv"
	"github.com/rollcall-itam/rollcall/collector/kv/memkv"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

var epoch = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

type fixture struct {
	db kv.DB
	st *store.Store
	c  *catalog.Catalog
	// later sets the clock forward.
	later time.Duration
}

func setup(t testing.TB) *fixture {
	t.Helper()
	db := memkv.New()
	t.Cleanup(func() { _ = db.Close() })
	st, err := store.Open(context.Background(), db)
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{db: db, st: st}
	var mu sync.Mutex
	tick := 0
	now := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		tick++
		return epoch.Add(time.Duration(tick)*time.Second + f.later)
	}
	c := catalog.New(st, now, slog.New(slog.DiscardHandler))
	for source, kind := range map[string]string{"agent": "agent", "jamf": "mdm", "abm": "purchasing"} {
		if err := c.DeclareSource(context.Background(), &storagepb.SourceRecord{Id: source, Kind: kind}); err != nil {
			t.Fatal(err)
		}
	}
	f.c = c
	return f
}

func observe(source, id, serial string) *pb.Observation {
	return &pb.Observation{Source: source, SourceId: id, ObservedAt: timestamppb.New(epoch), Subject: &pb.Observation_Device{Device: &pb.Device{
		Name: source + "-" + id, Hardware: &pb.Hardware{Manufacturer: "Dell", Serial: serial}}}}
}

func (f *fixture) accept(t testing.TB, o *pb.Observation) string {
	t.Helper()
	id, err := f.c.Accept(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (f *fixture) asset(t testing.TB, id string) *pb.Asset {
	t.Helper()
	var a *pb.Asset
	err := f.st.View(context.Background(), func(tx *store.Tx) (err error) {
		a, err = tx.ResolveAsset(id)
		return err
	})
	if err != nil {
		t.Fatalf("asset %s: %v", id, err)
	}
	return a
}

func sources(a *pb.Asset) string {
	var out []string
	for _, s := range a.GetSources() {
		out = append(out, s.Source+"/"+s.SourceId)
	}
	return strings.Join(out, " ")
}

func TestOneThingFromSeveralSourcesIsOneAsset(t *testing.T) {
	f := setup(t)
	a := f.accept(t, observe("agent", "1", "SER-A1"))
	b := f.accept(t, observe("jamf", "1", "ser-a1 "))
	c := f.accept(t, observe("agent", "2", "SER-B2"))
	if a != b || a == c {
		t.Fatalf("assets %s %s %s: want the first two to be one", a, b, c)
	}
	if got := sources(f.asset(t, a)); got != "agent/1 jamf/1" {
		t.Errorf("sources %q", got)
	}
}

func TestWhatJoinsTwoAssetsUnitesThemUnderTheOlderId(t *testing.T) {
	f := setup(t)
	older := f.accept(t, observe("agent", "1", "SER-A1"))
	second := observe("jamf", "1", "")
	second.GetDevice().Hardware.Uuid = "4c4c4544-0042-4d10-8050-b4c04f4d3333"
	second.ObservedAt = timestamppb.New(epoch.Add(time.Second))
	younger := f.accept(t, second)
	both := observe("abm", "1", "SER-A1")
	both.ObservedAt = timestamppb.New(epoch.Add(2 * time.Second))
	both.GetDevice().Hardware.Uuid = second.GetDevice().Hardware.Uuid
	if got := f.accept(t, both); got != older {
		t.Errorf("united under %s, want the older %s", got, older)
	}
	a := f.asset(t, younger)
	if a.Id != older || sources(a) != "abm/1 agent/1 jamf/1" || !slices.Equal(a.Redirects, []string{younger}) {
		t.Errorf("the younger id answers with %s of %q, redirects %v", a.Id, sources(a), a.Redirects)
	}
	// Without the statement that joined them they are two again, and the one
	// that keeps the id is the older.
	alone := observe("abm", "1", "SER-C3")
	alone.ObservedAt = timestamppb.New(epoch.Add(time.Minute))
	if got := f.accept(t, alone); got == older {
		t.Error("a statement that shares nothing stays in the asset")
	}
	if got := sources(f.asset(t, older)); got != "agent/1" {
		t.Errorf("the older asset is made of %q", got)
	}
	if got := f.asset(t, f.accept(t, second)); sources(got) != "jamf/1" {
		t.Errorf("the younger asset is made of %q", sources(got))
	}
}

// A serial that more than fifty records carry identifies nothing, also for the
// fifty that came before it could be known; once enough of them are gone it
// does again.
func TestASerialThatManyClaimUnitesNobody(t *testing.T) {
	f := setup(t)
	assets := func() (n int) {
		_ = f.st.View(context.Background(), func(tx *store.Tx) error {
			return tx.ScanAssets("", func(*pb.Asset) error { n++; return nil })
		})
		return n
	}
	const many = identity.MaxClaimants + 10
	for i := range many {
		f.accept(t, observe("abm", fmt.Sprint(i), "NOT-ON-ANY-LIST"))
		if want := i + 1; i >= identity.MaxClaimants && assets() != want {
			t.Fatalf("%d assets for %d records", assets(), want)
		}
	}
	for i := range 10 {
		if err := f.c.Withdraw(context.Background(), store.Ref{Source: "abm", ID: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if n := assets(); n != 1 {
		t.Errorf("%d assets for %d records with one serial, want 1", n, many-10)
	}
}

func TestAStatementReplacesTheOneBefore(t *testing.T) {
	f := setup(t)
	o := observe("agent", "1", "SER-A1")
	o.GetDevice().Os = &pb.Os{Version: "12"}
	o.GetDevice().Software = []*pb.Software{{Name: "bash"}, {Name: "zsh"}}
	id := f.accept(t, o)
	if a := f.asset(t, id); a.GetSoftwareCount() != 2 || a.Os.GetVersion() != "12" {
		t.Errorf("first: %v", a)
	}
	bare := observe("agent", "1", "SER-A1")
	bare.ObservedAt = timestamppb.New(epoch.Add(time.Second))
	f.accept(t, bare)
	if a := f.asset(t, id); a.Os != nil || a.Provenance["os"] != nil {
		t.Errorf("what is no longer said is still there: %v", a)
	}
}

func TestRefusals(t *testing.T) {
	f := setup(t)
	good := f.accept(t, observe("agent", "1", "SER-A1"))
	before := f.asset(t, good)
	for name, tc := range map[string]struct {
		change func(*pb.Observation)
		want   error
		text   string
	}{
		"undeclared source": {func(o *pb.Observation) { o.Source = "nobody" }, catalog.ErrUndeclared, "PUT /v1/sources/nobody"},
		"no id":             {func(o *pb.Observation) { o.SourceId = "" }, catalog.ErrInvalid, "source_id"},
		"NUL in an id":      {func(o *pb.Observation) { o.SourceId = "a\x00b" }, catalog.ErrInvalid, "NUL"},
		"long id":           {func(o *pb.Observation) { o.SourceId = strings.Repeat("x", 400) }, catalog.ErrInvalid, "at most 320"},
		"no time":           {func(o *pb.Observation) { o.ObservedAt = nil }, catalog.ErrInvalid, "observed_at"},
		"impossible time":   {func(o *pb.Observation) { o.ObservedAt.Seconds = 1 << 60 }, catalog.ErrInvalid, "years 1 to 9999"},
		"NUL in a text":     {func(o *pb.Observation) { o.GetDevice().Hardware.Model = "a\x00" }, catalog.ErrInvalid, "device.hardware.model holds a NUL"},
		"long text":         {func(o *pb.Observation) { o.GetDevice().Name = strings.Repeat("x", 10_000) }, catalog.ErrInvalid, "device.name has 10000 bytes"},
		"many items":        {func(o *pb.Observation) { o.GetDevice().Hardware.Imei = make([]string, 10_001) }, catalog.ErrInvalid, "10001 items"},
		"many labels": {func(o *pb.Observation) {
			o.GetDevice().Labels = map[string]string{}
			for i := range 10_001 {
				o.GetDevice().Labels[fmt.Sprint(i)] = ""
			}
		}, catalog.ErrInvalid, "10001 entries"},
		"nameless software": {func(o *pb.Observation) { o.GetDevice().Software = []*pb.Software{{}} }, catalog.ErrInvalid, "it has no name"},
		"the future":        {func(o *pb.Observation) { o.ObservedAt = timestamppb.New(epoch.AddDate(1, 0, 0)) }, catalog.ErrInvalid, "in the future"},
	} {
		t.Run(name, func(t *testing.T) {
			o := observe("agent", "1", "SER-A1")
			tc.change(o)
			_, err := f.c.Accept(context.Background(), o)
			if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("error %v, want %v with %q", err, tc.want, tc.text)
			}
		})
	}
	if diff := cmp.Diff(before, f.asset(t, good), protocmp.Transform()); diff != "" {
		t.Errorf("a refused statement changed the asset:\n%s", diff)
	}
}

func dump(t testing.TB, db kv.DB) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := db.View(context.Background(), func(tx kv.Tx) error {
		return tx.Scan(nil, nil, func(k, v []byte) error { all[string(k)] = string(v); return nil })
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Rebuild gives back, byte for byte, what was derived as statements came in;
// also where it was damaged.
func TestRebuildGivesTheSameBytes(t *testing.T) {
	statement := rapid.Custom(func(t *rapid.T) *pb.Observation {
		o := observe(rapid.SampledFrom([]string{"agent", "jamf", "abm"}).Draw(t, "source"), rapid.StringMatching(`[0-9]`).Draw(t, "id"),
			rapid.SampledFrom([]string{"", "SER-A1", "SER-B2", "SER-C3", "SER-D4"}).Draw(t, "serial"))
		if extra := rapid.SampledFrom([]string{"", "SER-A1", "SER-B2"}).Draw(t, "other"); extra != "" {
			o.Identifiers = []*pb.Identifier{{Kind: "serial", Scope: "dell", Value: extra}}
		}
		o.ObservedAt = timestamppb.New(epoch.Add(-time.Duration(rapid.IntRange(0, 3).Draw(t, "age")) * time.Hour))
		if n := rapid.IntRange(0, 2).Draw(t, "rows"); n > 0 {
			o.GetDevice().Software = []*pb.Software{{Name: "a"}, {Name: "b"}}[:n]
		}
		return o
	})
	rapid.Check(t, func(rt *rapid.T) {
		f := setup(t)
		for _, o := range rapid.SliceOfN(statement, 1, 15).Draw(rt, "statements") {
			f.accept(t, o)
		}
		if problems := verify(t, f); len(problems) > 0 {
			rt.Fatalf("problems where there are none: %+v", problems)
		}
		want := dump(t, f.db)
		damage := rapid.SampledFrom(slices.Sorted(maps.Keys(want))).Draw(rt, "damage")
		if strings.HasPrefix(damage, "a/") || strings.HasPrefix(damage, "i/") {
			_ = f.db.Update(context.Background(), func(tx kv.Tx) error { return tx.Delete([]byte(damage)) })
			if problems := verify(t, f); len(problems) == 0 || slices.ContainsFunc(problems, func(p store.Problem) bool { return !p.Derived }) {
				rt.Fatalf("%q is missing, problems: %+v", damage, problems)
			}
		}
		stats, err := f.c.Rebuild(context.Background())
		if err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(want, dump(t, f.db)); diff != "" {
			rt.Fatalf("after rebuild of %+v (-want +got):\n%s", stats, diff)
		}
	})
}

func TestChangesTellTheLatestOfEachAsset(t *testing.T) {
	f := setup(t)
	var mu sync.Mutex
	latest := make(map[string]catalog.Change)
	f.c.OnChange(func(c catalog.Change) {
		mu.Lock()
		defer mu.Unlock()
		if c.Kind != catalog.Software && c.Sequence > latest[c.AssetID].Sequence {
			latest[c.AssetID] = c
		}
	})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 20 {
				o := observe("agent", fmt.Sprint(i), fmt.Sprintf("SER-%d%d", i, j%2))
				o.GetDevice().Os = &pb.Os{Build: fmt.Sprint(j)}
				o.ObservedAt = timestamppb.New(epoch.Add(time.Duration(j) * time.Millisecond))
				if _, err := f.c.Accept(context.Background(), o); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for id, c := range latest {
		if c.Asset == nil {
			continue
		}
		if diff := cmp.Diff(f.asset(t, id), c.Asset, protocmp.Transform()); diff != "" {
			t.Errorf("asset %s as told and as stored (-stored +told):\n%s", id, diff)
		}
	}
	if len(latest) != 8 {
		t.Errorf("%d assets told of, want 8", len(latest))
	}
}

func TestLastSeenOutlivesARestart(t *testing.T) {
	f := setup(t)
	ref := store.Ref{Source: "agent", ID: "1"}
	f.accept(t, observe("agent", "1", "SER-A1"))
	later := epoch.Add(time.Hour)
	f.c.Seen(ref, later)
	f.c.Seen(ref, epoch) // out of order
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if err := f.c.Run(ctx); err != nil {
		t.Fatal(err)
	}
	again := catalog.New(f.st, time.Now, slog.New(slog.DiscardHandler))
	if err := again.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	if at, ok := again.LastSeen(ref); !ok || !at.Equal(later) {
		t.Errorf("last seen %v %v, want %v", at, ok, later)
	}
}

func BenchmarkAcceptChanged(b *testing.B) {
	f := setup(b)
	o := observe("agent", "1", "SER-A1")
	o.GetDevice().Os = &pb.Os{Family: "linux", Name: "Debian", Version: "12"}
	for i := 0; b.Loop(); i++ {
		o = proto.CloneOf(o)
		o.GetDevice().Os.Build = fmt.Sprint(i)
		f.accept(b, o)
	}
}
