package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-itam/rollcall/collector/connect"
	"github.com/rollcall-itam/rollcall/collector/notify"
	"github.com/rollcall-itam/rollcall/collector/watch"
)

// notify has the world tell who subscribes.
func (w *world) notify() {
	w.t.Helper()
	vault, err := connect.OpenVault(filepath.Join(w.t.TempDir(), "feeds.key"))
	must(w.t, err)
	n, err := notify.Open(w.t.Context(), notify.Options{Store: w.store, Catalog: w.catalog, Changes: watch.New(w.store), Title: func(string) string { return "" }, Vault: vault,
		Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return noon }, After: func(time.Duration) (<-chan time.Time, func()) { return nil, func() {} }})
	must(w.t, err)
	w.service.Notifications = n
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	w.t.Cleanup(func() {
		stop()
		must(w.t, <-done)
	})
}

// A person subscribes, tries it, and ends it; addresses that are secrets come from
// files and are shown to nobody.
func TestSubscriptions(t *testing.T) {
	w := newWorld(t)
	w.notify()
	bodies := make(chan string, 8)
	receiver := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		bodies <- r.Header.Get("Webhook-Signature")
		if r.URL.Path == "/broken" {
			rw.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(receiver.Close)
	file := filepath.Join(t.TempDir(), "slack")
	must(t, os.WriteFile(file, []byte(receiver.URL+"/services/topsecret\n"), 0o600))
	secret := w.ok("subscriptions", "create", "siem", "--webhook", receiver.URL+"/in", "--allow-private", "--findings", "opened,resolved", "--severity", "critical", "--filter", `asset.class == "laptop"`)
	if !strings.HasPrefix(secret, "whsec_") {
		t.Errorf("created with %q", secret)
	}
	w.ok("subscriptions", "create", "ops", "--slack", "@"+file, "--allow-private", "--field", "stage", "--window", "10m")
	w.ok("subscriptions", "create", "bad", "--webhook", receiver.URL+"/broken", "--allow-private", "--daily", "08:00", "--time-zone", "Europe/Berlin", "--paused")
	list := w.ok("subscriptions")
	for _, want := range []string{"findings opened resolved critical", "webhook " + receiver.URL + "/in", "assets stage", "within 10m0s", "08:00 Europe/Berlin", "paused", "new"} {
		if !strings.Contains(list, want) {
			t.Errorf("no %q in\n%s", want, list)
		}
	}
	if strings.Contains(list+w.ok("subscriptions", "show", "ops", "-o", "json"), "topsecret") {
		t.Error("the address of Slack is told")
	}
	if _, errs, code := w.call("subscriptions", "test", "siem"); code != 0 || !strings.Contains(errs, "took the message") || !strings.HasPrefix(<-bodies, "v1,") {
		t.Errorf("test exits with %d: %s", code, errs)
	}
	if _, errs, code := w.call("subscriptions", "test", "bad"); code != exitError || !strings.Contains(errs, "answers 500") {
		t.Errorf("a test that fails exits with %d: %s", code, errs)
	}
	if next := w.ok("subscriptions", "rotate-secret", "siem"); !strings.HasPrefix(next, "whsec_") || next == secret {
		t.Errorf("the new key is %q", next)
	}
	if out := w.ok("subscriptions", "resume", "bad"); strings.Contains(out, "paused") {
		t.Errorf("resumed:\n%s", out)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"dead-letters", "siem"}, 0, "nothing was given up"}, {[]string{"retry", "siem"}, 0, "0 messages are sent again"},
		{[]string{"retry", "siem", "msg_x"}, exitNotFound, "no such dead letter"}, {[]string{"delete", "siem"}, 0, "is told nothing any more"},
		{[]string{"show", "siem"}, exitNotFound, "there is no subscription"}, {[]string{"create", "x", "--email", "a@example.com"}, exitUsage, "no mail server"},
		{[]string{"create", "x"}, exitUsage, "--webhook"}, {[]string{"create", "ops", "--webhook", "https://example.com"}, exitConflict, "of this id already"},
		{[]string{"create", "x", "--webhook", "https://example.com", "--slack", "https://example.com"}, exitUsage, "can't be used together"},
		{[]string{"create", "x", "--webhook", "https://example.com", "--filter", `finding.sevrity == "high"`}, exitUsage, "did you mean severity?"},
	} {
		if out, errs, code := w.call(append([]string{"subscriptions"}, c.args...)...); code != c.code || !strings.Contains(out+errs, c.want) {
			t.Errorf("%v exits with %d, want %d: %s%s", c.args, code, c.code, out, errs)
		}
	}
}
