package advisory

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
)

// shelf is an open file of advisories. What is asked of it is read when it is
// asked, so that it costs little memory. The file is closed once nobody refers to
// it: questions may be under way when another takes its place.
type shelf struct {
	Info
	file *os.File
	// entriesAt is where the advisories end.
	entriesAt int64
	index     []span
}

// openShelf checks a file and reads its index.
func openShelf(name string) (_ *shelf, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open advisories: %w", err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			err = fmt.Errorf("advisories in %s: %w", name, err)
		}
	}()
	parts, err := checkShelf(f)
	if err != nil {
		return nil, err
	}
	s := &shelf{file: f, entriesAt: parts[0]}
	text := make([]byte, parts[3])
	if _, err := f.ReadAt(text, parts[0]+parts[1]+parts[2]); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &s.Info); err != nil {
		return nil, err
	}
	index := make([]byte, parts[2])
	if _, err := f.ReadAt(index, parts[0]+parts[1]); err != nil {
		return nil, err
	}
	s.index, err = readIndex(index, parts[0], parts[0]+parts[1])
	return s, err
}

// errDamaged says that a file is not as it was written.
var errDamaged = errors.New("it is damaged or of another version: import it again")

// checkShelf returns the lengths of the parts of a file that is whole.
func checkShelf(f *os.File) (parts [4]int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return parts, err
	}
	size := info.Size() - tailBytes
	if size < int64(len(magic)) {
		return parts, errDamaged
	}
	sum := crc32.New(castagnoli)
	if _, err := io.Copy(sum, bufio.NewReaderSize(io.NewSectionReader(f, 0, info.Size()-4), 1<<18)); err != nil {
		return parts, err
	}
	var tail [tailBytes]byte
	head := make([]byte, len(magic))
	if _, err := f.ReadAt(tail[:], size); err != nil {
		return parts, err
	}
	if _, err := f.ReadAt(head, 0); err != nil {
		return parts, err
	}
	if string(head) != magic || binary.BigEndian.Uint32(tail[tailBytes-4:]) != sum.Sum32() {
		return parts, errDamaged
	}
	left := size
	for i := range parts {
		n := binary.BigEndian.Uint64(tail[8*i:])
		if n > uint64(left) {
			return parts, errDamaged
		}
		parts[i] = int64(n)
		left -= int64(n)
	}
	if left != 0 || parts[2] > maxIndex || parts[3] > maxInfo {
		return parts, errDamaged
	}
	return parts, nil
}

// readIndex reads the index of entries between two offsets.
func readIndex(b []byte, at, end int64) ([]span, error) {
	text := string(b) // one text that all keys are part of
	var out []span
	for pos := 0; pos < len(b); {
		n, size := binary.Uvarint(b[pos:])
		if size <= 0 || n > uint64(len(b)-pos-size) {
			return nil, errDamaged
		}
		pos += size
		key := text[pos : pos+int(n)]
		pos += int(n)
		length, size := binary.Uvarint(b[pos:])
		if size <= 0 || length > maxGroup || at+int64(length) > end || len(out) > 0 && out[len(out)-1].key >= key {
			return nil, errDamaged
		}
		pos += size
		out = append(out, span{key, at, int(length)})
		at += int64(length)
	}
	return out, nil
}

// entries calls fn with each entry of a key.
func (s *shelf) entries(key string, fn func(at int64, a *affected) error) error {
	where, ok := find(s.index, key)
	if !ok {
		return nil
	}
	b := make([]byte, where.size)
	if _, err := s.file.ReadAt(b, where.at); err != nil {
		return fmt.Errorf("read advisories: %w", err)
	}
	for len(b) > 0 {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			return errEntry
		}
		at, a, err := decodeEntry(b[size : size+int(n)])
		if err != nil {
			return err
		}
		if err := fn(at, &a); err != nil {
			return err
		}
		b = b[size+int(n):]
	}
	return nil
}

// advisory reads the advisory at an offset.
func (s *shelf) advisory(at int64) (*Advisory, error) {
	if at < int64(len(magic)) || at >= s.entriesAt {
		return nil, errEntry
	}
	b, err := readBytes(bufio.NewReaderSize(io.NewSectionReader(s.file, at, s.entriesAt-at), 1<<10), nil)
	if err != nil {
		return nil, fmt.Errorf("read an advisory: %w", err)
	}
	a := new(Advisory)
	if err := json.Unmarshal(b, a); err != nil {
		return nil, fmt.Errorf("read an advisory: %w", err)
	}
	return a, nil
}
