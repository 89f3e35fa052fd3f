// Package kv is the contract that a storage engine must meet: an ordered map
// of byte keys with serializable transactions.
//
// It is the intersection of what Badger and any PostgreSQL-protocol database
// can promise; kvtest holds every engine to it.
package kv

import (
	"context"
	"errors"
)

// Bounds that hold for every engine, in bytes. Larger records are split by the
// caller. (Badger moves values of 1 MiB and more to a log of their own, which
// the store's integrity checks do not cover: hence one less.)
const (
	MaxKeySize   = 1 << 10
	MaxValueSize = 1<<20 - 1
	// MaxTxSize bounds what one update may write: the sum of its keys' and
	// values' lengths, and WriteOverhead for each write.
	MaxTxSize = 4 << 20
	// MaxTxWrites bounds the keys that one update may write or delete.
	MaxTxWrites = 20_000
	// WriteOverhead is what each write counts for beside its key and value.
	WriteOverhead = 32
)

var (
	// ErrNotFound is returned by Tx.Get for a key that is not there.
	ErrNotFound = errors.New("kv: key not found")
	// ErrStop, returned by the function given to Tx.Scan, ends the scan early
	// without an error.
	ErrStop = errors.New("kv: stop scan")
	// ErrReadOnly is returned by Set and Delete inside View.
	ErrReadOnly = errors.New("kv: write in a read-only transaction")
	// ErrTooLarge is returned for a key or value over its bound, and for a
	// transaction that holds more than MaxTxSize or MaxTxWrites.
	ErrTooLarge = errors.New("kv: key, value or transaction too large")
	// ErrFull is returned by Update when the engine takes no more data because
	// the disk is nearly full; reads go on, and so do updates once there is space.
	ErrFull = errors.New("kv: storage is full")
	// ErrClosed is returned by every call after Close.
	ErrClosed = errors.New("kv: database is closed")
)

// DB is an ordered key-value database.
type DB interface {
	// View runs fn in a read-only transaction that sees one consistent state.
	View(ctx context.Context, fn func(Tx) error) error

	// Update runs fn in a read-write transaction. When Update returns nil, the
	// writes of fn are durable; when it returns an error, none of them are
	// there. Updates are serializable. The engine may run fn more than once
	// (after a conflict), so fn must have no effect but through its Tx. An
	// update whose ctx is done before it began is not run; once begun it is
	// finished.
	Update(ctx context.Context, fn func(Tx) error) error

	// Close waits for what is running, refuses what comes after, and releases
	// the engine.
	Close() error
}

// Mark names a state of a database by the commit that made it.
type Mark struct {
	// Store identifies the database; one that was made anew, such as from a
	// backup, has another.
	Store string `json:"store"`
	// Commit counts the database's commits from 1; 0 is a database without any.
	Commit uint64 `json:"commit"`
	// Digest depends on all commits up to this one.
	Digest string `json:"digest"`
}

// Marked is a database that can name the states that it goes through.
type Marked interface {
	// ViewMarked is View, and tells fn which state it sees: that after every
	// update up to the mark, and without any after it.
	ViewMarked(ctx context.Context, fn func(Tx, Mark) error) error
}

// Tx is a transaction; it is valid only inside the function it was given to
// and not for use by several goroutines.
type Tx interface {
	// Get returns the value of key, or ErrNotFound. The slice must not be
	// modified and is valid only until the transaction ends.
	Get(key []byte) ([]byte, error)

	// Set stores value under key. Neither slice may be modified afterwards
	// until the transaction ends. An empty value is stored as empty. A write
	// that is refused fails the whole update, even if fn overlooks the error.
	Set(key, value []byte) error

	// Delete removes key; removing a key that is not there is no error.
	Delete(key []byte) error

	// Scan calls fn for each key with the given prefix that is >= start, in
	// byte order, with the transaction's own writes included. A nil start
	// begins at the prefix. fn may return ErrStop; any other error ends the
	// scan and is returned. Slices are valid only during the call. fn must not
	// write.
	Scan(prefix, start []byte, fn func(key, value []byte) error) error
}
