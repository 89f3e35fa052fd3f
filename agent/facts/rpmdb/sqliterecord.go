package rpmdb

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

// columns calls fn with the serial type and the bytes of each column of a
// record until fn returns false.
func columns(record []byte, fn func(i int, serial uint64, value []byte) bool) error {
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
		if !fn(i, serial, body[:length]) {
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
	err = columns(record, func(i int, serial uint64, value []byte) bool {
		switch i {
		case 0:
			table = string(value) == "table"
		case 1:
			name = string(value)
		case 3:
			switch serial {
			case 8, 9:
				root = int64(serial) - 8
			case 1, 2, 3, 4, 5, 6:
				var n [8]byte
				copy(n[8-len(value):], value)
				root = int64(binary.BigEndian.Uint64(n[:]))
			}
		}
		return i < 3
	})
	if !table {
		name = ""
	}
	return name, root, err
}

// blobColumn returns the second column of a row of Packages(hnum, blob).
func blobColumn(record []byte) ([]byte, error) {
	var blob []byte
	err := columns(record, func(i int, serial uint64, value []byte) bool {
		if i == 1 && serial >= 12 && serial%2 == 0 {
			blob = value
		}
		return i < 1
	})
	if err == nil && blob == nil {
		err = errors.New("no blob in the second column")
	}
	return blob, err
}
