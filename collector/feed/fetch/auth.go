package fetch

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rollcall-itam/rollcall/collector/feed/manifest"
	"github.com/rollcall-itam/rollcall/collector/feed/record"
)

// authorizer puts on a request what the system wants to see.
type authorizer interface {
	authorize(ctx context.Context, r *http.Request, c call) error
	// expired tells whether a code may mean that a token has ended.
	expired(code int) bool
	// forget drops a token, so that the next request gets a new one.
	forget()
}

func newAuthorizer(f *Fetcher, a manifest.Auth) (authorizer, error) {
	switch {
	case a.Header != nil:
		name := a.Header.Name
		if name == "" {
			name = "Authorization"
		}
		return fixed{func(r *http.Request) error { return f.setHeader(r.Header, name, a.Header.Value) }}, nil
	case a.Basic != nil:
		return fixed{func(r *http.Request) error { return f.basic(r.Header, *a.Basic) }}, nil
	case a.OAuth2 != nil:
		return &bearer{f: f, codes: a.Again, header: "Authorization", scheme: "Bearer ", get: func(ctx context.Context) (token, error) { return f.clientCredentials(ctx, a.OAuth2) }}, nil
	case a.JWT != nil:
		signer, err := newSigner(f, a.JWT)
		if err != nil {
			return nil, err
		}
		return &bearer{f: f, codes: a.Again, header: "Authorization", scheme: "Bearer ", get: func(ctx context.Context) (token, error) { return f.assertion(ctx, a.JWT, signer) }}, nil
	case a.Session != nil:
		return newSession(f, a), nil
	case a.AWS != nil:
		return newAWS(f, a), nil
	}
	return fixed{func(*http.Request) error { return nil }}, nil
}

// fixed authorizes with what never changes.
type fixed struct{ set func(*http.Request) error }

func (a fixed) authorize(_ context.Context, r *http.Request, _ call) error { return a.set(r) }
func (fixed) expired(int) bool                                             { return false }
func (fixed) forget()                                                      {}

func (f *Fetcher) setHeader(h http.Header, name string, t manifest.Template) error {
	s, err := f.text(t, nil)
	if err == nil {
		h.Set(name, s)
	}
	return err
}

func (f *Fetcher) basic(h http.Header, b manifest.BasicAuth) error {
	user, err := f.text(b.User, nil)
	if err != nil {
		return err
	}
	password, err := f.text(b.Password, nil)
	if err != nil {
		return err
	}
	if strings.Contains(user, ":") {
		return errors.New("a user name with a colon cannot be sent")
	}
	h.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
	return nil
}

// token is what a system gave for credentials.
type token struct {
	value string
	// until is when it ends by what the system said, zero if it did not.
	until time.Time
}

// bearer authorizes with a token that ends.
type bearer struct {
	f              *Fetcher
	codes          []int
	header, scheme string
	get            func(context.Context) (token, error)

	mu   sync.Mutex
	held token
}

// early is how long before its end a token is no longer used: a page may take
// as long, and clocks differ.
const early = 30 * time.Second

func (a *bearer) authorize(ctx context.Context, r *http.Request, _ call) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.held.value == "" || !a.held.until.IsZero() && a.f.o.Now().After(a.held.until.Add(-early)) {
		held, err := a.get(ctx)
		if err != nil {
			return finally(ctx, a.f, err)
		}
		a.held = held
	}
	r.Header.Set(a.header, a.scheme+a.held.value)
	return nil
}

func (a *bearer) expired(code int) bool {
	return code == http.StatusUnauthorized || slices.Contains(a.codes, code)
}

func (a *bearer) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.held = token{}
}

// finally marks a failure to get a token as one that was tried enough.
func finally(ctx context.Context, f *Fetcher, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var fail *Failure
	if !errors.As(err, &fail) {
		fail = f.broken("get a token", err)
	}
	marked := *fail
	marked.final = true
	marked.text = "sign in: " + fail.text
	if fail.Code == http.StatusBadRequest {
		// RFC 6749, 5.2: wrong credentials are answered with 400 as well.
		marked.Kind = Denied
	}
	return &marked
}

// clientCredentials gets a token by RFC 6749, 4.4.
func (f *Fetcher) clientCredentials(ctx context.Context, a *manifest.OAuth2Auth) (token, error) {
	form := url.Values{"grant_type": {"client_credentials"}}
	h := http.Header{}
	if a.Style == "basic" {
		if err := f.basic(h, manifest.BasicAuth{User: a.ClientID, Password: a.ClientSecret}); err != nil {
			return token{}, err
		}
	} else if err := f.form(form, map[string]manifest.Template{"client_id": a.ClientID, "client_secret": a.ClientSecret}); err != nil {
		return token{}, err
	}
	if err := f.form(form, a.Params); err != nil {
		return token{}, err
	}
	return f.tokenCall(ctx, a.TokenURL, form, h, a.OK)
}

