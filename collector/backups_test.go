package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rollcall-itam/rollcall/collector/backup"
	"github.com/rollcall-itam/rollcall/collector/kv"
	"github.com/rollcall-itam/rollcall/collector/kv/badgerkv"
)

// writer is one of several that update a store at once: update n sets the
// writer's counter to n, writes key n and deletes key n-kept.
type writer struct {
	name           string
	begun, durable atomic.Int64
}

const kept = 40

func (w *writer) key(n int64) []byte { return fmt.Appendf(nil, "%s/%08d", w.name, n) }

func (w *writer) value(n int64) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "%s %d ", w.name, n), int(20+n%50))
}

func (w *writer) run(ctx context.Context, db kv.DB) error {
	for n := int64(1); ctx.Err() == nil; n++ {
		w.begun.Store(n)
		err := db.Update(context.WithoutCancel(ctx), func(tx kv.Tx) error {
			return errors.Join(tx.Set([]byte(w.name), fmt.Append(nil, n)), tx.Set(w.key(n), w.value(n)), tx.Delete(w.key(n-kept)))
		})
		if err != nil {
			return err
		}
		w.durable.Store(n)
	}
	return nil
}

// A backup is made of a store that many update at once. What is restored is the
// state after some update of each writer, whole: one that was not before the
// last that was acknowledged when the backup began.
func TestBackupWhileUpdated(t *testing.T) {
	db, err := badgerkv.Open(t.Context(), badgerkv.Options{Dir: t.TempDir(), MinFree: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	writers := make([]*writer, 16)
	var done sync.WaitGroup
	for i := range writers {
		writers[i] = &writer{name: fmt.Sprintf("w%02d", i)}
		done.Go(func() {
			if err := writers[i].run(ctx, db); err != nil {
				t.Error(err)
			}
		})
	}
	folder, err := backup.OpenFolder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	began, updates := time.Now(), int64(0)
	for round := range 3 {
		waitFor(t, func() bool { return writers[0].durable.Load() >= int64(100*(round+1)) })
		a, least, most := backUp(t, folder, db, writers)
		checkState(t, a, writers, least, most)
	}
	for _, w := range writers {
		updates += w.durable.Load()
	}
	t.Logf("%.0f updates/s while 3 backups were made and restored", float64(updates)/time.Since(began).Seconds())
	stop()
	done.Wait()
}

func waitFor(t *testing.T, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	end := time.After(time.Minute)
	for !cond() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatal("waited a minute")
		}
	}
}

