package view

import (
	"flag"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/store"
	"github.com/rollcall-itam/rollcall/pkg/synth"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

var benchAssets = flag.Int("view.assets", 100_000, "assets in the view that the benchmarks ask")

// synthetic is an asset of a fleet of three systems in some versions.
func synthetic(d *pb.Device, i int) *pb.Asset {
	family := []string{"linux", "windows", "windows", "macos"}[i%4]
	a := &pb.Asset{Id: fmt.Sprintf("0198c0de-%04x-7000-8000-%012x", i%0xffff, i), Name: d.GetName(), Class: []string{"laptop", "server"}[i%2], Stage: "deployed",
		FirstSeen: timestamppb.New(testNow.Add(-time.Duration(i) * time.Minute)), Hardware: d.GetHardware(), Os: d.GetOs(), Network: d.GetNetwork(), Storage: d.GetStorage(),
		Sources: []*pb.AssetSource{{Source: "agent", Kind: "agent", SourceId: fmt.Sprintf("agent-%d", i)}}, Labels: map[string]string{"site": fmt.Sprint("site", i%50)},
		Security: &pb.Security{Firewall: &pb.Firewall{State: []string{"on", "off"}[i%3/2]}}, Mdm: &pb.Mdm{Enrolled: proto.Bool(i%5 != 0)},
		Owner: &pb.Owner{Email: fmt.Sprintf("person%d@example.com", i/2), Department: fmt.Sprint("department", i%30)}, SoftwareCount: proto.Int32(int32(len(d.GetSoftware())))}
	a.Os.Family, a.Os.Version = family, fmt.Sprintf("%d.%d", 10+i%7, i%13)
	return a
}

// bench is a view of a synthetic fleet with 300 titles for each asset, made
// once for all benchmarks.
var bench = sync.OnceValue(func() *View {
	// Software takes the longest to make up, and so some devices have the same.
	v, hardware, software := New(), synth.New(1, 0, 0), synth.New(1, 20_000, 300)
	numbers := make(map[string]uint32)
	began := time.Now()
	sets := make([][]*pb.Software, 2000)
	for i := range sets {
		sets[i] = software.Device(i).GetSoftware()
	}
	for i := range *benchAssets {
		d := hardware.Device(i)
		d.Software = sets[i%len(sets)]
		var titles []uint32
		for _, row := range d.GetSoftware() {
			key := row.GetName() + "\x00" + row.GetVersion()
			n, ok := numbers[key]
			if !ok {
				row.InstalledAt = nil
				n = v.titles.add(store.TitleID(len(numbers)), row)
				numbers[key] = n
			}
			titles = append(titles, n)
		}
		a := synthetic(d, i)
		v.Apply(catalog.Change{Sequence: uint64(i + 1), AssetID: a.GetId(), Kind: catalog.Created, Asset: a})
		v.mu.Lock()
		v.setTitles(uint32(i), packTitles(slices.Clone(titles)))
		v.see(uint32(i), []int64{testNow.Add(-time.Duration(i%500_000) * time.Second).Unix()})
		v.mu.Unlock()
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fmt.Printf("view of %d assets, %d titles: %d MB of heap, made in %v\n", *benchAssets, len(numbers), m.HeapAlloc>>20, time.Since(began).Round(time.Second))
	return v
})

// processor is the time of the processor that the process has taken so far: on a
// machine with other work, what a question takes is that and not the wall's.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkView measures questions; the first of each is paid before the clock
// starts where it says warm, and never repeated where it says cold.
func BenchmarkView(b *testing.B) {
	v := bench()
	title := v.titles.rows[0].GetName()
	list := func(q Query) func(b *testing.B, n int) {
		return func(b *testing.B, _ int) {
			q.Limit, q.Now = 50, testNow
			if _, err := v.Part(nil).List(b.Context(), q); err != nil {
				b.Fatal(err)
			}
		}
	}
	three := `asset.os.family == "windows" && asset.security.firewall.state == "off" && asset.hardware.memory_bytes > 8589934592 && has_software("` + title + `", "< 99.0")`
	for _, q := range []struct {
		name string
		ask  func(b *testing.B, n int)
	}{
		{"three fields and a title, sorted", list(Query{Filter: three, OrderBy: "name"})},
		{"title below a version", list(Query{Filter: `has_software("` + title + `", "< 99.0")`})},
		{"serial number, another each time", func(b *testing.B, n int) {
			list(Query{Filter: fmt.Sprintf(`asset.hardware.serial == "SER%d"`, n)})(b, n)
		}},
		{"regular expression on the name", list(Query{Filter: `asset.name.matches("^[a-c].*7$")`})},
		{"last seen", list(Query{Filter: `age(asset.last_seen) > days(3) && asset.os.family == "macos"`})},
		{"list of interfaces", list(Query{Filter: `asset.network.interfaces.exists(i, i.kind == "wifi")`})},
		{"two fields compared", list(Query{Filter: `asset.owner.email == asset.primary_user.email`})},
		{"all, by last seen", list(Query{OrderBy: "last_seen desc"})},
		{"words", list(Query{Search: "10.0.7 example.com"})},
		{"part of a name", list(Query{Search: "person4711"})},
		{"word in titles", list(Query{Search: title})},
		{"group by version", func(b *testing.B, _ int) {
			if _, err := v.Part(nil).GroupBy(b.Context(), GroupQuery{By: "os.version", Limit: 100, Now: testNow}); err != nil {
				b.Fatal(err)
			}
		}},
		{"group by version of three fields and a title", func(b *testing.B, _ int) {
			if _, err := v.Part(nil).GroupBy(b.Context(), GroupQuery{By: "os.version", Filter: three, Limit: 100, Now: testNow}); err != nil {
				b.Fatal(err)
			}
		}},
	} {
		b.Run(q.name, func(b *testing.B) {
			q.ask(b, -1)
			took, cpu := make([]time.Duration, 0, 1000), processor(b)
			for n := 0; b.Loop(); n++ {
				began := time.Now()
				q.ask(b, n)
				took = append(took, time.Since(began))
			}
			cpu = processor(b) - cpu
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
			b.ReportMetric(cpu.Seconds()*1000/float64(len(took)), "cpu-ms/op")
		})
	}
}

// BenchmarkApply measures a change of one asset of the fleet, alone and where
// each is followed by a question, for which what changes is copied.
func BenchmarkApply(b *testing.B) {
	v, fleet := bench(), synth.New(1, 20_000, 300)
	a := synthetic(fleet.Device(7), 7)
	for _, ask := range []bool{false, true} {
		b.Run(fmt.Sprintf("asked=%v", ask), func(b *testing.B) {
			for n := 0; b.Loop(); n++ {
				changed := proto.CloneOf(a)
				changed.Storage.SystemFreeBytes = proto.Int64(int64(n))
				v.mu.Lock()
				v.put(a.GetId(), 1<<40, changed)
				v.mu.Unlock()
				if ask {
					v.Snapshot()
				}
			}
		})
	}
}
