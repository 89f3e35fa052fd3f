package addon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func sample(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestChromiumSettings(t *testing.T) {
	got, err := ChromiumSettings(sample(t, "preferences.json"))
	if err != nil {
		t.Fatal(err)
	}
	installed := time.Date(2025, 3, 1, 12, 0, 0, 123456000, time.UTC)
	want := []ChromiumEntry{
		{ID: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", Path: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/1.60.0_0", Installed: installed,
			Manifest: &Manifest{Name: "Blocker", Version: "1.60.0", Author: "Ray"}},
		{ID: "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", Path: "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb/2.0_0", Disabled: true},
		{ID: "cccccccccccccccccccccccccccccccc", Path: "/opt/google/chrome/resources/pdf", BuiltIn: true},
		{ID: "dddddddddddddddddddddddddddddddd", Disabled: true, Removed: true},
		{ID: "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee", Path: "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee/3_0", Disabled: true},
		{ID: "ffffffffffffffffffffffffffffffff", Path: "ffffffffffffffffffffffffffffffff/4_0"},
		{ID: "gggggggggggggggggggggggggggggggg", Path: "gggggggggggggggggggggggggggggggg/5_0", Disabled: true},
		{ID: "hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh", Path: "C:/dev/unpacked"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, err := ChromiumSettings([]byte(`{"browser":{}}`)); err != nil || len(got) != 0 {
		t.Errorf("preferences without extensions: %v, %v", got, err)
	}
}

func TestManifest(t *testing.T) {
	for _, c := range []struct {
		name, data string
		want       Manifest
		err        string
	}{
		{"plain", `{"name":"A","version":"1.2","author":"Ann"}`, Manifest{Name: "A", Version: "1.2", Author: "Ann"}, ""},
		{"mark and comments", "\xef\xbb\xbf// made by hand\n{\"name\":\"http://a//b\", /* no */ \"version\":\"1\"}", Manifest{Name: "http://a//b", Version: "1"}, ""},
		{"localised", `{"name":"__MSG_appName__","short_name":"S","default_locale":"en","version":"3"}`, Manifest{Name: "__MSG_appName__", ShortName: "S", DefaultLocale: "en", Version: "3"}, ""},
		{"author with address", `{"name":"A","version":"1","author":{"email":"ann@example.com"},"developer":{"name":"Bob"}}`, Manifest{Name: "A", Version: "1", Author: "Bob"}, ""},
		{"values of other types", `{"name":7,"version":"1","author":[],"developer":"x"}`, Manifest{Version: "1"}, ""},
		{"no version", `{"name":"A"}`, Manifest{}, "without a version"},
		{"cut short", `{"name":"A","ver`, Manifest{}, "not JSON"},
		{"open comment", `{"name":"A" /* `, Manifest{}, "not JSON"},
		{"nested without end", strings.Repeat("[", 20000), Manifest{}, "not JSON"},
	} {
		got, err := DecodeManifest([]byte(c.data))
		if diff := cmp.Diff(c.want, got); diff != "" || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v %s", c.name, err, diff)
		}
	}
}

func TestMessages(t *testing.T) {
	if key, ok := MessageKey("__MSG_appName__"); key != "appName" || !ok {
		t.Errorf("key %q, %v", key, ok)
	}
	for _, name := range []string{"Plain", "__MSG_open", ""} {
		if _, ok := MessageKey(name); ok {
			t.Errorf("%q is no reference", name)
		}
	}
	messages := []byte(`{"APPNAME":{"message":"Shown","description":"x"},"broken":7,"empty":{"message":""}}`)
	if got, err := Message(messages, "appName"); got != "Shown" || err != nil {
		t.Errorf("message %q, %v", got, err)
	}
	for _, key := range []string{"broken", "empty", "none"} {
		if got, err := Message(messages, key); err == nil {
			t.Errorf("%s: got %q", key, got)
		}
	}
}

func TestFirefox(t *testing.T) {
	got, err := Firefox(sample(t, "extensions-firefox.json"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Addon{
		{ID: "blocker@example.org", Name: "Blocker", Version: "1.58.0", Publisher: "Ann Author",
			Installed: time.UnixMilli(1700000000000).UTC(), Folder: "/home/ann/.mozilla/firefox/x.default/extensions/blocker@example.org.xpi"},
		{ID: "langpack-de@firefox.mozilla.org", Name: "Sprachpaket", Version: "128.0"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestVSCode(t *testing.T) {
	got, err := VSCode(sample(t, "extensions-vscode.json"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Addon{
		{ID: "golang.go", Name: "golang.go", Version: "0.42.1", Publisher: "Go Team at Google", Installed: time.UnixMilli(1721000000000).UTC(), Folder: "golang.go-0.42.1"},
		{ID: "local.thing", Name: "local.thing", Version: "0.0.1", Folder: ""},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for name, want := range map[string]string{
		"ms-python.python-2024.8.1":                     "ms-python.python 2024.8.1",
		"ms-python.python-2024.8.1-linux-x64":           "ms-python.python 2024.8.1",
		"rust-lang.rust-analyzer-0.3.2029-darwin-arm64": "rust-lang.rust-analyzer 0.3.2029",
		"a.b-c-1.0.0-beta.1":                            "a.b-c 1.0.0-beta.1",
		"extensions.json":                               "",
		".obsolete":                                     "",
		"node_modules":                                  "",
	} {
		a, ok := VSCodeFolder(name)
		if got := a.ID + " " + a.Version; ok != (want != "") || ok && got != want {
			t.Errorf("%s: %q, %v", name, got, ok)
		}
	}
	gone, err := VSCodeObsolete([]byte(`{"a.b-1.0.0":true,"c.d-1.0.0":false}`))
	if err != nil || !gone["a.b-1.0.0"] || gone["c.d-1.0.0"] {
		t.Errorf("obsolete: %v, %v", gone, err)
	}
}

func TestJetBrains(t *testing.T) {
	for _, c := range []struct {
		name, data string
		want       Addon
		err        string
	}{
		{"whole", `<?xml version="1.0"?><!-- <id>no</id> --><idea-plugin url="x">
  <idea-version since-build="241"/>
  <id>com.example.plugin</id><name>R &amp; D</name>
  <vendor email="a@example.com" url="https://example.com">Example Ltd</vendor>
  <description><![CDATA[<b>all</b> <version>9</version>]]></description><version>
 1.2.3 </version></idea-plugin>`, Addon{ID: "com.example.plugin", Name: "R & D", Version: "1.2.3", Publisher: "Example Ltd"}, ""},
		{"name only", `<idea-plugin><name><![CDATA[Old <one>]]></name></idea-plugin>`, Addon{ID: "Old <one>", Name: "Old <one>"}, ""},
		{"id only", `<idea-plugin><id>x</id><name/></idea-plugin>`, Addon{ID: "x", Name: "x"}, ""},
		{"of nothing", `<idea-plugin></idea-plugin>`, Addon{}, "without id and name"},
		{"another file", `<html></html>`, Addon{}, "not the description"},
		{"cut short", `<idea-plugin><id>x`, Addon{}, "without id and name"},
	} {
		got, err := JetBrains([]byte(c.data))
		if diff := cmp.Diff(c.want, got); diff != "" || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v %s", c.name, err, diff)
		}
	}
}

// Whatever stands in the files of somebody's home, the decoders end, and what
// they give has an id.
func FuzzDecoders(f *testing.F) {
	for _, name := range []string{"preferences.json", "extensions-firefox.json", "extensions-vscode.json"} {
		f.Add(sample(f, name))
	}
	f.Add([]byte("\xef\xbb\xbf{\"name\":\"__MSG_a__\" /*x*/, // y\n\"version\":\"1\"}"))
	f.Add([]byte(`<idea-plugin><id>x</id><![CDATA[<]]><!-- - --></idea-plugin>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if entries, err := ChromiumSettings(b); err == nil {
			for _, e := range entries {
				if e.Removed && !e.Disabled {
					t.Fatalf("%+v is removed and runs", e)
				}
			}
		}
		if m, err := DecodeManifest(b); err == nil && m.Version == "" {
			t.Fatal("a manifest without a version")
		}
		_, _ = Message(b, "a")
		_, _ = VSCodeObsolete(b)
		firefox, _ := Firefox(b)
		vscode, _ := VSCode(b)
		plugin, err := JetBrains(b)
		if err == nil {
			vscode = append(vscode, plugin)
		}
		if folder, ok := VSCodeFolder(string(b)); ok {
			vscode = append(vscode, folder)
		}
		for _, a := range append(firefox, vscode...) {
			if a.ID == "" {
				t.Fatalf("%+v has no id", a)
			}
		}
	})
}
