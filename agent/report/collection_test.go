package report

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// What a reading cost is kept with the outcome of the exchange after it, also
// through an enrolment and a restart.
func TestCostsAreKeptForTheStatus(t *testing.T) {
	c := newCollector(t)
	b := newBench(t, c)
	a := b.start()
	many := make([]FactCost, maxFactCosts+1)
	for i := range many {
		many[i] = FactCost{Name: strings.Repeat("n", 2*maxReasonBytes), Took: time.Millisecond}
	}
	many[0] = FactCost{Name: "dpkg", Took: 41 * time.Millisecond, KeptSince: b.clock.UTC()}
	a.Collected(Collection{At: b.clock, Took: time.Second, Facts: many})
	b.exchange(a, device(1))
	b.exchange(b.start(), device(1))
	sum, err := Summarise(b.dir)
	got := sum.Collection
	if err != nil || len(got.Facts) != maxFactCosts || got.Facts[0] != many[0] || !got.At.Equal(b.clock) || got.Took != time.Second {
		t.Errorf("%d facts, the first %+v, at %s in %s, %v", len(got.Facts), got.Facts[0], got.At, got.Took, err)
	}
	if n := len(got.Facts[1].Name); n > maxReasonBytes {
		t.Errorf("a name of %d bytes is kept", n)
	}
	if sum.RenewalDue.IsZero() || !sum.RenewalDue.Before(sum.CertificateEnds) {
		t.Errorf("renewed from %s, ends %s", sum.RenewalDue, sum.CertificateEnds)
	}
	info, err := os.Stat(filepath.Join(b.dir, statusFile))
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 || info.Size() > maxStateBytes {
		t.Errorf("%v, %v", info, err)
	}
}
