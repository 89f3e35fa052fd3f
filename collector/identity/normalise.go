package identity

import (
	"encoding/hex"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxValue bounds an identifier in bytes; real ones have at most some 60.
const maxValue = 200

// normalise returns the form in which an identifier of a device is compared,
// and false for one that is empty, malformed or of no kind that tells devices
// apart. The scope of a serial is its manufacturer.
func normalise(kind, scope, value string) (Key, bool) {
	value, scope = strings.TrimFunc(value, blank), strings.TrimFunc(scope, blank)
	if value == "" || len(value) > maxValue || len(scope) > maxValue || !utf8.ValidString(value+scope) || strings.ContainsFunc(value+scope, unicode.IsControl) {
		return Key{}, false
	}
	switch kind {
	case Serial:
		v := serial(scope, value)
		return Key{Serial, "", v}, v != ""
	case UUID:
		u, ok := canonicalUUID(value)
		return Key{UUID, "", u}, ok
	case UDID:
		return udid(value)
	case IMEI:
		return imei(value)
	case CloudInstance:
		return cloudInstance(scope, value)
	case Directory, MDM, EDR:
		return managed(kind, scope, value)
	case MAC:
		m, ok := canonicalMAC(value)
		return Key{MAC, "", m}, ok
	case Hostname:
		name, _, _ := strings.Cut(lower(value), ".")
		return Key{Hostname, "", name}, name != "" && !genericName(name)
	case Part:
		scope = lower(scope)
		v := attachedSerial(scope, value)
		return Key{Part, scope, v}, v != ""
	case Parts:
		// Made here of identifiers that are normal; no source states it.
		return Key{}, false
	case AssetTag, Disk, Board:
		v := squeeze(upper(value))
		return Key{kind, "", v}, len(v) >= 4
	}
	return Key{}, false
}

// blank tells of characters that tables leave around a value: spaces, the byte
// order mark, and the joiners that web pages hide in text.
func blank(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || r == '\ufeff' || (r >= '\u200b' && r <= '\u200d')
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

// squeeze drops what people and programs put into a number to make it easier
// to read, each in their own way: spaces, hyphens and dashes, underscores.
func squeeze(s string) string {
	return strings.Map(func(r rune) rune {
		if blank(r) || r == '-' || r == '_' || (r >= '\u2010' && r <= '\u2015') {
			return -1
		}
		return r
	}, s)
}

// canonicalUUID returns one form for a UUID and its twin: firmware before and
// after SMBIOS 2.6, and the tools that read it, disagree on the byte order of
// the first three fields (DSP0134, 7.2.1).
func canonicalUUID(value string) (string, bool) {
	b, err := hex.DecodeString(squeeze(strings.Trim(lower(value), "{}")))
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

// udid reads an Apple device id: of a Mac it is the hardware UUID, of a phone
// 40 hexadecimal digits, or 8 and 16 since 2018.
func udid(value string) (Key, bool) {
	if u, ok := canonicalUUID(value); ok {
		return Key{UUID, "", u}, true
	}
	v := lower(squeeze(value))
	_, err := hex.DecodeString(v)
	return Key{UDID, "", v}, err == nil && (len(v) == 40 || len(v) == 24)
}

// imei keeps the 14 digits that name the device: what follows is a check digit
// (3GPP TS 23.003, 6.2.1) or, in an IMEISV, the version of its software.
func imei(value string) (Key, bool) {
	digits := strings.Map(func(r rune) rune {
		if blank(r) || r == '-' || r == '/' {
			return -1
		}
		return r
	}, value)
	if !allDigits(digits) || len(digits) < 14 || len(digits) > 16 {
		return Key{}, false
	}
	if len(digits) == 15 && !luhn(digits) {
		return Key{}, false
	}
	return Key{IMEI, "", digits[:14]}, true
}

func luhn(digits string) bool {
	sum := 0
	for i := range len(digits) {
		d := int(digits[len(digits)-1-i] - '0')
		if i%2 == 1 {
			d = d*2 - d*2/10*9
		}
		sum += d
	}
	return sum%10 == 0
}

func allDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// cloudInstance scopes an instance id by its provider, whose names for itself
// differ. Azure's ids are UUIDs, read in either byte order.
func cloudInstance(scope, value string) (Key, bool) {
	provider := squeeze(lower(scope))
	switch provider {
	case "amazon", "ec2", "amazonec2", "amazonwebservices":
		provider = "aws"
	case "google", "gce", "googlecloud", "googlecomputeengine":
		provider = "gcp"
	case "microsoft", "microsoftazure":
		provider = "azure"
	}
	value = lower(value)
	if u, ok := canonicalUUID(value); ok {
		value = u
	}
	return Key{CloudInstance, provider, value}, provider != ""
}

// shortID is how many characters an id has at least that is unique by itself.
// Shorter ones count within one server: two MDM servers both have a device 123.
const shortID = 16

// managed reads the id that a management system gave a device.
func managed(kind, scope, value string) (Key, bool) {
	scope, value = lower(scope), squeeze(lower(value))
	if scope == "" || (len(value) < shortID && !strings.Contains(scope, "@")) {
		return Key{}, false
	}
	if len(value) >= shortID {
		scope, _, _ = strings.Cut(scope, "@")
	}
	return Key{kind, scope, value}, scope != "" && value != ""
}

// managedBy is the scope of an MDM's ids: the vendor, at the server if stated.
func managedBy(vendor, server string) string {
	if u, err := url.Parse(server); vendor != "" && err == nil && u.Hostname() != "" {
		return vendor + "@" + u.Hostname()
	}
	return vendor
}
