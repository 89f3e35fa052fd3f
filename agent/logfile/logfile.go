// Package logfile writes a log into a file that is its owner's only and never
// grows beyond a bound: when it is full, it becomes the first of a few old ones.
package logfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
)

// File is a log. Its methods may be called by several goroutines.
type File struct {
	name string
	max  int64
	keep int

	mu   sync.Mutex
	file *os.File
	size int64
}

// Open opens the log of that name, or makes it, with its folder where that is
// missing. It has at most maxBytes, and keep full ones are kept beside it as
// name.1, which is the youngest, to name.<keep>. A name that is taken by
// anything but a file is an error: the log follows no links.
func Open(name string, maxBytes int64, keep int) (*File, error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return nil, fmt.Errorf("make the folder of the log: %w", err)
	}
	f := &File{name: name, max: maxBytes, keep: keep}
	if err := f.open(os.O_APPEND); err != nil {
		return nil, err
	}
	return f, nil
}

// open opens the file of the log. The caller holds mu, or is the only one.
func (f *File) open(mode int) error {
	info, err := os.Lstat(f.name)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return fmt.Errorf("log to %s: it is not a regular file", f.name)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("log: %w", err)
	}
	file, err := os.OpenFile(f.name, os.O_WRONLY|os.O_CREATE|mode, 0o600)
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	// One that was there may have been anybody's to read.
	err = file.Chmod(0o600)
	info, statErr := file.Stat()
	if err = errors.Join(err, statErr); err != nil {
		return fmt.Errorf("log: %w", errors.Join(err, file.Close()))
	}
	f.file, f.size = file, info.Size()
	return nil
}

// Write writes one entry. An entry that is longer than the file may be is cut.
func (f *File) Write(entry []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	part := entry[:min(int64(len(entry)), f.max)]
	if f.file == nil || f.size > 0 && f.size+int64(len(part)) > f.max {
		if err := f.rotate(); err != nil {
			return 0, err
		}
	}
	n, err := f.file.Write(part)
	f.size += int64(n)
	if err != nil {
		return n, fmt.Errorf("log: %w", err)
	}
	return len(entry), nil
}

// rotate begins a new file. Where the old one cannot be renamed, it is emptied:
// the bound holds whatever happens. It is closed first, as Windows renames no
// open file.
func (f *File) rotate() error {
	if f.file != nil {
		// What was written is written; there is nobody to tell.
		_ = f.file.Close()
		f.file = nil
	}
	for i := f.keep; i > 0; i-- {
		if err := os.Rename(f.numbered(i-1), f.numbered(i)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return f.open(os.O_TRUNC)
}

// numbered returns the name of an old log, or of the log for 0.
func (f *File) numbered(i int) string {
	if i == 0 {
		return f.name
	}
	return f.name + "." + strconv.Itoa(i)
}

// Close closes the file; what is written later opens it anew.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file == nil {
		return nil
	}
	err := f.file.Close()
	f.file = nil
	if err != nil {
		return fmt.Errorf("close the log: %w", err)
	}
	return nil
}
