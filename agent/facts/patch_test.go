package facts

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

type learner func(h *host.Host, d *pb.Device) error

// archive makes a tar of files, given as name and content in turn.
func archive(t testing.TB, files ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: files[i], Mode: 0o644, Size: int64(len(files[i+1])), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write([]byte(files[i+1]))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// checkPending compares the updates of a fact, and its error with a part of it.
func checkPending(t *testing.T, got *pb.Device, err error, problem string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, pending(got)); diff != "" {
		t.Errorf("pending (-want +got):\n%s", diff)
	}
	if (err == nil) != (problem == "") || err != nil && !strings.Contains(err.Error(), problem) {
		t.Errorf("error %v, want %q", err, problem)
	}
}

func TestAPKPending(t *testing.T) {
	fact := learner(func(h *host.Host, d *pb.Device) error { return learnAPKPending(t.Context(), h, d) })
	index := func(versions ...string) string {
		var b strings.Builder
		for i := 0; i < len(versions); i += 2 {
			fmt.Fprintf(&b, "P:%s\nV:%s\nA:x86_64\n\n", versions[i], versions[i+1])
		}
		return archive(t, "DESCRIPTION", "v3.18", "APKINDEX", b.String())
	}
	fsys := fstest.MapFS{
		"lib/apk/db/installed":                  testdata(t, "apk/installed"),
		"var/cache/apk/APKINDEX.0123.tar.gz":    pack(t, ".gz", index("zlib", "1.2.13-r1", "musl", "1.2.4-r2", "busybox", "1.36.0-r8", "nginx", "9-r0")),
		"var/cache/apk/APKINDEX.4567.tar.gz":    pack(t, ".gz", index("musl", "1.2.4-r10", "libssl3", "3.1.4_git1-r0")),
		"var/cache/apk/zlib-1.2.13-r1.0000.apk": text("not an index"),
	}
	got, err := learn(t, fact, fsys)
	checkPending(t, got, err, "", "libssl3 3.1.4_git1-r0", "musl 1.2.4-r10")
	if got.Patch.PendingCount[severityUnknown] != 2 || got.Patch.CheckedAt.GetSeconds() != 1_700_000_000 {
		t.Errorf("counts %v, checked %v", got.Patch.PendingCount, got.Patch.CheckedAt)
	}
	fsys["var/cache/apk/APKINDEX.4567.tar.gz"] = text("damaged")
	got, err = learn(t, fact, fsys)
	checkPending(t, got, err, "APKINDEX.4567.tar.gz: gzip", "musl 1.2.4-r2")
	if _, err := learn(t, fact, fstest.MapFS{"lib/apk/db/installed": text("")}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("without index: %v", err)
	}
}

func TestPacmanPending(t *testing.T) {
	fact := learner(func(h *host.Host, d *pb.Device) error { return learnPacmanPending(t.Context(), h, d) })
	desc := func(name, version string) string { return "%NAME%\n" + name + "\n\n%VERSION%\n" + version + "\n\n" }
	fsys := fstest.MapFS{
		"etc/pacman.conf":                        text("[options]\n#[testing]\n[core]\nServer = x\n[extra]\n"),
		"var/lib/pacman/local/bash-5.1-1/desc":   text(desc("bash", "5.1-1")),
		"var/lib/pacman/local/zsh-5.9-1/desc":    text(desc("zsh", "5.9-1")),
		"var/lib/pacman/local/vim-9.0rc1-1/desc": text(desc("vim", "9.0rc1-1")),
		"var/lib/pacman/sync/core.db":            pack(t, ".gz", archive(t, "bash-5.2-1/desc", desc("bash", "5.2-1"), "zsh-5.9-1/desc", desc("zsh", "5.9-1"))),
		"var/lib/pacman/sync/extra.db":           pack(t, ".zst", archive(t, "bash-6-1/desc", desc("bash", "6-1"), "zsh-7-1/desc", desc("zsh", "7-1"), "vim-9.0-1/desc", desc("vim", "9.0-1"))),
		"var/lib/pacman/sync/testing.db":         pack(t, ".gz", archive(t, "bash-9-1/desc", desc("bash", "9-1"))),
	}
	got, err := learn(t, fact, fsys)
	checkPending(t, got, err, "", "bash 5.2-1", "vim 9.0-1")
	delete(fsys, "var/lib/pacman/sync/extra.db")
	got, err = learn(t, fact, fsys)
	checkPending(t, got, err, "repositories never refreshed: extra", "bash 5.2-1")
}

