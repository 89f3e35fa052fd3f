package scrub

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"
)

const (
	edidSize   = 128
	edidNumber = 12
	// edidTexts is where its descriptors begin and edidEnd where they end, each of 18
	// bytes, and edidSerial the tag of one that holds a serial.
	edidTexts, edidEnd, edidDescriptor = 54, 126, 18
	edidSerial                         = 0xff
	// minNumber is the smallest number of a display that tells it from others.
	minNumber = 1000
	// fillNumber is what makers write who write none.
	fillNumber = 0x01010101
)

// The beginning of a display's EDID: as bytes, in hexadecimal and in base64.
var (
	edidHeader = []byte("\x00\xff\xff\xff\xff\xff\xff\x00")
	edidHex    = [][]byte{[]byte("00ffffffffffff00"), []byte("00FFFFFFFFFFFF00")}
	edidBase64 = []byte("AP///////wA")
)

// HideNumber hides the number that a maker has given to a display, where it is
// written in decimal. Where it stands in an EDID it is hidden without being told.
func (s *Scrubber) HideNumber(n uint32) {
	if n < minNumber || n == fillNumber {
		return
	}
	s.add(strconv.FormatUint(uint64(n), 10), secret{apart: true, standIn: s.decimal})
}

// displayNumber returns the stand-in of a display's number, which has as many
// digits, decimal and hexadecimal, as the number itself.
func (s *Scrubber) displayNumber(n uint32) uint32 {
	if n < minNumber || n == fillNumber {
		return n
	}
	least, most := uint64(1), uint64(1)
	for most <= uint64(n) {
		least, most = most, most*10
	}
	low, high := uint64(1), uint64(1)
	for high <= uint64(n) {
		low, high = high, high*16
	}
	least, most = max(least, low), min(most, high)
	return uint32(least + binary.BigEndian.Uint64(s.stream("display", strconv.FormatUint(uint64(n), 10), 8))%(most-least))
}

// decimal is displayNumber of text; what is no such number stays.
func (s *Scrubber) decimal(found []byte) []byte { return s.digits(found, 10) }

func (s *Scrubber) digits(found []byte, base int) []byte {
	n, err := strconv.ParseUint(string(found), base, 32)
	if err != nil {
		return found
	}
	out := strconv.FormatUint(uint64(s.displayNumber(uint32(n))), base)
	// Zeros in front are kept, and so is the case.
	out = strings.Repeat("0", max(len(found)-len(out), 0)) + out
	if bytes.ContainsAny(found, "ABCDEF") {
		out = strings.ToUpper(out)
	}
	return []byte(out)
}

// serial is the stand-in of a serial, the same that HideSerial gives.
func (s *Scrubber) serial(found []byte) []byte {
	text := string(bytes.TrimSpace(found))
	if len(text) < minSerial || !strings.ContainsAny(text, "0123456789") || placeholder(text) {
		return found
	}
	return bytes.Replace(found, []byte(text), s.shaped(strings.ToLower(text), []byte(text)), 1)
}

// displays returns data with other serials in each EDID in it, in whichever form
// it is written.
func (s *Scrubber) displays(data []byte) []byte {
	var out []byte
	change := func() []byte {
		if out == nil {
			out = bytes.Clone(data)
		}
		return out
	}
	for at := range found(data, edidHeader) {
		s.edid(change()[at:])
	}
	for _, begin := range edidHex {
		for at := range found(data, begin) {
			end := at
			for end < len(data) && isHex(data[end]) {
				end++
			}
			end -= (end - at) % 2
			raw, err := hex.DecodeString(string(data[at:end]))
			if err == nil && s.edid(raw) {
				copy(change()[at:end], cased(hex.EncodeToString(raw), data[at:end]))
			}
		}
	}
	for at := range found(data, edidBase64) {
		s.encoded(change(), data, at)
	}
	if out == nil {
		return data
	}
	return out
}

// cased returns hexadecimal digits in capitals where those found were.
func cased(text string, found []byte) string {
	if bytes.ContainsAny(found, "ABCDEF") {
		return strings.ToUpper(text)
	}
	return text
}

