package main

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
)

func TestBadPrecedenceIsExplained(t *testing.T) {
	for name, tc := range map[string]struct {
		file string
		want []string
	}{
		"unknown field":  {"precedence:\n  os:\n    pick: newest\n  ownr:\n    pick: newest\n", []string{"line 4", `"ownr"`, "did you mean owner?"}},
		"unknown kind":   {"precedence:\n  owner:\n    order: [operator, mdn]\n", []string{"line 3", "precedence.owner.order", `"mdn"`, "did you mean mdm?", "source:mdn"}},
		"kind twice":     {"precedence:\n  owner:\n    order:\n      - mdm\n      - mdm\n", []string{"line 5", "mdm twice"}},
		"field twice":    {"precedence:\n  owner:\n    pick: rank\n  owner:\n    pick: rank\n", []string{"line 4", "precedence.owner is there twice"}},
		"key twice":      {"precedence:\n  owner:\n    pick: rank\n    pick: rank\n", []string{"line 4", "precedence.owner.pick is there twice"}},
		"unknown key":    {"precedence:\n  owner:\n    ordr: [mdm]\n", []string{"line 3", "precedence.owner.ordr is unknown", "order, stale_after or pick"}},
		"no age":         {"precedence:\n  owner:\n    stale_after: soon\n", []string{"line 3", `"soon" is no age`, "30d"}},
		"a negative age": {"precedence:\n  owner:\n    stale_after: -3d\n", []string{"line 3", "no age"}},
		"no way to pick": {"precedence:\n  owner:\n    pick: best\n", []string{"line 3", "want rank or newest"}},
		"order no list":  {"precedence:\n  owner:\n    order: mdm\n", []string{"line 3", "want a list"}},
		"a list":         {"precedence: [owner]\n", []string{"line 1", "want keys and values"}},
		"says nothing":   {"precedence:\n  owner: {}\n", []string{"line 2", "says nothing"}},
	} {
		out, errs, code := check(t, "--config", configFile(t, tc.file))
		if code != 1 || out != "" {
			t.Errorf("%s: exits with %d and prints %q", name, code, out)
		}
		for _, want := range tc.want {
			if !strings.Contains(errs, want) {
				t.Errorf("%s: %q lacks %q", name, errs, want)
			}
		}
	}
}

func TestPrecedenceIsPrintedAsItIsRead(t *testing.T) {
	file := "precedence:\n    default:\n        stale_after: never\n    os:\n        stale_after: 14d\n    owner:\n        order:\n            - operator\n            - source:hr\n        pick: newest\n"
	out, errs, code := check(t, "--config", configFile(t, file))
	if code != 0 || !strings.Contains(out, file) {
		t.Errorf("exits with %d: %s\n%s", code, errs, out)
	}
}

// A changed precedence tells beforehand what it alters, and says so where a
// collector runs on the store.
func TestPrecedenceCheck(t *testing.T) {
	dir := t.TempDir()
	r := start(t, testSettings(dir), io.Discard)
	url := "http://" + r.http.Addr().String()
	push := func(method, path, body string) {
		t.Helper()
		req, err := http.NewRequest(method, url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+r.token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK || bytes.Contains(b, []byte(`"error"`)) {
			t.Fatalf("%s %s answers %d: %s %v", method, path, resp.StatusCode, b, err)
		}
	}
	push("PUT", "/v1/sources/jamf", `{"kind": "mdm"}`)
	push("PUT", "/v1/sources/hr", `{"kind": "file"}`)
	push("POST", "/v1/observations", `{"source":"jamf","source_id":"1","observed_at":"2026-11-20T10:00:00Z","device":{"name":"ann-mbp","hardware":{"serial":"C02FQ1A2MD6T"},"owner":{"email":"ann@example.com"}}}
{"source":"hr","source_id":"1","observed_at":"2026-11-20T10:00:00Z","device":{"hardware":{"serial":"C02FQ1A2MD6T"},"owner":{"email":"bob@example.com"}}}
`)
	config := configFile(t, "precedence:\n  owner:\n    order: [operator, source:hr, source:sap]\n")
	precedenceCheck := func() (string, string, int) {
		var out, errs bytes.Buffer
		code := execute([]string{"precedence", "check", "--data-dir", dir, "--min-free", "1048576", "--config", config},
			outside{stdout: &out, stderr: &errs, getenv: os.Getenv})
		return out.String(), errs.String(), code
	}
	if _, errs, code := precedenceCheck(); code != 1 || !strings.Contains(errs, "stop the collector first") {
		t.Errorf("beside a running collector it exits with %d: %s", code, errs)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	out, errs, code := precedenceCheck()
	if code != 0 {
		t.Fatalf("exits with %d: %s", code, errs)
	}
	for _, want := range []string{"ann-mbp\n", `owner.email: "ann@example.com" (jamf/1) -> "bob@example.com" (hr/1)`, "1 of 1 assets would be altered", "nothing was changed"} {
		if !strings.Contains(out, want) {
			t.Errorf("it lacks %q:\n%s", want, out)
		}
	}
	if !strings.Contains(errs, "source:sap") || strings.Contains(errs, "source:hr,") {
		t.Errorf("it warns of %q", errs)
	}
	again, _, _ := precedenceCheck()
	if again != out {
		t.Errorf("asked again it tells something else:\n%s", again)
	}
}

func TestBadExpiryIsExplained(t *testing.T) {
	for file, want := range map[string]string{
		"expiry:\n  - class: [notebook]\n    after: 3d\n":          `expiry: rule 1: there is no class "notebook"`,
		"expiry:\n  - after: 3d\n  - after: later\n":               `expiry: rule 2: after: "later" is no age`,
		"expiry:\n  - {class: [laptop], aftr: 3d}\n":               "line 2",
		"expiry:\n  - {class: [laptop], after: 3d, stage: gone}\n": `stage "gone": want retired or missing`,
	} {
		if _, errs, code := check(t, "--config", configFile(t, file)); code != 1 || !strings.Contains(errs, want) {
			t.Errorf("%q: exits with %d and says %q, want %q", file, code, errs, want)
		}
	}
}
