package facts

import (
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// carried fails unless a report can carry the text.
func carried(t *testing.T, texts ...string) {
	t.Helper()
	for _, s := range texts {
		if !utf8.ValidString(s) || len(s) > maxSoftwareText {
			t.Fatalf("text %q cannot be carried", s)
		}
	}
}

func FuzzSMBIOS(f *testing.F) {
	f.Add(laptopSMBIOS(), byte(3), byte(2))
	f.Add(laptopSMBIOS()[:100], byte(2), byte(4))
	f.Fuzz(func(t *testing.T, table []byte, major, minor byte) {
		got, _ := decodeSMBIOS(table, major, minor)
		d := &pb.Hardware{}
		got.fill(d)
		if _, err := proto.Marshal(d); err != nil {
			t.Fatal(err)
		}
		carried(t, d.Serial, d.Uuid, d.Model, d.Manufacturer, d.AssetTag)
	})
}

func FuzzEDID(f *testing.F) {
	f.Add(edid("DELL U2720Q", "8LXMZ13"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := decodeEDID(b); err == nil {
			carried(t, got.Manufacturer, got.Model, got.Serial)
		}
	})
}

func FuzzMountinfo(f *testing.F) {
	f.Add([]byte("28 1 252:1 / / rw,relatime shared:1 - ext4 /dev/mapper/vg-root rw\n30 28 8:1 / /a\\040b rw - xfs /dev/sda1 rw\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		mounts, _ := decodeMountinfo(b)
		seen := map[string]bool{}
		for _, m := range volumesOf(mounts) {
			carried(t, m.point, m.source, m.fstype)
			if seen[m.point] {
				t.Fatalf("two volumes on %q", m.point)
			}
			seen[m.point] = true
		}
	})
}

func FuzzLogins(f *testing.F) {
	f.Add(wtmp(loginLayouts[0], login{user: "ann", line: "tty2", at: 1_700_000_000}))
	f.Add(wtmp(loginLayouts[1], login{user: "ann", line: "tty2", at: 1_700_000_000}))
	f.Fuzz(func(t *testing.T, b []byte) {
		logins, _ := decodeLogins(b, int64(len(b)))
		for _, l := range logins {
			carried(t, l.user, l.line, l.host)
		}
		mostUsed(logins, func(string) bool { return true })
	})
}

func FuzzSettings(f *testing.F) {
	f.Add([]byte("NAME=\"Debian GNU/Linux\"\nID=debian\nX='a'\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, v := range settings(b) {
			carried(t, v)
		}
		o := new(pb.Os)
		addRelease(o, settings(b))
		if _, err := proto.Marshal(o); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzUdev(f *testing.F) {
	f.Add([]byte("E:ID_MODEL_ENC=Samsung\\x20SSD\nE:ID_SERIAL_SHORT=S1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, v := range decodeUdev(b) {
			carried(t, v, unescapeUdev(v))
		}
	})
}

func FuzzCPUInfo(f *testing.F) {
	f.Add([]byte("processor\t: 0\nmodel name\t: X\nphysical id\t: 0\ncore id\t: 0\nflags\t: a hypervisor\ncpu MHz : 1e99\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p := decodeCPUInfo(b)
		carried(t, p.model)
		if p.sockets > p.threads || p.cores > p.threads {
			t.Fatalf("%+v", p)
		}
	})
}
