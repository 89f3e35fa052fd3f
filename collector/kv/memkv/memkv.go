// Package memkv keeps an ordered map of keys in memory: the engine of tests and
// of trials that need not outlive their process.
package memkv

import (
	"bytes"
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/rollcall-itam/rollcall/collector/kv"
)

// New returns an empty database.
func New() kv.DB {
	return &db{seed: maphash.MakeSeed(), writer: make(chan struct{}, 1)}
}

type db struct {
	seed maphash.Seed
	root atomic.Pointer[node]
	// writer holds a token while an update runs: a lock that can be waited for
	// together with a context.
	writer chan struct{}

	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup
}

func (d *db) begin(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return kv.ErrClosed
	}
	d.running.Add(1)
	return nil
}

func (d *db) View(ctx context.Context, fn func(kv.Tx) error) error {
	if err := d.begin(ctx); err != nil {
		return err
	}
	defer d.running.Done()
	return fn(&tx{root: d.root.Load(), readOnly: true})
}

func (d *db) Update(ctx context.Context, fn func(kv.Tx) error) error {
	if err := d.begin(ctx); err != nil {
		return err
	}
	defer d.running.Done()
	select {
	case d.writer <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-d.writer }()
	// A select with both cases ready picks either.
	if err := ctx.Err(); err != nil {
		return err
	}
	t := &tx{root: d.root.Load(), seed: d.seed}
	if err := fn(t); err != nil {
		return err
	}
	if t.failed != nil {
		return t.failed
	}
	d.root.Store(t.root)
	return nil
}

func (d *db) Close() error {
	d.mu.Lock()
	closed := d.closed
	d.closed = true
	d.mu.Unlock()
	if closed {
		return kv.ErrClosed
	}
	d.running.Wait()
	d.root.Store(nil)
	return nil
}

type tx struct {
	root     *node
	seed     maphash.Seed
	readOnly bool
	writes   int
	bytes    int
	// failed is the first refused write: the update fails even when its
	// function overlooks the error.
	failed error
}

func (t *tx) Get(key []byte) ([]byte, error) {
	if v, ok := get(t.root, key); ok {
		return v, nil
	}
	return nil, kv.ErrNotFound
}

func (t *tx) Set(key, value []byte) error {
	if err := t.admit(key, value); err != nil {
		return err
	}
	t.root = set(t.root, t.seed, bytes.Clone(key), append([]byte{}, value...))
	return nil
}

func (t *tx) Delete(key []byte) error {
	if err := t.admit(key, nil); err != nil {
		return err
	}
	if _, ok := get(t.root, key); ok {
		t.root = remove(t.root, key)
	}
	return nil
}

func (t *tx) admit(key, value []byte) error {
	if t.readOnly {
		return kv.ErrReadOnly
	}
	err := kv.CheckWrite(key, value)
	if err == nil {
		t.writes++
		t.bytes += len(key) + len(value) + kv.WriteOverhead
		err = kv.CheckTx(t.writes, t.bytes)
	}
	if err != nil && t.failed == nil {
		t.failed = err
	}
	return err
}

func (t *tx) Scan(prefix, start []byte, fn func(key, value []byte) error) error {
	if bytes.Compare(start, prefix) < 0 {
		start = prefix
	}
	err := walk(t.root, start, func(key, value []byte) error {
		if !bytes.HasPrefix(key, prefix) {
			return kv.ErrStop
		}
		return fn(key, value)
	})
	if errors.Is(err, kv.ErrStop) {
		return nil
	}
	return err
}
