package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unicode/utf16"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/agent/facts"
	"github.com/rollcall-itam/rollcall/agent/host"
)

// fixedRandom is a key that tests know.
func fixedRandom() *bytes.Reader { return bytes.NewReader(bytes.Repeat([]byte{1, 2, 3, 4}, 8)) }

// smbiosStrings is a system structure with a serial and a UUID.
func smbiosStrings(serial string) []byte {
	b := []byte{1, 0x1b, 1, 0, 1, 2, 0, 3, 0x44, 0x45, 0x4c, 0x4c, 0x36, 0x00, 0x10, 0x58, 0x80, 0x34, 0xb7, 0xc0, 0x4f, 0x4a, 0x4e, 0x33, 6, 0, 0}
	for _, text := range []string{"Dell Inc.", "Latitude 5420", serial} {
		b = append(append(b, text...), 0)
	}
	return append(b, 0, 127, 4, 2, 0, 0, 0)
}

// planted is what a scrubbed capture of plantedMachine must not have.
var planted = []string{
	"7XK2JN3", "anneliese", "zimmermann", "wilhelmina", "laptop-4711", "contoso-intern", "8c6d4f0a1b2c43d5e6f708192a3b4c5d",
	"a1:b2:c3", "a1b2c3", "10.20.130.140", "S5GXNX0R", "hunter2pass", "c0ffee00-1111", "198.51.100.77",
}

// plantedMachine is a Linux laptop full of what names its people.
func plantedMachine() *host.Host {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text), Mode: 0o644} }
	link := func(to string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte(to), Mode: fs.ModeSymlink | 0o777}
	}
	login := make([]byte, 384)
	login[0] = 7
	copy(login[8:], "pts/0")
	copy(login[44:], "anneliese")
	copy(login[76:], "10.20.130.140")
	binary.LittleEndian.PutUint32(login[340:], 1_750_000_000)
	copy(login[348:], []byte{10, 20, 130, 140})
	const disk = "sys/devices/pci0000:00/0000:00:0e.0/nvme/nvme0/nvme0n1"
	tree := fstest.MapFS{
		"etc/os-release":                         file("NAME=Debian\nID=debian\nVERSION_ID=12\nHOME_URL=https://anneliese:hunter2pass@contoso-intern.com/\n"),
		"etc/hostname":                           file("laptop-4711\n"),
		"etc/hosts":                              file("127.0.1.1 laptop-4711.contoso-intern.com laptop-4711\n"),
		"etc/machine-id":                         file("8c6d4f0a1b2c43d5e6f708192a3b4c5d\n"),
		"etc/passwd":                             file("root:x:0:0:root:/root:/bin/bash\nanneliese:x:1000:1000:Wilhelmina Zimmermann,,,:/home/anneliese:/bin/bash\n"),
		"etc/group":                              file("sudo:x:27:anneliese\n"),
		"etc/localtime":                          link("/usr/share/zoneinfo/Europe/Berlin"),
		"usr/share/zoneinfo/Europe/Berlin":       file("TZif"),
		"proc/sys/kernel/osrelease":              file("6.1.0\n"),
		"proc/self/mountinfo":                    file("28 1 259:2 / / rw shared:1 - ext4 /dev/nvme0n1p2 rw\n29 28 259:3 / /media/anneliese/c0ffee00-1111-4222-8333-444455556666 rw shared:2 - ext4 /dev/nvme0n1p3 rw\n"),
		"sys/firmware/dmi/tables/DMI":            {Data: smbiosStrings("7XK2JN3"), Mode: 0o400},
		"sys/class/dmi/id/product_serial":        file("7XK2JN3\n"),
		"sys/block/nvme0n1":                      link("../" + strings.TrimPrefix(disk, "sys/")),
		disk + "/size":                           file("1000000\n"),
		disk + "/device/model":                   file("Samsung SSD\n"),
		disk + "/device/serial":                  file("S5GXNX0R123456\n"),
		"var/lib/dpkg/status":                    file("Package: tool\nStatus: install ok installed\nVersion: 1.20.3.4\nArchitecture: amd64\nMaintainer: Wilhelmina <wilhelmina@contoso-intern.com>\n\n"),
		"var/log/wtmp":                           {Data: login, Mode: 0o644},
		"home/anneliese/.local/share/flatpak/db": file("x"),
	}
	return &host.Host{FS: tree, OS: "linux", Now: func() time.Time { return time.Date(2026, 2, 20, 8, 0, 0, 0, time.UTC) }}
}

// forms returns a text in the codings in which it could stand in a capture.
func forms(text string) [][]byte {
	var wide []byte
	for _, u := range utf16.Encode([]rune(text)) {
		wide = binary.LittleEndian.AppendUint16(wide, u)
	}
	return [][]byte{[]byte(text), wide}
}

