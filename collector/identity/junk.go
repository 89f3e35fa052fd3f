package identity

import (
	_ "embed"
	"encoding/hex"
	"strings"
	"sync"
)

//go:embed junk.txt
var junkFile string

var junkList = sync.OnceValue(func() map[[2]string]bool {
	list := make(map[[2]string]bool)
	for line := range strings.Lines(junkFile) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		// The third column says who says so.
		if columns := strings.Split(strings.TrimRight(line, "\r\n"), "\t"); len(columns) >= 2 {
			list[[2]string{columns[0], junkForm(columns[0], columns[1])}] = true
		}
	}
	return list
})

// junkForm is the form in which values are looked up in the list: the list is
// written as firmware writes them, and spaces, punctuation and leading zeros
// vary.
func junkForm(kind, value string) string {
	if kind == UUID {
		u, _ := canonicalUUID(value)
		return u
	}
	plain := strings.Map(func(r rune) rune {
		if (r >= '0' && r <= '9') || (r >= 'A' && r <= 'Z') || r > 127 {
			return r
		}
		return -1
	}, upper(value))
	if allDigits(plain) && strings.Trim(plain, "0") != "" {
		plain = strings.TrimLeft(plain, "0")
	}
	return plain
}

// junk tells why a key identifies nothing; empty means that it may.
func junk(k Key) string {
	form := junkForm(k.Kind, k.Value)
	if junkList()[[2]string{k.Kind, form}] {
		return "a placeholder known to be shared by many machines"
	}
	switch k.Kind {
	case Serial, Part, Board, Disk, AssetTag:
		return junkSerial(k.Value, form)
	case UUID:
		return junkUUID(k.Value)
	case MAC:
		return sharedMAC(k.Value)
	case Hostname, Maker, Product:
		return ""
	case MDM, EDR, Directory:
		if strings.Contains(k.Scope, "@") {
			return "" // counts from 1 within its server
		}
	}
	switch {
	case len(k.Value) < 4:
		return "too short to be unique"
	case oneCharacter(k.Value):
		return "one character repeated"
	}
	return ""
}

// junkSerial judges by shape; plain is the value without punctuation.
func junkSerial(value, plain string) string {
	switch {
	case junkList()[[2]string{Serial, plain}]:
		return "a placeholder known to be shared by many machines"
	case plain == "":
		return "no letter or digit in it"
	case len(value) < 4:
		return "too short to be unique"
	case oneCharacter(plain):
		return "one character repeated"
	case sequential(plain):
		return "a run of consecutive characters"
	case repeated(plain):
		return "the same characters over and over"
	case placeholderWords(plain):
		return "words that stand where a number should"
	}
	return ""
}

// junkUUID judges by shape: firmware that was never given one has a counter, a
// pattern or text in its place.
func junkUUID(value string) string {
	h := strings.ReplaceAll(value, "-", "")
	switch {
	case oneCharacter(h):
		return "one character repeated"
	case repeated(h):
		return "the same characters over and over"
	case h[16:] == "ffffffffffffffff" || h[:24] == strings.Repeat("0", 24):
		return "left empty but for a part"
	case blankServiceTag(h):
		return "made of a Dell service tag that is blank"
	}
	return ""
}

// blankServiceTag tells of the UUIDs that Dell boards have before a tag is
// written into them. They are made of "DELL" and the seven characters of the
// tag, the fourth byte after with its high bit set; the indexes are those of
// the canonical byte order. Blank is seven spaces, or nothing.
func blankServiceTag(h string) bool {
	b, err := hex.DecodeString(h)
	if err != nil || len(b) != 16 || string(b[:4]) != "DELL" {
		return false
	}
	for _, i := range []int{4, 7, 9, 10, 13, 14, 15} {
		if c := b[i] &^ 0x80; c != 0 && c != ' ' {
			return false
		}
	}
	return true
}

func oneCharacter(s string) bool {
	s = strings.ReplaceAll(s, "-", "")
	return strings.Trim(s, s[:min(1, len(s))]) == ""
}

// sequential tells whether each character follows the one before, up or down:
// 12345678, ABCDEFGH, 87654321.
func sequential(s string) bool {
	up, down := true, true
	for i := 1; i < len(s); i++ {
		up = up && (s[i] == s[i-1]+1 || (s[i-1] == '9' && s[i] == '0'))
		down = down && (s[i] == s[i-1]-1 || (s[i-1] == '0' && s[i] == '9'))
	}
	return up || down
}

// repeated tells of a short pattern written three times or more: ABABAB.
func repeated(s string) bool {
	for n := 1; n <= 4 && n*3 <= len(s); n++ {
		if len(s)%n == 0 && strings.Repeat(s[:n], len(s)/n) == s {
			return true
		}
	}
	return false
}

// placeholderWords tells of text such as "Type2 - Board Serial Number": a
// value that says what should stand there. Each phrase is long enough not to
// occur in a number by chance.
func placeholderWords(plain string) bool {
	for _, phrase := range []string{"FILLEDBY", "SERIALNUM", "DEFAULTSTRING", "NOTSPECIFIED", "NOTAVAILABLE", "NOTAPPLICABLE", "UNSPECIFIED", "UNDEFINED", "PLACEHOLDER", "SYSTEMMANUF", "SYSTEMPRODUCT", "ASSETTAG", "NOSERIAL", "CHANGEME"} {
		if strings.Contains(plain, phrase) {
			return true
		}
	}
	return false
}
