package signin

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rollcall-itam/rollcall/collector/signin/signintest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	ours     = "https://rollcall.example.com"
	verifier = "a-verifier-that-is-long-enough-for-everybody-0123"
	wanted   = "state-of-the-program"
)

// desk is a flow at a real provider, and a browser before it.
type desk struct {
	*Flow
	t        *testing.T
	provider *signintest.Provider
	browser  *http.Client
	cookie   string

	mu    sync.Mutex
	ahead time.Duration
}

func newDesk(t *testing.T, secret string) *desk {
	t.Helper()
	d := &desk{t: t, provider: signintest.New(t, secret, ours+CallbackPath), browser: signintest.Browser(t), cookie: Browser()}
	d.provider.SignsIn(signintest.Person{ID: "00u1", Email: "ann@example.com", Name: "Ann Berg", Verified: true, Groups: []string{"it"}})
	s := usual()
	s.Issuer, s.URL, s.ClientSecret, s.Device = d.provider.URL, ours, secret, true
	var err error
	if d.Flow, err = New(s, slog.New(slog.DiscardHandler), d.clock); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Flow.provider.client.CloseIdleConnections)
	// What comes back to the collector is taken by hand.
	d.browser.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), ours) {
			return http.ErrUseLastResponse
		}
		return nil
	}
	return d
}

func (d *desk) clock() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Now().Add(d.ahead)
}

// shift sets our clock.
func (d *desk) shift(ahead time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ahead = ahead
}

func asked() Asked {
	sum := sha256.Sum256([]byte(verifier))
	return Asked{Redirect: "http://127.0.0.1:4711/callback", Challenge: base64.RawURLEncoding.EncodeToString(sum[:]), State: wanted}
}

// begin goes through the provider and returns what it answers.
func (d *desk) begin() Answer {
	d.t.Helper()
	to, err := d.Begin(d.t.Context(), d.cookie, asked())
	if err != nil {
		d.t.Fatal(err)
	}
	resp, err := d.browser.Get(to)
	if err != nil {
		d.t.Fatal(err)
	}
	resp.Body.Close()
	back, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || back.Path != CallbackPath {
		d.t.Fatalf("the provider sends to %q (%s): %v", back, resp.Status, err)
	}
	q := back.Query()
	return Answer{State: q.Get("state"), Code: q.Get("code"), Issuer: q.Get("iss"), Error: q.Get("error"), ErrorDescription: q.Get("error_description")}
}

// finish returns what the program is told.
func (d *desk) finish(a Answer) (url.Values, error) {
	d.t.Helper()
	to, _, err := d.Finish(d.t.Context(), d.cookie, a)
	if to == "" {
		return nil, err
	}
	if !strings.HasPrefix(to, asked().Redirect+"?") {
		d.t.Fatalf("the browser is sent to %s", to)
	}
	u, parseErr := url.Parse(to)
	if parseErr != nil || u.Query().Get("state") != wanted {
		d.t.Fatalf("the program is told %s: %v", to, parseErr)
	}
	return u.Query(), err
}

func (d *desk) wantRefused(err error, result string) {
	d.t.Helper()
	var no *Refusal
	if !errors.As(err, &no) || no.Result != result || no.Text == "" {
		d.t.Errorf("error %v (cause %v), want %s", err, errors.Unwrap(err), result)
	}
}

func TestSignIn(t *testing.T) {
	for name, secret := range map[string]string{"with a secret": signintest.Secret, "a public client": ""} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, secret)
			q, err := d.finish(d.begin())
			if err != nil {
				t.Fatal(err, errors.Unwrap(err))
			}
			who, err := d.Redeem(q.Get("code"), verifier)
			if err != nil || who.Identity != "ann@example.com" || who.Role != "admin" || who.Name != "Ann Berg" || who.Subject != "00u1" {
				t.Errorf("%+v %v", who, err)
			}
			_, err = d.Redeem(q.Get("code"), verifier)
			d.wantRefused(err, Expired)
		})
	}
}

