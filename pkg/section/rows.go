package section

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// Field numbers under which software rows stand: Device.software, and the
// removed and added rows of SoftwareDelta.
const (
	FieldDeviceSoftware = protowire.Number(40)
	FieldDeltaRemoved   = protowire.Number(1)
	FieldDeltaAdded     = protowire.Number(2)
)

// ErrMalformed is returned for bytes that are not a protobuf message.
var ErrMalformed = errors.New("malformed protobuf message")

// EachRow calls fn with the encoded bytes of every software row that stands
// under field, without decoding them. The slices alias encoded.
func EachRow(encoded []byte, field protowire.Number, fn func(row []byte) error) error {
	for len(encoded) > 0 {
		num, typ, n := protowire.ConsumeTag(encoded)
		if n < 0 {
			return fmt.Errorf("%w: %w", ErrMalformed, protowire.ParseError(n))
		}
		encoded = encoded[n:]
		if num != field || typ != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(num, typ, encoded); n < 0 {
				return fmt.Errorf("%w: %w", ErrMalformed, protowire.ParseError(n))
			}
			encoded = encoded[n:]
			continue
		}
		row, n := protowire.ConsumeBytes(encoded)
		if n < 0 {
			return fmt.Errorf("%w: %w", ErrMalformed, protowire.ParseError(n))
		}
		if err := fn(row); err != nil {
			return err
		}
		encoded = encoded[n:]
	}
	return nil
}

// Sum is a sum of SHA-256 digests modulo 2^256, as a little-endian number: the
// digest of a multiset of software rows, which a delta can be applied to.
type Sum [32]byte

// Add adds one row's digest.
func (s *Sum) Add(d [32]byte) {
	var carry uint16
	for i := range s {
		v := uint16(s[i]) + uint16(d[i]) + carry
		s[i], carry = byte(v), v>>8
	}
}

// Sub takes one row's digest away.
func (s *Sum) Sub(d [32]byte) {
	var borrow int16
	for i := range s {
		v := int16(s[i]) - int16(d[i]) - borrow
		borrow = 0
		if v < 0 {
			v, borrow = v+256, 1
		}
		s[i] = byte(v)
	}
}
