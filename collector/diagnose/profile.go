package diagnose

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/pprof"
	"runtime/trace"
	"slices"
	"strings"
	"sync"
	"time"
)

// MaxProfile bounds how long a profile lasts, MaxTrace how long a trace: it
// grows with all that happens.
const (
	MaxProfile = 2 * time.Minute
	MaxTrace   = 30 * time.Second
)

// Kinds are the profiles that can be taken: of the processors' time and of every
// step of the scheduler, which last, and of how things are.
var Kinds = []string{"cpu", "trace", "heap", "allocs", "goroutine", "threadcreate"}

// ErrBusy is returned while another profile is being taken.
var ErrBusy = errors.New("another profile is being taken: try again when that has ended")

// Profiler takes profiles of this process, one at a time.
type Profiler struct{ busy sync.Mutex }

// Take writes a profile. Those of cpu and trace last for a time, or until ctx is
// done.
func (p *Profiler) Take(ctx context.Context, w io.Writer, kind string, last time.Duration) error {
	if err := CheckProfile(kind, last); err != nil {
		return err
	}
	if !p.busy.TryLock() {
		return ErrBusy
	}
	defer p.busy.Unlock()
	switch kind {
	case "cpu":
		return during(ctx, w, last, pprof.StartCPUProfile, pprof.StopCPUProfile)
	case "trace":
		return during(ctx, w, last, trace.Start, trace.Stop)
	case "heap", "allocs":
		runtime.GC() // what is used now, not at the last collection
	}
	if err := pprof.Lookup(kind).WriteTo(w, 0); err != nil {
		return fmt.Errorf("write the profile: %w", err)
	}
	return nil
}

// CheckProfile tells what is wrong with a wish for a profile.
func CheckProfile(kind string, last time.Duration) error {
	most := MaxProfile
	if kind == "trace" {
		most = MaxTrace
	}
	switch {
	case !slices.Contains(Kinds, kind):
		return fmt.Errorf("profile %q is not known: want one of %s", kind, strings.Join(Kinds, ", "))
	case (kind == "cpu" || kind == "trace") && (last < time.Second || last > most):
		return fmt.Errorf("a profile of %s: want 1s to %s", last, most)
	}
	return nil
}

func during(ctx context.Context, w io.Writer, last time.Duration, start func(io.Writer) error, stop func()) error {
	told := &watched{to: w}
	if err := start(told); err != nil {
		return fmt.Errorf("begin the profile: %w", err)
	}
	timer := time.NewTimer(last)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	stop()
	return errors.Join(ctx.Err(), told.err)
}

// watched remembers what went wrong; the runtime does not.
type watched struct {
	to  io.Writer
	err error
}

// Write implements io.Writer.
func (w *watched) Write(b []byte) (int, error) {
	if w.err != nil {
		return len(b), nil
	}
	n, err := w.to.Write(b)
	w.err = err
	return n, err
}

// WriteGoroutines writes what every goroutine is at, for people.
func WriteGoroutines(w io.Writer) error {
	if err := pprof.Lookup("goroutine").WriteTo(w, 2); err != nil {
		return fmt.Errorf("write the goroutines: %w", err)
	}
	return nil
}
