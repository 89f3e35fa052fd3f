package facts

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

var update = flag.Bool("update", false, "write what the machines in testdata are learnt to be")

// readMachine reads a file of testdata/machines; its form is told in the
// README there.
func readMachine(t testing.TB, name string) fstest.MapFS {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	out := fstest.MapFS{}
	var at *fstest.MapFile
	inHex := false
	for line := range strings.Lines(string(data)) {
		head, begins := strings.CutPrefix(strings.TrimRight(line, "\n"), "-- ")
		head, ends := strings.CutSuffix(head, " --")
		if !begins || !ends {
			if inHex {
				b, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(line), " ", ""))
				if err != nil {
					t.Fatal(err)
				}
				at.Data = append(at.Data, b...)
			} else {
				at.Data = append(at.Data, line...)
			}
			continue
		}
		path, target, link := strings.Cut(head, " -> ")
		path, _, inHex = strings.Cut(path, " = ")
		at = &fstest.MapFile{Mode: 0o444}
		if link {
			at = &fstest.MapFile{Mode: fs.ModeSymlink | 0o777, Data: []byte(target)}
		}
		out[path] = at
	}
	return out
}

// structure assembles one structure of an SMBIOS table; fields begin behind
// the header of four bytes.
func structure(kind byte, handle uint16, fields []byte, texts ...string) []byte {
	b := []byte{kind, byte(4 + len(fields)), byte(handle), byte(handle >> 8)}
	b = append(b, fields...)
	for _, t := range texts {
		b = append(append(b, t...), 0)
	}
	if len(texts) == 0 {
		b = append(b, 0)
	}
	return append(b, 0)
}

// laptopSMBIOS is the table of a Dell laptop with one of two slots filled and
// a small flash array that is no main memory.
func laptopSMBIOS() []byte {
	module := func(array uint16, mib uint16, texts byte) []byte {
		f := make([]byte, 0x1b-4)
		binary.LittleEndian.PutUint16(f, array)
		binary.LittleEndian.PutUint16(f[0x0c-4:], mib)
		f[0x10-4], f[0x12-4] = texts, 0x1a
		binary.LittleEndian.PutUint16(f[0x15-4:], 3200)
		if texts > 0 {
			f[0x17-4], f[0x18-4], f[0x1a-4] = 2, 3, 4
		}
		return f
	}
	system := append([]byte{1, 2, 0, 3}, 0x44, 0x45, 0x4c, 0x4c, 0x36, 0x00, 0x10, 0x39, 0x80, 0x34, 0xb5, 0xc0, 0x4f, 0x4b, 0x33, 0x33)
	system = append(system, 6, 4, 5)
	memory := make([]byte, 11)
	memory[0], memory[1] = 3, 3
	flash := make([]byte, 11)
	flash[0], flash[1] = 3, 5
	return slices.Concat(
		structure(0, 0, append([]byte{1, 2, 0, 0, 3}, make([]byte, 13)...), "Dell Inc.", "1.33.0", "08/12/2024"),
		structure(1, 1, system, "Dell Inc.", "Latitude 5420", "7XK2JN3", "0A20", "Latitude"),
		structure(2, 2, []byte{1, 2, 3, 4, 0}, "Dell Inc.", "01M3M4", "A00", "/7XK2JN3/CNWS20013A00JX/"),
		structure(3, 3, []byte{1, 0x8a, 0, 2, 3}, "Dell Inc.", "7XK2JN3", "IT-00417"),
		structure(16, 16, memory), structure(16, 18, flash),
		structure(17, 17, module(16, 16384, 1), "DIMM A", "Samsung", "03AB12CD", "M471A2K43DB1-CWE"),
		structure(17, 19, module(16, 0, 0)),
		structure(17, 20, module(18, 16, 0)),
		structure(127, 127, nil),
	)
}

func smbiosEntry(major, minor byte) []byte {
	return append([]byte("_SM3_\x00\x18"), append([]byte{major, minor}, make([]byte, 15)...)...)
}

// edid assembles the first block of an EDID.
func edid(model, serial string) []byte {
	b := make([]byte, 128)
	copy(b, edidHeader)
	binary.BigEndian.PutUint16(b[8:], 4<<10|5<<5|12)
	b[17] = 2021 - 1990
	for i, d := range []struct {
		tag  byte
		text string
	}{{edidName, model}, {edidSerial, serial}} {
		at := b[54+18*i:]
		at[3] = d.tag
		copy(at[5:18], d.text+"\n            ")
	}
	return b
}

// wtmp assembles login records of a size and a place of the time.
func wtmp(layout loginLayout, logins ...login) []byte {
	var out []byte
	for _, l := range logins {
		b := make([]byte, layout.size)
		if layout.order == binary.ByteOrder(binary.BigEndian) {
			binary.BigEndian.PutUint16(b, userProcess)
			binary.BigEndian.PutUint32(b[layout.time:], uint32(l.at))
		} else {
			binary.LittleEndian.PutUint16(b, userProcess)
			binary.LittleEndian.PutUint32(b[layout.time:], uint32(l.at))
		}
		copy(b[8:40], l.line)
		copy(b[44:76], l.user)
		copy(b[76:], l.host)
		out = append(out, b...)
	}
	return out
}

func TestMachines(t *testing.T) {
	day := int64(86400)
	extra := map[string]fstest.MapFS{"laptop": {
		smbiosDir + "/DMI":                {Data: laptopSMBIOS()},
		smbiosDir + "/smbios_entry_point": {Data: smbiosEntry(3, 2)},
		drmDir + "/card0-HDMI-A-1/edid":   {Data: edid("DELL U2720Q", "8LXMZ13")},
		drmDir + "/card0-DP-1/edid":       {},
		"var/log/wtmp": {Data: wtmp(loginLayouts[0],
			login{user: "bob", line: "pts/0", host: "10.0.0.9", at: 1000 * day}, login{user: "bob", line: "pts/0", host: "10.0.0.9", at: 1001 * day},
			login{user: "bob", line: "pts/1", host: "10.0.0.9", at: 1002 * day}, login{user: "gdm", line: "tty1", at: 1002 * day},
			login{user: "ann", line: "tty2", host: ":0", at: 1003 * day}, login{user: "root", line: "tty3", at: 1004 * day})},
	}}
	names, err := filepath.Glob("testdata/machines/*.txt")
	if err != nil || len(names) < 4 {
		t.Fatalf("%d machines, %v", len(names), err)
	}
	for _, name := range names {
		base := strings.TrimSuffix(filepath.Base(name), ".txt")
		t.Run(base, func(t *testing.T) {
			tree := readMachine(t, name)
			for path, f := range extra[base] {
				tree[path] = f
			}
			h := &host.Host{FS: tree, OS: "linux", Now: time.Now}
			o := Observe(t.Context(), h, Options{})
			checkMachine(t, o, strings.TrimSuffix(name, ".txt")+".want.json")
		})
	}
}

// checkMachine compares an observation, without what depends on the clock,
// with the file that tells what it must be.
func checkMachine(t *testing.T, o *pb.Observation, file string) {
	t.Helper()
	o.ObservedAt = nil
	for _, p := range o.Problems {
		p.Took = nil
	}
	raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	// protojson adds blanks at random.
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
