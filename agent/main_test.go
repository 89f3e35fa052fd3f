package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/rollcall-itam/rollcall/agent/service"
)

// programEnv makes the test's binary the agent's, for what ends a process.
const programEnv = "ROLLCALL_TEST_IS_THE_AGENT"

func TestMain(m *testing.M) {
	if os.Getenv(programEnv) != "" {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

func TestVersion(t *testing.T) {
	out, errs, code := call(t, "version")
	if code != 0 || errs != "" || !regexp.MustCompile(`^rollcall-agent \S+\n$`).MatchString(out) {
		t.Errorf("version exits with %d: %q %q", code, out, errs)
	}
}

func TestCollectHasThePromisedKeys(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("no facts are learnt on this system")
	}
	out, errs, code := call(t, "collect", "-o", "json")
	var o map[string]json.RawMessage
	if err := json.Unmarshal([]byte(out), &o); code != 0 || err != nil {
		t.Fatalf("collect exits with %d, %v: %s%s", code, err, out, errs)
	}
	for _, key := range []string{"source", "source_id", "observed_at", "device", "sections"} {
		if len(o[key]) == 0 {
			t.Errorf("no key %q", key)
		}
		delete(o, key)
	}
	delete(o, "problems") // on a machine that shows all there are none
	if len(o) > 0 {
		t.Errorf("more keys than promised: %v", o)
	}
	if !strings.HasPrefix(out, "{\n  \"source\": \"agent\",\n  \"source_id\": \"") {
		t.Errorf("the JSON begins with %.80q", out)
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	state, empty := t.TempDir(), file(t, "")
	run := []string{"run", "--once", "--config", empty, "--state-dir", state}
	used := t.TempDir()
	unlock, err := service.Lock(used)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, "identity.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"no command":       {nil, "--help"},
		"unknown command":  {[]string{"walk"}, "--help"},
		"unknown flag":     {append(run, "--bogus"), "--bogus"},
		"format":           {[]string{"collect", "-o", "xml"}, `"json"`},
		"not a duration":   {append(run, "--check-in-interval", "soon"), "soon"},
		"no collector":     {run, "set --collector HOST:8471"},
		"collector":        {append(run, "--collector", "http://a b"), "collector"},
		"no token":         {append(run, "--collector", "127.0.0.1:1"), "--token-file"},
		"no token file":    {append(run, "--collector", "127.0.0.1:1", "--token-file", "/nowhere/token"), "/nowhere/token"},
		"no CA file":       {append(run, "--collector", "127.0.0.1:1", "--ca-file", "/nowhere/ca.pem"), "/nowhere/ca.pem"},
		"CA file is none":  {append(run, "--collector", "127.0.0.1:1", "--ca-file", empty), empty},
		"folder is a file": {append(run, "--collector", "127.0.0.1:1", "--state-dir", empty), empty},
		"folder in use":    {append(run, "--collector", "127.0.0.1:1", "--state-dir", used), "another agent"},
		"install without":  {[]string{"install", "--config", empty}, "add collector: HOST:8471"},
		"status of broken": {[]string{"status", "--state-dir", broken}, "identity"},
	} {
		t.Run(name, func(t *testing.T) {
			if out, errs, code := call(t, tc.args...); code == 0 || !strings.Contains(errs, tc.want) {
				t.Errorf("exits with %d, want an error that mentions %q:\n%s%s", code, tc.want, out, errs)
			}
		})
	}
}

func TestStatusOfAnAgentThatNeverRan(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	out, errs, code := call(t, "status", "--state-dir", dir)
	if code != 0 || errs != "" {
		t.Fatalf("status exits with %d: %s", code, errs)
	}
	for _, want := range []string{dir, "enrolled      no", "last contact  never"} {
		if !strings.Contains(out, want) {
			t.Errorf("status lacks %q:\n%s", want, out)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("status made the folder: %v", err)
	}
}

// agentProcess is the program in a process of its own.
type agentProcess struct {
	*exec.Cmd
	stderr bytes.Buffer
	lines  *bufio.Reader
}

// start runs the program against a collector that is reached at addr.
func start(t *testing.T, addr string, more ...string) *agentProcess {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("signals and priorities are read as on Linux")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("rce_abcdefgh_"+strings.Repeat("A", 43)), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"run", "--config", file(t, ""), "--collector", addr, "--proxy", "direct", "--ca-pin", pin("a"), "--token-file", token, "--state-dir", t.TempDir()}
	p := &agentProcess{Cmd: exec.CommandContext(t.Context(), self, append(args, more...)...)}
	p.Env = append(os.Environ(), programEnv+"=1")
	r, err := p.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	p.lines = bufio.NewReader(io.TeeReader(r, &p.stderr))
	return p
}

// says waits until the program wrote a line with a text.
func (p *agentProcess) says(t *testing.T, text string) {
	t.Helper()
	for {
		line, err := p.lines.ReadString('\n')
		if err != nil {
			t.Fatalf("%v before it said %q:\n%s", err, text, p.stderr.String())
		}
		if strings.Contains(line, text) {
			return
		}
	}
}

// terminate tells the program to stop and returns its exit code and what it
// wrote.
func (p *agentProcess) terminate(t *testing.T) (int, string) {
	t.Helper()
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, p.lines)
	var exit *exec.ExitError
	if err := p.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return p.ProcessState.ExitCode(), p.stderr.String()
}