const updateInfoXML = `<?xml version="1.0" encoding="UTF-8"?>
<updates>
<update from="x" status="final" type="security" version="1">
 <id>EX-2024:0001</id><title>alpha &amp; more</title><severity>Moderate</severity>
 <issued date="2024-01-02 03:04:05"/><updated date="2025-01-01"/>
 <references><reference href="h" id="CVE-2024-1" type="cve"/><reference id="123" type="bugzilla"/></references>
 <pkglist><collection><name>c</name>
  <package name="alpha" version="2.0" release="2" epoch="3" arch="x86_64" src="a.src.rpm"><filename>alpha.rpm</filename></package>
  <package name="beta" version="9" release="1" epoch="0" arch="aarch64"><filename>beta.rpm</filename></package>
 </collection></pkglist>
</update>
<update type="security"><id>EX-2024:0002</id><title>later</title><severity>Critical</severity><issued date="2024-02-02"/>
 <references><reference id="CVE-2024-2" type="cve"/><reference id="CVE-2024-1" type="cve"/></references>
 <package name="alpha" version="2.0" release="1.5" epoch="3" arch="x86_64"></package></update>
<update type="bugfix"><id>EX-2024:0003</id><title>fix</title><severity>None</severity><package name="gamma" version="1.1" release="1" arch="x86_64"/></update>
<update type="security"><id>EX-2023:0009</id><package name="gamma" version="1.0" release="1" epoch="0" arch="x86_64"/></update>
<update type="security"><id>EX-2024:0004</id><package name='delta00' version='2' release='1' epoch='0' arch='x86_64'/></update>
</updates>
`

func dnfMachine(t testing.TB) fstest.MapFS {
	fsys := fstest.MapFS{}
	for _, f := range []string{"", "-wal"} {
		fsys["var/lib/rpm/rpmdb.sqlite"+f] = testdata(t, "../rpmdb/testdata/wal-rpmdb.sqlite"+f)
	}
	fsys["var/cache/dnf/base-0123456789abcdef/repodata/repomd.xml"] = text("<repomd/>")
	return fsys
}

func TestDNFPending(t *testing.T) {
	fact := learner(func(h *host.Host, d *pb.Device) error { return learnDNFPending(t.Context(), h, d) })
	const repo = "var/cache/dnf/base-0123456789abcdef/repodata/"
	fsys := dnfMachine(t)
	fsys[repo+"feed-updateinfo.xml.gz"] = pack(t, ".gz", updateInfoXML)
	got, err := learn(t, fact, fsys)
	checkPending(t, got, err, "", "alpha 3:2.0-2 critical CVE-2024-1,CVE-2024-2", "delta00 2-1 security", "gamma 1.1-1 none")
	first := got.Patch.Pending[0]
	if first.Title != "EX-2024:0001 alpha & more" || !first.PublishedAt.AsTime().Equal(time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)) {
		t.Errorf("title %q, published %v", first.Title, first.PublishedAt.AsTime())
	}
	fsys[repo+"feed-updateinfo.xml.gz"] = pack(t, ".gz", updateInfoXML[:strings.Index(updateInfoXML, "<id>EX-2024:0002")])
	got, err = learn(t, fact, fsys)
	checkPending(t, got, err, "ends within an advisory", "alpha 3:2.0-2 moderate CVE-2024-1")
	delete(fsys, repo+"feed-updateinfo.xml.gz")
	got, err = learn(t, fact, fsys)
	checkPending(t, got, err, "has no advisories")
	if got.Patch != nil {
		t.Errorf("without advisories %v is said", got.Patch)
	}
	// Elements longer than what is read at once.
	fsys[repo+"feed-updateinfo.xml.zst"] = pack(t, ".zst", strings.ReplaceAll(updateInfoXML, "<name>c</name>", strings.Repeat("<name>filler</name>", 50_000)))
	got, err = learn(t, fact, fsys)
	checkPending(t, got, err, "", "alpha 3:2.0-2 critical CVE-2024-1,CVE-2024-2", "delta00 2-1 security", "gamma 1.1-1 none")
}

