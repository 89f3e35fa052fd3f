package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/agent/report"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// exchangeFunc is a collector as the loop sees it.
type exchangeFunc func(ctx context.Context, inv *report.Inventory) (report.Answer, error)

func (f exchangeFunc) Exchange(ctx context.Context, inv *report.Inventory) (report.Answer, error) {
	return f(ctx, inv)
}

// even is the middle of all random numbers: what is spread is not moved.
func even() float64 { return 0.5 }

// observation is a machine that was read at a time.
func observation() *pb.Observation {
	return &pb.Observation{Source: "agent", ObservedAt: timestamppb.Now(),
		Subject:  &pb.Observation_Device{Device: &pb.Device{Os: &pb.Os{Name: time.Now().String()}}},
		Sections: []*pb.SectionStatus{{Name: "os", State: "complete"}}}
}

// newLoop is a loop with the default intervals, on the clock of the bubble.
func newLoop(t *testing.T, collect collector, exchange exchangeFunc) *loop {
	t.Helper()
	packer, err := report.NewPacker(1)
	if err != nil {
		t.Fatal(err)
	}
	return &loop{collect: collect, packer: packer, agent: exchange, backoff: report.NewBackoff(even), checkIn: defaultCheckIn,
		inventory: defaultInventory, now: time.Now, random: even, wait: sleep, log: slog.New(slog.DiscardHandler)}
}

func healthy(context.Context) (*pb.Observation, error) { return observation(), nil }

// turns runs a loop until n exchanges were made, and returns the time from
// each to the next. The answer to exchange i is answer(i).
func turns(t *testing.T, collect collector, n int, answer func(i int) (report.Answer, error)) []time.Duration {
	t.Helper()
	var gaps []time.Duration
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var last time.Time
		i := 0
		l := newLoop(t, collect, func(_ context.Context, inv *report.Inventory) (report.Answer, error) {
			if inv == nil {
				t.Error("exchange without an inventory")
			}
			if i > 0 {
				gaps = append(gaps, time.Since(last))
			}
			last = time.Now()
			if i++; i > n {
				cancel()
				return report.Answer{}, ctx.Err()
			}
			return answer(i - 1)
		})
		if err := l.run(ctx); err != nil {
			t.Errorf("run ends with %v", err)
		}
	})
	return gaps
}

func TestCheckInsKeepTheIntervalInForce(t *testing.T) {
	for name, tc := range map[string]struct {
		answer report.Answer
		want   time.Duration
	}{
		"the collector says nothing":           {report.Answer{}, defaultCheckIn},
		"an interval":                          {report.Answer{CheckInInterval: time.Minute}, time.Minute},
		"an interval below the bounds":         {report.Answer{CheckInInterval: time.Millisecond}, minInterval},
		"an interval above the bounds":         {report.Answer{CheckInInterval: 1000 * time.Hour}, maxInterval},
		"a negative interval":                  {report.Answer{CheckInInterval: -time.Hour}, defaultCheckIn},
		"the next check-in":                    {report.Answer{NextCheckIn: 42 * time.Second, CheckInInterval: time.Hour}, 42 * time.Second},
		"the next check-in at once, for ever":  {report.Answer{NextCheckIn: 1}, minInterval},
		"the next check-in beyond the horizon": {report.Answer{NextCheckIn: 1 << 62}, maxInterval},
	} {
		t.Run(name, func(t *testing.T) {
			got := turns(t, healthy, 2, func(int) (report.Answer, error) { return tc.answer, nil })
			if diff := cmp.Diff([]time.Duration{tc.want, tc.want}, got); diff != "" {
				t.Errorf("times between check-ins (-want +got):\n%s", diff)
			}
		})
	}
}

// An interval that the collector set once stays when it says nothing later.
func TestIntervalStaysUntilItIsChanged(t *testing.T) {
	got := turns(t, healthy, 2, func(i int) (report.Answer, error) {
		return []report.Answer{{CheckInInterval: time.Minute}, {}}[i], nil
	})
	if diff := cmp.Diff([]time.Duration{time.Minute, time.Minute}, got); diff != "" {
		t.Errorf("times between check-ins (-want +got):\n%s", diff)
	}
}

func TestErrorsAreBackedOffAndForgottenAfterASuccess(t *testing.T) {
	down := errors.New("connection refused")
	fail := []error{down, down, down, nil, down, report.ErrRevoked, report.ErrNoToken}
	got := turns(t, healthy, len(fail), func(i int) (report.Answer, error) { return report.Answer{}, fail[i] })
	want := []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, defaultCheckIn, time.Second, time.Hour + 6*time.Minute, time.Minute}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("times between tries (-want +got):\n%s", diff)
	}
}

