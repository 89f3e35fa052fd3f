package facts

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// rowsOf writes software rows in short.
func rowsOf(d *pb.Device) []string {
	var out []string
	for _, s := range d.Software {
		text := fmt.Sprintf("%s|%s|%s|%s|%s", s.Name, s.Version, s.Publisher, s.ProductId, s.Location)
		if s.InstalledAt != nil {
			text += "|" + s.InstalledAt.AsTime().Format(time.DateOnly)
		}
		out = append(out, text)
	}
	return out
}

func body(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s), Mode: 0o644} }

func linkTo(target string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte(target), Mode: fs.ModeSymlink | 0o777}
}

const (
	idA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	idB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	idC = "cccccccccccccccccccccccccccccccc"
)

func TestBrowserExtensions(t *testing.T) {
	chrome := ".config/google-chrome/Default/"
	tree := func(home string) fstest.MapFS {
		m := fstest.MapFS{}
		for name, content := range map[string]string{
			"Preferences": `{"profile":{}}`,
			"Secure Preferences": `{"extensions":{"settings":{
				"` + idA + `":{"state":1,"path":"` + idA + `/1.2_0","first_install_time":"13385304000123456"},
				"` + idB + `":{"disable_reasons":[1],"path":"` + idB + `/2_0"},
				"` + idC + `":{"location":4,"path":"/` + home + `/dev/mine"}}}}`,
			"Extensions/" + idA + "/1.2_0/manifest.json":                   `{"name":"__MSG_Name__","version":"1.2","default_locale":"de","author":"Ann"}`,
			"Extensions/" + idA + "/1.2_0/_locales/de/messages.json":       `{"name":{"message":"Sperre"}}`,
			"Extensions/" + idB + "/2_0/manifest.json":                     `{"name":"off","version":"2"}`,
			"Extensions/" + strings.Repeat("d", 32) + "/1_0/manifest.json": `{"name":"left over","version":"1"}`,
		} {
			m[home+"/"+chrome+name] = body(content)
		}
		m[home+"/dev/mine/manifest.json"] = body(`{"name":"Mine","version":"0.1"}`)
		return m
	}
	linux := tree("home/ann")
	linux["etc/passwd"] = body("root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\nnet:x:1001:1001::/mnt/net/bob:/bin/sh\n")
	linux["proc/self/mountinfo"] = body("30 1 0:40 / /mnt/net rw - nfs4 server:/x rw\n")
	linux["mnt/net/bob/.mozilla/firefox/x/extensions.json"] = body(`{"addons":[{"id":"far","version":"1"}]}`)
	// A person of a directory, with a profile of which no preferences are left.
	linux["home/carl/.config/chromium/Profile 1/Preferences"] = body(`{}`)
	for _, v := range []string{"9.0_0", "10.0_0"} {
		linux["home/carl/.config/chromium/Profile 1/Extensions/"+idA+"/"+v+"/manifest.json"] = body(`{"name":"Old","version":"` + strings.TrimSuffix(v, "_0") + `"}`)
	}
	linux["home/ann/.mozilla/firefox/p.default/extensions.json"] = body(`{"addons":[{"id":"u@x","version":"3","location":"app-profile","active":true,"defaultLocale":{"name":"Ü"}}]}`)

	mac := tree("Users/ann")
	for name, f := range mac {
		delete(mac, name)
		mac[strings.Replace(name, ".config/google-chrome", "Library/Application Support/Google/Chrome", 1)] = f
	}
	mac["Users/ann/Library/Containers/com.apple.Safari/Data/Library/Safari/AppExtensions/Extensions.plist"] = body(`<plist><dict>
		<key>com.example.block (TEAM123)</key><dict><key>Enabled</key><true/></dict>
		<key>com.example.off (TEAM123)</key><dict><key>Enabled</key><false/></dict></dict></plist>`)
	mac["Users/ann/Library/Containers/com.apple.Safari/Data/Library/Safari/WebExtensions/Extensions.plist"] = body(`<plist><dict>
		<key>com.example.notes.safari (TEAM456)</key><dict><key>Enabled</key><true/></dict>
		<key>com.example.own (UNSIGNED)</key><dict><key>Enabled</key><true/></dict></dict></plist>`)
	appex := func(id, name, version, point string) *fstest.MapFile {
		return body(infoOf(id, version, "<key>CFBundleDisplayName</key><string>"+name+"</string><key>NSExtension</key><dict><key>NSExtensionPointIdentifier</key><string>"+point+"</string></dict>"))
	}
	mac["Applications/Suite/Notes.app/Contents/PlugIns/Safari.appex/Contents/Info.plist"] = appex("com.example.notes.safari", "Notes Clipper", "7.1", "com.apple.Safari.web-extension")
	mac["Applications/Suite/Notes.app/Contents/PlugIns/Share.appex/Contents/Info.plist"] = appex("com.example.block", "Share", "7", "com.apple.share-services")
	mac["Applications/Broken.app/Contents/PlugIns/x.appex/Contents/Info.plist"] = body("<plist><dict><key>CFBundle")
	mac["Users/ann/Applications/Own.app/Contents/PlugIns/Own.appex/Contents/Info.plist"] = appex("com.example.own", "", "1.0", "com.apple.Safari.extension")

	windows := fstest.MapFS{"Users/Public/x": body("")}
	for name, f := range tree("Users/ann") {
		windows[strings.Replace(name, ".config/google-chrome", "AppData/Local/Google/Chrome/User Data", 1)] = f
	}
	for _, c := range []struct {
		os   string
		tree fstest.MapFS
		want []string
	}{
		{"linux", linux, []string{
			"Mine|0.1||" + idC + "|/home/ann/.config/google-chrome/Default", "Old|10.0||" + idA + "|/home/carl/.config/chromium/Profile 1",
			"Sperre|1.2|Ann|" + idA + "|/home/ann/.config/google-chrome/Default|2025-03-01", "Ü|3||u@x|/home/ann/.mozilla/firefox/p.default",
		}},
		{"darwin", mac, []string{
			"Mine|0.1||" + idC + "|/Users/ann/Library/Application Support/Google/Chrome/Default",
			"Notes Clipper|7.1|TEAM456|com.example.notes.safari|/Users/ann/Library/Containers/com.apple.Safari/Data/Library/Safari",
			"Sperre|1.2|Ann|" + idA + "|/Users/ann/Library/Application Support/Google/Chrome/Default|2025-03-01",
			"com.example.block||TEAM123|com.example.block|/Users/ann/Library/Containers/com.apple.Safari/Data/Library/Safari",
			"com.example.own|1.0||com.example.own|/Users/ann/Library/Containers/com.apple.Safari/Data/Library/Safari",
		}},
		{"windows", windows, []string{`Sperre|1.2|Ann|` + idA + `|C:\Users\ann\AppData\Local\Google\Chrome\User Data\Default|2025-03-01`}},
	} {
		d := new(pb.Device)
		err := learnBrowserExtensions(t.Context(), &host.Host{FS: c.tree, OS: c.os}, d)
		if err != nil {
			t.Errorf("%s: %v", c.os, err)
		}
		if diff := cmp.Diff(c.want, rowsOf(d)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.os, diff)
		}
	}
}