// encoded puts another EDID in the place of one in base64, which property lists
// break into lines.
func (s *Scrubber) encoded(out, data []byte, at int) {
	var text []byte
	var places []int
	for i := at; i < len(data) && len(places) < 4096; i++ {
		c := data[i]
		if c == ' ' || c == '\t' || c == '\n' || c == '\r' {
			continue
		}
		if !wordByte(c) && strings.IndexByte("+/=", c) < 0 {
			break
		}
		text, places = append(text, c), append(places, i)
	}
	text = text[:len(text)/4*4]
	raw, err := base64.StdEncoding.DecodeString(string(text))
	if err != nil || !s.edid(raw) {
		return
	}
	for i, c := range base64.StdEncoding.AppendEncode(nil, raw) {
		out[places[i]] = c
	}
}

// found gives where something begins in data.
func found(data, what []byte) func(func(int) bool) {
	return func(yield func(int) bool) {
		for from := 0; ; {
			next := bytes.Index(data[from:], what)
			if next < 0 || !yield(from+next) {
				return
			}
			from += next + len(what)
		}
	}
}

// edid replaces number and serial in the EDID that b begins with, so that its
// checksum stays as right or wrong as it was. It is not ok where b is too short.
func (s *Scrubber) edid(b []byte) (ok bool) {
	if len(b) < edidSize {
		return false
	}
	before := sum(b)
	number := b[edidNumber : edidNumber+4]
	binary.LittleEndian.PutUint32(number, s.displayNumber(binary.LittleEndian.Uint32(number)))
	for at := edidTexts; at+edidDescriptor <= edidEnd; at += edidDescriptor {
		d := b[at : at+edidDescriptor]
		if d[0] == 0 && d[1] == 0 && d[2] == 0 && d[3] == edidSerial {
			text, _, _ := bytes.Cut(d[5:], []byte{'\n'})
			copy(d[5:], s.serial(text))
		}
	}
	b[edidSize-1] += before - sum(b)
	return true
}

func sum(b []byte) (sum byte) {
	for _, c := range b[:edidSize] {
		sum += c
	}
	return sum
}

// displayKeys are, by command, the keys of property lists that have serials of
// displays as their values, and what takes the place of those.
var displayKeys = map[string][]struct {
	key     string
	standIn func(s *Scrubber, found []byte) []byte
}{
	"mac_ioreg_framebuffer":      {{"SerialNumber", (*Scrubber).decimal}, {"AlphanumericSerialNumber", (*Scrubber).serial}},
	"mac_ioreg_framebuffer_shim": {{"SerialNumber", (*Scrubber).decimal}, {"AlphanumericSerialNumber", (*Scrubber).serial}},
	"mac_profile_displays": {
		{"_spdisplays_display-serial-number", (*Scrubber).hexadecimal}, {"_spdisplays_display-serial-number2", (*Scrubber).hexadecimal},
		{"spdisplays_display-serial-number", (*Scrubber).serial},
	},
}

func (s *Scrubber) hexadecimal(found []byte) []byte { return s.digits(found, 16) }

// displayValues replaces what a command tells of displays under keys that are
// known. Which display is which is told by the number there and here, so that it
// must become the same in both.
func (s *Scrubber) displayValues(command string, data []byte) []byte {
	keys := displayKeys[command]
	if len(keys) == 0 {
		return data
	}
	out := bytes.Clone(data)
	for _, k := range keys {
		key := []byte("<key>" + k.key + "</key>")
		for at := range found(data, key) {
			rest := data[at+len(key):]
			value := bytes.TrimLeft(rest, " \t\r\n")
			begin := bytes.IndexByte(value, '>') + 1
			end := bytes.IndexByte(value[begin:], '<')
			if begin == 0 || end < 0 || !bytes.HasPrefix(value, []byte("<string>")) && !bytes.HasPrefix(value, []byte("<integer>")) {
				continue
			}
			at += len(key) + len(rest) - len(value) + begin
			copy(out[at:at+end], k.standIn(s, data[at:at+end]))
		}
	}
	return out
}
