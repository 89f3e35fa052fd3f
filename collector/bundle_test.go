package main

import (
	"archive/zip"
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/rollcall-itam/rollcall/collector/kv/memkv"
	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// runLine runs one command line and returns its exit code and what it printed.
func runLine(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = execute(args, outside{stdout: &out, stderr: &errs, getenv: func(string) string { return "" }})
	return code, out.String(), errs.String()
}

// post calls the API.
func post(t *testing.T, r *running, method, path, body string) {
	t.Helper()
	req, err := http.NewRequest(method, "http://"+r.http.Addr().String()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode >= 300 || bytes.Contains(b, []byte(`"error"`)) {
		t.Fatalf("%s %s answers %d: %s %v", method, path, resp.StatusCode, b, err)
	}
}

// planted is what must not be in any bundle.
var planted = []string{"Ann Berg", "Annberg", "ann.berg", "zz-laptop-17", "SERIAL99XK1", "0a:1b:2c:3d:4e:5f", "10.77.1.9", "E-4711-77", "Bergstrasse",
	"geheim-feed-9", "geheim-mail-9", "geheim-proxy-9", "geheim-hook-9", "geheim-sig-9"}

// plant fills a collector with secrets and people, and has it log some of them.
func plant(t *testing.T) (settings, *running, string) {
	dir := t.TempDir()
	config := filepath.Join(dir, "c.yaml")
	text := "data_dir: " + filepath.Join(dir, "data") + `
min_free: 1000000
http_addr: 127.0.0.1:0
grpc_addr: 127.0.0.1:0
feeds:
  - name: jamf
    vendor: jamf_pro
    paused: true
    settings: {url: "https://jamf.example.com", client_id: "1234", client_secret: geheim-feed-9}
    proxy: http://annberg:geheim-proxy-9@proxy:3128
notifications:
  mail: {host: mail.example.com, port: 587, user: Annberg, password: geheim-mail-9, from: "ann.berg@example.com"}
  subscriptions:
    - id: ops
      findings: {events: [opened]}
      receiver: {kind: slack, url: "https://hooks.slack.com/services/geheim-hook-9?sig=geheim-sig-9"}
`
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := configFlags{Config: config}.settings(func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	var log lockedBuffer
	r := start(t, s, &log)
	post(t, r, "PUT", "/v1/sources/hr", `{"kind":"file"}`)
	post(t, r, "POST", "/v1/observations", `{"source":"hr","source_id":"E-4711-77","observed_at":"2026-11-20T10:00:00Z","person":{"name":"Ann Berg","given_name":"Annberg","emails":["ann.berg@example.com"],"employee_id":"E-4711-77","location":{"site":"Bergstrasse 9"}}}`)
	post(t, r, "POST", "/v1/observations", `{"source":"hr","source_id":"SERIAL99XK1","observed_at":"2026-11-20T10:00:00Z","device":{"name":"zz-laptop-17","class":"laptop","hardware":{"manufacturer":"Dell","serial":"SERIAL99XK1"},"network":{"hostname":"zz-laptop-17","interfaces":[{"name":"eth0","mac":"0a:1b:2c:3d:4e:5f","addresses":["10.77.1.9"]}]},"owner":{"email":"ann.berg@example.com","name":"Ann Berg"}}}`)
	return s, r, config
}

// unpacked makes a bundle and returns its parts.
func unpacked(t *testing.T, args ...string) map[string]string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "b.zip")
	code, stdout, stderr := runLine(t, append([]string{"support", "bundle", file}, args...)...)
	if code != 0 {
		t.Fatalf("support bundle ends with %d: %s", code, stderr)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the bundle: %v %v", info.Mode(), err)
	}
	z, err := zip.OpenReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	parts := make(map[string]string)
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		parts[f.Name] = string(b)
		if f.Name != "MANIFEST.txt" && !strings.Contains(stdout, f.Name) {
			t.Errorf("what is printed does not list %s", f.Name)
		}
		for _, secret := range planted {
			if strings.Contains(strings.ToLower(string(b)), strings.ToLower(secret)) {
				t.Errorf("%s tells %q", f.Name, secret)
			}
		}
	}
	return parts
}

