package badgerkv_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rollcall-itam/rollcall/collector/kv/badgerkv"
)

// TestDamage damages copies of a store in the ways that make Badger lose keys
// without an error, panic, or refuse. Open must refuse or lose nothing.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir)
	fillStore(t, db, damageCommits)
	live := copyStore(t, dir)
	if len(files(t, live, "*.mem")) == 0 || len(files(t, live, "*.sst")) == 0 {
		t.Fatalf("the store has not both logs and tables: %v", files(t, live, "*"))
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	mem, sst := oldest("*.mem"), oldest("*.sst")
	inProcess := map[string]bool{"log cut": true, "manifest cut": true, "table changed": true, "table removed": true, "mark removed": true}
	manifest, markFile := oldest("MANIFEST"), func(_ *testing.T, d string) string { return filepath.Join(d, "mark") }
	for _, c := range []struct {
		name     string
		file     func(*testing.T, string) string
		damage   func(string) error
		harmless bool
	}{
		{"nothing", manifest, func(string) error { return nil }, true},
		{"log changed early", mem, flip(300), false},
		{"log header changed", mem, flip(2), false},
		{"newest log changed", newest("*.mem"), flip(300), false},
		{"log cut", mem, cut(2 << 20), false},
		{"log emptied", mem, cut(0), false},
		{"newest log cut", newest("*.mem"), cut(1000), false},
		{"oldest log removed", mem, os.Remove, false},
		{"newest log removed", newest("*.mem"), os.Remove, false},
		{"manifest cut", manifest, cut(20), false},
		{"manifest cut by a byte", manifest, func(p string) error {
			info, err := os.Stat(p)
			return errors.Join(err, os.Truncate(p, info.Size()-1))
		}, false},
		{"manifest emptied", manifest, cut(0), false},
		{"manifest's start changed", manifest, flip(0), false},
		{"manifest changed", manifest, flip(24), false},
		{"manifest changed late", manifest, flipMiddle, false},
		{"manifest removed", manifest, os.Remove, false},
		{"table changed", sst, flipMiddle, false},
		{"table changed early", sst, flip(100), false},
		{"table index changed", sst, flipEnd, false},
		{"table index cut", sst, func(p string) error {
			info, err := os.Stat(p)
			return errors.Join(err, os.Truncate(p, info.Size()-3))
		}, false},
		{"newest table changed", newest("*.sst"), flipMiddle, false},
		{"table cut", sst, cutHalf, false},
		{"table emptied", sst, cut(0), false},
		{"table removed", sst, os.Remove, false},
		{"newest table removed", newest("*.sst"), os.Remove, false},
		{"key registry removed", oldest("KEYREGISTRY"), os.Remove, true},
		{"key registry changed", oldest("KEYREGISTRY"), flip(2), true},
		{"key registry emptied", oldest("KEYREGISTRY"), cut(0), true},
		{"discard file removed", oldest("DISCARD"), os.Remove, true},
		{"discard file changed", oldest("DISCARD"), flip(0), true},
		{"discard file emptied", oldest("DISCARD"), cut(0), true},
		{"empty value log removed", oldest("*.vlog"), os.Remove, true},
		{"empty value log changed", oldest("*.vlog"), flip(2), true},
		{"empty value log emptied", oldest("*.vlog"), cut(0), true},
		{"mark removed", markFile, os.Remove, false},
		{"one slot of the mark changed", markFile, flip(20), true},
		{"mark emptied", markFile, cut(0), false},
	} {
		for name, verifier := range map[string]func(context.Context, string) error{
			"in process": nil, "in child": badgerkv.VerifyInChild,
		} {
			// The collector has a child look first. What is found without one is the
			// same code, seen at one damage of each kind of file.
			if verifier == nil && !inProcess[c.name] {
				continue
			}
			t.Run(c.name+" "+name, func(t *testing.T) {
				damaged := copyStore(t, live)
				if err := c.damage(c.file(t, damaged)); err != nil {
					t.Fatal(err)
				}
				openDamaged(t, damaged, verifier, c.harmless)
			})
		}
	}
}

