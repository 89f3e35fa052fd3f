package host

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"
	"unicode/utf16"
)

// RegistryType is the type of a value in Windows' registry, as winnt.h numbers
// them.
type RegistryType uint32

// Types of values that have methods here.
const (
	RegistryString       RegistryType = 1
	RegistryExpandString RegistryType = 2
	RegistryBinary       RegistryType = 3
	RegistryDWord        RegistryType = 4
	RegistryBigEndian    RegistryType = 5
	RegistryMultiString  RegistryType = 7
	RegistryQWord        RegistryType = 11
)

// RegistryKey is a key with what is directly in it.
type RegistryKey struct {
	// Values by their names as stored; that of the default value is empty.
	Values  map[string]RegistryValue
	Subkeys []string
	// SubkeysWritten is when each of Subkeys was changed last, in their order,
	// zero where that is not known. What changes below a subkey is no change of it.
	SubkeysWritten []time.Time
	// Written is when the key was changed last, zero where that is not known.
	Written time.Time
}

// RegistryValue is one value. Its Data is in the registry's own form: text in
// UTF-16LE, numbers with the low byte first.
type RegistryValue struct {
	Type RegistryType
	Data []byte
}

// RegistryKey reads a key of Windows' registry such as HKLM\SOFTWARE\Vendor:
// the roots are HKLM and HKU, and names are compared without regard to case.
// 32-bit agents see the 64-bit registry too. The error wraps fs.ErrNotExist,
// fs.ErrPermission or, where the machine has no registry, errors.ErrUnsupported.
func (h *Host) RegistryKey(path string) (*RegistryKey, error) {
	path = strings.Trim(path, `\`)
	root, _, _ := strings.Cut(path, `\`)
	if root != "HKLM" && root != "HKU" {
		return nil, fmt.Errorf("read registry key %s: its root is neither HKLM nor HKU", path)
	}
	if h.source == nil {
		return nil, fmt.Errorf("read registry key %s: %w", path, errNotRunning)
	}
	k, err := h.source.registryKey(path)
	if err != nil {
		return nil, fmt.Errorf("read registry key %s: %w", path, err)
	}
	return k, nil
}

// Value returns the value of a name in any case.
func (k *RegistryKey) Value(name string) (RegistryValue, bool) {
	if v, ok := k.Values[name]; ok {
		return v, true
	}
	for n, v := range k.Values {
		if strings.EqualFold(n, name) {
			return v, true
		}
	}
	return RegistryValue{}, false
}

// Text returns a text up to its first NUL, with the variables of an expandable
// one left as they stand. It is false for values of other types.
func (v RegistryValue) Text() (string, bool) {
	if v.Type != RegistryString && v.Type != RegistryExpandString {
		return "", false
	}
	text, _, _ := strings.Cut(decodeWide(v.Data), "\x00")
	return text, true
}

// Strings returns the texts of a value that has several. It is false for values
// of other types.
func (v RegistryValue) Strings() ([]string, bool) {
	if v.Type != RegistryMultiString {
		return nil, false
	}
	var out []string
	for text := range strings.SplitSeq(decodeWide(v.Data), "\x00") {
		// An empty text is the end of the list.
		if text == "" {
			break
		}
		out = append(out, text)
	}
	return out, true
}

// Integer returns a number. It is false for values of other types, and for
// those with fewer bytes than their type has.
func (v RegistryValue) Integer() (uint64, bool) {
	switch {
	case v.Type == RegistryDWord && len(v.Data) >= 4:
		return uint64(binary.LittleEndian.Uint32(v.Data)), true
	case v.Type == RegistryBigEndian && len(v.Data) >= 4:
		return uint64(binary.BigEndian.Uint32(v.Data)), true
	case v.Type == RegistryQWord && len(v.Data) >= 8:
		return binary.LittleEndian.Uint64(v.Data), true
	}
	return 0, false
}

// decodeWide decodes UTF-16LE; half a character at the end is dropped.
func decodeWide(b []byte) string {
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units))
}
