package catalog_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/kv/memkv"
	"github.com/rollcall-itam/rollcall/collector/store"
	"github.com/rollcall-itam/rollcall/pkg/synth"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

var estateDevices = flag.Int("estate.devices", 700, "how many devices the estate has whose matching is judged")

// record is one record of a source: what it is truly about, and what it says
// last.
type record struct {
	truth int
	last  *pb.Observation
}

// score is how well a grouping of records agrees with the truth, by pairs.
type score struct{ precision, recall float64 }

func (s score) String() string { return fmt.Sprintf("%8.4f %8.4f", s.precision, s.recall) }

func judge(records []record, group []int) score {
	pairs := func(key func(i int) [2]int) (n int) {
		count := make(map[[2]int]int)
		for i := range records {
			count[key(i)]++
		}
		for _, c := range count {
			n += c * (c - 1) / 2
		}
		return n
	}
	right := pairs(func(i int) [2]int { return [2]int{group[i], records[i].truth} })
	claimed := pairs(func(i int) [2]int { return [2]int{group[i], -1} })
	truly := pairs(func(i int) [2]int { return [2]int{-1, records[i].truth} })
	return score{float64(right) / float64(max(claimed, 1)), float64(right) / float64(max(truly, 1))}
}

// united groups records that share any key, over any chain.
func united(records []record, keys func(*pb.Device) []string) []int {
	parent := make([]int, len(records))
	for i := range parent {
		parent[i] = i
	}
	var root func(int) int
	root = func(i int) int {
		if parent[i] != i {
			parent[i] = root(parent[i])
		}
		return parent[i]
	}
	first := make(map[string]int)
	for i, r := range records {
		for _, k := range keys(r.last.GetDevice()) {
			if j, ok := first[k]; ok {
				parent[root(i)] = root(j)
			} else {
				first[k] = i
			}
		}
	}
	group := make([]int, len(records))
	for i := range group {
		group[i] = root(i)
	}
	return group
}

func key(kind, value string) []string {
	if value = strings.ToLower(strings.TrimSpace(value)); value == "" {
		return nil
	}
	return []string{kind + value}
}

func bySerial(d *pb.Device) []string { return key("s", d.GetHardware().GetSerial()) }

func bySerialUUIDOrMAC(d *pb.Device) []string {
	keys := append(bySerial(d), key("u", d.GetHardware().GetUuid())...)
	for _, i := range d.GetNetwork().GetInterfaces() {
		keys = append(keys, key("m", i.GetMac())...)
	}
	return keys
}

func byHostname(d *pb.Device) []string { return key("h", d.GetNetwork().GetHostname()) }

// accepted files an estate, in a random order and from several connections, and
// returns its records with the asset that each became part of.
func accepted(t *testing.T, estate *synth.Estate, seed uint64) ([]record, []int) {
	t.Helper()
	db := memkv.New()
	t.Cleanup(func() { _ = db.Close() })
	ctx := context.Background()
	st, err := store.Open(ctx, db)
	if err != nil {
		t.Fatal(err)
	}
	c := catalog.New(st, func() time.Time { return synth.Now }, slog.New(slog.DiscardHandler))
	for _, s := range estate.Sources() {
		if err := c.DeclareSource(ctx, s); err != nil {
			t.Fatal(err)
		}
	}
	all := slices.Collect(estate.Statements())
	r := rand.New(rand.NewPCG(seed, 1))
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := w; i < len(all); i += 8 {
				if _, err := c.Accept(ctx, all[i].Observation); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	last := make(map[store.Ref]record)
	for _, s := range all {
		ref := store.Ref{Source: s.Observation.GetSource(), ID: s.Observation.GetSourceId()}
		if held, ok := last[ref]; !ok || s.Observation.GetObservedAt().AsTime().After(held.last.GetObservedAt().AsTime()) {
			last[ref] = record{s.Truth, s.Observation}
		}
	}
	seen, err := seenDisplays(ctx, st, estate)
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(last, seen)
	assets := make(map[string]int)
	var records []record
	var group []int
	refs := slices.SortedFunc(maps.Keys(last), func(a, b store.Ref) int { return strings.Compare(a.String(), b.String()) })
	err = st.View(ctx, func(tx *store.Tx) error {
		for _, ref := range refs {
			m, err := tx.Member(ref)
			if err != nil {
				return fmt.Errorf("%s: %w", ref, err)
			}
			if _, ok := assets[m.GetAssetId()]; !ok {
				assets[m.GetAssetId()] = len(assets)
			}
			records, group = append(records, last[ref]), append(group, assets[m.GetAssetId()])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return records, group
}

// seenDisplays are the records of the displays that machines list, and which each
// truly is of.
func seenDisplays(ctx context.Context, st *store.Store, estate *synth.Estate) (map[store.Ref]record, error) {
	out, truths := make(map[store.Ref]record), estate.DisplayTruths()
	err := st.View(ctx, func(tx *store.Tx) error {
		return tx.ScanObservations(func(o *pb.Observation) error {
			if o.GetSource() != catalog.Parts {
				return nil
			}
			truth, ok := truths[o.GetDevice().GetHardware().GetSerial()]
			if !ok {
				return fmt.Errorf("display %v is none of the estate", o)
			}
			out[store.Ref{Source: o.GetSource(), ID: o.GetSourceId()}] = record{truth, o}
			return nil
		})
	})
	if err == nil && len(out) == 0 {
		err = fmt.Errorf("no machine lists a display")
	}
	return out, err
}

// An estate with every hazard is matched without a single stranger united, and
// with hardly a device in two. The table shows what plain rules make of it.
func TestEstateIsMatched(t *testing.T) {
	for _, seed := range []uint64{1, 2, 3} {
		records, group := accepted(t, synth.NewEstate(seed, *estateDevices, synth.AllHazards), seed)
		ours := judge(records, group)
		t.Logf("seed %d: %d devices, %d records\n%-22s %8s %8s\n%-22s %v\n%-22s %v\n%-22s %v\n%-22s %v", seed, *estateDevices, len(records), "", "precision", "recall",
			"rollcall", ours, "serial", judge(records, united(records, bySerial)),
			"serial, UUID or MAC", judge(records, united(records, bySerialUUIDOrMAC)), "host name", judge(records, united(records, byHostname)))
		if ours.precision < 1 || ours.recall < 0.99 {
			t.Errorf("seed %d: precision and recall %v, want 1.0000 and at least 0.9900", seed, ours)
		}
	}
}
