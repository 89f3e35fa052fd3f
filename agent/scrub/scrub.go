// Package scrub replaces in bytes what names a machine or a person by stand-ins
// of the same length and shape.
package scrub

import (
	"bytes"
	"encoding/hex"
	"path"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// minName and minSerial are the shortest values that are hidden: shorter ones
// stand in too much that they are not.
const (
	minName   = 3
	minSerial = 4
	// shortSerial is the length from which on a serial is found inside of other
	// numbers too; those of Dell have seven letters.
	shortSerial = 6
)

// Scrubber replaces values that it was told of, and what looks like an address
// of a network or of mail. The same value becomes the same stand-in, in any
// case, for as long as the scrubber lives; what it was cannot be told without
// the key. It may be used by several goroutines once all values are hidden.
type Scrubber struct {
	key []byte
	// first has the hidden values by the first byte in lower case, the longest
	// first.
	first [256][]secret
	known map[string]bool
	kept  map[string]bool
	// Identifiers makes every UUID that stands in no braces one that is hidden.
	Identifiers bool
}

// secret is a byte sequence to be replaced.
type secret struct {
	// lower is what is looked for, in lower case unless exact is set.
	lower []byte
	exact bool
	// apart tells that no letter or digit may stand beside it.
	apart   bool
	standIn func(found []byte) []byte
}

// New returns a scrubber. The key makes the stand-ins; whoever has it can try
// which value became which, so that it is made at random and not kept.
func New(key []byte) *Scrubber {
	return &Scrubber{key: bytes.Clone(key), known: map[string]bool{}, kept: map[string]bool{}}
}

// Keep leaves a value as it is although it looks like an address, such as a
// version of four numbers.
func (s *Scrubber) Keep(value string) { s.kept[strings.ToLower(value)] = true }

// HideName hides the name of a person, an account, a machine or a domain where
// it stands as a word. Names that say nothing, such as root, stay.
func (s *Scrubber) HideName(value string) {
	value = strings.TrimSpace(value)
	if len(value) < minName || commonNames[strings.ToLower(value)] || !hasLetter(value) {
		return
	}
	s.add(value, secret{apart: true, standIn: s.words})
}

// HideSerial hides a number that was given to one thing: a serial, an asset
// tag. One without a digit, and one that counts up or repeats itself, is a
// placeholder and stays.
func (s *Scrubber) HideSerial(value string) {
	value = strings.TrimSpace(value)
	if len(value) < minSerial || !strings.ContainsAny(value, "0123456789") || placeholder(value) {
		return
	}
	whole := func(found []byte) []byte { return s.shaped(strings.ToLower(string(found)), found) }
	// Disks have their numbers in names of devices, with other things around.
	s.add(value, secret{apart: len(value) < shortSerial, standIn: whole})
}

// HideUUID hides a UUID or any other number in hex: as text with and without
// dashes, and as bytes in both of the orders that firmware has them in.
func (s *Scrubber) HideUUID(value string) {
	plain := strings.ToLower(strings.NewReplacer("-", "", "{", "", "}", "", ":", "").Replace(strings.TrimSpace(value)))
	raw, err := hex.DecodeString(plain)
	if err != nil || len(raw) < 6 || placeholder(plain) {
		return
	}
	for _, text := range []string{strings.Trim(strings.TrimSpace(value), "{}"), plain} {
		s.add(text, secret{apart: true, standIn: s.hexDigits})
	}
	if len(raw) != 16 {
		return
	}
	for _, order := range [][]byte{raw, littleEndian(raw)} {
		by := func(found []byte) []byte {
			text := []byte(plain)
			out, err := hex.DecodeString(string(s.hexDigits(text)))
			if err != nil || bytes.Equal(found, raw) {
				return out
			}
			return littleEndian(out)
		}
		s.addBytes(order, secret{exact: true, standIn: by})
	}
}

// littleEndian returns a UUID with the bytes of its first three fields turned.
func littleEndian(b []byte) []byte {
	out := bytes.Clone(b)
	slices.Reverse(out[0:4])
	slices.Reverse(out[4:6])
	slices.Reverse(out[6:8])
	return out
}

// add hides a text, as it is in UTF-8, and where it has more than one byte a
// letter, in UTF-16 too; other text in UTF-16 is looked at letter by letter.
func (s *Scrubber) add(value string, by secret) {
	if !utf8.ValidString(value) {
		by.exact = true
	}
	s.addBytes([]byte(value), by)
	if isASCII(value) || by.exact {
		return
	}
	little, big := by, by
	little.standIn = func(found []byte) []byte { return encodeWide(string(by.standIn([]byte(decodeWide(found))))) }
	// Property lists of Apple have the high byte first.
	big.standIn = func(found []byte) []byte { return swapped(little.standIn(swapped(found))) }
	little.exact, little.apart, big.exact, big.apart = true, false, true, false
	for _, form := range []string{value, strings.ToLower(value), strings.ToUpper(value)} {
		s.addBytes(encodeWide(form), little)
		s.addBytes(swapped(encodeWide(form)), big)
	}
}

// swapped returns UTF-16 in the other order of bytes.
func swapped(b []byte) []byte {
	out := bytes.Clone(b)
	for i := 0; i+1 < len(out); i += 2 {
		out[i], out[i+1] = out[i+1], out[i]
	}
	return out
}

func (s *Scrubber) addBytes(value []byte, by secret) {
	by.lower = value
	if !by.exact {
		by.lower = lowered(value)
	}
	if s.known[string(by.lower)] || len(value) == 0 {
		return
	}
	s.known[string(by.lower)] = true
	for _, c := range []byte{by.lower[0], upper(by.lower[0])} {
		list := s.first[c]
		at := slices.IndexFunc(list, func(other secret) bool { return len(other.lower) < len(by.lower) })
		if at < 0 {
			at = len(list)
		}
		s.first[c] = slices.Insert(list, at, by)
		if upper(c) == c {
			break
		}
	}
}

// Bytes returns data with stand-ins in the place of all that is hidden, and of
// the addresses in it. It has the same length; data itself is not changed. Text
// in UTF-16LE is found in it too.
func (s *Scrubber) Bytes(data []byte) []byte {
	data = s.displays(data)
	out := s.narrow(data)
	for begin, end := range wideRuns(data) {
		text := make([]byte, 0, (end-begin)/2)
		for i := begin; i < end; i += 2 {
			text = append(text, data[i])
		}
		for i, c := range s.narrow(text) {
			if c != text[i] {
				out[begin+2*i] = c
			}
		}
	}
	return out
}

// File is Bytes for the content of a file of a name, of which the form can tell
// more: in records of logins, addresses stand as four or sixteen bytes, and the
// environment of a process has passwords, and what some commands print of displays
// has their serials under names of its own. One that is compressed stays as it
// is: nothing could be found in it.
func (s *Scrubber) File(name string, data []byte) []byte {
	if Compressed(data) {
		return data
	}
	base := path.Base(name)
	out := s.Bytes(s.displayValues(base, data))
	switch base {
	case "wtmp", "utmp", "btmp":
		clearAddresses(out)
	case "environ":
		return s.environment(out)
	}
	return out
}

// environment replaces the values of all variables but the one that tells that
// a process is in a container: many are passwords.
func (s *Scrubber) environment(data []byte) []byte {
	out := bytes.Clone(data)
	for at := 0; at < len(data); {
		end := at + bytes.IndexByte(data[at:], 0)
		if end < at {
			end = len(data)
		}
		if name, value, ok := bytes.Cut(data[at:end], []byte{'='}); ok && string(name) != "container" {
			copy(out[at+len(name)+1:], s.shaped(string(value), value))
		}
		at = end + 1
	}
	return out
}

// clearAddresses takes the addresses out of records of logins.
func clearAddresses(out []byte) {
	// See utmp(5): records of glibc, with times of 32 and of 64 bits.
	for _, record := range []struct{ size, address int }{{384, 348}, {400, 360}} {
		if len(out)%record.size != 0 {
			continue
		}
		for at := record.address; at < len(out); at += record.size {
			clear(out[at : at+16])
		}
		return
	}
}

// magics begin files that are compressed.
var magics = []string{"\x1f\x8b", "\xfd7zXZ\x00", "\x28\xb5\x2f\xfd", "\x04\x22\x4d\x18", "BZh", "PK\x03\x04"}

// Compressed tells whether a file that begins so is compressed.
func Compressed(head []byte) bool {
	return slices.ContainsFunc(magics, func(m string) bool { return bytes.HasPrefix(head, []byte(m)) })
}

// narrow scrubs text of one byte a letter. Addresses go first, since names
// stand inside of them; what was replaced is not looked at again.
func (s *Scrubber) narrow(data []byte) []byte {
	out, done := bytes.Clone(data), make([]bool, len(data))
	for _, p := range patterns {
		p.each(data, func(begin, end int) {
			if by := p.standIn(s, data, begin, end); by != nil && !slices.Contains(done[begin:end], true) {
				put(out, done, begin, by)
			}
		})
	}
	list := bytes.HasPrefix(data, []byte("bplist"))
	for i := 0; i < len(data); i++ {
		for _, hidden := range s.first[data[i]] {
			end := i + len(hidden.lower)
			if end > len(data) || !hidden.at(data, i, end, list) || slices.Contains(done[i:end], true) {
				continue
			}
			put(out, done, i, hidden.standIn(data[i:end]))
			i = end - 1
			break
		}
	}
	return out
}

func put(out []byte, done []bool, at int, by []byte) {
	copy(out[at:], by)
	for i := range by {
		done[at+i] = true
	}
}

// at tells whether the secret stands at a place and, where it must stand apart,
// does so.
func (h *secret) at(data []byte, begin, end int, list bool) bool {
	found := data[begin:end]
	if h.exact {
		return bytes.Equal(found, h.lower)
	}
	if !equalFold(found, h.lower) {
		return false
	}
	if !h.apart {
		return true
	}
	beside := wordByte
	if list {
		// Texts stand side by side, with a mark before each that can be a letter:
		// 0x50 and the length, or 0x5f and a length of its own.
		if begin > 0 && (data[begin-1] == 0x50|byte(min(len(found), 15)) || int(data[begin-1]) == len(found)) {
			return true
		}
		beside = func(c byte) bool { return wordByte(c) && !(c >= 0x50 && c < 0x60) }
	}
	return !(begin > 0 && beside(data[begin-1])) && !(end < len(data) && beside(data[end]))
}

// wideRuns gives where text in UTF-16LE of letters below 256 stands: five or
// more of them.
func wideRuns(data []byte) func(func(int, int) bool) {
	const shortest = 10
	return func(yield func(int, int) bool) {
		for i := 0; i+shortest <= len(data); {
			end := i
			for end+1 < len(data) && data[end] >= ' ' && data[end+1] == 0 {
				end += 2
			}
			if end-i < shortest {
				i++
				continue
			}
			if !yield(i, end) {
				return
			}
			i = end
		}
	}
}

func decodeWide(b []byte) string {
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = uint16(b[2*i]) | uint16(b[2*i+1])<<8
	}
	return string(utf16.Decode(units))
}

func encodeWide(text string) []byte {
	var out []byte
	for _, u := range utf16.Encode([]rune(text)) {
		out = append(out, byte(u), byte(u>>8))
	}
	return out
}
