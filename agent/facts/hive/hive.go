// Package hive reads keys of a registry hive of Windows, a file such as
// NTUSER.DAT, without loading it.
package hive

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"
	"unicode/utf16"
)

// Bounds: a damaged hive can claim anything and lead in circles.
const (
	// MaxBytes is the longest hive; those of users have some 10 MiB.
	MaxBytes = 512 << 20
	// maxCell is the longest cell that is read, and so the longest value.
	maxCell    = 1 << 20
	maxSubkeys = 20_000
	maxValues  = 1_000
	// maxLists is how deep lists of lists of subkeys may lie; Windows makes one
	// such list, and more would let a small file ask for endless reading.
	maxLists = 1
)

const (
	base       = 0x1000 // where offsets of cells are counted from
	rootAt     = 0x24
	noCell     = 0xffffffff
	nkHeader   = 76
	vkHeader   = 20
	plainName  = 0x20 // of a key, in Latin-1
	plainValue = 0x01
	inline     = 1 << 31
)

// ErrDamaged is returned for what is not in the form of a hive.
var ErrDamaged = errors.New("damaged hive")

// Hive is an open hive. It reads from the file as it is asked.
type Hive struct {
	r    io.ReaderAt
	size int64
	root uint32
}

// Key is a key with what is directly in it.
type Key struct {
	// Values by their names as stored; that of the default value is empty.
	Values  map[string]Value
	Subkeys []string
	// Written is when the key was changed last.
	Written time.Time
}

// Value is one value in the registry's own form. Data is empty for a value that
// is kept in parts, which only those of more than 16 KiB are.
type Value struct {
	Type uint32
	Data []byte
}

// Open begins to read a hive of a size in bytes.
func Open(r io.ReaderAt, size int64) (*Hive, error) {
	if size > MaxBytes {
		return nil, fmt.Errorf("a hive of %d bytes, longer than %d", size, MaxBytes)
	}
	head := make([]byte, rootAt+4)
	if _, err := r.ReadAt(head, 0); err != nil {
		return nil, fmt.Errorf("%w: read its header: %w", ErrDamaged, err)
	}
	if string(head[:4]) != "regf" {
		return nil, fmt.Errorf("%w: it does not begin with regf", ErrDamaged)
	}
	return &Hive{r: r, size: size, root: binary.LittleEndian.Uint32(head[rootAt:])}, nil
}

