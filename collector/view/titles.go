package view

import (
	"encoding/binary"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// titles numbers the titles that were seen since the view was made. It is
// locked by itself, since questions look names up in it.
type titles struct {
	mu sync.RWMutex
	// rows holds each title as a software row without times. It is only ever
	// appended to.
	rows    []*pb.Software
	numbers map[store.TitleID]uint32
	// names holds the titles of one name whatever the case of its letters.
	names map[string]*name
	list  []*name
	// products holds the titles of one kind and name, by id.
	products map[string]*product
}

// name is what some titles are called.
type name struct {
	lower  string
	titles []uint32
}

func newTitles() titles {
	return titles{numbers: make(map[store.TitleID]uint32), names: make(map[string]*name), products: make(map[string]*product)}
}

// posting is the rows that have a title.
type posting struct {
	epoch uint64
	rows  *roaring.Bitmap
}

// fold maps names that strings.EqualFold holds for equal to one text.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, s)
}

// add numbers a title.
func (t *titles) add(id store.TitleID, row *pb.Software) uint32 {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := uint32(len(t.rows))
	t.rows = append(t.rows, row)
	t.numbers[id] = n
	key := fold(row.GetName())
	at := t.names[key]
	if at == nil {
		at = &name{lower: strings.ToLower(row.GetName())}
		t.names[key], t.list = at, append(t.list, at)
	}
	at.titles = append(at.titles, n)
	key = ProductID(row.GetKind(), row.GetName())
	p := t.products[key]
	if p == nil {
		p = &product{id: key, name: at}
		t.products[key] = p
	}
	p.titles = append(p.titles, n)
	return n
}

// number returns the number of a title, which is read where it is new.
func (t *titles) number(tx *store.Tx, id store.TitleID) (uint32, error) {
	t.mu.RLock()
	n, ok := t.numbers[id]
	t.mu.RUnlock()
	if ok {
		return n, nil
	}
	row, err := tx.Title(id)
	if err != nil {
		return 0, err
	}
	return t.add(id, row), nil
}

// numbered returns the numbers of titles.
func (t *titles) numbered(tx *store.Tx, ids []store.TitleID) ([]uint32, error) {
	numbers := make([]uint32, len(ids))
	for i, id := range ids {
		var err error
		if numbers[i], err = t.number(tx, id); err != nil {
			return nil, err
		}
	}
	return numbers, nil
}

// named returns the titles below a bound that have the name.
func (t *titles) named(text string, below int) []uint32 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.names[fold(text)].below(below)
}

// like returns the titles below a bound whose names, in lower case, contain a
// text.
func (t *titles) like(lower string, below int) []uint32 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var out []uint32
	for _, n := range t.list {
		if strings.Contains(n.lower, lower) {
			out = append(out, n.below(below)...)
		}
	}
	return out
}

// below returns the titles of the name that are below a bound.
func (n *name) below(bound int) []uint32 {
	if n == nil {
		return nil
	}
	end, _ := slices.BinarySearch(n.titles, uint32(bound))
	return n.titles[:end:end]
}

// Titles of a row are packed as a mark, so that none is not the same as not
// stated, and the distances of their numbers.
const statedMark = "\x01"

func packTitles(numbers []uint32) string {
	slices.Sort(numbers)
	b := append(make([]byte, 0, 2*len(numbers)+1), statedMark...)
	var last uint32
	for _, n := range numbers {
		b = binary.AppendUvarint(b, uint64(n-last))
		last = n
	}
	return string(b)
}

// eachTitle calls fn with the titles of a row, in order.
func eachTitle(packed string, fn func(title uint32)) {
	for c := startTitles(packed); c.next(); {
		fn(c.title)
	}
}

// unpackTitles returns the titles of a row, in order.
func unpackTitles(packed string) []uint32 {
	out := make([]uint32, 0, len(packed))
	eachTitle(packed, func(title uint32) { out = append(out, title) })
	return out
}

// compareTitles calls gone and come with the titles that only one of two rows
// has. A title that a row has several times is the same as one that it has once.
func compareTitles(before, after string, gone, come func(title uint32)) {
	a, b := startTitles(before), startTitles(after)
	inA, inB := a.next(), b.next()
	for inA || inB {
		switch {
		case !inB || inA && a.title < b.title:
			gone(a.title)
			inA = a.skip()
		case !inA || b.title < a.title:
			come(b.title)
			inB = b.skip()
		default:
			inA, inB = a.skip(), b.skip()
		}
	}
}

// titleCursor walks over packed titles.
type titleCursor struct {
	rest  string
	title uint32
}

func startTitles(packed string) titleCursor {
	if packed == "" {
		return titleCursor{}
	}
	return titleCursor{rest: packed[len(statedMark):]}
}

// next goes to the next title, and tells whether there is one.
func (c *titleCursor) next() bool {
	if c.rest == "" {
		return false
	}
	var step uint32
	for i := 0; ; i++ {
		b := c.rest[i]
		step |= uint32(b&0x7f) << (7 * i)
		if b < 0x80 {
			c.rest = c.rest[i+1:]
			break
		}
	}
	c.title += step
	return true
}

// skip goes to the next other title, and tells whether there is one.
func (c *titleCursor) skip() bool {
	for at := c.title; c.next(); {
		if c.title != at {
			return true
		}
	}
	return false
}
