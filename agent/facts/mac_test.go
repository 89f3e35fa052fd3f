package facts

import (
	"encoding/hex"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/agent/facts/proplist"
	"github.com/rollcall-itam/rollcall/agent/host"
	"github.com/rollcall-itam/rollcall/pkg/section"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// capturedMac returns a Mac with these files of a capture.
func capturedMac(t *testing.T, files map[string]string) *host.Host {
	t.Helper()
	all := map[string]string{"machine.json": `{"os": "darwin", "time": "2026-02-20T08:00:00Z"}`}
	maps.Copy(all, files)
	return captured(t, all)
}

// captured returns a machine that was recorded as these files.
func captured(t *testing.T, files map[string]string) *host.Host {
	t.Helper()
	dir := t.TempDir()
	write := func(name, content string) {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range files {
		write(name, content)
	}
	h, err := host.Replay(dir)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// plistOf returns a property list that holds a dictionary.
func plistOf(inside string) string { return "<plist><dict>" + inside + "</dict></plist>" }

func infoOf(id, version, rest string) string {
	return plistOf("<key>CFBundleIdentifier</key><string>" + id + "</string><key>CFBundleShortVersionString</key><string>" + version + "</string>" + rest)
}

// learnOnly learns one fact and returns what it says.
func learnOnly(t *testing.T, h *host.Host, name string) Result {
	t.Helper()
	for _, f := range All() {
		if f.Name == name && slices.Contains(f.OS, h.OS) {
			return Collect(t.Context(), h, Options{Facts: []Fact{f}})
		}
	}
	t.Fatalf("no fact %s", name)
	return Result{}
}

// One bad bundle costs its version only, and a bomb nothing.
func TestMacAppsBroken(t *testing.T) {
	const apps = "files/Applications/"
	h := capturedMac(t, map[string]string{
		apps + "Good.app/" + infoPlist:                  infoOf("com.example.good", "1.0", ""),
		apps + "Cut.app/" + infoPlist:                   "<plist><dict><key>CFBundle",
		apps + "Bomb.app/" + infoPlist:                  "<plist>" + strings.Repeat("<array>", 10_000),
		apps + "Odd.app/" + infoPlist:                   plistOf("<key>CFBundleIdentifier</key><integer>7</integer><key>CFBundleExecutable</key><string>../../etc/passwd</string>"),
		apps + "Suite/In.app/" + infoPlist:              infoOf("com.example.in", "2", "<key>CFBundleVersion</key><string>200</string>"),
		apps + "Some.framework/Helper.app/" + infoPlist: infoOf("com.example.helper", "3", ""),
		apps + ".hidden/Away.app/" + infoPlist:          infoOf("com.example.away", "4", ""),
		apps + "1/2/3/4/5/Deep.app/" + infoPlist:        infoOf("com.example.deep", "5", ""),
	})
	r := learnOnly(t, h, "applications")
	got := map[string]string{}
	for _, s := range r.Device.Software {
		got[s.Name] = s.Version
	}
	if diff := cmp.Diff(map[string]string{"Good": "1.0", "Cut": "", "Bomb": "", "Odd": "", "In": "2"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(r.Problems) != 1 || !strings.Contains(r.Problems[0].Error, "Cut.app") || !strings.Contains(r.Problems[0].Error, "Bomb.app") {
		t.Errorf("problems: %v", r.Problems)
	}
	if i := slices.IndexFunc(r.Sections, func(s *pb.SectionStatus) bool { return s.Name == section.Software }); r.Sections[i].State != section.Partial {
		t.Errorf("section: %v", r.Sections[i])
	}
}

func TestMacAppNames(t *testing.T) {
	all := []macApp{{dir: "Applications/Firefox.app", id: "org.mozilla.firefox", version: "145.0"}}
	for _, c := range []struct {
		app  macApp
		want string
	}{
		{macApp{dir: "Applications/Firefox 2.app", id: "org.mozilla.firefox", version: "128.0"}, "Firefox"},
		{macApp{dir: "Applications/Firefox copy.app", id: "org.mozilla.firefox", version: "128.0"}, "Firefox"},
		{macApp{dir: "Applications/Firefox copy 3.app", id: "org.mozilla.firefox", version: "128.0"}, "Firefox"},
		{macApp{dir: "Applications/Old/Firefox 2.app", id: "org.mozilla.firefox", version: "128.0"}, "Firefox 2"},
		{macApp{dir: "Applications/Old/Firefox 2.app", id: "org.mozilla.firefox", version: "128.0", builtName: "Firefox"}, "Firefox"},
		{macApp{dir: "Applications/Transmit 5.app", id: "com.panic.Transmit", version: "5.11", builtName: "Transmit"}, "Transmit 5"},
		{macApp{dir: "Applications/Office 365.app", id: "x", version: "16"}, "Office 365"},
		{macApp{dir: "Applications/2.app", id: "x"}, "2"},
		{macApp{dir: "Applications/ copy.app", id: "x"}, " copy"},
	} {
		if got := c.app.name(append(all, c.app)); got != c.want {
			t.Errorf("%s: %q, want %q", c.app.dir, got, c.want)
		}
	}
}

func TestElsewhere(t *testing.T) {
	for file, want := range map[string]bool{
		"/Library/Application Support/com.example.tool/Tool.app": true, "/Users/ann/Downloads/Portable.app": true, "/opt/tool/Tool.app": true,
		"/System/Library/CoreServices/Finder.app": true, "/System/Library/CoreServices/Finder.app/Contents/Applications/AirDrop.app": false,
		"/System/Library/Frameworks/A.framework/B.app": false, "/Volumes/USB/Tool.app": false, "/Users/ann/.Trash/Tool.app": false,
		"/Users/ann/Library/Developer/Xcode/DerivedData/x/Tool.app": false, "/private/var/folders/x/Tool.app": false,
		"/Library/A.bundle/Contents/Tool.app": false, "/Users/ann/Applications (Parallels)/{1} Applications.localized/Notepad.app": false,
		"/Library/../etc/Tool.app": false, "/Library/Tool.txt": false, "": false,
	} {
		if got := elsewhere(file); got != want {
			t.Errorf("%s: %v", file, got)
		}
	}
}

func TestCopyrightHolder(t *testing.T) {
	for notice, want := range map[string]string{
		"Copyright © 2012-2024 Example Ltd. All rights reserved.":               "Example Ltd.",
		"© 2010–2025 Panic Inc. All rights reserved.":                           "Panic Inc.",
		"Copyright (c) 1998, 2024 by The Example Foundation. See the licence.":  "The Example Foundation",
		"1.2, Copyright 2007-2008 Apple Inc.":                                   "Apple Inc.",
		"Adobe Acrobat 9.4, ©1984-2010 Adobe Systems Incorporated. All rights…": "Adobe Systems Incorporated",
		"Copyright ©2024 Ann Example":                                           "Ann Example",
		"Copyright © 2024-present Example GmbH; parts by others":                "Example GmbH",
		"Copyright © 2024 Müller & Söhne GmbH. Alle Rechte vorbehalten.":        "Müller & Söhne GmbH",
		"": "", "Version 3.1": "", "Copyright 2024": "", "© 2024 ☃": "", "©": "",
		"Copyright " + strings.Repeat("long ", 100): "",
	} {
		if got := copyrightHolder(notice); got != want {
			t.Errorf("%q: %q, want %q", notice, got, want)
		}
	}
}

// States as the tools of several systems say them.
func TestMacStates(t *testing.T) {
	for _, c := range []struct {
		read       func(string) string
		text, want string
	}{
		{fileVaultState, "FileVault is On.\n", "on"},
		{fileVaultState, "FileVault is Off.\n", "off"},
		{fileVaultState, "FileVault is Off, but will be enabled after the next restart.\n", "off"},
		{fileVaultState, "FileVault is On.\nEncryption in progress: Percent completed = 34.2\n", "partial"},
		{fileVaultState, "FileVault is Off.\nDecryption in progress: Percent completed = 1\n", "partial"},
		{fileVaultState, "Error: unable to connect\n", ""},
		{firewallState, "Firewall is enabled. (State = 1) \n", "on"},
		{firewallState, "Firewall is disabled. (State = 0) \n", "off"},
		{firewallState, "Firewall is blocking all non-essential incoming connections. (State = 2)\n", "on"},
		{firewallState, "", ""},
		{sipState, "System Integrity Protection status: enabled.\n", "on"},
		{sipState, "System Integrity Protection status: disabled.\n", "off"},
		{sipState, "System Integrity Protection status: unknown (Custom Configuration).\n\nConfiguration:\n\tApple Internal: disabled\n", "permissive"},
		{sipState, "System Integrity Protection status: enabled (Custom Configuration).\n", "permissive"},
		{sipState, "csrutil: command not found", ""},
		{gatekeeperState, "assessments enabled\n", "on"},
		{gatekeeperState, "assessments enabled\ndeveloper id enabled\n", "on"},
		{gatekeeperState, "assessments disabled\n", "off"},
		{gatekeeperState, "spctl: unable to tell whether assessments enabled\n", ""},
		{gatekeeperState, "", ""},
		{func(s string) string { return macChassis(s, "") }, "MacBook Air", "notebook"},
		{func(s string) string { return macChassis(s, "Mac14,12") }, "Mac mini", "mini pc"},
		{func(s string) string { return macChassis("", s) }, "iMac21,1", "all in one"},
		{func(s string) string { return macChassis("", s) }, "Mac14,12", ""},
	} {
		if got := c.read(c.text); got != c.want {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
}

func TestMacEnrollment(t *testing.T) {
	for text, want := range map[string]*pb.Mdm{
		"Enrolled via DEP: No\nMDM enrollment: No\n": {Enrolled: proto.Bool(false)},
		"Enrolled via DEP: No\nMDM enrollment: Yes\nMDM server: https://a@mdm.example.com/x?t=1#f\n": {
			Enrolled: proto.Bool(true), UserApproved: proto.Bool(false), ServerUrl: "https://mdm.example.com/x",
		},
		"Enrolled via DEP: Yes\nMDM enrollment: Yes (User Approved)\n": {Enrolled: proto.Bool(true), UserApproved: proto.Bool(true), Supervised: proto.Bool(true)},
		"profiles: this command requires root":                         nil,
	} {
		if diff := cmp.Diff(want, decodeEnrollment(text), protocmp.Transform()); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}

func TestMacScreenLock(t *testing.T) {
	on := proplist.Dict{"askForPassword": int64(1), "idleTime": int64(300), "askForPasswordDelay": int64(5)}
	for name, c := range map[string]struct {
		managed, user proplist.Dict
		want          *pb.ScreenLock
	}{
		"managed":            {on, proplist.Dict{"idleTime": int64(0)}, &pb.ScreenLock{State: "on", Seconds: proto.Int32(305)}},
		"one's own":          {nil, on, &pb.ScreenLock{State: "on", Seconds: proto.Int32(305)}},
		"never starts":       {nil, proplist.Dict{"idleTime": int64(0)}, &pb.ScreenLock{State: "off"}},
		"asks nothing":       {proplist.Dict{"askForPassword": false}, on, &pb.ScreenLock{State: "off"}},
		"nobody knows":       {nil, proplist.Dict{"idleTime": int64(300)}, nil},
		"nothing":            {nil, nil, nil},
		"of the other world": {proplist.Dict{"askForPassword": true, "idleTime": int64(-5)}, nil, nil},
	} {
		if diff := cmp.Diff(c.want, macScreenLock(c.managed, c.user), protocmp.Transform()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestMacSizes(t *testing.T) {
	for text, want := range map[string]int64{"16 GB": 16 << 30, "1536 MB": 1536 << 20, "1,5 GB": 3 << 29, "4 To": 4 << 40, "": 0, "GB": 0, "Empty": 0, "-1 GB": 0, "9e99 GB": 0, "NaN GB": 0} {
		if got := memorySize(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
	for text, want := range map[string]int64{"500,28 GB": 500_280_000_000, "1 TB (1,000,555,581,440 bytes)": 1_000_555_581_440, "7 MB": 7_000_000, "12 bytes": 12, "x (y)": 0} {
		if got := diskSize(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

func TestMacPending(t *testing.T) {
	list := func(updates ...proplist.Dict) proplist.Dict {
		var all []any
		for _, u := range updates {
			all = append(all, u)
		}
		return proplist.Dict{"RecommendedUpdates": all}
	}
	got := macPending(list(
		proplist.Dict{"Identifier": "a", "Display Name": "macOS Sonoma 14.8", "Display Version": "14.8"},
		proplist.Dict{"Product Key": "012-1", "Display Name": "Security Update 2022-001", "Display Version": "10.15.7"},
		proplist.Dict{"Display Name": "macOS Sonoma 14.7", "Display Version": "14.7"}, proplist.Dict{},
	), "14.7")
	want := []*pb.PendingUpdate{{Id: "a", Title: "macOS Sonoma 14.8", Version: "14.8"}, {Id: "012-1", Title: "Security Update 2022-001", Version: "10.15.7", Severity: "security"}}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMacAutoUpdate(t *testing.T) {
	const ours, managed = "files/" + macUpdateFile, "files/" + macManaged + "/com.apple.SoftwareUpdate.plist"
	installs := func(v string) string { return plistOf("<key>AutomaticallyInstallMacOSUpdates</key><" + v + "/>") }
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"on":        {map[string]string{ours: installs("true")}, "on"},
		"off":       {map[string]string{ours: installs("false")}, "off"},
		"no checks": {map[string]string{ours: plistOf("<key>AutomaticCheckEnabled</key><integer>0</integer><key>AutomaticallyInstallMacOSUpdates</key><true/>")}, "off"},
		"managed":   {map[string]string{ours: installs("false"), managed: installs("true")}, "managed"},
		"unset":     {map[string]string{ours: plistOf("")}, ""},
		"nothing":   {nil, ""},
	} {
		r := learnOnly(t, capturedMac(t, c.files), "auto_update")
		if got := r.Device.GetPatch().GetAutoUpdate(); got != c.want || len(r.Problems) > 0 {
			t.Errorf("%s: %q, %v", name, got, r.Problems)
		}
	}
}

// Old Macs have parts of a memory that are read as text, and people's tickets too.
func TestMacProfileText(t *testing.T) {
	p, err := decodeProfile([]byte("Memory:\n\n    Memory Slots:\n\n      ECC: Disabled\n\n        BANK 0/DIMM0:\n\n          Size: 8 GB\n          Type: DDR4\n          Speed: 2400 MHz\n" +
		"          Status: OK\n          Manufacturer: 0x802C\n          Part Number: 0x384154463147363448\n          Serial Number: -\n\n        BANK 1/DIMM0:\n\n          Size: Empty\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []*pb.MemoryModule{{SizeBytes: proto.Int64(8 << 30), Type: "DDR4", SpeedMts: proto.Int32(2400), Slot: "BANK 0/DIMM0", Manufacturer: "0x802C", PartNumber: "8ATF1G64H"}}
	if diff := cmp.Diff(want, macMemory(p), protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := decodeProfile([]byte("system_profiler: error\n")); err == nil {
		t.Error("no error of what is no profile")
	}
}

// An Intel Mac sends its displays' EDIDs, and says more of its disks.
func TestMacIntel(t *testing.T) {
	item := func(d map[string]any) proplist.Dict { return proplist.Dict(d) }
	p := profile{
		"SPDisplaysDataType": {item(map[string]any{"sppci_model": "AMD Radeon Pro 5300M", "spdisplays_vendor": "sppci_vendor_amd", "spdisplays_vram": "4 GB", "spdisplays_ndrvs": []any{
			item(map[string]any{profileName: "S22E390", "spdisplays_edid": "0x" + hex.EncodeToString(edid("S22E390", "H4ZH900001"))}),
			item(map[string]any{profileName: "Gone", "spdisplays_status": "spdisplays_not_connected"}),
		}})},
		"SPSerialATADataType": {item(map[string]any{profileName: "Intel AHCI", profileItems: []any{
			item(map[string]any{profileName: "ST1000", "bsd_name": "disk1", "size": "1 TB (1,000,204,886,016 bytes)", "device_model": "ST1000DM003 ", "smart_status": "About to Fail", "spsata_medium_type": "Rotational"}),
			item(map[string]any{profileName: "DVD", "device_serial": "x"}),
		}})},
	}
	displays := macDisplays(p)
	if len(displays) != 1 || displays[0].Serial != "H4ZH900001" || displays[0].GetYear() != 2021 {
		t.Errorf("displays: %v", displays)
	}
	if g := macGPUs(p); len(g) != 1 || g[0].GetMemoryBytes() != 4<<30 || g[0].Vendor != "amd" {
		t.Errorf("graphics: %v", g)
	}
	want := []*pb.Disk{{Name: "disk1", Model: "ST1000DM003", SizeBytes: proto.Int64(1_000_204_886_016), Kind: "hdd", Bus: "sata", Health: "failing"}}
	if diff := cmp.Diff(want, macDisks(p), protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Without rights to the file of the directory, the directory's tool tells, and a
// machine that was never used has no user.
func TestMacUsers(t *testing.T) {
	h := capturedMac(t, map[string]string{"commands/mac_admins": "GroupMembership: root bob ann bob\n", "commands/mac_last": "\nwtmp begins Tue Dec 30 10:00\n"})
	if got := learnOnly(t, h, "local_admins").Device.GetSecurity().GetLocalAdmins(); !slices.Equal(got, []string{"ann", "bob", "root"}) {
		t.Errorf("administrators: %v", got)
	}
	if r := learnOnly(t, h, "primary_user"); r.Device.PrimaryUser != nil || len(r.Problems) > 0 {
		t.Errorf("%v, %v", r.Device.PrimaryUser, r.Problems)
	}
	h = capturedMac(t, map[string]string{"files/" + macLoginWindow: plistOf("<key>lastUserName</key><string>ann</string>")})
	if r := learnOnly(t, h, "primary_user"); r.Device.PrimaryUser.GetName() != "ann" || r.Device.PrimaryUser.GetSource() != "console" {
		t.Errorf("%v, %v", r.Device.PrimaryUser, r.Problems)
	}
}

// Logins have no years, and go back beyond the last new year's eve.
func TestDecodeLast(t *testing.T) {
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	got := decodeLast([]byte("ann  console                    Fri Jan  2 08:59   still logged in\n"+
		"bob  ttys001  10.0.0.9          Thu Dec 31 23:00 - 23:30  (00:30)\nann  console   Thu Dec 31 09:00 - 10:00  (01:00)\n"+
		"reboot    ~                     Wed Feb 30 09:00\nroot console Mon Mar  3 10:00 - crash\nshort Mon\n"), now)
	want := []string{"root console 2025-03-03 10:00", "ann console 2025-12-31 09:00", "bob remote 2025-12-31 23:00", "ann console 2026-01-02 08:59"}
	var lines []string
	for _, l := range got {
		lines = append(lines, l.user+" "+l.line+" "+time.Unix(l.at, 0).UTC().Format("2006-01-02 15:04"))
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if name := mostUsed(got, macPerson); name != "ann" {
		t.Errorf("%s used it most", name)
	}
}

// Commands that fail become problems, and those that a Mac has no answer to do
// not.
func TestMacFailures(t *testing.T) {
	h := capturedMac(t, map[string]string{
		"commands/mac_filevault.error": "exit status 1: cannot do it\n", "commands/mac_filevault": "", "commands/mac_ioreg_battery": "\n", "commands/mac_profile_power": "<plist><array/></plist>",
		"commands/mac_sip": "no idea", "files/" + macVersionFile: "half a file", "files/" + macReceipts + "/a.plist": plistOf(""), "files/" + macReceipts + "/b.plist": plistOf("<key>PackageIdentifier</key><string>b</string>"),
	})
	for fact, want := range map[string]string{
		"disk_encryption": "cannot do it", "integrity_protection": `csrutil says "no idea"`, "os": "SystemVersion.plist", "packages": "a.plist names no package", "battery": "", "firewall": "",
	} {
		r := learnOnly(t, h, fact)
		text := ""
		for _, p := range r.Problems {
			text += p.Error
		}
		if want == "" && text != "" || !strings.Contains(text, want) {
			t.Errorf("%s: %q", fact, text)
		}
		if fact == "packages" && len(r.Device.Software) != 1 {
			t.Errorf("%v", r.Device.Software)
		}
	}
}

// An empty Mac is nothing to complain of but what cannot be missing.
func TestMacEmpty(t *testing.T) {
	r := Collect(t.Context(), &host.Host{FS: fstest.MapFS{}, OS: "darwin", Now: time.Now}, Options{})
	for _, p := range r.Problems {
		if p.Fact != "os" {
			t.Errorf("%v", p)
		}
	}
}
