// Package store keeps Rollcall's records over an ordered key-value engine:
// which key holds what, and how a record becomes bytes.
package store

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/collector/kv"
)

// ErrNotFound is returned for a record that is not there.
var ErrNotFound = errors.New("not found")

// Errors of the engine that callers tell apart; see package kv.
var (
	ErrFull   = kv.ErrFull
	ErrClosed = kv.ErrClosed
)

// Store is the collector's database.
type Store struct {
	db kv.DB
	// install is the secret id of this installation; title ids are keyed with
	// it, so that nobody outside can craft two titles with one id.
	install []byte
	titles  titleCache
}

// Open reads or creates the schema record. It refuses a database that another
// version wrote, with an ErrOlder where Migrate helps, and with an ErrNewer.
func Open(ctx context.Context, db kv.DB) (*Store, error) {
	s := &Store{db: db}
	err := db.Update(ctx, func(tx kv.Tx) error {
		at, err := placeOf(tx)
		if err != nil {
			return err
		}
		switch was := (Schema{Version: at.from, Begun: at.begun}); {
		case was.Version == 0:
			return s.create(tx)
		case was.Begun:
			return fmt.Errorf("%w to the end: start the collector, which goes on where that was", ErrOlder)
		case was.Due():
			return fmt.Errorf("%w: it has schema version %d, this one works on %d; `rollcall-collector serve` makes a backup and migrates it", ErrOlder, was.Version, SchemaVersion)
		}
		id, err := tx.Get([]byte(keyInstall))
		s.install = append([]byte(nil), id...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	return s, nil
}

func (s *Store) create(tx kv.Tx) error {
	id := make([]byte, 32)
	if _, err := rand.Read(id); err != nil {
		return fmt.Errorf("make the installation id: %w", err)
	}
	s.install = id
	if err := tx.Set([]byte(keyInstall), id); err != nil {
		return err
	}
	return tx.Set([]byte(keySchema), []byte{SchemaVersion})
}

// InstallID names this installation; it is not secret, unlike what it is
// derived from.
func (s *Store) InstallID() string {
	return hex.EncodeToString(hashParts([]byte("install"), s.install)[:8])
}

// View runs fn in a read-only transaction.
func (s *Store) View(ctx context.Context, fn func(*Tx) error) error {
	return s.db.View(ctx, func(tx kv.Tx) error { return fn(&Tx{kv: tx, store: s}) })
}

// Update runs fn in a read-write transaction, durable once Update returns nil.
// fn may be run more than once, so it has no effect but through its Tx.
func (s *Store) Update(ctx context.Context, fn func(*Tx) error) error {
	var learnt []titleID
	err := s.db.Update(ctx, func(tx kv.Tx) error {
		t := &Tx{kv: tx, store: s, scope: scopeOf(ctx)}
		err := fn(t)
		learnt = t.newTitles
		return err
	})
	if err == nil {
		s.titles.add(learnt)
	}
	return err
}

// Tx is a transaction over the store's records; it is valid only inside the
// function it was given to.
type Tx struct {
	kv        kv.Tx
	store     *Store
	newTitles []titleID
	// single holds the keys that were read in this transaction and have no
	// parts, so that writing them need not look for any.
	single map[string]struct{}
	// scope is that of entries of the audit log.
	scope string
	// spoken tells whether operators said something of observations, nil until
	// somebody asks.
	spoken *bool
	// looked is the merged record that was looked at last.
	looked *lookedAt
}

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// get reads the record under key into m.
func (t *Tx) get(key []byte, m proto.Message) error {
	v, err := t.value(key)
	if err != nil {
		return err
	}
	if err := proto.Unmarshal(v, m); err != nil {
		return fmt.Errorf("record %q is damaged, run `rollcall-collector rebuild` or restore a backup: %w", key, err)
	}
	return nil
}

// value reads the bytes of a record, joining and expanding them.
func (t *Tx) value(key []byte) ([]byte, error) {
	stored, err := t.kv.Get(key)
	if errors.Is(err, kv.ErrNotFound) {
		t.noteSingle(key)
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read record %q: %w", key, err)
	}
	if len(stored) > 0 && stored[0] != packedParts {
		t.noteSingle(key)
	}
	return t.unpack(key, stored)
}

func (t *Tx) noteSingle(key []byte) {
	if t.single == nil {
		t.single = make(map[string]struct{}, 8)
	}
	t.single[string(key)] = struct{}{}
}

// put stores m under key.
func (t *Tx) put(key []byte, m proto.Message) error {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	b, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend((*buf)[:0], m)
	if err != nil {
		return fmt.Errorf("encode record %q: %w", key, err)
	}
	*buf = b
	return t.setValue(key, b)
}

// setValue stores b under key, compressed and split as needed; b may be reused
// afterwards.
func (t *Tx) setValue(key, b []byte) error {
	if err := t.pack(key, b); err != nil {
		return fmt.Errorf("write record %q: %w", key, err)
	}
	return nil
}

// remove deletes the record under key, with the parts of a large one.
func (t *Tx) remove(key []byte) error {
	if err := t.dropParts(key); err != nil {
		return fmt.Errorf("delete record %q: %w", key, err)
	}
	if err := t.kv.Delete(key); err != nil {
		return fmt.Errorf("delete record %q: %w", key, err)
	}
	return nil
}