func TestAnswersThatAreNotOurs(t *testing.T) {
	d := newDesk(t, signintest.Secret)
	right := d.begin()
	guessed := right
	guessed.State = Browser()
	_, err := d.finish(guessed)
	d.wantRefused(err, Expired)
	if _, err := d.finish(right); err != nil {
		t.Fatalf("a guess spoilt the sign-in: %v", err)
	}
	_, err = d.finish(right) // once more
	d.wantRefused(err, Expired)

	stolen := d.begin()
	_, _, err = d.Finish(t.Context(), Browser(), stolen)
	d.wantRefused(err, Forged)
	_, _, err = d.Finish(t.Context(), "", d.begin())
	d.wantRefused(err, Forged)

	elsewhere := d.begin()
	elsewhere.Issuer = "https://evil.example.net"
	_, err = d.finish(elsewhere)
	d.wantRefused(err, Forged)

	other := d.begin()
	other.Code = "another"
	_, err = d.finish(other)
	d.wantRefused(err, Broken)

	// The code of one sign-in with the state of another: PKCE does not fit.
	one, two := d.begin(), d.begin()
	one.Code = two.Code
	_, err = d.finish(one)
	d.wantRefused(err, Broken)

	q, err := d.finish(Answer{State: d.begin().State, Error: "access_denied", ErrorDescription: "the <b>user</b>\x00 said no"})
	d.wantRefused(err, Refused)
	if q.Get("error") != Refused || !strings.Contains(q.Get("error_description"), "access_denied") {
		t.Errorf("the program is told %v", q)
	}

	d.provider.OnAuth(func(q url.Values) { q.Set("nonce", "another") })
	_, err = d.finish(d.begin())
	d.wantRefused(err, Forged)
}

func TestCodesOfAnotherProgram(t *testing.T) {
	d := newDesk(t, signintest.Secret)
	q, err := d.finish(d.begin())
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.Redeem(q.Get("code"), "wrong")
	d.wantRefused(err, Forged)
	_, err = d.Redeem(q.Get("code"), verifier) // a code that was tried is void
	d.wantRefused(err, Expired)
	if q, err = d.finish(d.begin()); err != nil {
		t.Fatal(err)
	}
	d.shift(codeLife + time.Second)
	_, err = d.Redeem(q.Get("code"), verifier)
	d.wantRefused(err, Expired)
	d.shift(0)
	late := d.begin()
	d.shift(PendingLife + time.Second)
	_, err = d.finish(late)
	d.wantRefused(err, Expired)
}

func TestRedirectsLeadToThisMachineOnly(t *testing.T) {
	d := newDesk(t, signintest.Secret)
	for _, to := range []string{"", "https://127.0.0.1:1/", "http://evil.example.net:1/callback", "http://localhost:1/callback", "http://127.0.0.1/callback", "http://127.0.0.1:0/callback",
		"http://127.0.0.1:99999/callback", "http://127.0.0.1:1@evil.example.net:1/callback", "http://127.0.0.1.evil.example.net:1/callback", "http://127.0.0.2:1/callback", "http://[::1%25eth0]:1/callback",
		"http://127.0.0.1:1/callback?x=1", "http://127.0.0.1:1/callback#x", "http://127.0.0.1:1/call%0aback", "//127.0.0.1:1/callback", "javascript:alert(1)", "http://127.0.0.1:1/\\evil", "http://[::ffff:127.0.0.1]:1/callback"} {
		a := asked()
		a.Redirect = to
		_, err := d.Begin(t.Context(), d.cookie, a)
		d.wantRefused(err, Invalid)
	}
	for _, a := range []Asked{{Redirect: asked().Redirect, State: wanted}, {Redirect: asked().Redirect, Challenge: asked().Challenge}, {Redirect: asked().Redirect, Challenge: asked().Challenge, State: "with a space 0123456789"}} {
		_, err := d.Begin(t.Context(), d.cookie, a)
		d.wantRefused(err, Invalid)
	}
	a := asked()
	a.Redirect = "http://[::1]:4711/callback"
	if _, err := d.Begin(t.Context(), d.cookie, a); err != nil {
		t.Error(err)
	}
	if n := d.provider.Calls("/authorize"); n != 0 {
		t.Errorf("%d browsers were sent to the provider", n)
	}
}

