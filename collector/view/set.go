package view

import "math/bits"

// set is a set of rows.
type set []uint64

func newSet(rows uint32) set { return make(set, (rows+63)/64) }

func (s set) add(row uint32)      { s[row/64] |= 1 << (row % 64) }
func (s set) has(row uint32) bool { return s[row/64]&(1<<(row%64)) != 0 }

func (s set) len() int {
	n := 0
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

// or adds the rows of another set of the same size.
func (s set) or(other set) {
	for i, w := range other {
		s[i] |= w
	}
}

// minus returns the rows that are not in another set of the same size.
func (s set) minus(other set) set {
	out := make(set, len(s))
	for i, w := range s {
		out[i] = w &^ other[i]
	}
	return out
}

// and returns the rows that are in another set of the same size too.
func (s set) and(other set) set {
	out := make(set, len(s))
	for i, w := range s {
		out[i] = w & other[i]
	}
	return out
}

// each calls fn with every row, in order, until it returns false.
func (s set) each(fn func(row uint32) bool) {
	for i, w := range s {
		for ; w != 0; w &= w - 1 {
			if !fn(uint32(i*64 + bits.TrailingZeros64(w))) {
				return
			}
		}
	}
}
