package ioreg

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-itam/rollcall/agent/facts/proplist"
)

const tree = `+-o Root  <class IORegistryEntry, id 0x100000100, retain 13>
  | {
  |   "IOKitBuildVersion" = "Darwin"
  | }
  |
  +-o Mac14,2@0  <class IOPlatformExpertDevice, id 0x100000110, registered, matched, active, busy 0 (16937 ms), retain 25>
      {
        "IOPlatformSerialNumber" = "X0XX"X0"
        "model" = <"Mac14,2">
        "compatible" = <4d616300>
        "IOPolledInterface" = "a, b"
        "big" = 18446744073709551615
        "list" = ({"a"=1,"b"=("x","y, z")},Yes,No,{})
      }
`

func TestDecode(t *testing.T) {
	want := []proplist.Dict{
		{KeyName: "Root", KeyClass: "IORegistryEntry", "IOKitBuildVersion": "Darwin"},
		{
			KeyName: "Mac14,2", KeyClass: "IOPlatformExpertDevice", "IOPlatformSerialNumber": `X0XX"X0`, "model": "Mac14,2", "compatible": []byte("Mac\x00"),
			"IOPolledInterface": "a, b", "big": int64(-1),
			"list": []any{proplist.Dict{"a": int64(1), "b": []any{"x", "y, z"}}, true, false, proplist.Dict{}},
		},
	}
	got, err := Decode([]byte(tree))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if Text(got[1], "compatible") != "Mac" || Text(got[1], "model") != "Mac14,2" || Text(got[1], "big") != "" {
		t.Error("text of data ends at a NUL")
	}
}

func TestDecodeList(t *testing.T) {
	const list = `<plist><array><dict><key>IORegistryEntryName</key><string>a</string><key>IORegistryEntryChildren</key><array>` +
		`<dict><key>IORegistryEntryName</key><string>b</string></dict><string>no entry</string></array></dict>` +
		`<dict><key>IORegistryEntryName</key><string>c</string></dict></array></plist>`
	got, err := Decode([]byte(list))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range got {
		names = append(names, e.Text(KeyName))
	}
	if diff := cmp.Diff([]string{"a", "b", "c"}, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDecodeNothing(t *testing.T) {
	if got, err := Decode([]byte("\n")); len(got) > 0 || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	for _, out := range []string{"ioreg: error: can't obtain properties", "<plist><array>", "+-o a <class b>\n{\n\"k\" = {\"a\"", "+-o a\n\"k\" = " + strings.Repeat("(", 100)} {
		if _, err := Decode([]byte(out)); err == nil {
			t.Errorf("%q: no error", out)
		}
	}
}

// samples are those of the GLPI agent, whose licence keeps them out of here.
func samples(t *testing.T) string {
	t.Helper()
	dir := filepath.Join("..", "..", "..", "..", "shared", "data", "agent", "glpi")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no samples of the GLPI agent beside the repository: %v", err)
	}
	return dir
}

func TestGLPISamples(t *testing.T) {
	dir := samples(t)
	data, err := os.ReadFile(filepath.Join(dir, "expected", "agent__tools__macos.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Expected struct {
			Tests map[string]struct {
				Class   string           `json:"class"`
				Results []map[string]any `json:"results"`
			} `json:"ioreg_tests"`
		} `json:"expected"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	fields := 0
	for name, want := range file.Expected.Tests {
		out, err := os.ReadFile(filepath.Join(dir, "macos", "ioreg", name))
		if err != nil {
			t.Fatal(err)
		}
		all, err := Decode(out)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var got []proplist.Dict
		for _, e := range all {
			if e.Text(KeyClass) == want.Class {
				got = append(got, e)
			}
		}
		if len(got) != len(want.Results) {
			t.Errorf("%s: %d entries, want %d", name, len(got), len(want.Results))
			continue
		}
		for i, w := range want.Results {
			for key, value := range w {
				fields++
				if diff := cmp.Diff(plain(value), plain(got[i][key])); diff != "" {
					t.Errorf("%s, entry %d, %s (-want +got):\n%s", name, i, key, diff)
				}
			}
		}
	}
	t.Logf("%d samples, %d properties compared", len(file.Expected.Tests), fields)
}

// plain makes values comparable: the expected ones are all text.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			out[k] = plain(e)
		}
		return out
	case proplist.Dict:
		return plain(map[string]any(v))
	case []any:
		out := []any{}
		for _, e := range v {
			out = append(out, plain(e))
		}
		return out
	case []byte:
		return hex.EncodeToString(v)
	case bool:
		return map[bool]string{true: "Yes", false: "No"}[v]
	case int64:
		return strconv.FormatUint(uint64(v), 10)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return strings.Trim(fmt.Sprint(v), `<>"`)
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(tree))
	f.Add([]byte("<plist><array><dict><key>IORegistryEntryChildren</key><array><dict/></array></dict></array></plist>"))
	f.Fuzz(func(t *testing.T, out []byte) {
		entries, _ := Decode(out)
		if len(entries) > maxEntries {
			t.Fatalf("%d entries", len(entries))
		}
	})
}
