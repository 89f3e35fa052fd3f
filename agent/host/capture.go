package host

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
)

// maxLinks is how many symbolic links a name may lead through, as in Linux.
const maxLinks = 40

// capture is a file system in a folder, in which symbolic links are followed
// as they would be if the folder were the root. os.Root refuses every absolute
// link, but machines are full of them (/etc/localtime).
type capture struct{ root *os.Root }

var (
	_ fs.ReadLinkFS = capture{}
	_ fs.StatFS     = capture{}
	_ fs.ReadDirFS  = capture{}
)

func (c capture) Open(name string) (fs.File, error) {
	real, err := c.resolve("open", name, true)
	if err != nil {
		return nil, err
	}
	return c.root.Open(real)
}

func (c capture) Stat(name string) (fs.FileInfo, error) {
	real, err := c.resolve("stat", name, true)
	if err != nil {
		return nil, err
	}
	return c.root.Lstat(real)
}

func (c capture) Lstat(name string) (fs.FileInfo, error) {
	real, err := c.resolve("lstat", name, false)
	if err != nil {
		return nil, err
	}
	return c.root.Lstat(real)
}

func (c capture) ReadLink(name string) (string, error) {
	real, err := c.resolve("readlink", name, false)
	if err != nil {
		return "", err
	}
	return c.root.Readlink(real)
}

func (c capture) ReadDir(name string) ([]fs.DirEntry, error) {
	real, err := c.resolve("readdir", name, true)
	if err != nil {
		return nil, err
	}
	return fs.ReadDir(c.root.FS(), real)
}

// resolve returns a name without symbolic links in it; the last element is
// left alone unless last is set. What the answer leads to is still opened
// through os.Root, so a folder that changes meanwhile lets nothing out.
func (c capture) resolve(op, name string, last bool) (string, error) {
	if !fs.ValidPath(name) {
		return "", &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	real, rest := ".", name
	for links := 0; rest != "" && rest != "."; {
		element, after, _ := strings.Cut(rest, "/")
		next := path.Join(real, element)
		if element == ".." {
			// Above the root is the root.
			next = strings.TrimPrefix(path.Join("/", real, ".."), "/")
			real, rest = path.Join(".", next), after
			continue
		}
		if after == "" && !last {
			return next, nil
		}
		info, err := c.root.Lstat(next)
		if err != nil {
			return "", err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			real, rest = next, after
			continue
		}
		if links++; links > maxLinks {
			return "", &fs.PathError{Op: op, Path: name, Err: errors.New("too many symbolic links")}
		}
		target, err := c.root.Readlink(next)
		if err != nil {
			return "", err
		}
		if path.IsAbs(target) {
			real = "."
		}
		rest = strings.Trim(path.Clean(target)+"/"+after, "/")
	}
	return real, nil
}
