package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rollcall-itam/rollcall/collector/signin"
	"github.com/rollcall-itam/rollcall/collector/signin/signintest"
)

// front is a collector whose people sign in at a provider.
type front struct {
	*sites
	provider *signintest.Provider
	browser  *http.Client
	metrics  *prometheus.Registry
}

func newFront(t *testing.T) *front {
	t.Helper()
	f := &front{sites: newSites(t), browser: signintest.Browser(t), metrics: prometheus.NewRegistry()}
	f.provider = signintest.New(t, signintest.Secret, f.url+signin.CallbackPath)
	set := signin.Settings{Issuer: f.provider.URL, URL: f.url, ClientID: signintest.ClientID, ClientSecret: signintest.Secret,
		Roles: []signin.Rule{{Value: "berlin", Role: "operator", Scope: []string{"label.site=berlin"}}, {Value: "it", Role: "admin"}}}.Filled()
	flow, err := signin.New(set, slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- flow.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	f.tokens.UseBasis(flow.Basis())
	f.service.SignIn, f.service.Metrics = flow, f.metrics
	if f.service.doors, err = newDoors(f.service.Options); err != nil {
		t.Fatal(err)
	}
	f.browser.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Port() == "1" { // the program's, which is not there
			return http.ErrUseLastResponse
		}
		return nil
	}
	return f
}

const proof = "0123456789-the-program-s-verifier-0123456789"

func start() string {
	sum := sha256.Sum256([]byte(proof))
	return signInPath + "?" + url.Values{"redirect_uri": {"http://127.0.0.1:1/callback"}, "state": {"0123456789abcdef"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}}.Encode()
}

// visit opens a page and returns the last answer.
func (f *front) visit(path string) *http.Response {
	f.t.Helper()
	resp, err := f.browser.Get(f.url + path)
	if err != nil {
		f.t.Fatal(err)
	}
	var page bytes.Buffer
	if _, err := page.ReadFrom(resp.Body); err != nil {
		f.t.Fatal(err)
	}
	resp.Body.Close()
	resp.Status = page.String()
	return resp
}

// code signs who is at the browser in and returns the program's code.
func (f *front) code() string {
	f.t.Helper()
	resp := f.visit(start())
	u, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || u.Query().Get("code") == "" || u.Query().Get("state") != "0123456789abcdef" {
		f.t.Fatalf("the browser ends at %d %q: %s", resp.StatusCode, u, resp.Status)
	}
	return u.Query().Get("code")
}

type sessionJSON struct {
	Token, ID, Person, Role string
	Scope                   []string
	Expires                 time.Time `json:"expires_at"`
}

func (f *front) redeem(body map[string]string) (int, sessionJSON, string) {
	f.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		f.t.Fatal(err)
	}
	code, _, answer := f.ask("", "POST", signInTokenPath, string(b))
	var s sessionJSON
	if code == http.StatusOK {
		if err := json.Unmarshal(answer, &s); err != nil {
			f.t.Fatal(err)
		}
	}
	return code, s, string(answer)
}

func (f *front) session(who signintest.Person) sessionJSON {
	f.t.Helper()
	f.provider.SignsIn(who)
	code, s, answer := f.redeem(map[string]string{"code": f.code(), "code_verifier": proof})
	if code != http.StatusOK {
		f.t.Fatalf("no session: %d %s", code, answer)
	}
	return s
}

var (
	annBerg = signintest.Person{ID: "00u1", Email: "ann@example.com", Name: "Ann Berg", Verified: true, Groups: []string{"berlin"}}
	bobCole = signintest.Person{ID: "00u2", Email: "bob@example.com", Name: "Bob Cole", Verified: true, Groups: []string{"it"}}
)

