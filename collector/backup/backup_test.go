package backup_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-itam/rollcall/collector/backup"
	"github.com/rollcall-itam/rollcall/collector/kv"
	"github.com/rollcall-itam/rollcall/collector/kv/memkv"
)

// marked gives a database in memory marks: one for each of its updates.
type marked struct {
	kv.DB
	commit uint64
}

func (m *marked) ViewMarked(ctx context.Context, fn func(kv.Tx, kv.Mark) error) error {
	return m.View(ctx, func(tx kv.Tx) error {
		return fn(tx, kv.Mark{Store: "a store", Commit: m.commit, Digest: fmt.Sprint(m.commit)})
	})
}

func (m *marked) set(t *testing.T, from, to int, seed uint64) {
	t.Helper()
	noise := rand.New(rand.NewPCG(seed, 0))
	for ; from < to; from += 100 {
		err := m.Update(t.Context(), func(tx kv.Tx) error {
			for i := from; i < min(from+100, to); i++ {
				v := make([]byte, noise.IntN(2000))
				for at := 0; at+8 <= len(v); at += 16 {
					binary.BigEndian.PutUint64(v[at:], noise.Uint64())
				}
				if err := tx.Set(fmt.Appendf(nil, "key %08d", i), v); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		m.commit++
	}
}

func newDB(t *testing.T) *marked {
	db := memkv.New()
	t.Cleanup(func() { _ = db.Close() })
	return &marked{DB: db}
}

var files = []backup.File{{Name: "ca/device.pem", Mode: 0o600, Content: []byte("a key")}, {Name: "ca.pem", Mode: 0o644, Content: []byte("a certificate")}}

func archive(t *testing.T, db kv.Marked, have map[backup.ID]bool) ([]byte, backup.Info) {
	t.Helper()
	var b bytes.Buffer
	info, err := backup.Write(t.Context(), &b, backup.Source{DB: db, Files: files, Program: "v1", At: time.Unix(1e9+int64(len(have)), 0), Have: have})
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), info
}

// content returns everything that a database holds.
func content(t *testing.T, db kv.DB) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := db.View(t.Context(), func(tx kv.Tx) error {
		return tx.Scan(nil, nil, func(k, v []byte) error {
			all[string(k)] = string(v)
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func restore(t *testing.T, path string) (map[string]string, []backup.File) {
	t.Helper()
	a, err := backup.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	db := newDB(t)
	var got []backup.File
	if _, err := a.Restore(t.Context(), db, func(f backup.File) error {
		got = append(got, f)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return content(t, db), got
}

func TestFile(t *testing.T) {
	db := newDB(t)
	db.set(t, 0, 10_000, 1)
	big := bytes.Repeat([]byte("x"), kv.MaxValueSize)
	if err := db.Update(t.Context(), func(tx kv.Tx) error { return errors.Join(tx.Set([]byte("big"), big), tx.Set([]byte("empty"), nil)) }); err != nil {
		t.Fatal(err)
	}
	b, wrote := archive(t, db, nil)
	path := filepath.Join(t.TempDir(), "a.rcb")
	a, read, err := backup.ReceiveFile(t.Context(), path, bytes.NewReader(b))
	if err != nil || read != wrote {
		t.Fatalf("received %+v, want %+v (%v)", read, wrote, err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a backup that nobody tried has its name: %v", err)
	}
	if _, err := backup.KeepFile(a, path); err != nil {
		t.Fatal(err)
	}
	got, gotFiles := restore(t, path)
	if diff := cmp.Diff(content(t, db), got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(files, gotFiles); diff != "" {
		t.Error(diff)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v (%v)", info.Mode(), err)
	}
}

// keep makes a backup in a folder and returns how many chunks it wrote.
func keep(t *testing.T, dir string, db kv.Marked) (backup.Archive, int) {
	t.Helper()
	f, err := backup.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	have, err := f.Have()
	if err != nil {
		t.Fatal(err)
	}
	before := len(chunks(t, dir))
	b, _ := archive(t, db, have)
	a, info, err := f.Receive(t.Context(), bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if a, err = f.Keep(a, info); err != nil {
		t.Fatal(err)
	}
	return a, len(chunks(t, dir)) - before
}

func chunks(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "chunks", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestFolder(t *testing.T) {
	dir, db := t.TempDir(), newDB(t)
	db.set(t, 0, 10_000, 1)
	first, wrote := keep(t, dir, db)
	was := content(t, db)
	// Some records change, some come, some go.
	db.set(t, 5000, 5010, 2)
	db.set(t, 10_000, 10_010, 2)
	if err := db.Update(t.Context(), func(tx kv.Tx) error { return tx.Delete([]byte("key 00000007")) }); err != nil {
		t.Fatal(err)
	}
	db.commit++
	_, wroteLater := keep(t, dir, db)
	if wrote < 10 || wroteLater > 8 {
		t.Errorf("the first backup wrote %d chunks, the second %d", wrote, wroteLater)
	}
	if got, _ := restore(t, dir); !cmp.Equal(got, content(t, db)) {
		t.Error("the newest backup has other records")
	}
	if got, _ := restore(t, first.Path); !cmp.Equal(got, was) {
		t.Error("the first backup has other records")
	}

	f, err := backup.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"new.rcb.partial": "left", "chunks/ab": ""} {
		if content == "" {
			err = os.MkdirAll(filepath.Join(dir, name), 0o700)
		} else {
			err = os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if n, err := f.Prune(1); err != nil || n != 1 {
		t.Errorf("%d removed: %v", n, err)
	}
	if got, _ := restore(t, dir); !cmp.Equal(got, content(t, db)) {
		t.Error("the newest backup was harmed by removing the first")
	}
	if n := len(chunks(t, dir)); n > wrote+2 {
		t.Errorf("%d chunks are left", n)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.partial")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestRolledBack(t *testing.T) {
	dir, db := t.TempDir(), newDB(t)
	db.set(t, 0, 1000, 1)
	keep(t, dir, db)
	db.commit--
	f, err := backup.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := archive(t, db, nil)
	if _, _, err := f.Receive(t.Context(), bytes.NewReader(b)); !errors.Is(err, backup.ErrRolledBack) || !strings.Contains(err.Error(), "restore that one") {
		t.Errorf("received: %v", err)
	}
}

// Every byte of a backup is flipped, one after another.
func TestFlippedByte(t *testing.T) {
	dir, db := t.TempDir(), newDB(t)
	db.set(t, 0, 1, 1)
	a, _ := keep(t, dir, db)
	b, _ := archive(t, db, nil)
	alone := filepath.Join(t.TempDir(), "alone.rcb")
	if err := os.WriteFile(alone, b, 0o600); err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, path := range append(chunks(t, dir), a.Path, alone) {
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		open := a
		if path == alone {
			if open, err = backup.Open(alone); err != nil {
				t.Fatal(err)
			}
		}
		for i := range whole {
			bad := bytes.Clone(whole)
			bad[i] ^= 1 << (i % 8)
			damage(t, open, path, bad, fmt.Sprintf("byte %d flipped", i))
			tried++
			if i%8 == 0 {
				damage(t, open, path, whole[:i], fmt.Sprintf("cut to %d bytes", i))
				tried++
			}
		}
		damage(t, open, path, append(bytes.Clone(whole), 0), "longer by a byte")
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := open.Verify(t.Context()); err != nil {
			t.Fatalf("%s as it was: %v", path, err)
		}
	}
	t.Logf("%d damages found", tried)
	if err := os.Remove(chunks(t, dir)[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Verify(t.Context()); !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("a chunk removed: %v", err)
	}
}

func damage(t *testing.T, a backup.Archive, path string, content []byte, what string) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Verify(t.Context()); !errors.Is(err, backup.ErrDamaged) || !strings.Contains(err.Error(), "use another one") {
		t.Fatalf("%s, %s: %v", filepath.Base(path), what, err)
	}
}

func TestRestoreRefusesContent(t *testing.T) {
	db := newDB(t)
	db.set(t, 0, 10, 1)
	dir := t.TempDir()
	a, _ := keep(t, dir, db)
	if _, err := a.Restore(t.Context(), db, nil); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("restored into a database that holds something: %v", err)
	}
}

// FuzzReceive reads foreign bytes as a backup: it ends, and takes only what is
// whole.
func FuzzReceive(f *testing.F) {
	var b bytes.Buffer
	db := &marked{DB: memkv.New()}
	defer db.Close()
	if _, err := backup.Write(f.Context(), &b, backup.Source{DB: db, Files: files}); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add(b.Bytes()[:b.Len()-1])
	f.Add([]byte("ROLLCALL BACKUP\nh\xff\xff\xff\xff"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, in []byte) {
		_, info, err := backup.ReceiveFile(t.Context(), filepath.Join(dir, fmt.Sprintf("%x", sha256.Sum256(in))), bytes.NewReader(in))
		if err == nil && len(info.Digest) != 2*sha256.Size {
			t.Errorf("taken: %+v", info)
		}
	})
}
