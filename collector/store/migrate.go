package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/rollcall-itam/rollcall/collector/kv"
)

// Errors of a store whose schema is not this version's.
var (
	// ErrOlder is returned by Open for a store that Migrate has to bring up first.
	ErrOlder = errors.New("the store was written by an older version of Rollcall and is not migrated yet")
	// ErrNewer is returned for a store that a newer collector wrote.
	ErrNewer = errors.New("the store was written by a newer version of Rollcall")
)

// Schema is the state of a database's schema.
type Schema struct {
	// Version is 0 for a database that is empty, and where a migration was
	// interrupted that which its records have so far.
	Version int
	// Begun says that a migration was interrupted, and goes on where it was.
	Begun bool
}

// Due tells whether Migrate has something to do.
func (s Schema) Due() bool { return s.Version != 0 && (s.Version < SchemaVersion || s.Begun) }

// ReadSchema looks at a database without changing it. The error is an ErrNewer
// for one that this version must not touch.
func ReadSchema(ctx context.Context, db kv.DB) (Schema, error) {
	var s Schema
	err := db.View(ctx, func(tx kv.Tx) error {
		at, err := placeOf(tx)
		s = Schema{Version: at.from, Begun: at.begun}
		return err
	})
	if err != nil {
		return s, fmt.Errorf("read the schema: %w", err)
	}
	return s, nil
}

// schemaOf returns the version of the schema, 0 where there is none.
func schemaOf(tx kv.Tx) (int, error) {
	v, err := tx.Get([]byte(keySchema))
	switch {
	case errors.Is(err, kv.ErrNotFound):
		return 0, nil
	case err != nil:
		return 0, err
	case len(v) != 1 || v[0] == 0:
		return 0, fmt.Errorf("schema record has %d bytes, want 1: the database is damaged; restore a backup", len(v))
	case v[0] > SchemaVersion:
		return 0, fmt.Errorf("%w: it has schema version %d, this one knows up to %d: start the newer collector, or restore a backup made by this version", ErrNewer, v[0], SchemaVersion)
	}
	return int(v[0]), nil
}

// step brings a store from one version to the next.
type step struct {
	from int
	// check refuses what the step cannot bring over, before anything is changed.
	check func(tx kv.Tx) error
	// passes run one after the other.
	passes []pass
}

// pass brings over all records under one prefix. What move writes sorts before
// the record that it is called for or under another prefix, so that the pass
// does not meet it, or is passed over by it; it reads and writes little beside
// that record.
type pass struct {
	prefix string
	move   func(tx *Tx, key, stored []byte) error
}

// Bounds of one transaction of a migration: records, and their stored bytes.
const (
	migrateRecords = 500
	migrateBytes   = 256 << 10
)

// Migrate brings a store to SchemaVersion and calls progress with how many of
// how many records are done. It works in transactions of bounded size, each of
// which notes how far it came, so that one that was interrupted at any point
// goes on from there. The first makes the store one of SchemaVersion, so that
// an older collector refuses what is half migrated, too. It leaves a store of
// which RebuildDue is true.
func Migrate(ctx context.Context, db kv.DB, progress func(done, total int64)) error {
	return migrateBy(ctx, db, steps, progress)
}

func migrateBy(ctx context.Context, db kv.DB, steps []step, progress func(done, total int64)) error {
	done, total, err := plan(ctx, db, steps)
	if err != nil {
		return fmt.Errorf("migrate the store: %w", err)
	}
	most := migrateRecords
	for whole := false; !whole; {
		progress(done, max(total, done))
		var moved int64
		moved, whole, err = batch(ctx, db, steps, most)
		switch {
		case errors.Is(err, kv.ErrTooLarge) && most > 1:
			// Records in parts weigh more than what is stored under their keys.
			most = max(1, int(moved)/2)
		case err != nil:
			return fmt.Errorf("migrate the store: %w", err)
		default:
			most = min(2*most, migrateRecords)
			done += moved
		}
	}
	return nil
}

// place is how far a migration came: in a pass of the step from a version, and
// after a key; done counts the records before it.
type place struct {
	from, pass int
	done       int64
	after      []byte
	// begun says that it was noted before.
	begun bool
}

func (p place) encode() []byte {
	b := binary.AppendUvarint([]byte{byte(p.from)}, uint64(p.pass))
	return append(binary.AppendUvarint(b, uint64(p.done)), p.after...)
}

func decodePlace(b []byte) (place, error) {
	damaged := errors.New("the note of how far a migration came is damaged: restore the backup that was made before it")
	if len(b) == 0 {
		return place{}, damaged
	}
	r := reader{b: b[1:]}
	p := place{from: int(b[0]), pass: r.count(maxRecord), done: int64(r.count(1 << 62)), begun: true}
	if r.bad || p.from == 0 || p.from > SchemaVersion {
		return place{}, damaged
	}
	if len(r.b) > 0 {
		p.after = slices.Clone(r.b)
	}
	return p, nil
}

