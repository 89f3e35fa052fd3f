package synth

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

func TestAnEstateIsTheSameForTheSameSeed(t *testing.T) {
	a, b, c := NewEstate(1, 1000, AllHazards), NewEstate(1, 1000, AllHazards), NewEstate(2, 1000, AllHazards)
	if diff := cmp.Diff(a.Device(7), b.Device(7), protocmp.Transform()); diff != "" {
		t.Errorf("the same device twice differs:\n%s", diff)
	}
	if cmp.Equal(a.Device(7), c.Device(7), protocmp.Transform()) {
		t.Error("another seed states the same")
	}
}

// latest returns the latest statement of each record of an estate, and the
// device that it is about.
func latest(t *testing.T, e *Estate) (map[string]*pb.Observation, map[string]int) {
	t.Helper()
	sources := make(map[string]bool)
	for _, s := range e.Sources() {
		sources[s.GetId()] = true
	}
	last, truth := make(map[string]*pb.Observation), make(map[string]int)
	for s := range e.Statements() {
		o := s.Observation
		if !sources[o.GetSource()] {
			t.Fatalf("%s is no source of the estate", o.GetSource())
		}
		if o.GetObservedAt().AsTime().After(Now) {
			t.Fatalf("%s says something after now", o.GetSourceId())
		}
		id := o.GetSource() + "/" + o.GetSourceId()
		if was, ok := truth[id]; ok && was != s.Truth {
			t.Fatalf("record %s is of devices %d and %d", id, was, s.Truth)
		}
		truth[id] = s.Truth
		if held := last[id]; held == nil || !o.GetObservedAt().AsTime().Before(held.GetObservedAt().AsTime()) {
			last[id] = o
		}
	}
	return last, truth
}

// Without hazards every number is one device's, and each device has one record
// in a source at most.
func TestWithoutHazardsNothingIsAmbiguous(t *testing.T) {
	last, truth := latest(t, NewEstate(3, 2000, NoHazards))
	owner := make(map[string]int)
	for id, o := range last {
		hw := o.GetDevice().GetHardware()
		for _, k := range []string{"serial " + hw.GetSerial(), "uuid " + hw.GetUuid(), o.GetSource() + " of " + o.GetDevice().GetName()} {
			if _, value, _ := strings.Cut(k, " "); value == "" || value == "of " {
				continue
			}
			if other, ok := owner[k]; ok && other != truth[id] {
				t.Errorf("devices %d and %d share %s", other, truth[id], k)
			}
			owner[k] = truth[id]
		}
		if strings.HasSuffix(id, "-before") || strings.HasSuffix(id, "-old") {
			t.Errorf("%s is an older record", id)
		}
	}
}

// Each hazard changes what is stated, at about the rate that it names.
func TestEachHazardCanBeSwitched(t *testing.T) {
	const devices = 2000
	plain, _ := latest(t, NewEstate(5, devices, NoHazards))
	for _, tc := range []struct {
		name        string
		hazard      Hazards
		least, most int // records that are other, more or fewer
	}{
		{"JunkSerials", JunkSerials, 20, 600}, {"UnlistedJunk", UnlistedJunk, 10, 300}, {"Clones", Clones, 4, 300},
		{"Reimages", Reimages, 100, 700}, {"BoardSwaps", BoardSwaps, 15, 400}, {"DualBoots", DualBoots, 3, 60},
		{"SharedDocks", SharedDocks, 200, 800}, {"Renames|Lags", Renames | Lags, 200, 2000}, {"DuplicateRecords", DuplicateRecords, 20, 200},
		{"NeverArrived", NeverArrived, 40, 400}, {"NeverBought", NeverBought, 30, 120}, {"Leavers", Leavers, 20, 120},
		{"Lags", Lags, 200, 2000}, {"Lies", Lies, 5, 80}, {"Spelling", Spelling, 1000, 6000}, {"Displays", Displays, 500, 1500},
	} {
		got, _ := latest(t, NewEstate(5, devices, tc.hazard))
		changed := 0
		for id, o := range got {
			if was, ok := plain[id]; !ok || !proto.Equal(was, o) {
				changed++
			}
		}
		for id := range plain {
			if _, ok := got[id]; !ok {
				changed++
			}
		}
		if changed < tc.least || changed > tc.most {
			t.Errorf("%s changes %d records of %d, want %d to %d", tc.name, changed, len(plain), tc.least, tc.most)
		}
	}
}

// The statements of a device come in the order of time, so that a stream of
// them is what a collector would have seen of it.
func TestStatementsOfADeviceAreInOrder(t *testing.T) {
	e := NewEstate(1, 300, AllHazards)
	for i := range 300 {
		if !slices.IsSortedFunc(e.Device(i), func(a, b Statement) int {
			return a.Observation.GetObservedAt().AsTime().Compare(b.Observation.GetObservedAt().AsTime())
		}) {
			t.Fatalf("the statements of device %d are out of order", i)
		}
	}
}

// Every display has a number of its own, some of them that of a computer.
func TestDisplaysHaveNumbersOfTheirOwn(t *testing.T) {
	e := NewEstate(1, 1000, AllHazards)
	truths := e.DisplayTruths()
	if len(truths) != e.displayCount() {
		t.Errorf("%d numbers of %d displays", len(truths), e.displayCount())
	}
	shared, attached := 0, make(map[string]bool)
	for i := range 1000 {
		m := e.machine(i)
		if _, ok := truths[m.serial]; ok {
			shared++
		}
		for _, d := range m.displays {
			attached[d.GetSerial()] = true
		}
	}
	if shared < 3 || len(attached) < 30 || !attached["16843009"] {
		t.Errorf("%d computers have the number of a display, and %d displays are attached", shared, len(attached))
	}
}
