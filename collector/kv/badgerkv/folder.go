package badgerkv

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/dgraph-io/badger/v4"
)

func badgerDir(dir string) string { return filepath.Join(dir, badgerFolder) }

// prepareFolder makes the data folder, readable by nobody else, and makes sure
// that it can be written.
func prepareFolder(dir string) error {
	if dir == "" {
		return errors.New("no data folder is configured")
	}
	if err := os.MkdirAll(badgerDir(dir), 0o700); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	// Badger's files are readable by all: the folder must not be.
	if err := os.Chmod(badgerDir(dir), 0o700); err != nil { //nolint:gosec // a folder needs its x bit
		return fmt.Errorf("protect the data folder: %w", err)
	}
	probe, err := os.CreateTemp(dir, ".write-*")
	if err != nil {
		return fmt.Errorf("data folder %s cannot be written by this user: %w", dir, err)
	}
	if err := errors.Join(probe.Close(), os.Remove(probe.Name())); err != nil {
		return fmt.Errorf("try to write data folder %s: %w", dir, err)
	}
	return nil
}

// otherMagic is a version of the manifest that no store of ours has.
const otherMagic = 0xFFFF

// CheckUnused returns an error if another process has the store in dir open. Badger
// takes its lock before it looks at anything, so an open that must fail at the
// manifest tries the lock and changes nothing.
func CheckUnused(dir string) error {
	files := badgerDir(dir)
	if _, err := os.Stat(filepath.Join(files, badger.ManifestFilename)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	owner := lockOwner(files)
	db, err := badger.Open(badger.DefaultOptions(files).WithLogger(nil).WithExternalMagic(otherMagic))
	if err == nil {
		return errors.Join(errors.New("the store's manifest has an unknown version"), db.Close())
	}
	if isLocked(err) {
		return usedError(dir, owner)
	}
	return nil
}

func isLocked(err error) bool {
	return strings.Contains(err.Error(), "Cannot acquire directory lock")
}

// openError explains why Badger did not open.
func openError(dir string, err error) error {
	if isLocked(err) {
		return usedError(dir, lockOwner(badgerDir(dir)))
	}
	for _, own := range []string{"permission denied", "no space left", "too many open files", "cannot allocate memory"} {
		if strings.Contains(err.Error(), own) {
			return fmt.Errorf("open the store in data folder %s: %w", dir, err)
		}
	}
	// Its files can be read, and are not what Badger wrote.
	return fmt.Errorf("data folder %s: %w", dir, damagedf("the storage engine does not open its files: %s", firstLine(err.Error())))
}

func usedError(dir, owner string) error {
	return fmt.Errorf("data folder %s is used by another collector%s: stop it or choose another folder", dir, owner)
}

// lockOwner returns the process that Badger noted in its lock file, for people.
func lockOwner(files string) string {
	b, err := os.ReadFile(filepath.Join(files, "LOCK"))
	if err != nil {
		return ""
	}
	return fmt.Sprintf(" (process %s)", strings.TrimSpace(string(b)))
}

// dropHollow removes files that Badger would not open and makes anew: value logs,
// which hold nothing but their header since all values are in the tables, and the
// registry of the keys that nothing is encrypted with. A process that is killed
// while it makes one leaves it so.
func dropHollow(dir string, logger *slog.Logger) error {
	entries, err := os.ReadDir(badgerDir(dir))
	if err != nil {
		return fmt.Errorf("read the store's folder: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(badgerDir(dir), e.Name())
		if filepath.Ext(path) != ".vlog" && e.Name() != badger.KeyRegistryFileName {
			continue
		}
		if ok, err := hasHeader(path); err != nil {
			return fmt.Errorf("look at %s: %w", path, err)
		} else if ok {
			continue
		}
		logger.Warn("file without a usable header is removed, it held nothing", "file", path)
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("remove an unusable file: %w", err)
		}
	}
	return nil
}

// registrySize is that of a registry without keys.
const registrySize = 28

func hasHeader(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	head := make([]byte, walHeader)
	if filepath.Ext(path) != ".vlog" {
		head = make([]byte, registrySize)
	}
	_, err = io.ReadFull(f, head)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return false, nil
	}
	return err == nil && (len(head) == registrySize || plainLog(head)), err
}
