package badgerkv

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"github.com/rollcall-itam/rollcall/collector/kv"
)

// Badger keeps keys that begin with "!badger!" for itself and we keep a few of
// our own, so callers' keys live behind a prefix byte.
var (
	dataPrefix = []byte{'d'}
	headKey    = []byte("m/head")
)

// tx is a transaction over a Badger snapshot and the pending writes above it.
type tx struct {
	snap *badger.Txn
	// above holds the pending writes that the transaction sees, its own first.
	above []*overlay
	// own is nil in a read-only transaction.
	own   *overlay
	arena *arena
	// scratch holds the prefixed key of a lookup.
	scratch []byte
	writes  int
	bytes   int
	// failed is the first refused write: the update fails even when its
	// function overlooks the error.
	failed error
}

func (t *tx) Get(key []byte) ([]byte, error) {
	t.scratch = append(append(t.scratch[:0], dataPrefix...), key...)
	for _, o := range t.above {
		if w, ok := o.writes[string(t.scratch)]; ok {
			if w.deleted {
				return nil, kv.ErrNotFound
			}
			return w.value, nil
		}
	}
	item, err := t.snap.Get(t.scratch)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, kv.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read a key: %w", err)
	}
	return itemValue(item)
}

// itemValue returns the item's value, which lives as long as the transaction:
// Badger hands out a copy made for this item.
func itemValue(item *badger.Item) ([]byte, error) {
	var value []byte
	err := item.Value(func(v []byte) error {
		value = v
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read a value: %w", err)
	}
	if value == nil {
		value = []byte{}
	}
	return value, nil
}

func (t *tx) Set(key, value []byte) error {
	if err := t.admit(key, value); err != nil {
		return err
	}
	t.own.put(write{key: t.arena.copy(dataPrefix, key), value: t.arena.copy(value)})
	return nil
}

func (t *tx) Delete(key []byte) error {
	if err := t.admit(key, nil); err != nil {
		return err
	}
	t.own.put(write{key: t.arena.copy(dataPrefix, key), deleted: true})
	return nil
}

func (t *tx) admit(key, value []byte) error {
	if t.own == nil {
		return kv.ErrReadOnly
	}
	err := kv.CheckWrite(key, value)
	if err == nil {
		t.writes++
		t.bytes += cost(key, value)
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
	prefix = append(bytes.Clone(dataPrefix), prefix...)
	start = append(bytes.Clone(dataPrefix), start...)

	// Badger starts a goroutine for each value it prefetches, which pays only
	// for values in its value log; ours are all in the tables.
	it := t.snap.NewIterator(badger.IteratorOptions{Prefix: prefix})
	defer it.Close()
	it.Seek(start)
	cursors := make([]cursor, len(t.above))
	for i, o := range t.above {
		cursors[i] = cursor{keys: o.span(prefix, start), from: o}
	}
	err := merge(it, cursors, func(key, value []byte) error { return fn(key[len(dataPrefix):], value) })
	if errors.Is(err, kv.ErrStop) {
		return nil
	}
	return err
}

// merge calls fn in key order for what is stored and what is pending; where
// there are both, what is pending counts.
func merge(it *badger.Iterator, cursors []cursor, fn func(key, value []byte) error) error {
	w, pending := nextWrite(cursors)
	for pending || it.Valid() {
		if !pending || (it.Valid() && bytes.Compare(it.Item().Key(), w.key) < 0) {
			value, err := itemValue(it.Item())
			if err != nil {
				return err
			}
			if err := fn(it.Item().Key(), value); err != nil {
				return err
			}
			it.Next()
			continue
		}
		if it.Valid() && bytes.Equal(it.Item().Key(), w.key) {
			it.Next()
		}
		if !w.deleted {
			if err := fn(w.key, w.value); err != nil {
				return err
			}
		}
		w, pending = nextWrite(cursors)
	}
	return nil
}
