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
		// Most runs and matches are short: what their lengths in the token say
		// is all of it, and a copy of constant size is enough.
		if distance := shortRun(dst, at, limit, token, src[i:]); distance > 0 {
			at += literals
			length := int(token&15) + 4
			*(*[slack]byte)(dst[at:]) = [slack]byte(dst[at-distance:])
			at, i = at+length, i+literals+2
			continue
		}
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

// shortRun copies the literals of a token, whose block goes on with src, that is
// followed by a match of up to 18 bytes which does not overlap what it makes, far enough from both ends, and
// returns that match's distance; 0, having changed nothing that counts, for any
// other token.
func shortRun(dst []byte, at, limit int, token byte, src []byte) (distance int) {
	literals, length := int(token>>4), int(token&15)+4
	if literals == 15 || length == 19 || len(src) < 18 || limit-at < 32 {
		return 0
	}
	*(*[16]byte)(dst[at:]) = [16]byte(src)
	distance = int(binary.LittleEndian.Uint16(src[literals:]))
	if distance < length || distance > at+literals {
		return 0
	}
	return distance
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
	if length <= slack && distance >= length {
		*(*[slack]byte)(dst[at:]) = [slack]byte(dst[at-distance:])
		return
	}
	if distance >= slack && length <= 8*slack {
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
