package facts

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

func apkFact(t testing.TB) func(h *host.Host, d *pb.Device) error {
	return func(h *host.Host, d *pb.Device) error { return learnAPK(t.Context(), h, d) }
}

func pacmanFact(t testing.TB) func(h *host.Host, d *pb.Device) error {
	return func(h *host.Host, d *pb.Device) error { return learnPacman(t.Context(), h, d) }
}

func rpmFact(t testing.TB) func(h *host.Host, d *pb.Device) error {
	return func(h *host.Host, d *pb.Device) error { return learnRPM(t.Context(), h, d) }
}

func snapFact(t testing.TB) func(h *host.Host, d *pb.Device) error {
	return func(h *host.Host, d *pb.Device) error { return learnSnap(t.Context(), h, d) }
}

func flatpakFact(t testing.TB) func(h *host.Host, d *pb.Device) error {
	return func(h *host.Host, d *pb.Device) error { return learnFlatpak(t.Context(), h, d) }
}

func text(s string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte(s), ModTime: time.Unix(1_700_000_000, 0)}
}

func testdata(t testing.TB, name string) *fstest.MapFile {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return text(string(b))
}

// check compares the rows of a fact, and its error with a part of it.
func check(t *testing.T, got *pb.Device, err error, problem string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, software(got)); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if (err == nil) != (problem == "") || err != nil && !strings.Contains(err.Error(), problem) {
		t.Errorf("error %v, want %q", err, problem)
	}
	checkRows(t, got)
}

