package badgerkv

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"strings"
	"testing"
)

// history returns n commits that follow one another.
func history(n int) []commitRecord {
	commits := make([]commitRecord, n)
	for i := range commits {
		c := &commits[i]
		c.version, c.head.seq, c.head.prev = uint64(i+1), uint64(i+1), uint64(i)
		c.head.digest[0] = byte(i + 1)
		c.head.prevDigest[0] = byte(i)
	}
	return commits
}

func TestFollow(t *testing.T) {
	h := history(10)
	forked := h[5]
	forked.head.prevDigest[0] = 77
	for name, c := range map[string]struct {
		stored commitRecord
		logged []commitRecord
		want   string
	}{
		"all in logs":              {commitRecord{}, h, ""},
		"tables and logs":          {h[3], h[4:], ""},
		"a table's log still here": {h[5], h[2:], ""},
		"all in tables":            {h[9], nil, ""},
		"a log in the middle lost": {h[2], append(h[3:5:5], h[8:]...), "commits 6 to 8"},
		"the oldest log lost":      {h[2], h[6:], "commits 4 to 6"},
		"tables lost":              {commitRecord{}, h[4:], "commits 1 to 4"},
		"a log of another store":   {h[4], append([]commitRecord{forked}, h[6:]...), "does not continue"},
		"the newest lost":          {h[4], h[5:8], "the last 2 commits"},
	} {
		last, err := follow(c.stored, c.logged, h[9].head)
		if err == nil {
			err = compareMark(last.head, h[9].head)
		}
		if c.want == "" && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if c.want != "" && (!errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// logEntry encodes as Badger does.
func logEntry(meta byte, key string, version uint64, value []byte) []byte {
	b := binary.AppendUvarint([]byte{meta, 0}, uint64(len(key)+8))
	b = binary.AppendUvarint(b, uint64(len(value)))
	b = binary.AppendUvarint(b, 0)
	b = append(b, key...)
	b = binary.BigEndian.AppendUint64(b, ^version)
	b = append(b, value...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// FuzzLog reads foreign bytes as a log: it must end, stay within its bytes and
// pass on only commits whose checksums hold.
func FuzzLog(f *testing.F) {
	h := head{seq: 1}
	whole := append(logEntry(walInTxn, string(headKey), 1, h.encode()), logEntry(walEndTxn, "!badger!txn", 1, []byte("1"))...)
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add(append(whole, make([]byte, 30)...))
	f.Add([]byte{walInTxn, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 9})
	if got := walCommits(whole); len(got) != 1 || got[0].head != h {
		f.Fatalf("a whole log has commits %v", got)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, n := decodeWAL(b); n > len(b) || (n > 0 && len(e.key)+len(e.value) > n) {
			t.Errorf("entry of %d bytes in %d", n, len(b))
		}
		for _, c := range walCommits(b) {
			entry := logEntry(walInTxn, string(headKey), c.version, c.head.encode())
			if !bytes.Contains(b, entry[len(entry)-crc32.Size-headSize:len(entry)-crc32.Size]) {
				t.Errorf("commit %d is not in the log", c.head.seq)
			}
		}
	})
}
