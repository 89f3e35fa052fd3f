package backup

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// ErrDamaged says that a backup is not what was written.
var ErrDamaged = errors.New("the backup is damaged: use another one")

func damagedf(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrDamaged}, args...)...)
}

// An archive is the magic and then frames: a kind, the payload's length in four
// bytes, the payload, and the SHA-256 of the sum before, the kind, the length
// and the payload. So a frame that was changed, left out, put elsewhere or cut
// off is noticed; the first sum is that of the magic.
const (
	magic     = "ROLLCALL BACKUP\n"
	frameHead = 5
	// maxFrame bounds a payload, in bytes.
	maxFrame = 8 << 20
)

// Kinds of frames.
const (
	kindHeader    = 'h' // Header, as JSON: the first frame
	kindChunk     = 'c' // an ID, and the content compressed with Zstandard
	kindReference = 'r' // the ID of a chunk that is kept elsewhere
	kindFile      = 'f' // a file beside the store
	kindEnd       = 'e' // Summary, as JSON: the last frame
)

type frameWriter struct {
	w   io.Writer
	sum [sha256.Size]byte
}

func newFrameWriter(w io.Writer) (*frameWriter, error) {
	_, err := io.WriteString(w, magic)
	return &frameWriter{w: w, sum: sha256.Sum256([]byte(magic))}, err
}

func (f *frameWriter) write(kind byte, payload ...[]byte) error {
	n := 0
	for _, p := range payload {
		n += len(p)
	}
	if n > maxFrame {
		return fmt.Errorf("a frame of %d bytes is over the bound of %d", n, maxFrame)
	}
	head := binary.BigEndian.AppendUint32([]byte{kind}, uint32(n))
	sum := sha256.New()
	sum.Write(f.sum[:])
	for _, p := range append([][]byte{head}, payload...) {
		sum.Write(p)
		if _, err := f.w.Write(p); err != nil {
			return err
		}
	}
	sum.Sum(f.sum[:0])
	_, err := f.w.Write(f.sum[:])
	return err
}

type frameReader struct {
	r   *bufio.Reader
	sum [sha256.Size]byte
	at  int64
	buf []byte
}

func newFrameReader(r io.Reader) (*frameReader, error) {
	f := &frameReader{r: bufio.NewReaderSize(r, 64<<10), sum: sha256.Sum256([]byte(magic))}
	start, err := f.read(len(magic))
	if err != nil {
		return nil, err
	}
	if string(start) != magic {
		return nil, damagedf("it does not begin as a backup does")
	}
	return f, nil
}

// read returns the next n bytes, which are valid until the next read.
func (f *frameReader) read(n int) ([]byte, error) {
	if cap(f.buf) < n {
		f.buf = make([]byte, n)
	}
	got, err := io.ReadFull(f.r, f.buf[:n])
	f.at += int64(got)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, damagedf("it ends at byte %d, before it is complete", f.at)
	}
	if err != nil {
		return nil, fmt.Errorf("read the backup: %w", err)
	}
	return f.buf[:n], nil
}

// next returns the next frame, whose payload is valid until the next call.
func (f *frameReader) next() (kind byte, payload []byte, err error) {
	start := f.at
	b, err := f.read(frameHead)
	if err != nil {
		return 0, nil, err
	}
	head := [frameHead]byte(b)
	n := binary.BigEndian.Uint32(head[1:])
	if n > maxFrame {
		return 0, nil, damagedf("the frame at byte %d claims %d bytes", start, n)
	}
	if b, err = f.read(int(n) + sha256.Size); err != nil {
		return 0, nil, err
	}
	payload = b[:n]
	sum := sha256.New()
	sum.Write(f.sum[:])
	sum.Write(head[:])
	sum.Write(payload)
	sum.Sum(f.sum[:0])
	if !bytes.Equal(f.sum[:], b[n:]) {
		return 0, nil, damagedf("the frame at byte %d was changed", start)
	}
	return head[0], payload, nil
}

// end makes sure that nothing follows.
func (f *frameReader) end() error {
	_, err := f.r.ReadByte()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the backup: %w", err)
	}
	return damagedf("something follows its end at byte %d", f.at)
}