// The bundle of a running collector tells all that a helper needs, and nothing
// of what was planted: in the configuration, the store, the log and the states.
func TestBundleOfRunning(t *testing.T) {
	s, r, config := plant(t)
	// A command that is refused is logged with what it was given.
	if err := copyAnswer(t.Context(), s, "log?level=Ann+Berg", io.Discard); err == nil {
		t.Error("a level that there is not is taken")
	}
	parts := unpacked(t, "--config", config)
	for name, want := range map[string]string{
		"MANIFEST.txt": "heap.pb.gz", "program.txt": "the collector runs on", "configuration.yaml": "client_secret: (set)", "running.yaml": "vendor: jamf_pro",
		"data-folder.txt": "admin-token", "disk.txt": "bytes free for", "backups.json": `"last_backup": null`, "goroutines.txt": "goroutine ",
		"running.json": `"log_level": "INFO"`, "metrics.txt": "rollcall_build_info", "log.txt": `msg="command through the control socket failed" command="log level" error=`, "feeds.json": `"jamf"`,
		"notifications.json": `"ops"`, "records.json": `"observations": {`, "check.txt": "0 records are damaged, 0 can be made anew",
	} {
		if !strings.Contains(parts[name], want) || strings.Contains(parts[name], "NOT WHOLE") {
			t.Errorf("%s lacks %q:\n%.2000s", name, want, parts[name])
		}
	}
	if !strings.HasPrefix(parts["heap.pb.gz"], "\x1f\x8b") {
		t.Error("heap.pb.gz is no profile")
	}
	if strings.Contains(parts["log.txt"], r.token) {
		t.Error("the log tells the administrator's token")
	}
	if code, _, stderr := runLine(t, "support", "bundle", filepath.Join(filepath.Dir(config), "c.yaml"), "--config", config); code == 0 || !strings.Contains(stderr, "is there already") {
		t.Errorf("a file was overwritten: %s", stderr)
	}
	code, stdout, _ := runLine(t, "support", "bundle", "--list", "--config", config)
	if code != 0 || !strings.Contains(stdout, "goroutines.txt") {
		t.Errorf("--list: %d %s", code, stdout)
	}
}