func TestMachineIsReadHourlyAndNotAtEachCheckIn(t *testing.T) {
	read := 0
	count := func(context.Context) (*pb.Observation, error) { read++; return observation(), nil }
	turns(t, count, 36, func(int) (report.Answer, error) { return report.Answer{}, nil })
	// 37 exchanges, the last three hours after the first.
	if read != 4 {
		t.Errorf("read %d times in three hours, want 4", read)
	}
}

func TestInventoryIntervalOfTheCollectorCountsAtOnce(t *testing.T) {
	read := 0
	count := func(context.Context) (*pb.Observation, error) { read++; return observation(), nil }
	turns(t, count, 2, func(int) (report.Answer, error) {
		return report.Answer{InventoryInterval: 5 * time.Minute}, nil
	})
	if read != 3 {
		t.Errorf("read %d times in ten minutes, want 3", read)
	}
}

func TestMachineIsReadAgainAfterTheClockWasSetBack(t *testing.T) {
	read := 0
	l := newLoop(t, func(context.Context) (*pb.Observation, error) { read++; return observation(), nil },
		func(context.Context, *report.Inventory) (report.Answer, error) { return report.Answer{}, nil })
	at := time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC)
	l.now = func() time.Time { return at }
	for _, step := range []time.Duration{0, time.Minute, -10 * 365 * 24 * time.Hour} {
		at = at.Add(step)
		if _, err := l.step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if read != 2 {
		t.Errorf("read %d times, want 2", read)
	}
}

// A machine that cannot be read again is reported as it was; one that was
// never read is not reported.
func TestReadingThatFails(t *testing.T) {
	broken := errors.New("broken disk")
	var fail bool
	var sent []*report.Inventory
	l := newLoop(t, func(context.Context) (*pb.Observation, error) {
		if fail {
			return nil, broken
		}
		return observation(), nil
	}, func(_ context.Context, inv *report.Inventory) (report.Answer, error) {
		sent = append(sent, inv)
		return report.Answer{}, nil
	})
	l.inventory = 0
	fail = true
	if _, err := l.step(t.Context()); !errors.Is(err, broken) || !strings.Contains(err.Error(), "read the machine") {
		t.Errorf("the first reading fails with %v", err)
	}
	if len(sent) != 0 {
		t.Fatal("something was sent before the machine was read")
	}
	for _, fail = range []bool{false, true} {
		if _, err := l.step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(sent) != 2 || sent[0] != sent[1] {
		t.Errorf("sent %v, want the same inventory twice", sent)
	}
}

func TestStopEndsTheLoopWhereverItIs(t *testing.T) {
	hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	for name, l := range map[string]struct {
		collect  collector
		exchange exchangeFunc
	}{
		"waiting": {healthy, func(context.Context, *report.Inventory) (report.Answer, error) { return report.Answer{}, nil }},
		"waiting after an error": {healthy, func(context.Context, *report.Inventory) (report.Answer, error) {
			return report.Answer{}, report.ErrRevoked
		}},
		"calling": {healthy, func(ctx context.Context, _ *report.Inventory) (report.Answer, error) {
			return report.Answer{}, hang(ctx)
		}},
		"reading": {func(ctx context.Context) (*pb.Observation, error) { return nil, hang(ctx) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				ended := make(chan error, 1)
				run := newLoop(t, l.collect, l.exchange).run
				go func() { ended <- run(ctx) }()
				synctest.Wait()
				from := time.Now()
				cancel()
				if err := <-ended; err != nil {
					t.Errorf("run ends with %v", err)
				}
				if took := time.Since(from); took != 0 {
					t.Errorf("run ends %s after the order", took)
				}
			})
		})
	}
}

// What is known to have changed is read and reported at the next check-in,
// however long the interval of the readings is.
func TestAChangeIsReadAtTheNextCheckIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		reads, exchanges := 0, 0
		changed := false
		var seen []int
		l := newLoop(t, func(context.Context) (*pb.Observation, error) {
			reads++
			changed = false
			return observation(), nil
		}, func(context.Context, *report.Inventory) (report.Answer, error) {
			seen = append(seen, reads)
			if exchanges++; exchanges == 2 {
				changed = true
			}
			if exchanges == 4 {
				cancel()
			}
			return report.Answer{}, nil
		})
		l.changed = func(context.Context) bool { return changed }
		if err := l.run(ctx); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]int{1, 1, 2, 2}, seen); diff != "" {
			t.Errorf("readings by exchange (-want +got):\n%s", diff)
		}
	})
}
