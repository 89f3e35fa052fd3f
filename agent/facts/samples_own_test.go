package facts

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// os-release as distributions and their derivatives write it, and as they should
// not: quotes, escapes, no version, only a pretty name.
func TestOSRelease(t *testing.T) {
	for what, c := range map[string]struct {
		release                    string
		debian                     string
		id, name, version, edition string
	}{
		"rolling":            {"NAME=\"Arch Linux\"\nID=arch\nBUILD_ID=rolling\n", "", "arch", "Arch Linux", "", ""},
		"single quotes":      {"NAME='Void'\nID='void'\nPRETTY_NAME='Void Linux'\n", "", "void", "Void", "", ""},
		"a derivative":       {"NAME=\"Linux Mint\"\nVERSION=\"22 (Wilma)\"\nID=linuxmint\nID_LIKE=\"ubuntu debian\"\nVERSION_ID=\"22\"\n", "trixie/sid", "linuxmint", "Linux Mint", "22", ""},
		"of Debian, exactly": {"NAME=\"Debian GNU/Linux\"\nID=debian\nVERSION_ID=\"12\"\n", "12.7", "debian", "Debian GNU/Linux", "12.7", ""},
		"Debian unstable":    {"NAME=\"Debian GNU/Linux\"\nID=debian\nVERSION_CODENAME=forky\n", "forky/sid", "debian", "Debian GNU/Linux", "", ""},
		"a variant":          {"NAME=\"Fedora Linux\"\nVERSION_ID=42\nID=fedora\nVARIANT=\"Workstation Edition\"\nVARIANT_ID=workstation\n", "", "fedora", "Fedora Linux", "42", "Workstation Edition"},
		"only a pretty name": {"PRETTY_NAME=\"Appliance 7\"\n", "", "", "Appliance 7", "", ""},
		"escapes":            {"NAME=\"The \\\"Best\\\" \\$1\"\nID=best\n", "", "best", `The "Best" $1`, "", ""},
		"lines of Windows":   {"NAME=\"X\"\r\nID=x\r\nVERSION_ID=\"1\"\r\n", "", "x", "X", "1", ""},
		"comments, twice":    {"# a comment\n\nID=first\nID=second\n VERSION_ID=3\n", "", "second", "", "3", ""},
		"no end":             {"NAME=X\nID=x\nVERSION_ID=\"4", "", "x", "X", "", ""},
	} {
		fsys := fstest.MapFS{"usr/lib/os-release": body(c.release)}
		if c.debian != "" {
			fsys["etc/debian_version"] = body(c.debian + "\n")
		}
		d := new(pb.Device)
		if err := learnOS(t.Context(), &host.Host{FS: fsys, OS: "linux"}, d); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if o := d.GetOs(); o.GetId() != c.id || o.GetName() != c.name || o.GetVersion() != c.version || o.GetEdition() != c.edition {
			t.Errorf("%s: %q %q %q %q", what, o.GetId(), o.GetName(), o.GetVersion(), o.GetEdition())
		}
	}
}

// EDIDs with what their makers left out or filled in another way.
func TestEDIDVariants(t *testing.T) {
	change := func(f func(b []byte)) []byte {
		b := edid("P24h", "V305XYZ1")
		f(b)
		return b
	}
	for what, c := range map[string]struct {
		edid                 []byte
		maker, model, serial string
		year                 int32
	}{
		"as usual":          {change(func([]byte) {}), "DEL", "P24h", "V305XYZ1", 2021},
		"filled with zeros": {change(func(b []byte) { copy(b[59:72], "P24h\x00\x00\x00\x00\x00\x00\x00\x00\x00") }), "DEL", "P24h", "V305XYZ1", 2021},
		"no line's end":     {change(func(b []byte) { copy(b[59:72], "ThirteenChars") }), "DEL", "ThirteenChars", "V305XYZ1", 2021},
		"no name":           {change(func(b []byte) { b[57] = 0x10; binary.LittleEndian.PutUint16(b[10:], 0xa0b1) }), "DEL", "a0b1", "V305XYZ1", 2021},
		"only a number":     {change(func(b []byte) { b[75] = 0x10; binary.LittleEndian.PutUint32(b[12:], 77) }), "DEL", "P24h", "77", 2021},
		"a blank serial":    {change(func(b []byte) { copy(b[77:90], "             "); binary.LittleEndian.PutUint32(b[12:], 78) }), "DEL", "P24h", "78", 2021},
		"no maker":          {change(func(b []byte) { b[8], b[9] = 0, 0 }), "", "P24h", "V305XYZ1", 2021},
		"no year":           {change(func(b []byte) { b[17] = 0 }), "DEL", "P24h", "V305XYZ1", 0},
		"with an extension": {append(change(func(b []byte) { b[126] = 1 }), make([]byte, 128)...), "DEL", "P24h", "V305XYZ1", 2021},
	} {
		d, err := decodeEDID(c.edid)
		if err != nil || d.GetManufacturer() != c.maker || d.GetModel() != c.model || d.GetSerial() != c.serial || d.GetYear() != c.year {
			t.Errorf("%s: %v, %v", what, d, err)
		}
	}
}

// Tables of firmware that break the rules, or come to an end where they should
// not: what stands before is told.
func TestOddSMBIOS(t *testing.T) {
	whole := laptopSMBIOS()
	system := slices.Index(whole, 'L') // of Latitude, behind the maker
	for what, c := range map[string]struct {
		table         []byte
		serial, model string
		bad           bool
	}{
		"without an end":         {whole[:len(whole)-6], "7XK2JN3", "Latitude 5420", false},
		"zeros behind":           {append(slices.Clone(whole), make([]byte, 512)...), "7XK2JN3", "Latitude 5420", false},
		"rubbish behind its end": {append(slices.Clone(whole), strings.Repeat("\xff", 300)...), "7XK2JN3", "Latitude 5420", false},
		"cut in a text":          {whole[:system+3], "", "", true},
		"a length of nothing":    {append(slices.Clone(whole[:len(whole)-6]), 4, 0, 0, 0, 0, 0), "7XK2JN3", "Latitude 5420", true},
		"empty":                  {nil, "", "", false},
	} {
		s, err := decodeSMBIOS(c.table, 3, 2)
		if (err != nil) != c.bad {
			t.Errorf("%s: %v", what, err)
		}
		if s != nil && (s.serial != c.serial || s.product != c.model) {
			t.Errorf("%s: %q %q", what, s.serial, s.product)
		}
	}
}
