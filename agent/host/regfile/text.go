package regfile

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Text returns the data of a text value: UTF-16LE with a final NUL.
func Text(s string) []byte { return append(utf16le(s), 0, 0) }

// utf16le encodes a text.
func utf16le(s string) []byte {
	out := make([]byte, 0, 2*len(s)+2)
	for _, u := range utf16.Encode([]rune(s)) {
		out = binary.LittleEndian.AppendUint16(out, u)
	}
	return out
}

// decode returns the text of a file whatever its coding is. Files that were
// put together from several have a second byte order mark, others none.
func decode(data []byte) string {
	const little, utf8Mark = "\xff\xfe", "\xef\xbb\xbf"
	wide := len(data) >= 2 && data[0] != 0 && data[1] == 0
	for bytes.HasPrefix(data, []byte(little)) {
		data, wide = data[2:], true
	}
	if wide {
		units := make([]uint16, len(data)/2)
		for i := range units {
			units[i] = binary.LittleEndian.Uint16(data[2*i:])
		}
		return string(utf16.Decode(units))
	}
	data = bytes.TrimPrefix(data, []byte(utf8Mark))
	if utf8.Valid(data) {
		return string(data)
	}
	return latin(data)
}

// windows1252 is what differs in Windows-1252 from ISO 8859-1: 0x80 to 0x9f.
var windows1252 = []rune("€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ")

// latin decodes Windows-1252, in which REGEDIT4 writes in western Europe; other
// code pages are not told apart.
func latin(data []byte) string {
	var b strings.Builder
	b.Grow(len(data))
	for _, c := range data {
		if c >= 0x80 && c < 0xa0 {
			b.WriteRune(windows1252[c-0x80])
		} else {
			b.WriteRune(rune(c))
		}
	}
	return b.String()
}

// lines hands out the lines of a text.
type lines struct {
	text   string
	number int
}

func (l *lines) next() (string, bool) {
	line, ok := l.peek()
	if !ok {
		return "", false
	}
	_, l.text, _ = strings.Cut(l.text, "\n")
	l.number++
	return line, true
}

func (l *lines) peek() (string, bool) {
	if l.text == "" {
		return "", false
	}
	line, _, _ := strings.Cut(l.text, "\n")
	return strings.TrimSuffix(line, "\r"), true
}
