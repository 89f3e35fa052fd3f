package badgerkv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
)

// mark remembers the newest commit in a file outside Badger's folder, so that
// a store which came back older than it was is noticed.
//
// The file has two slots, a page apart, written in turn: a torn write leaves
// the other. Each commit writes its slot before it is acknowledged, which
// survives the death of the process; sync, called each second and on Close,
// makes it survive a power loss too.
type mark struct {
	file  *os.File
	dirty atomic.Bool
	// last is the newest commit that was written.
	last atomic.Pointer[head]
}

const (
	markName   = "mark"
	markSlot   = 4096
	markMagic  = "RCMARK01"
	markRecord = len(markMagic) + headSize + crc32.Size
	markSlots  = 2
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func markPath(dir string) string { return filepath.Join(dir, markName) }

// createMark makes the mark of a new store and syncs it before there is
// anything to remember.
func createMark(path string, h head) error {
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	for slot := range int64(markSlots) {
		page := make([]byte, markSlot)
		copy(page, encodeMark(h))
		if _, err := f.WriteAt(page, slot*markSlot); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // folders cannot be synced there, nor need be
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func openMark(path string) (*mark, error) {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	return &mark{file: f}, nil
}

func encodeMark(h head) []byte {
	b := append([]byte(markMagic), h.encode()...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// readMark returns the newest readable slot. The error is fs.ErrNotExist where
// there is no mark file.
func readMark(path string) (head, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return head{}, err
	}
	var newest head
	found := false
	for slot := range markSlots {
		if len(b) < slot*markSlot+markRecord {
			break
		}
		h, ok := decodeMark(b[slot*markSlot:][:markRecord])
		if ok && (!found || h.seq > newest.seq) {
			newest, found = h, true
		}
	}
	if !found {
		return head{}, damagedf("the mark file %s cannot be read", path)
	}
	return newest, nil
}

func decodeMark(b []byte) (head, bool) {
	body := b[:len(b)-crc32.Size]
	if string(body[:len(markMagic)]) != markMagic || crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(b[len(body):]) {
		return head{}, false
	}
	h, err := decodeHead(body[len(markMagic):])
	return h, err == nil
}

func (m *mark) write(h head) error {
	if _, err := m.file.WriteAt(encodeMark(h), int64(h.seq%markSlots)*markSlot); err != nil {
		return fmt.Errorf("write the mark of a commit: %w", err)
	}
	m.last.Store(&h)
	m.dirty.Store(true)
	return nil
}

// sync may run beside write.
func (m *mark) sync() error {
	if !m.dirty.Swap(false) {
		return nil
	}
	if err := m.file.Sync(); err != nil {
		return fmt.Errorf("sync the mark: %w", err)
	}
	return nil
}

func (m *mark) close() error { return errors.Join(m.sync(), m.file.Close()) }

// witness is a second mark, outside the store's folder. It is behind by up to a
// second, and notices that all of the folder came back older than it was. A nil
// witness remembers nothing.
type witness struct {
	mark
	slot int64
}

// openWitness compares the witness with what was found in the store, and makes
// it where there is none. One that cannot be read says nothing about the store,
// and is made anew.
func openWitness(opts Options, found head) (*witness, error) {
	path := opts.Witness
	if path == "" {
		return nil, nil
	}
	h, err := readMark(path)
	switch {
	case err == nil && h.store != found.store:
		return nil, damagedf("its files belong to another store than the file %s knows", path)
	case err == nil:
		err = compareMark(found, h)
	case errors.Is(err, ErrDamaged):
		opts.Logger.Warn("file that remembers the store's newest commit was damaged, and is made anew", "file", path)
		err = createMark(path, found)
	case errors.Is(err, fs.ErrNotExist):
		err = createMark(path, found)
	}
	if err != nil {
		return nil, err
	}
	m, err := openMark(path)
	if err != nil {
		return nil, fmt.Errorf("open the file that remembers the store's newest commit: %w", err)
	}
	return &witness{mark: mark{file: m.file}}, nil
}

// follow remembers what another mark does, durably.
func (w *witness) follow(other *mark) error {
	if w == nil {
		return nil
	}
	last := other.last.Load()
	if last == nil || w.last.Load() == last {
		return nil
	}
	if _, err := w.file.WriteAt(encodeMark(*last), w.slot*markSlot); err != nil {
		return fmt.Errorf("remember the store's newest commit: %w", err)
	}
	w.slot = (w.slot + 1) % markSlots
	w.last.Store(last)
	w.dirty.Store(true)
	return w.sync()
}

func (w *witness) close() error {
	if w == nil {
		return nil
	}
	return w.mark.close()
}
