package facts

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/agent/host"
	"github.com/rollcall-itam/rollcall/pkg/section"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

func TestSMBIOSVersions(t *testing.T) {
	table := laptopSMBIOS()
	for _, c := range []struct {
		major, minor byte
		uuid         string
	}{{2, 5, "44454c4c-3600-1039-8034-b5c04f4b3333"}, {2, 6, "4c4c4544-0036-3910-8034-b5c04f4b3333"}, {3, 4, "4c4c4544-0036-3910-8034-b5c04f4b3333"}} {
		got, err := decodeSMBIOS(table, c.major, c.minor)
		if err != nil || got.uuid != c.uuid {
			t.Errorf("version %d.%d: %s, %v", c.major, c.minor, got.uuid, err)
		}
	}
	// Whatever place a table breaks off at, what stands before it is learnt.
	for cut := range table {
		got, err := decodeSMBIOS(table[:cut], 3, 2)
		if cut > 200 && got.serial != "7XK2JN3" {
			t.Fatalf("cut at %d: serial %q, %v", cut, got.serial, err)
		}
	}
}

func TestMostUsed(t *testing.T) {
	const day = 24 * 60 * 60
	people := func(name string) bool { return name != "root" }
	cases := map[string]struct {
		logins []login
		want   string
	}{
		"nobody":               {nil, ""},
		"only root":            {[]login{{user: "root", line: "tty1", at: 5 * day}}, ""},
		"days, not logins":     {[]login{{user: "a", line: "pts/0", at: day}, {user: "a", line: "pts/1", at: day + 1}, {user: "a", line: "pts/1", at: day + 2}, {user: "b", line: "pts/0", at: day}, {user: "b", line: "pts/0", at: 2 * day}}, "b"},
		"at the machine first": {[]login{{user: "a", line: "pts/0", at: day}, {user: "a", line: "pts/0", at: 2 * day}, {user: "b", line: "tty2", at: day}}, "b"},
		"handed on":            {[]login{{user: "a", line: "tty2", at: day}, {user: "a", line: "tty2", at: 2 * day}, {user: "b", line: "tty2", at: 200 * day}}, "b"},
		"the later of two":     {[]login{{user: "b", line: "tty2", at: day}, {user: "a", line: "tty2", at: 2 * day}}, "a"},
	}
	for name, c := range cases {
		if got := mostUsed(c.logins, people); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestLoginLayouts(t *testing.T) {
	want := []login{{user: "ann", line: "tty2", host: ":0", at: 1_700_000_000}, {user: "bob", line: "pts/0", host: "10.0.0.9", at: 1_700_000_100}}
	for i, layout := range loginLayouts {
		b := wtmp(layout, want...)
		got, err := decodeLogins(b, int64(len(b)))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("layout %d: %v, %v", i, got, err)
		}
	}
	if _, err := decodeLogins(make([]byte, 385), 385); err == nil {
		t.Error("a file of no layout was read")
	}
}

func TestUdevText(t *testing.T) {
	got := decodeUdev([]byte("S:disk/by-id/x\nE:ID_MODEL_ENC=Samsung\\x20SSD\\x20860\\x20\\x20\nE:BAD\nG:systemd\n"))
	if len(got) != 1 || unescapeUdev(got["ID_MODEL_ENC"]) != "Samsung SSD 860" {
		t.Errorf("%v", got)
	}
	if got := unescapeUdev(`a\x2`); got != `a\x2` {
		t.Errorf("%q", got)
	}
}

func TestSettings(t *testing.T) {
	got := settings([]byte("# comment\nA=plain\nB=\"two words\"\nC='it''s'\nD=\"q\\\"q \\$x\"\nnothing\n=x\nA=last\n"))
	want := map[string]string{"A": "last", "B": "two words", "C": "it''s", "D": `q"q $x`}
	if !maps.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestSteady(t *testing.T) {
	for _, n := range []int64{0, 1, 255, 256, 1_000_003, 80_531_123_456, 1 << 62} {
		got := steady(n)
		if got > n || n-got > n/100 || steady(got) != got {
			t.Errorf("%d became %d", n, got)
		}
	}
}

// lockedFS refuses some files, as a kernel does to who is not root.
type lockedFS struct {
	fstest.MapFS
	locked []string
}

func (l lockedFS) Open(name string) (fs.File, error) {
	if slices.Contains(l.locked, name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return l.MapFS.Open(name)
}

// Who may not read the serials is told what to do, and what can be read stays.
func TestSerialsOfRootOnly(t *testing.T) {
	tree := fstest.MapFS{
		smbiosDir + "/DMI":         {Data: laptopSMBIOS()},
		dmiDir + "/sys_vendor":     {Data: []byte("Dell Inc.\n")},
		dmiDir + "/product_serial": {Data: []byte("7XK2JN3\n")},
	}
	h := &host.Host{FS: lockedFS{tree, []string{smbiosDir + "/DMI", dmiDir + "/product_serial"}}, OS: "linux", Now: host.Live().Now}
	r := Collect(t.Context(), h, Options{Facts: []Fact{{Name: "smbios", Section: section.Hardware, Learn: learnSMBIOS}}})
	if r.Sections[0].State != section.Partial || r.Device.GetHardware().GetManufacturer() != "Dell Inc." || r.Device.GetHardware().GetSerial() != "" {
		t.Errorf("%v, %v", r.Sections[0], r.Device)
	}
	if len(r.Problems) != 1 || !strings.HasSuffix(r.Problems[0].Error, "permission denied: run the agent as root or grant CAP_DAC_READ_SEARCH") {
		t.Errorf("problems %v", r.Problems)
	}
}

// What hangs, crashes or fails is a problem of its own section only.
func TestCollectFaults(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	good := func(_ *host.Host, d *pb.Device) { d.Name = "fine" }
	facts := Guard([]Fact{
		{Name: "good", Section: section.Hardware, Learn: func(_ context.Context, h *host.Host, d *pb.Device) error { good(h, d); return nil }},
		{Name: "crash", Section: section.OS, Learn: func(context.Context, *host.Host, *pb.Device) error { panic("index out of range") }},
		{Name: "hang", Section: section.Network, Learn: func(_ context.Context, _ *host.Host, d *pb.Device) error {
			<-release
			d.Network = new(pb.Network)
			return nil
		}},
		{Name: "half", Section: section.Users, Learn: func(_ context.Context, _ *host.Host, d *pb.Device) error {
			d.PrimaryUser = &pb.PrimaryUser{Name: "ann"}
			return errors.New("torn")
		}},
		{Name: "none", Section: section.Storage, Learn: func(context.Context, *host.Host, *pb.Device) error { return errors.ErrUnsupported }},
		{Name: "other", Section: section.Patch, OS: []string{"plan9"}, Learn: func(context.Context, *host.Host, *pb.Device) error { return nil }},
	})
	h := &host.Host{FS: fstest.MapFS{}, OS: "linux", Now: host.Live().Now}
	for range 2 {
		r := Collect(t.Context(), h, Options{Facts: facts, Timeout: 20e6})
		states := map[string]string{}
		for _, s := range r.Sections {
			states[s.Name] = s.State
		}
		want := map[string]string{
			section.Hardware: section.Complete, section.OS: section.Failed, section.Network: section.Failed, section.Users: section.Partial,
			section.Storage: section.Skipped, section.Patch: section.Skipped, section.Software: section.Skipped, section.Security: section.Skipped,
			section.Peripherals: section.Skipped,
		}
		if !maps.Equal(states, want) || len(r.Problems) != 3 || r.Device.Name != "fine" || r.Device.PrimaryUser.GetName() != "ann" || r.Device.Network != nil {
			t.Errorf("%v, %v, %v", states, r.Problems, r.Device)
		}
	}
}

// Nobody is told to do what his system does not have.
func TestWhatToDoAboutMissingRights(t *testing.T) {
	for goos, want := range map[string]string{"linux": "as root or grant CAP_DAC_READ_SEARCH", "darwin": "full disk access", "windows": "as administrator, or as the service", "freebsd": "permission denied"} {
		list := []Fact{{Name: "locked", Section: section.OS, Learn: func(context.Context, *host.Host, *pb.Device) error {
			return &fs.PathError{Op: "open", Path: "secret", Err: fs.ErrPermission}
		}}}
		r := Collect(t.Context(), &host.Host{FS: fstest.MapFS{}, OS: goos, Now: host.Live().Now}, Options{Facts: list})
		if len(r.Problems) != 1 || !strings.Contains(r.Problems[0].Error, want) || goos != "linux" && strings.Contains(r.Problems[0].Error, "CAP_") {
			t.Errorf("on %s: %v", goos, r.Problems)
		}
	}
}

// On systems that no fact is for, nothing is claimed.
func TestCollectElsewhere(t *testing.T) {
	for _, goos := range []string{"freebsd", "plan9"} {
		r := Collect(t.Context(), &host.Host{FS: fstest.MapFS{}, OS: goos, Now: host.Live().Now}, Options{})
		if proto.Size(r.Device) != 0 || len(r.Problems) != 0 || len(r.Sections) != len(section.Names()) {
			t.Errorf("%s: %v, %v", goos, r.Device, r.Problems)
		}
		for _, s := range r.Sections {
			if s.State != section.Skipped || s.Reason != "not available on "+goos {
				t.Errorf("%s: %v", goos, s)
			}
		}
	}
}

// EDIDs of real displays, where the samples are at hand.
func TestRealEDID(t *testing.T) {
	names, err := filepath.Glob("../../../shared/data/agent/glpi/generic/edid/*")
	if err != nil || len(names) == 0 {
		t.Skip("no sample EDIDs beside this repository")
	}
	want := map[string]*pb.Display{
		"EV2785":          {Manufacturer: "ENC", Model: "EV2785", Serial: "68056070", Year: proto.Int32(2020)},
		"acer-al1716":     {Manufacturer: "ACR", Model: "AL1716", Year: proto.Int32(2006)},
		"lcd.dell-U2410":  {Manufacturer: "DEL", Model: "DELL U2410"},
		"samsung-s22e390": {Manufacturer: "SAM", Model: "S22E390"},
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeEDID(b)
		if err != nil || len(got.Manufacturer) != 3 || got.Model == "" || got.GetYear() < 1990 {
			t.Errorf("%s: %v, %v", name, got, err)
			continue
		}
		w := want[filepath.Base(name)]
		if w == nil {
			continue
		}
		if got.Manufacturer != w.Manufacturer || got.Model != w.Model || w.Serial != "" && got.Serial != w.Serial || w.Year != nil && got.GetYear() != w.GetYear() {
			t.Errorf("%s: %v, want %v", name, got, w)
		}
	}
}

// The name of an account is an address only where it is whole, and of a domain.
func TestPrincipal(t *testing.T) {
	for name, want := range map[string]string{
		"ann@corp.example.com": "ann@corp.example.com", "ann": "", "ann@localhost": "", "@corp.example.com": "", "ann@corp.": "", "a@b@corp.example.com": "",
		"annabel.longname@corp.example.co": "",
	} {
		if got := principal(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
