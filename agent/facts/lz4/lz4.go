// Package lz4 decompresses LZ4 frames, the format in which apt keeps package
// lists on machines that compress them.
package lz4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The frame and block formats are those of
// https://github.com/lz4/lz4/tree/dev/doc (lz4_Frame_format.md 1.6.x and
// lz4_Block_format.md).
const (
	magic = 0x184D2204
	// history is how far back a match can reach.
	history = 64 << 10
	// least is the least room for blocks: what they look back at is moved to
	// the front only when it is used up.
	least = 448 << 10
	// readAhead is how much is asked for at once, at least.
	readAhead = 128 << 10
	// blockHead is the size of what stands before a block, blockSum of its
	// checksum behind it.
	blockHead, blockSum = 4, 4
)

// ErrFormat is returned for bytes that are no LZ4 frame.
var ErrFormat = errors.New("not an lz4 frame")

// Reader decompresses one frame, of which it reads ahead. Its memory is twice the
// frame's largest block, of which the format allows 4 MiB, and at most 640 KiB;
// the content checksum is not verified,
// since apt verifies a list when it fetches it.
type Reader struct {
	src io.Reader
	// out holds what was decompressed before, as far as matches reach back,
	// then a block.
	out []byte
	// in holds what was read ahead, of which in[from:to] is not used yet.
	in       []byte
	from, to int
	// rest is what of out the caller has not read.
	rest     []byte
	maxBlock int
	blockSum bool
	linked   bool
	err      error
}

// NewReader reads the header of the frame.
func NewReader(src io.Reader) (*Reader, error) {
	r := &Reader{src: src}
	var head [15]byte
	if _, err := io.ReadFull(src, head[:7]); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	flags, descriptor := head[4], head[5]
	if binary.LittleEndian.Uint32(head[:]) != magic || flags>>6 != 1 {
		return nil, ErrFormat
	}
	r.linked, r.blockSum = flags&0x20 == 0, flags&0x10 != 0
	switch size := descriptor >> 4 & 7; size {
	case 4, 5, 6, 7:
		r.maxBlock = 1 << (8 + 2*size)
	default:
		return nil, fmt.Errorf("%w: block size %d", ErrFormat, size)
	}
	if flags&0x01 != 0 {
		return nil, fmt.Errorf("%w: it needs a dictionary", ErrFormat)
	}
	if flags&0x08 != 0 {
		// The content size takes 8 more bytes before the header's checksum.
		if _, err := io.ReadFull(src, head[7:15]); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFormat, err)
		}
	}
	// The buffers end some bytes later than they need to, so that short runs
	// can be copied as whole words.
	r.out = make([]byte, 0, history+max(r.maxBlock, least)+slack)
	r.in = make([]byte, max(r.maxBlock+blockSum, readAhead)+slack)
	return r, nil
}

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.err = r.block()
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// block decompresses the next block into rest; io.EOF after the last.
func (r *Reader) block() error {
	head, err := r.take(blockHead)
	if err != nil {
		return err
	}
	size := binary.LittleEndian.Uint32(head)
	if size == 0 {
		return io.EOF
	}
	stored := size&(1<<31) != 0
	size &^= 1 << 31
	if int(size) > r.maxBlock {
		return fmt.Errorf("lz4 block of %d bytes, more than the %d of the frame", size, r.maxBlock)
	}
	sum := 0
	if r.blockSum {
		sum = blockSum
	}
	in, err := r.take(int(size) + sum)
	if err != nil {
		return err
	}
	in = in[:size]
	if !r.linked {
		r.out = r.out[:0]
	} else if len(r.out)+r.maxBlock+slack > cap(r.out) {
		r.out = r.out[:copy(r.out, r.out[max(0, len(r.out)-history):])]
	}
	before := len(r.out)
	if stored {
		r.out = append(r.out, in...)
	} else {
		limit := before + r.maxBlock
		end, err := decode(r.out[:limit+slack], before, limit, in)
		if err != nil {
			return err
		}
		r.out = r.out[:end]
	}
	r.rest = r.out[before:]
	return nil
}

// take returns the next n bytes of the frame, which stay until the next call.
func (r *Reader) take(n int) ([]byte, error) {
	if r.to-r.from < n {
		r.from, r.to = 0, copy(r.in, r.in[r.from:r.to])
		got, err := io.ReadAtLeast(r.src, r.in[r.to:len(r.in)-slack], n-r.to)
		if r.to += got; err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, fmt.Errorf("lz4 frame: %w", err)
		}
	}
	b := r.in[r.from : r.from+n]
	r.from += n
	return b, nil
}
