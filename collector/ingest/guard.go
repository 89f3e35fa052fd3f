package ingest

import (
	"fmt"
	"net/netip"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// Refused enrolments cost an address its turn: a handful at once, then one a
// minute; and all addresses together have a share as well, which is far above
// what a misconfigured fleet brings. Accepted ones cost nothing, so that a fleet
// behind one NAT enrols as fast as it comes.
const (
	failureBurst    = 10
	failureInterval = time.Minute
	maxAddresses    = 10_000

	allFailureBurst = 2000
	allFailureRate  = rate.Limit(100)
)

// guard slows down who guesses tokens.
type guard struct {
	now      func() time.Time
	all      *rate.Limiter
	failures *lru.Cache[string, *rate.Limiter]
}

func newGuard(now func() time.Time) (*guard, error) {
	cache, err := lru.New[string, *rate.Limiter](maxAddresses)
	if err != nil {
		return nil, fmt.Errorf("remember refused addresses: %w", err)
	}
	return &guard{now: now, all: rate.NewLimiter(allFailureRate, allFailureBurst), failures: cache}, nil
}

// allow returns an error while an address has failed too often.
func (g *guard) allow(address string) error {
	if g.all.TokensAt(g.now()) < 1 {
		return fmt.Errorf("%w from many addresses: try again in a minute", errTooMany)
	}
	l, ok := g.failures.Get(network(address))
	if ok && l.TokensAt(g.now()) < 1 {
		return fmt.Errorf("%w from %s: wait a minute, and check the token", errTooMany, address)
	}
	return nil
}

// failed notes a refused enrolment.
func (g *guard) failed(address string) {
	l := rate.NewLimiter(rate.Every(failureInterval), failureBurst)
	if held, ok, _ := g.failures.PeekOrAdd(network(address), l); ok {
		l = held
	}
	l.AllowN(g.now(), 1)
	g.all.AllowN(g.now(), 1)
}

// network is what one caller can choose addresses from: an IPv4 address, or the
// /64 of an IPv6 one.
func network(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil || ip.Unmap().Is4() {
		return address
	}
	p, err := ip.WithZone("").Prefix(64)
	if err != nil {
		return address
	}
	return p.String()
}
