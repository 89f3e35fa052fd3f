package main

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"
)

const (
	// collectTimeout bounds one reading of the machine. Each fact has a time of
	// its own, which is much shorter.
	collectTimeout = 10 * time.Minute
	// collectGrace is how long a reading whose time is up has to come back. Where
	// all is well it does within the time of one fact.
	collectGrace = time.Minute
	// stopGrace is how long it has when the agent is told to stop.
	stopGrace = 5 * time.Second
)

// watchdog gives up readings that do not come back, so that the agent goes on to
// check in with what it knew. The goroutine of such a reading cannot be ended:
// as long as it is there, no other is begun.
type watchdog struct {
	limit, grace time.Duration
	now          func() time.Time

	since atomic.Pointer[time.Time]
}

// hangsSince tells since when a reading is under way, zero for none.
func (w *watchdog) hangsSince() time.Time {
	if t := w.since.Load(); t != nil {
		return *t
	}
	return time.Time{}
}

// watch reads on a goroutine of its own. A reading that crashes is an error like
// one that hangs: the service outlives both.
func watch[T any](ctx context.Context, w *watchdog, read func(context.Context) T) (T, error) {
	var none T
	begin := w.now()
	if !w.since.CompareAndSwap(nil, &begin) {
		return none, fmt.Errorf("a reading hangs since %s: no other is begun until it ends; restart the agent if it does not", stamp(w.hangsSince()))
	}
	limited, cancel := context.WithTimeout(ctx, w.limit)
	defer cancel()
	type outcome struct {
		found T
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		var o outcome
		defer func() {
			if v := recover(); v != nil {
				o = outcome{err: fmt.Errorf("the reading crashed, please report it: %v\n%s", v, debug.Stack())}
			}
			w.since.Store(nil)
			done <- o
		}()
		o.found = read(limited)
	}()
	select {
	case o := <-done:
		return o.found, o.err
	case <-limited.Done():
	}
	grace := time.NewTimer(w.grace)
	defer grace.Stop()
	defer context.AfterFunc(ctx, func() { grace.Reset(min(stopGrace, w.grace)) })()
	select {
	case o := <-done:
		return o.found, o.err
	case <-grace.C:
		return none, fmt.Errorf("the reading hangs since %s and was given up: %w", stamp(begin), limited.Err())
	}
}
