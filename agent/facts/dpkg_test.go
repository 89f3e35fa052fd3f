package facts

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// learn runs one fact on a file system and returns what it adds to a device
// that has nothing yet.
func learn(t testing.TB, fact func(h *host.Host, d *pb.Device) error, fsys fs.FS) (*pb.Device, error) {
	t.Helper()
	d := new(pb.Device)
	err := fact(&host.Host{FS: fsys, OS: "linux", Now: func() time.Time { return time.Unix(1_800_000_000, 0) }}, d)
	return d, err
}

// dpkgFact binds a context, as the other facts of these tests do.
func dpkgFact(t testing.TB) func(h *host.Host, d *pb.Device) error {
	return func(h *host.Host, d *pb.Device) error { return new(dpkgReading).learn(t.Context(), h, d) }
}

// software writes rows one a line, to compare them.
func software(d *pb.Device) []string {
	var out []string
	for _, s := range d.Software {
		installed, size := "-", "-"
		if s.InstalledAt != nil {
			installed = fmt.Sprint(s.InstalledAt.Seconds)
		}
		if s.SizeBytes != nil {
			size = fmt.Sprint(*s.SizeBytes)
		}
		out = append(out, strings.Join([]string{s.Kind, s.Name, s.Version, s.Architecture, s.Publisher, installed, size}, "|"))
	}
	return out
}

const dpkgStatus = `Package: bash
Essential: yes
Status: install ok installed
Installed-Size: 7164
Maintainer: Matthias Klose <doko@debian.org>
Architecture: amd64
Multi-Arch: foreign
Version: 5.2.15-2+b2
Description: GNU Bourne Again SHell
 Package: not-a-package
 Status: purge ok not-installed

Package: held
Status: hold ok installed
Maintainer: Ann
Architecture: all
Version: 1:1.0

Package: libc6
Status: install ok installed
Architecture: i386
Multi-Arch: same
Version: 2.36-9

Package: libc6
Status: install ok installed
Architecture: amd64
Multi-Arch: same
Version: 2.36-9

Package: half
Status: install ok half-configured
Architecture: amd64
Version: 2

Package: removed
Status: deinstall ok config-files
Architecture: amd64
Version: 3

Package: leaving
Status: deinstall reinstreq installed
Architecture: amd64
Version: 4
`

