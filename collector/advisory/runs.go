package advisory

import (
	"bufio"
	"bytes"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// runBytes is how much is sorted in memory at once.
const runBytes = 32 << 20

// sorter puts any number of rows in order with a bounded memory: what does not fit
// lies in files that are sorted each, and are merged at the end.
type sorter struct {
	dir   string
	arena []byte
	rows  []row
	files []*os.File
	limit int
}

// row is a key and a value in the arena.
type row struct{ key, value []byte }

func compareRows(a, b row) int {
	if c := bytes.Compare(a.key, b.key); c != 0 {
		return c
	}
	return bytes.Compare(a.value, b.value)
}

func newSorter(dir string, limit int) *sorter {
	return &sorter{dir: dir, arena: make([]byte, 0, limit), limit: limit}
}

// add takes in a row.
func (s *sorter) add(key, value []byte) error {
	if len(s.arena)+len(key)+len(value) > s.limit && len(s.rows) > 0 {
		if err := s.spill(); err != nil {
			return err
		}
	}
	start := len(s.arena)
	s.arena = append(append(s.arena, key...), value...)
	all := s.arena[start:]
	s.rows = append(s.rows, row{all[:len(key):len(key)], all[len(key):]})
	return nil
}

// spill writes what is held to a file of its own.
func (s *sorter) spill() error {
	f, err := os.CreateTemp(s.dir, ".sort-*")
	if err != nil {
		return fmt.Errorf("sort advisories: %w", err)
	}
	s.files = append(s.files, f)
	slices.SortFunc(s.rows, compareRows)
	w := bufio.NewWriterSize(f, 1<<18)
	for _, r := range s.rows {
		writeBytes(w, r.key)
		writeBytes(w, r.value)
	}
	s.arena, s.rows = make([]byte, 0, s.limit), s.rows[:0]
	if err := w.Flush(); err != nil {
		return fmt.Errorf("sort advisories: %w", err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("sort advisories: %w", err)
	}
	return nil
}

// each calls fn with all rows in order. The bytes are only valid during the call.
func (s *sorter) each(fn func(key, value []byte) error) error {
	slices.SortFunc(s.rows, compareRows)
	if len(s.files) == 0 {
		for _, r := range s.rows {
			if err := fn(r.key, r.value); err != nil {
				return err
			}
		}
		return nil
	}
	if err := s.spill(); err != nil {
		return err
	}
	var open runs
	for _, f := range s.files {
		r := &run{from: bufio.NewReaderSize(f, 1<<16)}
		if ok, err := r.next(); err != nil {
			return err
		} else if ok {
			open = append(open, r)
		}
	}
	heap.Init(&open)
	for len(open) > 0 {
		first := open[0]
		if err := fn(first.key, first.value); err != nil {
			return err
		}
		ok, err := first.next()
		if err != nil {
			return err
		}
		if ok {
			heap.Fix(&open, 0)
		} else {
			heap.Pop(&open)
		}
	}
	return nil
}

// close removes the files.
func (s *sorter) close() error {
	var errs []error
	for _, f := range s.files {
		errs = append(errs, f.Close(), os.Remove(f.Name()))
	}
	return errors.Join(errs...)
}

// run is one sorted file being read.
type run struct {
	row
	from *bufio.Reader
}

func (r *run) next() (bool, error) {
	var err error
	if r.key, err = readBytes(r.from, r.key); errors.Is(err, io.EOF) {
		return false, nil
	}
	if err == nil {
		r.value, err = readBytes(r.from, r.value)
	}
	if err != nil {
		return false, fmt.Errorf("sort advisories: %w", err)
	}
	return true, nil
}

// runs is a heap by what comes first.
type runs []*run

// Len implements heap.Interface.
func (r runs) Len() int { return len(r) }

// Less implements heap.Interface.
func (r runs) Less(i, j int) bool { return compareRows(r[i].row, r[j].row) < 0 }

// Swap implements heap.Interface.
func (r runs) Swap(i, j int) { r[i], r[j] = r[j], r[i] }

// Push implements heap.Interface.
func (r *runs) Push(x any) { *r = append(*r, x.(*run)) }

// Pop implements heap.Interface.
func (r *runs) Pop() any {
	last := (*r)[len(*r)-1]
	*r = (*r)[:len(*r)-1]
	return last
}

// writeBytes writes bytes with their length; an error stays in the writer.
func writeBytes(w *bufio.Writer, b []byte) {
	var n [binary.MaxVarintLen64]byte
	_, _ = w.Write(n[:binary.PutUvarint(n[:], uint64(len(b)))])
	_, _ = w.Write(b)
}

// readBytes reads bytes with their length into a buffer.
func readBytes(r *bufio.Reader, into []byte) ([]byte, error) {
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return nil, err
	}
	if n > MaxRecord {
		return nil, errors.New("a row is longer than any that was written")
	}
	into = slices.Grow(into[:0], int(n))[:n]
	if _, err := io.ReadFull(r, into); err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	return into, nil
}