func (f *Fetcher) form(into url.Values, fields map[string]manifest.Template) error {
	for name, t := range fields {
		s, err := f.text(t, nil)
		if err != nil {
			return err
		}
		into.Set(name, s)
	}
	return nil
}

// tokenCall posts a form to a token endpoint and reads the token.
func (f *Fetcher) tokenCall(ctx context.Context, address manifest.Template, form url.Values, h http.Header, ok []int) (token, error) {
	u, err := f.resolve(address, nil)
	if err != nil {
		return token{}, err
	}
	c := call{method: http.MethodPost, url: u, body: []byte(form.Encode()), kind: "application/x-www-form-urlencoded", headers: h, ok: ok, bare: true}
	a, err := f.do(ctx, c)
	if err != nil {
		return token{}, err
	}
	v, err := record.Decode(a.body)
	if err != nil {
		return token{}, f.broken(c.what(), err)
	}
	o, _ := v.(map[string]any)
	value, _ := o["access_token"].(string)
	if value == "" || strings.ContainsAny(value, "\r\n") {
		return token{}, f.broken(c.what(), errors.New("the answer holds no access_token"))
	}
	return token{value: value, until: f.ends(o["expires_in"])}, nil
}

// ends reads the lifetime of a token: seconds, as a number or as text.
func (f *Fetcher) ends(v any) time.Time {
	var seconds float64
	switch v := v.(type) {
	case int64:
		seconds = float64(v)
	case float64:
		seconds = v
	case string:
		if _, err := fmt.Sscan(v, &seconds); err != nil {
			return time.Time{}
		}
	}
	if seconds <= 0 || seconds > 10*365*24*3600 {
		return time.Time{}
	}
	return f.o.Now().Add(time.Duration(seconds * float64(time.Second)))
}

// newSession signs in and sends what the answer holds.
func newSession(f *Fetcher, a manifest.Auth) *bearer {
	s := a.Session
	b := &bearer{f: f, codes: a.Again, header: "Authorization", scheme: "Bearer "}
	if s.Header != "" {
		b.header, b.scheme = s.Header, ""
	}
	switch s.Scheme {
	case "":
	case "none":
		b.scheme = ""
	default:
		b.scheme = s.Scheme + " "
	}
	b.get = func(ctx context.Context) (token, error) { return f.signIn(ctx, s) }
	return b
}

func (f *Fetcher) signIn(ctx context.Context, s *manifest.SessionAuth) (token, error) {
	u, err := f.resolve(s.Post, nil)
	if err != nil {
		return token{}, err
	}
	c := call{method: http.MethodPost, url: u, bare: true, headers: http.Header{}}
	if s.Basic != nil {
		if err := f.basic(c.headers, *s.Basic); err != nil {
			return token{}, err
		}
	}
	if s.Body != nil {
		if c.body, err = f.jsonBody(s.Body, nil); err != nil {
			return token{}, err
		}
		c.kind = "application/json"
	}
	a, err := f.do(ctx, c)
	if err != nil {
		return token{}, err
	}
	v, err := record.Decode(a.body)
	if err != nil {
		return token{}, f.broken(c.what(), err)
	}
	return f.sessionToken(c, s, v)
}

func (f *Fetcher) sessionToken(c call, s *manifest.SessionAuth, v any) (token, error) {
	at, err := path(s.Token)
	if err != nil {
		return token{}, err
	}
	value, _ := at.Get(v).(string)
	if value == "" || strings.ContainsAny(value, "\r\n") {
		return token{}, f.broken(c.what(), fmt.Errorf("the answer holds no token at %s", s.Token))
	}
	t := token{value: value}
	if s.Expiry == "" {
		return t, nil
	}
	if at, err = path(s.Expiry); err != nil {
		return token{}, err
	}
	if text, ok := at.Get(v).(string); ok {
		// A time that cannot be read leaves it to 401 to say when it ended.
		t.until, _ = time.Parse(time.RFC3339, text)
	}
	return t, nil
}

// jsonBody fills a body. A value that is one hole keeps its type as text.
func (f *Fetcher) jsonBody(fields map[string]manifest.Template, extra map[string]string) ([]byte, error) {
	filled := make(map[string]string, len(fields))
	for name, t := range fields {
		s, err := t.Fill(f.value(extra), nil)
		if err != nil {
			return nil, err
		}
		filled[name] = s
	}
	b, err := json.Marshal(filled)
	if err != nil {
		return nil, fmt.Errorf("write the request: %w", err)
	}
	return b, nil
}
