package hive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"slices"
	"testing"
	"time"
)

// assembler makes hives; cells are put one behind the other.
type assembler struct{ b []byte }

func (a *assembler) cell(b []byte) uint32 {
	at := uint32(len(a.b))
	size := (len(b) + 4 + 7) &^ 7
	a.b = binary.LittleEndian.AppendUint32(a.b, uint32(-int32(size)))
	a.b = append(a.b, b...)
	a.b = append(a.b, make([]byte, size-4-len(b))...)
	return at
}

func words(n ...uint32) (b []byte) {
	for _, n := range n {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	return b
}

func (a *assembler) value(name string, kind uint32, data []byte) uint32 {
	vk := make([]byte, vkHeader)
	copy(vk, "vk")
	binary.LittleEndian.PutUint16(vk[2:], uint16(len(name)))
	binary.LittleEndian.PutUint32(vk[12:], kind)
	vk[16] = plainValue
	if len(data) <= 4 {
		binary.LittleEndian.PutUint32(vk[4:], uint32(len(data))|inline)
		copy(vk[8:], data)
	} else {
		binary.LittleEndian.PutUint32(vk[4:], uint32(len(data)))
		binary.LittleEndian.PutUint32(vk[8:], a.cell(data))
	}
	return a.cell(append(vk, name...))
}

func (a *assembler) key(name string, values, subkeys []uint32, list string) uint32 {
	nk := make([]byte, nkHeader)
	copy(nk, "nk")
	nk[2] = plainName
	binary.LittleEndian.PutUint64(nk[4:], 133511634000000000)
	binary.LittleEndian.PutUint32(nk[20:], uint32(len(subkeys)))
	switch list {
	case "li", "lf":
		entries := []byte{list[0], list[1], byte(len(subkeys)), 0}
		for _, at := range subkeys {
			entries = append(entries, words(at)...)
			if list == "lf" {
				entries = append(entries, 0, 0, 0, 0)
			}
		}
		binary.LittleEndian.PutUint32(nk[28:], a.cell(entries))
	case "ri":
		// One list for each subkey.
		outer := []byte{'r', 'i', byte(len(subkeys)), 0}
		for _, at := range subkeys {
			outer = append(outer, words(a.cell(append([]byte{'l', 'i', 1, 0}, words(at)...)))...)
		}
		binary.LittleEndian.PutUint32(nk[28:], a.cell(outer))
	}
	binary.LittleEndian.PutUint32(nk[36:], uint32(len(values)))
	binary.LittleEndian.PutUint32(nk[40:], a.cell(words(values...)))
	binary.LittleEndian.PutUint16(nk[72:], uint16(len(name)))
	return a.cell(append(nk, name...))
}

// sample is a hive of two keys with values, below a third.
func sample(list string) []byte {
	a := &assembler{b: make([]byte, 32)}
	one := a.key("One", []uint32{a.value("DisplayName", 1, []byte("M\x00i\x00n\x00e\x00\x00\x00")), a.value("Size", 4, []byte{1, 2, 3, 4}), a.value("", 1, nil)}, nil, "")
	two := a.key("\xdcbung", nil, nil, "")
	root := a.key("ROOT", nil, []uint32{a.key("Software", nil, []uint32{one, two}, list)}, "lf")
	head := make([]byte, base)
	copy(head, "regf")
	binary.LittleEndian.PutUint32(head[rootAt:], root)
	return append(head, a.b...)
}

func TestHive(t *testing.T) {
	for _, list := range []string{"lf", "li", "ri"} {
		b := sample(list)
		h, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		k, err := h.Key(`software\`)
		if err != nil || !slices.Equal(k.Subkeys, []string{"One", "Übung"}) || !k.Written.Equal(time.Date(2024, 1, 31, 8, 30, 0, 0, time.UTC)) {
			t.Fatalf("%s: %+v, %v", list, k, err)
		}
		k, err = h.Key(`SOFTWARE\ONE`)
		if err != nil || string(k.Values["DisplayName"].Data) != "M\x00i\x00n\x00e\x00\x00\x00" || !bytes.Equal(k.Values["Size"].Data, []byte{1, 2, 3, 4}) || len(k.Values) != 3 {
			t.Errorf("%s: %+v, %v", list, k, err)
		}
		if _, err := h.Key(`Software\Three\Four`); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", list, err)
		}
	}
}

func TestNoHive(t *testing.T) {
	for name, b := range map[string][]byte{"nothing": nil, "a text": bytes.Repeat([]byte("x"), 5000), "cut": sample("lf")[:base+40]} {
		h, err := Open(bytes.NewReader(b), int64(len(b)))
		if err == nil {
			_, err = h.Key("Software")
		}
		if !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Open(bytes.NewReader(nil), MaxBytes+1); err == nil {
		t.Error("a hive without end")
	}
}

func FuzzHive(f *testing.F) {
	for _, list := range []string{"lf", "li", "ri"} {
		f.Add(sample(list))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		for _, path := range []string{"", "Software", `Software\One`} {
			k, err := h.Key(path)
			if err == nil && (len(k.Subkeys) > maxSubkeys || len(k.Values) > maxValues) {
				t.Fatalf("%d subkeys, %d values", len(k.Subkeys), len(k.Values))
			}
			if err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
		}
	})
}