// The number of sign-ins under way is bounded, and what has ended makes room.
func TestSignInsUnderWayAreBounded(t *testing.T) {
	d := newDesk(t, signintest.Secret)
	d.limit = 50
	for range d.limit {
		if _, err := d.Begin(t.Context(), d.cookie, asked()); err != nil {
			t.Fatal(err)
		}
	}
	_, err := d.Begin(t.Context(), d.cookie, asked())
	d.wantRefused(err, Busy)
	d.shift(PendingLife + time.Second)
	if _, err = d.Begin(t.Context(), d.cookie, asked()); err != nil || len(d.pending) != 1 {
		t.Errorf("%d pending: %v", len(d.pending), err)
	}
}

func TestKeysThatRotate(t *testing.T) {
	d := newDesk(t, signintest.Secret)
	for range 2 {
		if _, err := d.finish(d.begin()); err != nil {
			t.Fatal(err, errors.Unwrap(err))
		}
	}
	if n := d.provider.Calls("/keys"); n != 1 {
		t.Errorf("the keys were read %d times", n)
	}
	d.provider.RotateKey()
	if _, err := d.finish(d.begin()); err != nil {
		t.Errorf("after a rotation: %v %v", err, errors.Unwrap(err))
	}
}

func TestClocksThatDiffer(t *testing.T) {
	d := newDesk(t, signintest.Secret)
	for ahead, result := range map[time.Duration]string{-time.Minute: "", -time.Hour: Broken, time.Minute: "", time.Hour + time.Minute: "", 3 * time.Hour: Expired} {
		d.shift(ahead)
		_, err := d.finish(d.begin())
		if result == "" && err != nil {
			t.Errorf("%s ahead: %v", ahead, err)
		}
		if result != "" {
			d.wantRefused(err, result)
		}
	}
}

// A provider that is down is told of, is not asked by everybody, and is found once
// it is there.
func TestProviderThatComesLater(t *testing.T) {
	d := newDesk(t, signintest.Secret)
	d.provider.Down(true)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	for range 20 {
		_, err := d.Begin(t.Context(), d.cookie, asked())
		d.wantRefused(err, Unreachable)
	}
	if n := d.provider.Calls("/.well-known/openid-configuration"); n > 6 || d.Up() {
		t.Errorf("it was asked %d times, and is up: %v", n, d.Up())
	}
	d.provider.Down(false)
	d.shift(retryAsked)
	if _, err := d.finish(d.begin()); err != nil || !d.Up() {
		t.Errorf("once it is there: %v, up: %v", err, d.Up())
	}
	d.provider.Down(true)
	a, err := d.Begin(t.Context(), d.cookie, asked())
	if err != nil || a == "" {
		t.Errorf("what is known is forgotten: %v", err)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestDeviceCodes(t *testing.T) {
	d := newDesk(t, signintest.Secret)
	wait := time.Duration(0)
	poll := func(handle string) (Person, error) {
		t.Helper()
		wait += 2 * time.Second
		d.shift(wait)
		who, _, err := d.PollDevice(t.Context(), handle)
		return who, err
	}
	c, err := d.BeginDevice(t.Context())
	if err != nil {
		t.Fatal(err, errors.Unwrap(err))
	}
	before := d.provider.Calls("/oauth/token")
	if _, left, err := d.PollDevice(t.Context(), c.Handle); err != nil || left <= 0 || d.provider.Calls("/oauth/token") != before {
		t.Errorf("asked at once: %s %v, and the provider is asked", left, err)
	}
	if who, err := poll(c.Handle); err != nil || who.Role != "" {
		t.Errorf("before the code is entered: %+v %v", who, err)
	}
	if err := d.provider.Confirm(c.Code); err != nil {
		t.Fatal(err)
	}
	if who, err := poll(c.Handle); err != nil || who.Identity != "ann@example.com" || who.Role != "admin" {
		t.Errorf("%+v %v", who, err)
	}
	_, err = poll(c.Handle)
	d.wantRefused(err, Expired)
	if c, err = d.BeginDevice(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := d.provider.Deny(c.Code); err != nil {
		t.Fatal(err)
	}
	_, err = poll(c.Handle)
	d.wantRefused(err, Refused)
	d.Flow.settings.Device = false
	_, err = d.BeginDevice(t.Context())
	d.wantRefused(err, Invalid)
}
