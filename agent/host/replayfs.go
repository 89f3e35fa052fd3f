package host

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// maxNames bounds the names that a capture has.
const maxNames = 500_000

// replayedFS is the file system of a capture. It answers by what files.json
// and the content under files/ say of the very name that is asked for; only
// where they say nothing are links of files.json followed.
type replayedFS struct {
	content *os.Root
	nodes   map[string]*node
	// taken is the time of files of which none is known.
	taken time.Time
	// absent is the error of a name that does not exist, as the machine's OS
	// words it.
	absent error
}

var (
	_ fs.ReadLinkFS = (*replayedFS)(nil)
	_ fs.StatFS     = (*replayedFS)(nil)
	_ fs.ReadDirFS  = (*replayedFS)(nil)
)

// openFiles reads what there is of files in a capture.
func openFiles(r *replayed) (*replayedFS, error) {
	out := &replayedFS{nodes: map[string]*node{}, taken: r.machine.Time.UTC()}
	out.absent = &replayedError{text: "no such file or directory", kind: fs.ErrNotExist}
	if r.machine.OS == "windows" {
		out.absent = &replayedError{text: "The system cannot find the file specified.", kind: fs.ErrNotExist}
	}
	if err := r.decode(captureIndex, &out.nodes); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for name, n := range out.nodes {
		if n == nil || !fs.ValidPath(name) {
			return nil, fmt.Errorf("read %s: %.100q is no name of a file", captureIndex, name)
		}
		if err := n.check(); err != nil {
			return nil, fmt.Errorf("read %s: %.100q: %w", captureIndex, name, err)
		}
	}
	if info, err := r.root.Lstat(captureFiles); errors.Is(err, fs.ErrNotExist) {
		out.connect()
		return out, nil
	} else if err != nil || !info.IsDir() {
		return nil, fmt.Errorf("%s is no folder", captureFiles)
	}
	var err error
	if out.content, err = r.root.OpenRoot(captureFiles); err != nil {
		return nil, err
	}
	if err := out.findContent(); err != nil {
		return nil, errors.Join(err, out.content.Close())
	}
	out.connect()
	return out, nil
}

// findContent notes which files have content.
func (f *replayedFS) findContent() error {
	return fs.WalkDir(f.content.FS(), ".", func(stored string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case len(f.nodes) > maxNames:
			return fmt.Errorf("more than %d files", maxNames)
		case !d.IsDir() && !d.Type().IsRegular():
			return fmt.Errorf("%s/%s is neither file nor folder; links belong into %s", captureFiles, stored, captureIndex)
		}
		name, err := originalName(stored)
		if err != nil {
			return fmt.Errorf("read %s: %w", captureFiles, err)
		}
		n := f.nodes[name]
		if n == nil {
			n = new(node)
			f.nodes[name] = n
		}
		if d.IsDir() {
			n.below = map[string]fs.FileMode{}
		} else {
			n.stored = stored
		}
		return nil
	})
}

// connect notes in each folder what the capture knows to be in it.
func (f *replayedFS) connect() {
	names := slices.Collect(maps.Keys(f.nodes))
	for _, name := range names {
		for _, e := range f.nodes[name].Entries {
			f.nodes[name].enter(e[1:], typeOf(e[0]))
		}
	}
	for _, name := range names {
		if !f.nodes[name].exists() {
			continue
		}
		for child := name; child != "."; child = path.Dir(child) {
			parent := f.nodes[path.Dir(child)]
			if parent == nil {
				parent = new(node)
				f.nodes[path.Dir(child)] = parent
			}
			parent.enter(path.Base(child), f.nodes[child].typ())
		}
	}
}

func (n *node) enter(name string, mode fs.FileMode) {
	if n.below == nil {
		n.below = map[string]fs.FileMode{}
	}
	if _, ok := n.below[name]; !ok {
		n.below[name] = mode
	}
}

// exists tells whether the capture knows that there is such a file.
func (n *node) exists() bool {
	return n.Info != nil || n.LinkInfo != nil || n.Link != "" || n.stored != "" || n.below != nil
}

// typ returns the type of a file as a listing shows it.
func (n *node) typ() fs.FileMode {
	switch {
	case n.Link != "" || n.LinkInfo != nil:
		return fs.ModeSymlink
	case n.Info != nil:
		return n.Info.mode().Type()
	case n.stored == "" && n.below != nil:
		return fs.ModeDir
	}
	return 0
}

// find returns the node of a name and the name that it was found under: links
// are followed where the capture says nothing of the name itself. The last
// element is left alone unless last is set.
func (f *replayedFS) find(name string, last bool) (*node, string) {
	for range maxLinks {
		if n := f.nodes[name]; n != nil && (n.exists() || len(n.Failures) > 0) {
			if !last || n.Info != nil || n.Link == "" || len(n.Failures) > 0 {
				return n, name
			}
			name = target(name, n.Link)
			continue
		}
		above := name
		for {
			if above = path.Dir(above); above == "." {
				return nil, name
			}
			if n := f.nodes[above]; n != nil && n.Link != "" {
				name = path.Join(target(above, n.Link), strings.TrimPrefix(name, above+"/"))
				break
			}
		}
	}
	return nil, name
}

