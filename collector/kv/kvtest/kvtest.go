// Package kvtest is the conformance suite that every engine of kv must pass.
package kvtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/rollcall-itam/rollcall/collector/kv"
)

// Run holds an engine to the contract of kv.DB. open returns a new, empty
// database; it may register its own cleanup, which must accept that the suite
// has closed the database already.
func Run(t *testing.T, open func(t *testing.T) kv.DB) {
	for _, c := range []struct {
		name string
		test func(*testing.T, kv.DB)
	}{
		{"get, set and delete", testBasics},
		{"byte order", testOrder},
		{"scan bounds", testScanBounds},
		{"scan sees own writes", testScanOwnWrites},
		{"scan ends early", testScanEnds},
		{"any byte in a key", testAnyKey},
		{"key and value bounds", testBounds},
		{"transaction bounds", testTxBounds},
		{"a refused write fails the update", testRefusedWrite},
		{"view cannot write", testReadOnly},
		{"failed update leaves nothing", testAtomic},
		{"slices may be reused", testReuse},
		{"update reads what was committed", testReadYourCommits},
		{"done context", testContext},
		{"closed", testClosed},
		{"close waits", testCloseWaits},
		{"panic harms nobody else", testPanic},
		{"goexit harms nobody else", testGoexit},
		{"no lost update", testLostUpdate},
		{"no write skew", testWriteSkew},
		{"view is a snapshot", testSnapshot},
		{"an error harms nobody else", testMixedErrors},
		{"model", testModel},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

// pair is a key and its value.
type pair struct{ Key, Value string }

func scan(tx kv.Tx, prefix, start []byte) ([]pair, error) {
	var got []pair
	err := tx.Scan(prefix, start, func(k, v []byte) error {
		got = append(got, pair{string(k), string(v)})
		return nil
	})
	return got, err
}

func contents(t *testing.T, db kv.DB) []pair {
	t.Helper()
	var got []pair
	view(t, db, func(tx kv.Tx) (err error) {
		got, err = scan(tx, nil, nil)
		return err
	})
	return got
}

func update(t *testing.T, db kv.DB, fn func(kv.Tx) error) {
	t.Helper()
	if err := db.Update(t.Context(), fn); err != nil {
		t.Fatalf("update: %v", err)
	}
}

func view(t *testing.T, db kv.DB, fn func(kv.Tx) error) {
	t.Helper()
	if err := db.View(t.Context(), fn); err != nil {
		t.Fatalf("view: %v", err)
	}
}

func put(t *testing.T, db kv.DB, pairs ...pair) {
	t.Helper()
	update(t, db, func(tx kv.Tx) error {
		for _, p := range pairs {
			if err := tx.Set([]byte(p.Key), []byte(p.Value)); err != nil {
				return err
			}
		}
		return nil
	})
}

func wantGet(tx kv.Tx, key, want string) error {
	got, err := tx.Get([]byte(key))
	if err != nil {
		return fmt.Errorf("get %q: %w", key, err)
	}
	if string(got) != want {
		return fmt.Errorf("get %q: %q, want %q", key, got, want)
	}
	return nil
}

func wantMissing(tx kv.Tx, key string) error {
	if v, err := tx.Get([]byte(key)); !errors.Is(err, kv.ErrNotFound) {
		return fmt.Errorf("get %q: %q and error %v, want ErrNotFound", key, v, err)
	}
	return nil
}

func testBasics(t *testing.T, db kv.DB) {
	update(t, db, func(tx kv.Tx) error {
		return errors.Join(
			wantMissing(tx, "a"),
			tx.Delete([]byte("a")),
			tx.Set([]byte("a"), []byte("1")),
			wantGet(tx, "a", "1"),
			tx.Set([]byte("a"), []byte("2")),
			wantGet(tx, "a", "2"),
			tx.Set([]byte("empty"), nil),
			tx.Set([]byte("gone"), []byte("x")),
			tx.Delete([]byte("gone")),
			wantMissing(tx, "gone"),
		)
	})
	view(t, db, func(tx kv.Tx) error {
		return errors.Join(wantGet(tx, "a", "2"), wantGet(tx, "empty", ""), wantMissing(tx, "gone"), wantMissing(tx, "b"))
	})
	update(t, db, func(tx kv.Tx) error {
		return errors.Join(tx.Delete([]byte("a")), wantMissing(tx, "a"), wantGet(tx, "empty", ""))
	})
	view(t, db, func(tx kv.Tx) error { return wantMissing(tx, "a") })
}

func testRefusedWrite(t *testing.T, db kv.DB) {
	err := db.Update(t.Context(), func(tx kv.Tx) error {
		if err := tx.Set([]byte("good"), nil); err != nil {
			return err
		}
		if err := tx.Set(nil, nil); !errors.Is(err, kv.ErrTooLarge) {
			t.Errorf("set of an empty key: %v, want ErrTooLarge", err)
		}
		return nil
	})
	if !errors.Is(err, kv.ErrTooLarge) {
		t.Errorf("update with a refused write: %v, want ErrTooLarge", err)
	}
	if got := contents(t, db); len(got) != 0 {
		t.Errorf("the update left %v", got)
	}
}

func testBounds(t *testing.T, db kv.DB) {
	longest := bytes.Repeat([]byte{'k'}, kv.MaxKeySize)
	largest := bytes.Repeat([]byte{'v'}, kv.MaxValueSize)
	put(t, db, pair{string(longest), string(largest)})
	view(t, db, func(tx kv.Tx) error { return wantGet(tx, string(longest), string(largest)) })

	for name, fn := range map[string]func(kv.Tx) error{
		"key":         func(tx kv.Tx) error { return tx.Set(append(longest, 'k'), nil) },
		"value":       func(tx kv.Tx) error { return tx.Set([]byte("k"), append(largest, 'v')) },
		"deleted key": func(tx kv.Tx) error { return tx.Delete(append(longest, 'k')) },
	} {
		if err := db.Update(t.Context(), fn); !errors.Is(err, kv.ErrTooLarge) {
			t.Errorf("%s over its bound: %v, want ErrTooLarge", name, err)
		}
	}
	view(t, db, func(tx kv.Tx) error { return wantMissing(tx, string(append(longest, 'k'))) })
}

// testTxBounds writes the most that one update may, in both respects, and then more.
func testTxBounds(t *testing.T, db kv.DB) {
	const keySize = 4
	fill := func(writes, valueSize int) func(kv.Tx) error {
		return func(tx kv.Tx) error {
			for i := range writes {
				if err := tx.Set(fmt.Appendf(nil, "%0*x", keySize, i), make([]byte, valueSize)); err != nil {
					return err
				}
			}
			return nil
		}
	}
	const bigWrites = 8
	const bigValue = kv.MaxTxSize/bigWrites - keySize - kv.WriteOverhead
	update(t, db, fill(kv.MaxTxWrites, 1))
	update(t, db, fill(bigWrites, bigValue))
	if got := len(contents(t, db)); got != kv.MaxTxWrites {
		t.Fatalf("%d keys stored, want %d", got, kv.MaxTxWrites)
	}
	for name, fn := range map[string]func(kv.Tx) error{
		"writes": fill(kv.MaxTxWrites+1, 1),
		"bytes":  fill(bigWrites, bigValue+1),
	} {
		if err := db.Update(t.Context(), fn); !errors.Is(err, kv.ErrTooLarge) {
			t.Errorf("too many %s: %v, want ErrTooLarge", name, err)
		}
	}
}

func testReadOnly(t *testing.T, db kv.DB) {
	put(t, db, pair{"a", "1"})
	view(t, db, func(tx kv.Tx) error {
		if err := tx.Set([]byte("a"), []byte("2")); !errors.Is(err, kv.ErrReadOnly) {
			t.Errorf("set in a view: %v, want ErrReadOnly", err)
		}
		if err := tx.Delete([]byte("a")); !errors.Is(err, kv.ErrReadOnly) {
			t.Errorf("delete in a view: %v, want ErrReadOnly", err)
		}
		return wantGet(tx, "a", "1")
	})
	view(t, db, func(tx kv.Tx) error { return wantGet(tx, "a", "1") })
}

var errOwn = errors.New("an error of the caller")

func testAtomic(t *testing.T, db kv.DB) {
	put(t, db, pair{"a", "1"}, pair{"b", "1"})
	err := db.Update(t.Context(), func(tx kv.Tx) error {
		return errors.Join(tx.Set([]byte("a"), []byte("2")), tx.Delete([]byte("b")), tx.Set([]byte("c"), nil), errOwn)
	})
	if !errors.Is(err, errOwn) {
		t.Errorf("update: %v, want the function's error", err)
	}
	update(t, db, func(tx kv.Tx) error {
		return errors.Join(wantGet(tx, "a", "1"), wantGet(tx, "b", "1"), wantMissing(tx, "c"))
	})
	if err := db.View(t.Context(), func(kv.Tx) error { return errOwn }); !errors.Is(err, errOwn) {
		t.Errorf("view: %v, want the function's error", err)
	}
}

// testReuse changes the slices that it wrote once the update is over.
func testReuse(t *testing.T, db kv.DB) {
	key, value := []byte("key"), []byte("value")
	update(t, db, func(tx kv.Tx) error { return tx.Set(key, value) })
	copy(key, "XXX")
	copy(value, "XXXXX")
	update(t, db, func(tx kv.Tx) error { return errors.Join(wantGet(tx, "key", "value"), wantMissing(tx, "XXX")) })
	view(t, db, func(tx kv.Tx) error { return wantGet(tx, "key", "value") })
}

// testReadYourCommits reads each commit back in the next update and view.
func testReadYourCommits(t *testing.T, db kv.DB) {
	for i := range 100 {
		want := fmt.Sprint(i)
		put(t, db, pair{"k", want})
		view(t, db, func(tx kv.Tx) error { return wantGet(tx, "k", want) })
		update(t, db, func(tx kv.Tx) error { return wantGet(tx, "k", want) })
	}
}

func testContext(t *testing.T, db kv.DB) {
	done, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("test"))
	never := func(kv.Tx) error {
		t.Error("the function ran although its context was done")
		return nil
	}
	if err := db.Update(done, never); !errors.Is(err, context.Canceled) {
		t.Errorf("update: %v, want context.Canceled", err)
	}
	if err := db.View(done, never); !errors.Is(err, context.Canceled) {
		t.Errorf("view: %v, want context.Canceled", err)
	}
	// An update that has begun is finished.
	begun, cancelBegun := context.WithCancel(t.Context())
	if err := db.Update(begun, func(tx kv.Tx) error {
		cancelBegun()
		return tx.Set([]byte("a"), []byte("1"))
	}); err != nil {
		t.Errorf("update whose context ended while it ran: %v", err)
	}
	view(t, db, func(tx kv.Tx) error { return wantGet(tx, "a", "1") })
}
