package compliance

import (
	"testing"
	"testing/synctest"
	"time"
)

// A change is judged at once where few come, and after the flood where a system is
// read; but it never waits for longer than is promised, nor does anything else.
func TestAFloodOfChangesIsWaitedOut(t *testing.T) {
	for _, tc := range []struct {
		name string
		// perSecond changes come for lasts; others is when something else is to be judged.
		perSecond     int
		lasts, others time.Duration
		round         time.Duration
		least, most   time.Duration
	}{
		{name: "a change", least: settleFor, most: settleFor},
		{name: "a few", perSecond: 20, lasts: time.Hour, least: settleFor, most: settleFor},
		{name: "a system is read", perSecond: 500, lasts: 10 * time.Second, least: 10 * time.Second, most: 12 * time.Second},
		{name: "it never ends", perSecond: 500, lasts: time.Hour, least: patience, most: patience + time.Second},
		{name: "judging takes long", perSecond: 500, lasts: time.Hour, round: 8 * time.Second, least: 80 * time.Second, most: 81 * time.Second},
		{name: "judging takes very long", perSecond: 500, lasts: time.Hour, round: time.Hour, least: longestFlood, most: longestFlood + time.Second},
		{name: "the rules change meanwhile", perSecond: 500, lasts: time.Hour, others: 5 * time.Second, least: 5 * time.Second, most: 7 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &Engine{backlog: make(map[string]struct{})}
				begun, done := time.Now(), make(chan struct{})
				go func() {
					tick := time.NewTicker(100 * time.Millisecond)
					defer tick.Stop()
					for {
						select {
						case <-done:
							return
						case <-tick.C:
						}
						e.mu.Lock()
						if time.Since(begun) <= tc.lasts {
							e.changes += tc.perSecond / 10
						}
						if tc.others > 0 && time.Since(begun) >= tc.others {
							e.backlog["x"] = struct{}{}
						}
						e.mu.Unlock()
					}
				}()
				timer := time.NewTimer(time.Hour)
				defer timer.Stop()
				if !e.settle(t.Context(), timer, tc.round) {
					t.Error("it ended although nobody wanted that")
				}
				close(done)
				if took := time.Since(begun); took < tc.least || took > tc.most {
					t.Errorf("it waited for %v, want %v to %v", took, tc.least, tc.most)
				}
			})
		})
	}
}
