package store

import (
	"encoding/binary"
	"fmt"

	"github.com/klauspost/compress/s2"

	"github.com/rollcall-itam/rollcall/collector/kv"
)

// The first byte of a stored value tells how the rest is kept.
const (
	packedPlain = 0
	packedS2    = 1
	// packedParts is followed by the number of parts as a varint; the parts
	// joined are again a packed value.
	packedParts = 2
)

const (
	// Below this length compression costs more than it saves.
	minCompress = 512
	// maxRecord bounds a record once expanded, so that a damaged value cannot
	// exhaust memory.
	maxRecord = 64 << 20
	partSize  = kv.MaxValueSize / 2
	maxParts  = maxRecord/partSize + 1
)

// pack stores b under key: as it is, compressed, or split into parts.
func (t *Tx) pack(key, b []byte) error {
	if len(b) > maxRecord {
		return fmt.Errorf("%w: %d bytes, at most %d", kv.ErrTooLarge, len(b), maxRecord)
	}
	v := compress(b)
	if err := t.dropParts(key); err != nil {
		return err
	}
	if len(v) <= partSize {
		return t.kv.Set(key, v)
	}
	delete(t.single, string(key))
	n := 0
	for ; len(v) > 0; n++ {
		part := v[:min(partSize, len(v))]
		if err := t.kv.Set(partKey(key, n), part); err != nil {
			return err
		}
		v = v[len(part):]
	}
	return t.kv.Set(key, binary.AppendUvarint([]byte{packedParts}, uint64(n)))
}

// compress returns b with its packing, as a slice of its own.
func compress(b []byte) []byte {
	if len(b) < minCompress {
		return append(append(make([]byte, 0, 1+len(b)), packedPlain), b...)
	}
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	if need := s2.MaxEncodedLen(len(b)); cap(*buf) < need {
		*buf = make([]byte, need)
	}
	packed := s2.Encode((*buf)[:cap(*buf)], b)
	return append(append(make([]byte, 0, 1+len(packed)), packedS2), packed...)
}

// unpack returns the record that stored stands for.
func (t *Tx) unpack(key, stored []byte) ([]byte, error) {
	if len(stored) == 0 {
		return nil, fmt.Errorf("record %q is empty: the database is damaged; restore a backup", key)
	}
	switch stored[0] {
	case packedPlain:
		return stored[1:], nil
	case packedS2:
		n, err := s2.DecodedLen(stored[1:])
		if err == nil && n > maxRecord {
			err = kv.ErrTooLarge
		}
		if err != nil {
			return nil, fmt.Errorf("expand record %q: %w", key, err)
		}
		b, err := s2.Decode(nil, stored[1:])
		if err != nil {
			return nil, fmt.Errorf("expand record %q: %w", key, err)
		}
		return b, nil
	case packedParts:
		n, w := binary.Uvarint(stored[1:])
		if w <= 0 || n > maxParts {
			return nil, fmt.Errorf("record %q claims %d parts: the database is damaged; restore a backup", key, n)
		}
		var joined []byte
		for i := range int(n) {
			part, err := t.kv.Get(partKey(key, i))
			if err != nil {
				return nil, fmt.Errorf("read part %d of record %q: %w", i, key, err)
			}
			joined = append(joined, part...)
		}
		if len(joined) > 0 && joined[0] == packedParts {
			return nil, fmt.Errorf("record %q nests parts: the database is damaged; restore a backup", key)
		}
		return t.unpack(key, joined)
	}
	return nil, fmt.Errorf("record %q is packed in an unknown way (%d): a newer collector wrote it", key, stored[0])
}

// dropParts removes the parts of the record now under key, if it has any.
func (t *Tx) dropParts(key []byte) error {
	if _, ok := t.single[string(key)]; ok {
		return nil
	}
	stored, err := t.kv.Get(key)
	if err != nil || len(stored) < 2 || stored[0] != packedParts {
		return ignoreNotFound(err)
	}
	n, _ := binary.Uvarint(stored[1:])
	for i := range int(min(n, maxParts)) {
		if err := t.kv.Delete(partKey(key, i)); err != nil {
			return err
		}
	}
	return nil
}

func partKey(key []byte, n int) []byte {
	k := make([]byte, 0, len(prefixPart)+len(key)+5)
	k = append(k, prefixPart...)
	k = append(k, key...)
	k = append(k, 0)
	return binary.BigEndian.AppendUint32(k, uint32(n))
}
