package fetch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/rollcall-itam/rollcall/collector/feed/manifest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a time that waiting moves on.
type clock struct {
	mu     sync.Mutex
	now    time.Time
	waited []time.Duration
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Wait(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	c.waited = append(c.waited, d)
	return ctx.Err()
}

// system is a vendor whose answers a test writes.
type system struct {
	*httptest.Server
	clock *clock
	mu    sync.Mutex
	// asked are the requests, as METHOD path?query.
	asked []string
}

func newSystem(t *testing.T, h http.HandlerFunc) *system {
	s := &system{clock: newClock()}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, r.Method+" "+r.URL.RequestURI())
		s.mu.Unlock()
		h(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// fetcher reads a manifest whose streams and auth are given and asks the system.
func (s *system) fetcher(t *testing.T, lines string, settings map[string]string) *Fetcher {
	t.Helper()
	m, err := manifest.Parse(strings.NewReader(`
schema: 1
name: acme
title: Acme
kind: mdm
permissions: [Read Devices]
base: ${url}
settings:
  url: {type: url}
  token: {secret: true, default: ""}
  key: {secret: true, default: "", type: pem}
limit: {per_second: 1000, burst: 1000, remaining: X-Left, reset: X-Reset, floor: 1}
` + lines))
	if err != nil {
		t.Fatal(err)
	}
	given := map[string]string{"url": s.URL, "token": "s3cr3t-token"}
	for k, v := range settings {
		given[k] = v
	}
	values, err := NewSettings(m, given, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	client, err := NewClient(ClientOptions{AllowPrivate: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	f, err := New(Options{Manifest: m, Settings: values, Client: client, Logger: slog.New(slog.DiscardHandler), Now: s.clock.Now, Wait: s.clock.Wait})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// read reads the first stream of a fetcher's manifest to its end.
func read(ctx context.Context, f *Fetcher, from Bookmark) ([]any, error) {
	var all []any
	err := f.Pages(ctx, Ask{Stream: f.o.Manifest.Stream(""), From: from}, func(p Page) error {
		all = append(all, p.Records...)
		return nil
	})
	return all, err
}

const stream = `
streams:
  - name: devices
    get: /devices
    records: data
    key: id
    map: {name: name}
`

func ids(records []any) string {
	var all []string
	for _, r := range records {
		all = append(all, fmt.Sprint(r.(map[string]any)["id"]))
	}
	return strings.Join(all, " ")
}

func TestPagers(t *testing.T) {
	page := func(from, n int) string {
		var all []string
		for i := from; i < min(from+n, 5); i++ {
			all = append(all, fmt.Sprintf(`{"id": %d}`, i))
		}
		return "[" + strings.Join(all, ",") + "]"
	}
	number := func(r *http.Request, name string) int {
		var n int
		fmt.Sscan(r.URL.Query().Get(name), &n)
		return n
	}
	for name, c := range map[string]struct {
		pager string
		h     http.HandlerFunc
	}{
		"link": {"{link: true}", func(w http.ResponseWriter, r *http.Request) {
			n := number(r, "after")
			w.Header().Add("Link", `</self>; rel="self"`)
			next := "None"
			if n < 4 {
				next = fmt.Sprintf("/devices?after=%d", n+2)
			}
			w.Header().Add("Link", fmt.Sprintf(`<x>; rel="last", <%s>; rel="next"`, next))
			fmt.Fprintf(w, `{"data": %s}`, page(n, 2))
		}},
		"next_url": {`{next_url: '"@odata.nextLink"'}`, func(w http.ResponseWriter, r *http.Request) {
			n := number(r, "$skip")
			next := ""
			if n < 4 {
				next = fmt.Sprintf(`, "@odata.nextLink": "http://%s/devices?$skip=%d"`, r.Host, n+2)
			}
			fmt.Fprintf(w, `{"data": %s%s}`, page(n, 2), next)
		}},
		"cursor": {"{cursor: {from: next, param: c}}", func(w http.ResponseWriter, r *http.Request) {
			n := number(r, "c")
			fmt.Fprintf(w, `{"data": %s, "next": "%d"}`, page(n, 2), n+2)
		}},
		"page with total": {"{page: {param: page, size: 50, size_param: size}, total: total}", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, `{"data": %s, "total": 5}`, page(2*number(r, "page"), 2))
		}},
		"page without total, fewer than asked": {"{page: {param: page, size: 50, start: 0}}", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, `{"data": %s}`, page(2*number(r, "page"), 2))
		}},
		"offset": {"{offset: {param: offset, size: 3, size_param: limit}, total_header: X-Total}", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Total", "5")
			fmt.Fprintf(w, `{"data": %s}`, page(number(r, "offset"), number(r, "limit")))
		}},
	} {
		s := newSystem(t, c.h)
		f := s.fetcher(t, stream+"    pager: "+c.pager+"\n", nil)
		got, err := read(t.Context(), f, Bookmark{})
		if err != nil || ids(got) != "0 1 2 3 4" {
			t.Errorf("%s: %q, %v\nasked %v", name, ids(got), err, s.asked)
		}
	}
}

func TestListsWithoutEndAreEnded(t *testing.T) {
	for name, c := range map[string]struct{ pager, body, want string }{
		"token comes back":    {"{cursor: {from: next, param: c}}", `{"data": [{"id": 1}], "next": "same"}`, "comes back to a page"},
		"numbers are ignored": {"{page: {param: page, size: 2}}", `{"data": [{"id": 1}]}`, "two pages in a row are the same"},
		"other host":          {"{next_url: next}", `{"data": [], "next": "https://evil.example.com/x"}`, "leads to another host (evil.example.com)"},
		"other scheme":        {"{next_url: next}", `{"data": [], "next": "file:///etc/passwd"}`, "leads to another host"},
		"no list":             {"{next_url: next}", `{"status": "ok", "items": []}`, `no records at "data": it is an object with items status`},
	} {
		s := newSystem(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, c.body) })
		_, err := read(t.Context(), s.fetcher(t, stream+"    pager: "+c.pager+"\n", nil), Bookmark{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want one that says %q", name, err, c.want)
		}
		if len(s.asked) > 3 {
			t.Errorf("%s: asked %d times", name, len(s.asked))
		}
	}
}

