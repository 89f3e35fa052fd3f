package notify

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

func at(text string) time.Time {
	t, err := time.Parse("2006-01-02 15:04:05", text)
	if err != nil {
		panic(err)
	}
	return t
}

// When a message goes out follows from when it began, what went out before, and
// where the receiver is.
func TestPace(t *testing.T) {
	noon := at("2026-11-25 12:00:00")
	lately := func(n int, last time.Time) (all []time.Time) {
		for i := range n {
			all = append(all, last.Add(-time.Duration(n-1-i)*10*time.Second))
		}
		return all
	}
	for name, c := range map[string]struct {
		pace       *adminpb.Pace
		machine    bool
		since, now time.Time
		sent       []time.Time
		want       string
	}{
		"at once":                       {nil, false, noon, noon, nil, "2026-11-25 12:00:02"},
		"to a program":                  {nil, true, noon, noon, lately(20, noon), "2026-11-25 12:00:01"},
		"after one":                     {nil, false, noon, noon, lately(1, noon), "2026-11-25 12:00:04"},
		"after four":                    {nil, false, noon, noon, lately(4, noon), "2026-11-25 12:00:32"},
		"after many":                    {nil, false, noon, noon, lately(11, noon), "2026-11-25 12:10:00"},
		"once it was calm":              {nil, false, noon, noon, lately(4, noon.Add(-11*time.Minute)), "2026-11-25 12:00:02"},
		"what waited long":              {nil, false, noon, noon.Add(time.Hour), nil, "2026-11-25 12:00:02"},
		"at the cap":                    {&adminpb.Pace{PerHour: 3}, false, noon, noon, lately(3, noon), "2026-11-25 12:59:40"},
		"in a window":                   {&adminpb.Pace{Window: durationpb.New(10 * time.Minute)}, false, noon, noon, lately(2, noon), "2026-11-25 12:10:00"},
		"today":                         {&adminpb.Pace{Daily: "18:00"}, false, noon, noon, nil, "2026-11-25 18:00:00"},
		"tomorrow":                      {&adminpb.Pace{Daily: "12:00"}, false, noon, noon, nil, "2026-11-26 12:00:00"},
		"where it is later":             {&adminpb.Pace{Daily: "21:30", TimeZone: "Asia/Tokyo"}, false, noon, noon, nil, "2026-11-25 12:30:00"},
		"on a day without that hour":    {&adminpb.Pace{Daily: "02:30", TimeZone: "Europe/Berlin"}, false, at("2027-03-27 12:00:00"), noon, nil, "2027-03-28 01:30:00"},
		"on a day with that hour twice": {&adminpb.Pace{Daily: "02:30", TimeZone: "Europe/Berlin"}, false, at("2026-10-24 12:00:00"), noon, nil, "2026-10-25 01:30:00"},
		"after that":                    {&adminpb.Pace{Daily: "02:30", TimeZone: "Europe/Berlin"}, false, at("2026-10-25 01:30:00"), noon, nil, "2026-10-26 01:30:00"},
	} {
		p, err := newPace(c.pace, c.machine)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.due(c.since, c.now, c.sent); !got.Equal(at(c.want)) {
			t.Errorf("%s: %v, want %s", name, got.UTC(), c.want)
		}
	}
}

// Attempts come ever further apart, with jitter, and never in a hurry.
func TestPauseBetweenAttempts(t *testing.T) {
	for attempts, most := range map[int32]time.Duration{1: 5 * time.Second, 2: 10 * time.Second, 6: 160 * time.Second, 12: time.Hour, 1 << 30: time.Hour} {
		for range 100 {
			if d := pause(attempts); d < most/2 || d > most {
				t.Fatalf("after %d attempts: %v, want at most %v and at least half of it", attempts, d, most)
			}
		}
	}
}
