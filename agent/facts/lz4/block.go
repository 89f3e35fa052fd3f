package lz4

import (
	"encoding/binary"
	"errors"
)

// slack is what a buffer must have beyond its limit, so that a run of up to
// that many bytes can be copied in one piece of constant size.
const slack = 32

var errBlock = errors.New("damaged lz4 block")

// decode decompresses the block src into dst from at, and returns where it
// ends, at most limit. Matches may reach back to the beginning of dst, which
// is slack bytes longer than limit.
func decode(dst []byte, at, limit int, src []byte) (int, error) {
	for i := 0; i < len(src); {
		token := src[i]
		i++
		literals := int(token >> 4)
		if literals == 15 {
			n, used := extent(src[i:])
			literals, i = literals+n, i+used
		}
		if literals > len(src)-i || literals > limit-at {
			return 0, errBlock
		}
		if literals <= slack && len(src)-i >= slack {
			*(*[slack]byte)(dst[at:]) = [slack]byte(src[i:])
		} else {
			copy(dst[at:], src[i:i+literals])
		}
		at, i = at+literals, i+literals
		if i == len(src) {
			return at, nil
		}
		if len(src)-i < 2 {
			return 0, errBlock
		}
		distance := int(binary.LittleEndian.Uint16(src[i:]))
		i += 2
		length := int(token&15) + 4
		if length == 19 {
			n, used := extent(src[i:])
			length, i = length+n, i+used
		}
		if distance == 0 || distance > at || length > limit-at {
			return 0, errBlock
		}
		copyMatch(dst, at, distance, length)
		at += length
	}
	return at, nil
}

// extent decodes the rest of a length: bytes of 255 and one that is less.
func extent(src []byte) (n, used int) {
	for used < len(src) {
		b := src[used]
		used++
		n += int(b)
		if b != 255 {
			break
		}
	}
	return n, used
}

// copyMatch repeats the length bytes that stand distance before at. A match may
// overlap what it makes, which repeats it.
func copyMatch(dst []byte, at, distance, length int) {
	if distance >= slack && length <= 4*slack {
		for end := at + length; at < end; at += slack {
			*(*[slack]byte)(dst[at:]) = [slack]byte(dst[at-distance:])
		}
		return
	}
	for length > distance {
		copy(dst[at:at+distance], dst[at-distance:])
		at, length = at+distance, length-distance
		// What was copied is now part of the pattern, twice as long.
		distance *= 2
	}
	copy(dst[at:at+length], dst[at-distance:])
}
