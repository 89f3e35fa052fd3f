package view

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// report files what an agent says about machine n.
func (f *fleet) report(ctx context.Context, t failer, n int, d *pb.Device) {
	t.Helper()
	d.Hardware = &pb.Hardware{Serial: fmt.Sprintf("SER%dX7Q%d", n, n), Manufacturer: "Dell Inc.", AssetTag: d.GetHardware().GetAssetTag()}
	f.clock = f.clock.Add(time.Minute)
	_, err := f.catalog.Accept(ctx, &pb.Observation{Source: "agent", SourceId: fmt.Sprint(n), ObservedAt: timestamppb.New(f.clock),
		Subject: &pb.Observation_Device{Device: d}})
	must(t, err)
}

func TestSearch(t *testing.T) {
	f := newFleet(t.Context(), t)
	f.report(t.Context(), t, 0, &pb.Device{Name: "ANN-MBP", Owner: &pb.Owner{Email: "Ann@example.com"}, Hardware: &pb.Hardware{AssetTag: "IT-0042"},
		Software: []*pb.Software{{Kind: "app", Name: "Google Chrome", Version: "1"}}})
	f.report(t.Context(), t, 1, &pb.Device{Name: "web1", Network: &pb.Network{Interfaces: []*pb.Interface{{Mac: "aa:bb:cc:dd:ee:01", Addresses: []string{"10.1.2.3/16"}}}}})
	for text, want := range map[string][]string{
		"": {"ANN-MBP", "web1"}, "ann": {"ANN-MBP"}, "ann-mbp ANN@EXAMPLE": {"ANN-MBP"}, "ser1x7q": {"web1"}, "it-0042": {"ANN-MBP"}, "chrome": {"ANN-MBP"}, "chrome web1": nil,
		"10.1.2.3": {"web1"}, "AA-BB-CC-DD-EE-01": {"web1"}, "aabb.ccdd.ee01": {"web1"}, "aabbccddee01": {"web1"}, "aa:bb:cc": {"web1"}, "nowhere": nil,
	} {
		page, err := f.view.Part(nil).List(t.Context(), Query{Search: text, Limit: 10, OrderBy: "name", Now: testNow})
		must(t, err)
		if got := f.names(page.IDs); !slices.Equal(got, want) {
			t.Errorf("%q finds %v, want %v", text, got, want)
		}
	}
}

func (f *fleet) names(ids []string) (out []string) {
	s := f.view.Snapshot()
	for row := range s.rows {
		if slices.Contains(ids, s.ids.get(row)) {
			out = append(out, s.field("name").text(s.field("name").code(row)))
		}
	}
	slices.Sort(out)
	return out
}

// Groups count what plain counting does.
func TestGroupEqualsPlainCounting(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		f := newFleet(t.Context(), r)
		for range rapid.IntRange(0, 25).Draw(r, "acts") {
			f.act(t.Context(), r)
		}
		by := oneOf("name", "os.version", "labels.site", "hardware.memory_bytes", "mdm.enrolled", "software_count", "last_seen")(r, "by")
		groups, err := f.view.Part(nil).GroupBy(t.Context(), GroupQuery{By: by, Limit: 1000, Now: testNow})
		must(r, err)
		want, got := make(map[string]int), make(map[string]int)
		for _, x := range f.all(t.Context(), r) {
			want[sortValue(x.asset, by)]++
		}
		for _, v := range groups.Values {
			text := v.Text
			switch {
			case !v.Stated:
				text = "~"
			case by == "hardware.memory_bytes" || by == "software_count":
				text = fmt.Sprintf("%020s", text)
			}
			got[text] += v.Count
		}
		if diff := cmp.Diff(want, got); diff != "" {
			r.Fatalf("by %s (-want +got):\n%s", by, diff)
		}
	})
}

