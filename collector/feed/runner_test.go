package feed_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rollcall-itam/rollcall/collector/feed"
	"github.com/rollcall-itam/rollcall/collector/feed/fetch"
	"github.com/rollcall-itam/rollcall/collector/feed/manifest"
)

// stopped is a clock that a test moves: every wait is announced and lasts until
// the test lets it end.
type stopped struct {
	mu    sync.Mutex
	now   time.Time
	waits chan wait
}

type wait struct {
	d    time.Duration
	done chan struct{}
}

func newStopped() *stopped {
	return &stopped{now: time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC), waits: make(chan wait)}
}

func (c *stopped) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *stopped) Wait(ctx context.Context, d time.Duration) error {
	w := wait{d, make(chan struct{})}
	select {
	case c.waits <- w:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// next returns for how long the feed waits, having passed the time that the
// wait before asked for.
func (c *stopped) next(t *testing.T) wait {
	t.Helper()
	select {
	case w := <-c.waits:
		return w
	case <-time.After(30 * time.Second):
		t.Fatal("the feed does not wait for its next pass")
		return wait{}
	}
}

func (c *stopped) pass(w wait) {
	c.mu.Lock()
	c.now = c.now.Add(w.d)
	c.mu.Unlock()
	close(w.done)
}

// about tells whether a wait is a time, varied by a tenth.
func about(t *testing.T, what string, got, want time.Duration) {
	t.Helper()
	if got < want*89/100 || got > want*111/100 {
		t.Errorf("%s: waits %v, want about %v", what, got, want)
	}
}

func TestSchedule(t *testing.T) {
	w, clock := newWorld(t, 25), newStopped()
	m, err := manifest.Parse(strings.NewReader(acme))
	if err != nil {
		t.Fatal(err)
	}
	m.Retry.Attempts = 1
	client, err := fetch.NewClient(fetch.ClientOptions{AllowPrivate: true})
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	r, err := feed.New(feed.Options{Sink: w, State: w, Logger: slog.New(slog.DiscardHandler), Now: clock.Now, Wait: clock.Wait},
		[]feed.Config{{Name: "acme", Manifest: m, Settings: map[string]string{"url": w.URL}, Client: client}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()

	first := clock.next(t)
	if first.d > 30*time.Second {
		t.Errorf("the first pass waits %v", first.d)
	}
	clock.pass(first)
	due := clock.next(t)
	about(t, "after a pass", due.d, 15*time.Minute)
	if s := r.Statuses()[0]; s.Running || s.Pass.Records != 25 || s.LastSuccess.IsZero() || s.Next.Sub(clock.Now()) != due.d {
		t.Errorf("%+v", s)
	}
	// Somebody wants it now; the wait that is under way ends.
	if err := r.Start("acme", feed.Wish{Full: true}); err != nil {
		t.Fatal(err)
	}
	due = clock.next(t)
	if s := r.Statuses()[0]; !s.Pass.Full || s.Pass.Pages != 3 {
		t.Errorf("%+v", s.Pass)
	}
	w.change(func() { w.fail = func(_ int, rw http.ResponseWriter) bool { rw.WriteHeader(503); return true } })
	for _, want := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute} {
		clock.pass(due)
		due = clock.next(t)
		about(t, "while the system is down", due.d, want)
	}
	w.change(func() { w.fail = func(_ int, rw http.ResponseWriter) bool { rw.WriteHeader(401); return true } })
	clock.pass(due)
	due = clock.next(t)
	about(t, "while credentials are wrong", due.d, 2*time.Hour)
	w.change(func() {
		w.fail = func(_ int, rw http.ResponseWriter) bool {
			rw.Header().Set("Retry-After", "7200")
			rw.WriteHeader(429)
			return true
		}
	})
	clock.pass(due)
	if due = clock.next(t); due.d < 2*time.Hour || due.d > 2*time.Hour+10*time.Second {
		t.Errorf("asked to wait two hours, it waits %v", due.d)
	}
	if s := r.Statuses()[0]; s.Failures != 5 || !strings.Contains(s.Error, "too many requests") {
		t.Errorf("%+v", s)
	}
	w.change(func() { w.fail, w.asked = nil, nil })
	if err := r.Pause("acme", true); err != nil {
		t.Fatal(err)
	}
	paused := clock.next(t)
	clock.pass(paused)
	clock.next(t)
	if n := w.requests(); n != 0 {
		t.Errorf("a paused feed asked %d times", n)
	}
	if err := r.Pause("acme", false); err != nil {
		t.Fatal(err)
	}
	// It is long overdue.
	if due = clock.next(t); due.d > 0 {
		about(t, "after a pause", due.d, 15*time.Minute)
	} else {
		clock.pass(due)
		due = clock.next(t)
	}
	if s := r.Statuses()[0]; s.Failures != 0 || s.Error != "" {
		t.Errorf("%+v", s)
	}
	if err := r.Start("nobody", feed.Wish{}); !errors.Is(err, feed.ErrUnknown) {
		t.Error(err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
