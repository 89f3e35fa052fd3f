package compliance

import (
	"context"
	"time"
)

const (
	// flood is how many changes a second are waited out, as many come where whole
	// systems are read: each asset is then judged once for what several of them say
	// of it, and not once for each. That is waited for at least for patience, and
	// longer where the last round of judging took long, so that it takes no more than
	// one part in share of the time; but never for more than longestFlood.
	flood        = 50
	patience     = 30 * time.Second
	share        = 10
	longestFlood = 5 * time.Minute
)

// settle waits until the changes ebb, or until something else than a change is to
// be judged, and returns false where ctx ends. round is how long it took to judge
// what changed before.
func (e *Engine) settle(ctx context.Context, timer *time.Timer, round time.Duration) bool {
	wait, end := settleFor, min(max(patience, share*round), longestFlood)
	before, _ := e.pending()
	for waited := wait; ; waited += wait {
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
		}
		now, others := e.pending()
		if others || waited >= end || time.Duration(now-before)*time.Second < flood*wait {
			return true
		}
		// Pages come in gusts: a whole second without much is the end of the flood.
		before, wait = now, time.Second
	}
}

// pending returns how many changes were heard of so far, and whether assets are to
// be judged for another reason.
func (e *Engine) pending() (changes int, others bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.changes, len(e.backlog) > 0
}
