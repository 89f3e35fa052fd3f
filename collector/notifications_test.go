package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// told is one call of a webhook.
type told struct{ id, body, signature, signed string }

// newHook is a webhook that answers with what answer has at the time.
func newHook(t *testing.T, answer chan int) (url string, calls chan told) {
	t.Helper()
	calls = make(chan told, 16)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		id := r.Header.Get("Webhook-Id")
		calls <- told{id, string(b), r.Header.Get("Webhook-Signature"), id + "." + r.Header.Get("Webhook-Timestamp") + "." + string(b)}
		w.WriteHeader(<-answer)
	}))
	t.Cleanup(s.Close)
	return s.URL, calls
}

// Who subscribes is told of a finding by a signed call, also when the collector
// stops before the receiver takes it, and how that fares can be asked.
func TestAFindingIsTold(t *testing.T) {
	answer := make(chan int, 16)
	url, calls := newHook(t, answer)
	s := testSettings(filepath.Join(t.TempDir(), "data"))
	r := start(t, s, io.Discard)
	body := object{"id": "siem", "findings": object{"severities": []string{"critical"}, "filter": `asset.owner.department == "Sales"`}, "receiver": object{"kind": "webhook", "url": url + "/in?key=" + acmeToken, "allow_private": true}}
	var made struct{ Secret string }
	code, text := r.request(t, "POST", "/v1/subscriptions", object{"id": "siem", "findings": object{"filter": `finding.severty == "high"`}, "receiver": body["receiver"]})
	if code != 400 || !strings.Contains(text, "did you mean severity?") {
		t.Errorf("a mistake: %d %s", code, text)
	}
	code, text = r.request(t, "POST", "/v1/subscriptions", body)
	if err := json.Unmarshal([]byte(text), &made); code != 200 || err != nil {
		t.Fatal(code, text)
	}
	r.want(t, 409, "POST", "/v1/subscriptions", body, "of this id already")
	answer <- 200
	r.want(t, 200, "POST", "/v1/subscriptions/siem:test", object{}, "{}")
	if c := <-calls; !strings.Contains(c.body, `"rollcall.test"`) {
		t.Errorf("a test is %s", c.body)
	}
	r.ask(t, "PUT", "/v1/sources/cmdb", `{"kind":"mdm"}`, nil)
	for name, department := range map[string]string{"lt-1": "Sales", "lt-2": "Lab"} {
		r.push(t, `{"source":"cmdb","source_id":"`+name+`","observed_at":"`+time.Now().UTC().Format(time.RFC3339)+`","device":{"name":"`+name+
			`","class":"laptop","owner":{"department":"`+department+`"},"security":{"disk_encryption":{"state":"off"}}}}`)
	}
	answer <- 503
	first := <-calls
	if !strings.Contains(first.body, `"rule":"disk-encryption"`) || !strings.Contains(first.body, "lt-1") || strings.Contains(first.body, "lt-2") {
		t.Errorf("told %s", first.body)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	secretIsNowhere(t, s.DataDir)
	var out, errs bytes.Buffer
	if code := execute([]string{"feeds", "rotate-key", "--data-dir", s.DataDir, "--min-free", "1048576"}, outside{stdout: &out, stderr: &errs, getenv: os.Getenv}); code != 0 || !strings.Contains(out.String(), "2 secrets are sealed anew") {
		t.Fatal(code, out.String(), errs.String())
	}
	r = start(t, s, io.Discard)
	answer <- 200
	again := <-calls
	if again.id != first.id || again.body != first.body {
		t.Errorf("after the restart comes %s, not %s", again.body, first.body)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(made.Secret, "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(again.signed))
	if again.signature != "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)) {
		t.Errorf("signature %s", again.signature)
	}
	var state struct {
		Status struct{ Sent, Waiting string }
	}
	for state.Status.Sent != "1" {
		r.ask(t, "GET", "/v1/subscriptions/siem", "", &state)
	}
	if m := r.metrics(t); !strings.Contains(m, `rollcall_notifications_sent_total{kind="webhook"} 1`) || !strings.Contains(m, `rollcall_notifications_queue_age_seconds{kind="webhook"} 0`) {
		t.Error("the message is not counted")
	}
	r.want(t, 200, "GET", "/v1/subscriptions/siem/dead-letters", nil, "{}")
	r.want(t, 404, "POST", "/v1/subscriptions/siem:retry", object{"letters": []string{"msg_x"}}, "dead-letters")
	r.want(t, 200, "DELETE", "/v1/subscriptions/siem", nil)
	r.want(t, 404, "GET", "/v1/subscriptions/siem", nil, "GET /v1/subscriptions")
	r.want(t, 200, "GET", "/v1/audit?action=subscription", nil, "subscription.create", "subscription.test", "subscription.delete")
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}

// Subscriptions of the configuration run, are shown without their secrets, and
// are changed there only; mistakes keep the collector from starting.
func TestConfiguredSubscriptions(t *testing.T) {
	answer := make(chan int, 16)
	url, calls := newHook(t, answer)
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	secret := write("secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n")
	file := write("collector.yaml", `
data_dir: `+filepath.Join(dir, "data")+`
notifications:
  link: https://rollcall.example.com/
  mail: {host: mail.example.com, user: rollcall, password: hunter22, from: Rollcall <rollcall@example.com>}
  subscriptions:
    - id: new-assets
      assets: {kinds: [created]}
      receiver: {kind: webhook, url: `+url+`, secret: "file:`+secret+`", allow_private: true}
    - id: desk
      findings: {severities: [critical]}
      receiver: {kind: email, to: [desk@example.com]}
      pace: {daily: "08:00", time_zone: Europe/Berlin}
`)
	var out, errs bytes.Buffer
	world := outside{stdout: &out, stderr: &errs, getenv: func(string) string { return "" }}
	if code := execute([]string{"config", "check", "--config", file}, world); code != 0 || strings.Contains(out.String(), "hunter22") || !strings.Contains(out.String(), "password: (set)") {
		t.Fatal(code, out.String(), errs.String())
	}
	s, err := configFlags{Config: file}.settings(func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	s.HTTPAddr, s.GRPCAddr, s.MinFree = "127.0.0.1:0", "127.0.0.1:0", 1<<20
	r := start(t, s, io.Discard)
	r.ask(t, "PUT", "/v1/sources/cmdb", `{"kind":"mdm"}`, nil)
	r.push(t, `{"source":"cmdb","source_id":"1","observed_at":"`+time.Now().UTC().Format(time.RFC3339)+`","device":{"name":"lt-1"}}`)
	answer <- 200
	if c := <-calls; !strings.Contains(c.body, `"asset.created"`) || !strings.Contains(c.body, `"link":"https://rollcall.example.com"`) {
		t.Errorf("told %s", c.body)
	}
	r.want(t, 200, "GET", "/v1/subscriptions", nil, `"origin":"configuration"`, `"daily":"08:00"`, "desk@example.com")
	r.want(t, 409, "DELETE", "/v1/subscriptions/desk", nil, "under notifications")
	r.want(t, 200, "POST", "/v1/subscriptions/desk:pause", object{"paused": true}, `"paused":true`)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"link: ftp://x": "link", "mail: {host: x, from: nobody}": "from", "subscriptions: [{id: x, receiver: {kind: webhook, url: 'https://x'}}]": "receiver.secret is missing",
		"subscribers: []": "subscribers",
	} {
		bad := write("bad.yaml", "notifications: {"+text+"}\n")
		errs.Reset()
		if code := execute([]string{"config", "check", "--config", bad}, world); code == 0 || !strings.Contains(errs.String(), want) {
			t.Errorf("%s: %d %s", text, code, errs.String())
		}
	}
}
