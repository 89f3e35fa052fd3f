package badgerkv_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rollcall-itam/rollcall/collector/kv/badgerkv"
)

func TestFolderInUse(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir)
	_, err := badgerkv.Open(t.Context(), options(dir))
	want := fmt.Sprintf("used by another collector (process %d)", os.Getpid())
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("second open: %v, want %q", err, want)
	}
	if err := set(t.Context(), db, "k", 1); err != nil {
		t.Errorf("the first collector was disturbed: %v", err)
	}
}

func TestFolderCannotBeMade(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{"inside a file": filepath.Join(file, "data"), "unset": ""} {
		if _, err := badgerkv.Open(t.Context(), options(dir)); err == nil || !strings.Contains(err.Error(), "data folder") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFolderMode(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	open(t, dir)
	for _, path := range []string{dir, filepath.Join(dir, "badger")} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != 0o700 {
			t.Errorf("%s has mode %o, want 700", path, got)
		}
	}
}