// Questions during changes see one state each: every report sets two fields to
// the same text, and no answer may have them differ.
func TestSnapshotsAreConsistent(t *testing.T) {
	ctx := t.Context()
	f := newFleet(ctx, t)
	const machines = 40
	report := func(n, round int) {
		text := fmt.Sprint("round", round)
		_, err := f.catalog.Accept(ctx, &pb.Observation{Source: "agent", SourceId: fmt.Sprint(n), ObservedAt: timestamppb.New(f.clock.Add(time.Duration(round) * time.Minute)),
			Subject: &pb.Observation_Device{Device: &pb.Device{Name: text, Network: &pb.Network{Hostname: text}, Hardware: &pb.Hardware{Serial: fmt.Sprintf("SER%dX7Q%d", n, n)},
				Software: []*pb.Software{{Kind: "deb", Name: "bash", Version: fmt.Sprint(round)}}}}})
		if err != nil {
			t.Error(err)
		}
	}
	for n := range machines {
		report(n, 0)
	}
	var writers, readers sync.WaitGroup
	done := make(chan struct{})
	for n := range machines {
		writers.Go(func() {
			for round := range 15 {
				report(n, round+1)
			}
		})
	}
	for range 3 {
		readers.Go(func() {
			for {
				page, err := f.view.Part(nil).List(ctx, Query{Filter: `asset.name != asset.network.hostname || !has_software("bash")`, Limit: 10, Now: testNow})
				if err != nil || page.Total != 0 {
					t.Errorf("%+v, %v", page, err)
					return
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
	page, err := f.view.Part(nil).List(ctx, Query{Filter: `has_software("bash", "= 15")`, Limit: 1, Now: testNow})
	if err != nil || page.Total != machines {
		t.Errorf("in the end %+v, %v", page, err)
	}
}

// Values that come and go do not fill the memory.
func TestDictionariesForget(t *testing.T) {
	v := New()
	const rounds = 4 * maxUnused
	for i := range rounds {
		a := &pb.Asset{Id: fmt.Sprint(i % 3), Name: fmt.Sprint("n", i%3), Storage: &pb.Storage{SystemFreeBytes: proto.Int64(int64(i))}}
		v.Apply(catalog.Change{Sequence: uint64(i + 1), AssetID: a.GetId(), Kind: catalog.Changed, Asset: a})
	}
	column := v.schema.byPath["storage.system_free_bytes"].index
	if n := len(v.dictionaries[column].values); n > 2*maxUnused {
		t.Errorf("%d values are kept of 3", n)
	}
	page, err := v.Part(nil).List(t.Context(), Query{Filter: fmt.Sprintf("asset.storage.system_free_bytes >= %d", rounds-2), OrderBy: "storage.system_free_bytes desc", Limit: 10, Now: testNow})
	must(t, err)
	if want := []string{fmt.Sprint((rounds - 1) % 3), fmt.Sprint((rounds - 2) % 3)}; !slices.Equal(page.IDs, want) {
		t.Errorf("found %v, want %v", page.IDs, want)
	}
}

// A filter of strangers is answered or refused, never more.
func FuzzFilter(f *testing.F) {
	for _, a := range atoms {
		f.Add(a, "name desc", "words")
	}
	f.Add("!(!(asset.name == \"\") || true ? false : true)", "labels.site", "aa:bb")
	fleet := newFleet(f.Context(), f)
	fleet.report(f.Context(), f, 0, &pb.Device{Name: "a", Software: []*pb.Software{{Kind: "deb", Name: "bash", Version: "1"}}})
	f.Fuzz(func(t *testing.T, filter, order, search string) {
		page, err := fleet.view.Part(nil).List(t.Context(), Query{Filter: filter, OrderBy: order, Search: search, Limit: 1, Now: testNow})
		if err == nil && (page.Total > 1 || len(page.IDs) != page.Total) {
			t.Errorf("found %+v", page)
		}
		if err != nil && strings.Contains(err.Error(), "put an asset together") {
			t.Error(err)
		}
	})
}
