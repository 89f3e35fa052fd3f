package view

import (
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/kv/memkv"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// Changes of one asset arrive in any order and more than once; the view shows
// the one with the highest sequence.
func TestApplyInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		classes := []string{"laptop", "server", ""}
		var changes []catalog.Change
		for i := range rapid.IntRange(1, 30).Draw(t, "changes") {
			c := catalog.Change{Sequence: uint64(i + 1), AssetID: fmt.Sprint(rapid.IntRange(0, 4).Draw(t, "id"))}
			if !rapid.Bool().Draw(t, "gone") {
				c.Asset = &pb.Asset{Id: c.AssetID, Class: rapid.SampledFrom(classes).Draw(t, "class"), Os: &pb.Os{Family: "linux"}}
			}
			changes = append(changes, c)
		}
		last := make(map[string]*pb.Asset)
		for _, c := range changes {
			last[c.AssetID] = c.Asset
		}
		want, size := make(map[Group]int), 0
		for _, a := range last {
			if a != nil {
				want[Group{Class: a.GetClass(), OSFamily: "linux"}]++
				size++
			}
		}
		v := New()
		for _, c := range append(rapid.Permutation(changes).Draw(t, "order"), changes[0]) {
			v.Apply(c)
		}
		if diff := cmp.Diff(want, v.Counts()); diff != "" || v.Len() != size {
			t.Fatalf("%d assets, want %d; groups (-want +got):\n%s", v.Len(), size, diff)
		}
	})
}

// A view that is loaded while the fleet reports counts exactly what is stored.
func TestLoadWhileTheFleetReports(t *testing.T) {
	ctx := t.Context()
	db := memkv.New()
	t.Cleanup(func() { _ = db.Close() })
	st, err := store.Open(ctx, db)
	if err != nil {
		t.Fatal(err)
	}
	c := catalog.New(st, time.Now, slog.New(slog.DiscardHandler))
	v := New()
	c.OnChange(v.Apply)
	if err := c.DeclareSource(ctx, &storagepb.SourceRecord{Id: "agent", Kind: "agent"}); err != nil {
		t.Fatal(err)
	}
	report := func(i int, class string) {
		_, err := c.Accept(ctx, &pb.Observation{Source: "agent", SourceId: fmt.Sprint(i), ObservedAt: timestamppb.Now(),
			Subject: &pb.Observation_Device{Device: &pb.Device{Class: class}}})
		if err != nil {
			t.Error(err)
		}
	}
	for i := range 50 {
		report(i, "laptop")
	}
	v = New()
	c = catalog.New(st, time.Now, slog.New(slog.DiscardHandler))
	c.OnChange(v.Apply)
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() { report(i, "server") })
	}
	if err := v.Load(ctx, st); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if diff := cmp.Diff(map[Group]int{{Class: "server", Stage: "deployed"}: 60}, v.Counts()); diff != "" || v.Len() != 60 {
		t.Errorf("%d assets; groups (-want +got):\n%s", v.Len(), diff)
	}
}
