package badgerkv_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rollcall-itam/rollcall/collector/kv"
	"github.com/rollcall-itam/rollcall/collector/kv/badgerkv"
)

func set(ctx context.Context, db kv.DB, key string, size int) error {
	return db.Update(ctx, func(tx kv.Tx) error { return tx.Set([]byte(key), make([]byte, size)) })
}

// untilUpdated updates until the store takes updates again.
func untilUpdated(t *testing.T, db kv.DB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for {
		err := set(ctx, db, "after", 1)
		if err == nil {
			return
		}
		if !errors.Is(err, kv.ErrFull) {
			t.Fatalf("update once there is space: %v", err)
		}
	}
}

func TestFreeSpace(t *testing.T) {
	const minimum = 1 << 30
	var free atomic.Uint64
	free.Store(minimum)
	opts := options(t.TempDir())
	opts.MinFree, opts.CheckEvery = minimum, time.Millisecond
	opts.Free = func(string) (uint64, error) { return free.Load(), nil }
	db, err := badgerkv.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := set(t.Context(), db, "before", 1); err != nil {
		t.Fatal(err)
	}
	free.Store(minimum - 1)
	var full error
	for full == nil {
		full = set(t.Context(), db, "while", 1)
	}
	if !errors.Is(full, kv.ErrFull) || !strings.Contains(full.Error(), "1024 MiB") {
		t.Errorf("update on a full disk: %v", full)
	}
	if err := db.View(t.Context(), func(tx kv.Tx) error {
		_, err := tx.Get([]byte("before"))
		return err
	}); err != nil {
		t.Errorf("read on a full disk: %v", err)
	}
	free.Store(minimum)
	untilUpdated(t, db)

	// A restart needs half of it.
	free.Store(minimum / 2)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if db, err = badgerkv.Open(t.Context(), opts); err != nil {
		t.Fatalf("open with half the minimum free: %v", err)
	}
	if err := set(t.Context(), db, "k", 1); !errors.Is(err, kv.ErrFull) {
		t.Errorf("update after a restart on a full disk: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	free.Store(minimum/2 - 1)
	if _, err := badgerkv.Open(t.Context(), opts); !errors.Is(err, kv.ErrFull) || !strings.Contains(err.Error(), "make space") {
		t.Errorf("open on a full disk: %v", err)
	}
}

// TestSmallDisk fills a real file system, on which bare Badger dies of SIGBUS.
func TestSmallDisk(t *testing.T) {
	disk := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", disk).CombinedOutput(); err != nil {
		t.Skipf("needs root to mount a small disk: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", disk).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	opts := options(filepath.Join(disk, "data"))
	opts.MinFree, opts.CheckEvery = 40<<20, 10*time.Millisecond
	db, err := badgerkv.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	ballast := filepath.Join(disk, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 30<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	acked := 0
	for err = nil; err == nil && acked < 10_000; {
		if err = set(t.Context(), db, fmt.Sprintf("key %05d", acked), 50_000); err == nil {
			acked++
		}
	}
	if !errors.Is(err, kv.ErrFull) || acked == 0 {
		t.Fatalf("after %d updates: %v, want ErrFull", acked, err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	untilUpdated(t, db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if db, err = badgerkv.Open(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.View(t.Context(), func(tx kv.Tx) error {
		for i := range acked {
			if _, err := tx.Get(fmt.Appendf(nil, "key %05d", i)); err != nil {
				return fmt.Errorf("key %d of %d: %w", i, acked, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
