package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// acmeToken is a secret that must turn up nowhere.
const acmeToken = "acme-secret-3c9f1a7e55"

const acmeManifest = `
schema: 1
name: acme
title: Acme MDM
kind: mdm
unique: true
base: ${url}
settings: {url: {type: url}, token: {secret: true}}
auth: {header: {value: "Bearer ${token}"}}
streams:
  - name: devices
    get: /devices
    records: data
    key: id
    map: {name: name, hardware.serial: serial}
`

// newAcme is a system that lists devices to who has its token.
func newAcme(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/devices" || r.Header.Get("Authorization") != "Bearer "+acmeToken {
			http.Error(w, `{"error":"who are you"}`, http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, `{"data":[{"id":1,"name":"pc-1","serial":"5XK2J93"},{"id":2,"name":"pc-2","serial":"PF3ABCDE"}]}`)
	}))
	t.Cleanup(s.Close)
	return s
}

// request asks with the administrator's token and returns code and answer.
func (r *running) request(t *testing.T, method, path string, body any) (int, string) {
	t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	code, answer := r.call(t, method, path, string(b))
	if strings.Contains(answer, acmeToken) {
		t.Errorf("%s %s answers with a secret: %s", method, path, answer)
	}
	return code, answer
}

// want asks and wants a code, and texts in the answer.
func (r *running) want(t *testing.T, code int, method, path string, body any, texts ...string) {
	t.Helper()
	got, answer := r.request(t, method, path, body)
	if got != code {
		t.Fatalf("%s %s answers %d, want %d: %s", method, path, got, code, answer)
	}
	for _, s := range texts {
		if !strings.Contains(answer, s) {
			t.Errorf("%s %s answers without %q: %s", method, path, s, answer)
		}
	}
}

type object = map[string]any