func TestSIGTERMEndsTheAgentWell(t *testing.T) {
	for name, args := range map[string][]string{"alone": nil, "as a service": {"--service"}} {
		t.Run(name, func(t *testing.T) {
			p := start(t, "127.0.0.1:1", args...)
			p.says(t, "not reported")
			stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Process.Pid))
			if err != nil {
				t.Fatal(err)
			}
			// proc(5): nice is field 19, counted from 1; the second, in brackets,
			// may hold spaces.
			if f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')'):])); f[17] != "10" {
				t.Errorf("nice is %s, want 10", f[17])
			}
			from := time.Now()
			if code, errs := p.terminate(t); code != 0 || !strings.Contains(errs, "agent stopped") {
				t.Errorf("exits with %d:\n%s", code, errs)
			}
			if took := time.Since(from); took > 5*time.Second {
				t.Errorf("it took %s to stop", took)
			}
		})
	}
}

// --once promises that the report was acknowledged, so being stopped before is
// a failure.
func TestSIGTERMBeforeTheAcknowledgementFailsOnce(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := start(t, l.Addr().String(), "--once")
	conn, err := l.Accept() // and never answer
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if code, errs := p.terminate(t); code == 0 || !strings.Contains(errs, "stopped before the collector acknowledged") {
		t.Errorf("exits with %d:\n%s", code, errs)
	}
}

func TestTokenOfStandardInputIsReadOnce(t *testing.T) {
	text := "rce_abcdefgh_" + strings.Repeat("A", 43)
	read := tokenReader("-", strings.NewReader(text+"\n"))
	first, err := read()
	if err != nil {
		t.Fatal(err)
	}
	second, err := read()
	if err != nil || second != first {
		t.Errorf("the second time: %v, the same is %v", err, second == first)
	}
}

// A token file is read each time, since an administrator may replace it.
func TestTokenFileIsReadEachTime(t *testing.T) {
	name := filepath.Join(t.TempDir(), "token")
	read := tokenReader(name, nil)
	if _, err := read(); err == nil || !strings.Contains(err.Error(), name) {
		t.Errorf("without a file: %v", err)
	}
	if err := os.WriteFile(name, []byte("rce_abcdefgh_"+strings.Repeat("A", 43)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := read(); err != nil {
		t.Errorf("after the file came: %v", err)
	}
}

func TestLoggerObeysTheSettings(t *testing.T) {
	var b bytes.Buffer
	s, err := join(layer{}, layer{LogFormat: new("json"), LogLevel: new("warn")})
	if err != nil {
		t.Fatal(err)
	}
	log := newLogger(&b, s)
	log.Info("hidden")
	log.Warn("shown", "n", 1)
	var got map[string]any
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatalf("%v in %s", err, b.String())
	}
	delete(got, "time")
	if diff := cmp.Diff(map[string]any{"level": "WARN", "msg": "shown", "n": 1.0}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