func TestPendingIsBounded(t *testing.T) {
	var updates []*pb.PendingUpdate
	for i := range maxPending + 3 {
		updates = append(updates, &pb.PendingUpdate{Id: fmt.Sprint(i)})
	}
	d := new(pb.Device)
	err := addPending(d, updates, time.Unix(100, 0))
	if err == nil || len(d.Patch.Pending) != maxPending || d.Patch.PendingCount[severityUnknown] != maxPending+3 {
		t.Errorf("%d listed, %v counted, error %v", len(d.Patch.Pending), d.Patch.PendingCount, err)
	}
	d = new(pb.Device)
	for _, at := range []int64{200, 100, 300} {
		if err := addPending(d, nil, time.Unix(at, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if d.Patch.CheckedAt.GetSeconds() != 100 {
		t.Errorf("checked at %v, want the oldest", d.Patch.CheckedAt)
	}
}

// with adds a file to a file system.
func with(fsys fstest.MapFS, name, content string) fstest.MapFS {
	fsys[name] = text(content)
	return fsys
}

func TestReboot(t *testing.T) {
	fact := learner(func(h *host.Host, d *pb.Device) error { return new(rebootCheck).learn(t.Context(), h, d) })
	kernels := func(running string, installed ...string) fstest.MapFS {
		fsys := fstest.MapFS{"proc/sys/kernel/osrelease": text(running + "\n")}
		for _, k := range installed {
			fsys["boot/vmlinuz-"+k] = text("")
			fsys["lib/modules/"+k+"/modules.dep"] = text("")
		}
		return fsys
	}
	flag := kernels("6.1.0-20-amd64", "6.1.0-20-amd64")
	flag["run/reboot-required"] = text("*** System restart required ***\n")
	flag["run/reboot-required.pkgs"] = text("libc6\nlibc6\nlinux-base\n")
	removed := kernels("6.1.0-20-amd64", "6.1.0-20-amd64")
	removed["lib/modules/6.1.0-30-amd64/old"] = text("")
	arch := fstest.MapFS{"proc/sys/kernel/osrelease": text("6.6.1-arch1-1\n"), "lib/modules/6.6.2-arch1-1/vmlinuz": text("")}
	for _, tt := range []struct {
		name  string
		fsys  fstest.MapFS
		state string
		why   []string
	}{
		{"container", fstest.MapFS{"proc/sys/kernel/osrelease": text("6.1.0-20-amd64\n")}, "unknown", nil},
		{"nothing at all", fstest.MapFS{}, "unknown", nil},
		{"newest runs", kernels("6.1.0-20-amd64", "6.1.0-9-amd64", "6.1.0-20-amd64"), "false", nil},
		{"newer installed", kernels("6.1.0-9-amd64", "6.1.0-9-amd64", "6.1.0-20-amd64"), "true", []string{"kernel 6.1.0-20-amd64 is installed, 6.1.0-9-amd64 runs"}},
		{"another kind is newer", kernels("6.1.0-9-amd64", "6.1.0-9-amd64", "6.1.0-20-rt-amd64"), "false", nil},
		{"fedora", kernels("6.5.6-300.fc38.x86_64", "6.5.6-300.fc38.x86_64", "6.6.1-200.fc39.x86_64"), "true", []string{"kernel 6.6.1-200.fc39.x86_64 is installed, 6.5.6-300.fc38.x86_64 runs"}},
		{"arch replaced its kernel", arch, "true", []string{"kernel 6.6.2-arch1-1 is installed, 6.6.1-arch1-1 runs"}},
		{"package asks", flag, "true", []string{"libc6", "linux-base"}},
		{"only modules left behind", removed, "false", nil},
		{"zypper asks", with(kernels("6.4.0-1-default", "6.4.0-1-default"), "run/reboot-needed", ""), "true", []string{"zypper"}},
		{"an image is staged", with(kernels("6.6.1-200.fc39.x86_64"), "run/ostree/staged-deployment", ""), "true", []string{"a system image is staged"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := learn(t, fact, tt.fsys)
			if err != nil {
				t.Fatal(err)
			}
			state := "unknown"
			if got.Patch != nil && got.Patch.RebootRequired != nil {
				state = fmt.Sprint(*got.Patch.RebootRequired)
			}
			if diff := cmp.Diff(tt.why, got.GetPatch().GetRebootReasons()); diff != "" || state != tt.state {
				t.Errorf("%s, want %s; reasons (-want +got):\n%s", state, tt.state, diff)
			}
		})
	}
}

func TestAutoUpdate(t *testing.T) {
	fact := learner(func(h *host.Host, d *pb.Device) error { return learnAutoUpdate(t.Context(), h, d) })
	apt := func(files ...string) fstest.MapFS {
		fsys := fstest.MapFS{"usr/bin/apt-get": text(""), "usr/bin/unattended-upgrade": text("")}
		for i := 0; i < len(files); i += 2 {
			fsys["etc/apt/"+files[i]] = text(files[i+1])
		}
		return fsys
	}
	const auto = "apt.conf.d/20auto-upgrades"
	withoutProgram := apt(auto, `APT::Periodic::Unattended-Upgrade "1";`)
	delete(withoutProgram, "usr/bin/unattended-upgrade")
	for _, tt := range []struct {
		name, want string
		fsys       fstest.MapFS
	}{
		{"on", "on", apt(auto, "APT::Periodic::Update-Package-Lists \"1\";\nAPT::Periodic::Unattended-Upgrade \"1\";\n")},
		{"nested", "on", apt(auto, "APT { Periodic {\n Unattended-Upgrade \"always\"; };\n};")},
		{"off", "off", apt(auto, `APT::Periodic::Unattended-Upgrade "0";`)},
		{"commented out", "off", apt(auto, "// APT::Periodic::Unattended-Upgrade \"1\";\n/* APT::Periodic::Unattended-Upgrade \"1\"; */\n# APT::Periodic::Unattended-Upgrade \"1\";\n")},
		{"other key", "off", apt(auto, `Unattended-Upgrade::X "1"; APT::Periodic::Unattended-Upgrade-Not "1";`)},
		{"later file wins", "off", apt(auto, `APT::Periodic::Unattended-Upgrade "1";`, "apt.conf.d/99local", `apt::periodic::unattended-upgrade "0";`)},
		{"file that apt does not read", "on", apt(auto, `APT::Periodic::Unattended-Upgrade "1";`, "apt.conf.d/99local.dpkg-old", `APT::Periodic::Unattended-Upgrade "0";`)},
		{"not set", "off", apt()},
		{"nothing heeds it", "off", withoutProgram},
		{"dnf without timer", "off", fstest.MapFS{"usr/bin/dnf": text("")}},
		{"dnf only downloads", "off", fstest.MapFS{"usr/bin/dnf": text(""), timerWants + "dnf-automatic.timer": text(""), "etc/dnf/automatic.conf": text("[commands]\napply_updates = no\n")}},
		{"dnf applies", "on", fstest.MapFS{"usr/bin/dnf": text(""), timerWants + "dnf-automatic.timer": text(""), "etc/dnf/automatic.conf": text("[commands]\napply_updates = yes\n")}},
		{"dnf installs", "on", fstest.MapFS{"usr/bin/dnf": text(""), timerWants + "dnf-automatic-install.timer": text("")}},
		{"micro os", "on", fstest.MapFS{"usr/bin/zypper": text(""), timerWants + "transactional-update.timer": text("")}},
		{"ostree stages", "on", fstest.MapFS{"usr/bin/rpm-ostree": text(""), timerWants + "rpm-ostreed-automatic.timer": text(""), "etc/rpm-ostreed.conf": text("[Daemon]\nAutomaticUpdatePolicy=stage\n")}},
		{"ostree checks", "off", fstest.MapFS{"usr/bin/rpm-ostree": text(""), timerWants + "rpm-ostreed-automatic.timer": text(""), "etc/rpm-ostreed.conf": text("[Daemon]\nAutomaticUpdatePolicy=check\n")}},
	} {
		got, err := learn(t, fact, tt.fsys)
		if err != nil || got.GetPatch().GetAutoUpdate() != tt.want {
			t.Errorf("%s: %q, want %q, error %v", tt.name, got.GetPatch().GetAutoUpdate(), tt.want, err)
		}
	}
	if got, err := learn(t, fact, fstest.MapFS{"usr/bin/pacman": text("")}); !errors.Is(err, errors.ErrUnsupported) || got.Patch != nil {
		t.Errorf("unknown package manager: %v, error %v", got.Patch, err)
	}
}

func TestLastUpdate(t *testing.T) {
	fact := learner(func(h *host.Host, d *pb.Device) error { return learnLastUpdate(t.Context(), h, d) })
	at := func(sec int64, s string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte(s), ModTime: time.Unix(sec, 0)}
	}
	for _, tt := range []struct {
		name string
		fsys fstest.MapFS
		want int64
	}{
		{"dpkg", fstest.MapFS{"var/log/dpkg.log": at(300, "x"), "var/lib/dpkg/status": at(900, "x")}, 300},
		{"dpkg's log was just rotated", fstest.MapFS{"var/log/dpkg.log": at(500, ""), "var/log/dpkg.log.1": at(200, "x"), "var/lib/dpkg/status": at(900, "x")}, 200},
		{"dpkg without log", fstest.MapFS{"var/lib/dpkg/status": at(900, "x")}, 900},
		{"two managers", fstest.MapFS{"var/lib/dpkg/status": at(900, "x"), "var/log/pacman.log": at(901, "x")}, 901},
		{"rpm without history", dnfMachine(t), 1_700_000_000},
	} {
		got, err := learn(t, fact, tt.fsys)
		if err != nil || got.GetPatch().GetLastUpdated().GetSeconds() != tt.want {
			t.Errorf("%s: %v, want %d, error %v", tt.name, got.GetPatch().GetLastUpdated(), tt.want, err)
		}
	}
	if got, err := learn(t, fact, fstest.MapFS{}); !errors.Is(err, errors.ErrUnsupported) || got.Patch != nil {
		t.Errorf("nothing: %v, error %v", got.Patch, err)
	}
}

func FuzzUpdateInfo(f *testing.F) {
	f.Add([]byte(updateInfoXML))
	f.Fuzz(func(t *testing.T, b []byte) {
		fsys := fstest.MapFS{"u.xml": &fstest.MapFile{Data: b}}
		updates := make(map[string]*dnfUpdate)
		_ = scanAdvisories(t.Context(), fsys, "u.xml", "", func(a []byte) { rpmInstalled{"alpha.x86_64": "1"}.apply(a, updates) })
		for _, u := range updates {
			if len(u.update.Cves) > maxCVEs || len(u.update.Title) > maxSoftwareText {
				t.Fatalf("update %v is too large", u.update)
			}
		}
	})
}

func FuzzAptSetting(f *testing.F) {
	f.Add("APT { Periodic { Unattended-Upgrade \"1\"; }; };")
	f.Fuzz(func(_ *testing.T, s string) { _, _ = aptSetting(s, "apt::periodic::unattended-upgrade") })
}
