package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// acmeAPI answers as the page of docs/feeds.md says that Acme MDM does, with 250
// devices.
func acmeAPI(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	limit, _ := strconv.Atoi(q.Get("limit"))
	from, err := strconv.Atoi(strings.TrimPrefix(q.Get("cursor"), "after-"))
	switch {
	case r.Header.Get("Authorization") != "Bearer s3cret":
		http.Error(w, `{"error": "who are you"}`, http.StatusUnauthorized)
		return
	case r.URL.Path != "/api/v1/devices" || limit != 100 || q.Has("cursor") && err != nil:
		http.Error(w, `{"error": "no such call"}`, http.StatusNotFound)
		return
	}
	var rows []string
	for i := from; i < min(from+limit, 250); i++ {
		rows = append(rows, fmt.Sprintf(`{"id": %d, "name": "PC-%d", "serial_number": "ACME%04d", "maker": "Dell Inc.", "ram_gb": 16, "platform": "Win", "user": {"mail": "user%d@example.com"}}`, i, i, i, i))
	}
	next := "null"
	if from+limit < 250 {
		next = fmt.Sprintf(`"after-%d"`, from+limit)
	}
	fmt.Fprintf(w, `{"data": [%s], "meta": {"next": %s, "total": 250}}`, strings.Join(rows, ", "), next)
}

// TestTheWalkThroughOfTheDocumentation takes the manifest that docs/feeds.md comes
// to, which is shorter than 60 lines, from its tests to assets.
func TestTheWalkThroughOfTheDocumentation(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "docs", "feeds.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "from that page's API:\n\n```yaml\n")
	text, _, ok := strings.Cut(rest, "```\n")
	if lines := strings.Count(text, "\n"); !ok || lines >= 60 {
		t.Fatalf("docs/feeds.md has a manifest of %d lines, want fewer than 60", lines)
	}
	file := filepath.Join(t.TempDir(), "acme.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := feeds(t, "test", file); code != 0 || !strings.Contains(out, "1 tests passed") {
		t.Fatal(code, out, errs)
	}
	system := httptest.NewServer(http.HandlerFunc(acmeAPI))
	defer system.Close()
	s := testSettings(filepath.Join(t.TempDir(), "data"))
	s.Store = "memory"
	s.Feeds = []feedSettings{{Name: "acme", Manifest: file, Settings: map[string]string{"url": system.URL, "token": "s3cret"}, AllowPrivate: true, Paused: true}}
	read := make(linesWith, 1)
	r := start(t, s, read)
	r.ask(t, "POST", "/v1/feeds/acme:run", `{"full":true}`, nil)
	<-read
	var answer struct {
		TotalSize int `json:"total_size"`
	}
	r.ask(t, "GET", `/v1/assets?page_size=1&filter=asset.os.family+%3D%3D+%22windows%22+%26%26+asset.hardware.serial.startsWith(%22ACME%22)+%26%26+asset.owner.email+!%3D+%22%22`, "", &answer)
	if answer.TotalSize != 250 {
		t.Errorf("%d assets of 250 devices are as the manifest says", answer.TotalSize)
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
}
