package kvtest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/rollcall-itam/rollcall/collector/kv"
)

const workers = 16

// inParallel runs fn in many goroutines and reports their errors.
func inParallel(t *testing.T, fn func(worker int) error) {
	t.Helper()
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			if err := fn(w); err != nil {
				t.Errorf("worker %d: %v", w, err)
			}
		})
	}
	wg.Wait()
}

func number(tx kv.Tx, key string) (uint64, error) {
	b, err := tx.Get([]byte(key))
	if errors.Is(err, kv.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(b), nil
}

func setNumber(tx kv.Tx, key string, n uint64) error {
	return tx.Set([]byte(key), binary.BigEndian.AppendUint64(nil, n))
}

func add(tx kv.Tx, key string, n uint64) error {
	old, err := number(tx, key)
	if err != nil {
		return err
	}
	return setNumber(tx, key, old+n)
}

func wantNumber(t *testing.T, db kv.DB, key string, want uint64) {
	t.Helper()
	view(t, db, func(tx kv.Tx) error {
		got, err := number(tx, key)
		if err == nil && got != want {
			t.Errorf("%s is %d, want %d", key, got, want)
		}
		return err
	})
}

const rounds = 50

func testLostUpdate(t *testing.T, db kv.DB) {
	inParallel(t, func(int) error {
		for range rounds {
			if err := db.Update(t.Context(), func(tx kv.Tx) error { return add(tx, "n", 1) }); err != nil {
				return err
			}
		}
		return nil
	})
	wantNumber(t, db, "n", workers*rounds)
}

// testWriteSkew lets each worker read all keys by a scan and write its own only
// if none is set: any order of the updates sets exactly one.
func testWriteSkew(t *testing.T, db kv.DB) {
	for round := range 10 {
		prefix := fmt.Sprintf("round %d ", round)
		inParallel(t, func(w int) error {
			return db.Update(t.Context(), func(tx kv.Tx) error {
				taken, err := scan(tx, []byte(prefix), nil)
				if err != nil || len(taken) > 0 {
					return err
				}
				return tx.Set(fmt.Appendf(nil, "%s%d", prefix, w), nil)
			})
		})
	}
	if got := contents(t, db); len(got) != 10 {
		t.Errorf("%d workers found the place free in 10 rounds: %v", len(got), got)
	}
}

// testSnapshot moves amounts between two keys while views check their sum twice.
func testSnapshot(t *testing.T, db kv.DB) {
	const total = 1 << 20
	update(t, db, func(tx kv.Tx) error {
		return errors.Join(setNumber(tx, "a", total), setNumber(tx, "b", 0))
	})
	sum := func(tx kv.Tx) error {
		a, errA := number(tx, "a")
		b, errB := number(tx, "b")
		if err := errors.Join(errA, errB); err != nil {
			return err
		}
		if a+b != total {
			return fmt.Errorf("a view saw half an update: %d + %d", a, b)
		}
		return nil
	}
	inParallel(t, func(w int) error {
		for range rounds {
			if w%2 == 0 {
				if err := db.View(t.Context(), func(tx kv.Tx) error {
					first := sum(tx)
					runtime.Gosched()
					return errors.Join(first, sum(tx))
				}); err != nil {
					return err
				}
				continue
			}
			if err := db.Update(t.Context(), func(tx kv.Tx) error {
				return errors.Join(add(tx, "a", ^uint64(0)), add(tx, "b", 1))
			}); err != nil {
				return err
			}
		}
		return nil
	})
	wantNumber(t, db, "b", workers/2*rounds)

	// A view that began before an update does not see it.
	view(t, db, func(tx kv.Tx) error {
		before, err := number(tx, "a")
		if err != nil {
			return err
		}
		update(t, db, func(tx kv.Tx) error { return add(tx, "a", 1) })
		after, err := number(tx, "a")
		if after != before {
			t.Errorf("a view saw a later update: %d became %d", before, after)
		}
		return err
	})
}

// testMixedErrors lets every third update fail after it has written.
func testMixedErrors(t *testing.T, db kv.DB) {
	inParallel(t, func(w int) error {
		for i := range rounds {
			err := db.Update(t.Context(), func(tx kv.Tx) error {
				if err := add(tx, "n", 1); err != nil {
					return err
				}
				if (w+i)%3 == 0 {
					return errOwn
				}
				return add(tx, "acknowledged", 1)
			})
			if want := (w+i)%3 == 0; want != errors.Is(err, errOwn) {
				return fmt.Errorf("update %d: %v", i, err)
			}
		}
		return nil
	})
	var want uint64
	for w := range workers {
		for i := range rounds {
			if (w+i)%3 != 0 {
				want++
			}
		}
	}
	wantNumber(t, db, "n", want)
	wantNumber(t, db, "acknowledged", want)
}

func testPanic(t *testing.T, db kv.DB) {
	inParallel(t, func(w int) error {
		for i := range rounds {
			err := updateRecovered(t, db, func(tx kv.Tx) error {
				if err := add(tx, "n", 1); err != nil {
					return err
				}
				if w%4 == 0 {
					panic("test")
				}
				return nil
			})
			if (w%4 == 0) != (err != nil) {
				return fmt.Errorf("update %d: %v", i, err)
			}
		}
		return nil
	})
	wantNumber(t, db, "n", workers*3/4*rounds)
	func() {
		defer func() { _ = recover() }()
		_ = db.View(t.Context(), func(kv.Tx) error { panic("test") })
	}()
	put(t, db, pair{"after", "1"})
}

// updateRecovered returns the panic of an update as an error.
func updateRecovered(t *testing.T, db kv.DB, fn func(kv.Tx) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return db.Update(t.Context(), fn)
}

// testGoexit ends goroutines inside an update, as t.FailNow does.
func testGoexit(t *testing.T, db kv.DB) {
	inParallel(t, func(w int) error {
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = db.Update(t.Context(), func(tx kv.Tx) error {
				if err := add(tx, "n", 1); err != nil {
					return err
				}
				if w%2 == 0 {
					runtime.Goexit()
				}
				return nil
			})
		}()
		<-ended
		return nil
	})
	wantNumber(t, db, "n", workers/2)
}