// target returns the name that a link leads to; above the root is the root.
func target(name, link string) string {
	link = strings.ReplaceAll(link, `\`, "/")
	if !path.IsAbs(link) {
		link = path.Join("/", path.Dir(name), link)
	}
	if link = strings.TrimPrefix(path.Clean(link), "/"); link == "" {
		return "."
	}
	return link
}

// look returns the node that answers an operation, or the error that does.
func (f *replayedFS) look(op, name string, last bool) (*node, string, error) {
	if !fs.ValidPath(name) {
		return nil, "", &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	n, real := f.find(name, last)
	if n == nil {
		return nil, "", &fs.PathError{Op: op, Path: name, Err: f.absent}
	}
	if failure, ok := n.Failures[op]; ok {
		return nil, "", failure.fileErr(op, name)
	}
	if !n.exists() {
		return nil, "", &fs.PathError{Op: op, Path: name, Err: f.absent}
	}
	return n, real, nil
}

// infoOf returns what is known of a file.
func (f *replayedFS) infoOf(n *node, name string) fs.FileInfo {
	i := n.Info
	switch {
	case i != nil:
	case n.stored == "" && n.below != nil:
		i = &info{Mode: "dr-xr-xr-x", Modified: f.taken}
	default:
		i = &info{Mode: "-r--r--r--", Modified: f.taken}
		if stored, err := f.content.Lstat(n.stored); n.stored != "" && err == nil {
			i.Size = stored.Size()
		}
	}
	return named{i, path.Base(name)}
}

func (f *replayedFS) Stat(name string) (fs.FileInfo, error) {
	n, _, err := f.look("stat", name, true)
	if err != nil {
		return nil, err
	}
	return f.infoOf(n, name), nil
}

func (f *replayedFS) Lstat(name string) (fs.FileInfo, error) {
	n, _, err := f.look("lstat", name, false)
	switch {
	case err != nil:
		// What a listing shows is there, whatever else is not known of it.
		if mode, ok := f.listed(name); ok && errors.Is(err, f.absent) {
			return named{&info{Mode: string(typeLetter(mode)) + "r--r--r--", Modified: f.taken}, path.Base(name)}, nil
		}
		return nil, err
	case n.LinkInfo != nil:
		return named{n.LinkInfo, path.Base(name)}, nil
	case n.Link != "":
		return named{&info{Mode: "lrwxrwxrwx", Modified: f.taken}, path.Base(name)}, nil
	}
	return f.infoOf(n, name), nil
}

// listed returns the type that a listing shows of a name.
func (f *replayedFS) listed(name string) (fs.FileMode, bool) {
	parent, _ := f.find(path.Dir(name), true)
	if parent == nil {
		return 0, false
	}
	mode, ok := parent.below[path.Base(name)]
	return mode, ok
}

func (f *replayedFS) ReadLink(name string) (string, error) {
	n, _, err := f.look("readlink", name, false)
	switch {
	case err != nil:
		return "", err
	case n.Link == "":
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	return n.Link, nil
}

func (f *replayedFS) ReadDir(name string) ([]fs.DirEntry, error) {
	n, _, err := f.look("open", name, true)
	if err != nil {
		return nil, err
	}
	out := make([]fs.DirEntry, 0, len(n.below))
	for child, mode := range n.below {
		out = append(out, &entry{name: child, mode: mode, info: func() (fs.FileInfo, error) { return f.Lstat(path.Join(name, child)) }})
	}
	slices.SortFunc(out, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	if failure, ok := n.Failures["readdir"]; ok {
		return out, failure.fileErr("readdir", name)
	}
	if n.stored != "" || n.Info != nil && !n.Info.mode().IsDir() {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errors.New("not a directory")}
	}
	return out, nil
}

func (f *replayedFS) Open(name string) (fs.File, error) {
	n, _, err := f.look("open", name, true)
	if err != nil {
		return nil, err
	}
	info := f.infoOf(n, name)
	if info.IsDir() {
		return &folder{info: info, list: func() ([]fs.DirEntry, error) { return f.ReadDir(name) }}, nil
	}
	out := &content{info: info, name: name, parts: n.Parts}
	if failure, ok := n.Failures["read"]; ok {
		out.failure = failure.fileErr("read", name)
	}
	if n.stored == "" {
		if out.failure == nil {
			return nil, &fs.PathError{Op: "open", Path: name, Err: errContentMissing}
		}
		return out, nil
	}
	file, err := f.content.Open(n.stored)
	if err != nil {
		return nil, fmt.Errorf("open the content of %s in the capture: %w", name, err)
	}
	out.from, out.close = file, file.Close
	if len(out.parts) == 0 {
		stored, err := file.Stat()
		if err != nil {
			return nil, fmt.Errorf("open the content of %s in the capture: %w", name, errors.Join(err, file.Close()))
		}
		out.parts = [][2]int64{{0, stored.Size()}}
	}
	return out, nil
}
