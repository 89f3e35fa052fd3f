package compliance

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/expr"
	"github.com/rollcall-itam/rollcall/collector/kv/memkv"
	"github.com/rollcall-itam/rollcall/collector/policy"
	"github.com/rollcall-itam/rollcall/collector/policy/eol"
	"github.com/rollcall-itam/rollcall/collector/store"
	"github.com/rollcall-itam/rollcall/pkg/synth"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

var (
	benchAssets = flag.Int("fleet-assets", 1000, "assets of the fleet of BenchmarkFleet")
	benchTitles = flag.Int("fleet-titles", 200, "software titles of each")
	benchRules  = flag.Int("fleet-rules", 200, "rules, of which those that come along are the first")
)

// siteConditions are what sites demand, by the number of the rule.
var siteConditions = []string{
	`has_software("agent-%d", ">= 2.%[1]d")`,
	`!has_software("*toolbar %d*")`,
	`asset.os.family != "linux" || version(asset.os.version) >= version("1.%d")`,
	`asset.os.kernel != "6.1.%d-generic" && asset.os.id in ["debian", "ubuntu", "rhel"]`,
	`asset.hardware.memory_bytes > %d000000`,
	`asset.hardware.cpu.cores >= %d - %[1]d + 2 && asset.hardware.tpm.present`,
	`!has(asset.labels.site%d) || asset.labels.site%[1]d != "x"`,
	`asset.name.startsWith("b%d") || size(asset.name) > 3`,
	`asset.security.local_admins.all(a, a in ["root", "ann%d"])`,
	`age(asset.last_seen) <= days(%d + 20) || known_to("mdm")`,
	`asset.network.interfaces.exists(i, has(i.mac) && i.mac != "00:00:00:00:00:%d")`,
	`asset.storage.volumes.all(v, has(v.encrypted) && v.encrypted && v.mount != "/x%d")`,
}

// manyRules returns the rules that come along, with rules of a site up to n.
func manyRules(tb testing.TB, env *expr.Env, n int) *policy.Pack {
	tb.Helper()
	files, err := policy.Builtin()
	if err != nil {
		tb.Fatal(err)
	}
	builtin, _ := policy.Build(env, files...)
	site := &policy.File{Name: "site.yaml"}
	for i := range n - len(builtin.Rules()) {
		site.Rules = append(site.Rules, &policy.Rule{ID: fmt.Sprint("site-", i), Version: 1, Severity: policy.Low,
			Applies: `asset.class in ["laptop", "desktop", "server"] || !has(asset.stage)`, Require: fmt.Sprintf(siteConditions[i%len(siteConditions)], i)})
	}
	pack, problems := policy.Build(env, append(files, site)...)
	if len(problems) > 0 {
		tb.Fatal(problems[0])
	}
	if len(pack.Rules()) != n {
		tb.Fatalf("%d rules", len(pack.Rules()))
	}
	return pack
}

// benchFleet files n devices of agents, and returns an engine that judges them.
func benchFleet(b *testing.B, n int) *Engine {
	b.Helper()
	db := memkv.New()
	b.Cleanup(func() { _ = db.Close() })
	st, err := store.Open(b.Context(), db)
	if err != nil {
		b.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	c := catalog.New(st, time.Now, log)
	for _, kind := range []string{"agent", "mdm"} {
		if err := c.DeclareSource(b.Context(), &storagepb.SourceRecord{Id: kind, Kind: kind, Unique: true}); err != nil {
			b.Fatal(err)
		}
	}
	fleet := synth.New(1, max(5000, 2**benchTitles), *benchTitles)
	for i := range n {
		d := fleet.Device(i)
		d.Class = "laptop"
		d.Hardware.Serial, d.Hardware.Uuid = fmt.Sprint("SERIAL-", i), fmt.Sprintf("%08x-1111-2222-8333-444455556666", i+1)
		d.Software[i%len(d.Software)] = &pb.Software{Kind: "deb", Name: fmt.Sprint("agent-", i%150), Version: "2.7", Architecture: "amd64"}
		benchAccept(b, c, "agent", i, d)
		benchAccept(b, c, "mdm", i, &pb.Device{Hardware: &pb.Hardware{Manufacturer: d.Hardware.Manufacturer, Serial: d.Hardware.Serial},
			Mdm: &pb.Mdm{Enrolled: proto.Bool(true), LastCheckIn: timestamppb.Now()}, Owner: &pb.Owner{Email: fmt.Sprintf("p%d@example.com", i/2)}})
	}
	env, err := expr.New()
	if err != nil {
		b.Fatal(err)
	}
	table, err := eol.Builtin()
	if err != nil {
		b.Fatal(err)
	}
	e := New(Options{Store: st, Catalog: c, Pack: manyRules(b, env, *benchRules), Logger: log, Now: time.Now, Env: env, Support: table})
	c.OnChange(e.Changed)
	if err := e.load(b.Context()); err != nil {
		b.Fatal(err)
	}
	return e
}

func benchAccept(b *testing.B, c *catalog.Catalog, source string, i int, d *pb.Device) string {
	b.Helper()
	id, err := c.Accept(b.Context(), &pb.Observation{Source: source, SourceId: fmt.Sprint(source, "-", i), ObservedAt: timestamppb.Now(), Subject: &pb.Observation_Device{Device: d}})
	if err != nil {
		b.Fatal(err)
	}
	return id
}

func benchSettle(b *testing.B, e *Engine) {
	b.Helper()
	for more := true; more; {
		var err error
		if more, err = e.turn(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}

// cpu returns the time of the processors that this program has used.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkFleet judges a fleet by 200 rules: whole for the first time, when
// every finding is stored; whole again, as after a change of the rules; and one
// asset that changed. Beside the time it tells that of the processors, since
// others may work on the machine.
func BenchmarkFleet(b *testing.B) {
	e := benchFleet(b, *benchAssets)
	runtime.GC()
	measure := func(name string, assets int, fn func(b *testing.B, n int)) {
		b.Run(name, func(b *testing.B) {
			begun := cpu(b)
			n := 0
			for ; b.Loop(); n++ {
				fn(b, n)
			}
			b.ReportMetric(float64((cpu(b)-begun).Microseconds())/float64(n)/float64(assets), "cpu-us/asset")
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(n)/float64(assets), "us/asset")
		})
	}
	measure("first", *benchAssets, func(b *testing.B, _ int) {
		for id := range e.judged {
			e.judged[id] = judgement{}
		}
		e.tally = newTally(enabled(e.Pack()))
		e.judgeAnew(func() {})
		benchSettle(b, e)
	})
	measure("again", *benchAssets, func(b *testing.B, _ int) {
		e.judgeAnew(func() {})
		benchSettle(b, e)
	})
	ids := slices.Collect(maps.Keys(e.judged))
	measure("change", 1, func(b *testing.B, n int) {
		e.look(ids[n%len(ids)])
		benchSettle(b, e)
	})
}
