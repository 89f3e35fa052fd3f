package host

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"
)

// recordedFS is the file system of a machine that is recorded.
type recordedFS struct {
	live fs.FS
	to   *Recorder
}

var (
	_ fs.ReadLinkFS = (*recordedFS)(nil)
	_ fs.StatFS     = (*recordedFS)(nil)
	_ fs.ReadDirFS  = (*recordedFS)(nil)
)

// fail notes an error. That a name does not exist is noted only where a link
// leads nowhere: what a capture does not have does not exist there either.
func (f *recordedFS) fail(op, name string, err error) {
	if errors.Is(err, fs.ErrInvalid) && !fs.ValidPath(name) {
		return
	}
	if errors.Is(err, fs.ErrNotExist) {
		if op == "lstat" || op == "readlink" {
			return
		}
		if _, lerr := f.Lstat(name); lerr != nil {
			return
		}
	}
	f.to.note(name, func(n *node) {
		if n.Failures == nil {
			n.Failures = map[string]failure{}
		}
		if _, ok := n.Failures[op]; !ok {
			n.Failures[op] = f.to.failed(op, name, err)
		}
	})
}

// failed returns the error of an operation on a file as it may be written.
func (r *Recorder) failed(op, name string, err error) failure {
	f := failedFile(op, name, err)
	f.Text, f.Path = r.scrubText(f.Text), r.scrubText(f.Path)
	return f
}

// found notes what a name leads to.
func (f *recordedFS) found(name string, i fs.FileInfo) {
	f.to.note(name, func(n *node) {
		if n.Info == nil {
			n.Info = newInfo(i)
		}
	})
}

func (f *recordedFS) Stat(name string) (fs.FileInfo, error) {
	i, err := fs.Stat(f.live, name)
	if err != nil {
		f.fail("stat", name, err)
		return nil, err
	}
	f.found(name, i)
	return i, nil
}

func (f *recordedFS) Lstat(name string) (fs.FileInfo, error) {
	i, err := fs.Lstat(f.live, name)
	if err != nil {
		f.fail("lstat", name, err)
		return nil, err
	}
	if i.Mode()&fs.ModeSymlink == 0 {
		f.found(name, i)
		return i, nil
	}
	f.to.note(name, func(n *node) {
		if n.LinkInfo == nil {
			n.LinkInfo = newInfo(i)
		}
	})
	return i, nil
}

func (f *recordedFS) ReadLink(name string) (string, error) {
	target, err := fs.ReadLink(f.live, name)
	if err != nil {
		f.fail("readlink", name, err)
		return "", err
	}
	f.to.note(name, func(n *node) {
		if n.Link == "" {
			n.Link = f.to.scrubText(target)
		}
	})
	return target, nil
}

func (f *recordedFS) ReadDir(name string) ([]fs.DirEntry, error) {
	list, err := fs.ReadDir(f.live, name)
	if err != nil {
		var pe *fs.PathError
		op := "readdir"
		if errors.As(err, &pe) && pe.Op == "open" {
			op = "open"
		}
		f.fail(op, name, err)
		if op == "open" {
			return list, err
		}
	}
	// What the name leads to tells the replay that it is no link to follow.
	if i, serr := fs.Stat(f.live, name); serr == nil {
		f.found(name, i)
	}
	out := make([]fs.DirEntry, len(list))
	names := make([]string, len(list))
	for i, e := range list {
		child := path.Join(name, e.Name())
		out[i] = &entry{name: e.Name(), mode: e.Type(), info: func() (fs.FileInfo, error) { return f.Lstat(child) }}
		names[i] = string(typeLetter(e.Type())) + f.to.scrubText(e.Name())
	}
	f.to.note(name, func(n *node) {
		if n.Entries == nil {
			n.Entries = names
		}
	})
	return out, err
}

func (f *recordedFS) Open(name string) (fs.File, error) {
	file, err := f.live.Open(name)
	if err != nil {
		f.fail("open", name, err)
		return nil, err
	}
	i, err := file.Stat()
	if err != nil {
		return file, nil
	}
	f.found(name, i)
	switch {
	case i.IsDir():
		return &folder{info: i, list: func() ([]fs.DirEntry, error) { return f.ReadDir(name) }}, file.Close()
	case !i.Mode().IsRegular():
		return file, nil
	}
	return f.to.copy(name, i, file)
}

// copy records a file and returns it to be read: out of memory, so that facts
// see what was recorded of files that change, or as it was where it is too long
// for that.
func (r *Recorder) copy(name string, i fs.FileInfo, file fs.File) (fs.File, error) {
	data, err := io.ReadAll(io.LimitReader(file, r.whole+1))
	parts := [][2]int64(nil)
	if int64(len(data)) > r.whole {
		if data, parts, err = r.ends(file, i.Size()); err != nil {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.leaveOut(name, "longer than a file of a capture, and its end cannot be read")
			return rewound(file)
		}
	}
	r.store(name, data, parts, err)
	if parts != nil {
		return rewound(file)
	}
	return &content{
		info: i, name: name, from: bytes.NewReader(data), parts: [][2]int64{{0, int64(len(data))}}, failure: err, close: file.Close,
	}, nil
}

// rewound returns a file at its beginning.
func rewound(file fs.File) (fs.File, error) {
	s, ok := file.(io.Seeker)
	if !ok {
		return file, nil
	}
	if _, err := s.Seek(0, io.SeekStart); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// ends reads the beginning and the end of a file.
func (r *Recorder) ends(file fs.File, size int64) ([]byte, [][2]int64, error) {
	from, ok := file.(io.ReaderAt)
	if !ok || size <= r.head+r.tail {
		return nil, nil, errors.ErrUnsupported
	}
	data := make([]byte, r.head+r.tail)
	if _, err := from.ReadAt(data[:r.head], 0); err != nil {
		return nil, nil, err
	}
	if _, err := from.ReadAt(data[r.head:], size-r.tail); err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	return data, [][2]int64{{0, r.head}, {size - r.tail, r.tail}}, nil
}

// store keeps the content of a file, once.
func (r *Recorder) store(name string, data []byte, parts [][2]int64, err error) {
	r.note(name, func(n *node) {
		if n.stored != "" {
			return
		}
		n.stored = storedName(r.scrubText(name))
		// Another name has this one where case does not count.
		for last := ""; r.written[strings.ToLower(n.stored)] && n.stored != last; {
			last, n.stored = n.stored, escapeCase(n.stored)
		}
		r.written[strings.ToLower(n.stored)] = true
		n.Parts = parts
		if err != nil {
			if n.Failures == nil {
				n.Failures = map[string]failure{}
			}
			n.Failures["read"] = r.failed("read", name, err)
		}
		r.keep(path.Join(captureFiles, n.stored), data)
	})
}
