package signin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// Bounds of sign-ins that are under way.
const (
	// PendingLife is how long a person has at the provider.
	PendingLife = 10 * time.Minute
	// codeLife is how long a program has to take its session.
	codeLife   = time.Minute
	maxPending = 10_000
	maxCode    = 4 << 10
	maxFile    = 1 << 20
)

// Flow leads people through a sign-in:
//
//   - a program that wants to sign somebody in listens on its machine's loopback
//     address and sends the person's browser to Begin, with a PKCE challenge,
//   - Begin sends the browser on to the provider, with a challenge of its own,
//   - the provider sends it back to Finish, which has the provider say who it is
//     and sends the browser to the program with a code,
//   - the program takes the code to Redeem, with what proves the challenge.
//
// So the provider knows one application, the collector, and no token of the
// provider leaves it.
type Flow struct {
	provider *provider
	settings Settings
	now      func() time.Time

	mu sync.Mutex
	// pending are sign-ins at the provider by the hash of their state, and codes
	// those that a program has to take.
	pending map[string]*pending
	codes   map[string]*done
	// devices are sign-ins that a person finishes on another device.
	devices map[string]*device
	swept   time.Time
	// limit bounds each of the three.
	limit int
}

// pending is a sign-in that is at the provider.
type pending struct {
	until time.Time
	// browser is the hash of what the browser was given, nonce and verifier what
	// the provider's answer has to go with.
	browser, nonce, verifier string
	asked                    Asked
}

// done is a sign-in that a program has not taken yet.
type done struct {
	until     time.Time
	challenge string
	person    Person
}

// Asked is what a program says when it sends a browser.
type Asked struct {
	// Redirect is where the program listens, Challenge is S256 of its verifier,
	// and State comes back to it unchanged.
	Redirect, Challenge, State string
}

// New returns the flow of settings that are filled, checked and have their secret.
// It asks nobody; Run does.
func New(s Settings, log *slog.Logger, now func() time.Time) (*Flow, error) {
	p, err := newProvider(s, log, now)
	if err != nil {
		return nil, err
	}
	return &Flow{provider: p, settings: s, now: now, pending: map[string]*pending{}, codes: map[string]*done{}, devices: map[string]*device{}, limit: maxPending}, nil
}

// Run keeps what the provider says of itself until ctx ends.
func (f *Flow) Run(ctx context.Context) error {
	defer f.provider.client.CloseIdleConnections()
	return f.provider.run(ctx)
}

// Up tells whether the provider answered when it was asked last.
func (f *Flow) Up() bool { return f.provider.up() }

// Issuer is the provider's name.
func (f *Flow) Issuer() string { return f.settings.Issuer }

// URL is the collector's address as browsers reach it.
func (f *Flow) URL() string { return f.settings.URL }

// Basis stands for all that decides who may what.
func (f *Flow) Basis() string { return f.settings.basis() }

// Session is how long a person stays signed in.
func (f *Flow) Session() time.Duration { return f.settings.Session }

var (
	challenges = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)
	states     = regexp.MustCompile(`^[A-Za-z0-9_-]{16,128}$`)
	paths      = regexp.MustCompile(`^/[A-Za-z0-9/_-]{0,99}$`)
)

// check tells why a browser is not sent on for a program. Codes go to the machine
// where the browser runs and nowhere else.
func (a Asked) check() error {
	const again = "update rollcall and run `rollcall login` again"
	u, err := url.Parse(a.Redirect)
	if err != nil || u.Scheme != "http" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Opaque != "" || !paths.MatchString(u.Path) || u.RawPath != "" {
		return refuse(Invalid, "redirect_uri is not like http://127.0.0.1:PORT/callback: "+again)
	}
	ip, err := netip.ParseAddr(u.Hostname())
	port, portErr := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil || ip.Zone() != "" || ip != netip.AddrFrom4([4]byte{127, 0, 0, 1}) && ip != netip.IPv6Loopback() || portErr != nil || port == 0 {
		return refuse(Invalid, "redirect_uri leads to another machine than the browser's, which is not done: want http://127.0.0.1:PORT or http://[::1]:PORT")
	}
	if !challenges.MatchString(a.Challenge) || !states.MatchString(a.State) {
		return refuse(Invalid, "code_challenge or state is missing or none: "+again)
	}
	return nil
}

// Begin returns where to send the browser of a person who wants to sign in.
// browser is a secret that only this browser has. The error is a Refusal.
func (f *Flow) Begin(ctx context.Context, browser string, a Asked) (string, error) {
	if err := a.check(); err != nil {
		return "", err
	}
	d, err := f.describe(ctx)
	if err != nil {
		return "", err
	}
	state, nonce := secret(), secret()
	p := &pending{until: f.now().Add(PendingLife), browser: hash(browser), nonce: nonce, verifier: oauth2.GenerateVerifier(), asked: a}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.room(); err != nil {
		return "", err
	}
	f.pending[hash(state)] = p
	return d.oauth.AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(p.verifier)), nil
}