func TestDpkg(t *testing.T) {
	at := func(sec int64) *fstest.MapFile { return &fstest.MapFile{ModTime: time.Unix(sec, 0)} }
	got, err := learn(t, dpkgFact(t), fstest.MapFS{
		"var/lib/dpkg/status":                &fstest.MapFile{Data: []byte(dpkgStatus)},
		"var/lib/dpkg/info/bash.list":        at(1_700_000_001),
		"var/lib/dpkg/info/libc6:amd64.list": at(1_700_000_002),
		"var/lib/dpkg/info/libc6:i386.list":  at(1_700_000_003),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"deb|bash|5.2.15-2+b2|amd64|Matthias Klose|1700000001|7335936",
		"deb|held|1:1.0|all|Ann|-|-",
		"deb|leaving|4|amd64||-|-",
		"deb|libc6|2.36-9|amd64||1700000002|-",
		"deb|libc6|2.36-9|i386||1700000003|-",
	}
	if diff := cmp.Diff(want, software(got)); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

// The source package is told where it is another, and so is its version.
func TestDpkgSource(t *testing.T) {
	got, err := learn(t, dpkgFact(t), fstest.MapFS{"var/lib/dpkg/status": &fstest.MapFile{Data: []byte("Package: libssl3\nStatus: install ok installed\nSource: openssl\nVersion: 3.0.11-1\n\n" +
		"Package: libdevmapper1.02.1\nStatus: install ok installed\nSource: lvm2 (2.03.16-2)\nVersion: 2:1.02.185-2\n\n" +
		"Package: bash\nStatus: install ok installed\nSource: bash (5.2.15-2)\nVersion: 5.2.15-2+b2\n\nPackage: vim\nStatus: install ok installed\nVersion: 9\n")}})
	if err != nil {
		t.Fatal(err)
	}
	var sources []string
	for _, s := range got.Software {
		sources = append(sources, s.Name+"|"+s.SourcePackage+"|"+s.SourceVersion)
	}
	if diff := cmp.Diff([]string{"bash||5.2.15-2", "libdevmapper1.02.1|lvm2|2.03.16-2", "libssl3|openssl|", "vim||"}, sources); diff != "" {
		t.Errorf("source packages (-want +got):\n%s", diff)
	}
}

// What a running dpkg has written beside the status file counts more than it.
func TestDpkgUpdates(t *testing.T) {
	got, err := learn(t, dpkgFact(t), fstest.MapFS{
		"var/lib/dpkg/status":        &fstest.MapFile{Data: []byte("Package: a\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n\nPackage: b\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n")},
		"var/lib/dpkg/updates/0001":  &fstest.MapFile{Data: []byte("Package: a\nStatus: install ok unpacked\nArchitecture: all\nVersion: 2\n")},
		"var/lib/dpkg/updates/0002":  &fstest.MapFile{Data: []byte("Package: a\nStatus: install ok installed\nArchitecture: all\nVersion: 3\n")},
		"var/lib/dpkg/updates/0003":  &fstest.MapFile{Data: []byte("Package: b\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n")},
		"var/lib/dpkg/updates/tmp.i": &fstest.MapFile{Data: []byte("Package: c")},
	})
	if diff := cmp.Diff([]string{"deb|a|3|all||-|-"}, software(got)); diff != "" || err != nil {
		t.Errorf("rows (-want +got):\n%s, error %v", diff, err)
	}
}

// Distroless images have a file a package, without state, and sums beside it.
func TestDpkgStatusFolder(t *testing.T) {
	got, err := learn(t, dpkgFact(t), fstest.MapFS{
		"var/lib/dpkg/status.d/base":         &fstest.MapFile{Data: []byte("Package: base-files\nVersion: 12.4\nArchitecture: amd64\n")},
		"var/lib/dpkg/status.d/base.md5sums": &fstest.MapFile{Data: []byte("d41d8cd98f00b204e9800998ecf8427e  etc/issue\n")},
		"var/lib/dpkg/status.d/gone":         &fstest.MapFile{Data: []byte("Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n")},
	})
	if diff := cmp.Diff([]string{"deb|base-files|12.4|amd64||-|-"}, software(got)); diff != "" || err != nil {
		t.Errorf("rows (-want +got):\n%s, error %v", diff, err)
	}
}

func TestDpkgDamage(t *testing.T) {
	long := strings.Repeat("é", 2000)
	for _, tt := range []struct {
		name, status, err string
		want              []string
	}{
		{"cut within a line", "Package: a\nStatus: install ok installed\nVersion: 1\n\nPackage: b\nStatus: install ok installed\nVersion: 1.2", "byte 104", []string{"deb|a|1||||"}},
		{"no version", "Package: a\nStatus: install ok installed\n\nPackage: b\nVersion: 2\nStatus: install ok installed\n", `package "a" at byte 0`, []string{"deb|b|2||||"}},
		{"no name", "Version: 1\nStatus: install ok installed\n", "no package name", nil},
		{"bad characters", "Package: a\xff\x00b\nStatus: install ok installed\nVersion: 1\n", "", []string{"deb|a\uFFFDb|1||||"}},
		{"too long", "Package: " + long + "\nStatus: install ok installed\nVersion: 1\n", "", []string{"deb|" + strings.Repeat("é", 512) + "|1||||"}},
		{"empty", "", "", nil},
		{"garbage", "\x7fELF\x00\x00\n\n\n:::\n", "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := learn(t, dpkgFact(t), fstest.MapFS{"var/lib/dpkg/status": &fstest.MapFile{Data: []byte(tt.status)}})
			var rows []string
			for _, r := range software(got) {
				rows = append(rows, strings.ReplaceAll(r, "-", ""))
			}
			if diff := cmp.Diff(tt.want, rows); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want one with %q", err, tt.err)
			}
		})
	}
}

func TestDpkgIsNotEverywhere(t *testing.T) {
	if _, err := learn(t, dpkgFact(t), fstest.MapFS{}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("error %v", err)
	}
}

// The most rows that a report carries are kept, and the rest is said.
func TestTooMuchSoftware(t *testing.T) {
	var b bytes.Buffer
	for i := range maxSoftware + 7 {
		fmt.Fprintf(&b, "Package: p%05d\nStatus: install ok installed\nVersion: 1\n\n", i)
	}
	got, err := learn(t, dpkgFact(t), fstest.MapFS{"var/lib/dpkg/status": &fstest.MapFile{Data: b.Bytes()}})
	if len(got.Software) != maxSoftware || got.Software[0].Name != "p00000" || err == nil || !strings.Contains(err.Error(), "7 of kind deb are left out") {
		t.Errorf("%d rows, error %v", len(got.Software), err)
	}
}

