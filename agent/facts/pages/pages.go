// Package pages reads files that are made of pages, such as databases, bit by
// bit, and counts what is damaged in them.
package pages

import (
	"errors"
	"fmt"
	"io"
)

// WindowSize is how many bytes a window holds that is read from beginning to
// end.
const WindowSize = 128 << 10

// File is the bytes of a file.
type File struct {
	io.ReaderAt
	// Size is the number of bytes.
	Size int64
}

// Damage collects errors that cost one entry each; a file can hold as many as
// it has bytes, so only the first few are kept in words.
type Damage struct {
	first []error
	count int
}

// Add takes in what one entry costs.
func (d *Damage) Add(err error) {
	if d.count++; len(d.first) < 3 {
		d.first = append(d.first, err)
	}
}

// Err returns the number of errors and the first few of them, nil for none.
func (d *Damage) Err() error {
	if d.count == 0 {
		return nil
	}
	return fmt.Errorf("%d damaged entries left out: %w", d.count, errors.Join(d.first...))
}

// Window reads a file through a buffer. Reading that goes on where it stopped
// is read ahead, twice as far each time, so that pages which follow one another
// cost one system call for many, and pages that do not cost no more than they
// are long.
type Window struct {
	file File
	buf  []byte
	off  int64
	n    int
}

// NewWindow returns a window of a size in bytes.
func NewWindow(f File, size int) *Window { return &Window{file: f, buf: make([]byte, size)} }

// Size returns the number of bytes of the whole file.
func (w *Window) Size() int64 { return w.file.Size }

// At returns n bytes from off, valid until the next call. It fails if the file
// does not have them all or n is larger than the window.
func (w *Window) At(off int64, n int) ([]byte, error) {
	if off < 0 || n < 0 || n > len(w.buf) || off > w.file.Size-int64(n) {
		return nil, fmt.Errorf("%d bytes at %d: outside the file of %d bytes", n, off, w.file.Size)
	}
	if off < w.off || off+int64(n) > w.off+int64(w.n) {
		size := n
		if off >= w.off && off <= w.off+int64(w.n) {
			size = min(max(n, 2*w.n), len(w.buf))
		}
		got, err := w.file.ReadAt(w.buf[:size], off)
		w.off, w.n = off, got
		if got < n {
			return nil, fmt.Errorf("read %d bytes at %d: %w", n, off, err)
		}
	}
	i := int(off - w.off)
	return w.buf[i : i+n], nil
}
