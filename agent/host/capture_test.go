package host

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// Links in a capture lead to its own files, whichever way they point.
func TestCaptureLinks(t *testing.T) {
	outside := t.TempDir()
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(outside, "secret"), "this machine's")
	dir := t.TempDir()
	write(filepath.Join(dir, "usr/lib/release"), "captured")
	write(filepath.Join(dir, "secret"), "captured")
	if err := os.Mkdir(filepath.Join(dir, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{
		"etc/absolute": "/usr/lib/release", "etc/relative": "../usr/lib/release", "etc/above": "../../../../secret",
		"lib": "usr/lib", "etc/chain": "absolute", "etc/out": filepath.Join(outside, "secret"), "etc/loop": "loop", "etc/gone": "/nowhere",
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Skipf("no symbolic links here: %v", err)
		}
	}
	h, err := Captured(dir, "linux")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"etc/absolute", "etc/relative", "etc/above", "etc/chain", "lib/release"} {
		b, err := h.ReadFile(name, 100)
		if err != nil || string(b) != "captured" {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	for _, name := range []string{"etc/out", "etc/loop", "etc/gone", "etc/../secret"} {
		if b, err := h.ReadFile(name, 100); err == nil {
			t.Errorf("%s: read %q", name, b)
		}
	}
	if _, err := h.ReadFile("etc/gone", 100); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a link to nothing: %v", err)
	}
	if target, err := fs.ReadLink(h.FS, "etc/absolute"); err != nil || target != "/usr/lib/release" {
		t.Errorf("link: %q, %v", target, err)
	}
	if entries, err := fs.ReadDir(h.FS, "lib"); err != nil || len(entries) != 1 {
		t.Errorf("linked folder: %v, %v", entries, err)
	}
}
