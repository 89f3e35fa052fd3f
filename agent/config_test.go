package main

import (
	"bytes"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/rollcall-itam/rollcall/agent/service"
)

// call runs one command line of the program.
func call(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = execute(args, outside{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, getenv: os.Getenv})
	return out.String(), errs.String(), code
}

// file writes a file of the test.
func file(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "agent.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// effective is what `config check` prints.
func effective(t *testing.T, args ...string) map[string]string {
	t.Helper()
	out, errs, code := call(t, append([]string{"config", "check"}, args...)...)
	if code != 0 {
		t.Fatalf("config check %v exits with %d: %s", args, code, errs)
	}
	var m map[string]string
	if err := yaml.Unmarshal([]byte(out), &m); err != nil {
		t.Fatalf("%v in:\n%s", err, out)
	}
	return m
}

// settingsKeys are a value that the file, the environment and a flag give to
// each setting, and what they hide.
var settingsKeys = []struct{ key, file, env, flag, byDefault string }{
	{"collector", "file.example:1", "env.example:1", "flag.example:1", ""},
	{"ca_pin", pin("a"), pin("b"), pin("c"), ""},
	{"token_file", "/file", "/env", "/flag", ""},
	{"state_dir", "/file", "/env", "/flag", defaultStateDir(runtime.GOOS, os.Getenv)},
	{"check_in_interval", "1m0s", "2m0s", "3m0s", "5m0s"},
	{"inventory_interval", "1m0s", "2m0s", "3m0s", "1h0m0s"},
	{"proxy", "http://file:1", "http://env:1", "http://flag:1", ""},
	{"memory_limit_mib", "24", "100", "1024", "48"},
	{"log_level", "debug", "warn", "error", "info"},
	{"log_format", "json", "text", "json", "text"},
	{"log_file", "/file", "none", "/flag", ""},
	{"log_file_mib", "1", "2", "1024", "5"},
	{"log_file_keep", "1", "2", "100", "3"},
	{"byod", "true", "false", "true", "false"},
	{"privacy_key_file", "/file", "/env", "/flag", ""},
	{"update_health_timeout", "1m0s", "2m0s", "3m0s", "15m0s"},
}

func pin(digit string) string { return "sha256:" + strings.Repeat(digit, 64) }

func TestFlagsOutrankTheEnvironmentThatOutranksTheFile(t *testing.T) {
	for _, k := range settingsKeys {
		t.Run(k.key, func(t *testing.T) {
			empty, full := file(t, ""), file(t, k.key+": "+k.file+"\n")
			want := func(want string, args ...string) {
				t.Helper()
				if got := effective(t, args...)[k.key]; got != want {
					t.Errorf("%s with %v is %q, want %q", k.key, args, got, want)
				}
			}
			flag := "--" + strings.ReplaceAll(k.key, "_", "-") + "=" + k.flag
			want(k.byDefault, "--config", empty)
			want(k.file, "--config", full)
			want(k.flag, "--config", full, flag)
			t.Setenv("ROLLCALL_AGENT_"+strings.ToUpper(k.key), k.env)
			want(k.env, "--config", empty)
			want(k.env, "--config", full)
			want(k.flag, "--config", full, flag)
		})
	}
}

func TestEverySettingIsCovered(t *testing.T) {
	got := effective(t, "--config", file(t, ""))
	delete(got, "ca_file")     // excludes ca_pin, and has to exist
	delete(got, "self_update") // needs update_keys
	for _, k := range settingsKeys {
		delete(got, k.key)
	}
	if len(got) > 0 {
		t.Errorf("settings without a test of their precedence: %v", got)
	}
}

func TestConfigurationFileCanBeNamedByTheEnvironment(t *testing.T) {
	t.Setenv("ROLLCALL_AGENT_CONFIG", file(t, "collector: env.example:1\n"))
	if got := effective(t)["collector"]; got != "env.example:1" {
		t.Errorf("collector is %q", got)
	}
}

// What is printed can be used as a configuration again.
func TestPrintedConfigurationIsAConfiguration(t *testing.T) {
	first := effective(t, "--config", file(t, "collector: a.example:8471\ncheck_in_interval: 90s\nproxy: direct\n"))
	out, _, _ := call(t, "config", "check", "--config", file(t, "collector: a.example:8471\ncheck_in_interval: 90s\nproxy: direct\n"))
	if diff := cmp.Diff(first, effective(t, "--config", file(t, out))); diff != "" {
		t.Errorf("(-first +second):\n%s", diff)
	}
}

func TestConfigCheckMasksSecrets(t *testing.T) {
	out, errs, code := call(t, "config", "check", "--config", file(t, "proxy: http://ann:hunter2@proxy.example:3128\n"))
	if code != 0 || strings.Contains(out+errs, "hunter2") || !strings.Contains(out, "ann:xxxxx@proxy.example") {
		t.Errorf("exits with %d:\n%s%s", code, out, errs)
	}
	for _, bad := range []string{"http://ann:hunter 2@proxy.example:3128", "socks5://ann:hunter2@proxy", "ann:hunter2@proxy"} {
		out, errs, code := call(t, "config", "check", "--config", file(t, ""), "--proxy", bad)
		if code == 0 || strings.Contains(out+errs, "hunter") || !strings.Contains(errs, "proxy: want http://") {
			t.Errorf("proxy %s exits with %d:\n%s%s", bad, code, out, errs)
		}
	}
}

// A token in the configuration is good, is not shown, and is its owner's alone.
func TestTokenInTheConfiguration(t *testing.T) {
	secret := "rce_abcdefgh_" + strings.Repeat("A", 43)
	config := file(t, "token: "+secret+"\n")
	out, errs, code := call(t, "config", "check", "--config", config)
	if code != 0 || strings.Contains(out+errs, secret) || !strings.Contains(out, "token: (set)") {
		t.Errorf("exits with %d:\n%s%s", code, out, errs)
	}
	s, err := configFlags{Config: config}.settings()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.token(nil)(); err != nil || got.Secret != secret {
		t.Errorf("the token is %q: %v", got.Secret, err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	if err := os.Chmod(config, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, errs, code := call(t, "config", "check", "--config", config); code == 0 || !strings.Contains(errs, "chmod 600 "+config) {
		t.Errorf("one that others can read: exits with %d: %s", code, errs)
	}
}

// A device that forgot who it is holds nothing of it, and one whose agent runs
// does not forget.
func TestReset(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"identity.json", "pending.json", "status.json", "reported.json"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	unlock, err := service.Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, errs, code := call(t, "reset", "--state-dir", dir); code == 0 || !strings.Contains(errs, "stop it first") {
		t.Errorf("under a running agent: exits with %d: %s", code, errs)
	}
	unlock()
	for range 2 { // a second time there is nothing to forget
		if out, errs, code := call(t, "reset", "--state-dir", dir); code != 0 || !strings.Contains(out, "no identity") {
			t.Errorf("exits with %d: %s%s", code, out, errs)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(left) > 0 {
		t.Errorf("left: %v %v", left, err)
	}
}

func TestConfigErrorsSayWhereAndWhat(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"unknown key":            {"collector: a:1\n\ncolector: b:1\n", []string{"line 3", "colector", "unknown"}},
		"key twice":              {"proxy: direct\nproxy: direct\n", []string{"line 2", "proxy"}},
		"not a duration":         {"collector: a:1\ncheck_in_interval: often\n", []string{"line 2", "often"}},
		"a number for a time":    {"check_in_interval: 5\n", []string{"line 1", "such as 5m"}},
		"too little memory":      {"memory_limit_mib: 23\n", []string{"memory_limit_mib 23", "24 to 1024"}},
		"too much memory":        {"memory_limit_mib: 1025\n", []string{"memory_limit_mib 1025", "24 to 1024"}},
		"log file somewhere":     {"log_file: agent.log\n", []string{"log_file \"agent.log\"", "absolute path", "none"}},
		"no log size":            {"log_file_mib: 0\n", []string{"log_file_mib 0", "1 to 1024"}},
		"no logs kept":           {"log_file_keep: 0\n", []string{"log_file_keep 0", "1 to 100"}},
		"too often":              {"check_in_interval: 9s\n", []string{"check_in_interval 9s", "10s"}},
		"too seldom":             {"inventory_interval: 25h\n", []string{"inventory_interval 25h", "24h"}},
		"a list":                 {"- collector\n", []string{"line 1", "into settings"}},
		"two documents":          {"proxy: direct\n---\nproxy: direct\n", []string{"more than one document"}},
		"log level":              {"log_level: loud\n", []string{"loud", "debug, info, warn or error"}},
		"log format":             {"log_format: xml\n", []string{"xml", "text or json"}},
		"pin":                    {"ca_pin: sha256:12\n", []string{"sha256"}},
		"pin and file":           {"ca_pin: " + pin("a") + "\nca_file: ca.pem\n", []string{"ca_file or ca_pin, not both"}},
		"token and file":         {"token: rce_x\ntoken_file: /t\n", []string{"token or token_file, not both"}},
		"CA file that is not":    {"ca_file: /nowhere/ca.pem\n", []string{"/nowhere/ca.pem"}},
		"collector without host": {"collector: :8471\n", []string{"collector", "HOST:PORT"}},
		"collector without port": {"collector: a.example\n", []string{"a.example", "HOST:PORT"}},
		"collector is a URL":     {"collector: https://a.example\n", []string{"a.example", "HOST:PORT"}},
		"collector with path":    {"collector: a.example:8471/x\n", []string{"a.example", "HOST:PORT"}},
		"port out of range":      {"collector: a.example:65536\n", []string{"a.example", "HOST:PORT"}},
		"too large":              {"#" + strings.Repeat("x", maxConfigBytes), []string{"larger than 1048576 bytes"}},
	} {
		t.Run(name, func(t *testing.T) {
			config := file(t, tc.text)
			out, errs, code := call(t, "config", "check", "--config", config)
			for _, want := range tc.want {
				if code == 0 || !strings.Contains(errs, want) {
					t.Errorf("exits with %d, want an error that mentions %q:\n%s%s", code, want, out, errs)
				}
			}
			if strings.Contains(errs, "main.") {
				t.Errorf("the error names a type of the program: %s", errs)
			}
		})
	}
	if _, errs, code := call(t, "config", "check", "--config", "/nowhere/agent.yaml"); code == 0 || !strings.Contains(errs, "/nowhere/agent.yaml") {
		t.Errorf("a named file that is missing: exits with %d: %s", code, errs)
	}
}

func TestDefaultPlacesOfEachSystem(t *testing.T) {
	getenv := func(name string) string { return map[string]string{"ProgramData": "PD"}[name] }
	for goos, want := range map[string][2]string{
		"linux":   {"/etc/rollcall/agent.yaml", "/var/lib/rollcall-agent"},
		"darwin":  {"/Library/Application Support/Rollcall/agent.yaml", "/Library/Application Support/Rollcall/agent"},
		"windows": {filepath.Join("PD", "Rollcall", "agent.yaml"), filepath.Join("PD", "Rollcall", "agent")},
	} {
		if got := [2]string{defaultConfig(goos, getenv), defaultStateDir(goos, getenv)}; got != want {
			t.Errorf("%s: %q, want %q", goos, got, want)
		}
	}
}

// FuzzConfig: whatever stands in a configuration, reading it does not panic,
// what is accepted is within bounds, and a password is never shown.
func FuzzConfig(f *testing.F) {
	for _, s := range []string{
		"", "collector: a:1\n", "unknown: 1\n", "check_in_interval: 1m\ninventory_interval: 2h\n", "proxy: http://u:p@h:1\n", "proxy: null\n",
		"a: &a [*a]\n", "log_level: DEBUG+3\n", "- 1\n", "---\n---\n", "ca_pin: " + pin("0") + "\n", "\x00", "? collector\n", "<<: {proxy: direct}\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := decodeConfig(b)
		if err != nil {
			return
		}
		s, err := join(layer{}, l)
		if err != nil {
			return
		}
		for _, d := range []time.Duration{s.CheckInInterval, s.InventoryInterval} {
			if d < minInterval || d > maxInterval {
				t.Errorf("interval of %s is out of bounds", d)
			}
		}
		if u, err := url.Parse(s.Proxy); err == nil && u.User != nil {
			if was, _ := u.User.Password(); was != "" && was != "xxxxx" && strings.Contains(s.masked().Proxy, ":"+was+"@") {
				t.Errorf("the password is shown: %s", s.masked().Proxy)
			}
		}
		if _, err := yaml.Marshal(s.masked()); err != nil {
			t.Errorf("accepted settings cannot be printed: %v", err)
		}
	})
}
