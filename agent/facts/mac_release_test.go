package facts

import (
	"testing"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Programs that Go built are told of a macOS 16 where there is a 26, and what
// is managed by declarations stands in no profile.
func TestMacRelease(t *testing.T) {
	version := func(v, build, extra string) string {
		text := "<key>ProductName</key><string>macOS</string><key>ProductVersion</key><string>" + v + "</string><key>ProductBuildVersion</key><string>" + build + "</string>"
		if extra != "" {
			text += "<key>ProductVersionExtra</key><string>" + extra + "</string>"
		}
		return plistOf(text)
	}
	declared := plistOf("<key>SUCorePersistedStatePolicyFields</key><dict><key>SUCoreDDMDeclarationGlobalSettings</key><dict>" +
		"<key>automaticallyInstallOSUpdates</key><integer>1</integer></dict></dict>")
	for name, c := range map[string]struct {
		files                             map[string]string
		version, build, installed, update string
	}{
		"15":                    {map[string]string{macVersionFile: version("15.6.1", "24G90", "")}, "15.6.1", "24G90", "", ""},
		"the true file":         {map[string]string{macVersionFile: version("16.0", "25A354", ""), macPlatformFile: version("26.0", "25A354", "")}, "26.0", "25A354", "", ""},
		"shown as 16":           {map[string]string{macVersionFile: version("16.1", "25B78", "")}, "26.1", "25B78", "", ""},
		"the true one is half":  {map[string]string{macVersionFile: version("16.1", "25B78", ""), macPlatformFile: "<plist><dict>"}, "26.1", "25B78", "", ""},
		"a response":            {map[string]string{macVersionFile: version("13.4.1", "22F82", ""), macCryptexFile: version("13.4.1", "22F770820d", "(c)")}, "13.4.1", "22F770820d", "Rapid Security Response 13.4.1 (c)", ""},
		"an improvement":        {map[string]string{macVersionFile: version("16.3", "25D1", ""), macCryptexFile: version("26.3", "25D771280a", "(a)")}, "26.3", "25D771280a", "Background Security Improvement 26.3 (a)", ""},
		"one of an older macOS": {map[string]string{macVersionFile: version("26.4", "25E1", ""), macCryptexFile: version("26.3", "25D771280a", "(a)")}, "26.4", "25E1", "", ""},
		"declared":              {map[string]string{macVersionFile: version("15.5", "24F74", ""), macDeclarations: declared}, "15.5", "24F74", "", "managed"},
		"nothing declared": {
			map[string]string{macVersionFile: version("15.5", "24F74", ""), macDeclarations: plistOf("<key>SUCorePersistedStatePolicyFields</key><dict/>"), macUpdateFile: plistOf("<key>AutomaticallyInstallMacOSUpdates</key><true/>")},
			"15.5", "24F74", "", "on",
		},
	} {
		files := make(map[string]string)
		for file, text := range c.files {
			files["files/"+file] = text
		}
		h, d := capturedMac(t, files), new(pb.Device)
		if err := learnMacOS(t.Context(), h, d); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := learnMacInstalled(t.Context(), h, d); (err == nil) != (c.installed != "") {
			t.Errorf("%s: installed: %v", name, err)
		}
		if err := learnMacAutoUpdate(t.Context(), h, d); (err == nil) != (c.update != "") {
			t.Errorf("%s: updates: %v", name, err)
		}
		installed := ""
		for _, u := range d.GetPatch().GetInstalled() {
			installed = u.GetId()
		}
		if o := d.GetOs(); o.GetVersion() != c.version || o.GetBuild() != c.build || installed != c.installed || d.GetPatch().GetAutoUpdate() != c.update {
			t.Errorf("%s: %s %s, installed %q, updates %q", name, o.GetVersion(), o.GetBuild(), installed, d.GetPatch().GetAutoUpdate())
		}
	}
}
