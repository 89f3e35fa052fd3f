package ingest

import (
	"errors"
	"fmt"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

var errTooMany = errors.New("too many enrolments were refused")

// Refused enrolments cost an address its turn: a handful at once, then one a
// minute. Accepted ones cost nothing, so that a fleet behind one NAT enrols as
// fast as it comes.
const (
	failureBurst    = 10
	failureInterval = time.Minute
	maxAddresses    = 10_000
)

// guard slows down who guesses tokens.
type guard struct {
	now      func() time.Time
	failures *lru.Cache[string, *rate.Limiter]
}

func newGuard(now func() time.Time) (*guard, error) {
	cache, err := lru.New[string, *rate.Limiter](maxAddresses)
	return &guard{now: now, failures: cache}, err
}

// allow returns an error while an address has failed too often.
func (g *guard) allow(address string) error {
	l, ok := g.failures.Get(address)
	if ok && l.TokensAt(g.now()) < 1 {
		return fmt.Errorf("%w from %s: wait a minute, and check the token", errTooMany, address)
	}
	return nil
}

// failed notes a refused enrolment.
func (g *guard) failed(address string) {
	l := rate.NewLimiter(rate.Every(failureInterval), failureBurst)
	if held, ok, _ := g.failures.PeekOrAdd(address, l); ok {
		l = held
	}
	l.AllowN(g.now(), 1)
}