// placeOf returns where a migration stands, or would begin.
func placeOf(tx kv.Tx) (place, error) {
	version, err := schemaOf(tx)
	if err != nil {
		return place{}, err
	}
	b, err := tx.Get([]byte(keyMigration))
	if errors.Is(err, kv.ErrNotFound) {
		return place{from: version}, nil
	}
	if err != nil {
		return place{}, err
	}
	return decodePlace(b)
}

// left is a pass that is not at its end, and where it goes on.
type left struct {
	prefix string
	start  []byte
}

// lefts returns what is still to be passed from a place on.
func lefts(steps []step, at place) []left {
	var out []left
	for _, s := range steps {
		if s.from < at.from || at.from == 0 {
			continue
		}
		for i, pass := range s.passes {
			switch {
			case s.from > at.from || i > at.pass:
				out = append(out, left{prefix: pass.prefix})
			case i == at.pass:
				out = append(out, left{prefix: pass.prefix, start: at.start()})
			}
		}
	}
	return out
}

// plan counts what is done and what there is in all, and refuses what cannot be
// brought over.
func plan(ctx context.Context, db kv.DB, steps []step) (done, total int64, err error) {
	err = db.View(ctx, func(tx kv.Tx) error {
		at, err := placeOf(tx)
		if err != nil {
			return err
		}
		for _, s := range steps {
			if s.from == at.from && s.check != nil {
				if err := s.check(tx); err != nil {
					return err
				}
			}
		}
		done, total = at.done, at.done
		for _, l := range lefts(steps, at) {
			err := tx.Scan([]byte(l.prefix), l.start, func(_, _ []byte) error {
				total++
				return ctx.Err()
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return done, total, err
}

// start is where a pass goes on.
func (p place) start() []byte {
	if p.after == nil {
		return nil
	}
	return append(slices.Clone(p.after), 0)
}

// batch moves some records, at most so many, in one transaction, and returns how
// many it moved or tried to.
func batch(ctx context.Context, db kv.DB, steps []step, most int) (moved int64, whole bool, err error) {
	err = db.Update(ctx, func(tx kv.Tx) error {
		moved, whole = 0, false
		at, err := placeOf(tx)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(steps, func(s step) bool { return s.from == at.from })
		if i < 0 {
			whole = true
			return tx.Delete([]byte(keyMigration))
		}
		if err := tx.Set([]byte(keySchema), []byte{SchemaVersion}); err != nil {
			return err
		}
		if at.pass == len(steps[i].passes) {
			return finish(tx, at)
		}
		records, more, err := collect(tx, steps[i].passes[at.pass], at.start(), most)
		if err != nil {
			return err
		}
		moved = int64(len(records))
		t := &Tx{kv: tx, store: &Store{db: db}}
		for _, r := range records {
			if err := steps[i].passes[at.pass].move(t, r.key, r.stored); err != nil {
				return fmt.Errorf("from schema version %d, record %q: %w", at.from, r.key, err)
			}
			at.after = r.key
		}
		at.done += moved
		if !more {
			at.pass, at.after = at.pass+1, nil
		}
		return tx.Set([]byte(keyMigration), at.encode())
	})
	return moved, whole, err
}

// finish ends a step: from now on the records have the next version.
func finish(tx kv.Tx, at place) error {
	next := place{from: at.from + 1, done: at.done}
	if err := tx.Set([]byte(keyRebuild), []byte{1}); err != nil {
		return err
	}
	return tx.Set([]byte(keyMigration), next.encode())
}

type record struct{ key, stored []byte }

// collect returns the next records of a pass, at most so many, and whether there
// may be more.
func collect(tx kv.Tx, p pass, start []byte, most int) (records []record, more bool, err error) {
	size := 0
	err = tx.Scan([]byte(p.prefix), start, func(key, stored []byte) error {
		if len(records) == most || size > migrateBytes {
			more = true
			return kv.ErrStop
		}
		size += len(stored)
		records = append(records, record{key: bytes.Clone(key), stored: bytes.Clone(stored)})
		return nil
	})
	return records, more, err
}

// RebuildDue tells whether what is derived was left as an older version made it.
func (t *Tx) RebuildDue() (bool, error) {
	_, err := t.kv.Get([]byte(keyRebuild))
	if errors.Is(err, kv.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// RebuildBegins notes that what is derived is not whole from now on.
func (t *Tx) RebuildBegins() error { return t.kv.Set([]byte(keyRebuild), []byte{1}) }

// Rebuilt notes that what is derived was made anew.
func (t *Tx) Rebuilt() error { return t.kv.Delete([]byte(keyRebuild)) }
