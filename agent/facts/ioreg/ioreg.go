// Package ioreg decodes what macOS's ioreg prints, as a property list or as the
// tree for people, into the entries of the I/O registry.
package ioreg

import (
	"bytes"
	"fmt"

	"github.com/rollcall-itam/rollcall/agent/facts/proplist"
)

// Keys that ioreg -a adds to an entry's own properties.
const (
	KeyName     = "IORegistryEntryName"
	KeyClass    = "IOObjectClass"
	keyChildren = "IORegistryEntryChildren"
)

// maxEntries is the number of entries that are looked at.
const maxEntries = 100_000

// Decode returns every entry in the order of the output, parents before their
// children. Of the text form, entries have the same keys as of the other, as far
// as it tells.
func Decode(out []byte) ([]proplist.Dict, error) {
	trimmed := bytes.TrimSpace(out)
	switch {
	case len(trimmed) == 0:
		// ioreg found nothing.
		return nil, nil
	case trimmed[0] == '<', bytes.HasPrefix(trimmed, []byte("bplist")):
		v, err := proplist.Decode(trimmed)
		if err != nil {
			return nil, fmt.Errorf("read what ioreg prints: %w", err)
		}
		return flatten(nil, v), nil
	}
	return decodeText(out)
}

// flatten adds the entries in a value to all: one, or an array of several.
func flatten(all []proplist.Dict, v any) []proplist.Dict {
	switch v := v.(type) {
	case proplist.Dict:
		if len(all) < maxEntries {
			all = flatten(append(all, v), v[keyChildren])
		}
	case []any:
		for _, e := range v {
			all = flatten(all, e)
		}
	}
	return all
}

// Text returns a property that is text, or data that holds text and a NUL, as
// firmware has it; "" for none.
func Text(entry proplist.Dict, key string) string {
	if b := entry.Bytes(key); b != nil {
		b, _, _ = bytes.Cut(b, []byte{0})
		return string(bytes.TrimSpace(b))
	}
	return entry.Text(key)
}