func (f *Flow) describe(ctx context.Context) (*description, error) {
	d, err := f.provider.describe(ctx, false)
	if err != nil {
		r := refuse(Unreachable, "the sign-in provider cannot be reached by the collector: try again in a minute, or use a token (--token-file); the collector's log says why")
		r.Cause = err
		return nil, r
	}
	return d, nil
}

// room tells whether one more sign-in may be under way; what has ended makes room.
func (f *Flow) room() error {
	full := func() bool { return max(len(f.pending), len(f.codes), len(f.devices)) >= f.limit }
	if full() || f.now().Sub(f.swept) > codeLife {
		f.sweep()
	}
	if full() {
		return refuse(Busy, "too many sign-ins are under way: try again in a few minutes")
	}
	return nil
}

// sweep forgets what has ended.
func (f *Flow) sweep() {
	now := f.now()
	f.swept = now
	for k, p := range f.pending {
		if now.After(p.until) {
			delete(f.pending, k)
		}
	}
	for k, c := range f.codes {
		if now.After(c.until) {
			delete(f.codes, k)
		}
	}
	for k, d := range f.devices {
		if now.After(d.until) {
			delete(f.devices, k)
		}
	}
}

// Answer is what a provider sends a browser back with.
type Answer struct{ State, Code, Issuer, Error, ErrorDescription string }

// Finish takes the provider's answer, and returns where to send the browser: to
// the program, with a code or with the reason why there is none. Where the answer
// belongs to no sign-in of this browser, to is empty. The error is a Refusal.
func (f *Flow) Finish(ctx context.Context, browser string, a Answer) (to string, who Person, err error) {
	f.mu.Lock()
	key := hash(a.State)
	p, ok := f.pending[key]
	delete(f.pending, key) // an answer counts once, whatever comes of it
	f.mu.Unlock()
	switch {
	case !ok || f.now().After(p.until):
		return "", who, refuse(Expired, "this sign-in is not known here, was finished before, or took longer than %s: run `rollcall login` again", PendingLife)
	case subtle.ConstantTimeCompare([]byte(p.browser), []byte(hash(browser))) != 1:
		return "", who, refuse(Forged, "this sign-in began in another browser: run `rollcall login` again, and open no sign-in that somebody sent you")
	}
	who, err = f.proven(ctx, p, a)
	q := url.Values{"state": {p.asked.State}}
	if err != nil {
		var r *Refusal
		if errors.As(err, &r) {
			q.Set("error", r.Result)
			q.Set("error_description", r.Text)
		}
		return p.asked.Redirect + "?" + q.Encode(), who, err
	}
	code := secret()
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.room(); err != nil {
		return "", who, err
	}
	f.codes[hash(code)] = &done{until: f.now().Add(codeLife), challenge: p.asked.Challenge, person: who}
	q.Set("code", code)
	return p.asked.Redirect + "?" + q.Encode(), who, nil
}

// proven returns who the provider's answer is about.
func (f *Flow) proven(ctx context.Context, p *pending, a Answer) (Person, error) {
	d, err := f.describe(ctx)
	if err != nil {
		return Person{}, err
	}
	switch {
	case a.Issuer != "" && a.Issuer != f.settings.Issuer || d.named && a.Issuer == "":
		return Person{}, refuse(Forged, "this answer comes from another provider: run `rollcall login` again")
	case a.Error != "":
		return Person{}, refuse(Refused, "the provider refused the sign-in: %s", shown(a.Error+" "+a.ErrorDescription))
	case a.Code == "" || len(a.Code) > maxCode:
		return Person{}, refuse(Broken, "the provider's answer holds no code: run `rollcall login` again")
	}
	c, err := f.provider.exchange(ctx, d, a.Code, p.verifier, p.nonce)
	if err != nil {
		return Person{}, err
	}
	return f.settings.person(c)
}

// Redeem returns who has signed in for a code that Finish gave out, to who has the
// verifier of its challenge. A code counts once, right or wrong. The error is a
// Refusal.
func (f *Flow) Redeem(code, verifier string) (Person, error) {
	f.mu.Lock()
	key := hash(code)
	c, ok := f.codes[key]
	delete(f.codes, key)
	f.mu.Unlock()
	challenge := sha256.Sum256([]byte(verifier))
	switch {
	case !ok || f.now().After(c.until):
		return Person{}, refuse(Expired, "this code is not known, was used before, or is older than %s: run `rollcall login` again", codeLife)
	case subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(challenge[:])), []byte(c.challenge)) != 1:
		return Person{}, refuse(Forged, "this code was given to another program: run `rollcall login` again")
	}
	return c.person, nil
}

// secret returns 256 random bits.
func secret() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// Browser returns a new secret for a browser.
func Browser() string { return secret() }

// IsBrowser tells whether a text may be a secret that Browser made.
func IsBrowser(s string) bool { return challenges.MatchString(s) }

// hash stands for a secret where it is kept.
func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return string(sum[:])
}

func readCA(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read ca_file: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return nil, fmt.Errorf("read ca_file: %w", err)
	}
	return b, nil
}
