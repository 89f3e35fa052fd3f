package badgerkv_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rollcall-itam/rollcall/collector/kv"
)

const damageCommits = 64

// fillStore commits a MiB each time: damageCommits of them leave tables and a log.
func fillStore(t *testing.T, db kv.DB, commits int) {
	t.Helper()
	noise := make([]byte, 256<<10)
	for i := range noise {
		noise[i] = byte(i * i >> 7 * 31)
	}
	for c := range commits {
		err := db.Update(t.Context(), func(tx kv.Tx) error {
			for part := range 4 {
				key := fmt.Appendf(nil, "commit %04d part %d", c, part)
				if err := tx.Set(key, append(key, noise...)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func countKeys(t *testing.T, db kv.DB) int {
	t.Helper()
	n := 0
	err := db.View(t.Context(), func(tx kv.Tx) error {
		return tx.Scan(nil, nil, func(key, value []byte) error {
			if bytes.HasPrefix(value, key) {
				n++
			}
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// copyStore copies what a store looks like after its process was killed at some
// moment: one in which no file of it came or went, as they do while it is open.
func copyStore(t *testing.T, from string) string {
	t.Helper()
	for {
		before := listing(t, from)
		to, whole := tryCopy(t, from)
		if whole && slices.Equal(before, listing(t, from)) {
			return to
		}
	}
}

// tryCopy copies a store, unless a file of it goes away meanwhile.
func tryCopy(t *testing.T, from string) (to string, whole bool) {
	t.Helper()
	to = t.TempDir()
	if err := os.Mkdir(filepath.Join(to, "badger"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range append(files(t, from, "*"), filepath.Join(from, "mark")) {
		name, err := filepath.Rel(from, path)
		if err != nil {
			t.Fatal(err)
		}
		if err := copyFile(path, filepath.Join(to, name)); err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
			if filepath.Base(path) != "mark" {
				return to, false
			}
		}
	}
	return to, true
}

// copyFile keeps holes, which logs mostly are: else the copies take gigabytes.
func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer target.Close()
	block, hole := make([]byte, 64<<10), make([]byte, 64<<10)
	var size int64
	for {
		n, err := io.ReadFull(source, block)
		if n > 0 && !bytes.Equal(block[:n], hole[:n]) {
			if _, err := target.WriteAt(block[:n], size); err != nil {
				return err
			}
		}
		size += int64(n)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return target.Truncate(size)
		}
		if err != nil {
			return err
		}
	}
}

func files(t *testing.T, dir, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "badger", pattern))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	return found
}

func oldest(pattern string) func(*testing.T, string) string {
	return func(t *testing.T, dir string) string {
		found := files(t, dir, pattern)
		if len(found) == 0 {
			t.Fatalf("the store has no %s", pattern)
		}
		return found[0]
	}
}

func newest(pattern string) func(*testing.T, string) string {
	return func(t *testing.T, dir string) string {
		found := files(t, dir, pattern)
		if len(found) == 0 {
			t.Fatalf("the store has no %s", pattern)
		}
		return found[len(found)-1]
	}
}

func flip(at int64) func(string) error {
	return func(path string) error {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		b := make([]byte, 4)
		_, err = f.ReadAt(b, at)
		for i := range b {
			b[i] ^= 0xA5
		}
		_, errWrite := f.WriteAt(b, at)
		return errors.Join(err, errWrite, f.Close())
	}
}

func flipMiddle(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return flip(info.Size() / 2)(path)
}

func flipEnd(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return flip(info.Size() - 6)(path)
}

func cut(to int64) func(string) error {
	return func(path string) error { return os.Truncate(path, to) }
}

func cutHalf(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return os.Truncate(path, info.Size()/2)
}
