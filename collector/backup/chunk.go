package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"

	"github.com/klauspost/compress/zstd"

	"github.com/rollcall-itam/rollcall/collector/kv"
)

// ID names a chunk by the SHA-256 of its content.
type ID [sha256.Size]byte

// String returns the ID in hexadecimal.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// A chunk holds records that follow one another. Where it ends is told by keys
// alone, so that a change of some records leaves the other chunks as they were,
// and a later backup has nothing to write for them.
const (
	minChunk = 128 << 10
	maxChunk = 2 << 20
	// Of this many keys, one ends a chunk.
	endOneOf = 256
	// maxContent is what a chunk has at most: the last record may go over.
	maxContent = maxChunk + kv.MaxKeySize + kv.MaxValueSize + 2*binary.MaxVarintLen32
)

type cutter struct {
	buf  []byte
	emit func(content []byte) error
}

func (c *cutter) add(key, value []byte) error {
	c.buf = binary.AppendUvarint(c.buf, uint64(len(key)))
	c.buf = append(c.buf, key...)
	c.buf = binary.AppendUvarint(c.buf, uint64(len(value)))
	c.buf = append(c.buf, value...)
	if len(c.buf) >= maxChunk || (len(c.buf) >= minChunk && crc32.ChecksumIEEE(key)%endOneOf == 0) {
		return c.flush()
	}
	return nil
}

func (c *cutter) flush() error {
	if len(c.buf) == 0 {
		return nil
	}
	err := c.emit(c.buf)
	c.buf = c.buf[:0]
	return err
}

// records calls fn with each record of a chunk. The slices live as long as
// content does.
func records(content []byte, fn func(key, value []byte) error) error {
	for len(content) > 0 {
		var parts [2][]byte
		for i := range parts {
			n, w := binary.Uvarint(content)
			if w <= 0 || n > uint64(len(content)-w) {
				return damagedf("a chunk ends inside a record")
			}
			parts[i], content = content[w:w+int(n)], content[w+int(n):]
		}
		if err := fn(parts[0], parts[1]); err != nil {
			return err
		}
	}
	return nil
}

// expander expands chunks; it is not for use by several goroutines.
type expander struct {
	in  *zstd.Decoder
	buf []byte
}

func newExpander() (*expander, error) {
	in, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxFrame))
	if err != nil {
		return nil, fmt.Errorf("prepare to expand: %w", err)
	}
	return &expander{in: in}, nil
}

// expand returns the content of a chunk, valid until the next call.
func (c *expander) expand(id ID, packed []byte) ([]byte, error) {
	content, err := c.in.DecodeAll(packed, c.buf[:0])
	if err != nil {
		return nil, damagedf("chunk %s cannot be expanded: %v", id, err)
	}
	c.buf = content
	if len(content) > maxContent {
		return nil, damagedf("chunk %s has %d bytes", id, len(content))
	}
	if sha256.Sum256(content) != id {
		return nil, damagedf("chunk %s has another content", id)
	}
	return content, nil
}

// order checks that keys come in their order, each once.
type order struct{ last []byte }

func (o *order) next(key []byte) error {
	if len(key) == 0 || bytes.Compare(key, o.last) <= 0 {
		return damagedf("record %q comes after %q", key, o.last)
	}
	o.last = append(o.last[:0], key...)
	return nil
}
