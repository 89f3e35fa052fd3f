package main

import (
	"bytes"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// A system that calls has its feed read at once; who cannot prove to be that
// system brings nothing about, is told nothing, and is not heard for ever.
func TestHooksOverHTTP(t *testing.T) {
	const secret = "hook-secret-1f0c77aa12"
	acme := newAcme(t)
	read := make(linesWith, 16)
	r := start(t, testSettings(filepath.Join(t.TempDir(), "data")), read)
	hooked := strings.Replace(acmeManifest, "token: {secret: true}}", "token: {secret: true}, hook: {secret: true}}\nwebhook: {scheme: header, header: X-Key, secret: \"${hook}\"}", 1)
	conn := object{"manifest": hooked, "allow_private": true, "settings": object{"url": acme.URL, "token": acmeToken, "hook": secret}}
	r.want(t, 200, "POST", "/v1/feeds", object{"id": "acme", "connection": conn})
	<-read // the pass with which a new feed begins

	call := func(feed, key, body string) (int, string) {
		t.Helper()
		req, err := http.NewRequest("POST", "http://"+r.http.Addr().String()+"/v1/hooks/"+feed, bytes.NewReader([]byte(body)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Key", key)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(answer), secret) {
			t.Errorf("the answer tells the secret: %s", answer)
		}
		return resp.StatusCode, string(answer)
	}
	if code, answer := call("nobody", secret, "{}"); code != 404 {
		t.Errorf("a feed that is none: %d %s", code, answer)
	}
	if code, answer := call("acme", secret+"x", "{}"); code != 403 {
		t.Errorf("a wrong secret: %d %s", code, answer)
	}
	if code, answer := call("acme", secret, strings.Repeat("x", 8<<20)); code < 400 || code >= 500 {
		t.Errorf("a body of 8 MiB: %d %s", code, answer)
	}
	if code, answer := call("acme", secret, `{"event":"enrolled"}`); code != 202 {
		t.Errorf("a good call: %d %s", code, answer)
	}
	<-read // which it brought about: the next pass by itself is an hour away
	code := 0
	for range 200 {
		if code, _ = call("acme", "guess", "{}"); code == 429 {
			break
		}
	}
	if code != 429 {
		t.Errorf("after 200 guesses the answer is %d", code)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}