// A machine that has no such package manager is no problem.
func TestManagersAreNotEverywhere(t *testing.T) {
	for name, fact := range map[string]func(h *host.Host, d *pb.Device) error{
		"apk": apkFact(t), "pacman": pacmanFact(t), "rpm": rpmFact(t), "snap": snapFact(t), "flatpak": flatpakFact(t),
	} {
		if d, err := learn(t, fact, fstest.MapFS{}); !errors.Is(err, errors.ErrUnsupported) || len(d.Software) > 0 {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestAPK(t *testing.T) {
	const maintainer = "Natanael Copa"
	whole := testdata(t, "apk/installed")
	got, err := learn(t, apkFact(t), fstest.MapFS{"lib/apk/db/installed": whole})
	if err != nil || len(got.Software) != 15 {
		t.Fatalf("%d rows, error %v", len(got.Software), err)
	}
	for i, want := range map[int]string{
		0:  "apk|alpine-baselayout|3.4.3-r1|x86_64|" + maintainer + "|-|331776",
		8:  "apk|libcrypto3|3.1.0-r4|x86_64|Ariadne Conill|-|4567040",
		14: "apk|zlib|1.2.13-r1|x86_64|" + maintainer + "|-|110592",
	} {
		if have := software(got)[i]; have != want {
			t.Errorf("row %d: %s, want %s", i, have, want)
		}
	}
	cut := text(string(whole.Data[:5000]))
	half, err := learn(t, apkFact(t), fstest.MapFS{"usr/lib/apk/db/installed": cut})
	if len(half.Software) == 0 || len(half.Software) >= 15 || err == nil || !strings.Contains(err.Error(), "at byte 5000") {
		t.Errorf("cut in half: %d rows, error %v", len(half.Software), err)
	}
	bad, err := learn(t, apkFact(t), fstest.MapFS{"lib/apk/db/installed": text("P:a\n\nP:b\nV:1\n\n")})
	check(t, bad, err, `package "a" at byte 0`, "apk|b|1|||-|-")
}

func TestPacman(t *testing.T) {
	fsys := fstest.MapFS{"var/lib/pacman/local/ALPM_DB_VERSION": text("9\n")}
	for _, entry := range []string{"pacman-6.0.1-5", "corrupt-0.2.1-3", "base-1.0", "dive-0.10.0"} {
		fsys["var/lib/pacman/local/"+entry+"/desc"] = testdata(t, "pacman/"+entry+"/desc")
	}
	got, err := learn(t, pacmanFact(t), fsys)
	check(t, got, err, "corrupt-0.2.1-3/desc has no %NAME%", "pacman|pacman|6.0.1-5|x86_64|Morten Linderud|1654074247|4925474")
	if n := strings.Count(err.Error(), "left out"); n != 3 {
		t.Errorf("%d entries said to be left out: %v", n, err)
	}
}

// The databases of the rpm package's own tests, found through the places where
// machines keep them.
func TestRPM(t *testing.T) {
	db, err := os.ReadFile("rpmdb/testdata/wal-rpmdb.sqlite")
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile("rpmdb/testdata/wal-rpmdb.sqlite-wal")
	if err != nil {
		t.Fatal(err)
	}
	fsys := fstest.MapFS{
		"var/lib/rpm/Packages":           text(""),
		"var/lib/rpm/rpmdb.sqlite":       text(string(db)),
		"usr/lib/sysimage/rpm/.rpm.lock": text(""),
	}
	got, err := learn(t, rpmFact(t), fsys)
	check(t, got, err, "", "rpm|alpha|1.0-1|x86_64|Example|1700000000|1234", "rpm|beta|1.0-1|x86_64|Example|1700000000|1234", "rpm|gamma|1.0-1|x86_64|Example|1700000000|1234")
	fsys["var/lib/rpm/rpmdb.sqlite-wal"] = text(string(log))
	got, err = learn(t, rpmFact(t), fsys)
	if err != nil || len(got.Software) != 42 || got.Software[0].Version != "3:2.0-1" {
		t.Errorf("with log: %d rows, error %v", len(got.Software), err)
	}
	fsys["var/lib/rpm/rpmdb.sqlite-journal"] = text("journal")
	if got, err = learn(t, rpmFact(t), fsys); err == nil || len(got.Software) != 42 {
		t.Errorf("with a journal left behind: %d rows, error %v", len(got.Software), err)
	}
	fsys["usr/lib/sysimage/rpm/rpmdb.sqlite"] = text("this is no database")
	got, err = learn(t, rpmFact(t), fsys)
	check(t, got, err, "/usr/lib/sysimage/rpm/rpmdb.sqlite: not an rpm database")
}

const snapStateText = `{"data": {"auth": {}, "snaps": {
 "core22": {"type": "base", "active": true, "current": "1234", "sequence": [{"name": "core22", "snap-id": "OLD", "revision": "1"}, {"name": "core22", "snap-id": "C22", "revision": "1234"}]},
 "hello": {"active": true, "current": "x1", "sequence": {"sequence": [{"name": "hello", "snap-id": "HID", "revision": "x1"}]}},
 "off": {"active": false, "current": "7", "sequence": []}}}, "changes": {}}`

func snapFiles() fstest.MapFS {
	return fstest.MapFS{
		"snap/core22/1234/meta/snap.yaml":      text("name: core22\nversion: '20240111'\narchitectures:\n- amd64\n- all\nsummary: x\n"),
		"snap/core22/current":                  &fstest.MapFile{Data: []byte("1234"), Mode: fs.ModeSymlink, ModTime: time.Unix(1_700_000_000, 0)},
		"snap/hello/x1/meta/snap.yaml":         text("name: hello\nversion: 2.10 # comment\narchitectures: [arm64, amd64]\napps:\n  hello:\n    version: 9\n"),
		"snap/hello/current":                   &fstest.MapFile{Data: []byte("x1"), Mode: fs.ModeSymlink, ModTime: time.Unix(1_700_000_001, 0)},
		"snap/bin/hello":                       text(""),
		"var/lib/snapd/snaps/core22_1234.snap": text("12345"),
	}
}

func TestSnap(t *testing.T) {
	rows := []string{"snap|core22|20240111|amd64||1700000000|5", "snap|hello|2.10|arm64||1700000001|-"}
	fsys := snapFiles()
	fsys["var/lib/snapd/state.json"] = text(snapStateText)
	got, err := learn(t, snapFact(t), fsys)
	check(t, got, err, "", rows...)
	if a, b := got.Software[0].ProductId, got.Software[1].ProductId; a != "C22" || b != "HID" {
		t.Errorf("ids %q and %q", a, b)
	}
	got, err = learn(t, snapFact(t), snapFiles())
	check(t, got, err, "disabled snaps and ids are not known", rows...)
	fsys["var/lib/snapd/state.json"] = text(snapStateText[:100])
	got, err = learn(t, snapFact(t), fsys)
	check(t, got, err, "state.json: unexpected end of JSON input", rows...)
	delete(fsys, "snap/hello/x1/meta/snap.yaml")
	fsys["var/lib/snapd/state.json"] = text(snapStateText)
	got, err = learn(t, snapFact(t), fsys)
	check(t, got, err, "version of snap hello: revision x1 is not mounted", rows[0], "snap|hello||||1700000001|-")
	fsys["var/lib/snapd/state.json"] = text(`{"data": {"snaps": {"../../etc": {"active": true, "current": "1"}}}}`)
	got, err = learn(t, snapFact(t), fsys)
	check(t, got, err, "not a file name", "snap|../../etc||||-|-")
}

// deployment encodes the GVariant that flatpak writes beside what it deploys.
func deployment(origin string, size uint64, metadata map[string]string, order ...string) string {
	pad := func(b []byte) []byte { return append(b, make([]byte, -len(b)&7)...) }
	b := append([]byte(origin), 0)
	ends := []int{len(b)}
	b = append(b, "0123456789abcdef\x00"...)
	ends = append(ends, len(b), len(b))
	b = binary.BigEndian.AppendUint64(pad(b), size)
	for _, key := range order {
		entry := pad(append([]byte(key), 0))
		entry = append(entry, metadata[key]...)
		entry = append(entry, "\x00\x00s"...)
		b = append(pad(b), append(entry, byte(len(key)+1))...)
	}
	wide := len(b)+3 > 0xff
	for i := range ends {
		end := ends[len(ends)-1-i]
		if b = append(b, byte(end)); wide {
			b = append(b, byte(end>>8))
		}
	}
	return string(b)
}

func TestFlatpak(t *testing.T) {
	maps := deployment("flathub", 4096, map[string]string{"appdata-name": "Maps", "appdata-version": "45.1"}, "appdata-name", "appdata-version")
	long := deployment("flathub", 1, map[string]string{"appdata-name": strings.Repeat("x", 300), "appdata-version": "2"}, "appdata-version", "appdata-name")
	got, err := learn(t, flatpakFact(t), fstest.MapFS{
		"usr/bin/flatpak":     text(""),
		"etc/passwd":          text("root:x:0:0::/root:/bin/sh\ndaemon:x:1:1::/srv/d:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\nbob:x:1001:1001::/net/bob:/bin/sh\nbroken\n"),
		"proc/self/mountinfo": text("30 1 8:1 / / rw - ext4 /dev/sda1 rw\n31 30 0:50 / /net rw - nfs4 srv:/net rw\n"),
		"var/lib/flatpak/app/org.gnome.Maps/x86_64/stable/active/deploy":                text(maps),
		"var/lib/flatpak/runtime/org.gnome.Platform/x86_64/45/active/deploy":            text(deployment("flathub", 7, nil)),
		"var/lib/flatpak/app/org.example.Bad/x86_64/stable/active/deploy":               text("\x00\xff\x00\x00\xffgarbage"),
		"var/lib/flatpak/app/org.example.Removed/x86_64/stable/0123/deploy":             text(maps),
		"srv/d/.local/share/flatpak/app/no.Person/x86_64/stable/active/deploy":          text(maps),
		"net/bob/.local/share/flatpak/app/no.Local/x86_64/stable/active/deploy":         text(maps),
		"home/ann/.local/share/flatpak/app/org.example.Long/aarch64/beta/active/deploy": text(long),
	})
	check(t, got, err, "org.example.Bad/x86_64/stable/active/deploy: not a flatpak deployment",
		"flatpak|Maps|45.1|x86_64|flathub|1700000000|4096",
		"flatpak|org.example.Bad|stable|x86_64||1700000000|-",
		"flatpak|org.gnome.Platform|45|x86_64|flathub|1700000000|7",
		"flatpak|"+strings.Repeat("x", 300)+"|2|aarch64|flathub|1700000000|1",
	)
	if s := got.Software[3]; s.ProductId != "org.example.Long" || s.Location != "/home/ann/.local/share/flatpak" {
		t.Errorf("id %q at %q", s.ProductId, s.Location)
	}
}

func FuzzAPK(f *testing.F) {
	f.Add(testdata(f, "apk/installed").Data)
	f.Fuzz(func(t *testing.T, b []byte) {
		d, _ := learn(t, apkFact(t), fstest.MapFS{"lib/apk/db/installed": &fstest.MapFile{Data: b}})
		checkRows(t, d)
	})
}

func FuzzPacman(f *testing.F) {
	f.Add(testdata(f, "pacman/pacman-6.0.1-5/desc").Data)
	f.Fuzz(func(t *testing.T, b []byte) {
		d, _ := learn(t, pacmanFact(t), fstest.MapFS{"var/lib/pacman/local/a/desc": &fstest.MapFile{Data: b}})
		checkRows(t, d)
	})
}

func FuzzSnap(f *testing.F) {
	f.Add([]byte(snapStateText), []byte("version: '1'\narchitectures: [amd64]\n"))
	f.Fuzz(func(t *testing.T, state, meta []byte) {
		d, _ := learn(t, snapFact(t), fstest.MapFS{
			"var/lib/snapd/state.json":     &fstest.MapFile{Data: state},
			"snap/hello/x1/meta/snap.yaml": &fstest.MapFile{Data: meta},
		})
		checkRows(t, d)
	})
}

func FuzzFlatpakDeploy(f *testing.F) {
	f.Add([]byte(deployment("flathub", 4096, map[string]string{"appdata-name": "Maps"}, "appdata-name")))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, _ := learn(t, flatpakFact(t), fstest.MapFS{
			"etc/passwd": text(""),
			"var/lib/flatpak/app/a/b/c/active/deploy": &fstest.MapFile{Data: b},
		})
		if len(d.Software) != 1 {
			t.Fatalf("%d rows", len(d.Software))
		}
		checkRows(t, d)
	})
}
