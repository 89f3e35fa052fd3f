package badgerkv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
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
func createMark(dir string, h head) error {
	path := markPath(dir)
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
	return syncDir(dir)
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

func openMark(dir string) (*mark, error) {
	f, err := os.OpenFile(markPath(dir), os.O_WRONLY, 0)
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
func readMark(dir string) (head, error) {
	b, err := os.ReadFile(markPath(dir))
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
		return head{}, damagedf("the mark file %s cannot be read", markPath(dir))
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
