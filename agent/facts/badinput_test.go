package facts

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/agent/host"
	"github.com/rollcall-itam/rollcall/pkg/section"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// badFS is a machine's file system of which some files are locked, and some are
// endless.
type badFS struct {
	fstest.MapFS
	locked, endless []string
}

func (b badFS) Open(name string) (fs.File, error) {
	if slices.ContainsFunc(b.locked, func(dir string) bool { return name == dir || strings.HasPrefix(name, dir+"/") }) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	if slices.Contains(b.endless, name) {
		return endlessFile{name: name}, nil
	}
	return b.MapFS.Open(name)
}

func (b badFS) Stat(name string) (fs.FileInfo, error) {
	f, err := b.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Stat()
}

func (b badFS) ReadDir(name string) ([]fs.DirEntry, error) {
	if _, err := b.Stat(name); err != nil {
		return nil, err
	}
	return b.MapFS.ReadDir(name)
}

func (b badFS) ReadFile(name string) ([]byte, error) {
	f, err := b.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// endlessFile has 10 GB of one letter.
type endlessFile struct{ name string }

const endless = 10_000_000_000

func (endlessFile) Read(b []byte) (int, error) { return fill1(b), nil }
func (endlessFile) ReadAt(b []byte, off int64) (int, error) {
	if off+int64(len(b)) > endless {
		return fill1(b[:max(endless-off, 0)]), io.EOF
	}
	return fill1(b), nil
}
func (endlessFile) Close() error                 { return nil }
func (f endlessFile) Stat() (fs.FileInfo, error) { return f, nil }
func (f endlessFile) Name() string               { return f.name }
func (endlessFile) Size() int64                  { return endless }
func (endlessFile) Mode() fs.FileMode            { return 0o644 }
func (endlessFile) ModTime() time.Time           { return time.Unix(1_700_000_000, 0) }
func (endlessFile) IsDir() bool                  { return false }
func (endlessFile) Sys() any                     { return nil }

var letters = bytes.Repeat([]byte{'x'}, 64<<10)

func fill1(b []byte) int {
	for at := 0; at < len(b); {
		at += copy(b[at:], letters)
	}
	return len(b)
}

// goodMachine is a laptop of which everything can be read.
func goodMachine(t testing.TB) fstest.MapFS {
	tree := readMachine(t, "testdata/machines/laptop.txt")
	maps.Copy(tree, fstest.MapFS{
		smbiosDir + "/DMI":                            {Data: laptopSMBIOS()},
		smbiosDir + "/smbios_entry_point":             {Data: smbiosEntry(3, 2)},
		drmDir + "/card0-HDMI-A-1/edid":               {Data: edid("DELL U2720Q", "8LXMZ13")},
		"var/log/wtmp":                                {Data: wtmp(loginLayouts[0], login{user: "ann", line: "tty2", host: ":0", at: 1003 * 86400})},
		"var/lib/dpkg/status":                         body("Package: bash\nStatus: install ok installed\nVersion: 5\n\nPackage: zsh\nStatus: install ok installed\nVersion: 5.9\n\n"),
		"lib/apk/db/installed":                        {Data: []byte("P:musl\nV:1.2\nA:x86_64\n\n"), ModTime: endlessFile{}.ModTime()},
		"home/ann/.mozilla/firefox/p/extensions.json": body(`{"addons":[{"id":"u@x","version":"3","location":"app-profile","active":true,"defaultLocale":{"name":"U"}}]}`),
	})
	return tree
}

// What is bad of a machine becomes a problem of its section, and all else is
// learnt as if it were good: the bar of the agent for bad input, on Linux.
func TestBadInput(t *testing.T) {
	observe := func(fsys fs.FS, now time.Time) Result {
		return Collect(t.Context(), &host.Host{FS: fsys, OS: "linux", Now: func() time.Time { return now }}, Options{})
	}
	now := time.Date(2026, 2, 20, 8, 0, 0, 0, time.UTC)
	good := observe(goodMachine(t), now)
	for _, p := range good.Problems {
		t.Fatalf("the good machine: %v", p)
	}
	for what, c := range map[string]struct {
		change  func(b *badFS)
		now     time.Time
		section string
		problem string
		// rows are what is left of the software.
		rows string
	}{
		"a package database cut short": {change: func(b *badFS) {
			b.MapFS["var/lib/dpkg/status"] = body("Package: bash\nStatus: install ok installed\nVersion: 5\n\nPackage: zsh\nStatus: install ok inst")
		}, section: section.Software, problem: "ends within a line", rows: "bash musl U"},
		"a package database that is none": {change: func(b *badFS) {
			b.MapFS["var/lib/rpm/rpmdb.sqlite"] = body("SQLite format 3\x00" + strings.Repeat("\xff\x00junk", 2000))
		}, section: section.Software, problem: "rpmdb.sqlite", rows: "bash zsh musl U"},
		"a log of 10 GB":            {change: func(b *badFS) { b.endless = []string{"var/log/wtmp"} }, section: section.Users, problem: "known layout"},
		"EDID garbage":              {change: func(b *badFS) { b.MapFS[drmDir+"/card0-HDMI-A-1/edid"] = body(strings.Repeat("\x00\xff", 64)) }, section: section.Peripherals, problem: "does not begin as an EDID"},
		"EDID cut short":            {change: func(b *badFS) { b.MapFS[drmDir+"/card0-HDMI-A-1/edid"] = body(string(edid("a", "b")[:100])) }, section: section.Peripherals, problem: "fewer than the 128"},
		"an endless firmware table": {change: func(b *badFS) { b.endless = []string{smbiosDir + "/DMI"} }, section: section.Hardware, problem: "longer than"},
		"a home that is locked":     {change: func(b *badFS) { b.locked = []string{"home/ann"} }, section: section.Software, problem: "as root", rows: "bash zsh musl"},
		"an endless passwd":         {change: func(b *badFS) { b.endless = []string{"etc/group"} }, section: section.Security, problem: "longer than"},
		"a clock in 1970":           {now: time.Unix(86400, 0)},
		"a clock in 2262":           {now: time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		t.Run(what, func(t *testing.T) {
			bad := badFS{MapFS: goodMachine(t)}
			if c.change != nil {
				c.change(&bad)
			}
			at := now
			if !c.now.IsZero() {
				at = c.now
			}
			got := observe(bad, at)
			told := c.problem == ""
			for _, p := range got.Problems {
				told = told || p.GetSection() == c.section && strings.Contains(p.GetError(), c.problem)
			}
			if !told {
				t.Errorf("no problem tells of it: %v", got.Problems)
			}
			for _, name := range section.Names() {
				if name != c.section && !proto.Equal(section.Extract(good.Device, name), section.Extract(got.Device, name)) {
					t.Errorf("%s is learnt otherwise: %v", name, section.Extract(got.Device, name))
				}
			}
			for _, name := range strings.Fields(c.rows) {
				if !slices.ContainsFunc(got.Device.GetSoftware(), func(s *pb.Software) bool { return s.GetName() == name }) {
					t.Errorf("%s is gone", name)
				}
			}
		})
	}
}

// A machine of very many packages reports as many as a report carries and says
// how many it leaves out, of that kind alone: what else there is arrives. With
// ROLLCALL_MANY=100000 there are as many.
func TestVeryManyPackages(t *testing.T) {
	many := maxSoftware + 1000
	if n, err := strconv.Atoi(os.Getenv("ROLLCALL_MANY")); err == nil {
		many = max(many, n)
	}
	var status bytes.Buffer
	for i := range many {
		fmt.Fprintf(&status, "Package: p%06d\nStatus: install ok installed\nArchitecture: all\nVersion: 1.%d\n\n", i, i)
	}
	tree := goodMachine(t)
	tree["var/lib/dpkg/status"] = &fstest.MapFile{Data: status.Bytes()}
	tree["snap/zoom/1/meta/snap.yaml"] = body("name: zoom\nversion: '1'\n")
	got := Collect(t.Context(), &host.Host{FS: tree, OS: "linux", Now: host.Live().Now}, Options{})
	kinds := make(map[string]int)
	for _, row := range got.Device.GetSoftware() {
		kinds[row.GetKind()]++
	}
	if len(got.Device.GetSoftware()) != maxSoftware || kinds["apk"] != 1 || kinds["browser_extension"] != 1 || kinds["deb"] != maxSoftware-2 {
		t.Errorf("rows: %v", kinds)
	}
	left := false
	for _, p := range got.Problems {
		left = left || strings.Contains(p.GetError(), fmt.Sprintf("%d of kind deb are left out", many-maxSoftware))
	}
	if !left {
		t.Errorf("problems: %v", got.Problems)
	}
	for _, s := range got.Sections {
		if want := map[bool]string{true: section.Partial, false: section.Complete}[s.GetName() == section.Software]; s.GetState() != want && s.GetState() != section.Skipped {
			t.Errorf("%v", s)
		}
	}
}

// Where several kinds have very many rows, each loses some.
func TestTheLargestKindLosesRows(t *testing.T) {
	rows := func(kind string, n int) (out []*pb.Software) {
		for i := range n {
			out = append(out, &pb.Software{Kind: kind, Name: fmt.Sprintf("%06d", i)})
		}
		return out
	}
	d := &pb.Device{Software: rows("a", 40_000)}
	err := addSoftware(d, append(rows("b", 35_000), rows("c", 10)...))
	kinds := make(map[string]int)
	for i, row := range d.Software {
		kinds[row.GetKind()]++
		if i > 0 && row.GetKind() < d.Software[i-1].GetKind() {
			t.Fatal("out of order")
		}
	}
	if err == nil || errors.Is(err, errors.ErrUnsupported) || len(d.Software) != maxSoftware || kinds["c"] != 10 || kinds["a"] != 24_995 || kinds["b"] != 24_995 {
		t.Errorf("%v, %v", kinds, err)
	}
}
