package feed_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-itam/rollcall/collector/feed"
	"github.com/rollcall-itam/rollcall/collector/feed/fetch"
)

func TestFullThenIncremental(t *testing.T) {
	w := newWorld(t, 25)
	s := w.pass(t, feed.Wish{})
	if !s.Pass.Full || s.Pass.Records != 25 || s.Pass.Pages != 3 || s.Pass.Total != 25 || len(w.IDs()) != 25 || w.IDs()[0] != "devices/d000" {
		t.Errorf("%+v %v", s.Pass, w.IDs())
	}
	w.clock.Wait(t.Context(), 15*time.Minute)
	w.change(func() { w.devices[3].Name, w.devices[3].Changed = "renamed", w.clock.Now() })
	s = w.pass(t, feed.Wish{})
	// The device that changed last is asked for again, for the overlap.
	if s.Pass.Full || s.Pass.Records != 2 || w.Observations()["devices/d003"].GetDevice().GetName() != "renamed" {
		t.Errorf("%+v", s.Pass)
	}
	w.clock.Wait(t.Context(), 25*time.Hour)
	if s = w.pass(t, feed.Wish{}); !s.Pass.Full || s.Pass.Records != 25 {
		t.Errorf("a day later: %+v", s.Pass)
	}
	if got := gauge(t, w, "rollcall_feed_last_success_timestamp_seconds"); got != float64(w.clock.Now().Unix()) {
		t.Errorf("metric says %v", got)
	}
}

// gauge reads the one series of a metric.
func gauge(t *testing.T, w *world, name string) float64 {
	t.Helper()
	families, err := w.metric.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

func TestWhatIsGoneIsWithdrawnAfterTwoCompletePasses(t *testing.T) {
	w := newWorld(t, 25)
	w.pass(t, full)
	w.change(func() { w.devices = slices.Delete(w.devices, 4, 6) })
	if s := w.pass(t, full); s.Pass.Withdrawn != 0 || len(w.IDs()) != 25 {
		t.Errorf("one pass withdrew %d", s.Pass.Withdrawn)
	}
	// The next pass is over everything although only changes are due.
	w.clock.Wait(t.Context(), time.Minute)
	s := w.pass(t, feed.Wish{})
	if !s.Pass.Full || s.Pass.Withdrawn != 2 || len(w.IDs()) != 23 || slices.Contains(w.IDs(), "devices/d004") {
		t.Errorf("%+v, %d held", s.Pass, len(w.IDs()))
	}
	if s := w.pass(t, feed.Wish{}); s.Pass.Full {
		t.Error("passes go on over everything")
	}
}

func TestSkippedRecordsAreWithdrawnAtOnce(t *testing.T) {
	w := newWorld(t, 5)
	w.pass(t, full)
	w.change(func() { w.devices[1].Gone, w.devices[1].Changed = true, w.clock.Now() })
	if s := w.pass(t, feed.Wish{}); s.Pass.Skipped != 1 || slices.Contains(w.IDs(), "devices/d001") {
		t.Errorf("%+v %v", s.Pass, w.IDs())
	}
}

func TestImplausiblePassesWithdrawNothing(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*world)
		note   string
	}{
		"says more than it gives": {func(w *world) { w.devices, w.total = w.devices[:23], 30 }, "30 records by its own count and gave 23"},
		"half is gone":            {func(w *world) { w.devices = w.devices[:12] }, "gave 12 records, 25 the time before"},
		"everything is gone":      {func(w *world) { w.devices = nil }, "gave 0 records, 25 the time before"},
		"ids cannot be told":      {func(w *world) { w.devices[7].ID = nil }, "1 records could not be told apart, 0 the time before"},
		"an id changed its form":  {func(w *world) { w.devices[7].ID = []string{"d007"} }, "1 records could not be told apart"},
		"only one is gone":        {func(w *world) { w.devices = slices.Delete(w.devices, 0, 1) }, ""},
	} {
		w := newWorld(t, 25)
		w.pass(t, full)
		w.change(func() { c.change(w) })
		for range 2 {
			s := w.pass(t, full)
			if c.note != "" && (len(s.Pass.Notes) != 1 && name != "ids cannot be told" && name != "an id changed its form") {
				t.Errorf("%s: notes %q", name, s.Pass.Notes)
			}
			if c.note != "" && len(s.Pass.Notes) > 0 && !strings.Contains(s.Pass.Notes[0], c.note) {
				t.Errorf("%s: notes %q, want %q", name, s.Pass.Notes, c.note)
			}
			if c.note != "" && s.Pass.Withdrawn != 0 {
				t.Errorf("%s: withdrew %d", name, s.Pass.Withdrawn)
			}
		}
		if want := 24; c.note == "" && len(w.IDs()) != want {
			t.Errorf("%s: %d held", name, len(w.IDs()))
		}
	}
}

