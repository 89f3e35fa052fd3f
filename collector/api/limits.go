package api

import (
	"fmt"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// Bounds of how often one token may call.
const (
	// DefaultRate is calls a second, over time, and burstSeconds how many seconds'
	// worth of them may come at once.
	DefaultRate  = 500
	burstSeconds = 4
	maxLimited   = 10_000
)

// limits slow down who calls too often, each token for itself.
type limits struct {
	now  func() time.Time
	rate float64
	of   *lru.Cache[string, *rate.Limiter]
}

// newLimits returns the limits for a number of calls a second; 0 is DefaultRate,
// and less is no limit.
func newLimits(now func() time.Time, perSecond float64) (*limits, error) {
	if perSecond == 0 {
		perSecond = DefaultRate
	}
	of, err := lru.New[string, *rate.Limiter](maxLimited)
	if err != nil {
		return nil, fmt.Errorf("make the limits of tokens: %w", err)
	}
	return &limits{now: now, rate: perSecond, of: of}, nil
}

// allow takes a call of a token, or tells after how long it may come again.
func (l *limits) allow(token string) (retry time.Duration, ok bool) {
	if l.rate < 0 {
		return 0, true
	}
	fresh := rate.NewLimiter(rate.Limit(l.rate), max(1, int(l.rate*burstSeconds)))
	held, found, _ := l.of.PeekOrAdd(token, fresh)
	if !found {
		held = fresh
	}
	if held.AllowN(l.now(), 1) {
		l.of.Get(token) // which keeps it among those used lately
		return 0, true
	}
	return max(time.Second, time.Duration(float64(time.Second)/l.rate)), false
}
