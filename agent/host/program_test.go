package host

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// script writes a program that is a shell script.
func script(t *testing.T, text string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the programs of this test are shell scripts")
	}
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func ends(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(30 * time.Second):
		t.Fatalf("%s: not within 30 seconds", what)
	}
}

func begun(t *testing.T, text string) *Running {
	t.Helper()
	r, err := Program{Path: script(t, text), Args: []string{"run"}, Env: []string{"ROLLCALL_TEST=1"}}.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Kill(); <-r.Done() })
	return r
}

func TestProgramIsHealthyWhenItSaysSo(t *testing.T) {
	r := begun(t, `echo nonsense; echo healthy; echo healthy; cat >/dev/null; [ "$1$ROLLCALL_TEST" = run1 ]`)
	ends(t, "it says that it is healthy", r.Healthy())
	r.Stop()
	ends(t, "it ends with its standard input", r.Done())
	if r.Err() != nil {
		t.Error(r.Err())
	}
}

func TestProgramThatFails(t *testing.T) {
	r := begun(t, `printf healthy; exit 3`)
	ends(t, "it ends", r.Done())
	select {
	case <-r.Healthy():
		t.Error("half a line is taken for healthy")
	default:
	}
	if r.Err() == nil || !strings.Contains(r.Err().Error(), "3") {
		t.Errorf("it ends with %v", r.Err())
	}
}

func TestProgramIsKilled(t *testing.T) {
	r := begun(t, `trap "" TERM; while :; do sleep 1; done`)
	r.Kill()
	ends(t, "it ends", r.Done())
	if r.Err() == nil {
		t.Error("it ends well")
	}
}

func TestProgramThatCannotBeStarted(t *testing.T) {
	if _, err := (Program{Path: filepath.Join(t.TempDir(), "none")}).Start(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing program: %v", err)
	}
}

func TestProgramVersion(t *testing.T) {
	got, err := ProgramVersion(t.Context(), script(t, `[ "$1" = version ] && echo rollcall-agent 1.2.3`))
	if err != nil || got != "rollcall-agent 1.2.3" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := ProgramVersion(t.Context(), script(t, "echo no such library >&2; exit 127")); err == nil || !strings.Contains(err.Error(), "no such library") {
		t.Errorf("a program that fails: %v", err)
	}
	foreign := filepath.Join(t.TempDir(), "foreign")
	if err := os.WriteFile(foreign, []byte("MZ of another system"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := ProgramVersion(t.Context(), foreign); err == nil {
		t.Error("a program of another system runs")
	}
}

func TestPrivateFolder(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the rights of this test are those of Unix")
	}
	dir := filepath.Join(t.TempDir(), "update")
	for range 2 {
		if err := PrivateFolder(dir); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if err := PrivateFolder(link); err == nil {
		t.Error("a link is taken for a folder")
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := PrivateFolder(dir); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("a folder that all may write to: %v", err)
	}
}
