// Package host is the only code that touches the machine: it hands out files,
// kernel tables and listed commands as bytes for agent/facts to decode.
package host

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"time"
)

// Host is a machine, live or captured into a folder.
type Host struct {
	// FS is the machine's file system from its root; names as in fs.FS, so
	// "etc/os-release".
	FS fs.FS
	// Root is the folder FS is rooted at, for libraries that open files by
	// path: "/" on the live machine, on Windows that of the system drive.
	Root string
	// OS is the GOOS of the machine described, which for a capture need not be
	// that of this one.
	OS string
	// Now is the clock.
	Now func() time.Time

	// source answers what is asked beside files; nil where there are files only.
	source source
}

// Live returns the machine that this program runs on.
func Live() *Host {
	root := systemRoot()
	return &Host{FS: os.DirFS(root), Root: root, OS: runtime.GOOS, Now: time.Now, source: new(thisMachine)}
}

// Captured returns a machine whose files were copied into the folder dir; goos
// is the OS that it runs. What only a running machine can tell, such as free
// space, is answered with errors.ErrUnsupported. Symbolic links in it, absolute
// ones too, lead to files of the capture and never out of it, so that it cannot
// show files of this machine as its own.
func Captured(dir, goos string) (*Host, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the capture: %w", err)
	}
	return &Host{FS: capture{root}, Root: dir, OS: goos, Now: time.Now}, nil
}

// ReadFile returns a file of at most max bytes. A longer one is an error, as is
// anything but a regular file: reading a pipe or a device could last for ever.
// What was read before an error comes with it.
func (h *Host) ReadFile(name string, max int64) ([]byte, error) {
	info, err := fs.Stat(h.FS, name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read /%s: it is not a regular file", name)
	}
	f, err := h.FS.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	// Files of /proc have size 0 and those of /sys 4096, whatever they hold.
	buf := make([]byte, 0, min(max, info.Size(), 1<<20)+512)
	for {
		n, err := f.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case int64(len(buf)) > max:
			return buf[:max], fmt.Errorf("/%s is longer than %d bytes: the rest is not read", name, max)
		case err == io.EOF:
			return buf, nil
		case err != nil:
			return buf, fmt.Errorf("read /%s: %w", name, err)
		}
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
	}
}

// ReadTail returns the last max bytes of a file, all of a shorter one, and how
// long the whole file is. The file system must be able to read at an offset.
func (h *Host) ReadTail(name string, max int64) (tail []byte, size int64, err error) {
	info, err := fs.Stat(h.FS, name)
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("read /%s: it is not a regular file", name)
	}
	f, err := h.FS.Open(name)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	from, ok := f.(io.ReaderAt)
	if !ok {
		return nil, 0, fmt.Errorf("read the end of /%s: this file system reads from the start only", name)
	}
	size = info.Size()
	tail = make([]byte, min(size, max))
	if _, err := from.ReadAt(tail, size-int64(len(tail))); err != nil && err != io.EOF {
		return nil, 0, fmt.Errorf("read the end of /%s: %w", name, err)
	}
	return tail, size, nil
}
