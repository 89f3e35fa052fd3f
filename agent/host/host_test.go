package host_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rollcall-itam/rollcall/agent/host"
)

func TestReadFileIsBounded(t *testing.T) {
	h := &host.Host{FS: fstest.MapFS{
		"short": {Data: []byte("hello")},
		"exact": {Data: bytes.Repeat([]byte("x"), 4096)},
		"long":  {Data: bytes.Repeat([]byte("x"), 4097)},
		"dir/a": {},
	}}
	for _, c := range []struct {
		name string
		want int
		err  string
	}{
		{"short", 5, ""},
		{"exact", 4096, ""},
		{"long", 4096, "longer than 4096 bytes"},
		{"dir", 0, "not a regular file"},
		{"none", 0, "file does not exist"},
	} {
		b, err := h.ReadFile(c.name, 4096)
		if len(b) != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %d bytes, %v, want %d, %q", c.name, len(b), err, c.want, c.err)
		}
	}
}

func TestCaptureIsNotThisMachine(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("of this machine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("captured"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(outside, "secret"), filepath.Join(dir, "link")); err != nil {
		t.Skip("no links here:", err)
	}
	h, err := host.Captured(dir, "linux")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := h.ReadFile("file", 100); string(b) != "captured" || err != nil {
		t.Errorf("captured file: %q, %v", b, err)
	}
	if b, err := h.ReadFile("link", 100); err == nil {
		t.Errorf("a link that leads out of the capture gave %q", b)
	}
	ctx := t.Context()
	_, memory := h.Memory(ctx)
	_, usage := h.Usage(ctx, "/")
	_, _, kernel := h.Kernel(ctx)
	_, interfaces := h.NetworkInterfaces(ctx)
	_, processors := h.Processors(ctx)
	_, name := h.Hostname()
	for _, err := range []error{memory, usage, kernel, interfaces, processors, name} {
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("a capture answers for this machine: %v", err)
		}
	}
	if _, err := host.Captured(filepath.Join(dir, "none"), "linux"); err == nil {
		t.Error("a capture that is not there opens")
	}
}

func TestLiveMachineAnswers(t *testing.T) {
	ctx, h := t.Context(), host.Live()
	if n, err := h.Memory(ctx); err != nil || n < 16<<20 {
		t.Errorf("memory: %d, %v", n, err)
	}
	if n, err := h.LogicalProcessors(ctx); err != nil || n < 1 {
		t.Errorf("processors: %d, %v", n, err)
	}
	if u, err := h.Usage(ctx, t.TempDir()); err != nil || u.Size < u.Free || u.Size == 0 {
		t.Errorf("usage: %+v, %v", u, err)
	}
	if v, arch, err := h.Kernel(ctx); err != nil || v == "" || arch == "" {
		t.Errorf("kernel: %q, %q, %v", v, arch, err)
	}
	if list, err := h.NetworkInterfaces(ctx); err != nil || len(list) == 0 {
		t.Errorf("interfaces: %v, %v", list, err)
	}
}

// TestLowerPriority runs in a child, since a process without privileges cannot
// raise its priority again.
func TestLowerPriority(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("priorities are read from /proc")
	}
	if os.Getenv("ROLLCALL_TEST_LOWER") != "" {
		if err := host.LowerPriority(); err != nil {
			t.Fatal(err)
		}
		tasks, err := filepath.Glob("/proc/self/task/*/stat")
		if err != nil || len(tasks) == 0 {
			t.Fatal(tasks, err)
		}
		for _, name := range tasks {
			stat, err := os.ReadFile(name)
			if err != nil {
				continue
			}
			// The name of the program ends with the last parenthesis; niceness
			// is field 19 of the line, so the 17th after it.
			_, rest, _ := bytes.Cut(stat[bytes.LastIndexByte(stat, ')'):], []byte(" "))
			if nice, err := strconv.Atoi(strings.Fields(string(rest))[16]); err != nil || nice < 10 {
				t.Errorf("%s: niceness %d, %v", name, nice, err)
			}
		}
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestLowerPriority$", "-test.v")
	cmd.Env = append(os.Environ(), "ROLLCALL_TEST_LOWER=1")
	if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS: TestLowerPriority")) {
		t.Errorf("%v\n%s", err, out)
	}
}