func TestFailures(t *testing.T) {
	for name, c := range map[string]struct {
		code  int
		body  string
		kind  Kind
		tries int
		want  string
	}{
		"denied":    {401, `{"errorSummary": "Invalid token s3cr3t-token"}`, Denied, 1, `HTTP 401: "Invalid token (secret)"; check the credentials`},
		"forbidden": {403, `{"error": {"message": "no scope"}}`, Denied, 1, `"no scope"; the credentials lack a permission, this feed needs: Read Devices`},
		"busy":      {429, `{}`, Busy, 5, "too many requests"},
		"down":      {503, "<html>Bad gateway</html>", Down, 5, "HTML page"},
		"gone":      {404, `{"errors": [{"detail": "no such thing"}]}`, Broken, 1, "no such thing"},
		"html":      {200, "<!doctype html><html>Sign in", Broken, 1, "HTML page"},
		"cut":       {200, `{"data": [`, Down, 3, "ends in the middle"},
		"garbage":   {200, `{"data": ]}`, Broken, 1, "invalid character"},
	} {
		s := newSystem(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(c.code); io.WriteString(w, c.body) })
		_, err := read(t.Context(), s.fetcher(t, stream, nil), Bookmark{})
		if err == nil || KindOf(err) != c.kind || !strings.Contains(err.Error(), c.want) || len(s.asked) != c.tries {
			t.Errorf("%s: %v (kind %d) after %d tries, want kind %d, %d tries, and %q", name, err, KindOf(err), len(s.asked), c.kind, c.tries, c.want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	n := 0
	s := newSystem(t, func(w http.ResponseWriter, r *http.Request) {
		if n++; n == 1 {
			w.Header().Set("Retry-After", "17")
			w.WriteHeader(429)
			return
		}
		io.WriteString(w, `{"data": [{"id": 1}]}`)
	})
	if _, err := read(t.Context(), s.fetcher(t, stream, nil), Bookmark{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]time.Duration{17 * time.Second}, s.clock.waited); diff != "" {
		t.Error(diff)
	}
	long := newSystem(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(429)
	})
	_, err := read(t.Context(), long.fetcher(t, stream, nil), Bookmark{})
	var fail *Failure
	if !errors.As(err, &fail) || fail.Kind != Busy || fail.After != time.Hour || len(long.asked) != 1 {
		t.Errorf("%v after %d tries; a long wait ends the pass and says how long", err, len(long.asked))
	}
}

func TestAllowanceIsLeftForOthers(t *testing.T) {
	s := newSystem(t, nil)
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Left", "1")
		w.Header().Set("X-Reset", fmt.Sprint(s.clock.Now().Add(42*time.Second).Unix()))
		next := `"n"`
		if r.URL.Query().Get("c") != "" {
			next = "null"
		}
		fmt.Fprintf(w, `{"data": [{"id": 1}], "next": %s}`, next)
	})
	if _, err := read(t.Context(), s.fetcher(t, stream+"    pager: {cursor: {from: next, param: c}}\n", nil), Bookmark{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]time.Duration{42 * time.Second}, s.clock.waited); diff != "" {
		t.Error(diff)
	}
}

