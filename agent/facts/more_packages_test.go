package facts

import (
	"testing"
	"testing/fstest"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const nuspecText = "\ufeff" + `<?xml version="1.0" encoding="utf-8"?>
<!-- do not remove -->
<package xmlns="http://schemas.microsoft.com/packaging/2015/06/nuspec.xsd">
  <metadata minClientVersion="2.5">
    <!-- <id>example</id> <version>0</version> -->
    <id>7zip</id>
    <version>24.8.0</version>
    <authors>Igor Pavlov &amp; friends</authors>
    <description>in place of <![CDATA[<version>9</version>]]></description>
  </metadata>
</package>`

func TestChocolatey(t *testing.T) {
	fact := func(h *host.Host, d *pb.Device) error {
		h.OS = "windows"
		return learnChocolatey(t.Context(), h, d)
	}
	got, err := learn(t, fact, fstest.MapFS{
		"ProgramData/chocolatey/lib/7zip/7zip.nuspec":     text(nuspecText),
		"ProgramData/chocolatey/lib/7zip/tools/x.ps1":     text(""),
		"ProgramData/chocolatey/lib/half/half.nuspec":     text("<package><metadata><id>half</id>"),
		"ProgramData/chocolatey/lib/empty/legal/none.txt": text(""),
		"ProgramData/chocolatey/lib/readme.txt":           text(""),
	})
	check(t, got, err, "package half: no id and version in it", "chocolatey|7zip|24.8.0||Igor Pavlov & friends|-|-")
	if got, err = learn(t, fact, fstest.MapFS{}); err == nil || len(got.Software) > 0 {
		t.Errorf("without Chocolatey: %v", err)
	}
}

func TestMacPorts(t *testing.T) {
	fact := func(h *host.Host, d *pb.Device) error { return learnMacPorts(t.Context(), h, d) }
	const dir = "opt/local/var/macports/software/"
	got, err := learn(t, fact, fstest.MapFS{
		dir + "zlib/zlib-1.3.1_0.darwin_23.arm64.tbz2":                              text(""),
		dir + "python312/python312-3.12.4_1+lto+optimizations.darwin_23.arm64.tbz2": text(""),
		dir + "py-pip/py-pip-24.0_0.darwin_any.noarch.tbz2":                         text(""),
		dir + "gtk-doc/gtk-doc-1.33.2_5.any_any.noarch.tbz2":                        text(""),
		dir + "odd/other-1.0_0.darwin_23.arm64.tbz2":                                text(""),
		dir + "odd/odd-1.0.part":                                                    text(""),
		dir + "note":                                                                text(""),
	})
	check(t, got, err, "", "macports|gtk-doc|1.33.2_5|noarch||1700000000|-", "macports|py-pip|24.0|noarch||1700000000|-",
		"macports|python312|3.12.4_1|arm64||1700000000|-", "macports|zlib|1.3.1|arm64||1700000000|-")
}

func TestBrowserHelpers(t *testing.T) {
	const id, gone = `{18DF081C-E8AD-4283-A596-FA578C2EBDC3}`, `{00000000-1111-2222-3333-444444444444}`
	h := winMachine(t, `
[HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Explorer\Browser Helper Objects\`+id+`]
"NoExplorer"=dword:00000001
[HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Explorer\Browser Helper Objects\`+gone+`]
[HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Explorer\Browser Helper Objects\nonsense]
[HKEY_LOCAL_MACHINE\SOFTWARE\Classes\CLSID\`+id+`]
@="Adobe PDF Link Helper"
[HKEY_LOCAL_MACHINE\SOFTWARE\Classes\CLSID\`+id+`\InprocServer32]
@="C:\\Program Files\\Adobe\\AcroIEHelperShim.dll"
[HKEY_LOCAL_MACHINE\SOFTWARE\WOW6432Node\Microsoft\Windows\CurrentVersion\Explorer\Browser Helper Objects\`+id+`]
[HKEY_LOCAL_MACHINE\SOFTWARE\WOW6432Node\Classes\CLSID\`+id+`]
@=dword:00000001
[HKEY_LOCAL_MACHINE\SOFTWARE\WOW6432Node\Classes\CLSID\`+id+`\InprocServer32]
@="C:\\Program Files (x86)\\Adobe\\AcroIEHelperShim.dll"
`, nil)
	d := new(pb.Device)
	err := learnBrowserHelpers(t.Context(), h, d)
	check(t, d, err, "", "browser_extension|AcroIEHelperShim.dll||x86||-|-", "browser_extension|Adobe PDF Link Helper||||-|-")
	if d.Software[1].ProductId != id {
		t.Errorf("id %q", d.Software[1].ProductId)
	}
}

func FuzzNuspec(f *testing.F) {
	f.Add([]byte(nuspecText))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, ok := decodeNuspec(b); ok && (s.id == "" || len(s.version) > 4*maxSoftwareText) {
			t.Errorf("%q", s)
		}
	})
}
