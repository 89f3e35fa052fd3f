package table

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// sample is how much of a file is looked at to guess its form.
const sample = 64 << 10

// decode turns a file into UTF-8 with lines that end in \n, and notes how.
func (t *Table) decode(r io.Reader, p *Plan) (io.Reader, error) {
	b := bufio.NewReaderSize(r, sample)
	head, err := b.Peek(sample)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read: %w", err)
	}
	if bytes.HasPrefix(head, []byte{0xd0, 0xcf, 0x11, 0xe0}) {
		return nil, errors.New("is a workbook of the old form (.xls), or one with a password: save it as .xlsx without one, or as CSV (UTF-8)")
	}
	if p.Encoding = t.m.Encoding; p.Encoding == "" {
		p.Encoding = guessEncoding(head)
	}
	text := transform.NewReader(b, transform.Chain(decoder(p.Encoding), &lineEnds{}))
	lines := bufio.NewReaderSize(text, sample)
	start, err := lines.Peek(sample / 4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read as %s: %w", p.Encoding, err)
	}
	switch d := []rune(t.m.Delimiter); {
	case len(d) == 0:
		p.Delimiter = guessDelimiter(string(start), t.m.Skip)
	case t.m.Delimiter == `\t` || t.m.Delimiter == "tab":
		p.Delimiter = '\t'
	case len(d) == 1 && d[0] != '"' && d[0] != '\n' && d[0] != '\r' && d[0] != utf8.RuneError:
		p.Delimiter = d[0]
	default:
		return nil, fmt.Errorf("delimiter %q: want one character, or tab", t.m.Delimiter)
	}
	return lines, nil
}

func decoder(name string) transform.Transformer {
	e := unicode.UTF8BOM
	switch name {
	case "utf-16le":
		e = unicode.UTF16(unicode.LittleEndian, unicode.UseBOM)
	case "utf-16be":
		e = unicode.UTF16(unicode.BigEndian, unicode.UseBOM)
	case "windows-1252":
		e = charmap.Windows1252
	}
	return e.NewDecoder()
}

// guessEncoding looks for a byte order mark, for the zeros of UTF-16, and
// whether the text can be UTF-8. What is none of these is taken for the code
// page of western Windows, which has a character for nearly every byte.
func guessEncoding(b []byte) string {
	switch {
	case bytes.HasPrefix(b, []byte{0xff, 0xfe}):
		return "utf-16le"
	case bytes.HasPrefix(b, []byte{0xfe, 0xff}):
		return "utf-16be"
	}
	if n := len(b) &^ 1; n > 8 {
		even, odd := 0, 0
		for i := 0; i < n; i += 2 {
			if b[i] == 0 {
				even++
			}
			if b[i+1] == 0 {
				odd++
			}
		}
		if odd > n/4 {
			return "utf-16le"
		}
		if even > n/4 {
			return "utf-16be"
		}
	}
	// The sample may end within a character.
	for cut := 0; cut < utf8.UTFMax && cut <= len(b); cut++ {
		if utf8.Valid(b[:len(b)-cut]) {
			return "utf-8"
		}
		if len(b) < sample {
			break
		}
	}
	return "windows-1252"
}

// guessDelimiter takes the character that parts the headings most often. A
// title above them has none.
func guessDelimiter(s string, skip int) rune {
	best, most := ',', 0
	for i, line := range strings.SplitAfterN(s, "\n", skip+lookAhead) {
		if i < skip {
			continue
		}
		for _, d := range ",;\t|" {
			if n := unquoted(line, d); n > most {
				best, most = d, n
			}
		}
		if most > 0 {
			break
		}
	}
	return best
}

// unquoted counts a character outside quotes.
func unquoted(s string, d rune) int {
	n, quoted := 0, false
	for _, r := range s {
		switch {
		case r == '"':
			quoted = !quoted
		case r == d && !quoted:
			n++
		}
	}
	return n
}

// lineEnds makes the three ways to end a line one: old Macs, and some exports,
// end them with \r alone, which encoding/csv takes for one long line.
type lineEnds struct{ returned bool }

// Reset implements transform.Transformer.
func (l *lineEnds) Reset() { l.returned = false }

// Transform implements transform.Transformer.
func (l *lineEnds) Transform(dst, src []byte, _ bool) (written, read int, err error) {
	for read < len(src) {
		c := src[read]
		if c == '\n' && l.returned {
			l.returned = false
			read++
			continue
		}
		if written == len(dst) {
			return written, read, transform.ErrShortDst
		}
		if l.returned = c == '\r'; l.returned {
			c = '\n'
		}
		dst[written] = c
		written++
		read++
	}
	return written, read, nil
}