func testClosed(t *testing.T, db kv.DB) {
	put(t, db, pair{"a", "1"})
	if err := db.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	never := func(kv.Tx) error {
		t.Error("a function ran after Close")
		return nil
	}
	for name, err := range map[string]error{
		"view":   db.View(t.Context(), never),
		"update": db.Update(t.Context(), never),
		"close":  db.Close(),
	} {
		if !errors.Is(err, kv.ErrClosed) {
			t.Errorf("%s after close: %v, want ErrClosed", name, err)
		}
	}
}

// testCloseWaits closes while an update and a view run and checks that both
// still find the database, and that Close returns after them.
func testCloseWaits(t *testing.T, db kv.DB) {
	put(t, db, pair{"a", "1"})
	var running, ended sync.WaitGroup
	release := make(chan struct{})
	results := make(chan error, 3)
	hold := func(tx kv.Tx) error {
		running.Done()
		<-release
		return wantGet(tx, "a", "1")
	}
	running.Add(2)
	ended.Add(2)
	go func() {
		err := db.Update(t.Context(), hold)
		ended.Done()
		results <- err
	}()
	go func() {
		err := db.View(t.Context(), hold)
		ended.Done()
		results <- err
	}()
	running.Wait()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		results <- db.Close()
	}()
	// Close has begun once new transactions are refused.
	for db.View(t.Context(), func(kv.Tx) error { return nil }) == nil {
		runtime.Gosched()
	}
	select {
	case <-closed:
		t.Error("Close did not wait for running transactions")
	default:
	}
	close(release)
	ended.Wait()
	<-closed
	for range 3 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}
