package scrub

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// display is an EDID with a number and a serial.
func display(number uint32, serial string) []byte {
	b := make([]byte, edidSize)
	copy(b, edidHeader)
	binary.LittleEndian.PutUint32(b[edidNumber:], number)
	copy(b[72:], "\x00\x00\x00\xff\x00"+serial+"\n")
	copy(b[90:], "\x00\x00\x00\xfc\x00DELL U2720Q\n")
	b[edidSize-1] = -sum(b)
	return b
}

// An EDID loses its serials in each form that it is written in, the same in
// each, and nothing else.
func TestDisplaysHaveOtherSerials(t *testing.T) {
	const number, serial = 809647436, "9D5RR63"
	s, raw := testScrubber(), display(number, serial)
	s.HideSerial(serial)
	want := s.Bytes(raw)
	if n := binary.LittleEndian.Uint32(want[edidNumber:]); n == number || len(strconv.Itoa(int(n))) != 9 || n != s.displayNumber(number) {
		t.Errorf("number %d", n)
	}
	text := want[77 : 77+len(serial)]
	if string(text) == serial || string(s.Bytes([]byte(serial))) != string(text) || sum(want) != 0 || !bytes.Contains(want, []byte("DELL U2720Q")) || len(want) != len(raw) {
		t.Errorf("serial %q, sum %d", text, sum(want))
	}
	encoded := base64.StdEncoding.EncodeToString(raw)
	for form, c := range map[string]struct{ found, want string }{
		"hexadecimal": {"0x" + hex.EncodeToString(raw) + "</string>", "0x" + hex.EncodeToString(want) + "</string>"},
		"capitals":    {strings.ToUpper(hex.EncodeToString(raw)), strings.ToUpper(hex.EncodeToString(want))},
		"base64":      {"<data>\n\t" + encoded[:60] + "\n\t" + encoded[60:] + "\n\t</data>", "<data>\n\t" + base64.StdEncoding.EncodeToString(want)[:60] + "\n\t" + base64.StdEncoding.EncodeToString(want)[60:] + "\n\t</data>"},
		"two":         {"x" + string(raw) + string(raw), "x" + string(want) + string(want)},
		"cut":         {string(raw[:100]), string(raw[:77]) + string(text) + string(raw[84:100])},
	} {
		if got := string(s.Bytes([]byte(c.found))); got != c.want {
			t.Errorf("%s: %q", form, got)
		}
	}
	for _, none := range []uint32{0, 1, 999, fillNumber} {
		if b := display(none, "SN"); !bytes.Equal(s.Bytes(b), b) {
			t.Errorf("%d tells no display from others", none)
		}
	}
}

// One display stays one in what two commands say of it.
func TestDisplayValues(t *testing.T) {
	s := testScrubber()
	ioreg := "<key>AlphanumericSerialNumber</key>\n\t<string>9D5RR63</string><key>SerialNumber</key><integer>809647436</integer><key>SerialNumber</key><true/><key>Other</key><integer>809647436</integer>"
	profile := "<key>_spdisplays_display-serial-number</key>\n<string>30423d4c</string><key>_spdisplays_display-product-id</key><string>30423d4c</string><key>_spdisplays_display-serial-number2</key><string>"
	a, b := string(s.File("commands/mac_ioreg_framebuffer", []byte(ioreg))), string(s.File("commands/mac_profile_displays", []byte(profile)))
	_, decimal, _ := strings.Cut(a, "<integer>")
	decimal, _, _ = strings.Cut(decimal, "<")
	_, hexadecimal, _ := strings.Cut(b, "<string>")
	hexadecimal, _, _ = strings.Cut(hexadecimal, "<")
	x, err := strconv.ParseUint(decimal, 10, 32)
	y, err2 := strconv.ParseUint(hexadecimal, 16, 32)
	if err != nil || err2 != nil || x != y || x == 809647436 {
		t.Errorf("%s is not %s", decimal, hexadecimal)
	}
	if strings.Contains(a, "9D5RR63") || !strings.HasSuffix(a, "<true/><key>Other</key><integer>809647436</integer>") || !strings.Contains(b, "product-id</key><string>30423d4c<") || len(a) != len(ioreg) || len(b) != len(profile) {
		t.Errorf("%s\n%s", a, b)
	}
	if other := string(s.File("commands/mac_sysctl", []byte(ioreg))); other != ioreg {
		t.Errorf("of another command: %s", other)
	}
}

// A stand-in has as many digits as the number, in either way of writing it.
func TestDisplayNumbers(t *testing.T) {
	s := testScrubber()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint32().Draw(t, "number")
		other := s.displayNumber(n)
		if len(strconv.FormatUint(uint64(n), 10)) != len(strconv.FormatUint(uint64(other), 10)) || len(strconv.FormatUint(uint64(n), 16)) != len(strconv.FormatUint(uint64(other), 16)) {
			t.Fatalf("%d (%x) becomes %d (%x)", n, n, other, other)
		}
	})
}

func FuzzDisplays(f *testing.F) {
	b := display(809647436, "9D5RR63")
	f.Add(b)
	f.Add([]byte(hex.EncodeToString(b)))
	f.Add([]byte(base64.StdEncoding.EncodeToString(b)))
	s := testScrubber()
	f.Fuzz(func(t *testing.T, data []byte) {
		if got := s.displays(data); len(got) != len(data) {
			t.Fatalf("%d bytes become %d", len(data), len(got))
		}
	})
}
