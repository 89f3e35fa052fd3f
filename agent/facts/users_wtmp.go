package facts

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
)

// loginNameSize is how much of a name a login has room for.
const loginNameSize = 32

// Layouts of glibc's struct utmp (bits/utmp.h): the times have 32 bits on
// machines that once had a 32-bit ABI (x86, POWER, s390), otherwise 64.
var loginLayouts = []loginLayout{
	{size: 384, time: 340, order: binary.LittleEndian},
	{size: 400, time: 344, wide: true, order: binary.LittleEndian},
	{size: 384, time: 340, order: binary.BigEndian},
}

const (
	// maxLoginFile is how much of wtmp is read, from its end: a multiple of all
	// record sizes, so that it begins at a record.
	maxLoginFile = 100 * 9600
	// lastRecordKind is the highest ut_type, ACCOUNTING.
	lastRecordKind = 9
	userProcess    = 7
)

type loginLayout struct {
	size, time int
	wide       bool
	order      binary.ByteOrder
}

// login is one beginning of a session.
type login struct {
	user, line, host string
	// at is in Unix seconds.
	at int64
}

// local tells whether the session was at the machine itself: on a console, or
// in a window of one.
func (l login) local() bool {
	return l.line == macConsole || strings.HasPrefix(l.line, "tty") || strings.HasPrefix(l.line, ":") || strings.HasPrefix(l.line, "seat") || strings.HasPrefix(l.host, ":")
}

// decodeLogins returns the logins among the records of the end of a wtmp file,
// which is size bytes long as a whole.
func decodeLogins(tail []byte, size int64) ([]login, error) {
	for _, l := range loginLayouts {
		if size%int64(l.size) == 0 && l.fits(tail) {
			return l.decode(tail), nil
		}
	}
	return nil, errors.New("not in a known layout of login records")
}

// fits tells whether every record has a kind that exists; in a wrong layout a
// text or a time stands in its place.
func (l loginLayout) fits(b []byte) bool {
	for ; len(b) >= l.size; b = b[l.size:] {
		if l.order.Uint16(b) > lastRecordKind || b[2] != 0 || b[3] != 0 {
			return false
		}
	}
	return true
}

func (l loginLayout) decode(b []byte) []login {
	var out []login
	for ; len(b) >= l.size; b = b[l.size:] {
		if l.order.Uint16(b) != userProcess {
			continue
		}
		at := int64(l.order.Uint32(b[l.time:]))
		if l.wide {
			at = int64(l.order.Uint64(b[l.time:]))
		}
		if unixTime(at) == nil {
			continue
		}
		out = append(out, login{line: fixedText(b[8:40]), user: fixedText(b[44 : 44+loginNameSize]), host: fixedText(b[76:332]), at: at})
	}
	return out
}

// fixedText returns a text in a field of fixed length, which ends at a NUL
// unless it fills the field.
func fixedText(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	return softwareText(b)
}
