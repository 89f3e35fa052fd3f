package facts

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// winMachine returns a Windows machine that has what a file of the registry
// editor has, and that answers queries with rows.
func winMachine(t testing.TB, registry string, queries map[string][]host.Row) *host.Host {
	t.Helper()
	return winMachineIn(t, t.TempDir(), registry, queries)
}

// winMachineWith is winMachine with files on the system's drive.
func winMachineWith(t testing.TB, registry string, files map[string][]byte) *host.Host {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		file := filepath.Join(dir, "files", filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return winMachineIn(t, dir, registry, nil)
}

func winMachineIn(t testing.TB, dir, registry string, queries map[string][]host.Row) *host.Host {
	t.Helper()
	write := func(name string, b []byte) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("machine.json", []byte(`{"os": "windows", "time": "2026-01-01T00:00:00Z"}`))
	write("files/.empty", nil)
	write("registry.reg", []byte("Windows Registry Editor Version 5.00\n"+registry))
	for name, rows := range queries {
		b, err := json.Marshal(rows)
		if err != nil {
			t.Fatal(err)
		}
		write("queries/"+name+".json", b)
	}
	h, err := host.Replay(dir)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// keys writes keys of HKLM, each a line of its path and values: a blank, a name,
// an equals sign and the value as in a file of the registry editor.
func keys(lines ...string) string {
	var b strings.Builder
	for _, line := range lines {
		path, values, _ := strings.Cut(line, "|")
		root := `HKEY_LOCAL_MACHINE\`
		if rest, user := strings.CutPrefix(path, `HKU\`); user {
			root, path = `HKEY_USERS\`, rest
		}
		b.WriteString("\n[" + root + path + "]\n")
		for value := range strings.SplitSeq(values, "|") {
			if name, data, ok := strings.Cut(value, "="); ok {
				b.WriteString(`"` + name + `"=` + data + "\n")
			}
		}
	}
	return b.String()
}

const (
	testRelease = `SOFTWARE\Microsoft\Windows NT\CurrentVersion|CurrentBuild="22631"`
	testUser    = `S-1-5-21-1004336348-1177238915-682003330-1001`
)

func TestInstallDate(t *testing.T) {
	for text, want := range map[string]string{
		"20240116": "2024-01-16", "2024-01-16": "2024-01-16", "2024/01/16": "2024-01-16", "16.01.2024": "2024-01-16",
		"1/16/2024": "2024-01-16", "16/1/2024": "2024-01-16", "5/5/2024": "2024-05-05", "1705400000": "2024-01-16",
		// Which of them is the month?
		"3/4/2024": "", "20241316": "", "20240230": "", "": "", "yesterday": "", "19010101": "", "0/0/2024": "", "99/99/2024": "", "1": "",
	} {
		got := ""
		if d := installDate(text); !d.IsZero() {
			got = d.Format(time.DateOnly)
		}
		if got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestWindowsTimes(t *testing.T) {
	for _, c := range []struct {
		what string
		got  time.Time
		want string
	}{
		{"CIM", cimTime("20240131083000.500000+060"), "2024-01-31T07:30:00Z"},
		{"CIM west", cimTime("20240131083000.000000-300"), "2024-01-31T13:30:00Z"},
		{"CIM without a time", cimTime("20240131******.000000+***"), ""},
		{"CIM cut", cimTime("20240131083000"), ""},
		{"OMA", omaTime("20240131T083000Z"), "2024-01-31T08:30:00Z"},
		{"OMA of nothing", omaTime("00000000T000000Z"), ""},
		{"hotfix", hotfixDate("1/31/2024"), "2024-01-31T00:00:00Z"},
		{"hotfix in order", hotfixDate("20240131"), "2024-01-31T00:00:00Z"},
		{"hotfix in hexadecimal", hotfixDate("01da54221d9b8000"), "2024-01-31T00:00:00Z"},
		{"hotfix never", hotfixDate(""), ""},
		{"COM", oleTime("2024-01-31T08:30:00Z"), "2024-01-31T08:30:00Z"},
		{"COM never", oleTime("1899-12-30T00:00:00Z"), ""},
		{"64 bits", fileTime(133511634000000000), "2024-01-31T08:30:00Z"},
		{"64 bits, none", fileTime(0), ""},
		{"64 bits, all", fileTime(1<<64 - 1), ""},
		{"too few bytes", fileTimeOf([]byte{1, 2, 3}), ""},
	} {
		got := ""
		if !c.got.IsZero() {
			got = c.got.Format(time.RFC3339)
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}
}

func TestPackedCode(t *testing.T) {
	for guid, want := range map[string]string{
		"{23170F69-40C1-2702-2301-000001000000}": "96F071321C0420723210000010000000",
		"{90160000-008c-0000-1000-0000000ff1ce}": "00006109C80000000100000000F01FEC",
		"{23170F69-40C1-2702-2301-00000100000}":  "", "7-Zip": "", "": "", "{zzzzzzzz-40C1-2702-2301-000001000000}": "",
	} {
		if got := packedCode(guid); got != want {
			t.Errorf("%s: %s, want %s", guid, got, want)
		}
	}
}

// Every folder of every user, and no ghosts of any of them.
func TestPrograms(t *testing.T) {
	const uninstall = `Software\Microsoft\Windows\CurrentVersion\Uninstall\`
	h := winMachine(t, keys(testRelease,
		uninstall+`A|DisplayName="Plain"`,
		uninstall+`B|DisplayName="Update (KB123456)"|ReleaseType="security update"`,
		uninstall+`C|DisplayName="Part"|ParentDisplayName="Plain"`,
		uninstall+`D|DisplayName="Hidden"|SystemComponent=dword:00000001`,
		uninstall+`E|DisplayName="Shown"|SystemComponent=dword:00000000|EstimatedSize=dword:00000010|InstallDate="20991231"`,
		uninstall+`F|DisplayName=""`,
		uninstall+`G|DisplayName=hex:ff,ff`,
		uninstall+`H|DisplayName="  Blanks  "|DisplayVersion="1.0\n2"|InstallLocation="\"C:/Program Files/Blanks/\""`,
		// Not every MSI has a code that Windows Installer could know.
		uninstall+`{11111111-2222-3333-4444-555555555555}|DisplayName="MSI"|WindowsInstaller=dword:00000001|Version=dword:0a000001`,
		`HKU\`+testUser+`\`+uninstall+`U|DisplayName="Mine"`,
		`HKU\`+testUser+`\Software\WOW6432Node\Microsoft\Windows\CurrentVersion\Uninstall\V|DisplayName="Mine, of 32 bits"`,
		`HKU\S-1-5-18\`+uninstall+`W|DisplayName="The system's"`,
		`HKU\S-1-5-19\`+uninstall+`X|DisplayName="A service's"`,
	), nil)
	d := new(pb.Device)
	if err := learnUninstall(t.Context(), h, d); err != nil {
		t.Fatal(err)
	}
	want := []*pb.Software{
		{Kind: "exe", Name: "Blanks", Version: "1.0n2", Location: `C:\Program Files\Blanks`, ProductId: "H"},
		{Kind: "exe", Name: "Mine", ProductId: "U"},
		{Kind: "exe", Name: "Mine, of 32 bits", Architecture: "x86", ProductId: "V"},
		{Kind: "exe", Name: "Plain", ProductId: "A"},
		{Kind: "exe", Name: "Shown", SizeBytes: proto.Int64(16 << 10), ProductId: "E"},
		{Kind: "exe", Name: "The system's", ProductId: "W"},
		{Kind: "msi", Name: "MSI", Version: "10.0.1", ProductId: "{11111111-2222-3333-4444-555555555555}"},
	}
	if diff := cmp.Diff(want, d.Software, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	if err := learnUninstall(t.Context(), winMachine(t, "", nil), new(pb.Device)); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("no registry: %v", err)
	}
}

func TestLastUses(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }
	uses := lastUses{
		{path: `\program files\a\a.exe`, at: day(1)}, {path: `\program files\a\bin\b.exe`, at: day(3)},
		{path: `\program files\ab\c.exe`, at: day(9)}, {path: `\windows\notepad.exe`, at: day(5)},
	}
	slices.SortFunc(uses, func(a, b lastUse) int { return strings.Compare(a.path, b.path) })
	for folder, want := range map[string]time.Time{
		`C:\Program Files\A`: day(3), `C:\Program Files\A\`: day(3), `C:\Program Files\A\a.exe`: day(1), `C:\Program Files\AB`: day(9),
		`C:\Program Files`: {}, `C:\`: {}, `C:\Windows`: {}, "": {}, `C:\Program Files\B`: {},
	} {
		if got := uses.under(folder); !got.Equal(want) {
			t.Errorf("%s: %v, want %v", folder, got, want)
		}
	}
}

func TestWindowsReboot(t *testing.T) {
	const (
		servicing = `SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending`
		wu        = `SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired`
		names     = `SYSTEM\CurrentControlSet\Control\ComputerName\`
	)
	for name, c := range map[string]struct {
		keys []string
		want []string
	}{
		"nothing": {nil, nil},
		// Seen on nearly every machine.
		"files to be renamed": {[]string{`SYSTEM\CurrentControlSet\Control\Session Manager|PendingFileRenameOperations=hex(7):41,00,00,00,00,00`}, nil},
		"servicing":           {[]string{servicing}, []string{"component servicing"}},
		"both":                {[]string{servicing, wu}, []string{"Windows Update", "component servicing"}},
		"an old installer":    {[]string{`SOFTWARE\Microsoft\Updates|UpdateExeVolatile=dword:00000001`}, []string{"an installer of updates"}},
		"installer done":      {[]string{`SOFTWARE\Microsoft\Updates|UpdateExeVolatile=dword:00000000`}, nil},
		"renamed": {[]string{names + `ActiveComputerName|ComputerName="OLD"`, names + `ComputerName|ComputerName="NEW"`},
			[]string{"the computer is renamed to NEW"}},
		"same name": {[]string{names + `ActiveComputerName|ComputerName="PC1"`, names + `ComputerName|ComputerName="pc1"`}, nil},
	} {
		d := new(pb.Device)
		if err := learnWinReboot(t.Context(), winMachine(t, keys(append(c.keys, testRelease)...), nil), d); err != nil {
			t.Fatal(err)
		}
		if got := d.Patch; got.GetRebootRequired() != (c.want != nil) || !slices.Equal(got.GetRebootReasons(), c.want) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestWindowsAutoUpdate(t *testing.T) {
	const (
		policy = `SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate`
		mdm    = `SOFTWARE\Microsoft\PolicyManager\current\device\Update`
	)
	for name, c := range map[string]struct {
		want string
		keys []string
	}{
		"as it comes":        {"on", nil},
		"switched off":       {"off", []string{policy + `\AU|NoAutoUpdate=dword:00000001`}},
		"asks":               {"off", []string{policy + `\AU|AUOptions=dword:00000002`}},
		"installs":           {"on", []string{policy + `\AU|AUOptions=dword:00000004`}},
		"own server":         {"managed", []string{policy + `|WUServer="https://wsus"`, policy + `\AU|UseWUServer=dword:00000001|AUOptions=dword:00000003`}},
		"own server, unused": {"on", []string{policy + `|WUServer="https://wsus"`}},
		"deferred":           {"managed", []string{policy + `|DeferQualityUpdatesPeriodInDays=dword:00000007`}},
		"not deferred":       {"on", []string{policy + `|DeferQualityUpdatesPeriodInDays=dword:00000000`}},
		"Autopatch":          {"managed", []string{mdm + `|ConfigureDeadlineForQualityUpdates=dword:00000002`}},
		"off by MDM":         {"off", []string{mdm + `|AllowAutoUpdate=dword:00000005`}},
		"service disabled":   {"off", []string{`SYSTEM\CurrentControlSet\Services\wuauserv|Start=dword:00000004`, policy + `|WUServer="x"`}},
		"ConfigMgr":          {"managed", []string{`SOFTWARE\Microsoft\CCM`}},
	} {
		d := new(pb.Device)
		if err := learnWinAutoUpdate(t.Context(), winMachine(t, keys(append(c.keys, testRelease)...), nil), d); err != nil || d.GetPatch().GetAutoUpdate() != c.want {
			t.Errorf("%s: %q, %v, want %s", name, d.GetPatch().GetAutoUpdate(), err, c.want)
		}
	}
}
