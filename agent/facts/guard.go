package facts

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// maxGrace is how long a fact whose time is up has to return what it found;
// most heed their context at once.
const maxGrace = time.Second

// mark notes since when a fact runs, also after it was given up on. Nothing in
// Go ends a goroutine that hangs in the kernel, or in a loop: all that can be
// done is not to start a second.
type mark = atomic.Pointer[time.Time]

// Guard gives each fact of a list the mark that keeps one that hangs from being
// begun again and again. All returns facts that have it.
func Guard(list []Fact) []Fact {
	for i := range list {
		list[i].busy = new(mark)
	}
	return list
}

// hangsSince tells since when a fact runs that was given up on, zero for one
// that does not.
func (f Fact) hangsSince() time.Time {
	if f.busy == nil {
		return time.Time{}
	}
	if since := f.busy.Load(); since != nil {
		return *since
	}
	return time.Time{}
}

// bounded has a part of a fact's work done on a goroutine of its own, which it
// gives up on where that does not heed its context. What the work touches is
// the work's own until it ended: ended tells whether it did.
func (c *collection) bounded(ctx context.Context, f Fact, work func(context.Context) error) (ended bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, fmt.Errorf("not tried: %w", err)
	}
	begin := c.host.Now()
	if f.busy != nil && !f.busy.CompareAndSwap(nil, &begin) {
		return false, fmt.Errorf("not tried: it still hangs in an earlier collection, since %s", f.hangsSince().UTC().Format(time.RFC3339))
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		err := guarded(func() error { return work(ctx) })
		if f.busy != nil {
			f.busy.Store(nil)
		}
		done <- err
	}()
	select {
	case err = <-done:
		return true, err
	case <-ctx.Done():
	}
	grace := time.NewTimer(min(c.timeout/10, maxGrace))
	defer grace.Stop()
	select {
	case err = <-done:
		return true, err
	case <-grace.C:
		return false, fmt.Errorf("gave up after %s: %w", c.timeout, ctx.Err())
	}
}

// panicked is what a panic becomes.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string {
	return fmt.Sprintf("panic, please report it: %v\n%s", p.value, p.stack)
}

// guarded does work and turns a panic of it into an error: decoders read
// foreign bytes, and a bug in one must not cost the whole report.
func guarded(work func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicked{value: v, stack: debug.Stack()}
		}
	}()
	return work()
}

// crashed tells whether an error was a panic, after which nothing that the work
// touched can be relied on.
func crashed(err error) bool {
	var crash *panicked
	return errors.As(err, &crash)
}

// lookout takes looks at the machine that are no fact, one at a time, and gives
// up on one that hangs: the next is then not taken until that returned.
type lookout struct {
	busy atomic.Bool
	// patience is how long a look may take; 0 means as long as a fact.
	patience time.Duration
}

// take tells whether the look saw something; one that hangs or crashes saw
// nothing. The look must touch nothing of the caller's.
func (l *lookout) take(ctx context.Context, look func(context.Context) bool) bool {
	if !l.busy.CompareAndSwap(false, true) {
		return false
	}
	patience := l.patience
	if patience <= 0 {
		patience = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	saw := make(chan bool, 1)
	go func() {
		found := false
		if err := guarded(func() error { found = look(ctx); return nil }); err != nil {
			found = false
		}
		l.busy.Store(false)
		saw <- found
	}()
	select {
	case found := <-saw:
		return found
	case <-ctx.Done():
		return false
	}
}
