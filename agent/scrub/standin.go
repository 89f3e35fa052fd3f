package scrub

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"strings"
	"unicode"
	"unicode/utf8"
)

// commonNames are names of accounts and machines that tell nobody apart, and
// that other things are called.
var commonNames = words(`root admin administrator administrators user users guest default public shared nobody daemon system service
	debian ubuntu centos fedora rocky arch linux windows macos apple google microsoft docker vagrant ec2-user cloud-user azureuser pi
	localhost localdomain local lan home internal intranet domain workgroup corp com org net edu gov int info test example invalid
	wheel sudo staff adm operator localsystem localservice networkservice defaultaccount wdagutilityaccount`)

func words(text string) map[string]bool {
	out := map[string]bool{}
	for w := range strings.FieldsSeq(text) {
		out[w] = true
	}
	return out
}

// placeholder tells whether a number is one letter again and again, or counts
// up.
func placeholder(value string) bool {
	same, up := true, true
	for i := 1; i < len(value); i++ {
		same = same && value[i] == value[0]
		up = up && (value[i] == value[i-1]+1 || value[i] == '0' && value[i-1] == '9')
	}
	return same || up
}

func hasLetter(value string) bool { return strings.ContainsFunc(value, unicode.IsLetter) }

func isASCII(value string) bool {
	return !strings.ContainsFunc(value, func(r rune) bool { return r >= utf8.RuneSelf })
}

func upper(c byte) byte {
	if c >= 'a' && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c - 'A' + 'a'
	}
	return c
}

// lowered returns a text in lower case as far as that keeps its length.
func lowered(b []byte) []byte {
	out := bytes.Clone(b)
	for i, c := range out {
		out[i] = lower(c)
	}
	return out
}

func equalFold(b, lower []byte) bool {
	for i, c := range b {
		if c != lower[i] && !(c >= 'A' && c <= 'Z' && c-'A'+'a' == lower[i]) {
			return false
		}
	}
	return true
}

// wordByte tells whether a byte is part of a word. An underline is not, since
// names are joined by it.
func wordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c >= utf8.RuneSelf
}

// stream gives bytes that follow from a value and the key.
func (s *Scrubber) stream(kind, value string, n int) []byte {
	var out []byte
	for block := byte(0); len(out) < n; block++ {
		mac := hmac.New(sha256.New, s.key)
		mac.Write([]byte(kind))
		mac.Write([]byte{0, block})
		mac.Write([]byte(value))
		out = mac.Sum(out)
	}
	return out
}

// shaped returns the stand-in of a value in the shape of what was found: a
// letter for a letter, a digit for a digit, each in the same case, and all else
// as it was.
func (s *Scrubber) shaped(value string, found []byte) []byte {
	random := s.stream("shape", value, len(found))
	out := make([]byte, 0, len(found))
	for i := 0; i < len(found); {
		c := found[i]
		switch {
		case c >= 'a' && c <= 'z':
			c = 'a' + random[i]%26
		case c >= 'A' && c <= 'Z':
			c = 'A' + random[i]%26
		case c >= '0' && c <= '9':
			c = '0' + random[i]%10
		case c >= utf8.RuneSelf:
			r, n := utf8.DecodeRune(found[i:])
			if unicode.IsLetter(r) {
				// Of the same 32 in the table of characters, so of the same length.
				r = r&^0x1f | rune(random[i]&0x1f)
			}
			if n > 1 {
				out = utf8.AppendRune(out, r)
				i += n
				continue
			}
		}
		out = append(out, c)
		i++
	}
	return out
}

// words returns a text with each word of it replaced for itself, so that
// ann.smith@example.com and the account ann still belong together.
func (s *Scrubber) words(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for len(text) > 0 {
		n := 0
		for n < len(text) && wordByte(text[n]) {
			n++
		}
		if n == 0 {
			out, text = append(out, text[0]), text[1:]
			continue
		}
		if word := text[:n]; commonNames[string(lowered(word))] {
			out = append(out, word...)
		} else {
			out = append(out, s.shaped(string(lowered(word)), word)...)
		}
		text = text[n:]
	}
	return out
}

// hexDigits returns the stand-in of a number in hex, whatever stands between
// its digits; letters are in upper case if one of them was.
func (s *Scrubber) hexDigits(found []byte) []byte { return s.hexAfter(found, 0) }

// hexAfter leaves the first digits as they are.
func (s *Scrubber) hexAfter(found []byte, keep int) []byte {
	var digits []byte
	letters := "0123456789abcdef"
	for _, c := range found {
		if isHex(c) {
			digits = append(digits, lower(c))
		}
		if c >= 'A' && c <= 'F' {
			letters = "0123456789ABCDEF"
		}
	}
	random := s.stream("hex", string(digits), len(digits))
	out, n := bytes.Clone(found), 0
	for i, c := range out {
		if !isHex(c) {
			continue
		}
		if n >= keep {
			out[i] = letters[random[n]%16]
		}
		n++
	}
	return out
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// number returns the stand-in of a decimal number: as many digits, and no more
// than largest.
func (s *Scrubber) number(value string, found []byte, largest uint64) []byte {
	random := s.stream("number", value, 8)
	low := uint64(1)
	for range len(found) - 1 {
		low *= 10
	}
	if len(found) <= 1 {
		low = 0
	}
	high := min(largest, max(low*10, 10)-1)
	if high < low {
		return bytes.Clone(found)
	}
	var n uint64
	for _, c := range random {
		n = n<<8 | uint64(c)
	}
	n = low + n%(high-low+1)
	out := make([]byte, len(found))
	for i := len(out) - 1; i >= 0; i-- {
		out[i], n = byte('0'+n%10), n/10
	}
	return out
}
