package facts

import (
	"testing"

	"github.com/rollcall-itam/rollcall/agent/host"
	"github.com/rollcall-itam/rollcall/pkg/section"
)

// The machine that the tests run on is learnt without a fault, and twice the
// same: what changes from one look to the next would be reported for ever.
func TestCollectLive(t *testing.T) {
	h := host.Live()
	if h.OS != "linux" {
		t.Skipf("facts of %s are not learnt yet", h.OS)
	}
	opts := Options{Facts: All()}
	one, two := Collect(t.Context(), h, opts), Collect(t.Context(), h, opts)
	for _, p := range one.Problems {
		t.Logf("%s: %s", p.Fact, p.Error)
	}
	for _, s := range one.Sections {
		if s.State == section.Failed {
			t.Errorf("section %s: %s (%s)", s.Name, s.State, s.Reason)
		}
		a, err := section.Encode(one.Device, s.Name)
		if err != nil {
			t.Fatal(err)
		}
		b, err := section.Encode(two.Device, s.Name)
		if err != nil {
			t.Fatal(err)
		}
		// Free space can cross a step while the tests write.
		if string(a) != string(b) && s.Name != section.Storage {
			t.Errorf("section %s differs between two looks", s.Name)
		}
	}
	d := one.Device
	if d.Name == "" || d.GetOs().GetKernel() == "" || d.GetOs().GetArchitecture() == "" || d.GetOs().GetBootedAt() == nil ||
		d.GetHardware().GetMemoryBytes() == 0 || d.GetHardware().GetCpu().GetThreads() == 0 || len(d.GetNetwork().GetInterfaces()) == 0 ||
		d.GetStorage().GetSystemSizeBytes() == 0 || d.GetStorage().GetSystemFreeBytes() == 0 {
		t.Errorf("incomplete: %v", d)
	}
}

func BenchmarkCollect(b *testing.B) {
	h, opts := host.Live(), Options{Facts: All()}
	Collect(b.Context(), h, opts)
	b.ReportAllocs()
	for b.Loop() {
		Collect(b.Context(), h, opts)
	}
}
