package feed

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/rollcall-itam/rollcall/collector/feed/fetch"
	"github.com/rollcall-itam/rollcall/collector/feed/manifest"
)

const (
	// hookQuiet is how long a feed waits after the first call of its system, as
	// one change brings several, and hookPause how long after a pass that a call
	// brought about.
	hookQuiet = 2 * time.Second
	hookPause = 30 * time.Second
	// minHookSecret is the shortest secret that guards a hook, in bytes.
	minHookSecret = 16
	// maxChallenge bounds what a system wants to hear again, in bytes.
	maxChallenge = 4 << 10
	// maxNotices bounds the notices of one call.
	maxNotices = 1000
)

// ErrUnverified is wrapped by errors about calls that do not show that they
// come from the system.
var ErrUnverified = errors.New("the call does not prove that it comes from the system")

// hook verifies the calls by which a system tells that something has changed.
// What they say is never taken for true: it brings about a pass, so that a call
// that is repeated by somebody else does no harm.
type hook struct {
	manifest.Webhook
	header, user, secret string
}

// newHook returns nil where a feed has no hook, or no secret was set for it.
func newHook(w *manifest.Webhook, settings fetch.Settings) (*hook, error) {
	if w == nil {
		return nil, nil
	}
	value := func(name string) (string, error) {
		v, ok := settings[name]
		if !ok {
			return "", fmt.Errorf("there is no value for ${%s}", name)
		}
		return v, nil
	}
	h := &hook{Webhook: *w}
	var err error
	if h.secret, err = w.Secret.Fill(value, nil); err != nil || h.secret == "" {
		return nil, err
	}
	if len(h.secret) < minHookSecret {
		return nil, fmt.Errorf("the secret of the webhook has less than %d characters: choose a longer one", minHookSecret)
	}
	if h.user, err = w.User.Fill(value, nil); err != nil {
		return nil, err
	}
	if h.header, err = w.Header.Fill(value, nil); h.header == "" {
		h.header = "Authorization"
	}
	return h, err
}

// HookAnswer is what the system is answered, nothing for a mere success.
type HookAnswer struct {
	// Type is the media type of Text.
	Type, Text string
}

// Hook takes a call by which a system tells that something has changed, and has
// its feed run soon if it is verified. Calls in quick succession bring about one
// pass. One that fails runs on its own schedule still: otherwise calls would
// have a wrong password tried again and again.
func (r *Runner) Hook(name string, q *http.Request, body []byte) (HookAnswer, error) {
	f := r.feed(name)
	if f == nil || f.source.hook == nil {
		return HookAnswer{}, fmt.Errorf("%w that is called: %q", ErrUnknown, name)
	}
	h := f.source.hook
	if a, ok := h.challenge(q); ok {
		return a, nil
	}
	if q.Method != http.MethodPost || !h.verified(q, body) {
		return HookAnswer{}, ErrUnverified
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.called.IsZero() {
		f.called = r.o.Now().Add(hookQuiet)
		if again := f.answered.Add(hookPause); again.After(f.called) {
			f.called = again
		}
		if f.wake != nil {
			f.wake()
		}
	}
	return HookAnswer{}, nil
}

// challenge answers what a system asks once to see that somebody listens.
func (h *hook) challenge(q *http.Request) (HookAnswer, bool) {
	switch h.Scheme {
	case "okta":
		c := q.Header.Get("X-Okta-Verification-Challenge")
		if q.Method != http.MethodGet || c == "" || len(c) > maxChallenge {
			return HookAnswer{}, false
		}
		b, err := json.Marshal(map[string]string{"verification": c})
		return HookAnswer{"application/json", string(b)}, err == nil
	case "graph":
		c := q.URL.Query().Get("validationToken")
		if q.Method != http.MethodPost || c == "" || len(c) > maxChallenge {
			return HookAnswer{}, false
		}
		return HookAnswer{"text/plain; charset=utf-8", c}, true
	}
	return HookAnswer{}, false
}

// verified tells whether a call comes from who has the secret.
func (h *hook) verified(q *http.Request, body []byte) bool {
	switch h.Scheme {
	case "header", "okta":
		return equal(q.Header.Get(h.header), h.secret)
	case "basic":
		user, password, ok := q.BasicAuth()
		// Both are compared, so that the time tells of neither.
		u, p := equal(user, h.user), equal(password, h.secret)
		return ok && u && p
	case "hmac_sha256":
		return h.signed(q.Header.Get(h.header), body)
	case "header_or_hmac":
		given := q.Header.Get(h.header)
		plain := equal(strings.TrimPrefix(given, "Bearer "), h.secret)
		return h.signed(given, body) || plain
	case "graph":
		return h.notices(body)
	}
	return false
}

// signed tells whether a header holds the HMAC of the body.
func (h *hook) signed(given string, body []byte) bool {
	mac := hmac.New(sha256.New, []byte(h.secret))
	mac.Write(body)
	given = strings.TrimPrefix(given, "sha256=")
	sum, err := hex.DecodeString(given)
	if err != nil {
		sum, err = base64.StdEncoding.DecodeString(given)
	}
	return err == nil && hmac.Equal(sum, mac.Sum(nil))
}

// notices tells whether each of Microsoft Graph's notices names the state that
// was given with the subscription.
func (h *hook) notices(body []byte) bool {
	var call struct {
		Value []struct {
			ClientState string `json:"clientState"`
		} `json:"value"`
	}
	if json.Unmarshal(body, &call) != nil || len(call.Value) == 0 || len(call.Value) > maxNotices {
		return false
	}
	good := true
	for _, n := range call.Value {
		good = equal(n.ClientState, h.secret) && good
	}
	return good
}

// equal compares in a time that tells nothing of either.
func equal(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
