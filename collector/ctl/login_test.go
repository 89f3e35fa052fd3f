package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-itam/rollcall/collector/api"
	"github.com/rollcall-itam/rollcall/collector/signin"
	"github.com/rollcall-itam/rollcall/collector/signin/signintest"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// signInWorld is a world whose people sign in at a provider.
type signInWorld struct {
	*world
	provider *signintest.Provider
	// browser follows what the program opens, and landed is what it then shows.
	browser *http.Client
	landed  chan string
}

func newSignInWorld(t *testing.T) *signInWorld {
	t.Helper()
	w := &signInWorld{browser: signintest.Browser(t), landed: make(chan string, 1)}
	w.world = newWorld(t, func(url string, o *api.Options) {
		w.provider = signintest.New(t, signintest.Secret, url+signin.CallbackPath)
		set := signin.Settings{Issuer: w.provider.URL, URL: url, ClientID: signintest.ClientID, ClientSecret: signintest.Secret, Domains: []string{"example.com"}, Device: true,
			Roles: []signin.Rule{{Value: "it", Role: "admin"}, {Value: "berlin", Role: "helpdesk", Scope: []string{"label.site=berlin"}}}}.Filled()
		must(t, set.Check())
		flow, err := signin.New(set, slog.New(slog.DiscardHandler), time.Now)
		must(t, err)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- flow.Run(ctx) }()
		t.Cleanup(func() {
			stop()
			must(t, <-done)
		})
		o.Tokens.UseBasis(flow.Basis())
		o.SignIn = flow
	})
	delete(w.env, "ROLLCALL_TOKEN")
	w.open = func(address string) error {
		go func() { w.landed <- w.visit(address) }()
		return nil
	}
	return w
}

