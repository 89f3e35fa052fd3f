package proplist

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf16"
)

const (
	binaryMagic = "bplist0"
	trailerSize = 32
)

// epoch is 2001-01-01, second 0 of dates in binary lists, in Unix time.
const epoch = 978307200

// binaryList is a binary property list, as CoreFoundation's CFBinaryPList.c
// writes it: objects, the table of their offsets, and a trailer that says where
// that is.
type binaryList struct {
	data []byte
	*budget
	offsets             []byte
	offsetSize, refSize int
	count               uint64
}

func decodeBinary(data []byte, b *budget) (any, error) {
	if len(data) < len(binaryMagic)+1+trailerSize {
		return nil, errors.New("binary property list is cut short")
	}
	trailer := data[len(data)-trailerSize:]
	l := &binaryList{data: data[:len(data)-trailerSize], budget: b, offsetSize: int(trailer[6]), refSize: int(trailer[7])}
	l.count = binary.BigEndian.Uint64(trailer[8:])
	top, table := binary.BigEndian.Uint64(trailer[16:]), binary.BigEndian.Uint64(trailer[24:])
	if l.offsetSize < 1 || l.offsetSize > 8 || l.refSize < 1 || l.refSize > 8 || table > uint64(len(l.data)) ||
		l.count > (uint64(len(l.data))-table)/uint64(l.offsetSize) {
		return nil, errors.New("binary property list is cut short or damaged: its trailer does not fit")
	}
	l.offsets = l.data[table:]
	return l.object(top, 0)
}

// number returns a big-endian unsigned number of at most eight bytes.
func number(b []byte) uint64 {
	var n uint64
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n
}

// object returns the object of a number.
func (l *binaryList) object(ref uint64, depth int) (any, error) {
	if ref >= l.count {
		return nil, fmt.Errorf("object %d of %d", ref, l.count)
	}
	at := number(l.offsets[ref*uint64(l.offsetSize):][:l.offsetSize])
	if at >= uint64(len(l.data)) {
		return nil, fmt.Errorf("object %d lies behind the end", ref)
	}
	marker, rest := l.data[at], l.data[at+1:]
	switch kind := marker >> 4; kind {
	case 0x0, 0x1, 0x2, 0x3, 0x8:
		if err := l.spend(0); err != nil {
			return nil, err
		}
		return scalar(marker, rest)
	case 0x4, 0x5, 0x6, 0x7:
		n, rest, err := length(marker, rest)
		if err != nil {
			return nil, err
		}
		return l.text(kind, n, rest)
	case 0xa, 0xb, 0xc, 0xd:
		n, rest, err := length(marker, rest)
		if err != nil {
			return nil, err
		}
		if err := enter(depth); err != nil {
			return nil, err
		}
		if kind == 0xd {
			return l.dict(n, rest, depth+1)
		}
		return l.array(n, rest, depth+1)
	}
	return nil, fmt.Errorf("object of the unknown kind %#x", marker)
}

// scalar returns a truth, number or date; rest is what follows its marker.
func scalar(marker byte, rest []byte) (any, error) {
	size := 1 << (marker & 0xf)
	if marker>>4 == 0x8 {
		size = int(marker&0xf) + 1
	}
	switch {
	case marker == 0x08, marker == 0x09:
		return marker == 0x09, nil
	case marker>>4 == 0:
		return nil, nil
	case size > 16 || size > len(rest):
		return nil, errors.New("number is cut short")
	}
	b := rest[:size]
	switch {
	case marker>>4 == 0x1, marker>>4 == 0x8:
		// Those of eight bytes are signed, and 16 bytes hold what is beyond.
		n := number(b[max(0, size-8):])
		if size == 16 && (number(b[:8]) != 0 || n > math.MaxInt64) {
			return float64(n), nil
		}
		return int64(n), nil
	case marker == 0x22:
		return float64(math.Float32frombits(binary.BigEndian.Uint32(b))), nil
	case marker == 0x23:
		return math.Float64frombits(binary.BigEndian.Uint64(b)), nil
	case marker == 0x33:
		return date(math.Float64frombits(binary.BigEndian.Uint64(b))), nil
	}
	return nil, fmt.Errorf("number of the unknown kind %#x", marker)
}

// date returns a date of a number of seconds, nil for what is none: one bad date
// must not cost the list.
func date(seconds float64) any {
	// The years 1 to 9999: others cannot be written as text.
	if math.Abs(seconds) < 1e12 {
		t := time.Unix(epoch+int64(math.Floor(seconds)), 0).UTC()
		if t.Year() >= 1 && t.Year() <= 9999 {
			return t
		}
	}
	return nil
}

// length returns the number of elements of an object, which is in its marker or
// in a number behind it, and what follows.
func length(marker byte, rest []byte) (int, []byte, error) {
	if n := int(marker & 0xf); n != 0xf {
		return n, rest, nil
	}
	if len(rest) == 0 || rest[0]>>4 != 0x1 || rest[0]&0xf > 3 {
		return 0, nil, errors.New("length is none")
	}
	size := 1 << (rest[0] & 0xf)
	if len(rest) < 1+size {
		return 0, nil, errors.New("length is cut short")
	}
	n := number(rest[1 : 1+size])
	if n > math.MaxInt32 {
		return 0, nil, fmt.Errorf("length %d: %w", n, ErrTooBig)
	}
	return int(n), rest[1+size:], nil
}

// text returns data or a string of n units.
func (l *binaryList) text(kind byte, n int, rest []byte) (any, error) {
	size := n
	if kind == 0x6 {
		size = 2 * n
	}
	if size > len(rest) {
		return nil, errors.New("text is cut short")
	}
	if err := l.spend(size); err != nil {
		return nil, err
	}
	b := rest[:size]
	switch kind {
	case 0x4:
		return b, nil
	case 0x6:
		units := make([]uint16, n)
		for i := range units {
			units[i] = binary.BigEndian.Uint16(b[2*i:])
		}
		return string(utf16.Decode(units)), nil
	}
	return strings.ToValidUTF8(string(b), "\uFFFD"), nil
}

// refs returns the numbers of n objects.
func (l *binaryList) refs(n int, rest []byte) ([]uint64, error) {
	if n > len(rest)/l.refSize {
		return nil, errors.New("array is cut short")
	}
	if err := l.spend(0); err != nil {
		return nil, err
	}
	if n > l.values {
		return nil, fmt.Errorf("array of %d: %w", n, ErrTooBig)
	}
	out := make([]uint64, n)
	for i := range out {
		out[i] = number(rest[i*l.refSize:][:l.refSize])
	}
	return out, nil
}

func (l *binaryList) array(n int, rest []byte, depth int) (any, error) {
	refs, err := l.refs(n, rest)
	if err != nil {
		return nil, err
	}
	out := make([]any, n)
	for i, r := range refs {
		if out[i], err = l.object(r, depth); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// dict returns a dictionary of n keys, whose values follow all of them.
func (l *binaryList) dict(n int, rest []byte, depth int) (any, error) {
	refs, err := l.refs(2*n, rest)
	if err != nil {
		return nil, err
	}
	out := make(Dict, n)
	for i, r := range refs[:n] {
		k, err := l.object(r, depth)
		if err != nil {
			return nil, err
		}
		key, ok := k.(string)
		if !ok {
			return nil, fmt.Errorf("key of a dictionary is %T", k)
		}
		if out[key], err = l.object(refs[n+i], depth); err != nil {
			return nil, err
		}
	}
	return out, nil
}
