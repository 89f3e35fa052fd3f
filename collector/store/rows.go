package store

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rollcall-itam/rollcall/pkg/section"
)

// Bounds of a device's software. They are part of the agent protocol.
const (
	MaxSoftwareRows = 50_000
	// MaxSoftwareString bounds each string of a row, in bytes.
	MaxSoftwareString = 4 << 10
	// maxRowLen bounds an encoded row: its strings and some room for fields of
	// newer agents.
	maxRowLen = 12*MaxSoftwareString + 4<<10
)

// ErrInvalidRow is returned for software rows that are out of bounds.
var ErrInvalidRow = errors.New("invalid software row")

// titleID names a title, in titleSize bytes: what a software row says apart from
// this device's own times.
type titleID uint64

const titleSize = 7

// entry is what a device's software set holds of one row.
type entry struct {
	title titleID
	// Unix seconds; 0 where not stated.
	installed, lastUsed int64
}

// Row is one software row of one device, ready to be stored.
type Row struct {
	entry
	// body is the encoded title: a Software message without times.
	body []byte
}

func compareRows(a, b Row) int { return compareEntries(a.entry, b.entry) }

func compareEntries(a, b entry) int {
	if a.title != b.title {
		return cmp.Compare(a.title, b.title)
	}
	return cmp.Or(cmp.Compare(a.installed, b.installed), cmp.Compare(a.lastUsed, b.lastUsed))
}

// Field numbers of Software.
const (
	fieldInstalledAt   = protowire.Number(6)
	fieldLastUsedAt    = protowire.Number(7)
	fieldSizeBytes     = protowire.Number(9)
	fieldSourceVersion = protowire.Number(12)
)

// ParseRows checks the encoded software rows that stand under field in
// encoded and makes them ready to be stored. Times are kept to the second.
func (s *Store) ParseRows(encoded []byte, field protowire.Number) ([]Row, error) {
	var rows []Row
	h := titleHasher{install: s.install, bodies: make([]byte, 0, len(encoded))}
	err := section.EachRow(encoded, field, func(b []byte) error {
		if len(rows) == MaxSoftwareRows {
			return fmt.Errorf("%w: more than %d rows; send the first %d and state the section as partial", ErrInvalidRow, MaxSoftwareRows, MaxSoftwareRows)
		}
		row, err := h.parse(b)
		if err != nil {
			return fmt.Errorf("row %d: %w", len(rows), err)
		}
		rows = append(rows, row)
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(rows, compareRows)
	return rows, nil
}

type titleHasher struct {
	install []byte
	buf     []byte
	// bodies holds the bodies of all rows, one after another; together they
	// are shorter than the rows, so it never grows.
	bodies []byte
}

// parse splits an encoded row into its title and its times.
func (h *titleHasher) parse(b []byte) (Row, error) {
	var row Row
	if len(b) > maxRowLen {
		return row, fmt.Errorf("%w: %d bytes, at most %d", ErrInvalidRow, len(b), maxRowLen)
	}
	start := len(h.bodies)
	named := false
	for rest := b; len(rest) > 0; {
		num, typ, n := protowire.ConsumeTag(rest)
		if n < 0 {
			return row, fmt.Errorf("%w: %w", section.ErrMalformed, protowire.ParseError(n))
		}
		m := protowire.ConsumeFieldValue(num, typ, rest[n:])
		if m < 0 {
			return row, fmt.Errorf("%w: %w", section.ErrMalformed, protowire.ParseError(m))
		}
		value := rest[n : n+m]
		switch {
		case typ == protowire.BytesType && (num == fieldInstalledAt || num == fieldLastUsedAt):
			at, err := parseSeconds(value)
			if err != nil {
				return row, err
			}
			if num == fieldInstalledAt {
				row.installed = at
			} else {
				row.lastUsed = at
			}
		case num <= fieldSourceVersion && num != fieldSizeBytes:
			if err := checkText(num, typ, value); err != nil {
				return row, err
			}
			named = named || num == 2
			fallthrough
		default:
			h.bodies = append(h.bodies, rest[:n+m]...)
		}
		rest = rest[n+m:]
	}
	if !named {
		return row, fmt.Errorf("%w: it has no name", ErrInvalidRow)
	}
	row.body = h.bodies[start:len(h.bodies):len(h.bodies)]
	h.buf = append(append(h.buf[:0], h.install...), row.body...)
	sum := sha256.Sum256(h.buf)
	row.title = titleID(binary.BigEndian.Uint64(sum[:]) >> 8)
	return row, nil
}

func checkText(num protowire.Number, typ protowire.Type, value []byte) error {
	if typ != protowire.BytesType {
		return fmt.Errorf("%w: field %d has wire type %d, want text", ErrInvalidRow, num, typ)
	}
	text, n := protowire.ConsumeBytes(value)
	switch {
	case n < 0:
		return fmt.Errorf("%w: %w", section.ErrMalformed, protowire.ParseError(n))
	case len(text) > MaxSoftwareString:
		return fmt.Errorf("%w: field %d has %d bytes, at most %d", ErrInvalidRow, num, len(text), MaxSoftwareString)
	case !utf8.Valid(text):
		return fmt.Errorf("%w: field %d is not valid UTF-8", ErrInvalidRow, num)
	case bytes.IndexByte(text, 0) >= 0:
		return fmt.Errorf("%w: field %d holds a NUL character", ErrInvalidRow, num)
	}
	return nil
}

// maxTime is the end of the year 9999, the last that RFC 3339 can write.
const maxTime = 253402300799

// parseSeconds reads the seconds of a length-prefixed Timestamp.
func parseSeconds(value []byte) (int64, error) {
	msg, n := protowire.ConsumeBytes(value)
	if n < 0 {
		return 0, fmt.Errorf("%w: %w", section.ErrMalformed, protowire.ParseError(n))
	}
	var seconds int64
	for len(msg) > 0 {
		num, typ, n := protowire.ConsumeTag(msg)
		if n < 0 {
			return 0, fmt.Errorf("%w: %w", section.ErrMalformed, protowire.ParseError(n))
		}
		msg = msg[n:]
		if num == 1 && typ == protowire.VarintType {
			v, n := protowire.ConsumeVarint(msg)
			if n < 0 {
				return 0, fmt.Errorf("%w: %w", section.ErrMalformed, protowire.ParseError(n))
			}
			seconds, msg = int64(v), msg[n:]
			continue
		}
		if n = protowire.ConsumeFieldValue(num, typ, msg); n < 0 {
			return 0, fmt.Errorf("%w: %w", section.ErrMalformed, protowire.ParseError(n))
		}
		msg = msg[n:]
	}
	if seconds < 0 || seconds > maxTime {
		return 0, fmt.Errorf("%w: a time lies outside the years 1970 to 9999", ErrInvalidRow)
	}
	return seconds, nil
}

func hashParts(parts ...[]byte) []byte {
	h := sha256.New()
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}