func TestSignInOverHTTP(t *testing.T) {
	f := newFront(t)
	ann := f.session(annBerg)
	if ann.Person != "ann@example.com" || ann.Role != "operator" || !slices.Equal(ann.Scope, []string{"labels.site=berlin"}) || time.Until(ann.Expires) > 8*time.Hour || time.Until(ann.Expires) < 7*time.Hour {
		t.Errorf("session %+v", ann)
	}
	// The mapped scope holds as that of a token does.
	if n := f.total(ann.Token, "/v1/assets"); n != 2 {
		t.Errorf("ann sees %d assets", n)
	}
	if code, _, _ := f.ask(ann.Token, "GET", "/v1/assets/"+f.outside, ""); code != 404 {
		t.Errorf("an asset outside answers %d", code)
	}
	if code, _, _ := f.ask(ann.Token, "GET", "/v1/audit", ""); code != 403 {
		t.Errorf("the audit log answers %d", code)
	}
	if code, _, b := f.ask(ann.Token, "POST", "/v1/assets/"+f.inside+":assert", `{"set":{"stage":"in_repair"}}`); code != 200 {
		t.Errorf("a statement: %d %s", code, b)
	}
	var log auditPage
	f.get("/v1/audit?actor=user:ann@example.com", &log)
	var did []string
	for _, e := range log.Entries {
		did = append(did, e.Action)
	}
	for _, want := range []string{"session.create", "signin", "asset.assert"} {
		if !slices.Contains(did, want) {
			t.Errorf("ann did %v, without %s", did, want)
		}
	}
	// The code and the verifier are good once.
	if code, _, answer := f.redeem(map[string]string{"code": "another", "code_verifier": proof}); code != 400 || !strings.Contains(answer, "rollcall login") {
		t.Errorf("a made-up code: %d %s", code, answer)
	}
	// A token cannot be signed out; a session can, once.
	if code, _, answer := f.ask(f.admin, "POST", "/v1/caller:signout", "{}"); code != 400 || !strings.Contains(string(answer), "no session") {
		t.Errorf("signing out a token: %d %s", code, answer)
	}
	if code, _, b := f.ask(ann.Token, "POST", "/v1/caller:signout", "{}"); code != 200 {
		t.Errorf("signing out: %d %s", code, b)
	}
	if code, _, b := f.ask(ann.Token, "GET", "/v1/assets", ""); code != 401 || !strings.Contains(string(b), "rollcall login") {
		t.Errorf("after signing out: %d %s", code, b)
	}
	// Who is erased is out.
	bob := f.session(bobCole)
	if code, _, b := f.ask(bob.Token, "GET", "/v1/tokens", ""); code != 200 || !strings.Contains(string(b), "bob@example.com") {
		t.Errorf("an administrator: %d %s", code, b)
	}
	if _, code, text := f.erase(t, "bob@example.com", `{"reason":"request 18"}`); code != 200 {
		t.Fatalf("erasing bob: %d %s", code, text)
	}
	if code, _, b := f.ask(bob.Token, "GET", "/v1/tokens", ""); code != 401 {
		t.Errorf("an erased person: %d %s", code, b)
	}
	if code, _, b := f.ask(f.admin, "GET", "/v1/tokens", ""); code != 200 || strings.Contains(string(b), "bob@example.com") || strings.Contains(string(b), "Cole") {
		t.Errorf("the list names who was erased: %d %s", code, b)
	}
	if n := f.counted("rollcall_sign_ins_total", signin.Completed); n != 2 {
		t.Errorf("%v completed sign-ins are counted", n)
	}
	if n := f.counted("rollcall_sign_ins_total", signin.Expired); n != 1 {
		t.Errorf("%v expired sign-ins are counted", n)
	}
	if n := f.counted("rollcall_sign_in_provider_up", ""); n != 1 {
		t.Errorf("whether the provider is up: %v", n)
	}
}