// Key returns a key by its path from the root, with backslashes; names are
// compared without regard to case. It fails with fs.ErrNotExist for one that is
// not there.
func (h *Hive) Key(path string) (*Key, error) {
	at := h.root
	for name := range strings.SplitSeq(strings.Trim(path, `\`), `\`) {
		if name == "" {
			continue
		}
		next, err := h.child(at, name)
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", path, err)
		}
		at = next
	}
	k, err := h.read(at)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", path, err)
	}
	return k, nil
}

// cell returns the bytes of a cell, which stand behind its size.
func (h *Hive) cell(at uint32) ([]byte, error) {
	offset := int64(base) + int64(at)
	var head [4]byte
	if at == noCell || offset+4 > h.size {
		return nil, fmt.Errorf("%w: a cell at %#x, outside of it", ErrDamaged, at)
	}
	if _, err := h.r.ReadAt(head[:], offset); err != nil {
		return nil, fmt.Errorf("%w: cell at %#x: %w", ErrDamaged, at, err)
	}
	// Those in use have a negative size.
	size := -int64(int32(binary.LittleEndian.Uint32(head[:]))) - 4
	if size <= 0 || size > maxCell || offset+4+size > h.size {
		return nil, fmt.Errorf("%w: a cell at %#x of %d bytes", ErrDamaged, at, size)
	}
	b := make([]byte, size)
	if _, err := h.r.ReadAt(b, offset+4); err != nil {
		return nil, fmt.Errorf("%w: cell at %#x: %w", ErrDamaged, at, err)
	}
	return b, nil
}

// node returns the cell of a key.
func (h *Hive) node(at uint32) ([]byte, error) {
	b, err := h.cell(at)
	if err != nil {
		return nil, err
	}
	if len(b) < nkHeader || string(b[:2]) != "nk" {
		return nil, fmt.Errorf("%w: no key at %#x", ErrDamaged, at)
	}
	return b, nil
}

// name returns the name of a key from its cell.
func name(nk []byte) string {
	length := int(binary.LittleEndian.Uint16(nk[72:]))
	b := nk[nkHeader:]
	return text(b[:min(length, len(b))], binary.LittleEndian.Uint16(nk[2:])&plainName != 0)
}

func text(b []byte, plain bool) string {
	var out []rune
	if plain {
		for _, c := range b {
			out = append(out, rune(c))
		}
		return string(out)
	}
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units))
}

// child returns where the subkey of a name is.
func (h *Hive) child(at uint32, want string) (uint32, error) {
	nk, err := h.node(at)
	if err != nil {
		return 0, err
	}
	found := uint32(noCell)
	err = h.eachSubkey(nk, func(at uint32, key string) bool {
		if strings.EqualFold(key, want) {
			found = at
		}
		return found == noCell
	})
	if err == nil && found == noCell {
		err = fs.ErrNotExist
	}
	return found, err
}

// eachSubkey calls fn with each subkey until that returns false.
func (h *Hive) eachSubkey(nk []byte, fn func(at uint32, key string) bool) error {
	if binary.LittleEndian.Uint32(nk[20:]) == 0 {
		return nil
	}
	var all []uint32
	if err := h.collect(binary.LittleEndian.Uint32(nk[28:]), 0, &all); err != nil {
		return err
	}
	for _, at := range all {
		sub, err := h.node(at)
		if err != nil {
			return err
		}
		if !fn(at, name(sub)) {
			return nil
		}
	}
	return nil
}

// collect adds what is in a list of subkeys, which can be one of lists.
func (h *Hive) collect(at uint32, depth int, all *[]uint32) error {
	b, err := h.cell(at)
	if err != nil {
		return err
	}
	if len(b) < 4 || depth > maxLists {
		return fmt.Errorf("%w: no list of subkeys at %#x", ErrDamaged, at)
	}
	width := map[string]int{"lf": 8, "lh": 8, "li": 4, "ri": 4}[string(b[:2])]
	count := int(binary.LittleEndian.Uint16(b[2:]))
	if width == 0 || 4+count*width > len(b) {
		return fmt.Errorf("%w: no list of subkeys at %#x", ErrDamaged, at)
	}
	for i := range count {
		entry := binary.LittleEndian.Uint32(b[4+i*width:])
		if string(b[:2]) == "ri" {
			if err := h.collect(entry, depth+1, all); err != nil {
				return err
			}
			continue
		}
		if len(*all) == maxSubkeys {
			return fmt.Errorf("%w: more than %d subkeys", ErrDamaged, maxSubkeys)
		}
		*all = append(*all, entry)
	}
	return nil
}

// read returns the key at a place.
func (h *Hive) read(at uint32) (*Key, error) {
	nk, err := h.node(at)
	if err != nil {
		return nil, err
	}
	k := &Key{Values: make(map[string]Value), Written: fileTime(binary.LittleEndian.Uint64(nk[4:]))}
	err = h.eachSubkey(nk, func(_ uint32, key string) bool { k.Subkeys = append(k.Subkeys, key); return true })
	if err != nil {
		return nil, err
	}
	count := binary.LittleEndian.Uint32(nk[36:])
	if count == 0 {
		return k, nil
	}
	list, err := h.cell(binary.LittleEndian.Uint32(nk[40:]))
	if err != nil {
		return nil, err
	}
	if count > maxValues || int(count)*4 > len(list) {
		return nil, fmt.Errorf("%w: a key of %d values", ErrDamaged, count)
	}
	for i := range count {
		if err := h.value(binary.LittleEndian.Uint32(list[4*i:]), k.Values); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// value adds the value at a place.
func (h *Hive) value(at uint32, to map[string]Value) error {
	vk, err := h.cell(at)
	if err != nil {
		return err
	}
	if len(vk) < vkHeader || string(vk[:2]) != "vk" {
		return fmt.Errorf("%w: no value at %#x", ErrDamaged, at)
	}
	length := int(binary.LittleEndian.Uint16(vk[2:]))
	label := text(vk[vkHeader:min(vkHeader+length, len(vk))], binary.LittleEndian.Uint16(vk[16:])&plainValue != 0)
	v := Value{Type: binary.LittleEndian.Uint32(vk[12:])}
	switch size := binary.LittleEndian.Uint32(vk[4:]); {
	case size&inline != 0:
		// Up to four bytes stand where the place of the others would.
		v.Data = append(v.Data, vk[8:8+min(size&^inline, 4)]...)
	case size > 0:
		data, err := h.cell(binary.LittleEndian.Uint32(vk[8:]))
		if err != nil {
			return err
		}
		if uint64(size) <= uint64(len(data)) {
			v.Data = data[:size]
		}
	}
	to[label] = v
	return nil
}

// fileTime returns a time in 100 ns since 1601, zero for none.
func fileTime(n uint64) time.Time {
	const epoch, second = 11644473600, 10_000_000
	if sec := int64(n/second) - epoch; sec > 0 && sec < 253402300799 {
		return time.Unix(sec, 0).UTC()
	}
	return time.Time{}
}