// What people leave in their homes costs a problem at most, and never shows
// what is outside.
func TestBrowserExtensionsOfHostileHomes(t *testing.T) {
	profile := "home/eve/.config/chromium/Default/"
	settings := func(path string) string {
		return `{"extensions":{"settings":{"` + idA + `":{"state":1,"path":"` + path + `"}}}}`
	}
	for name, c := range map[string]struct {
		tree    fstest.MapFS
		problem string
	}{
		"link out": {fstest.MapFS{profile + "Preferences": body(settings("x")), profile + "Extensions/x": linkTo("/srv/secret")}, ""},
		"path out": {fstest.MapFS{profile + "Preferences": body(settings("../../../../../srv/secret"))}, ""},
		"absolute": {fstest.MapFS{profile + "Preferences": body(settings("/srv/secret"))}, ""},
		"loop":     {fstest.MapFS{profile + "Preferences": linkTo("Preferences")}, ""},
		"garbage":  {fstest.MapFS{profile + "Preferences": body("{\x00")}, "not JSON"},
		"a pipe":   {fstest.MapFS{profile + "Preferences": {Mode: fs.ModeNamedPipe}}, "not a regular file"},
		"too many": {func() fstest.MapFS {
			m := fstest.MapFS{profile + "Preferences": body("{}")}
			for i := range 2 * maxAddons {
				m[fmt.Sprintf("%sExtensions/%032d/1_0/manifest.json", profile, i)] = body(`{"name":"x","version":"1"}`)
			}
			return m
		}(), "the rest is left out"},
	} {
		c.tree["srv/secret/manifest.json"] = body(`{"name":"secret","version":"1"}`)
		c.tree["etc/passwd"] = body("eve:x:1000:1000::/home/eve:/bin/sh\n")
		d := new(pb.Device)
		err := learnBrowserExtensions(t.Context(), &host.Host{FS: c.tree, OS: "linux"}, d)
		if (err == nil) != (c.problem == "") || err != nil && !strings.Contains(err.Error(), c.problem) {
			t.Errorf("%s: %v", name, err)
		}
		if len(d.Software) > maxAddons || strings.Contains(fmt.Sprint(rowsOf(d)), "secret") {
			t.Errorf("%s: %d rows, the first %v", name, len(d.Software), rowsOf(d)[0])
		}
	}
}

