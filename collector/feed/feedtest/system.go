package feedtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"sync"
	"testing"
)

// Vendor is a system as its own documentation describes it: what it takes, and
// what it answers.
type Vendor struct {
	// Manifest names one of the known systems, Stream the list under test.
	Manifest, Stream string
	// Settings are those of a feed that asks the fake system at an address.
	Settings func(address string) map[string]string
	// SignIn describes how tokens are given; nil where the credentials are sent
	// with each request.
	SignIn *SignIn
	// Authorized tells what is wrong with the credentials of a request, which
	// should carry the token.
	Authorized func(r *http.Request, token string) error
	// List answers requests for the list.
	List Listing
	// Main tells which requests are for the list; those to its path unless set.
	Main func(r *http.Request) bool
	// Truncated and Odd are answers that break off and that hold no records, in
	// place of JSON.
	Truncated, Odd string
	// Others answers requests for other streams and about single records, by
	// method and path.
	Others map[string]http.HandlerFunc
	// Device returns a record in the system's own shape, and Forget removes its
	// id.
	Device func(i int) map[string]any
	Forget func(record map[string]any)
	// Expired is the code for a token that has ended (401).
	Expired int
}

// SignIn is the request that gets a token.
type SignIn struct {
	Path string
	// Check tells what is wrong with a request.
	Check func(r *http.Request) error
	// Code is that of a success (200).
	Code int
}

// Listing is a way to list records.
type Listing interface {
	// Answer writes the part of the list that a request asks for, no more than
	// limit records of it, and tells what is wrong with the request.
	Answer(w http.ResponseWriter, r *http.Request, all []any, limit int) error
	// Path is where the list is.
	Path() string
}

// System is a vendor's system that a test can break.
type System struct {
	*httptest.Server
	t      testing.TB
	vendor Vendor

	mu      sync.Mutex
	records []any
	limit   int
	// Break, if not nil, may answer request n for the list in the system's place.
	breaks func(n int, w http.ResponseWriter, r *http.Request) bool
	asked  int
	signed int
}

// NewSystem starts a system with n devices that gives limit of them at once.
func NewSystem(t testing.TB, v Vendor, n, limit int) *System {
	s := &System{t: t, vendor: v, limit: limit}
	for i := range n {
		s.records = append(s.records, v.Device(i))
	}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// Change changes the system between requests.
func (s *System) Change(fn func(records []any) []any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = fn(s.records)
}

// Break lets fn answer requests for the list; n counts them from 1. nil mends
// the system.
func (s *System) Break(fn func(n int, w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.breaks, s.asked = fn, 0
}

// Asked returns how often the list was asked for since Break, and how often a
// token since the beginning.
func (s *System) Asked() (list, tokens int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked, s.signed
}

// Renew ends the token that is in use.
func (s *System) token() string { return fmt.Sprintf("token-%d", s.signed) }

// ServeHTTP implements http.Handler.
func (s *System) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in := s.vendor.SignIn; in != nil && r.URL.Path == in.Path {
		s.signIn(w, r)
		return
	}
	if err := s.vendor.Authorized(r, s.token()); err != nil {
		s.wrong(w, r, http.StatusUnauthorized, err)
		return
	}
	main := r.URL.Path == s.vendor.List.Path()
	if s.vendor.Main != nil {
		main = s.vendor.Main(r)
	}
	if h, ok := s.vendor.Others[r.Method+" "+r.URL.Path]; ok && !main {
		h(w, r)
		return
	}
	if main {
		s.asked++
		if s.breaks != nil && s.breaks(s.asked, w, r) {
			return
		}
	}
	if err := s.vendor.List.Answer(w, r, s.records, s.limit); err != nil {
		s.wrong(w, r, http.StatusBadRequest, err)
	}
}

// wrong fails the test: a request is not what the vendor's documentation says.
func (s *System) wrong(w http.ResponseWriter, r *http.Request, code int, err error) {
	s.t.Errorf("%s: %s %s: %v", s.vendor.Manifest, r.Method, r.URL.RequestURI(), err)
	http.Error(w, err.Error(), code)
}

func (s *System) signIn(w http.ResponseWriter, r *http.Request) {
	in := s.vendor.SignIn
	if r.Method != http.MethodPost {
		s.wrong(w, r, http.StatusMethodNotAllowed, errors.New("want POST"))
		return
	}
	if err := r.ParseForm(); err != nil {
		s.wrong(w, r, http.StatusBadRequest, err)
		return
	}
	if err := in.Check(r); err != nil {
		s.wrong(w, r, http.StatusUnauthorized, err)
		return
	}
	s.signed++
	w.WriteHeader(max(in.Code, http.StatusOK))
	s.write(w, map[string]any{"access_token": s.token(), "token_type": "bearer", "expires_in": 1799})
}

func (s *System) write(w http.ResponseWriter, v any) {
	if err := json.NewEncoder(w).Encode(v); err != nil {
		s.t.Error(err)
	}
}

// Bearer wants a token as RFC 6750 has it.
func Bearer(r *http.Request, token string) error {
	return Header("Authorization", "Bearer "+token)(r, token)
}

// Header wants a fixed header.
func Header(name, value string) func(*http.Request, string) error {
	return func(r *http.Request, _ string) error {
		if got := r.Header.Get(name); got != value {
			return fmt.Errorf("%s is %q, want %q", name, got, value)
		}
		return nil
	}
}

// Form wants a form with exactly these fields.
func Form(fields map[string]string) func(*http.Request) error {
	return func(r *http.Request) error {
		if len(r.PostForm) != len(fields) {
			return fmt.Errorf("the form has %v, want %v", slices.Sorted(maps.Keys(r.PostForm)), slices.Sorted(maps.Keys(fields)))
		}
		for name, want := range fields {
			if ok, err := regexp.MatchString("^(?:"+want+")$", r.PostForm.Get(name)); err != nil || !ok {
				return fmt.Errorf("%s is %q, want %s", name, r.PostForm.Get(name), want)
			}
		}
		return nil
	}
}

// Query are the parameters that a list takes, with what each must match.
type Query map[string]string

// check tells what is wrong with a request's method, path or parameters.
func (q Query) check(r *http.Request, method, path string) error {
	if r.Method != method || r.URL.Path != path {
		return fmt.Errorf("want %s %s", method, path)
	}
	for name, values := range r.URL.Query() {
		want, ok := q[name]
		if !ok {
			return fmt.Errorf("the list takes no parameter %q", name)
		}
		for _, v := range values {
			if ok, err := regexp.MatchString("^(?:"+want+")$", v); err != nil || !ok {
				return fmt.Errorf("parameter %s is %q, want %s", name, v, want)
			}
		}
	}
	return nil
}