// openDamaged checks that a store is refused, or opens whole.
func openDamaged(t *testing.T, dir string, verifier func(context.Context, string) error, harmless bool) {
	t.Helper()
	before := listing(t, dir)
	opts := options(dir)
	opts.Verifier = verifier
	db, err := badgerkv.Open(t.Context(), opts)
	if err == nil {
		defer db.Close()
		if got := countKeys(t, db); got != 4*damageCommits {
			t.Fatalf("opened with %d of %d keys", got, 4*damageCommits)
		}
		return
	}
	if harmless {
		t.Fatalf("refused although nothing is lost: %v", err)
	}
	if !errors.Is(err, badgerkv.ErrDamaged) || !strings.Contains(err.Error(), "restore the store from a backup") {
		t.Errorf("the error does not say what to do: %v", err)
	}
	if after := listing(t, dir); !slices.Equal(before, after) {
		t.Errorf("the refused store was changed:\n%v\n%v", before, after)
	}
	for _, alien := range []string{"panic", "goroutine", "runtime error", "runtime.", ".go:", "\n"} {
		if strings.Contains(err.Error(), alien) {
			t.Errorf("the error shows a person the inside of a program (%q): %v", alien, err)
		}
	}
	t.Log(err)
}

// listing returns names and sizes of a store's files.
func listing(t *testing.T, dir string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // of an open store
		}
		if err != nil || d.IsDir() || d.Name() == "LOCK" {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			list = append(list, fmt.Sprint(d.Name(), " ", info.Size()))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestRolledBack puts an older state of the files, or another store's, beside the mark.
func TestRolledBack(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir)
	fillStore(t, db, 3)
	_ = db.Close()
	old := copyStore(t, dir)
	db = open(t, dir)
	fillStore(t, db, 2)
	_ = db.Close()

	other := t.TempDir()
	db = open(t, other)
	fillStore(t, db, 10)
	_ = db.Close()

	for name, c := range map[string]struct {
		files string
		want  string
	}{
		"older state":   {old, "the last 2 commits of the store are missing"},
		"another store": {other, "belong to different stores"},
		"nothing":       {t.TempDir(), "all 5 commits of the store are missing"},
	} {
		t.Run(name, func(t *testing.T) {
			mixed := copyStore(t, c.files)
			b, err := os.ReadFile(filepath.Join(dir, "mark"))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(mixed, "mark"), b, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err = badgerkv.Open(t.Context(), options(mixed))
			if !errors.Is(err, badgerkv.ErrDamaged) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("open: %v, want %q", err, c.want)
			}
		})
	}
}

// TestWitness puts back an older copy of all of the store's folder, with its mark.
func TestWitness(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	witnessed := func(dir string) badgerkv.Options {
		opts := options(dir)
		opts.Witness = filepath.Join(other, "witness")
		return opts
	}
	reopen := func(opts badgerkv.Options, commits int) {
		t.Helper()
		db, err := badgerkv.Open(t.Context(), opts)
		if err != nil {
			t.Fatal(err)
		}
		fillStore(t, db, commits)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	reopen(witnessed(dir), 2)
	old := copyStore(t, dir)
	for range 3 {
		reopen(witnessed(dir), 1)
	}
	for name, c := range map[string]struct{ dir, want string }{
		"older copy":    {old, "the last 3 commits of the store are missing"},
		"another store": {t.TempDir(), "another store"},
	} {
		_, err := badgerkv.Open(t.Context(), witnessed(c.dir))
		if !errors.Is(err, badgerkv.ErrDamaged) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	// A damaged witness says nothing against the store.
	if err := os.Truncate(filepath.Join(other, "witness"), 0); err != nil {
		t.Fatal(err)
	}
	reopen(witnessed(dir), 1)
}