func TestAbsencesAreAcceptedWhenSomebodySaysSo(t *testing.T) {
	w := newWorld(t, 25)
	w.pass(t, full)
	w.change(func() { w.devices = w.devices[:5] })
	if s := w.pass(t, feed.Wish{AcceptAbsences: true}); s.Pass.Withdrawn != 20 || len(w.IDs()) != 5 {
		t.Errorf("%+v", s.Pass)
	}
}

// TestDisconnections cuts a pass at each of its requests: nothing is lost or
// swept, and the next pass completes from where it was.
func TestDisconnections(t *testing.T) {
	for cut := 1; cut <= 10; cut++ {
		for _, later := range []time.Duration{time.Minute, time.Hour} {
			w := newWorld(t, 100)
			w.pass(t, full)
			w.change(func() {
				w.devices = slices.Delete(w.devices, 50, 52)
				w.asked = nil
				w.fail = func(n int, rw http.ResponseWriter) bool {
					if n < cut {
						return false
					}
					panic(http.ErrAbortHandler)
				}
			})
			if _, err := w.runner(t, acme).Once(t.Context(), "acme", full); fetch.KindOf(err) != fetch.Down {
				t.Fatalf("cut at %d: %v", cut, err)
			}
			if len(w.IDs()) != 100 || w.Swept != 0 {
				t.Errorf("cut at %d: %d held, %d swept", cut, len(w.IDs()), w.Swept)
			}
			w.change(func() { w.fail, w.asked = nil, nil })
			w.clock.Wait(t.Context(), later)
			s := w.pass(t, feed.Wish{})
			want := 10
			if later == time.Minute && cut > 1 {
				want = 10 - cut + 1
			}
			if !s.Pass.Full || len(w.asked) != want || len(w.IDs()) != 100 {
				t.Errorf("cut at %d, %v later: asked %d times, want %d; full %v; %d held", cut, later, len(w.asked), want, s.Pass.Full, len(w.IDs()))
			}
			if s = w.pass(t, feed.Wish{}); s.Pass.Withdrawn != 2 || len(w.IDs()) != 98 {
				t.Errorf("cut at %d, %v later: the second complete pass withdrew %d", cut, later, s.Pass.Withdrawn)
			}
		}
	}
}

// That nothing is withdrawn stands where an administrator looks, also after passes
// over changes, until a pass is plausible again or somebody accepts it.
func TestWhatIsWithheldIsToldUntilItIsSettled(t *testing.T) {
	for name, settle := range map[string]func(w *world) feed.Wish{
		"the list is whole again": func(w *world) feed.Wish {
			w.change(func() { w.devices = newWorld(t, 25).devices })
			return full
		},
		"somebody accepts it": func(*world) feed.Wish { return feed.Wish{AcceptAbsences: true} },
	} {
		w := newWorld(t, 25)
		if s := w.pass(t, full); s.Withheld != "" || gauge(t, w, "rollcall_feed_withheld") != 0 {
			t.Errorf("%s: at first %q is withheld", name, s.Withheld)
		}
		w.change(func() { w.devices = w.devices[:12] })
		s := w.pass(t, full)
		since := s.WithheldSince
		if !strings.Contains(s.Withheld, "gave 12 records, 25 the time before") || !since.Equal(w.clock.Now()) || gauge(t, w, "rollcall_feed_withheld") != 1 {
			t.Errorf("%s: withheld is %q since %v", name, s.Withheld, since)
		}
		w.clock.Wait(t.Context(), time.Hour)
		if s = w.pass(t, feed.Wish{}); s.Withheld == "" || !s.WithheldSince.Equal(since) {
			t.Errorf("%s: an hour later withheld is %q since %v, want %v", name, s.Withheld, s.WithheldSince, since)
		}
		if s = w.pass(t, settle(w)); s.Withheld != "" || !s.WithheldSince.IsZero() || gauge(t, w, "rollcall_feed_withheld") != 0 {
			t.Errorf("%s: in the end withheld is %q", name, s.Withheld)
		}
	}
}
