package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-itam/rollcall/collector/backup"
)

// call asks a running collector as its administrator.
func (r *running) call(t *testing.T, method, path, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+r.http.Addr().String()+path, strings.NewReader(body))
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
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func (r *running) must(t *testing.T, method, path, body string) string {
	t.Helper()
	code, said := r.call(t, method, path, body)
	if code != 200 {
		t.Fatalf("%s %s answers %d: %s", method, path, code, said)
	}
	return said
}

// Nobody who was erased comes back with an older backup: those whom newer backups
// know of, those whom only the data folder does that is put aside, and those whom a
// copy of its file names. Who was taken in again since stays taken in, and what was
// erased stays erased.
func TestRestoreErasesAgain(t *testing.T) {
	dir, backups := t.TempDir(), t.TempDir()
	r := start(t, testSettings(dir), io.Discard)
	r.must(t, "PUT", "/v1/sources/okta", `{"kind":"idp"}`)
	r.must(t, "PUT", "/v1/sources/jamf", `{"kind":"mdm"}`)
	at := time.Now().UTC().Format(time.RFC3339)
	var lines []string
	for _, who := range []string{"ann", "bob", "cid"} {
		lines = append(lines, `{"source":"okta","source_id":"`+who+`","observed_at":"`+at+`","person":{"name":"`+who+` Berg","emails":["`+who+`@example.com"]}}`,
			`{"source":"jamf","source_id":"m-`+who+`","observed_at":"`+at+`","device":{"name":"MBP","hardware":{"manufacturer":"Apple","serial":"C02AAAAA`+strings.ToUpper(who)+`1"},"owner":{"email":"`+who+`@example.com"}}}`)
	}
	said := r.must(t, "POST", "/v1/observations", strings.Join(lines, "\n"))
	if strings.Contains(said, `"error":"`) {
		t.Fatal(said)
	}
	save := func() {
		t.Helper()
		if out, errs, code := runCommand(t, "backup", "--data-dir", dir, "--min-free", "1000000", "--try", "read", backups); code != 0 {
			t.Fatalf("backup: %d %s%s", code, out, errs)
		}
	}
	erase := func(who string) (id string) {
		t.Helper()
		var e struct{ ID string }
		if err := json.Unmarshal([]byte(r.must(t, "POST", "/v1/people/"+who+"@example.com:erase", `{"reason":"request 17"}`)), &e); err != nil {
			t.Fatal(err)
		}
		return e.ID
	}
	save()
	erase("ann")
	cid := erase("cid")
	save()
	erase("bob")
	r.must(t, "DELETE", "/v1/erasures/"+cid, "")
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(t.TempDir(), "kept.jsonl")
	content, err := os.ReadFile(filepath.Join(dir, erasuresName))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(strings.ToLower(string(content)), "example.com") {
		t.Errorf("the list names people: %s", content)
	}
	// A last line that is not whole is no reason to do without the others.
	if err := os.WriteFile(list, append(content, `{"id":"torn`...), 0o600); err != nil {
		t.Fatal(err)
	}
	folder, err := backup.OpenFolder(backups)
	if err != nil {
		t.Fatal(err)
	}
	all, err := folder.Archives()
	if err != nil || len(all) != 2 {
		t.Fatalf("%d backups, %v", len(all), err)
	}
	for _, c := range []struct {
		name, dir string
		args      []string
		says      string
		gone      []string
	}{
		{"into a new folder", t.TempDir(), nil, "restore again with --erasures", []string{"ann", "cid"}},
		{"with the list", t.TempDir(), []string{"--erasures", list}, "After this backup 3 people were erased", []string{"ann", "bob", "cid"}},
		{"in the old place", dir, []string{"--replace"}, "After this backup 3 people were erased", []string{"ann", "bob", "cid"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, errs, code := runCommand(t, append([]string{"restore", "--min-free", "1000000", "--data-dir", c.dir, all[0].Path}, c.args...)...)
			if code != 0 || !strings.Contains(out, c.says) || strings.Contains(out, "restore again") != (len(c.args) == 0) {
				t.Fatalf("restore: %d %s%s", code, out, errs)
			}
			again := start(t, testSettings(c.dir), io.Discard)
			token, err := os.ReadFile(filepath.Join(c.dir, "admin-token"))
			if err != nil {
				t.Fatal(err)
			}
			again.token = strings.TrimSpace(string(token))
			people, assets := again.must(t, "GET", "/v1/people", ""), again.must(t, "GET", "/v1/assets", "")
			for _, who := range []string{"ann", "bob", "cid"} {
				gone := false
				for _, g := range c.gone {
					gone = gone || g == who
				}
				if there := strings.Contains(people+assets, who+"@example.com"); there == gone {
					t.Errorf("%s is there: %v", who, there)
				}
			}
			taken := again.must(t, "POST", "/v1/observations", lines[0]+"\n"+lines[4])
			if !strings.Contains(taken, "was erased") {
				t.Errorf("ann is taken in again: %s", taken)
			}
			if len(c.args) > 0 && !strings.Contains(again.must(t, "GET", "/v1/people", ""), "cid@example.com") {
				t.Error("cid, who was taken in again, is not")
			}
			if err := again.stop(); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(filepath.Join(c.dir, eraseAgainName)); err == nil {
				t.Error("what is to be done is still noted")
			}
		})
	}
}

func TestAListOfErasuresThatIsNone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "list")
	for content, want := range map[string]string{
		"nonsense\n":                                    "line 1",
		`{"id":"1","marks":["zz"]}` + "\n":              "a mark that is none",
		`{"marks":[]}` + "\n":                           "line 1",
		`{"id":"1"}` + "\n" + `{"id":2}` + "\n":         "line 2",
		`{"id":"1","at":"2026-11-25T10:00:00Z"}` + "\n": "",
		// An editor may have left out the end of the last line.
		`{"id":"1"}` + "\n" + `{"id":"2"}`:         "",
		`{"id":"1"}` + "\n" + `nonsense{`:          "",
		strings.Repeat("x", maxErasureLine) + "\n": "line 1",
	} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		var l erasureList
		err := l.readErasures(file)
		if err == nil && len(l.ids) != strings.Count(content, `"id"`) {
			t.Errorf("%q: %v were read", content, l.ids)
		}
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%.100q: %v, want %q", content, err, want)
		}
	}
}
