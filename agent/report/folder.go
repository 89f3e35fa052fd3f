package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Files of the state folder. Each is replaced as a whole, so that a reader
// sees the old or the new one.
const (
	identityFile = "identity.json" // key, certificate, authorities
	pendingFile  = "pending.json"  // key and request of a call whose answer is not here yet
	statusFile   = "status.json"   // what the collector acknowledged; losing it costs one full report
	reportedFile = "reported.json" // what was reported, for people to look at; losing it costs nothing
)

// maxStateBytes bounds what is read of a state file, maxReportedBytes what of
// the reported sections: one that is larger is not ours.
const (
	maxStateBytes    = 1 << 20
	maxReportedBytes = 24 << 20
)

// Folder is where an agent keeps its key, certificate and last digests. The
// zero Folder keeps nothing, for agents that live as long as a process.
type Folder struct{ dir string }

// OpenFolder makes the folder where it is missing, readable by its owner only.
func OpenFolder(dir string) (Folder, error) {
	if dir == "" {
		return Folder{}, errors.New("no state folder given: set --state-dir")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Folder{}, fmt.Errorf("make the state folder %s: %w", dir, err)
	}
	return Folder{dir: dir}, nil
}

// Forget removes all that the folder holds, so that the next report is that of
// a device that was never seen.
func (f Folder) Forget() error {
	var errs []error
	for _, name := range []string{pendingFile, identityFile, statusFile, reportedFile} {
		if err := f.remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// read decodes a file of the folder strictly: half a file, an unknown field or
// more than one value is an error. A missing file gives fs.ErrNotExist.
func (f Folder) read(name string, into any) error { return f.readLong(name, into, maxStateBytes) }

// readLong is read for a file of at most longest bytes.
func (f Folder) readLong(name string, into any, longest int) error {
	if f.dir == "" {
		return fs.ErrNotExist
	}
	file, err := os.Open(filepath.Join(f.dir, name))
	if err != nil {
		return fmt.Errorf("open state: %w", err)
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, int64(longest)+1))
	if err != nil {
		return fmt.Errorf("read state: %w", err)
	}
	if len(b) > longest {
		return fmt.Errorf("%s: larger than a state file can be", file.Name())
	}
	if err := decodeStrict(b, into); err != nil {
		return fmt.Errorf("%s: %w", file.Name(), err)
	}
	return nil
}

func decodeStrict(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("decode state: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("decode state: something follows the end")
	}
	return nil
}

// write replaces a file; it is on the disk when write returns, so that a key
// is never used before it would survive a power cut.
func (f Folder) write(name string, v any) (err error) {
	if f.dir == "" {
		return nil
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("write %s: %w", filepath.Join(f.dir, name), err)
		}
	}()
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	// CreateTemp makes it readable by its owner only.
	tmp, err := os.CreateTemp(f.dir, name+".tmp*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(append(b, '\n'))
	if err == nil {
		err = tmp.Sync()
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), filepath.Join(f.dir, name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return f.sync()
}

// sync makes a rename last. Some systems cannot sync a folder and need not.
func (f Folder) sync() error {
	d, err := os.Open(f.dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, fs.ErrInvalid) {
		return err
	}
	return nil
}

func (f Folder) remove(name string) error {
	if f.dir == "" {
		return nil
	}
	if err := os.Remove(filepath.Join(f.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove state: %w", err)
	}
	return nil
}
