package feed_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-itam/rollcall/collector/feed"
	"github.com/rollcall-itam/rollcall/collector/feed/fetch"
	"github.com/rollcall-itam/rollcall/collector/feed/manifest"
)

const hookSecret = "a-secret-of-some-length"

// hooked returns a runner of a feed that its system calls.
func hooked(t *testing.T, w *world, clock *stopped, webhook, secret string) (*feed.Runner, error) {
	t.Helper()
	yaml := strings.Replace(acme, "settings: {url: {type: url}}", `settings: {url: {type: url}, hook: {secret: true, default: ""}}
webhook: `+webhook, 1)
	m, err := manifest.Parse(strings.NewReader(yaml))
	if err != nil {
		t.Fatal(err)
	}
	m.Retry.Attempts = 1
	client, err := fetch.NewClient(fetch.ClientOptions{AllowPrivate: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	return feed.New(feed.Options{Sink: w, State: w, Logger: slog.New(slog.DiscardHandler), Now: clock.Now, Wait: clock.Wait},
		[]feed.Config{{Name: "acme", Manifest: m, Settings: map[string]string{"url": w.URL, "hook": secret}, Client: client}})
}

func TestCallsAreVerified(t *testing.T) {
	const body = `{"event":"enrolled"}`
	mac := hmac.New(sha256.New, []byte(hookSecret))
	mac.Write([]byte(body))
	sum := mac.Sum(nil)
	graph := func(states ...string) string {
		return `{"value":[{"clientState":"` + strings.Join(states, `"},{"clientState":"`) + `"}]}`
	}
	basic := func(user, password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	for name, c := range map[string]struct {
		webhook, header, value, body string
		good                         bool
	}{
		"header":             {`{scheme: header, secret: "${hook}"}`, "Authorization", hookSecret, body, true},
		"own header":         {`{scheme: header, header: X-Key, secret: "${hook}"}`, "X-Key", hookSecret, body, true},
		"wrong header":       {`{scheme: header, secret: "${hook}"}`, "Authorization", hookSecret + "x", body, false},
		"no header":          {`{scheme: header, secret: "${hook}"}`, "X-Key", hookSecret, body, false},
		"basic":              {`{scheme: basic, user: rollcall, secret: "${hook}"}`, "Authorization", basic("rollcall", hookSecret), body, true},
		"basic, wrong user":  {`{scheme: basic, user: rollcall, secret: "${hook}"}`, "Authorization", basic("root", hookSecret), body, false},
		"hmac in hex":        {`{scheme: hmac_sha256, header: X-Sum, secret: "${hook}"}`, "X-Sum", "sha256=" + hex.EncodeToString(sum), body, true},
		"hmac in base64":     {`{scheme: hmac_sha256, header: X-Sum, secret: "${hook}"}`, "X-Sum", base64.StdEncoding.EncodeToString(sum), body, true},
		"hmac, other body":   {`{scheme: hmac_sha256, header: X-Sum, secret: "${hook}"}`, "X-Sum", hex.EncodeToString(sum), body + " ", false},
		"hmac, none":         {`{scheme: hmac_sha256, header: X-Sum, secret: "${hook}"}`, "X-Sum", "", body, false},
		"either, bearer":     {`{scheme: header_or_hmac, secret: "${hook}"}`, "Authorization", "Bearer " + hookSecret, body, true},
		"either, secret":     {`{scheme: header_or_hmac, header: "X-${hook}", secret: "${hook}"}`, "X-" + hookSecret, hookSecret, body, true},
		"either, hmac":       {`{scheme: header_or_hmac, header: X-Sum, secret: "${hook}"}`, "X-Sum", hex.EncodeToString(sum), body, true},
		"either, none":       {`{scheme: header_or_hmac, secret: "${hook}"}`, "Authorization", "Bearer ", body, false},
		"either, other body": {`{scheme: header_or_hmac, header: X-Sum, secret: "${hook}"}`, "X-Sum", hex.EncodeToString(sum), body + " ", false},
		"okta":               {`{scheme: okta, secret: "${hook}"}`, "Authorization", hookSecret, body, true},
		"graph":              {`{scheme: graph, secret: "${hook}"}`, "", "", graph(hookSecret, hookSecret), true},
		"graph, one foreign": {`{scheme: graph, secret: "${hook}"}`, "", "", graph(hookSecret, "x"), false},
		"graph, no notices":  {`{scheme: graph, secret: "${hook}"}`, "", "", `{"value":[]}`, false},
		"graph, no JSON":     {`{scheme: graph, secret: "${hook}"}`, "", "", "x", false},
	} {
		r, err := hooked(t, newWorld(t, 0), newStopped(), c.webhook, hookSecret)
		if err != nil {
			t.Fatal(name, err)
		}
		q := httptest.NewRequest(http.MethodPost, "/v1/hooks/acme", nil)
		if c.header != "" {
			q.Header.Set(c.header, c.value)
		}
		if _, err := r.Hook("acme", q, []byte(c.body)); (err == nil) != c.good || err != nil && !errors.Is(err, feed.ErrUnverified) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSystemsSeeThatSomebodyListens(t *testing.T) {
	r, err := hooked(t, newWorld(t, 0), newStopped(), `{scheme: okta, secret: "${hook}"}`, hookSecret)
	if err != nil {
		t.Fatal(err)
	}
	q := httptest.NewRequest(http.MethodGet, "/v1/hooks/acme", nil)
	q.Header.Set("X-Okta-Verification-Challenge", `a"b`)
	if a, err := r.Hook("acme", q, nil); err != nil || a.Text != `{"verification":"a\"b"}` || a.Type != "application/json" {
		t.Error(a, err)
	}
	if r, err = hooked(t, newWorld(t, 0), newStopped(), `{scheme: graph, secret: "${hook}"}`, hookSecret); err != nil {
		t.Fatal(err)
	}
	q = httptest.NewRequest(http.MethodPost, "/v1/hooks/acme?validationToken=Validation%3A+x", nil)
	if a, err := r.Hook("acme", q, nil); err != nil || a.Text != "Validation: x" || !strings.HasPrefix(a.Type, "text/plain") {
		t.Error(a, err)
	}
	for name, secret := range map[string]string{"no secret": "", "a short one": "short"} {
		r, err := hooked(t, newWorld(t, 0), newStopped(), `{scheme: graph, secret: "${hook}"}`, secret)
		if secret != "" {
			if err == nil || !strings.Contains(err.Error(), "choose a longer one") {
				t.Error(name, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Hook("acme", q, nil); !errors.Is(err, feed.ErrUnknown) {
			t.Error(name, err)
		}
	}
}

func TestACallBringsAPassAboutAtOnce(t *testing.T) {
	w, clock := newWorld(t, 3), newStopped()
	r, err := hooked(t, w, clock, `{scheme: header, secret: "${hook}"}`, hookSecret)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	call := func(secret string) error {
		q := httptest.NewRequest(http.MethodPost, "/v1/hooks/acme", nil)
		q.Header.Set("Authorization", secret)
		_, err := r.Hook("acme", q, nil)
		return err
	}
	clock.pass(clock.next(t))
	about(t, "after the first pass", clock.next(t).d, 15*time.Minute)
	if err := call("somebody else's secret"); !errors.Is(err, feed.ErrUnverified) {
		t.Error(err)
	}
	for range 5 {
		if err := call(hookSecret); err != nil {
			t.Error(err)
		}
	}
	soon := clock.next(t)
	about(t, "after five calls", soon.d, 2*time.Second)
	before := w.requests()
	clock.pass(soon)
	about(t, "after their one pass", clock.next(t).d, 15*time.Minute)
	if w.requests() == before {
		t.Error("the calls brought no pass about")
	}
	if err := call(hookSecret); err != nil {
		t.Error(err)
	}
	soon = clock.next(t)
	about(t, "after a call soon after", soon.d, 30*time.Second)
	w.change(func() {
		w.fail = func(_ int, rw http.ResponseWriter) bool {
			rw.WriteHeader(http.StatusUnauthorized)
			return true
		}
	})
	clock.pass(soon)
	about(t, "after a pass that failed", clock.next(t).d, 15*time.Minute)
	if err := call(hookSecret); err != nil {
		t.Error(err)
	}
	if d := clock.next(t).d; d < 10*time.Minute {
		t.Errorf("a call has a wrong password tried again after %v", d)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A feed that comes while others run is read, and is gone once it is removed.
func TestFeedsComeAndGo(t *testing.T) {
	w, clock := newWorld(t, 3), newStopped()
	r, err := hooked(t, w, clock, `{scheme: header, secret: "${hook}"}`, hookSecret)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	first := clock.next(t)
	conf, err := r.Config("acme")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Add(conf); !errors.Is(err, feed.ErrTaken) {
		t.Error(err)
	}
	conf.Name = "acme-2"
	if err := r.Add(conf); err != nil {
		t.Fatal(err)
	}
	second := clock.next(t)
	clock.pass(second)
	clock.next(t)
	if got := len(w.Observations()); got != 3 {
		t.Errorf("%d observations of the feed that came", got)
	}
	if err := r.Remove(t.Context(), "acme-2"); err != nil || len(r.Statuses()) != 1 {
		t.Error(err, r.Statuses())
	}
	if err := r.Forget(t.Context(), "acme-2"); err != nil {
		t.Error(err)
	}
	if err := r.Remove(t.Context(), "acme-2"); !errors.Is(err, feed.ErrUnknown) {
		t.Error(err)
	}
	close(first.done)
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