// backUp returns a backup, with the last update of each writer that must be and
// may be in it.
func backUp(t *testing.T, folder *backup.Folder, db kv.Marked, writers []*writer) (a backup.Archive, least, most []int64) {
	t.Helper()
	have, err := folder.Have()
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range writers {
		least = append(least, w.durable.Load())
	}
	r, pipe := io.Pipe()
	go func() {
		_, err := backup.Write(t.Context(), pipe, backup.Source{DB: db, At: time.Now(), Have: have})
		_ = pipe.CloseWithError(err)
	}()
	a, info, err := folder.Receive(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range writers {
		most = append(most, w.begun.Load())
	}
	if a, err = folder.Keep(a, info); err != nil {
		t.Fatal(err)
	}
	return a, least, most
}

func checkState(t *testing.T, a backup.Archive, writers []*writer, least, most []int64) {
	t.Helper()
	db, err := badgerkv.Open(t.Context(), badgerkv.Options{Dir: t.TempDir(), MinFree: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := a.Restore(t.Context(), db, nil); err != nil {
		t.Fatal(err)
	}
	err = db.View(t.Context(), func(tx kv.Tx) error {
		for i, w := range writers {
			v, err := tx.Get([]byte(w.name))
			if err != nil {
				return err
			}
			var n int64
			if _, err := fmt.Sscan(string(v), &n); err != nil {
				return err
			}
			if n < least[i] || n > most[i] {
				t.Errorf("%s: restored to update %d, want %d to %d", w.name, n, least[i], most[i])
			}
			next := max(1, n-kept+1)
			err = tx.Scan([]byte(w.name+"/"), nil, func(k, v []byte) error {
				if !bytes.Equal(k, w.key(next)) || !bytes.Equal(v, w.value(next)) {
					return fmt.Errorf("%s: found %q where update %d should be", w.name, k, next)
				}
				next++
				return nil
			})
			if err != nil || next != n+1 {
				t.Errorf("%s: updates up to %d are there, want %d (%v)", w.name, next-1, n, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// runCommand runs a command line as in a shell.
func runCommand(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = execute(args, outside{stdout: &out, stderr: &errs, getenv: func(string) string { return "" }})
	return out.String(), errs.String(), code
}

// A running collector is backed up, its store is damaged, and the command that
// the collector then tells brings it back, with its keys and tokens.
func TestBackupAndRestore(t *testing.T) {
	dir, backups := t.TempDir(), filepath.Join(t.TempDir(), "back ups")
	r := start(t, testSettings(dir), io.Discard)
	token := r.token
	out, errs, code := runCommand(t, "backup", "--data-dir", dir, "--min-free", "1000000", "--keep", "2", backups)
	if code != 0 || !strings.Contains(out, "restored into a scratch folder") {
		t.Fatalf("backup: %d %s%s", code, out, errs)
	}
	if out, errs, code = runCommand(t, "backup", "--data-dir", dir, "--min-free", "1000000", backups); code != 0 || !strings.Contains(out, "every byte read") {
		t.Fatalf("second backup: %d %s%s", code, out, errs)
	}
	if _, errs, code = runCommand(t, "restore", "--data-dir", dir, "--replace", backups); code == 0 || !strings.Contains(errs, "stop it first") {
		t.Errorf("restore under a running collector: %d %s", code, errs)
	}
	checkAndCompact(t, dir)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	checkAndCompact(t, dir)
	file := filepath.Join(t.TempDir(), "one.rcb")
	if out, errs, code = runCommand(t, "backup", "--data-dir", dir, "--min-free", "1000000", file); code != 0 {
		t.Fatalf("backup of a stopped collector: %d %s%s", code, out, errs)
	}
	if out, _, code = runCommand(t, "backup", "verify", backups); code != 0 || !strings.Contains(out, "is good") {
		t.Errorf("verify: %d %s", code, out)
	}
	if _, errs, code = runCommand(t, "restore", "--data-dir", dir, file); code == 0 || !strings.Contains(errs, "not empty") {
		t.Errorf("restore over a data folder: %d %s", code, errs)
	}

	tables, _ := filepath.Glob(filepath.Join(dir, "store", "badger", "*.mem"))
	if len(tables) == 0 {
		tables, _ = filepath.Glob(filepath.Join(dir, "store", "badger", "*.sst"))
	}
	if err := os.Truncate(tables[0], 100); err != nil {
		t.Fatal(err)
	}
	err := serve(t.Context(), testSettings(dir), slog.New(slog.DiscardHandler), nil)
	if err == nil || !strings.Contains(err.Error(), "--replace --data-dir "+dir+" "+file) {
		t.Fatalf("a damaged store: %v", err)
	}
	if out, errs, code = runCommand(t, "restore", "--min-free", "1000000", "--replace", "--data-dir", dir, file); code != 0 || !strings.Contains(out, "replaced-") {
		t.Fatalf("restore: %d %s%s", code, out, errs)
	}
	again := start(t, testSettings(dir), io.Discard)
	if code, body := get(t, http.DefaultClient, "http://"+again.http.Addr().String()+"/v1/server", token); code != 200 {
		t.Errorf("the token of before answers %d %s", code, body)
	}
	if err := again.stop(); err != nil {
		t.Error(err)
	}
}

// checkAndCompact runs both commands, whether a collector runs or not.
func checkAndCompact(t *testing.T, dir string) {
	t.Helper()
	if out, errs, code := runCommand(t, "check", "--data-dir", dir, "--min-free", "1000000"); code != 0 || !strings.Contains(out, "records checked") || !strings.Contains(out, "2 authorities") {
		t.Errorf("check: %d %s%s", code, out, errs)
	}
	if out, errs, code := runCommand(t, "compact", "--data-dir", dir, "--min-free", "1000000"); code != 0 || !strings.Contains(out, "take") {
		t.Errorf("compact: %d %s%s", code, out, errs)
	}
}

// A restore that was interrupted leaves no collector that starts on half a store.
func TestInterruptedRestore(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, restoringName), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := serve(t.Context(), testSettings(dir), slog.New(slog.DiscardHandler), nil); err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("serve: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "store")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a store was made: %v", err)
	}
}
