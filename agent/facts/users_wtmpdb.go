package facts

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/rollcall-itam/rollcall/agent/facts/pages"
	"github.com/rollcall-itam/rollcall/agent/facts/sqlite"
)

const (
	// loginDatabase is where wtmpdb keeps logins, in place of wtmp with its times
	// that end in 2038: Debian since 13, Ubuntu since 25.04, openSUSE.
	loginDatabase = "var/lib/wtmpdb/wtmp.db"
	// maxLogins is how many logins are looked at, of the last ones.
	maxLogins = 100_000
	// maxLoginRow is what a login may take.
	maxLoginRow = 64 << 10
)

// readLoginDatabase returns the logins of wtmpdb's database in the order of time,
// none where there is none.
func readLoginDatabase(fsys fs.FS) ([]login, error) {
	db, closeDB, err := openReaderAt(fsys, loginDatabase)
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer closeDB()
	if db.Size == 0 {
		return nil, nil
	}
	log, closeLog, err := openReaderAt(fsys, loginDatabase+"-wal")
	if err != nil && !missing(err) {
		return nil, err
	}
	defer closeLog()
	logins, err := decodeLoginDatabase(db, log)
	if err != nil {
		err = fmt.Errorf("/%s: %w", loginDatabase, err)
	}
	return logins, err
}

// decodeLoginDatabase reads the rows of wtmp(ID, Type, User, Login, Logout, TTY,
// RemoteHost, Service), whose times are in microseconds.
func decodeLoginDatabase(db, log pages.File) ([]login, error) {
	bad := new(pages.Damage)
	var out []login
	table := sqlite.Table{Name: "wtmp", MaxRow: maxLoginRow}
	err := table.Each(db, log, bad, func(row []byte) error {
		l, ok, err := decodeLoginRow(row)
		if err != nil {
			bad.Add(err)
		}
		if ok {
			if len(out) >= 2*maxLogins {
				out = append(out[:0], out[len(out)-maxLogins:]...)
			}
			out = append(out, l)
		}
		return nil
	})
	slices.SortStableFunc(out, func(a, b login) int { return cmp.Compare(a.at, b.at) })
	return out, errors.Join(err, bad.Err())
}

// decodeLoginRow reads one row; ok is false for one that is no login: those of
// boots have another type.
func decodeLoginRow(row []byte) (l login, ok bool, err error) {
	const (
		kindColumn, userColumn, loginColumn, ttyColumn, hostColumn = 1, 2, 3, 5, 6
		loginKind                                                  = 3
	)
	kind := int64(0)
	err = sqlite.Columns(row, func(i int, c sqlite.Column) bool {
		switch i {
		case kindColumn:
			kind, _ = c.Integer()
		case userColumn:
			l.user = columnText(c)
		case loginColumn:
			micro, _ := c.Integer()
			l.at = micro / 1_000_000
		case ttyColumn:
			l.line = strings.TrimPrefix(columnText(c), "/dev/")
		case hostColumn:
			l.host = columnText(c)
		}
		return i < hostColumn
	})
	return l, err == nil && kind == loginKind && l.user != "" && unixTime(l.at) != nil, err
}

func columnText(c sqlite.Column) string {
	b, _ := c.Text()
	return softwareText(b)
}