// A system that is connected through the API is read, keeps its secret to
// itself, outlives a restart and a new key, and takes what it said along.
func TestFeedsThroughTheAPI(t *testing.T) {
	acme := newAcme(t)
	dir := t.TempDir()
	s := testSettings(filepath.Join(dir, "data"))
	s.Feeds = []feedSettings{{Name: "po", Vendor: "csv_assets", Settings: map[string]string{"file": filepath.Join(dir, "none.csv")}, Paused: true}}
	read := make(linesWith, 16)
	r := start(t, s, read)
	conn := object{"manifest": acmeManifest, "settings": object{"url": acme.URL, "token": acmeToken}}
	r.want(t, 200, "POST", "/v1/feeds:test", object{"connection": conn}, "allow_private")
	conn["allow_private"] = true
	r.want(t, 200, "POST", "/v1/feeds:test", object{"connection": conn, "limit": 1}, `\"serial\":\"5XK2J93\"`, `"placement":{}`)
	r.want(t, 200, "POST", "/v1/feeds", object{"id": "acme", "connection": conn}, `"origin":"api"`, `"secrets":["token"]`, acme.URL)
	<-read
	r.want(t, 200, "GET", "/v1/assets", nil, "5XK2J93", "PF3ABCDE")
	r.want(t, 409, "POST", "/v1/feeds", object{"id": "acme", "connection": conn}, "choose another name")
	r.want(t, 409, "POST", "/v1/feeds", object{"id": "po", "connection": conn}, "in the collector's configuration")
	r.want(t, 409, "PATCH", "/v1/feeds/po", object{"paused": true}, "change it there")
	r.want(t, 409, "DELETE", "/v1/feeds/po", nil, "change it there")
	r.want(t, 404, "DELETE", "/v1/feeds/nobody", nil, "GET /v1/feeds")

	// The secret goes nowhere else.
	thief := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(thief.Close)
	r.want(t, 400, "PATCH", "/v1/feeds/acme", object{"connection": object{"settings": object{"url": thief.URL}}}, "give settings.token again")
	r.want(t, 400, "PATCH", "/v1/feeds/acme", object{"connection": object{"settings": object{"token": "file:/etc/passwd"}}}, "secrets may be referred to")
	r.want(t, 400, "PATCH", "/v1/feeds/acme", object{"connection": object{"settings": object{"token": "env:HOME"}}}, "ROLLCALL_FEED_")
	r.want(t, 400, "POST", "/v1/feeds", object{"id": "t", "connection": object{"vendor": "csv_assets", "settings": object{"file": "/etc/passwd"}}}, "import")
	r.want(t, 400, "PATCH", "/v1/feeds/acme", object{"connection": object{"every": "1s"}}, "less than 1m")
	r.want(t, 200, "PATCH", "/v1/feeds/acme", object{"connection": object{"every": "3600s"}}, `"every":"3600s"`)
	<-read
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	secretIsNowhere(t, s.DataDir)

	var out, errs bytes.Buffer
	args := []string{"feeds", "rotate-key", "--data-dir", s.DataDir, "--min-free", "1048576"}
	if code := execute(args, outside{stdout: &out, stderr: &errs, getenv: os.Getenv}); code != 0 || !strings.Contains(out.String(), "1 secret is sealed anew") {
		t.Fatal(code, out.String(), errs.String())
	}
	file := filepath.Join(dir, "acme.yaml")
	if err := os.WriteFile(file, []byte(acmeManifest), 0o600); err != nil {
		t.Fatal(err)
	}
	try := func(where ...string) {
		t.Helper()
		var out, errs bytes.Buffer
		args := append([]string{"feeds", "try", file, "--set", "url=" + acme.URL, "--set", "token=env:T", "--allow-private", "--limit", "1"}, where...)
		code := execute(args, outside{stdout: &out, stderr: &errs, getenv: func(k string) string { return map[string]string{"T": acmeToken, "ROLLCALL_TOKEN": r.token}[k] }})
		if code != 0 || !strings.Contains(out.String(), "(pc-1): 2 records have serial 5XK2J93") && !strings.Contains(out.String(), "it was stated before") {
			t.Errorf("try %v: %d %s %s", where, code, out.String(), errs.String())
		}
	}
	try("--data-dir", s.DataDir)
	r = start(t, s, read)
	try("--collector", "http://"+r.http.Addr().String(), "--name", "mdm-2")
	r.want(t, 200, "POST", "/v1/feeds/acme:run", object{"full": true})
	<-read
	r.want(t, 200, "GET", "/v1/feeds", nil, `"id":"acme"`, `"stated":"2"`, `"pages":"1"`)
	r.want(t, 200, "POST", "/v1/feeds:test", object{"id": "acme", "limit": 1}, "it was stated before")
	r.want(t, 200, "POST", "/v1/observations:preview", object{"kind": "edr", "observations": []object{{"source": "edr", "source_id": "7", "observed_at": "2026-11-25T00:00:00Z",
		"device": object{"name": "pc-1", "hardware": object{"serial": "5XK2J93", "manufacturer": "Dell"}}}}}, "2 records have serial 5XK2J93")
	r.want(t, 200, "DELETE", "/v1/feeds/acme?withdraw=true", nil, `"withdrawn":"2"`)
	if _, answer := r.request(t, "GET", "/v1/assets", nil); answer != "{}" {
		t.Errorf("assets %s after all was withdrawn", answer)
	}
	r.want(t, 404, "POST", "/v1/feeds/acme:run", object{})
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	secretIsNowhere(t, s.DataDir)
}

// secretIsNowhere looks through everything that the collector keeps.
func secretIsNowhere(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte(acmeToken)) {
			t.Errorf("%s holds the secret", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, "feeds.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file: %v %v", info, err)
	}
}

// A feed whose secret cannot be opened says so, and the rest runs.
func TestALostKeyIsTold(t *testing.T) {
	acme := newAcme(t)
	s := testSettings(filepath.Join(t.TempDir(), "data"))
	read := make(linesWith, 16)
	r := start(t, s, read)
	conn := object{"manifest": acmeManifest, "allow_private": true, "settings": object{"url": acme.URL, "token": acmeToken}}
	r.want(t, 200, "POST", "/v1/feeds", object{"id": "acme", "connection": conn})
	<-read
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(s.DataDir, "feeds.key")); err != nil {
		t.Fatal(err)
	}
	r = start(t, s, read)
	r.want(t, 200, "GET", "/v1/feeds", nil, "the secret cannot be opened", "feeds.key", `"origin":"api"`)
	r.want(t, 200, "PATCH", "/v1/feeds/acme", object{"connection": object{"settings": object{"token": acmeToken}}}, `"origin":"api"`)
	<-read
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}
