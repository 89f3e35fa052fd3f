package service

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// holdLock is the other process of TestLockExcludesAnotherProcess: it holds the
// lock until its standard input ends.
func holdLock(dir string) {
	_, err := Lock(dir)
	fmt.Println("locked:", err)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func TestLockExcludesASecondAgent(t *testing.T) {
	dir := t.TempDir()
	unlock, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Lock(dir)
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "--state-dir") {
		t.Errorf("a second lock gives %v", err)
	}
	other, err := Lock(t.TempDir())
	if err != nil {
		t.Errorf("another folder cannot be locked: %v", err)
	} else {
		other()
	}
	unlock()
	unlock, err = Lock(dir)
	if err != nil {
		t.Fatalf("after unlocking: %v", err)
	}
	unlock()
}

// The lock ends with its process, however that ends.
func TestLockExcludesAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), "ROLLCALL_TEST_LOCK="+dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || line != "locked: <nil>\n" {
		t.Fatalf("the other process says %q, %v", line, err)
	}
	if _, err := Lock(dir); !errors.Is(err, ErrInUse) {
		t.Errorf("while another process holds it: %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	unlock, err := Lock(dir)
	if err != nil {
		t.Fatalf("after the other process was killed: %v", err)
	}
	unlock()
}

func TestLockNeedsTheFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	if _, err := Lock(dir); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), dir) {
		t.Errorf("lock of a missing folder: %v", err)
	}
}
