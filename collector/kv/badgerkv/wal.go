package badgerkv

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"os"
)

// commitRecord is what the check needs to know of one commit in a write-ahead log.
type commitRecord struct {
	version uint64
	head    head
}

// Layout of a Badger v4 memtable log (memtable.go, structs.go, value.go there):
// a header of 20 bytes, then entries {meta, user meta, key length, value
// length, expiry; key + 8 bytes of inverted version; value; CRC-32C}. The
// entries of a transaction carry walInTxn and are followed by one with
// walEndTxn; zeros follow the last.
const (
	walHeader    = 20
	walInTxn     = 1 << 6
	walEndTxn    = 1 << 7
	walMaxKey    = 1 << 16
	walMaxVarint = 3 * binary.MaxVarintLen64
)

type walEntry struct {
	meta    byte
	key     []byte
	version uint64
	value   []byte
}

// readWAL returns the commits that Badger would find in the log. Like Badger
// it ends at the first entry that does not check out, without an error:
// whether commits are missing after that only shows against what comes later.
func readWAL(path string) ([]commitRecord, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(b) < walHeader {
		return nil, nil
	}
	if !plainLog(b) {
		return nil, damagedf("the log %s begins otherwise than it was written", path)
	}
	return walCommits(b[walHeader:]), nil
}

func walCommits(b []byte) []commitRecord {
	var commits []commitRecord
	var current commitRecord
	inTxn, hasHead := false, false
	for {
		e, n := decodeWAL(b)
		if n == 0 {
			return commits
		}
		b = b[n:]
		switch {
		case e.meta&walInTxn != 0:
			if inTxn && e.version != current.version {
				return commits
			}
			inTxn, current.version = true, e.version
			if bytes.Equal(e.key, headKey) {
				h, err := decodeHead(e.value)
				current.head, hasHead = h, err == nil
			}
		case e.meta&walEndTxn != 0:
			if !inTxn || e.version != current.version || !hasHead {
				return commits
			}
			commits = append(commits, current)
			current, inTxn, hasHead = commitRecord{}, false, false
		default:
			// Only Badger's value-log collection writes outside transactions.
			return commits
		}
	}
}

// decodeWAL decodes the entry at the start of b and returns its length, 0 at
// the end of the log or where the entry is not whole.
func decodeWAL(b []byte) (walEntry, int) {
	if len(b) < 2 {
		return walEntry{}, 0
	}
	lengths := b[2:min(len(b), 2+walMaxVarint)]
	at := 2
	var fields [3]uint64
	for i := range fields {
		v, n := binary.Uvarint(lengths)
		if n <= 0 {
			return walEntry{}, 0
		}
		fields[i], lengths, at = v, lengths[n:], at+n
	}
	keyLen, valueLen := fields[0], fields[1]
	left := uint64(len(b) - at)
	if keyLen <= 8 || keyLen > walMaxKey || valueLen > left || keyLen+valueLen+crc32.Size > left {
		return walEntry{}, 0
	}
	end := at + int(keyLen+valueLen)
	if crc32.Checksum(b[:end], castagnoli) != binary.BigEndian.Uint32(b[end:]) {
		return walEntry{}, 0
	}
	key := b[at : at+int(keyLen)]
	e := walEntry{
		meta:    b[0],
		key:     key[:len(key)-8],
		version: ^binary.BigEndian.Uint64(key[len(key)-8:]),
		value:   b[at+int(keyLen) : end],
	}
	return e, end + crc32.Size
}

// plainLog tells whether a log begins as all of ours do: with the number of the
// key that it is encrypted with, 0 for none.
func plainLog(b []byte) bool { return binary.BigEndian.Uint64(b) == 0 }
