package sqlite

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// varint decodes a number of one to nine bytes and tells how many; 0 where
// there is no whole number.
func varint(b []byte) (uint64, int) {
	var v uint64
	for i := range min(len(b), 9) {
		if i == 8 {
			return v<<8 | uint64(b[i]), 9
		}
		v = v<<7 | uint64(b[i]&0x7f)
		if b[i] < 0x80 {
			return v, i + 1
		}
	}
	return 0, 0
}

// Column is one value of a row.
type Column struct {
	serial uint64
	data   []byte
}

// Blob returns the bytes of a value that is a blob.
func (c Column) Blob() (b []byte, ok bool) { return c.data, c.serial >= 12 && c.serial%2 == 0 }

// Text returns the bytes of a value that is text, in the database's encoding.
func (c Column) Text() (b []byte, ok bool) { return c.data, c.serial >= 13 && c.serial%2 == 1 }

// Integer returns a value that is a whole number.
func (c Column) Integer() (n int64, ok bool) {
	switch c.serial {
	case 8, 9:
		return int64(c.serial) - 8, true
	case 1, 2, 3, 4, 5, 6:
		var b [8]byte
		if c.data[0]&0x80 != 0 {
			b = [8]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
		}
		copy(b[8-len(c.data):], c.data)
		return int64(binary.BigEndian.Uint64(b[:])), true
	}
	return 0, false
}

// Columns calls fn with each value of a row, the first of which is 0, until fn
// returns false. A row id that is a column is null there.
func Columns(record []byte, fn func(i int, c Column) bool) error {
	size, n := varint(record)
	if n == 0 || size < uint64(n) || size > uint64(len(record)) {
		return errors.New("record header outside the record")
	}
	types, body := record[n:size], record[size:]
	for i := 0; len(types) > 0; i++ {
		serial, n := varint(types)
		if n == 0 {
			return errors.New("record header cut short")
		}
		types = types[n:]
		length := serialLength(serial)
		if length > uint64(len(body)) {
			return fmt.Errorf("column %d outside the record", i)
		}
		if !fn(i, Column{serial: serial, data: body[:length]}) {
			return nil
		}
		body = body[length:]
	}
	return nil
}

// serialLength returns the number of bytes that a value of a serial type has.
func serialLength(serial uint64) uint64 {
	switch {
	case serial >= 12:
		return (serial - 12) / 2
	case serial == 5:
		return 6
	case serial == 6 || serial == 7:
		return 8
	case serial <= 4:
		return serial
	}
	return 0
}

// schemaRow returns the name and root page of a table of sqlite_schema, which
// has the columns type, name, tbl_name, rootpage and sql. The name is empty for
// what is no table.
func schemaRow(record []byte) (name string, root int64, err error) {
	table := false
	err = Columns(record, func(i int, c Column) bool {
		switch i {
		case 0:
			table = string(c.data) == "table"
		case 1:
			name = string(c.data)
		case 3:
			root, _ = c.Integer()
		}
		return i < 3
	})
	if !table {
		name = ""
	}
	return name, root, err
}
