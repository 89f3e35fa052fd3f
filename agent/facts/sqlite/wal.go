package sqlite

import (
	"encoding/binary"
	"fmt"

	"github.com/rollcall-itam/rollcall/agent/facts/pages"
)

const (
	walHeader      = 32
	walFrameHeader = 24
	// walMaxFrames bounds the index of a log; SQLite moves the log into the
	// database after 1,000 frames unless a reader stands in the way.
	walMaxFrames = 1 << 18
)

// wal is the committed part of a write-ahead log: where the newest version of
// each page stands.
type wal struct {
	file *pages.Window
	at   map[uint32]int64
	// pages is the size of the database after the last commit, 0 without one.
	pages int64
}

// openWAL indexes the frames of a log up to its last commit. Frames whose
// salt or checksum is wrong are what an earlier or unfinished transaction left
// behind: the log ends before them, as it does for SQLite itself.
func openWAL(f pages.File, pageSize int) (*wal, error) {
	w := &wal{}
	if f.ReaderAt == nil || f.Size < walHeader {
		return w, nil
	}
	w.file = pages.NewWindow(f, max(pages.WindowSize, walFrameHeader+pageSize))
	head, err := w.file.At(0, walHeader)
	if err != nil {
		return nil, err
	}
	magic := binary.BigEndian.Uint32(head)
	sum := checksum{order: binary.LittleEndian}
	if magic == 0x377f0683 {
		sum.order = binary.BigEndian
	} else if magic != 0x377f0682 {
		return nil, fmt.Errorf("begins with %#x, which no log does", magic)
	}
	sum.add(head[:24])
	if !sum.is(head[24:]) {
		// A log whose header was not written to its end holds nothing.
		return w, nil
	}
	if size := int(binary.BigEndian.Uint32(head[8:])); size != pageSize {
		return nil, fmt.Errorf("pages of %d bytes where the database has %d", size, pageSize)
	}
	var salt [8]byte
	copy(salt[:], head[16:24])
	w.at = make(map[uint32]int64)
	pending := make(map[uint32]int64)
	frame := walFrameHeader + pageSize
	for off, n := int64(walHeader), 0; off+int64(frame) <= f.Size; off, n = off+int64(frame), n+1 {
		if n >= walMaxFrames {
			return nil, fmt.Errorf("more than %d frames", walMaxFrames)
		}
		b, err := w.file.At(off, frame)
		if err != nil {
			return nil, err
		}
		sum.add(b[:8])
		sum.add(b[walFrameHeader:])
		if [8]byte(b[8:16]) != salt || !sum.is(b[16:24]) {
			break
		}
		pending[binary.BigEndian.Uint32(b)] = off + walFrameHeader
		if size := binary.BigEndian.Uint32(b[4:]); size > 0 {
			w.pages = int64(size)
			for page, at := range pending {
				w.at[page] = at
			}
			clear(pending)
		}
	}
	return w, nil
}

// checksum is the running sum of a write-ahead log.
type checksum struct {
	order  binary.ByteOrder
	s1, s2 uint32
}

// add takes in bytes, of which there are a multiple of eight.
func (c *checksum) add(b []byte) {
	for ; len(b) >= 8; b = b[8:] {
		c.s1 += c.order.Uint32(b) + c.s2
		c.s2 += c.order.Uint32(b[4:]) + c.s1
	}
}

func (c *checksum) is(b []byte) bool {
	return binary.BigEndian.Uint32(b) == c.s1 && binary.BigEndian.Uint32(b[4:]) == c.s2
}
