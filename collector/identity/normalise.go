package identity

import (
	_ "embed"
	"encoding/hex"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// maxValue bounds a strong identifier in bytes; real ones have at most some 60.
const maxValue = 200

// normalise returns the form in which an identifier is compared, and false for
// one that is empty, malformed or not strong.
func normalise(kind, scope, value string) (Key, bool) {
	value = strings.TrimSpace(value)
	if value == "" || len(value) > maxValue || len(scope) > maxValue || !utf8.ValidString(value+scope) || strings.ContainsRune(value+scope, 0) {
		return Key{}, false
	}
	switch kind {
	case Serial:
		return Key{Serial, manufacturer(scope), upper(strings.Join(strings.Fields(value), " "))}, true
	case UUID:
		u, ok := canonicalUUID(value)
		return Key{UUID, "", u}, ok
	case IMEI:
		digits := strings.Map(keepDigits, value)
		return Key{IMEI, "", digits}, len(digits) >= 14 && len(digits) <= 16
	case CloudInstance:
		scope = lower(strings.TrimSpace(scope))
		return Key{CloudInstance, scope, lower(value)}, scope != ""
	}
	return Key{}, false
}

// upper and lower change the case of ASCII letters only: serials have no
// others, and those of other scripts can change their length with their case.
func upper(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r - 'a' + 'A'
		}
		return r
	}, s)
}

func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r - 'A' + 'a'
		}
		return r
	}, s)
}

func keepDigits(r rune) rune {
	if r >= '0' && r <= '9' {
		return r
	}
	return -1
}

// manufacturer reduces the ways in which sources write a maker's name to one:
// "Dell Inc.", "DELL" and "dell" are one, "Hewlett-Packard" and "HP" are.
func manufacturer(name string) string {
	first, _, _ := strings.Cut(lower(strings.TrimSpace(name)), " ")
	first = strings.TrimRightFunc(first, func(r rune) bool { return r == '.' || r == ',' || unicode.IsSpace(r) })
	if first == "hewlett-packard" || first == "hpe" {
		return "hp"
	}
	return first
}

// canonicalUUID returns one form for a UUID and its twin: firmware before and
// after SMBIOS 2.6, and the tools that read it, disagree on the byte order of
// the first three fields (DSP0134, 7.2.1).
func canonicalUUID(value string) (string, bool) {
	b, err := hex.DecodeString(strings.ReplaceAll(strings.Trim(strings.ToLower(value), "{}"), "-", ""))
	if err != nil || len(b) != 16 {
		return "", false
	}
	twin := []byte{b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6]}
	twin = append(twin, b[8:]...)
	return min(format(b), format(twin)), true
}

func format(b []byte) string {
	h := hex.EncodeToString(b)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

//go:embed junk.txt
var junkFile string

var junkList = sync.OnceValue(func() map[[2]string]bool {
	list := make(map[[2]string]bool)
	for line := range strings.Lines(junkFile) {
		kind, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), "\t")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		if kind == UUID {
			value, _ = canonicalUUID(value)
		}
		list[[2]string{kind, value}] = true
	}
	return list
})

// junk tells why a key identifies nothing; empty means that it may.
func junk(k Key) string {
	switch {
	case junkList()[[2]string{k.Kind, k.Value}]:
		return "a placeholder known to be shared by many machines"
	case k.Kind != UUID && len(k.Value) < 4:
		return "too short to be unique"
	case oneCharacter(k.Value):
		return "one character repeated"
	case k.Kind == Serial && sequential(k.Value):
		return "a run of consecutive characters"
	}
	return ""
}

func oneCharacter(s string) bool {
	s = strings.ReplaceAll(s, "-", "")
	return strings.Trim(s, s[:min(1, len(s))]) == ""
}

// sequential tells whether each character follows the one before: 12345678,
// ABCDEFGH.
func sequential(s string) bool {
	for i := 1; i < len(s); i++ {
		if s[i] != s[i-1]+1 && (s[i-1] != '9' || s[i] != '0') {
			return false
		}
	}
	return true
}
