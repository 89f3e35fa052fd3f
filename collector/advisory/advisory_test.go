package advisory

import (
	"archive/zip"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

var testNow = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// Records as the databases write them, with names and versions made up where that
// tells more.
var records = []string{
	`{"schema_version":"1.7.3","id":"DSA-5000-1","published":"2026-01-10T00:00:00Z","modified":"2026-01-11T00:00:00Z","summary":"openssl - security update","upstream":["CVE-2026-0001","CVE-2026-0002"],
	  "affected":[{"package":{"ecosystem":"Debian:12","name":"openssl","purl":"pkg:deb/debian/openssl?arch=source"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"3.0.11-1~deb12u2"}]}],"ecosystem_specific":{"urgency":"high"}},
	              {"package":{"ecosystem":"Debian:13","name":"openssl"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"3.5.1-1"}]}]}]}`,
	`{"id":"DEBIAN-CVE-2026-0003","published":"0001-01-01T00:00:00Z","modified":"2026-02-01T00:00:00Z","upstream":["CVE-2026-0003"],"details":"A long story.\nSecond line.","severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
	  "affected":[{"package":{"ecosystem":"Debian:12","name":"lvm2"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"2.03.10-1"}]}],"versions":["2.03.16-2"]}]}`,
	`{"id":"UBUNTU-CVE-2025-29769","modified":"2026-09-12T19:00:05Z","published":"2025-04-07T20:15:00Z","severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:L/AC:L/PR:N/UI:R/S:U/C:N/I:N/A:H"},{"type":"Ubuntu","score":"medium"}],
	  "affected":[{"package":{"name":"vips","ecosystem":"Ubuntu:22.04:LTS"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"}]}],"ecosystem_specific":{"binaries":[{"binary_name":"libvips42","binary_version":"8.12.1-1"}]}},
	              {"package":{"name":"vips","ecosystem":"Ubuntu:Pro:22.04:LTS"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"8.12.1-1ubuntu0.1~esm1"}]}]}]}`,
	`{"id":"ALSA-2026:66392","summary":"Moderate: apr-util security update","modified":"2026-09-11T17:54:44Z","published":"2026-09-11T00:00:00Z","related":["CVE-2026-34501"],
	  "affected":[{"package":{"ecosystem":"AlmaLinux:10","name":"apr-util-devel"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"1.6.3-23.el10_2.1"}]}]},
	              {"package":{"ecosystem":"AlmaLinux:10","name":"nodejs"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"1:20.15.1-1.module_el9.4.0+123+abcdef12"}]}]}]}`,
	`{"id":"RLSA-2026:66203","summary":"Important: python3.12-lxml security update","modified":"2026-09-12T03:30:10.1Z","upstream":["CVE-2026-49825"],
	  "affected":[{"package":{"ecosystem":"Rocky Linux:9","name":"perl","purl":"pkg:rpm/rocky-linux/perl?distro=rocky-linux-9&epoch=4"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"4:5.32.1-481.el9"}]}]},
	              {"package":{"ecosystem":"Rocky Linux:9","name":"kernel","purl":"pkg:rpm/rocky-linux/kernel?distro=rocky-linux-9-sig-cloud&epoch=0"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"0:6.0-1.el9.cloud"}]}]}]}`,
	`{"id":"ALPINE-CVE-2026-80255","modified":"2026-09-12T08:30:03Z","upstream":["CVE-2026-80255"],
	  "affected":[{"package":{"name":"curl","ecosystem":"Alpine:v3.23"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"8.13.0"},{"fixed":"8.22.0-r0"}]}]}]}`,
	`{"id":"SUSE-SU-2026:1-1","modified":"2026-05-01T00:00:00Z","published":"2026-05-01T00:00:00Z","summary":"Security update for bind","related":["CVE-2026-7"],"database_specific":{"severity":"IMPORTANT"},
	  "affected":[{"package":{"ecosystem":"SUSE:Linux Enterprise Module for Basesystem 15 SP5","name":"bind"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"9.16.50-1"}]}],"ecosystem_specific":{"binaries":[{"bind-utils":"9.16.50-150500.8.21.1"}]}},
	              {"package":{"ecosystem":"SUSE:Linux Enterprise Server 15 SP3-LTSS","name":"bind"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"9.16.50-1"}]}]}]}`,
	`{"id":"RHSA-2026:1","modified":"2026-05-01T00:00:00Z","published":"2026-05-01T00:00:00Z","aliases":["CVE-2026-8"],"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
	  "affected":[{"package":{"ecosystem":"Red Hat:enterprise_linux:9::appstream","name":"firefox"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"0:128.5.0-1.el9_5"}]}]},
	              {"package":{"ecosystem":"Red Hat:rhel_eus:9.2::appstream","name":"firefox"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"0:128.5.0-1.el9_2"}]}]}]}`,
	`{"id":"DSA-1-1","modified":"2026-01-01T00:00:00Z","withdrawn":"2026-01-02T00:00:00Z","affected":[{"package":{"ecosystem":"Debian:12","name":"openssl"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"}]}]}]}`,
	`{"id":"GHSA-1","modified":"2026-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"PyPI","name":"requests"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"}]}]},{"package":{"ecosystem":"Debian:12","name":"requests"},"ranges":[{"type":"GIT","events":[{"introduced":"0"}]}]}]}`,
}

const catalogText = `{"title":"CISA Catalog of Known Exploited Vulnerabilities","catalogVersion":"2026.11.20","dateReleased":"2026-11-20T15:00:00.0000Z","count":3,"vulnerabilities":[
 {"cveID":"CVE-2026-0002","vendorProject":"OpenSSL","vulnerabilityName":"OpenSSL Overflow","dateAdded":"2026-01-12","dueDate":"2026-02-02","knownRansomwareCampaignUse":"Known"},
 {"cveID":"CVE-2026-34501","vulnerabilityName":"APR","dateAdded":"2026-09-30","dueDate":"someday"}, {"cveID":17}]}`

// line writes a record on one line.
func oneLine(t testing.TB, text string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func write(t testing.TB, name, text string) string {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// osvZip writes records as OSV publishes an ecosystem.
func osvZip(t testing.TB, name string, texts map[string]string) string {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	for name, text := range texts {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write([]byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	return name
}

func open(t testing.TB, dir string) *Library {
	t.Helper()
	l, err := Open(dir, slog.New(slog.DiscardHandler), func() time.Time { return testNow })
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func imported(t testing.TB, im Import) []Info {
	t.Helper()
	im.Now = testNow
	out, err := im.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// matches tells what is said of a title in a line for each advisory.
func matches(t testing.TB, s *Set, scope string, title *pb.Software) []string {
	t.Helper()
	found, err := s.Match(scope, title)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range found {
		exploited := ""
		if m.Exploited != nil {
			exploited = fmt.Sprint(m.Exploited.CVE, " until ", m.Exploited.Due)
		}
		out = append(out, strings.Join([]string{m.Advisory.ID, m.Ecosystem, m.Package, m.Installed, m.Fixed, m.Advisory.Severity, exploited}, "|"))
	}
	return out
}

// The same records are matched the same from whatever form they come in.
func TestFormsOfRecords(t *testing.T) {
	for name, prepare := range map[string]func(dir string) string{
		"ndjson": func(dir string) string {
			var lines []string
			for _, r := range records {
				lines = append(lines, oneLine(t, r))
			}
			return write(t, filepath.Join(dir, "osv.ndjson"), strings.Join(lines, "\n"))
		},
		"list": func(dir string) string {
			return write(t, filepath.Join(dir, "osv.json"), "["+strings.Join(records, ",\n")+"]")
		},
		"api": func(dir string) string {
			return write(t, filepath.Join(dir, "x.json"), `{"vulns":[`+strings.Join(records, ",")+`]}`)
		},
		"one line": func(dir string) string {
			return write(t, filepath.Join(dir, "x"), oneLine(t, "["+strings.Join(records, ",")+"]"))
		},
		"a line and an end": func(dir string) string {
			return write(t, filepath.Join(dir, "x.json"), oneLine(t, "["+strings.Join(records, ",")+"]")+"\n")
		},
		"folder": func(dir string) string {
			for i, r := range records {
				write(t, filepath.Join(dir, fmt.Sprint(i, ".json")), r)
			}
			write(t, filepath.Join(dir, "README.md"), "no record")
			return dir
		},
		"zip": func(dir string) string {
			texts := make(map[string]string)
			for i, r := range records {
				texts[fmt.Sprint("GHSA/", i, ".json")] = r
			}
			return osvZip(t, filepath.Join(dir, "all.zip"), texts)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			info := imported(t, Import{Dir: dir, Path: prepare(t.TempDir()), Name: "all"})[0]
			if info.Records != len(records) || info.Advisories != 8 || info.Entries != 9 {
				t.Errorf("%d records, %d advisories, %d entries", info.Records, info.Advisories, info.Entries)
			}
			if diff := cmp.Diff([]string{"AlmaLinux:10", "Alpine:3.23", "Debian:12", "Debian:13", "Red Hat:9", "Rocky Linux:9", "SUSE:15.5", "Ubuntu:22.04"}, info.Scopes); diff != "" {
				t.Errorf("scopes (-want +got):\n%s", diff)
			}
			left := make(map[string]int)
			for _, s := range info.Skipped {
				left[s.Reason] = s.Count
			}
			if diff := cmp.Diff(map[string]int{skipWithdrawn: 1, skipElsewhere: 5, skipModular: 1, skipRange: 1}, left); diff != "" {
				t.Errorf("left out (-want +got):\n%s", diff)
			}
			got := matches(t, open(t, dir).Set(), "Debian:12", &pb.Software{Kind: "deb", Name: "libssl3", Version: "3.0.11-1~deb12u1", SourcePackage: "openssl"})
			if diff := cmp.Diff([]string{"DSA-5000-1|Debian:12|openssl|3.0.11-1~deb12u1|3.0.11-1~deb12u2|high|"}, got); diff != "" {
				t.Errorf("matches (-want +got):\n%s", diff)
			}
		})
	}
}

// Packages are matched by the release, by what advisories of the distribution
// name, and by its order of versions; by nothing else.
func TestMatch(t *testing.T) {
	dir := t.TempDir()
	imported(t, Import{Dir: dir, Path: write(t, filepath.Join(t.TempDir(), "osv.json"), "["+strings.Join(records, ",")+"]")})
	imported(t, Import{Dir: dir, Path: write(t, filepath.Join(t.TempDir(), "kev.json"), oneLine(t, catalogText)+"\n")})
	kev := imported(t, Import{Dir: dir, Path: write(t, filepath.Join(t.TempDir(), "kev.json"), catalogText)})[0]
	if kev.Name != CatalogName || kev.Exploited != 2 || len(kev.Skipped) != 1 || !kev.Newest.Equal(time.Date(2026, 11, 20, 15, 0, 0, 0, time.UTC)) {
		t.Errorf("the catalog is %+v", kev)
	}
	set := open(t, dir).Set()
	const lvm = "DEBIAN-CVE-2026-0003|Debian:12|lvm2|2.03.16-2||critical|"
	for _, tc := range []struct {
		name, scope string
		title       *pb.Software
		want        []string
	}{
		{"the fixed version", "Debian:12", &pb.Software{Kind: "deb", Name: "openssl", Version: "3.0.11-1~deb12u2"}, nil},
		{"a rebuild of the version before", "Debian:12", &pb.Software{Kind: "deb", Name: "openssl", Version: "3.0.11-1~deb12u1+b1", SourceVersion: "3.0.11-1~deb12u1"},
			[]string{"DSA-5000-1|Debian:12|openssl|3.0.11-1~deb12u1|3.0.11-1~deb12u2|high|CVE-2026-0002 until 2026-02-02"}},
		{"another release", "Debian:13", &pb.Software{Kind: "deb", Name: "openssl", Version: "3.5.0-1"}, []string{"DSA-5000-1|Debian:13|openssl|3.5.0-1|3.5.1-1|high|CVE-2026-0002 until 2026-02-02"}},
		{"a release without advisories", "Debian:11", &pb.Software{Kind: "deb", Name: "openssl", Version: "1.0-1"}, nil},
		{"a package of the same name of another kind", "Debian:12", &pb.Software{Kind: "snap", Name: "openssl", Version: "1.0"}, nil},
		{"a package whose source has another name", "Debian:12", &pb.Software{Kind: "deb", Name: "openssl", Version: "1.0-1", SourcePackage: "fork"}, nil},
		{"the source's version, not the package's", "Debian:12", &pb.Software{Kind: "deb", Name: "dmsetup", Version: "2:1.02.185-2", SourcePackage: "lvm2", SourceVersion: "2.03.16-2"}, []string{lvm}},
		{"before it was introduced", "Debian:12", &pb.Software{Kind: "deb", Name: "lvm2", Version: "2.03.9-1"}, nil},
		{"no version", "Debian:12", &pb.Software{Kind: "deb", Name: "openssl"}, nil},
		{"what only a subscription fixes is not fixed", "Ubuntu:22.04", &pb.Software{Kind: "deb", Name: "libvips42", Version: "8.12.1-1", SourcePackage: "vips"}, []string{"UBUNTU-CVE-2025-29769|Ubuntu:22.04:LTS|vips|8.12.1-1||medium|"}},
		{"AlmaLinux names what is installed", "AlmaLinux:10", &pb.Software{Kind: "rpm", Name: "apr-util-devel", Version: "1.6.3-22.el10", SourcePackage: "apr-util"},
			[]string{"ALSA-2026:66392|AlmaLinux:10|apr-util-devel|1.6.3-22.el10|1.6.3-23.el10_2.1|medium|CVE-2026-34501 until "}},
		{"a module", "AlmaLinux:10", &pb.Software{Kind: "rpm", Name: "nodejs", Version: "1:18.1-1.module_el9.4.0+1+a"}, nil},
		{"a part of perl with a version of its own", "Rocky Linux:9", &pb.Software{Kind: "rpm", Name: "perl-Errno", Version: "4:1.30-480.el9", SourcePackage: "perl", SourceVersion: "5.32.1-480.el9"},
			[]string{"RLSA-2026:66203|Rocky Linux:9|perl|4:5.32.1-480.el9|4:5.32.1-481.el9|high|"}},
		{"a kernel that a special interest group fixed", "Rocky Linux:9", &pb.Software{Kind: "rpm", Name: "kernel", Version: "5.14.0-1.el9"}, nil},
		{"Alpine", "Alpine:3.23", &pb.Software{Kind: "apk", Name: "libcurl", Version: "8.17.0-r1", SourcePackage: "curl"}, []string{"ALPINE-CVE-2026-80255|Alpine:v3.23|curl|8.17.0-r1|8.22.0-r0||"}},
		{"Alpine before", "Alpine:3.23", &pb.Software{Kind: "apk", Name: "curl", Version: "8.12.9-r9"}, nil},
		{"SUSE's binaries", "SUSE:15.5", &pb.Software{Kind: "rpm", Name: "bind-utils", Version: "9.16.50-150500.8.18.1", SourcePackage: "bind"},
			[]string{"SUSE-SU-2026:1-1|SUSE:Linux Enterprise Module for Basesystem 15 SP5|bind-utils|9.16.50-150500.8.18.1|9.16.50-150500.8.21.1|high|"}},
		{"Red Hat", "Red Hat:9", &pb.Software{Kind: "rpm", Name: "firefox", Version: "128.4.0-1.el9_5"}, []string{"RHSA-2026:1|Red Hat:enterprise_linux:9::appstream|firefox|128.4.0-1.el9_5|0:128.5.0-1.el9_5|high|"}},
		{"no scope", "", &pb.Software{Kind: "deb", Name: "openssl", Version: "1"}, nil},
		{"a scope that nobody knows", "Hat:1", &pb.Software{Kind: "deb", Name: "openssl", Version: "1"}, nil},
	} {
		for range 2 { // the second time from memory
			if diff := cmp.Diff(tc.want, matches(t, set, tc.scope, tc.title)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.name, diff)
			}
		}
	}
}

// The last event that a version has reached decides, in whatever order they stand.
func TestRanges(t *testing.T) {
	d := distributionOf("Debian:12")
	a := affected{events: []event{{fixed, "5"}, {introduced, "4"}, {fixed, "2"}, {introduced, "0"}, {introduced, "7"}, {lastAffected, "8"}}}
	for version, want := range map[string]string{"0~": "true 2", "1": "true 2", "2": "false ", "3": "false ", "4": "true 5", "4.9": "true 5", "5": "false ", "7": "true ", "8": "true ", "8.0-1": "false "} {
		if hit, fixedIn := a.affects(version, d.order); fmt.Sprint(hit, " ", fixedIn) != want {
			t.Errorf("%s: %v %q, want %s", version, hit, fixedIn, want)
		}
	}
	listed := affected{versions: []string{"1.0-1", "1.0-2"}}
	for version, want := range map[string]bool{"1.0-1": true, "0:1.0-2": true, "1.0-3": false} {
		if hit, _ := listed.affects(version, d.order); hit != want {
			t.Errorf("%s is affected: %v", version, hit)
		}
	}
}

// What one range says holds whatever another does, a range ends at its limit, and
// what is fixed is fixed in all of them.
func TestRangesStandAlone(t *testing.T) {
	dir := t.TempDir()
	imported(t, Import{Dir: dir, Path: write(t, filepath.Join(t.TempDir(), "debian.json"), `{"id":"DSA-9-1","modified":"2026-01-11T00:00:00Z","affected":[{"package":{"ecosystem":"Debian:12","name":"x"},"ranges":[
		{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"5"}]},{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"3"}]},
		{"type":"ECOSYSTEM","events":[{"introduced":"8"},{"limit":"9"}]},{"type":"ECOSYSTEM","events":[{"fixed":"20"}]}]}]}`)})
	l := open(t, dir)
	for version, want := range map[string]string{"2": "5", "4": "5", "6": "no", "8.1": "", "9": "no"} {
		got := "no"
		found, err := l.Set().Match("Debian:12", &pb.Software{Kind: "deb", Name: "x", Version: version})
		if err != nil {
			t.Fatal(err)
		}
		if len(found) > 0 {
			got = found[0].Fixed
		}
		if len(found) > 1 || got != want {
			t.Errorf("%s: fixed in %q, want %q", version, got, want)
		}
	}
	if left := l.Infos()[0].Skipped; len(left) != 1 || left[0].Reason != skipRange || left[0].Count != 1 {
		t.Errorf("left out %+v, want the range without a beginning", left)
	}
}