// counted returns the value of a metric, of one result where it has several.
func (f *front) counted(name, result string) float64 {
	f.t.Helper()
	families, err := f.metrics.Gather()
	if err != nil {
		f.t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == name && (result == "" || m.GetLabel()[0].GetValue() == result) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return -1
}

func TestBrowsersAreKeptApart(t *testing.T) {
	f := newFront(t)
	f.provider.SignsIn(annBerg)
	f.browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp := f.visit(start())
	cookies := resp.Cookies()
	if resp.StatusCode != http.StatusSeeOther || len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteLaxMode || cookies[0].MaxAge != 600 || resp.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Fatalf("%d, cookies %v", resp.StatusCode, cookies)
	}
	// Somebody else's browser follows the address that the first was sent to.
	other := signintest.Browser(t)
	got, err := other.Get(resp.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	var page bytes.Buffer
	if _, err := page.ReadFrom(got.Body); err != nil || got.StatusCode != http.StatusForbidden || !strings.Contains(page.String(), "another browser") {
		t.Errorf("another browser: %d %s", got.StatusCode, page.String())
	}
	for path, want := range map[string]int{
		signin.CallbackPath: 400, signin.CallbackPath + "?state=x&code=y": 400, signInPath: 400,
		signInPath + "?redirect_uri=https://evil.example.net/&state=0123456789abcdef&code_challenge=" + strings.Repeat("a", 43): 400,
	} {
		if resp := f.visit(path); resp.StatusCode != want || resp.Header.Get("Location") != "" || !strings.Contains(resp.Status, "Not signed in") {
			t.Errorf("%s answers %d, sends to %q: %s", path, resp.StatusCode, resp.Header.Get("Location"), resp.Status)
		}
	}
	for body, want := range map[string]int{`{}`: 400, `{"code":"a","handle":"b"}`: 400, `{"code":"a","more":1}`: 400, `[`: 400, `{"handle":"a"}`: 400,
		`{"code":"` + strings.Repeat("a", maxBody) + `"}`: 413} {
		if code, _, b := f.ask("", "POST", signInTokenPath, body); code != want {
			t.Errorf("%.40s answers %d: %s", body, code, b)
		}
	}
	if code, _, b := f.ask("", "POST", signInDevicePath, `{}`); code != 400 || !strings.Contains(string(b), "not allowed") {
		t.Errorf("a device code: %d %s", code, b)
	}
	var log auditPage
	if f.get("/v1/audit?action=signin.refused", &log); len(log.Entries) != 1 || !strings.Contains(log.Entries[0].Detail, signin.Forged) {
		t.Errorf("the audit log has %+v", log.Entries)
	}
}

// Who begins again and again has to wait; others, and tokens, do not.
func TestSignInsAreSlowedDown(t *testing.T) {
	f := newFront(t)
	f.browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	last := 0
	for range failureBurst + 5 {
		last = f.visit(start()).StatusCode
	}
	if last != http.StatusTooManyRequests {
		t.Errorf("after many sign-ins the answer is %d", last)
	}
	for range failureBurst + 5 {
		last, _, _ = f.redeem(map[string]string{"code": "guess", "code_verifier": proof})
	}
	if last != http.StatusTooManyRequests {
		t.Errorf("after many guesses the answer is %d", last)
	}
	if n := f.total(f.admin, "/v1/assets"); n != 3 {
		t.Errorf("a token sees %d assets", n)
	}
}

func TestWithoutAProviderNobodySignsIn(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{signInKnownPath, signInPath, signin.CallbackPath + "?state=x"} {
		if code, _, b := w.ask("", "GET", path, ""); code < 400 || !strings.Contains(string(b), "no sign-in provider") {
			t.Errorf("GET %s answers %d: %s", path, code, b)
		}
	}
	for _, path := range []string{signInTokenPath, signInDevicePath} {
		if code, _, b := w.ask("", "POST", path, "{}"); code < 400 || !strings.Contains(string(b), "no sign-in provider") {
			t.Errorf("POST %s answers %d: %s", path, code, b)
		}
	}
}
