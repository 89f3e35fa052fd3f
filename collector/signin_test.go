package main

import (
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rollcall-itam/rollcall/collector/signin"
	"github.com/rollcall-itam/rollcall/collector/signin/signintest"
)

const signInConfig = `
oidc:
  issuer: https://login.example.com
  url: https://rollcall.example.com
  client_id: rollcall
  client_secret: a-secret-that-is-not-shown
  domains: [example.com]
  roles:
    - {value: it-admins, role: admin}
    - {value: berlin, role: helpdesk, scope: [label.site=berlin]}
`

func TestSignInSettings(t *testing.T) {
	out, errs, code := check(t, "--config", configFile(t, signInConfig))
	if code != 0 || strings.Contains(out, "not-shown") || !strings.Contains(out, "(set)") || !strings.Contains(out, "session: 8h0m0s") || !strings.Contains(out, "groups: groups") {
		t.Errorf("exits with %d: %s%s", code, out, errs)
	}
	link := "notifications: {link: https://rollcall.example.com/}\n"
	if out, errs, code := check(t, "--config", configFile(t, link+strings.Replace(signInConfig, "  url: https://rollcall.example.com\n", "", 1))); code != 0 || !strings.Contains(out, "url: https://rollcall.example.com\n") {
		t.Errorf("by the link of notifications: exits with %d: %s%s", code, out, errs)
	}
	for want, change := range map[string][2]string{
		"line 4: field uri is unknown":         {"  url:", "  uri:"},
		"oidc: issuer":                         {"https://login", "http://login"},
		"oidc: url is missing":                 {"  url: https://rollcall.example.com\n", ""},
		"oidc: roles: entry 1: role is \"root": {"role: admin", "role: root"},
		"line 9":                               {"role: admin", "rolle: admin"},
	} {
		_, errs, code := check(t, "--config", configFile(t, strings.Replace(signInConfig, change[0], change[1], 1)))
		if code == 0 || !strings.Contains(errs, want) {
			t.Errorf("want %q, exits with %d: %s", want, code, errs)
		}
	}
}

// A collector starts while its provider is down, takes tokens, and lets people in
// once the provider is there; without the provider in its settings sessions are over.
func TestTheProviderIsDownAtTheStart(t *testing.T) {
	provider := signintest.New(t, "", "http://127.0.0.1:1"+signin.CallbackPath)
	provider.SignsIn(signintest.Person{ID: "1", Email: "ann@example.com", Name: "Ann Berg", Verified: true, Groups: []string{"it"}})
	provider.Down(true)
	s := testSettings(filepath.Join(t.TempDir(), "data"))
	s.OIDC = signInSettings(&signin.Settings{Issuer: provider.URL, URL: "http://127.0.0.1:1", ClientID: signintest.ClientID, Roles: []signin.Rule{{Value: "it", Role: "admin"}}}, "")
	if err := s.check(); err != nil && !strings.Contains(err.Error(), "api_rate") {
		t.Fatal(err)
	}
	r := start(t, s, io.Discard)
	r.want(t, 200, "GET", "/v1/assets", nil)
	r.want(t, 200, "GET", "/v1/signin", nil, provider.URL)
	begin := "http://" + r.http.Addr().String() + "/signin?" + url.Values{"redirect_uri": {"http://127.0.0.1:2/callback"}, "state": {"0123456789abcdef"}, "code_challenge": {strings.Repeat("a", 43)}}.Encode()
	browser := signintest.Browser(t)
	browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	visit := func() int {
		resp, err := browser.Get(begin)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if code := visit(); code != http.StatusServiceUnavailable {
		t.Errorf("while the provider is down: %d", code)
	}
	provider.Down(false)
	code := 0
	for range 20 { // Begin asks again after two seconds, the collector by itself after one
		if code = visit(); code == http.StatusSeeOther {
			break
		}
		provider.Await(t)
	}
	if code != http.StatusSeeOther {
		t.Errorf("once the provider is there: %d", code)
	}
	_, metrics := get(t, http.DefaultClient, "http://"+r.http.Addr().String()+"/metrics", r.token)
	for _, want := range []string{"rollcall_sign_in_provider_up 1", `rollcall_sign_ins_total{result="provider_unreachable"} `} {
		if !strings.Contains(metrics, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
}
