package rpmdb

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/rollcall-itam/rollcall/agent/facts/pages"
)

// Berkeley DB hash files, after src/dbinc/db_page.h of libdb 5.3: pages with a
// header of 26 bytes; hash pages hold pairs of keys and values, and a value
// that is too large for a page stands in a chain of overflow pages. rpm's keys
// are record numbers; record 0 is its own counter.
const (
	bdbHashMagic   = 0x00061561
	bdbPageHeader  = 26
	bdbMetaPage    = 8
	bdbHashPage    = 13
	bdbHashOldPage = 2
	bdbOverflow    = 7

	bdbKeyData = 1
	bdbOffPage = 3
)

// bdb is an open Berkeley DB file. The hash pages are read through one window
// and the chains through another, since both mostly go forward.
type bdb struct {
	order    binary.ByteOrder
	pages    *pages.Window
	chain    *pages.Window
	pageSize int
	last     int64
	buf      []byte
}

func eachBDB(db pages.File, order binary.ByteOrder, bad *pages.Damage, fn func([]byte) error) error {
	b := &bdb{order: order, pages: pages.NewWindow(db, pages.WindowSize), chain: pages.NewWindow(db, pages.WindowSize)}
	meta, err := b.pages.At(0, 72)
	if err != nil {
		return fmt.Errorf("berkeley db header: %w", err)
	}
	size := order.Uint32(meta[20:])
	switch {
	case size < 512 || size > 64<<10 || size&(size-1) != 0:
		return fmt.Errorf("berkeley db header: page size %d", size)
	case meta[24] != 0:
		return fmt.Errorf("berkeley db header: the file is encrypted")
	case meta[25] != bdbMetaPage:
		return fmt.Errorf("berkeley db header: page type %d is no hash", meta[25])
	}
	b.pageSize, b.last = int(size), int64(order.Uint32(meta[32:]))
	if pages := db.Size / int64(size); b.last >= pages {
		bad.Add(fmt.Errorf("berkeley db of %d pages has only %d", b.last+1, pages))
		b.last = pages - 1
	}
	for n := int64(1); n <= b.last; n++ {
		page, err := b.pages.At(n*int64(b.pageSize), b.pageSize)
		if err != nil {
			return fmt.Errorf("berkeley db page %d: %w", n, err)
		}
		if kind := page[25]; kind != bdbHashPage && kind != bdbHashOldPage {
			continue
		}
		if err := b.hashPage(page, n, bad, fn); err != nil {
			return err
		}
	}
	return nil
}

// hashPage calls fn with every value of a hash page. Items are filled in from
// the page's end, so that each ends where the one before begins.
func (b *bdb) hashPage(page []byte, n int64, bad *pages.Damage, fn func([]byte) error) error {
	count := int(b.order.Uint16(page[20:]))
	if bdbPageHeader+2*count > len(page) || count%2 != 0 {
		bad.Add(fmt.Errorf("berkeley db page %d: %d items", n, count))
		return nil
	}
	offset := func(i int) int {
		if i < 0 {
			return len(page)
		}
		return int(b.order.Uint16(page[bdbPageHeader+2*i:]))
	}
	for i := 0; i < count; i += 2 {
		beforeKey, key, value := offset(i-1), offset(i), offset(i+1)
		if value < bdbPageHeader+2*count || value >= key || key >= beforeKey || beforeKey > len(page) {
			bad.Add(fmt.Errorf("berkeley db page %d: item %d outside the page", n, i))
			continue
		}
		header, err := b.value(page[key:beforeKey], page[value:key])
		if err != nil {
			bad.Add(fmt.Errorf("berkeley db page %d, item %d: %w", n, i, err))
			continue
		}
		if header == nil {
			continue
		}
		if err := fn(header); err != nil {
			return err
		}
	}
	return nil
}

// value returns the bytes of a value, nil for that of record 0.
func (b *bdb) value(key, value []byte) ([]byte, error) {
	switch value[0] {
	case bdbKeyData:
		if len(key) == 5 && b.order.Uint32(key[1:]) == 0 {
			return nil, nil
		}
		return value[1:], nil
	case bdbOffPage:
		if len(value) < 12 {
			return nil, fmt.Errorf("reference of %d bytes", len(value))
		}
		return b.overflow(int64(b.order.Uint32(value[4:])), int64(b.order.Uint32(value[8:])))
	}
	return nil, fmt.Errorf("value of type %d", value[0])
}

// overflow returns a value of length bytes that begins on page n.
func (b *bdb) overflow(n, length int64) ([]byte, error) {
	if length > maxHeader {
		return nil, fmt.Errorf("value of %d bytes, more than %d", length, maxHeader)
	}
	if length > b.chain.Size() {
		return nil, fmt.Errorf("value of %d bytes, more than the file has", length)
	}
	b.buf = slices.Grow(b.buf[:0], int(length))
	for int64(len(b.buf)) < length {
		if n < 1 || n > b.last {
			return nil, fmt.Errorf("value of %d bytes ends after %d, at page %d", length, len(b.buf), n)
		}
		page, err := b.chain.At(n*int64(b.pageSize), b.pageSize)
		if err != nil {
			return nil, err
		}
		used := int(b.order.Uint16(page[22:]))
		// An empty page in a chain would let a loop of pages go on for ever.
		if page[25] != bdbOverflow || used < 1 || bdbPageHeader+used > len(page) {
			return nil, fmt.Errorf("page %d is no overflow page", n)
		}
		b.buf = append(b.buf, page[bdbPageHeader:bdbPageHeader+used]...)
		n = int64(b.order.Uint32(page[16:]))
	}
	return b.buf[:length], nil
}
