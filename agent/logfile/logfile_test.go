package logfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// read returns what a file has, "" where there is none.
func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return string(b)
}

func write(t *testing.T, f *File, text string) {
	t.Helper()
	if n, err := f.Write([]byte(text)); err != nil || n != len(text) {
		t.Fatalf("write gives %d, %v", n, err)
	}
}

func TestALogIsBoundedAndKeepsAFew(t *testing.T) {
	name := filepath.Join(t.TempDir(), "logs", "agent.log")
	f, err := Open(name, 20, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for i := range 9 {
		write(t, f, fmt.Sprintf("entry %d\n", i)) // 8 bytes: two fit
	}
	for suffix, want := range map[string]string{"": "entry 8\n", ".1": "entry 6\nentry 7\n", ".2": "entry 4\nentry 5\n", ".3": ""} {
		if got := read(t, name+suffix); got != want {
			t.Errorf("%q has %q, want %q", "agent.log"+suffix, got, want)
		}
		if info, err := os.Stat(name + suffix); err == nil && info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
			t.Errorf("%q has mode %s", suffix, info.Mode())
		}
	}
	if n, err := f.Write([]byte(strings.Repeat("x", 100))); n != 100 || err != nil || read(t, name) != strings.Repeat("x", 20) {
		t.Errorf("an entry longer than the log gives %d, %v, %q", n, err, read(t, name))
	}
}

// A restart goes on where the last run ended, and takes the log from others.
func TestALogIsContinued(t *testing.T) {
	name := filepath.Join(t.TempDir(), "agent.log")
	if err := os.WriteFile(name, []byte("before\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := Open(name, 20, 1)
	if err != nil {
		t.Fatal(err)
	}
	write(t, f, "after\n")
	if err := errors.Join(f.Close(), f.Close()); err != nil {
		t.Error(err)
	}
	if got := read(t, name); got != "before\nafter\n" {
		t.Errorf("it has %q", got)
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("mode %s, %v", info.Mode(), err)
	}
	write(t, f, "late\n")
	if got := read(t, name); got != "late\n" {
		t.Errorf("written after the end: %q", got)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

// The bound holds where nothing can be renamed: the log then begins anew.
func TestALogThatCannotBeRenamedStaysBounded(t *testing.T) {
	name := filepath.Join(t.TempDir(), "agent.log")
	if err := os.MkdirAll(filepath.Join(name+".1", "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := Open(name, 10, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	write(t, f, "first\n")
	write(t, f, "second\n")
	if got := read(t, name); got != "second\n" {
		t.Errorf("it has %q", got)
	}
}

func TestALogFollowsNoLinks(t *testing.T) {
	dir := t.TempDir()
	victim, link := filepath.Join(dir, "victim"), filepath.Join(dir, "agent.log")
	if err := os.WriteFile(victim, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, link); err != nil {
		t.Skip("no symbolic links here: ", err)
	}
	if _, err := Open(link, 10, 1); err == nil || !strings.Contains(err.Error(), link) {
		t.Errorf("a link is opened: %v", err)
	}
	if _, err := Open(dir, 10, 1); err == nil {
		t.Error("a folder is opened")
	}
	if _, err := Open(filepath.Join(victim, "log"), 10, 1); err == nil {
		t.Error("a folder that is a file is opened")
	}
	if got := read(t, victim); got != "mine" {
		t.Errorf("the file behind the link has %q", got)
	}
}

func TestALogOfSeveralWriters(t *testing.T) {
	name := filepath.Join(t.TempDir(), "agent.log")
	f, err := Open(name, 1000, 100)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				write(t, f, "one whole entry\n")
			}
		})
	}
	all.Wait()
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	entries := 0
	names, err := filepath.Glob(name + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		entries += strings.Count(read(t, n), "one whole entry\n")
	}
	if entries != 800 {
		t.Errorf("%d entries, want 800", entries)
	}
}
