package synth

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
)

func TestAFleetIsTheSameForTheSameSeed(t *testing.T) {
	a, b, c := New(1, 4000, 1000), New(1, 4000, 1000), New(2, 4000, 1000)
	if diff := cmp.Diff(a.Device(7), b.Device(7), protocmp.Transform()); diff != "" {
		t.Errorf("the same device twice differs:\n%s", diff)
	}
	if cmp.Equal(a.Device(7), c.Device(7), protocmp.Transform()) {
		t.Error("another seed gives the same device")
	}
}

func TestDevicesAreDistinctAndFull(t *testing.T) {
	f := New(1, 4000, 1000)
	serials := make(map[string]int)
	for i := range 200 {
		d := f.Device(i)
		key := d.Hardware.Manufacturer + d.Hardware.Serial
		if other, ok := serials[key]; ok {
			t.Fatalf("devices %d and %d share the serial %s", other, i, key)
		}
		serials[key] = i
		if len(d.Software) != 1000 {
			t.Fatalf("device %d has %d titles, want 1000", i, len(d.Software))
		}
	}
}

func TestUpgradeChangesAsManyRowsAsAsked(t *testing.T) {
	before := New(1, 400, 100).Device(3).Software
	after := Upgrade(before, 20, 3)
	changed := 0
	for i := range before {
		if before[i].Version != after[i].Version {
			changed++
		}
	}
	if changed != 20 || len(after) != len(before) {
		t.Errorf("%d rows changed, %d rows, want 20 of 100", changed, len(after))
	}
}
