package main

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/rollcall-itam/rollcall/agent/facts"
	"github.com/rollcall-itam/rollcall/agent/host"
	"github.com/rollcall-itam/rollcall/agent/privacy"
	"github.com/rollcall-itam/rollcall/agent/report"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

func newDog() *watchdog {
	return &watchdog{limit: collectTimeout, grace: collectGrace, now: time.Now}
}

func TestAReadingThatHangsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dog, release := newDog(), make(chan struct{})
		begin := time.Now()
		_, err := watch(t.Context(), dog, func(context.Context) int { <-release; return 1 })
		if err == nil || !strings.Contains(err.Error(), "hangs since 2000-01-01T00:00:00Z") || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a reading that hangs gives %v", err)
		}
		if took := time.Since(begin); took != collectTimeout+collectGrace || !dog.hangsSince().Equal(begin) {
			t.Errorf("given up after %s, hangs since %s", took, dog.hangsSince())
		}
		begun := false
		if _, err := watch(t.Context(), dog, func(context.Context) int { begun = true; return 2 }); err == nil || begun {
			t.Errorf("a second reading was begun beside it: %v", err)
		}
		close(release)
		synctest.Wait()
		if n, err := watch(t.Context(), dog, func(context.Context) int { return 3 }); n != 3 || err != nil {
			t.Errorf("after it ended: %d, %v", n, err)
		}
	})
}

func TestTheWatchdogLetsTheAgentStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		release := make(chan struct{})
		defer close(release)
		begin := time.Now()
		if _, err := watch(ctx, newDog(), func(context.Context) int { <-release; return 1 }); err == nil {
			t.Error("no error")
		}
		if took := time.Since(begin); took != time.Minute+stopGrace {
			t.Errorf("stopped after %s", took)
		}
	})
}

func TestAReadingThatCrashesIsAnError(t *testing.T) {
	dog := newDog()
	_, err := watch(t.Context(), dog, func(context.Context) int { panic("index out of range") })
	if err == nil || !strings.Contains(err.Error(), "index out of range") || !dog.hangsSince().IsZero() {
		t.Errorf("%v, hangs since %s", err, dog.hangsSince())
	}
}

// A machine one of whose facts hangs is reported all the same, again and again,
// and its status names the fact.
func TestAFactThatHangsDoesNotKeepTheAgentFromReporting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var tried atomic.Int32
		list := facts.Guard([]facts.Fact{
			{Name: "good", Section: "os", Learn: func(_ context.Context, _ *host.Host, d *pb.Device) error { d.Os = &pb.Os{Name: "Plan 9"}; return nil }},
			{Name: "mounts", Section: "storage", Learn: func(context.Context, *host.Host, *pb.Device) error { tried.Add(1); <-release; return nil }},
		})
		l := newLearner(privacy.Settings{})
		l.host = &host.Host{FS: fstest.MapFS{}, OS: "linux", Now: time.Now}
		l.options = facts.Options{Facts: list, Memory: facts.NewMemory()}
		l.dog.now = time.Now
		var told report.Collection
		l.tell = func(c report.Collection) { told = c }
		begin, exchanges := time.Now(), 0
		ctx, cancel := context.WithCancel(t.Context())
		loop := newLoop(t, l.learn, func(_ context.Context, inv *report.Inventory) (report.Answer, error) {
			if exchanges++; exchanges == 30 {
				cancel()
			}
			return report.Answer{}, nil
		})
		if err := loop.run(ctx); err != nil {
			t.Fatal(err)
		}
		if tried.Load() != 1 || time.Since(begin) < 2*time.Hour {
			t.Errorf("%d exchanges in %s, the fact was begun %d times", exchanges, time.Since(begin), tried.Load())
		}
		if len(told.Facts) != 2 || !told.Facts[1].HangsSince.Equal(begin) || !told.HangsSince.IsZero() {
			t.Errorf("the status says %+v", told)
		}
		close(release)
	})
}
