package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/rollcall-itam/rollcall/agent/facts"
	"github.com/rollcall-itam/rollcall/agent/host"
	"github.com/rollcall-itam/rollcall/agent/privacy"
	"github.com/rollcall-itam/rollcall/agent/report"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// debian is a machine of one package, with a clock that stands still.
func debian(clock *time.Time) (*host.Host, fstest.MapFS) {
	tree := fstest.MapFS{
		"etc/os-release":      {Data: []byte("ID=debian\nNAME=\"Debian GNU/Linux\"\n")},
		"var/lib/dpkg/status": {Data: []byte("Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2\n\n"), ModTime: *clock},
	}
	return &host.Host{FS: tree, OS: "linux", Now: func() time.Time { return *clock }}, tree
}

// A package that is installed is seen at the next look, one that was there is
// not read again.
func TestADaemonReadsPackagesWhenTheyChange(t *testing.T) {
	clock := time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC)
	h, tree := debian(&clock)
	l := newLearner(privacy.Settings{})
	l.host = h
	var told report.Collection
	l.tell = func(c report.Collection) { told = c }
	kept := func() bool {
		for _, c := range told.Facts {
			if c.Name == "dpkg" {
				return !c.KeptSince.IsZero()
			}
		}
		t.Fatalf("no cost of dpkg in %v", told)
		return false
	}
	rows := func() int {
		o, err := l.learn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(o.GetDevice().GetSoftware())
	}
	if n := rows(); n != 1 || kept() || l.changed(t.Context()) {
		t.Errorf("at first: %d rows, kept %v, changed %v", n, kept(), l.changed(t.Context()))
	}
	clock = clock.Add(time.Hour)
	if n := rows(); n != 1 || !kept() || l.changed(t.Context()) {
		t.Errorf("nothing changed: %d rows, kept %v, changed %v", n, kept(), l.changed(t.Context()))
	}
	more := string(tree["var/lib/dpkg/status"].Data) + "Package: zsh\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.9\n\n"
	tree["var/lib/dpkg/status"] = &fstest.MapFile{Data: []byte(more), ModTime: clock}
	if !l.changed(t.Context()) {
		t.Error("a package was installed, which is not seen")
	}
	if n := rows(); n != 2 || kept() {
		t.Errorf("after the change: %d rows, kept %v", n, kept())
	}
}

func TestWhatIsWithheldDoesNotLeaveTheLearner(t *testing.T) {
	clock := time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC)
	l := newLearner(privacy.Settings{Levels: map[string]string{"software": privacy.Omit}})
	l.host, _ = debian(&clock)
	l.options = facts.Options{Facts: facts.All()}
	o, err := l.learn(t.Context())
	if err != nil || len(o.GetDevice().GetSoftware()) > 0 || o.GetDevice().GetOs().GetName() == "" {
		t.Errorf("%v, %v", o.GetDevice(), err)
	}
}

func TestPrivacySettings(t *testing.T) {
	short, good := file(t, "too short\n"), file(t, strings.Repeat("k", 32)+"\n")
	for name, tc := range map[string]struct{ config, want string }{
		"unknown section": {"privacy: {documents: omit}\n", "no section"},
		"unknown level":   {"privacy: {software: some}\n", "want full, hashed or omit"},
		"no key":          {"privacy: {users: hashed}\n", "give privacy_key_file"},
		"no key file":     {"privacy: {users: hashed}\nprivacy_key_file: /nowhere/key\n", "/nowhere/key"},
		"short key":       {"privacy: {users: hashed}\nprivacy_key_file: " + short + "\n", "16 bytes"},
		"long key":        {"privacy: {users: hashed}\nprivacy_key_file: " + file(t, strings.Repeat("k", maxPrivacyKey+1)) + "\n", "larger than"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, errs, code := call(t, "config", "check", "--config", file(t, tc.config)); code == 0 || !strings.Contains(errs, tc.want) {
				t.Errorf("exits with %d, want an error that mentions %q: %s", code, tc.want, errs)
			}
		})
	}
	out, errs, code := call(t, "config", "check", "--config", file(t, "byod: true\nprivacy: {users: hashed, software: omit}\nprivacy_key_file: '"+good+"'\n"))
	if code != 0 || !strings.Contains(out, "    users: hashed\n") || !strings.Contains(out, "byod: true\n") || strings.Contains(out, "kkkk") {
		t.Errorf("exits with %d: %s%s", code, out, errs)
	}
	if again, errs, code := call(t, "config", "check", "--config", file(t, out)); code != 0 || again != out {
		t.Errorf("printed settings are none: %d %s%s", code, again, errs)
	}
}

// An agent that was copied with its machine's image is told from the first by
// what the system calls itself, where the hardware says nothing.
func TestMachineID(t *testing.T) {
	linux := &host.Host{FS: fstest.MapFS{"etc/machine-id": {Data: []byte("0123456789abcdef0123456789abcdef\n")}}, OS: "linux", Now: time.Now}
	for name, tc := range map[string]struct {
		host *host.Host
		want string
	}{
		"linux":           {linux, "0123456789abcdef0123456789abcdef"},
		"windows":         {windows(t, `"MachineGuid"="8A5D8B6C-3F0E-4C37-9C56-0D2B4E1F7A90"`), "8a5d8b6c-3f0e-4c37-9c56-0d2b4e1f7a90"},
		"windows, none":   {windows(t, ""), ""},
		"windows, number": {windows(t, `"MachineGuid"=dword:00000007`), ""},
		"windows, long":   {windows(t, `"MachineGuid"="`+strings.Repeat("a", 300)+`"`), ""},
		"mac":             {&host.Host{FS: fstest.MapFS{}, OS: "darwin", Now: time.Now}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := machine(tc.host, new(pb.Observation)).IDs[report.IDMachine]; got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

// windows is a capture of a machine whose key of cryptography has a value.
func windows(t *testing.T, value string) *host.Host {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"machine.json": `{"os": "windows", "time": "2026-01-01T00:00:00Z"}`,
		"registry.reg": "Windows Registry Editor Version 5.00\n\n[HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Cryptography]\n" + value + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h, err := host.Replay(dir)
	if err != nil {
		t.Fatal(err)
	}
	return h
}