func TestBatchAndFanOut(t *testing.T) {
	s := newSystem(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/devices":
			io.WriteString(w, `{"data": ["a", "b/c", "gone"]}`)
		case r.URL.Path == "/entities":
			var q struct{ IDs []string }
			json.NewDecoder(r.Body).Decode(&q)
			var all []string
			for _, id := range q.IDs {
				if id != "gone" {
					all = append(all, fmt.Sprintf(`{"id": %q, "recovery_key": "x"}`, id))
				}
			}
			fmt.Fprintf(w, `{"resources": [%s], "errors": []}`, strings.Join(all, ","))
		case strings.HasSuffix(r.URL.Path, "/users") && r.URL.EscapedPath() == "/d/b%2Fc/users":
			io.WriteString(w, `{"users": [{"mail": "x"}]}`)
		default:
			w.WriteHeader(404)
		}
	})
	f := s.fetcher(t, stream+`
    batch: {post: /entities, param: ids, size: 2, records: resources, errors: errors}
    fan_out: [{get: "/d/${record.id}/users", into: users, records: users}]
`, nil)
	lost := 0
	var records []any
	cache := &memory{m: make(map[string][]byte)}
	pass := func() {
		records, lost = nil, 0
		if err := f.Pages(t.Context(), Ask{Stream: f.o.Manifest.Stream("")}, func(p Page) error {
			lost += p.Lost
			records = p.Records
			return f.Join(t.Context(), f.o.Manifest.Stream(""), p.Records, byID{}, cache)
		}); err != nil {
			t.Fatal(err)
		}
	}
	pass()
	want := []any{map[string]any{"id": "a", "recovery_key": "(removed)", "users": nil}, map[string]any{"id": "b/c", "recovery_key": "(removed)", "users": []any{map[string]any{"mail": "x"}}}}
	if diff := cmp.Diff(want, records); diff != "" || lost != 1 {
		t.Errorf("lost %d %s", lost, diff)
	}
	before := len(s.asked)
	pass()
	if diff := cmp.Diff(want, records); diff != "" || len(s.asked)-before != 3 {
		t.Errorf("the second pass asked %v\n%s", s.asked[before:], diff)
	}
	s.clock.Wait(t.Context(), 25*time.Hour)
	before = len(s.asked)
	if pass(); len(s.asked)-before != 5 {
		t.Errorf("answers are kept beyond their time: asked %v", s.asked[before:])
	}
}

type memory struct {
	mu sync.Mutex
	m  map[string][]byte
}

func (c *memory) Get(_ context.Context, key string) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.m[key], nil
}

func (c *memory) Put(_ context.Context, key string, v []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.m[key] = v
	return nil
}

type byID struct{}

func (byID) Key(r any) (string, error)    { return fmt.Sprint(r.(map[string]any)["id"]), nil }
func (byID) Wants(int, any) (bool, error) { return true, nil }

func FuzzLinkNext(f *testing.F) {
	f.Add(`<https://a/b?after=1>; rel="next", <x>; rel=self`)
	f.Add(`<None>; rel="next"`)
	f.Add(`<<>;;rel`)
	asked, _ := url.Parse("https://vendor.example.com/api")
	f.Fuzz(func(t *testing.T, header string) {
		got, err := sameSite(asked, linkNext(http.Header{"Link": {header}}))
		if err != nil || got == "" {
			return
		}
		if u, err := url.Parse(got); err != nil || u.Host != asked.Host || u.Scheme != asked.Scheme {
			t.Errorf("%q leads to %q", header, got)
		}
	})
}