// jar is an archive with one file.
func jar(t *testing.T, name, content string) *fstest.MapFile {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &fstest.MapFile{Data: b.Bytes()}
}

func TestIDEExtensions(t *testing.T) {
	plugin := func(id, version string) string {
		return "<idea-plugin><id>" + id + "</id><name>N " + id + "</name><version>" + version + "</version><vendor>V</vendor></idea-plugin>"
	}
	const idea = "home/ann/.local/share/JetBrains/IntelliJIdea2024.1/"
	tree := fstest.MapFS{
		"etc/passwd": body("ann:x:1000:1000::/home/ann:/bin/sh\n"),
		"home/ann/.vscode/extensions/extensions.json": body(`[{"identifier":{"id":"golang.go"},"version":"0.42.1","relativeLocation":"golang.go-0.42.1","metadata":{"publisherDisplayName":"Go Team"}},
			{"identifier":{"id":"golang.go"},"version":"0.41.0","relativeLocation":"golang.go-0.41.0"}]`),
		"home/ann/.vscode/extensions/.obsolete":                              body(`{"golang.go-0.41.0":true}`),
		"home/ann/.cursor/extensions/ms.py-2024.1.0-linux-x64/x":             body(""),
		"home/ann/.cursor/extensions/.obsolete":                              body(""),
		idea + "go-plugin/lib/annotations.jar":                               jar(t, "META-INF/MANIFEST.MF", ""),
		idea + "go-plugin/lib/go-plugin.jar":                                 jar(t, "META-INF/plugin.xml", plugin("go", "241.1")),
		idea + "off/lib/off.jar":                                             jar(t, "META-INF/plugin.xml", plugin("off", "1")),
		idea + "single.jar":                                                  jar(t, "META-INF/plugin.xml", plugin("single", "2")),
		idea + "bad/lib/bad.jar":                                             body("PK not an archive"),
		"home/ann/.local/share/JetBrains/Toolbox/apps/x":                     body(""),
		"home/ann/.config/JetBrains/IntelliJIdea2024.1/disabled_plugins.txt": body("off\n"),
	}
	d := new(pb.Device)
	err := learnIDEExtensions(t.Context(), &host.Host{FS: tree, OS: "linux"}, d)
	want := []string{
		"N go|241.1|V|go|/home/ann/.local/share/JetBrains/IntelliJIdea2024.1", "N single|2|V|single|/home/ann/.local/share/JetBrains/IntelliJIdea2024.1",
		"golang.go|0.42.1|Go Team|golang.go|/home/ann/.vscode/extensions", "ms.py|2024.1.0||ms.py|/home/ann/.cursor/extensions",
	}
	if diff := cmp.Diff(want, rowsOf(d)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err == nil || !strings.Contains(err.Error(), "bad.jar: not an archive") || !strings.Contains(err.Error(), ".obsolete") {
		t.Errorf("problems: %v", err)
	}
}
