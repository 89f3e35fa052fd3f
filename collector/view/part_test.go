package view

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
	"pgregory.net/rapid"

	"github.com/rollcall-itam/rollcall/collector/scope"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// A part of the fleet answers what a fleet would that has nothing else.
func TestPartEqualsPlainFiltering(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		f := newFleet(t.Context(), r)
		for range rapid.IntRange(0, 25).Draw(r, "acts") {
			f.act(t.Context(), r)
		}
		terms := rapid.SampledFrom([][]string{{"labels.site=berlin"}, {"class=laptop"}, {"labels.site=berlin", "labels.site=paris", "class=server"}, {"location.site=nowhere"}}).Draw(r, "scope")
		sc, err := scope.Parse(terms)
		must(r, err)
		part := f.view.Part(sc)
		var want, outside []string
		installs, with := make(map[string]int), make(map[string][]string)
		for _, x := range f.all(t.Context(), r) {
			if !sc.Admits(x.asset) {
				outside = append(outside, x.asset.GetId())
				continue
			}
			want = append(want, x.asset.GetId())
			if address := whoseAddress(x.asset); address != "" {
				with[address] = append(with[address], x.asset.GetId())
			}
			seen := make(map[string]bool)
			if x.software == nil {
				continue
			}
			for row := range x.software.All() {
				if id := ProductID(row.GetKind(), row.GetName()); !seen[id] {
					seen[id] = true
					installs[id]++
				}
			}
		}
		page, err := part.List(t.Context(), Query{Limit: 1000, Now: testNow})
		must(r, err)
		if !slices.Equal(page.IDs, want) || page.Total != len(want) || part.Len() != len(want) {
			r.Fatalf("%s has %v (%d), want %v", sc, page.IDs, page.Total, want)
		}
		if slices.Contains(part.Has(want), false) || slices.Contains(part.Has(outside), true) {
			r.Fatalf("%s: has %v of %v, and %v of %v", sc, part.Has(want), want, part.Has(outside), outside)
		}
		groups, err := part.GroupBy(t.Context(), GroupQuery{By: "os.version", Limit: 100, Now: testNow})
		must(r, err)
		products, total, _, err := part.Products(t.Context(), ProductQuery{Limit: 1000})
		must(r, err)
		if groups.Total != len(want) || total != len(installs) {
			r.Fatalf("%s: %d assets in groups, %d products, want %d and %d", sc, groups.Total, total, len(want), len(installs))
		}
		for _, p := range products {
			if p.Installs != installs[p.ID] {
				r.Fatalf("%s: %d have %s, want %d", sc, p.Installs, p.Name, installs[p.ID])
			}
		}
		systems, err := part.Installs(t.Context(), func(os *pb.Os) string { return os.GetVersion() })
		must(r, err)
		having := make(map[string][]string)
		err = systems.Each(t.Context(), func(string, string) bool { return true }, func(system string, title *pb.Software, rows *roaring.Bitmap) error {
			key := system + " " + ProductID(title.GetKind(), title.GetName())
			having[key] = append(having[key], systems.IDs(rows)...)
			return nil
		})
		must(r, err)
		if wanted := naiveInstalls(f.all(t.Context(), r), sc); !maps.EqualFunc(sorted(having), wanted, slices.Equal) {
			r.Fatalf("%s: installs are %v, want %v", sc, sorted(having), wanted)
		}
		for _, address := range []string{"ann@example.com", "bob@example.com"} {
			slices.Sort(with[address])
			if got := part.With(strings.ToLower(address)); !slices.Equal(got, with[address]) || part.counts()([]string{address}) != len(got) {
				r.Fatalf("%s: %v are with %s, want %v", sc, got, address, with[address])
			}
		}
	})
}

// sorted puts the ids behind each key in order, each once.
func sorted(by map[string][]string) map[string][]string {
	for key, ids := range by {
		slices.Sort(ids)
		by[key] = slices.Compact(ids)
	}
	return by
}

// naiveInstalls goes through the assets of a scope, by their version of the system
// and what they have.
func naiveInstalls(all []answer, sc *scope.Scope) map[string][]string {
	having := make(map[string][]string)
	for _, x := range all {
		if !sc.Admits(x.asset) || x.software == nil || x.asset.GetOs().GetVersion() == "" {
			continue
		}
		for row := range x.software.All() {
			key := x.asset.GetOs().GetVersion() + " " + ProductID(row.GetKind(), row.GetName())
			having[key] = append(having[key], x.asset.GetId())
		}
	}
	return sorted(having)
}
