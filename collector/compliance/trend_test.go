package compliance

import (
	"math"
	"testing"
	"time"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

// How the fleet stands is kept for each day, the latest 400, and a waiver, a
// failure and silence each change the score.
func TestTheTrendIsKept(t *testing.T) {
	f := setup(t)
	id := f.report("1", "1")
	f.report("2", "2")
	f.settle()
	score := func(want float64) {
		t.Helper()
		if got := f.e.Today().GetScore(); math.Abs(got-want) > 0.01 {
			t.Errorf("score %v, want %v", got, want)
		}
	}
	// One of two passes os-is-new (5 each), both pass seen-lately (1 each).
	score(100 * 7.0 / 12)
	f.decide(id, Waived, f.now.AddDate(0, 0, 30))
	score(100)
	if today := f.e.Today(); today.GetWaived() != 1 || today.GetFailing() != 0 || today.GetAssets() != 2 {
		t.Errorf("today %v", today)
	}
	keep := func() []*adminpb.ComplianceDay {
		t.Helper()
		if err := f.e.keepDay(t.Context()); err != nil {
			t.Fatal(err)
		}
		days, err := f.e.Trend(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return days
	}
	keep()
	f.now = f.now.Add(2 * time.Hour)
	if days := keep(); len(days) != 1 || days[0].GetDay() != "2026-11-20" {
		t.Errorf("one day is kept as %v", days)
	}
	f.now = f.now.AddDate(0, 0, 20)
	f.e.age()
	if got := f.e.Today().GetScore(); got != 0 {
		t.Errorf("of a silent fleet the score is %v", got)
	}
	for range MaxTrend + 5 {
		f.now = f.now.AddDate(0, 0, 1)
		keep()
	}
	days := keep()
	if len(days) != MaxTrend || days[len(days)-1].GetDay() != f.now.Format(time.DateOnly) {
		t.Errorf("%d days are kept", len(days))
	}
	f.now = f.now.AddDate(0, 0, -10) // the clock is set right
	if days := keep(); len(days) != MaxTrend-10 || days[len(days)-1].GetDay() != f.now.Format(time.DateOnly) {
		t.Errorf("%d days after the clock was set back, to %s", len(days), days[len(days)-1].GetDay())
	}
}
