package backup

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

const (
	chunksName = "chunks"
	// partial ends the names of what is not, or not yet, a good backup.
	partial = ".partial"
)

// ErrRolledBack says that a database is older than a backup of it.
var ErrRolledBack = errors.New("the store is older than a backup of it")

// Folder holds backups that share what did not change between them: an archive
// for each, which refers to chunks, and the chunks, each in a file under its
// own name, behind the SHA-256 of what is in the file. Only one process at a
// time may write to it.
type Folder struct{ dir string }

// OpenFolder makes the folder, readable by nobody else, if it is not there.
func OpenFolder(dir string) (*Folder, error) {
	f := &Folder{dir: dir}
	if err := os.MkdirAll(filepath.Join(dir, chunksName), 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of backups: %w", err)
	}
	return f, nil
}

func (f *Folder) hasChunks() bool {
	info, err := os.Stat(filepath.Join(f.dir, chunksName))
	return err == nil && info.IsDir()
}

// Archives returns the good backups, the oldest first.
func (f *Folder) Archives() ([]Archive, error) {
	entries, err := os.ReadDir(f.dir) // in the order of their names, and so of their times
	if err != nil {
		return nil, fmt.Errorf("look for backups: %w", err)
	}
	var all []Archive
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), Extension) {
			all = append(all, Archive{Path: filepath.Join(f.dir, e.Name()), folder: f})
		}
	}
	return all, nil
}

// Have returns the chunks of the good backups, which a new one need not bring.
// A backup that cannot be read counts for nothing.
func (f *Folder) Have() (map[ID]bool, error) {
	all, err := f.Archives()
	if err != nil {
		return nil, err
	}
	have := make(map[ID]bool)
	for _, a := range all {
		ids, err := a.references()
		if errors.Is(err, ErrDamaged) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			// What went missing is written again.
			if _, err := os.Stat(f.chunkPath(id)); err == nil {
				have[id] = true
			}
		}
	}
	return have, nil
}

// references returns the chunks that an archive refers to, without reading them.
func (a Archive) references() ([]ID, error) {
	file, err := os.Open(a.Path)
	if err != nil {
		return nil, fmt.Errorf("open the backup: %w", err)
	}
	defer file.Close()
	frames, err := newFrameReader(file)
	if err != nil {
		return nil, err
	}
	var ids []ID
	for {
		kind, payload, err := frames.next()
		if err != nil {
			return nil, fmt.Errorf("backup %s: %w", a.Path, err)
		}
		switch {
		case kind == kindEnd:
			return ids, nil
		case kind == kindReference && len(payload) == sha256.Size:
			ids = append(ids, ID(payload))
		}
	}
}

func (f *Folder) chunkPath(id ID) string {
	name := id.String()
	return filepath.Join(f.dir, chunksName, name[:2], name)
}

// chunk returns the packed content of a chunk.
func (f *Folder) chunk(id ID) ([]byte, error) {
	path := f.chunkPath(id)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, damagedf("its chunk %s is missing", path)
	}
	if err != nil {
		return nil, fmt.Errorf("read a chunk: %w", err)
	}
	if len(b) < sha256.Size || len(b) > maxFrame || sha256.Sum256(b[sha256.Size:]) != [sha256.Size]byte(b[:sha256.Size]) {
		return nil, damagedf("its chunk %s was changed", path)
	}
	return b[sha256.Size:], nil
}

func (f *Folder) putChunk(id ID, packed []byte) error {
	path := f.chunkPath(id)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	sum := sha256.Sum256(packed)
	return writeFile(path, func(w io.Writer) error {
		_, err := w.Write(append(sum[:], packed...))
		return err
	})
}

// writeFile writes a file whole or not at all, and durably.
func writeFile(path string, write func(io.Writer) error) error {
	file, err := os.OpenFile(path+partial, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	err = write(file)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, os.Remove(path+partial))
	}
	return os.Rename(path+partial, path)
}

// Receive takes in what Write wrote, in a backup that is not good yet: Keep
// makes it so once it was tried.
func (f *Folder) Receive(ctx context.Context, r io.Reader) (Archive, Info, error) {
	draft := filepath.Join(f.dir, "new"+Extension)
	var info Info
	err := writeFile(draft+partial, func(w io.Writer) (err error) {
		info, err = f.receive(ctx, r, w)
		return err
	})
	if err != nil {
		return Archive{}, info, fmt.Errorf("receive a backup: %w", err)
	}
	return Archive{Path: draft + partial, folder: f}, info, nil
}

