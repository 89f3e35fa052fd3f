// Package rpmdb lists the packages of an rpm database in any of its three
// formats (Berkeley DB hash, ndb, SQLite), from bytes, trusting none of them.
package rpmdb

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/rollcall-itam/rollcall/agent/facts/pages"
	"github.com/rollcall-itam/rollcall/agent/facts/sqlite"
)

// Bounds of what is read. rpm itself allows headers of 256 MiB; the largest
// seen in a distribution (a kernel's, with 30,000 file names) has 6 MiB.
const (
	// MaxPackages is the number of packages after which reading stops with an
	// error.
	MaxPackages = 100_000
	maxHeader   = 32 << 20
)

// ErrFormat is returned for a file that is no rpm database of a known format.
var ErrFormat = errors.New("not an rpm database (no Berkeley DB hash, ndb or SQLite file)")

// Packages returns the packages of a database, in the order in which they
// stand, without the rows in which rpm keeps its public keys. The write-ahead
// log wal matters to SQLite only and is empty where there is none. Damaged
// entries are left out: the error counts them and tells of the first few.
func Packages(db, wal pages.File) ([]Package, error) {
	var out []Package
	bad := new(pages.Damage)
	err := each(db, wal, bad, func(header []byte) error {
		if len(out) >= MaxPackages {
			return fmt.Errorf("more than %d packages: the rest is left out", MaxPackages)
		}
		p, err := Decode(header)
		if err != nil {
			bad.Add(err)
			return nil
		}
		if p.Name != "gpg-pubkey" {
			out = append(out, p)
		}
		return nil
	})
	return out, errors.Join(err, bad.Err())
}

// each calls fn with the header of every package, which is valid until fn
// returns. What cannot be read is added to bad.
func each(db, wal pages.File, bad *pages.Damage, fn func(header []byte) error) error {
	var magic [16]byte
	if _, err := db.ReadAt(magic[:], 0); err != nil {
		return fmt.Errorf("read the start of the database: %w", err)
	}
	switch {
	case string(magic[:]) == sqlite.Magic:
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

// eachSQLite calls fn with the second column of each row of Packages(hnum, blob).
func eachSQLite(db, wal pages.File, bad *pages.Damage, fn func([]byte) error) error {
	table := sqlite.Table{Name: "Packages", MaxRow: maxHeader}
	return table.Each(db, wal, bad, func(row []byte) error {
		var blob []byte
		err := sqlite.Columns(row, func(i int, c sqlite.Column) bool {
			if i == 1 {
				blob, _ = c.Blob()
			}
			return i < 1
		})
		if err == nil && blob == nil {
			err = errors.New("no blob in the second column")
		}
		if err != nil {
			bad.Add(fmt.Errorf("sqlite row: %w", err))
			return nil
		}
		return fn(blob)
	})
}