// A collector that is stopped, one whose store is damaged and one whose
// configuration is wrong have bundles that say what is the matter.
func TestBundleOfStoppedAndDamaged(t *testing.T) {
	s, r, config := plant(t)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	parts := unpacked(t, "--config", config)
	if !strings.Contains(parts["program.txt"], "no collector runs on") || !strings.Contains(parts["records.json"], `"people": {`) ||
		!strings.Contains(parts["check.txt"], "0 records are damaged") || parts["log.txt"] != "" {
		t.Errorf("of a stopped collector: %q", parts)
	}
	tables, err := filepath.Glob(filepath.Join(s.DataDir, "store", "badger", "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatalf("no table to damage: %v", err)
	}
	b, err := os.ReadFile(tables[0])
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		b[i] ^= 0x55
	}
	if err := os.WriteFile(tables[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, []byte("data_dir: x\nno_such_key: geheim-feed-9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	parts = unpacked(t, "--config", config, "--data-dir", s.DataDir)
	if !strings.Contains(parts["configuration.yaml"], "refused: ") || !strings.Contains(parts["configuration.yaml"], "no_such_key") {
		t.Errorf("of a wrong configuration: %s", parts["configuration.yaml"])
	}
	for _, name := range []string{"records.json", "check.txt"} {
		if !strings.Contains(parts[name], "NOT WHOLE: ") || !strings.Contains(parts["MANIFEST.txt"], "NOT WHOLE") {
			t.Errorf("%s of a damaged store: %s", name, parts[name])
		}
	}
	if !strings.Contains(parts["data-folder.txt"], ".sst") {
		t.Errorf("the files are not listed: %s", parts["data-folder.txt"])
	}
}

// The level of the log is told and changed, and both that and a profile are
// noted in the log; nothing of it is on the public port.
func TestLogLevelAndProfile(t *testing.T) {
	s := testSettings(t.TempDir())
	var log lockedBuffer
	r := start(t, s, &log)
	args := func(list ...string) []string {
		return append(list, "--data-dir", s.DataDir, "--min-free", "1000000")
	}
	code, stdout, stderr := runLine(t, args("log", "level")...)
	if code != 0 || !strings.Contains(stdout, "from level info on; configured is info") {
		t.Errorf("log level: %d %s %s", code, stdout, stderr)
	}
	code, stdout, stderr = runLine(t, args("log", "level", "debug", "--for", "1h")...)
	if code != 0 || !strings.Contains(stdout, "from level debug on; configured is info") {
		t.Errorf("log level debug: %d %s %s", code, stdout, stderr)
	}
	file := filepath.Join(t.TempDir(), "cpu")
	code, _, stderr = runLine(t, args("profile", "cpu", file, "--seconds", "1")...)
	if b, err := os.ReadFile(file); code != 0 || err != nil || !bytes.HasPrefix(b, []byte("\x1f\x8b")) {
		t.Errorf("profile: %d %s %v", code, stderr, err)
	}
	code, stdout, _ = runLine(t, args("log", "last")...)
	for _, text := range []string{stdout, log.String()} {
		if !regexp.MustCompile(`level=WARN msg="log level changed through the control socket" from=INFO to=DEBUG lasts=1h0m0s`).MatchString(text) ||
			!strings.Contains(text, `msg="profile asked for through the control socket" kind=cpu lasts=1s`) || !strings.Contains(text, "level=DEBUG") || code != 0 {
			t.Errorf("the log does not tell:\n%s", text)
		}
	}
	for _, bad := range [][]string{{"log", "level", "loud"}, {"log", "level", "--for", "1h"}, {"log", "level", "info", "--for", "200h"},
		{"profile", "cpu", file}, {"profile", "trace", file + "2", "--seconds", "31"}, {"profile", "heap", filepath.Join(file, "x")}} {
		if code, _, stderr := runLine(t, args(bad...)...); code == 0 || stderr == "" {
			t.Errorf("%v is taken", bad)
		}
	}
	for _, path := range []string{"/debug/pprof/", "/profile", "/log", "/support/running", "/v1/profile"} {
		if code, _ := get(t, http.DefaultClient, "http://"+r.http.Addr().String()+path, r.token); code != http.StatusNotFound {
			t.Errorf("GET %s answers %d on the public port", path, code)
		}
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := runLine(t, args("log", "level")...); code == 0 || !strings.Contains(stderr, "no collector runs on") {
		t.Errorf("of a stopped collector: %s", stderr)
	}
}

// The log of a collector that is stopped is masked by itself.
func TestSupportMask(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(file, []byte("Nov 25 15:23:06 annberg collector[7]: time=2026-11-25T15:23:06Z level=INFO msg=\"agent enrolled\" hostname=zz-laptop-17\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, stdout, _ := runLine(t, "support", "mask", file); code != 0 || stdout != "time=2026-11-25T15:23:06Z level=INFO msg=\"agent enrolled\" hostname=(withheld)\n" {
		t.Errorf("%d %s", code, stdout)
	}
}

// What the log and the states of feeds say of records is masked by what the store
// knows; where that cannot be asked, all of it is withheld.
func TestFleetTexts(t *testing.T) {
	db := memkv.New()
	defer db.Close()
	st, err := store.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	asset := &pb.Asset{Id: "01a212fe-0000-7000-8000-000000000001", Name: "zz-laptop-17", Class: "laptop", Hardware: &pb.Hardware{Manufacturer: "Dell", Serial: "serial99xk1"},
		Sources: []*pb.AssetSource{{Source: "hr", SourceId: "E-4711-77"}}, Os: &pb.Os{Name: "Debian"}, Owner: &pb.Owner{Department: "Zz Sales"},
		Conflicts: []*pb.Conflict{{Field: "owner.name", Values: []*pb.ConflictValue{{Value: structpb.NewStringValue("Bo Dahl")}}},
			{Field: "os.name", Values: []*pb.ConflictValue{{Value: structpb.NewStringValue("withdrawn")}}}}}
	person := &adminpb.Person{Id: "01a212fe-0000-7000-8000-000000000002", Name: "Ann Berg", Status: "active", Location: &pb.Location{Site: "Bergstrasse 9"}}
	err = st.Update(t.Context(), func(tx *store.Tx) error {
		_, _, err := tx.PutAsset(asset)
		if err == nil {
			_, _, err = tx.PutPerson(person)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	const line = `time=2026-11-25T15:23:06Z level=WARN msg="a pass failed" error="file E-4711-77: zz-laptop-17 of Ann Berg, serial99xk1, Zz Sales, Bo Dahl, at Bergstrasse 9: Dell laptop with Debian is active, withdrawn"` + "\n"
	texts := fleetTexts{logText: line, feedsText: "stream of zz-laptop-17"}
	texts.mask(t.Context(), st, newMasker())
	for _, name := range []string{"4711", "zz", "Ann", "serial99", "Sales", "Dahl", "Bergstrasse"} {
		if strings.Contains(texts[logText]+texts[feedsText], name) {
			t.Errorf("%q is told: %s", name, texts[logText])
		}
	}
	if !strings.Contains(texts[logText], ": Dell laptop with Debian is active, withdrawn") || !strings.HasPrefix(texts[feedsText], "stream of (name-") {
		t.Errorf("too much is masked: %s", texts[logText])
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	texts = fleetTexts{logText: line, feedsText: "stream of zz-laptop-17"}
	texts.mask(ctx, st, newMasker())
	if !strings.Contains(texts[logText], `level=WARN msg="a pass failed"`) || strings.Contains(texts[logText], "error=") || strings.Contains(texts[feedsText], "laptop") {
		t.Errorf("without a store: %q", texts)
	}
}

// lockedBuffer is written by a collector and read by its test.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
