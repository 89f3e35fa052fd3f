package api

import (
	"fmt"
	"net/netip"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// Failed sign-ins cost an address its turn: some at once, then one every few
// seconds. Right tokens cost nothing.
const (
	failureBurst    = 30
	failureInterval = 2 * time.Second
	maxAddresses    = 10_000
)

// failures slows down who guesses tokens.
type failures struct {
	now   func() time.Time
	cache *lru.Cache[string, *rate.Limiter]
}

func newFailures(now func() time.Time) (*failures, error) {
	cache, err := lru.New[string, *rate.Limiter](maxAddresses)
	if err != nil {
		return nil, fmt.Errorf("make the guard of sign-ins: %w", err)
	}
	return &failures{now: now, cache: cache}, nil
}

// allow returns false while an address has failed too often.
func (f *failures) allow(address string) bool {
	l, ok := f.cache.Get(network(address))
	return !ok || l.TokensAt(f.now()) >= 1
}

// failed notes a failed sign-in.
func (f *failures) failed(address string) {
	l := rate.NewLimiter(rate.Every(failureInterval), failureBurst)
	if held, ok, _ := f.cache.PeekOrAdd(network(address), l); ok {
		l = held
	}
	l.AllowN(f.now(), 1)
}

// network is what one caller has at his command: an IPv4 address, or the /64
// of an IPv6 one.
func network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	a = a.Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	return netip.PrefixFrom(a, bits).Masked().String()
}
