// Package rpmdb lists the packages of an rpm database in any of its three
// formats (Berkeley DB hash, ndb, SQLite), from bytes, trusting none of them.
package rpmdb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Bounds of what is read. rpm itself allows headers of 256 MiB; the largest
// seen in a distribution (a kernel's, with 30,000 file names) has 6 MiB.
const (
	// MaxPackages is the number of packages after which reading stops with an
	// error.
	MaxPackages = 100_000
	maxHeader   = 32 << 20
	windowSize  = 128 << 10
)

// ErrFormat is returned for a file that is no rpm database of a known format.
var ErrFormat = errors.New("not an rpm database (no Berkeley DB hash, ndb or SQLite file)")

// File is the bytes of a database file.
type File struct {
	io.ReaderAt
	// Size is the number of bytes.
	Size int64
}

// Packages returns the packages of a database, in the order in which they
// stand, without the rows in which rpm keeps its public keys. The write-ahead
// log wal matters to SQLite only and is empty where there is none. Damaged
// entries are left out: the error counts them and tells of the first few.
func Packages(db, wal File) ([]Package, error) {
	var out []Package
	bad := new(damage)
	err := each(db, wal, bad, func(header []byte) error {
		if len(out) >= MaxPackages {
			return fmt.Errorf("more than %d packages: the rest is left out", MaxPackages)
		}
		p, err := Decode(header)
		if err != nil {
			bad.add(err)
			return nil
		}
		if p.Name != "gpg-pubkey" {
			out = append(out, p)
		}
		return nil
	})
	return out, errors.Join(err, bad.err())
}

// each calls fn with the header of every package, which is valid until fn
// returns. What cannot be read is added to bad.
func each(db, wal File, bad *damage, fn func(header []byte) error) error {
	var magic [16]byte
	if _, err := db.ReadAt(magic[:], 0); err != nil {
		return fmt.Errorf("read the start of the database: %w", err)
	}
	switch {
	case string(magic[:]) == sqliteMagic:
		return eachSQLite(db, wal, bad, fn)
	case string(magic[:4]) == ndbMagic:
		return eachNDB(db, bad, fn)
	case binary.LittleEndian.Uint32(magic[12:]) == bdbHashMagic:
		return eachBDB(db, binary.LittleEndian, bad, fn)
	case binary.BigEndian.Uint32(magic[12:]) == bdbHashMagic:
		return eachBDB(db, binary.BigEndian, bad, fn)
	}
	return ErrFormat
}

// damage collects errors that cost one entry each; a file can hold as many as
// it has bytes, so only the first few are kept in words.
type damage struct {
	first []error
	count int
}

func (d *damage) add(err error) {
	if d.count++; len(d.first) < 3 {
		d.first = append(d.first, err)
	}
}

func (d *damage) err() error {
	if d.count == 0 {
		return nil
	}
	return fmt.Errorf("%d damaged entries left out: %w", d.count, errors.Join(d.first...))
}

// window reads a file through a buffer. Reading that goes on where it stopped
// is read ahead, twice as far each time, so that pages which follow one another
// cost one system call for many, and pages that do not cost no more than they
// are long.
type window struct {
	file File
	buf  []byte
	off  int64
	n    int
}

func newWindow(f File, size int) *window { return &window{file: f, buf: make([]byte, size)} }

// at returns n bytes from off, valid until the next call. It fails if the file
// does not have them all or n is larger than the window.
func (w *window) at(off int64, n int) ([]byte, error) {
	if off < 0 || n < 0 || n > len(w.buf) || off > w.file.Size-int64(n) {
		return nil, fmt.Errorf("%d bytes at %d: outside the file of %d bytes", n, off, w.file.Size)
	}
	if off < w.off || off+int64(n) > w.off+int64(w.n) {
		size := n
		if off >= w.off && off <= w.off+int64(w.n) {
			size = min(max(n, 2*w.n), len(w.buf))
		}
		got, err := w.file.ReadAt(w.buf[:size], off)
		w.off, w.n = off, got
		if got < n {
			return nil, fmt.Errorf("read %d bytes at %d: %w", n, off, err)
		}
	}
	i := int(off - w.off)
	return w.buf[i : i+n], nil
}
