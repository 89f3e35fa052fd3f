// Package gvdb decodes the hash tables on disk in which dconf keeps the
// settings of GNOME and of what is made from it.
package gvdb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Bounds: what a person has set are some hundred keys.
const (
	maxItems = 100_000
	maxKey   = 1 << 10
	maxDepth = 64
)

const (
	headerSize = 24
	itemSize   = 24
	noParent   = 0xffffffff
	// locks is the table of the keys that people may not set.
	locks = ".locks"
)

// Database is what one file holds.
type Database struct {
	order  binary.ByteOrder
	values map[string][]byte
	locked map[string]bool
}

// Decode decodes a file as gvdb-format.h describes it. An item that is not
// understood is left out.
func Decode(data []byte) (*Database, error) {
	d := &Database{values: make(map[string][]byte), locked: make(map[string]bool)}
	switch {
	case bytes.HasPrefix(data, []byte("GVariant")):
		d.order = binary.LittleEndian
	case bytes.HasPrefix(data, []byte("raVGtnai")):
		d.order = binary.BigEndian
	default:
		return nil, errors.New("not a database of dconf")
	}
	if len(data) < headerSize {
		return nil, errors.New("a database of dconf that is cut short")
	}
	root, err := d.table(data, data[16:24])
	if err != nil {
		return nil, err
	}
	for i := range root.items {
		switch key, ok := root.key(i); {
		case !ok:
		case root.items[i].kind == 'v':
			d.values[key] = root.items[i].value
		case root.items[i].kind == 'H' && key == locks:
			// One that is broken locks nothing.
			below, err := d.table(data, root.items[i].where)
			if err != nil {
				continue
			}
			for k := range below.items {
				if locked, ok := below.key(k); ok {
					d.locked[locked] = true
				}
			}
		}
	}
	return d, nil
}

// Locked tells whether what people set themselves does not count for a key,
// such as /org/gnome/desktop/session/idle-delay.
func (d *Database) Locked(key string) bool { return d.locked[key] }

// Bool returns a boolean.
func (d *Database) Bool(key string) (value, ok bool) {
	b, ok := d.variant(key, "b")
	if !ok || len(b) != 1 {
		return false, false
	}
	return b[0] == 1, true
}

// Uint returns a number of 32 bits without sign, or one with sign that is not
// negative.
func (d *Database) Uint(key string) (value uint32, ok bool) {
	b, unsigned := d.variant(key, "u")
	if !unsigned {
		b, ok = d.variant(key, "i")
	}
	if !unsigned && !ok || len(b) != 4 {
		return 0, false
	}
	value = d.order.Uint32(b)
	return value, unsigned || value < 1<<31
}

// variant returns a value of a type. A variant is the value, a NUL and the type.
func (d *Database) variant(key, kind string) ([]byte, bool) {
	b := d.values[key]
	return bytes.CutSuffix(b, []byte("\x00"+kind))
}

// table is a hash table; its buckets are not needed, since all of it is read.
type table struct{ items []item }

type item struct {
	parent uint32
	// suffix is the key without that of the parent.
	suffix []byte
	kind   byte
	// where points to the value.
	where, value []byte
}

// table reads the table that a pointer points to: the number of words of a
// filter in the lower 27 bits of the first word, that of the buckets, the filter,
// the buckets, and the items.
func (d *Database) table(data, pointer []byte) (*table, error) {
	b, ok := d.slice(data, pointer)
	if !ok || len(b) < 8 {
		return nil, errors.New("a table that lies outside of the database")
	}
	filter, buckets := uint64(d.order.Uint32(b)&(1<<27-1)), uint64(d.order.Uint32(b[4:]))
	before := 8 + 4*filter + 4*buckets
	if before > uint64(len(b)) {
		return nil, errors.New("a table that is cut short")
	}
	b = b[before:]
	if len(b)/itemSize > maxItems {
		return nil, fmt.Errorf("a table of %d items, more than %d", len(b)/itemSize, maxItems)
	}
	out := new(table)
	for ; len(b) >= itemSize; b = b[itemSize:] {
		i := item{parent: d.order.Uint32(b[4:]), kind: b[14], where: b[16:24]}
		start, size := uint64(d.order.Uint32(b[8:])), uint64(d.order.Uint16(b[12:]))
		if start+size > uint64(len(data)) {
			i.kind = 0
		} else {
			i.suffix = data[start : start+size]
		}
		if i.kind == 'v' {
			if i.value, ok = d.slice(data, i.where); !ok {
				i.kind = 0
			}
		}
		out.items = append(out.items, i)
	}
	return out, nil
}

// slice returns the bytes that a pointer, their start and their end, points to.
func (d *Database) slice(data, pointer []byte) ([]byte, bool) {
	start, end := d.order.Uint32(pointer), d.order.Uint32(pointer[4:])
	if start > end || uint64(end) > uint64(len(data)) {
		return nil, false
	}
	return data[start:end], true
}

// key returns the whole key of an item, and false for one that has none.
func (t *table) key(i int) (string, bool) {
	var parts [][]byte
	size := 0
	for at := uint32(i); at != noParent; at = t.items[at].parent {
		if uint64(at) >= uint64(len(t.items)) {
			return "", false
		}
		parts = append(parts, t.items[at].suffix)
		if size += len(t.items[at].suffix); len(parts) > maxDepth || size > maxKey {
			return "", false
		}
	}
	slices.Reverse(parts)
	return string(bytes.Join(parts, nil)), true
}
