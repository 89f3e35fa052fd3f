package host

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// errContentMissing is the error of reading a file of which a capture tells
// only that there is one.
var errContentMissing = fmt.Errorf("its content is not in the capture: %w", fs.ErrNotExist)

// content is an open file of a capture, or of the machine that is captured.
type content struct {
	info fs.FileInfo
	name string
	// from has the parts of the file one behind the other.
	from  io.ReaderAt
	parts [][2]int64
	// failure is the error behind the last part, nil for the end of the file.
	failure error
	close   func() error
	at      int64
}

var (
	_ io.ReaderAt = (*content)(nil)
	_ io.Seeker   = (*content)(nil)
)

func (c *content) Stat() (fs.FileInfo, error) { return c.info, nil }

func (c *content) Close() error {
	if c.close == nil {
		return nil
	}
	return c.close()
}

func (c *content) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := c.readAt(p, c.at)
	c.at += int64(n)
	if n > 0 {
		err = nil
	}
	return n, err
}

func (c *content) ReadAt(p []byte, at int64) (n int, err error) {
	if at < 0 {
		return 0, &fs.PathError{Op: "read", Path: c.name, Err: fs.ErrInvalid}
	}
	for n < len(p) && err == nil {
		var more int
		more, err = c.readAt(p[n:], at+int64(n))
		n += more
	}
	if n == len(p) {
		err = nil
	}
	return n, err
}

// readAt reads from one part.
func (c *content) readAt(p []byte, at int64) (int, error) {
	begins, end := int64(0), int64(0)
	for _, part := range c.parts {
		if at >= part[0] && at < part[0]+part[1] {
			p = p[:min(int64(len(p)), part[0]+part[1]-at)]
			n, err := c.from.ReadAt(p, begins+at-part[0])
			if n == len(p) {
				err = nil
			}
			return n, err
		}
		begins += part[1]
		end = max(end, part[0]+part[1])
	}
	switch {
	case at < end || at < c.info.Size() && len(c.parts) > 1:
		return 0, &fs.PathError{Op: "read", Path: c.name, Err: errContentMissing}
	case c.failure != nil:
		return 0, c.failure
	}
	return 0, io.EOF
}

func (c *content) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += c.at
	case io.SeekEnd:
		offset += c.info.Size()
	}
	if offset < 0 {
		return c.at, &fs.PathError{Op: "seek", Path: c.name, Err: fs.ErrInvalid}
	}
	c.at = offset
	return offset, nil
}

// folder is an open folder.
type folder struct {
	info fs.FileInfo
	list func() ([]fs.DirEntry, error)
	rest []fs.DirEntry
	read bool
}

var _ fs.ReadDirFile = (*folder)(nil)

func (d *folder) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *folder) Close() error               { return nil }
func (d *folder) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.info.Name(), Err: errors.New("is a directory")}
}

func (d *folder) ReadDir(n int) ([]fs.DirEntry, error) {
	var err error
	if !d.read {
		d.rest, err = d.list()
		d.read = true
	}
	if n <= 0 || n >= len(d.rest) {
		out := d.rest
		d.rest = nil
		if n > 0 && len(out) == 0 && err == nil {
			err = io.EOF
		}
		return out, err
	}
	out := d.rest[:n:n]
	d.rest = d.rest[n:]
	return out, err
}

// entry is what is in a folder.
type entry struct {
	name string
	mode fs.FileMode
	info func() (fs.FileInfo, error)
}

func (e *entry) Name() string               { return e.name }
func (e *entry) IsDir() bool                { return e.mode.IsDir() }
func (e *entry) Type() fs.FileMode          { return e.mode }
func (e *entry) Info() (fs.FileInfo, error) { return e.info() }
func (e *entry) String() string             { return fs.FormatDirEntry(e) }
