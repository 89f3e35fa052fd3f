package feed

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/rollcall-itam/rollcall/collector/feed/fetch"
)

// Bounds of the wait after a pass that failed.
const (
	firstWait = time.Minute
	longWait  = time.Hour
	// deniedWait is the longest wait where credentials or answers are wrong: only
	// somebody can change that, and asking on locks accounts.
	deniedWait = 6 * time.Hour
	// startSpread is over how long the passes spread that are due at the start.
	startSpread = 30 * time.Second
)

// afterFailure says how long to wait: as long as the system asks for, and
// otherwise longer each time.
func afterFailure(err error, failures int, every time.Duration) time.Duration {
	var fail *fetch.Failure
	if errors.As(err, &fail) && fail.After > 0 {
		return fail.After + spread(10*time.Second)
	}
	first, most := firstWait, longWait
	if kind := fetch.KindOf(err); kind == fetch.Denied || kind == fetch.Broken {
		first, most = max(firstWait, every), deniedWait
	}
	return around(min(first<<min(failures-1, 16), most))
}

// around varies a time by up to a tenth, so that feeds do not run together.
func around(d time.Duration) time.Duration { return d - d/10 + spread(d/5) }

func spread(most time.Duration) time.Duration {
	return time.Duration(rand.Int64N(int64(most) + 1)) //nolint:gosec // spreads load, guards nothing
}
