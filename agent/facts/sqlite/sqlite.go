// Package sqlite reads one table of a SQLite database from beginning to end,
// from bytes, trusting none of them.
package sqlite

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/rollcall-itam/rollcall/agent/facts/pages"
)

// SQLite files after https://www.sqlite.org/fileformat2.html, as much of them
// as it takes to read one table from beginning to end.
const (
	// Magic begins every database.
	Magic    = "SQLite format 3\x00"
	leaf     = 0x0d
	interior = 0x05
	// A b-tree of 2^32 pages with two children each is 32 deep.
	maxDepth = 32
	// MaxRow is the longest row that can be read.
	MaxRow = 32 << 20
)

// Table is a table of a database.
type Table struct {
	Name string
	// MaxRow is how many bytes a row may have; 0 means MaxRow.
	MaxRow int
}

// database is an open SQLite file.
type database struct {
	db       *pages.Window
	log      *wal
	pageSize int
	// usable is what a page has for content.
	usable int
	pages  int64
	// budget is the number of pages that may still be read: as many as there
	// are, twice, for the schema and the table, so that loops end.
	budget int64
	// maxRow is how many bytes a row may have.
	maxRow int
	buf    []byte
	bad    *pages.Damage
}

// Each calls fn with every row of the table, in the order of row ids; a row is
// valid until fn returns. The write-ahead log is empty where there is none. What
// is damaged is added to bad and left out; an error of fn ends it.
func (t Table) Each(db, log pages.File, bad *pages.Damage, fn func(row []byte) error) error {
	s := &database{db: pages.NewWindow(db, pages.WindowSize), bad: bad, maxRow: t.MaxRow}
	if s.maxRow <= 0 || s.maxRow > MaxRow {
		s.maxRow = MaxRow
	}
	head, err := s.db.At(0, 100)
	if err != nil {
		return fmt.Errorf("sqlite header: %w", err)
	}
	s.pageSize = int(binary.BigEndian.Uint16(head[16:]))
	if s.pageSize == 1 {
		s.pageSize = 64 << 10
	}
	s.usable = s.pageSize - int(head[20])
	if s.pageSize < 512 || s.pageSize&(s.pageSize-1) != 0 || s.usable < 480 {
		return fmt.Errorf("sqlite header: page size %d, of which %d reserved", s.pageSize, head[20])
	}
	s.pages = db.Size / int64(s.pageSize)
	if s.log, err = openWAL(log, s.pageSize); err != nil {
		return fmt.Errorf("sqlite write-ahead log: %w", err)
	}
	if s.log.pages > 0 {
		s.pages = s.log.pages
	}
	s.budget = 2 * s.pages
	root := int64(0)
	err = s.walk(1, func(record []byte) error {
		name, page, err := schemaRow(record)
		if err != nil {
			bad.Add(fmt.Errorf("sqlite schema: %w", err))
		} else if name == t.Name {
			root = page
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("sqlite schema: %w", err)
	}
	if root == 0 {
		return fmt.Errorf("sqlite database without a table %s", t.Name)
	}
	if err := s.walk(root, fn); err != nil {
		return fmt.Errorf("sqlite table %s: %w", t.Name, err)
	}
	return nil
}

// page returns a copy of page n in buf.
func (s *database) page(n int64, buf []byte) ([]byte, error) {
	if s.budget--; s.budget < 0 {
		return nil, errors.New("more pages are linked than the file has: it is damaged")
	}
	b, err := s.peek(n)
	if err != nil {
		return nil, err
	}
	return append(buf[:0], b...), nil
}

// peek returns page n, valid until the next call.
func (s *database) peek(n int64) ([]byte, error) {
	if n < 1 || n > s.pages {
		return nil, fmt.Errorf("page %d of %d", n, s.pages)
	}
	if off, ok := s.log.at[uint32(n)]; ok {
		return s.log.file.At(off, s.pageSize)
	}
	return s.db.At((n-1)*int64(s.pageSize), s.pageSize)
}

// node is a page of the tree on the way from the root, and the next of its
// cells to look at.
type node struct {
	number int64
	page   []byte
	next   int
}

// walk calls fn with every record of the table that is rooted at a page, in
// order of row ids. A record is valid until fn returns.
func (s *database) walk(root int64, fn func(record []byte) error) error {
	stack := make([]node, 1, 8)
	stack[0].number = root
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		if top.page == nil {
			page, err := s.page(top.number, nil)
			if err != nil {
				if len(stack) == 1 {
					return err
				}
				s.bad.Add(fmt.Errorf("sqlite: %w", err))
				stack = stack[:len(stack)-1]
				continue
			}
			top.page = page
		}
		child, more, err := s.step(top, fn)
		if err != nil {
			return err
		}
		switch {
		case !more:
			stack = stack[:len(stack)-1]
		case child != 0 && len(stack) >= maxDepth:
			return fmt.Errorf("tree of more than %d levels: it is damaged", maxDepth)
		case child != 0:
			stack = append(stack, node{number: child})
		}
	}
	return nil
}

// step handles one page's records, or returns the next child of an inner page.
// more is false when the page has nothing left.
func (s *database) step(n *node, fn func([]byte) error) (child int64, more bool, err error) {
	start := 0
	if n.number == 1 {
		start = 100
	}
	kind, size := n.page[start], 8
	if kind == interior {
		size = 12
	}
	count := int(binary.BigEndian.Uint16(n.page[start+3:]))
	pointers := n.page[start+size : s.usable]
	if kind != leaf && kind != interior || 2*count > len(pointers) {
		s.bad.Add(fmt.Errorf("sqlite: page %d is no table page", n.number))
		return 0, false, nil
	}
	if kind == interior {
		switch i := n.next; {
		case i < count:
			n.next++
			off := int(binary.BigEndian.Uint16(pointers[2*i:]))
			if off+4 > s.usable {
				s.bad.Add(fmt.Errorf("sqlite: page %d: cell %d outside the page", n.number, i))
				return 0, true, nil
			}
			return int64(binary.BigEndian.Uint32(n.page[off:])), true, nil
		case i == count:
			n.next++
			return int64(binary.BigEndian.Uint32(n.page[start+8:])), true, nil
		}
		return 0, false, nil
	}
	for i := range count {
		record, err := s.record(n.page[:s.usable], int(binary.BigEndian.Uint16(pointers[2*i:])))
		if err != nil {
			s.bad.Add(fmt.Errorf("sqlite: page %d: cell %d: %w", n.number, i, err))
			continue
		}
		if err := fn(record); err != nil {
			return 0, false, err
		}
	}
	return 0, false, nil
}

// record returns the payload of the table leaf cell at off, joined from its
// overflow pages.
func (s *database) record(page []byte, off int) ([]byte, error) {
	cell := page[min(off, len(page)):]
	length, n := varint(cell)
	_, m := varint(cell[n:])
	if n == 0 || m == 0 {
		return nil, errors.New("outside the page")
	}
	cell = cell[n+m:]
	if length > uint64(s.maxRow) {
		return nil, fmt.Errorf("record of %d bytes, more than %d", length, s.maxRow)
	}
	size, local := int(length), int(length)
	if size > s.usable-35 {
		least := (s.usable-12)*32/255 - 23
		if local = least + (size-least)%(s.usable-4); local > s.usable-35 {
			local = least
		}
	}
	if local > len(cell) {
		return nil, errors.New("record outside the page")
	}
	if local == size {
		return cell[:size], nil
	}
	if local+4 > len(cell) {
		return nil, errors.New("record outside the page")
	}
	if int64(size) > s.pages*int64(s.pageSize) {
		return nil, fmt.Errorf("record of %d bytes, more than the file has", size)
	}
	s.buf = append(slices.Grow(s.buf[:0], size), cell[:local]...)
	for next := int64(binary.BigEndian.Uint32(cell[local:])); len(s.buf) < size; {
		if s.budget--; s.budget < 0 {
			return nil, errors.New("more pages are linked than the file has: it is damaged")
		}
		b, err := s.peek(next)
		if err != nil {
			return nil, fmt.Errorf("record of %d bytes ends after %d: %w", size, len(s.buf), err)
		}
		next = int64(binary.BigEndian.Uint32(b))
		s.buf = append(s.buf, b[4:min(s.usable, 4+size-len(s.buf))]...)
	}
	return s.buf, nil
}
