package main

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The program as a process: what it exits with, and what it writes where.
func TestProcess(t *testing.T) {
	w := newWorld(t)
	w.report("ann-thinkpad.example.com", laptop("PF3ABCDE"))
	dir := program(t)
	run := func(env []string, args ...string) (out, errs string, code int) {
		t.Helper()
		if args[0] == "rollcall" {
			args[0] = filepath.Join(dir, "rollcall")
		}
		cmd := w.process(dir, args...)
		cmd.Env = append(cmd.Env, env...)
		var e strings.Builder
		cmd.Stderr = &e
		b, err := cmd.Output()
		var ended *exec.ExitError
		if err != nil && !errors.As(err, &ended) {
			t.Fatalf("run %v: %v", args, err)
		}
		return string(b), e.String(), cmd.ProcessState.ExitCode()
	}
	out, errs, code := run([]string{"COLUMNS=40"}, "rollcall", "assets")
	if code != 0 || errs != "" || !strings.Contains(out, "ann-thinkpad.example.com  laptop  Debian GNU/Linux 13  PF3ABCDE") || strings.Contains(out, "\x1b") {
		t.Errorf("into a pipe it exits with %d and writes\n%s%s", code, out, errs)
	}
	if out, errs, code := run([]string{"ROLLCALL_URL=http://127.0.0.1:1"}, "rollcall", "assets"); code != exitUnreachable || out != "" || !strings.Contains(errs, "not reachable") {
		t.Errorf("without a collector it exits with %d and writes %s%s", code, out, errs)
	}
	if _, err := exec.LookPath("script"); err != nil {
		t.Skip("there is no script here, which makes a terminal")
	}
	for _, tc := range []struct {
		env      string
		coloured bool
	}{{"LC_ALL=C", true}, {"NO_COLOR=1", false}, {"TERM=dumb", false}} {
		out, errs, code := run([]string{"COLUMNS=60", tc.env}, "script", "-qec", "rollcall assets", "/dev/null")
		if code != 0 || !strings.Contains(out, "ann-thi") || strings.Contains(out, "\x1b[1mNAME") != tc.coloured || strings.Contains(out, "\x1b") != tc.coloured {
			t.Errorf("on a terminal with %s it exits with %d and writes %q%s", tc.env, code, out, errs)
		}
		for line := range strings.Lines(strings.NewReplacer("\x1b[1m", "", "\x1b[0m", "", "\r", "").Replace(out)) {
			if n := cells(strings.TrimSuffix(line, "\n")); n > 60 {
				t.Errorf("a line of %d on a terminal of 60: %s", n, line)
			}
		}
	}
}