// The rows are those that dpkg-query shows as installed on this machine, both
// ways.
func TestDpkgAgainstDpkgQuery(t *testing.T) {
	query, err := exec.LookPath("dpkg-query")
	if err != nil {
		t.Skip("no dpkg-query on this machine to compare with")
	}
	out, err := exec.CommandContext(t.Context(), query, "-W", "-f", "${db:Status-Abbrev}|${Package}|${Version}|${Architecture}\n").Output()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for line := range strings.Lines(string(out)) {
		state, rest, _ := strings.Cut(strings.TrimSpace(line), "|")
		if len(state) > 1 && state[1] == 'i' {
			want = append(want, rest)
		}
	}
	got, err := learn(t, dpkgFact(t), os.DirFS("/"))
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, s := range got.Software {
		have = append(have, s.Name+"|"+s.Version+"|"+s.Architecture)
	}
	slices.Sort(want)
	slices.Sort(have)
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("packages (-dpkg-query +rows):\n%s", diff)
	}
	t.Logf("%d packages", len(have))
}

func FuzzDpkg(f *testing.F) {
	f.Add([]byte(dpkgStatus))
	f.Add([]byte("Package: a\nVersion"))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, _ := learn(t, dpkgFact(t), fstest.MapFS{"var/lib/dpkg/status": &fstest.MapFile{Data: b}})
		checkRows(t, d)
	})
}

// BenchmarkDpkg reads this machine's packages.
func BenchmarkDpkg(b *testing.B) {
	fsys := os.DirFS("/")
	if _, err := learn(b, dpkgFact(b), fsys); err != nil {
		b.Skipf("no dpkg database to read: %v", err)
	}
	b.ReportAllocs()
	for b.Loop() {
		d, err := learn(b, dpkgFact(b), fsys)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(len(d.Software)), "rows")
	}
}

// Two facts need dpkg's database, which is read once for each state of it.
func TestDpkgReadOnce(t *testing.T) {
	fsys := fstest.MapFS{dpkgDir + "/status": status("bash 5.2 amd64", "dash 0.5 amd64")}
	counted := &opened{FS: fsys}
	h := &host.Host{FS: counted, OS: "linux"}
	r := new(dpkgReading)
	names := func() (out []string) {
		packages, err := r.packages(h)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range packages {
			out = append(out, string(p.name)+" "+string(p.version)+" "+string(p.arch))
		}
		return out
	}
	want := []string{"bash 5.2 amd64", "dash 0.5 amd64"}
	for range 2 {
		if diff := cmp.Diff(want, names()); diff != "" {
			t.Fatalf("packages (-want +got):\n%s", diff)
		}
	}
	if counted.status != 1 {
		t.Errorf("the status file was opened %d times for one state of it", counted.status)
	}
	fsys[dpkgDir+"/status"] = status("bash 5.3 amd64")
	if diff := cmp.Diff([]string{"bash 5.3 amd64"}, names()); diff != "" {
		t.Errorf("packages after a change (-want +got):\n%s", diff)
	}
	// What was not read wholly is not kept.
	fsys[dpkgDir+"/status"] = text("Package: bash\nStatus: install ok installed\nVersion: 5")
	for range 2 {
		if _, err := r.packages(h); err == nil {
			t.Error("no error of a file that was not written whole")
		}
	}
}

// opened counts how often dpkg's status file is opened.
type opened struct {
	fs.FS
	status int
}

func (o *opened) Open(name string) (fs.File, error) {
	if name == dpkgDir+"/status" {
		o.status++
	}
	return o.FS.Open(name)
}

// Stat is not an opening.
func (o *opened) Stat(name string) (fs.FileInfo, error) { return fs.Stat(o.FS, name) }

// Each state that dpkg writes, and what is none.
func TestDpkgStates(t *testing.T) {
	for state, want := range map[string]bool{
		"install ok installed": true, "hold ok installed": true, "deinstall ok installed": true, "install reinstreq installed": true,
		"install ok triggers-pending": true, "install ok triggers-awaited": true,
		"install ok unpacked": false, "install ok half-configured": false, "install reinstreq half-installed": false,
		"deinstall ok config-files": false, "purge ok not-installed": false, "unknown ok not-installed": false,
		"installed": true, "not-installed": false, "install ok": false, "": false,
	} {
		status := ""
		if state != "" {
			status = "Status: " + state + "\n"
		}
		d, err := learn(t, dpkgFact(t), fstest.MapFS{"var/lib/dpkg/status": text("Package: a\n" + status + "Architecture: all\nVersion: 1.0\n\n")})
		if err != nil || (len(d.Software) == 1) != want {
			t.Errorf("%q: %v, %v", state, d.Software, err)
		}
	}
}