// receive keeps the chunks of an archive and writes one that refers to them.
func (f *Folder) receive(ctx context.Context, r io.Reader, w io.Writer) (Info, error) {
	out, err := newFrameWriter(w)
	if err != nil {
		return Info{}, err
	}
	have, err := f.Have()
	if err != nil {
		return Info{}, err
	}
	info, err := visit(ctx, r, f.chunk, visitor{
		header: func(h Header) error {
			if err := f.checkMark(ctx, h); err != nil {
				return err
			}
			return writeJSON(out, kindHeader, h)
		},
		chunk: func(id ID, packed, _ []byte) error {
			if !have[id] {
				if err := f.putChunk(id, packed); err != nil {
					return err
				}
				have[id] = true
			}
			return out.write(kindReference, id[:])
		},
		file: func(file File) error { return writeJSON(out, kindFile, file) },
	})
	if err != nil {
		return info, err
	}
	return info, writeJSON(out, kindEnd, info.Summary)
}

// checkMark refuses a backup of a database that went back in time: it would
// soon take the place of those that hold more.
func (f *Folder) checkMark(ctx context.Context, h Header) error {
	all, err := f.Archives()
	if err != nil {
		return err
	}
	for _, a := range all {
		before, err := a.Header(ctx)
		if errors.Is(err, ErrDamaged) {
			continue
		}
		if err != nil {
			return err
		}
		was, is := before.Mark, h.Mark
		if was.Store == is.Store && (was.Commit > is.Commit || (was.Commit == is.Commit && was.Digest != is.Digest)) {
			return fmt.Errorf("%w: it stands at commit %d, and backup %s holds commit %d: restore that one, or write to another folder", ErrRolledBack, is.Commit, a.Path, was.Commit)
		}
	}
	return nil
}

// Keep makes a received backup a good one.
func (f *Folder) Keep(a Archive, info Info) (Archive, error) {
	name := fmt.Sprintf("%s-%d%s", info.CreatedAt.Format("20060102T150405Z"), info.Mark.Commit, Extension)
	kept := Archive{Path: filepath.Join(f.dir, name), folder: f}
	if err := os.Rename(a.Path, kept.Path); err != nil {
		return kept, fmt.Errorf("keep the backup: %w", err)
	}
	return kept, syncFolder(f.dir)
}

// Prune removes all but the newest backups, chunks that no backup refers to, and
// what was left by backups that were interrupted. It removes no chunk while a
// backup cannot be read.
func (f *Folder) Prune(keep int) (removed int, err error) {
	all, err := f.Archives()
	if err != nil {
		return 0, err
	}
	used := make(map[string]bool)
	for _, a := range all[max(0, len(all)-keep):] {
		ids, err := a.references()
		if err != nil {
			return 0, fmt.Errorf("remove old backups: %w", err)
		}
		for _, id := range ids {
			used[id.String()] = true
		}
	}
	for _, a := range all[:max(0, len(all)-keep)] {
		if err := os.Remove(a.Path); err != nil {
			return removed, fmt.Errorf("remove an old backup: %w", err)
		}
		removed++
	}
	return removed, f.sweep(used)
}

func (f *Folder) sweep(used map[string]bool) error {
	err := filepath.WalkDir(f.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		isChunk := filepath.Base(filepath.Dir(filepath.Dir(path))) == chunksName
		if strings.HasSuffix(path, partial) || (isChunk && !used[d.Name()]) {
			return os.Remove(path)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("remove what no backup needs: %w", err)
	}
	return nil
}

// ReceiveFile takes in what Write wrote as a backup of its own, under a name
// that is not good yet: KeepFile makes it so once it was tried.
func ReceiveFile(ctx context.Context, path string, r io.Reader) (Archive, Info, error) {
	draft := path + partial
	var info Info
	err := writeFile(draft, func(w io.Writer) (err error) {
		info, err = visit(ctx, io.TeeReader(r, w), nil, visitor{})
		return err
	})
	if err != nil {
		return Archive{}, info, fmt.Errorf("receive a backup: %w", err)
	}
	return Archive{Path: draft}, info, nil
}

// KeepFile gives a received backup its name.
func KeepFile(a Archive, path string) (Archive, error) {
	if err := os.Rename(a.Path, path); err != nil {
		return a, fmt.Errorf("keep the backup: %w", err)
	}
	return Archive{Path: path}, syncFolder(filepath.Dir(path))
}

func syncFolder(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // folders cannot be synced there, nor need be
	}
	d, err := os.Open(dir)
	if err == nil {
		err = errors.Join(d.Sync(), d.Close())
	}
	if err != nil {
		return fmt.Errorf("keep the backup: %w", err)
	}
	return nil
}
