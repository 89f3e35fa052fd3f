package api

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// Failed sign-ins cost an address its turn: some at once, then one every few
// seconds. Right tokens cost nothing, and one that was right before is let
// through whatever else its address does: a script that repeats a stale token
// must not lock out who shares its proxy.
const (
	failureBurst    = 30
	failureInterval = 2 * time.Second
	maxAddresses    = 10_000
	maxProven       = 1000
)

// failures slows down who guesses tokens.
type failures struct {
	now   func() time.Time
	cache *lru.Cache[string, *rate.Limiter]
	// proven holds hashes of secrets that passed last time.
	proven *lru.Cache[[sha256.Size]byte, struct{}]
}

func newFailures(now func() time.Time) (*failures, error) {
	cache, err := lru.New[string, *rate.Limiter](maxAddresses)
	if err != nil {
		return nil, fmt.Errorf("make the guard of sign-ins: %w", err)
	}
	proven, err := lru.New[[sha256.Size]byte, struct{}](maxProven)
	if err != nil {
		return nil, fmt.Errorf("make the guard of sign-ins: %w", err)
	}
	return &failures{now: now, cache: cache, proven: proven}, nil
}

// allow tells whether a secret is to be looked at: not while its address has
// failed too often, unless it passed before.
func (f *failures) allow(address, secret string) bool {
	l, ok := f.cache.Get(network(address))
	return !ok || l.TokensAt(f.now()) >= 1 || f.proven.Contains(sha256.Sum256([]byte(secret)))
}

// passed notes that a secret is right.
func (f *failures) passed(secret string) { f.proven.Add(sha256.Sum256([]byte(secret)), struct{}{}) }

// failed notes a failed sign-in.
func (f *failures) failed(address, secret string) {
	f.proven.Remove(sha256.Sum256([]byte(secret)))
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