func (w *signInWorld) visit(address string) string {
	resp, err := w.browser.Get(address)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

var (
	ann = signintest.Person{ID: "00u1", Email: "Ann@example.com", Name: "Ann Berg", Verified: true, Groups: []string{"all", "berlin"}}
	bob = signintest.Person{ID: "00u2", Email: "bob@example.com", Name: "Bob Cole", Verified: true, Groups: []string{"it"}}
)

// A person signs in with a browser, sees what their group may, is named in the
// audit log, and signs out; an administrator ends the sessions of another.
func TestPeopleSignInWithABrowser(t *testing.T) {
	w := newSignInWorld(t)
	w.report("in-berlin", &pb.Device{Hardware: &pb.Hardware{Serial: "5XK2J93"}})
	w.provider.SignsIn(ann)
	out := w.ok("login")
	if !strings.Contains(out, "ann@example.com") || !strings.Contains(out, "servicedesk, of labels.site=berlin") {
		t.Errorf("login says %q", out)
	}
	if page := <-w.landed; !strings.Contains(page, "Signed in") {
		t.Errorf("the browser shows %s", page)
	}
	file := filepath.Join(w.config, "rollcall", "config.yaml")
	info, err := os.Stat(file)
	must(t, err)
	held, err := os.ReadFile(file)
	must(t, err)
	if info.Mode().Perm() != 0o600 || !bytes.Contains(held, []byte(sessionPrefix)) || strings.Contains(out, sessionPrefix) {
		t.Errorf("mode %v; what is saved: %s; what is shown: %s", info.Mode(), held, out)
	}
	delete(w.env, "ROLLCALL_URL") // login has saved it
	for _, want := range []string{"user:ann@example.com", "session", "Ann Berg", "servicedesk", "labels.site=berlin", "Expires"} {
		if out := w.ok("whoami"); !strings.Contains(out, want) {
			t.Errorf("whoami lacks %q:\n%s", want, out)
		}
	}
	if out := w.ok("assets", "list"); strings.Contains(out, "in-berlin") {
		t.Errorf("an asset outside berlin is seen:\n%s", out)
	}
	if _, errs, code := w.call("token", "list"); code != exitUnauthorised {
		t.Errorf("a service desk lists tokens: %d %s", code, errs)
	}
	admin := map[string]string{"ROLLCALL_URL": w.url, "ROLLCALL_TOKEN": w.token("admin")}
	annsEnv := w.env
	w.env = admin
	for _, want := range []string{"session.create", "user:ann@example.com", "signin"} {
		if out := w.ok("audit", "list"); !strings.Contains(out, want) {
			t.Errorf("the audit log lacks %q:\n%s", want, out)
		}
	}
	if out := w.ok("token", "list"); !strings.Contains(out, "ann@example.com") {
		t.Errorf("the session is not listed:\n%s", out)
	}
	w.env = annsEnv
	if out := w.ok("logout"); !strings.Contains(out, "signed out") {
		t.Errorf("logout says %q", out)
	}
	if now, err := os.ReadFile(file); err != nil || bytes.Contains(now, []byte(sessionPrefix)) {
		t.Errorf("after the logout: %s %v", now, err)
	}
	must(t, os.WriteFile(file, held, 0o600)) // a copy that somebody kept
	if _, errs, code := w.call("whoami"); code != exitUnauthorised || !strings.Contains(errs, "rollcall login") {
		t.Errorf("a session that was signed out: %d %s", code, errs)
	}

	w.provider.SignsIn(bob)
	w.ok("login")
	<-w.landed
	w.ok("token", "list")
	w.env = admin
	if out := w.ok("token", "revoke", "--person", "Bob@example.com"); !strings.Contains(out, "ended 1 sessions") {
		t.Errorf("revoke says %q", out)
	}
	w.env = annsEnv
	if _, errs, code := w.call("token", "list"); code != exitUnauthorised || !strings.Contains(errs, "session was ended") {
		t.Errorf("a revoked session: %d %s", code, errs)
	}
	w.ok("logout") // which an ended session does not hinder
	if _, errs, code := w.call("logout"); code != exitUsage {
		t.Errorf("logout of nobody: %d %s", code, errs)
	}
}

// Who may not come in is told why, in the terminal and in the browser.
func TestRefusedSignIns(t *testing.T) {
	w := newSignInWorld(t)
	nobody, unverified, stranger := ann, ann, ann
	nobody.Groups = []string{"all"}
	unverified.Verified = false
	stranger.Email = "eve@example.net"
	for want, who := range map[string]signintest.Person{"has no role here": nobody, "verified": unverified, "only addresses of example.com": stranger} {
		w.provider.SignsIn(who)
		_, errs, code := w.call("login")
		if page := <-w.landed; code != exitUnauthorised || !strings.Contains(errs, want) || !strings.Contains(page, want) {
			t.Errorf("%q: exits with %d: %s\n%s", want, code, errs, page)
		}
		if _, err := os.Stat(filepath.Join(w.config, "rollcall", "config.yaml")); err == nil {
			t.Error("something is saved")
		}
	}
	w.env["ROLLCALL_TOKEN"] = w.token("viewer")
	if _, errs, code := w.call("login", "--device"); code != exitUsage {
		t.Errorf("a token and a device: %d %s", code, errs)
	}
}

// stdinOf is a terminal at which a line comes in later.
type stdinOf chan string

func (s stdinOf) Read(p []byte) (int, error) {
	line, ok := <-s
	if !ok {
		return 0, io.EOF
	}
	return copy(p, line), nil
}

// toldTo finds an address in what the program says.
type toldTo struct {
	bytes.Buffer
	found chan string
	want  *regexp.Regexp
}

func (o *toldTo) Write(b []byte) (int, error) {
	if m := o.want.Find(b); m != nil {
		o.found <- string(m)
	}
	return len(b), nil
}

// Where the browser is on another machine, the address at which it ends is pasted.
func TestSignInWithABrowserElsewhere(t *testing.T) {
	w := newSignInWorld(t)
	w.provider.SignsIn(bob)
	w.browser.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Path == "/callback" { // nothing listens there on that machine
			return http.ErrUseLastResponse
		}
		return nil
	}
	in, told := make(stdinOf, 2), &toldTo{found: make(chan string, 1), want: regexp.MustCompile(`http\S+signin\?\S+`)}
	done := make(chan int, 1)
	var out bytes.Buffer
	go func() {
		done <- execute(t.Context(), []string{"login", "--no-browser"}, outside{stdin: in, stdout: &out, stderr: told, getenv: func(k string) string { return w.env[k] },
			configDir: func() (string, error) { return w.config, nil }, now: time.Now})
	}()
	resp, err := w.browser.Get(<-told.found)
	must(t, err)
	resp.Body.Close()
	in <- "http://127.0.0.1:1/callback?state=another&code=x\n"
	in <- resp.Header.Get("Location") + "\n"
	if code := <-done; code != 0 || !strings.Contains(out.String(), "bob@example.com (admin)") {
		t.Errorf("exits with %d: %s", code, out.String())
	}
	close(in)
}

// A code that is entered on another device signs in as well.
func TestSignInWithACode(t *testing.T) {
	w := newSignInWorld(t)
	w.provider.SignsIn(bob)
	told := &toldTo{found: make(chan string, 1), want: regexp.MustCompile(`[A-Z]{4}-[A-Z]{4}\s*$`)}
	done := make(chan int, 1)
	var out bytes.Buffer
	go func() {
		done <- execute(t.Context(), []string{"login", "--device"}, outside{stdin: strings.NewReader(""), stdout: &out, stderr: told, getenv: func(k string) string { return w.env[k] },
			configDir: func() (string, error) { return w.config, nil }, now: time.Now})
	}()
	must(t, w.provider.Confirm(<-told.found))
	if code := <-done; code != 0 || !strings.Contains(out.String(), "bob@example.com") {
		t.Errorf("exits with %d: %s", code, out.String())
	}
}
