package report

import (
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Bounds of the wait after a failure.
const (
	minBackoff = time.Second
	maxBackoff = time.Hour
)

// Backoff says how long to wait after each failure: the mean doubles from one
// second to an hour, and the wait is drawn from nought to twice the mean, so
// that a fleet whose collector returns does not call all at once.
type Backoff struct {
	exp *backoff.ExponentialBackOff
	// random returns numbers in [0, 1).
	random func() float64
}

// NewBackoff returns a back-off that draws from random.
func NewBackoff(random func() float64) *Backoff {
	exp := backoff.NewExponentialBackOff()
	// The jitter is drawn here, from a source that tests can set.
	exp.InitialInterval, exp.Multiplier, exp.MaxInterval, exp.RandomizationFactor = minBackoff, 2, maxBackoff/2, 0
	exp.Reset()
	return &Backoff{exp: exp, random: random}
}

// Next returns the wait after err. What the collector asks for is waited at
// least, within the hour; an error that somebody has to mend is tried again
// about hourly, and a token that is missing is looked for each minute.
func (b *Backoff) Next(err error) time.Duration {
	switch {
	case errors.Is(err, ErrNoToken):
		// No call was made: only the file is looked for again.
		return Spread(time.Minute, b.random)
	case Permanent(err):
		return maxBackoff + Spread(maxBackoff/10, b.random)
	}
	wait := max(time.Duration(2*b.random()*float64(b.exp.NextBackOff())), minBackoff/2)
	if asked := min(RetryAfter(err), maxBackoff); asked > 0 {
		wait = asked + min(wait, asked)
	}
	return min(wait, 2*maxBackoff)
}

// Reset begins anew after a success.
func (b *Backoff) Reset() { b.exp.Reset() }

// Spread returns d up to 10 % shorter or longer, so that agents that started
// together drift apart.
func Spread(d time.Duration, random func() float64) time.Duration {
	return time.Duration(float64(d) * (0.9 + 0.2*random()))
}