// leaks tells where one of the texts stands in a folder, in whatever case.
func leaks(t *testing.T, dir string, texts []string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		b = bytes.ToLower(append([]byte(rel+"\n"), b...))
		for _, text := range texts {
			for _, form := range forms(strings.ToLower(text)) {
				if i := bytes.Index(b, form); i >= 0 {
					out = append(out, fmt.Sprintf("%s in %s: %q", text, rel, b[max(0, i-30):min(len(b), i+40)]))
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestCaptureIsTheMachine(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "c")
	r, err := Take(t.Context(), plantedMachine(), dir, Options{Version: "v1", Random: fixedRandom()})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Differs)+len(r.LeftOut)+len(r.Unread) > 0 || r.Files < 15 || r.Bytes < 1000 {
		t.Errorf("result: %+v", r)
	}
	again, err := host.Replay(dir)
	if err != nil {
		t.Fatal(err)
	}
	got := facts.Observe(t.Context(), again, facts.Options{})
	want := facts.Observe(t.Context(), plantedMachine(), facts.Options{})
	if !proto.Equal(want, got) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	if d := got.GetDevice(); d.GetHardware().GetSerial() != "7XK2JN3" || d.GetPrimaryUser().GetName() != "anneliese" || len(d.GetHardware().GetDisks()) != 1 {
		t.Errorf("the machine of the test is not learnt: %v", d)
	}
	// The test below can find what is planted.
	for _, text := range planted {
		if text != "a1:b2:c3" && text != "a1b2c3" && text != "198.51.100.77" && len(leaks(t, dir, []string{text})) == 0 {
			t.Errorf("%s is not in the capture, so that nothing shows that it would be hidden", text)
		}
	}
}

func TestScrubbedCaptureTellsNobody(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "c")
	r, err := Take(t.Context(), plantedMachine(), dir, Options{Scrub: true, Random: fixedRandom()})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Differs) > 0 {
		t.Errorf("the scrubbed machine is read otherwise in %v", r.Differs)
	}
	for _, leak := range leaks(t, dir, planted) {
		t.Error(leak)
	}
	again, err := host.Replay(dir)
	if err != nil {
		t.Fatal(err)
	}
	d := facts.Observe(t.Context(), again, facts.Options{}).GetDevice()
	user := d.GetPrimaryUser().GetName()
	if len(user) != len("anneliese") || !slices.Contains(d.GetSecurity().GetLocalAdmins(), user) {
		t.Errorf("the account is %q here and %q there", user, d.GetSecurity().GetLocalAdmins())
	}
	if len(d.GetSoftware()) != 1 || d.GetSoftware()[0].GetVersion() != "1.20.3.4" {
		t.Errorf("a version was taken for an address: %v", d.GetSoftware())
	}
	if hw := d.GetHardware(); hw.GetModel() != "Latitude 5420" || len(hw.GetSerial()) != 7 || hw.GetSerial() == "7XK2JN3" {
		t.Errorf("hardware: %v", hw)
	}
}

func TestHiddenWords(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "c")
	if _, err := Take(t.Context(), plantedMachine(), dir, Options{Scrub: true, Hide: []string{"Latitude 5420", "Samsung"}, Random: fixedRandom()}); err != nil {
		t.Fatal(err)
	}
	for _, leak := range leaks(t, dir, []string{"Latitude", "5420", "Samsung"}) {
		t.Error(leak)
	}
}

// Machines of other systems, which the facts are tested with, captured anew.
func TestCapturesOfOtherSystems(t *testing.T) {
	names, err := filepath.Glob("../facts/testdata/machines/*/machine.json")
	if err != nil || len(names) < 4 {
		t.Fatalf("%d machines, %v", len(names), err)
	}
	for _, name := range names {
		from := filepath.Dir(name)
		t.Run(filepath.Base(from), func(t *testing.T) {
			h, err := host.Replay(from)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			if r, err := Take(t.Context(), h, filepath.Join(dir, "whole"), Options{Random: fixedRandom()}); err != nil || len(r.Differs)+len(r.LeftOut) > 0 {
				t.Errorf("%+v, %v", r, err)
			}
			r, err := Take(t.Context(), h, filepath.Join(dir, "scrubbed"), Options{Scrub: true, Random: fixedRandom()})
			if err != nil || len(r.LeftOut) > 0 {
				t.Fatalf("%+v, %v", r, err)
			}
			if len(r.Differs) > 0 {
				t.Errorf("the scrubbed machine is read otherwise in %v", r.Differs)
			}
			d := facts.Observe(t.Context(), h, facts.Options{}).GetDevice()
			secrets := []string{}
			for _, text := range append([]string{d.GetHardware().GetSerial(), d.GetHardware().GetUuid(), d.GetNetwork().GetHostname()}, d.GetSecurity().GetLocalAdmins()...) {
				if len(text) >= 6 && text != "Administrator" {
					secrets = append(secrets, text)
				}
			}
			for _, i := range d.GetNetwork().GetInterfaces() {
				if i.GetMac() != "" {
					secrets = append(secrets, i.GetMac())
				}
			}
			if len(secrets) < 3 {
				t.Fatalf("the machine has nothing to hide but %q", secrets)
			}
			for _, leak := range append(leaks(t, filepath.Join(dir, "scrubbed"), secrets), registryLeaks(t, filepath.Join(dir, "scrubbed"), secrets)...) {
				t.Error(leak)
			}
		})
	}
}

// registryLeaks looks into values that the registry file has in hex.
func registryLeaks(t *testing.T, dir string, texts []string) []string {
	t.Helper()
	h, err := host.Replay(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	var walk func(string)
	walk = func(path string) {
		k, err := h.RegistryKey(path)
		if err != nil {
			return
		}
		for name, v := range k.Values {
			for _, text := range texts {
				for _, form := range forms(strings.ToLower(text)) {
					if bytes.Contains(bytes.ToLower(v.Data), form) {
						out = append(out, fmt.Sprintf("%s in %s, %s", text, path, name))
					}
				}
			}
		}
		for _, sub := range k.Subkeys {
			walk(path + `\` + sub)
		}
	}
	walk("HKLM")
	walk("HKU")
	return out
}

func TestTakeRefuses(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Take(t.Context(), plantedMachine(), dir, Options{Random: fixedRandom()}); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("a folder in use: %v", err)
	}
	if _, err := Take(t.Context(), plantedMachine(), filepath.Join(dir, "c"), Options{Scrub: true, Random: bytes.NewReader(nil)}); err == nil {
		t.Error("a key is made of nothing")
	}
	if _, err := os.Stat(filepath.Join(dir, "c")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was recorded without a key: %v", err)
	}
}
