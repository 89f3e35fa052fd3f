package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestExitCodesAndWhatToDo(t *testing.T) {
	w := newWorld(t)
	viewer := map[string]string{"ROLLCALL_URL": w.url, "ROLLCALL_TOKEN": w.token("viewer")}
	admin := w.env
	foreign := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/moved"):
			http.Redirect(w, r, "https://elsewhere.example.com/", http.StatusFound)
		case strings.HasPrefix(r.URL.Path, "/starting"):
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(`{"code":14,"message":"starting"}`))
		case strings.HasPrefix(r.URL.Path, "/busy"):
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = w.Write([]byte(`{"code":8,"message":"come back later"}`))
		case strings.HasPrefix(r.URL.Path, "/html"):
			_, _ = w.Write([]byte("<html>"))
		default:
			http.NotFound(w, r)
		}
	}))
	defer foreign.Close()
	at := func(url string) map[string]string {
		return map[string]string{"ROLLCALL_URL": url, "ROLLCALL_TOKEN": "rca_x"}
	}
	w.ok("views", "create", "taken")
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for name, tc := range map[string]struct {
		env  map[string]string
		args string
		code int
		want []string
	}{
		"no command":              {admin, "", exitUsage, []string{"--help"}},
		"unknown flag":            {admin, "assets list --colour", exitUsage, []string{"--colour"}},
		"unknown format":          {admin, "assets list -o xml", exitUsage, []string{"xml", "json"}},
		"no kind":                 {admin, "token create", exitUsage, []string{"--kind"}},
		"half a configuration":    {admin, "token create --kind enroll --collector a:1", exitUsage, []string{"--agent-config and --collector go together"}},
		"an API token for agents": {admin, "token create --kind api --role viewer --agent-config x --collector a:1", exitUsage, []string{"--kind enroll"}},
		"agents without a port":   {admin, "token create --kind enroll --agent-config x --collector a.example", exitUsage, []string{"HOST:PORT"}},
		"a configuration nowhere": {admin, "token create --kind enroll --agent-config /nowhere/x --collector a:1", exitError, []string{"/nowhere/x"}},
		"a life of nothing":       {admin, "token create --kind api --expires 0d", exitUsage, []string{"90d"}},
		"a role that is none":     {admin, "token create --kind api --role king", exitUsage, []string{"role"}},
		"no URL":                  {nil, "assets list", exitUsage, []string{"--url", "ROLLCALL_URL", "rollcall login"}},
		"no token":                {map[string]string{"ROLLCALL_URL": w.url}, "assets list", exitUsage, []string{"--token-file", "ROLLCALL_TOKEN", w.url}},
		"not a URL":               {at("localhost:8470"), "assets list", exitUsage, []string{"https://"}},
		"unencrypted":             {at("http://rollcall.example.com"), "assets list", exitUsage, []string{"unencrypted", "https://"}},
		"a token with a line end": {map[string]string{"ROLLCALL_URL": w.url, "ROLLCALL_TOKEN": "rca_\nx"}, "assets list", exitUsage, []string{"one line"}},
		"no such token file":      {admin, "assets list --token-file /no/such/file", exitError, []string{"/no/such/file"}},
		"no such authority":       {admin, "assets list --ca-file ctl_test.go", exitUsage, []string{"--ca-file", "PEM"}},
		"unknown token":           {at(w.url), "assets list", exitUnauthorised, []string{"token", "ROLLCALL_TOKEN"}},
		"too low a role":          {viewer, "token list", exitUnauthorised, []string{"viewer", "admin"}},
		"no asset of that id":     {admin, "assets show 01a21029-a2e1-7e05-b065-fec06c9cf29a", exitNotFound, []string{"assets list"}},
		"no asset of that name":   {admin, "software nobody", exitNotFound, []string{"nobody", "assets list"}},
		"no such token":           {admin, "token revoke nix", exitNotFound, []string{"nix"}},
		"no such agent":           {admin, "agents revoke a/../b --reason lost", exitNotFound, []string{"agent"}},
		"nobody answers":          {at(gone.URL), "assets list", exitUnreachable, []string{gone.URL, "--url", "ROLLCALL_URL", "reachable"}},
		"not ready yet":           {at(foreign.URL + "/starting"), "assets list", exitUnreachable, []string{"starting"}},
		"too much at once":        {at(foreign.URL + "/busy"), "export", exitUnreachable, []string{"later"}},
		"nobody answers a stream": {at(gone.URL), "watch --once", exitUnreachable, []string{gone.URL}},
		"it exists already":       {admin, "views create taken", exitConflict, []string{"taken"}},
		"another server":          {at(foreign.URL), "assets list", exitError, []string{"404", "--url"}},
		"a web page":              {at(foreign.URL + "/html"), "assets list", exitError, []string{"--url"}},
		"a redirect":              {at(foreign.URL + "/moved"), "assets list", exitError, []string{"elsewhere.example.com"}},
		"help":                    {nil, "--help", 0, nil},
		"version needs nothing":   {nil, "version", 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w.env = tc.env
			out, errs, code := w.call(strings.Fields(tc.args)...)
			if code != tc.code || (code != 0) != (errs != "") || (code != 0 && out != "") || strings.Count(errs, "\n") > 1 {
				t.Errorf("exits with %d, want %d; prints %q and says %s", code, tc.code, out, errs)
			}
			for _, want := range tc.want {
				if !strings.Contains(errs, want) {
					t.Errorf("does not mention %q: %s", want, errs)
				}
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.env = admin
	if _, errs, code := w.callIn(ctx, "assets", "list"); code != exitInterrupted || !strings.Contains(errs, "interrupted") {
		t.Errorf("interrupted, it exits with %d: %s", code, errs)
	}
}

func TestLogin(t *testing.T) {
	w := newWorld(t)
	file, saved := filepath.Join(t.TempDir(), "token"), filepath.Join(w.config, "rollcall", "config.yaml")
	must(t, os.WriteFile(file, []byte(w.env["ROLLCALL_TOKEN"]+"\n"), 0o600))
	token := w.env["ROLLCALL_TOKEN"]
	w.env = nil

	wrong := filepath.Join(t.TempDir(), "wrong")
	must(t, os.WriteFile(wrong, []byte("rca_wrong"), 0o600))
	if _, errs, code := w.call("login", "--url", w.url, "--token-file", wrong); code != exitUnauthorised || !strings.Contains(errs, "nothing is saved") {
		t.Errorf("with a wrong token login exits with %d: %s", code, errs)
	}
	if _, err := os.Stat(saved); !os.IsNotExist(err) {
		t.Errorf("a failed login saved something: %v", err)
	}
	w.ok("login", "--url", w.url+"/", "--token-file", file)
	info, err := os.Stat(saved)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the token is saved with mode %v", info.Mode())
	}
	w.ok("assets", "list", "-o", "json")
	w.stdin = token
	w.ok("login", "--url", w.url, "--token-file", "-")
	w.ok("token", "list")

	// A saved token is for the collector that it was saved for.
	thief := newWorld(t)
	w.env = map[string]string{"ROLLCALL_URL": thief.url}
	if _, errs, code := w.call("assets", "list"); code != exitUsage || thief.asked != 0 {
		t.Errorf("for another collector it exits with %d after %d requests: %s", code, thief.asked, errs)
	}
	w.env = nil
	must(t, os.WriteFile(saved, []byte("uri: x\n"), 0o600))
	if _, errs, code := w.call("assets", "list"); code != exitError || !strings.Contains(errs, saved) || !strings.Contains(errs, "login again") {
		t.Errorf("with broken settings it exits with %d: %s", code, errs)
	}
}

func TestWidthIsThatOfTheTerminal(t *testing.T) {
	tab := &table{columns: []column{{"A", 4, 0}, {"B", 0, 1}}}
	tab.add("日本語テキスト", "x")
	tab.add("é́é", "")
	for columns, want := range map[int]string{
		0: "A               B\n日本語テキスト  x\né́é              -\n",
		9: "A       B\n日本…   x\né́é      -\n",
		4: "A\n日…\né́é\n",
	} {
		var b strings.Builder
		tab.write(&b, screen{columns: columns})
		if diff := cmp.Diff(want, b.String()); diff != "" {
			t.Errorf("%d columns (-want +got):\n%s", columns, diff)
		}
	}
}

func TestSize(t *testing.T) {
	for bytes, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 16 << 30: "16 GiB", 512e9: "477 GiB", 1<<63 - 1: "8 EiB", -2048: "-2 KiB"} {
		if got := size(&bytes); got != want {
			t.Errorf("%d bytes are %q, want %q", bytes, got, want)
		}
	}
}
