package catalog_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// worlds draws statements about a handful of machines: what is said changes,
// and some of them share identifiers by mistake.
func worlds() *rapid.Generator[[]*pb.Observation] {
	serial := rapid.SampledFrom([]string{"", "SER-A1", "SER-B2", "SER-C3", "SER-D4"})
	id := rapid.SampledFrom([]string{"", "4c4c4544-0042-4d10-8050-b4c04f4d0001", "4c4c4544-0042-4d10-8050-b4c04f4d0002"})
	statement := rapid.Custom(func(t *rapid.T) *pb.Observation {
		o := observe(rapid.SampledFrom([]string{"agent", "jamf", "abm"}).Draw(t, "source"), fmt.Sprint(rapid.IntRange(1, 4).Draw(t, "id")), serial.Draw(t, "serial"))
		o.ObservedAt = timestamppb.New(epoch.Add(-time.Duration(rapid.IntRange(0, 72).Draw(t, "age")) * time.Hour))
		o.GetDevice().Hardware.Uuid = id.Draw(t, "uuid")
		o.GetDevice().Os = &pb.Os{Version: rapid.SampledFrom([]string{"1", "2"}).Draw(t, "version")}
		if rapid.Bool().Draw(t, "network") {
			o.GetDevice().Network = &pb.Network{Hostname: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "host"),
				Interfaces: []*pb.Interface{{Mac: rapid.SampledFrom([]string{"3c:22:fb:00:00:01", "3c:22:fb:00:00:02"}).Draw(t, "mac")}}}
		}
		if n := rapid.IntRange(0, 2).Draw(t, "rows"); n > 0 {
			o.GetDevice().Software = []*pb.Software{{Name: "a"}, {Name: "b"}}[:n]
		}
		return o
	})
	return rapid.Custom(func(t *rapid.T) []*pb.Observation {
		all := rapid.SliceOfN(statement, 1, 10).Draw(t, "statements")
		// One source dates two statements about one thing alike only when it says
		// the same with both.
		at := make(map[string]bool)
		return slices.DeleteFunc(all, func(o *pb.Observation) bool {
			k := fmt.Sprint(o.Source, o.SourceId, o.ObservedAt.AsTime())
			defer func() { at[k] = true }()
			return at[k]
		})
	})
}

// picture is everything that users see of the assets but their ids.
func (f *fixture) picture(t testing.TB) []string {
	t.Helper()
	var out []string
	err := f.st.View(context.Background(), func(tx *store.Tx) error {
		return tx.ScanAssets("", func(a *pb.Asset) error {
			id := a.Id
			if err := f.c.Date(tx, a); err != nil {
				return err
			}
			a.Id, a.Redirects = "", nil
			b, err := proto.MarshalOptions{Deterministic: true}.Marshal(a)
			if err != nil {
				return err
			}
			e, err := f.c.Explain(context.Background(), id)
			if err != nil {
				return err
			}
			out = append(out, fmt.Sprintf("%s %x\n%v %v %v", protojson.Format(a), b, e.Ties, e.Refusals, len(e.Ignored)))
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

func (f *fixture) acceptAll(t testing.TB, all []*pb.Observation) *fixture {
	t.Helper()
	for _, o := range all {
		f.accept(t, o)
	}
	return f
}

// The same statements in any order, any of them repeated, give the same assets
// to the byte and the same reasons; so does a rebuild.
func TestTheOrderOfArrivalDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		all := worlds().Draw(rt, "world")
		want := setup(t).acceptAll(t, all).picture(t)
		again := slices.Concat(all, rapid.SliceOfN(rapid.SampledFrom(all), 0, 5).Draw(rt, "repeated"))
		f := setup(t).acceptAll(t, rapid.Permutation(again).Draw(rt, "order"))
		if diff := cmp.Diff(want, f.picture(t)); diff != "" {
			rt.Fatalf("another order, other assets (-want +got):\n%s", diff)
		}
		if _, err := f.c.Rebuild(context.Background()); err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(want, f.picture(t)); diff != "" {
			rt.Fatalf("other assets after a rebuild (-want +got):\n%s", diff)
		}
	})
}

// What is withdrawn might never have been said.
func TestWithdrawingIsNeverHavingSaid(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		all := worlds().Draw(rt, "world")
		victim := rapid.SampledFrom(all).Draw(rt, "victim")
		f := setup(t).acceptAll(t, all)
		gone := &pb.Observation{Source: victim.Source, SourceId: victim.SourceId, ObservedAt: timestamppb.New(epoch), Gone: true}
		if _, err := f.c.Accept(context.Background(), gone); err != nil {
			rt.Fatal(err)
		}
		rest := slices.DeleteFunc(slices.Clone(all), func(o *pb.Observation) bool {
			return o.Source == victim.Source && o.SourceId == victim.SourceId
		})
		if diff := cmp.Diff(setup(t).acceptAll(t, rest).picture(t), f.picture(t)); diff != "" {
			rt.Fatalf("(-never said +withdrawn):\n%s", diff)
		}
	})
}

// An operator's word that is taken back leaves nothing behind.
func TestTakingBackAnOperatorsWord(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		all := worlds().Draw(rt, "world")
		f := setup(t).acceptAll(t, all)
		want := f.picture(t)
		refs := make(map[store.Ref]bool)
		for _, o := range all {
			refs[store.Ref{Source: o.Source, ID: o.SourceId}] = true
		}
		names := slices.SortedFunc(maps.Keys(refs), func(a, b store.Ref) int { return strings.Compare(a.String(), b.String()) })
		if len(names) < 2 {
			rt.Skip("one record cannot be compared")
		}
		pair := rapid.Permutation(names).Draw(rt, "pair")[:2]
		said, err := f.c.Say(context.Background(), "ann", rapid.Bool().Draw(rt, "same"), pair[0], pair[1])
		if err != nil {
			rt.Fatal(err)
		}
		if err := f.c.Unsay(context.Background(), "ann", said.GetId()); err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(want, f.picture(t)); diff != "" {
			rt.Fatalf("(-before +after):\n%s", diff)
		}
	})
}
