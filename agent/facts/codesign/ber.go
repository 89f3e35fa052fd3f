package codesign

import "errors"

// maxNesting is how deep elements lie in each other at most.
const maxNesting = 24

var errBER = errors.New("not in BER")

// element is a value in ASN.1's Basic Encoding Rules (X.690). Apple leaves the
// lengths of the outer parts of its messages open, which DER does not allow.
type element struct {
	// tag is the whole first byte: 0x30 is a sequence, 0xa0 what is tagged 0.
	tag byte
	// full is all of it, and body what it holds.
	full, body []byte
}

// next returns the first element, and what follows it.
func next(b []byte, depth int) (e element, rest []byte, err error) {
	if len(b) < 2 || b[0]&0x1f == 0x1f || depth > maxNesting {
		return e, nil, errBER
	}
	e.tag = b[0]
	if b[1] == 0x80 {
		return open(b, depth)
	}
	head, size := 2, int(b[1])
	if size > 0x80 {
		count := size & 0x7f
		if count > 4 || len(b) < 2+count {
			return e, nil, errBER
		}
		head, size = 2+count, 0
		for _, c := range b[2:head] {
			size = size<<8 | int(c)
		}
	}
	if size < 0 || size > len(b)-head {
		return e, nil, errBER
	}
	e.full, e.body = b[:head+size], b[head:head+size]
	return e, b[head+size:], nil
}

// open returns an element of open length, which ends at two zero bytes where
// another element could begin.
func open(b []byte, depth int) (element, []byte, error) {
	for at := b[2:]; len(at) >= 2; {
		if at[0] == 0 && at[1] == 0 {
			end := len(b) - len(at)
			return element{tag: b[0], full: b[:end+2], body: b[2:end]}, at[2:], nil
		}
		_, rest, err := next(at, depth+1)
		if err != nil {
			return element{}, nil, err
		}
		at = rest
	}
	return element{}, nil, errBER
}

// find returns the first of the elements in b that has a tag.
func find(b []byte, tag byte) (element, error) {
	for len(b) > 0 {
		e, rest, err := next(b, 0)
		if err != nil {
			return e, err
		}
		if e.tag == tag {
			return e, nil
		}
		b = rest
	}
	return element{}, errBER
}
