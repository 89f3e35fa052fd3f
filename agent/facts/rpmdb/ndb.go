package rpmdb

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/rollcall-itam/rollcall/agent/facts/pages"
)

// ndb is described by rpm's lib/backend/ndb/rpmpkg.c: a header of 32 bytes,
// then slots of 16 bytes that fill whole pages, each pointing to a blob in
// blocks of 16 bytes. All numbers are little-endian.
const (
	ndbMagic     = "RpmP"
	ndbSlotMagic = "Slot"
	ndbBlobMagic = "BlbS"
	ndbTailMagic = "BlbE"
	ndbPage      = 4096
	ndbBlock     = 16
	ndbTail      = 12
)

func eachNDB(db pages.File, bad *pages.Damage, fn func([]byte) error) error {
	slots, blobs := pages.NewWindow(db, pages.WindowSize), pages.NewWindow(db, pages.WindowSize)
	head, err := slots.At(0, 32)
	if err != nil {
		return fmt.Errorf("ndb header: %w", err)
	}
	if version := binary.LittleEndian.Uint32(head[4:]); version != 0 {
		return fmt.Errorf("ndb version %d is not known, only 0", version)
	}
	end := int64(binary.LittleEndian.Uint32(head[12:])) * ndbPage
	if end > db.Size {
		bad.Add(fmt.Errorf("ndb slots reach to %d in a file of %d bytes", end, db.Size))
		end = db.Size
	}
	var header []byte
	for off := int64(len(head)); off+16 <= end; off += 16 {
		slot, err := slots.At(off, 16)
		if err != nil {
			return fmt.Errorf("ndb slot: %w", err)
		}
		if string(slot[:4]) != ndbSlotMagic {
			bad.Add(fmt.Errorf("no ndb slot at %d", off))
			continue
		}
		id := binary.LittleEndian.Uint32(slot[4:])
		if id == 0 {
			continue
		}
		first := int64(binary.LittleEndian.Uint32(slot[8:]))
		count := int64(binary.LittleEndian.Uint32(slot[12:]))
		if header, err = ndbBlob(blobs, first*ndbBlock, count*ndbBlock, id, header); err != nil {
			bad.Add(fmt.Errorf("ndb package %d: %w", id, err))
			continue
		}
		if err := fn(header); err != nil {
			return err
		}
	}
	return nil
}

// ndbBlob returns the blob of package id that takes up size bytes from off, in
// buf if that is large enough. Its tail repeats the length, which tells a blob
// that was being written from a whole one.
func ndbBlob(w *pages.Window, off, size int64, id uint32, buf []byte) ([]byte, error) {
	head, err := w.At(off, 16)
	if err != nil {
		return buf, err
	}
	length := int64(binary.LittleEndian.Uint32(head[12:]))
	switch {
	case string(head[:4]) != ndbBlobMagic || binary.LittleEndian.Uint32(head[4:]) != id:
		return buf, fmt.Errorf("no blob of this package at %d", off)
	case length > maxHeader:
		return buf, fmt.Errorf("blob of %d bytes, more than %d", length, maxHeader)
	case length+16+ndbTail > size || size > w.Size():
		return buf, fmt.Errorf("blob of %d bytes in a place of %d", length, size)
	}
	if buf, err = appendRange(slices.Grow(buf[:0], int(length)), w, off+16, length); err != nil {
		return buf, err
	}
	tail, err := w.At(off+size-ndbTail, ndbTail)
	if err != nil {
		return buf, err
	}
	if string(tail[8:]) != ndbTailMagic || int64(binary.LittleEndian.Uint32(tail[4:])) != length {
		return buf, fmt.Errorf("blob at %d was not written to its end", off)
	}
	return buf, nil
}

// appendRange appends length bytes of the file from off.
func appendRange(buf []byte, w *pages.Window, off, length int64) ([]byte, error) {
	for length > 0 {
		chunk, err := w.At(off, int(min(length, pages.WindowSize)))
		if err != nil {
			return buf, err
		}
		buf = append(buf, chunk...)
		off += int64(len(chunk))
		length -= int64(len(chunk))
	}
	return buf, nil
}
