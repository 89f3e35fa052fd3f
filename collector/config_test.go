package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func check(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = execute(append([]string{"config", "check"}, args...), outside{stdout: &out, stderr: &errs, getenv: os.Getenv})
	return out.String(), errs.String(), code
}

func configFile(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "collector.yaml")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// A flag outranks the environment, that the file, and that the default.
func TestPrecedence(t *testing.T) {
	file := configFile(t, "data_dir: /file\nhttp_addr: 127.0.0.1:1\ncheck_in_interval: 1m\ntls_name: [a, b]\nmetrics_public: true\n")
	t.Setenv("ROLLCALL_HTTP_ADDR", "127.0.0.1:2")
	t.Setenv("ROLLCALL_CHECK_IN_INTERVAL", "2m")
	t.Setenv("ROLLCALL_BOOTSTRAP_TOKEN", "a-secret-that-is-not-shown")
	out, errs, code := check(t, "--config", file, "--http-addr", "127.0.0.1:3")
	if code != 0 {
		t.Fatalf("exits with %d: %s", code, errs)
	}
	for _, want := range []string{"data_dir: /file\n", "http_addr: 127.0.0.1:3\n", "check_in_interval: 2m0s\n", "grpc_addr: 127.0.0.1:8471\n",
		"store: badger:/file/store\n", "metrics_public: true\n", "- a\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("lacks %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "not-shown") {
		t.Error("it shows a secret")
	}
	// What is printed is a configuration again.
	if again, errs, code := check(t, "--config", configFile(t, out), "--http-addr", "127.0.0.1:3"); code != 0 || again != out {
		t.Errorf("read again: %s%s", again, errs)
	}
}

func TestBadSettingsAreExplained(t *testing.T) {
	for name, tc := range map[string]struct {
		file string
		args []string
		want []string
	}{
		"unknown key":       {"log_level: info\nhttp_adr: x\n", nil, []string{"line 2", "http_adr"}},
		"wrong type":        {"metrics_public: maybe\n", nil, []string{"line 1", "maybe"}},
		"updates, no key":   {"updates_dir: /srv/updates\n", nil, []string{"update_keys", "keygen"}},
		"a key, no updates": {"update_keys: [x]\n", nil, []string{"updates_dir"}},
		"two documents":     {"log_level: info\n---\nlog_level: info\n", nil, []string{"more than one document"}},
		"open to the world": {"", []string{"--http-addr", ":8470"}, []string{"--http-addr", "TLS", "--http-tls-cert"}},
		"half of TLS":       {"http_tls_cert: x\n", nil, []string{"http_tls_key"}},
		"unknown store":     {"", []string{"--store", "oracle:x"}, []string{"--store", "oracle"}},
		"store without dir": {"", []string{"--store", "badger:"}, []string{"--store"}},
		"level":             {"", []string{"--log-level", "loud"}, []string{"log_level", "loud"}},
		"interval":          {"check_in_interval: 1s\n", nil, []string{"check_in_interval", "10s"}},
		"unknown flag":      {"", []string{"--colour"}, []string{"--colour", "--help"}},
		"no space at all":   {"min_free: 0\n", nil, []string{"min_free"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, errs, code := check(t, append([]string{"--config", configFile(t, tc.file)}, tc.args...)...)
			for _, want := range tc.want {
				if code == 0 || !strings.Contains(errs, want) {
					t.Errorf("exits with %d, want %q: %s", code, want, errs)
				}
			}
		})
	}
	if _, errs, code := check(t, "--config", filepath.Join(t.TempDir(), "none")); code == 0 || !strings.Contains(errs, "none") {
		t.Errorf("a missing file: exits with %d: %s", code, errs)
	}
}

func TestLoopback(t *testing.T) {
	for address, want := range map[string]bool{"127.0.0.1:1": true, "[::1]:1": true, "localhost:1": true, "127.1.2.3:1": true,
		":1": false, "0.0.0.0:1": false, "[::]:1": false, "192.0.2.1:1": false, "example.com:1": false, "127.0.0.1": false} {
		if got := loopback(address); got != want {
			t.Errorf("loopback(%q) = %v", address, got)
		}
	}
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte("data_dir: x\ntls_name: [a]\n"))
	f.Add([]byte("---\n---\n"))
	f.Add([]byte("min_free: -1\ncheck_in_interval: 5m\n"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		_, _ = decodeConfig(b) // an error or settings, and no panic
	})
}
