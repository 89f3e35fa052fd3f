package backup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/rollcall-itam/rollcall/collector/kv"
)

// Archive is one backup that was made.
type Archive struct {
	// Path is its file.
	Path string
	// folder has the chunks that it shares with others; nil for a file of its own.
	folder *Folder
}

// Open returns the backup at a path: a file, or the newest of a folder.
func Open(path string) (Archive, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Archive{}, fmt.Errorf("there is no backup: %w", err)
	}
	if !info.IsDir() {
		a := Archive{Path: path}
		if f := (&Folder{dir: filepath.Dir(path)}); f.hasChunks() {
			a.folder = f
		}
		return a, nil
	}
	f := &Folder{dir: path}
	all, err := f.Archives()
	if err != nil {
		return Archive{}, err
	}
	if len(all) == 0 {
		return Archive{}, fmt.Errorf("folder %s holds no backup", path)
	}
	return all[len(all)-1], nil
}

func (a Archive) visit(ctx context.Context, v visitor) (Info, error) {
	f, err := os.Open(a.Path)
	if err != nil {
		return Info{}, fmt.Errorf("open the backup: %w", err)
	}
	defer f.Close()
	var kept func(ID) ([]byte, error)
	if a.folder != nil {
		kept = a.folder.chunk
	}
	info, err := visit(ctx, f, kept, v)
	if err != nil {
		return info, fmt.Errorf("backup %s: %w", a.Path, err)
	}
	return info, nil
}

// Newer returns the backups of the same folder that were made later, the oldest
// first; none for a file of its own.
func (a Archive) Newer() ([]Archive, error) {
	if a.folder == nil {
		return nil, nil
	}
	all, err := a.folder.Archives()
	if err != nil {
		return nil, err
	}
	for i, b := range all {
		if filepath.Base(b.Path) == filepath.Base(a.Path) {
			return all[i+1:], nil
		}
	}
	return nil, nil
}

// Header returns what the backup says of itself, without reading all of it.
func (a Archive) Header(ctx context.Context) (Header, error) {
	enough := errors.New("enough")
	info, err := a.visit(ctx, visitor{header: func(Header) error { return enough }})
	if errors.Is(err, enough) {
		err = nil
	}
	return info.Header, err
}

// Verify reads the whole backup and checks every byte of it.
func (a Archive) Verify(ctx context.Context) (Info, error) {
	return a.visit(ctx, visitor{})
}

// Restore puts the backup's records into an empty database, calls file with
// each file beside it, and then reads the database again and compares. An error
// leaves a database that must be thrown away.
func (a Archive) Restore(ctx context.Context, db kv.DB, file func(File) error) (Info, error) {
	if err := empty(ctx, db); err != nil {
		return Info{}, err
	}
	load := newLoader(ctx, db)
	info, err := a.visit(ctx, visitor{file: file, chunk: func(_ ID, _, content []byte) error { return records(content, load.add) }})
	// An update that failed has ended the reading, and is the cause.
	if written := load.wait(); written != nil && (err == nil || errors.Is(err, context.Canceled)) {
		err = fmt.Errorf("write the restored records: %w", written)
	}
	if err != nil {
		return info, err
	}
	got, err := Measure(ctx, db)
	if err != nil {
		return info, err
	}
	if got.Records != info.Records || got.Digest != info.Digest {
		return info, fmt.Errorf("the restored database holds %d records, not the %d of backup %s: try again on another disk", got.Records, info.Records, a.Path)
	}
	return info, nil
}

// Records calls fn with each record that the backup holds, in the order of their
// keys; the slices are valid during the call only. All of the backup is checked.
func (a Archive) Records(ctx context.Context, fn func(key, value []byte) error) (Info, error) {
	return a.visit(ctx, visitor{chunk: func(_ ID, _, content []byte) error { return records(content, fn) }})
}

func empty(ctx context.Context, db kv.DB) error {
	return db.View(ctx, func(tx kv.Tx) error {
		return tx.Scan(nil, nil, func([]byte, []byte) error {
			return errors.New("the database to restore into is not empty")
		})
	})
}
