package facts

import (
	"encoding/binary"
	"testing"
	"testing/fstest"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Panels of laptops have texts in the place of a name, and Acer prints the
// number of a display within its serial.
func TestEDIDPeculiarities(t *testing.T) {
	panel := edid("", "")
	for i, text := range []string{"AUO\n", "B121EW03 V2 \n"} {
		d := panel[54+18*i:]
		clear(d[:18])
		d[3] = edidText
		copy(d[5:18], text)
	}
	acerDisplay := edid("B226WL", "LXVEE0018511")
	binary.BigEndian.PutUint16(acerDisplay[8:], 1<<10|3<<5|18)
	binary.LittleEndian.PutUint32(acerDisplay[12:], 0x80301234)
	two := edid("First", "1")
	copy(two[90:], two[54:72])
	copy(two[95:108], "\n            ")
	for name, c := range map[string]struct {
		edid          []byte
		model, serial string
	}{
		"panel": {panel, "AUO B121EW03 V2", ""}, "Acer": {acerDisplay, "B226WL", "LXVEE001803012348511"}, "a second name that is empty": {two, "First", "1"},
	} {
		got, err := decodeEDID(c.edid)
		if err != nil || got.Model != c.model || got.Serial != c.serial {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestCPUInfoOfOldKernels(t *testing.T) {
	for name, c := range map[string]struct {
		text  string
		model string
		cores int
	}{
		"ARM":   {"Processor\t: XScale-80219 rev 0 (v5l)\nBogoMIPS\t: 593.10\n", "XScale-80219 rev 0 (v5l)", 0},
		"MIPS":  {"system type\t\t: SGI Indy\nprocessor\t\t: 0\ncpu model\t\t: R4400SC V5.0  FPU V0.0\n", "R4400SC V5.0 FPU V0.0", 0},
		"Alpha": {"cpu\t\t\t: Alpha\ncpu model\t\t: EV68CB\n", "EV68CB", 0},
		// Of the second socket, a core is offline.
		"x86": {"processor: 0\nmodel name: X\nphysical id: 0\ncore id: 0\ncpu cores: 2\n\nprocessor: 1\nphysical id: 0\ncore id: 1\ncpu cores: 2\n\nprocessor: 2\nphysical id: 1\ncore id: 0\ncpu cores: 2\n", "X", 4},
	} {
		if p := decodeCPUInfo([]byte(c.text)); p.model != c.model || p.cores != c.cores {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

func TestExactRelease(t *testing.T) {
	for _, c := range []struct{ release, file, text, want string }{
		{"ID=centos\nVERSION_ID=7\n", "etc/centos-release", "CentOS Linux release 7.9.2009 (Core)\n", "7.9.2009"},
		{"ID=centos\nVERSION_ID=9\n", "etc/centos-release", "CentOS Stream release 9\n", "9"},
		{"ID=debian\nVERSION_ID=12\n", "etc/debian_version", "12.11\n", "12.11"},
		{"ID=debian\nVERSION_ID=12\n", "etc/debian_version", "trixie/sid\n", "12"},
	} {
		d := new(pb.Device)
		h := &host.Host{FS: fstest.MapFS{"etc/os-release": body(c.release), c.file: body(c.text)}, OS: "linux"}
		if err := learnOS(t.Context(), h, d); err != nil || d.Os.Version != c.want {
			t.Errorf("%q: %v, %v", c.text, d.Os, err)
		}
	}
}
