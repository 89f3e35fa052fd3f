package regfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

const sample = "Windows Registry Editor Version 5.00\r\n\r\n" + `[HKEY_LOCAL_MACHINE\SOFTWARE\Example]
;written=2024-05-01T10:00:00Z
; a remark
@="default"
"Path"="C:\\Program Files\\\"Example\""
"Lines"="one
two  
[not a key]"
"Size"=dword:000001F4 ; bytes
"Long"=hex(b):01,00,00,00,00,00,00,80
"Expand"=hex(2):25,00,41,00,25,00,\
  00,00
"List"=hex(7):61,00,00,00,62,00,00,00,00,00
"Raw"=hex:de,ad,\
  be,ef
"Nothing"=hex(0):
"Gone"="x"

"Gone"=-

[HKEY_LOCAL_MACHINE\SOFTWARE\Old\Deep]
"a"="b"
[-HKEY_LOCAL_MACHINE\software\old]

[HKEY_USERS\S-1-5-18]
;failed=Access is denied.
`

func sampleKeys() []Key {
	return []Key{
		{
			Path: `HKEY_LOCAL_MACHINE\SOFTWARE\Example`, Written: time.Date(2024, 5, 1, 10, 0, 0, 0, time.UTC),
			Values: []Value{
				{"", TypeString, Text("default")},
				{"Path", TypeString, Text(`C:\Program Files\"Example"`)},
				{"Lines", TypeString, Text("one\r\ntwo  \r\n[not a key]")},
				{"Size", TypeDWord, []byte{0xf4, 1, 0, 0}},
				{"Long", TypeQWord, []byte{1, 0, 0, 0, 0, 0, 0, 0x80}},
				{"Expand", TypeExpand, Text("%A%")},
				{"List", TypeMulti, []byte("a\x00\x00\x00b\x00\x00\x00\x00\x00")},
				{"Raw", TypeBinary, []byte{0xde, 0xad, 0xbe, 0xef}},
				{"Nothing", TypeNone, nil},
			},
		},
		{Path: `HKEY_USERS\S-1-5-18`, Failed: "Access is denied."},
	}
}

func wide(s string) []byte {
	var out []byte
	for _, u := range utf16.Encode([]rune(s)) {
		out = binary.LittleEndian.AppendUint16(out, u)
	}
	return out
}

// Files are read alike in whatever coding they are.
func TestParseCodings(t *testing.T) {
	for name, data := range map[string][]byte{
		"utf-8":              []byte(sample),
		"utf-8 with mark":    []byte("\xef\xbb\xbf" + sample),
		"utf-16":             wide("\ufeff" + sample),
		"utf-16 two marks":   wide("\ufeff\ufeff" + sample),
		"utf-16 no mark":     wide(sample),
		"utf-16 cr lf":       wide("\ufeff" + strings.ReplaceAll(strings.ReplaceAll(sample, "\r\n", "\n"), "\n", "\r\n")),
		"utf-16, a half end": append(wide("\ufeff"+sample), 'x'),
	} {
		t.Run(name, func(t *testing.T) {
			keys, err := Parse(data)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(sampleKeys(), keys); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseRegedit4(t *testing.T) {
	keys, err := Parse([]byte("REGEDIT4\n\n[HKEY_LOCAL_MACHINE\\A]\n\"Name\"=\"M\xfcller \x80\"\n\"E\"=hex(2):25,41,00\n\"L\"=hex(7):61,00,fc,00,00\n\"B\"=hex:01\n"))
	want := []Key{{Path: `HKEY_LOCAL_MACHINE\A`, Values: []Value{
		{"Name", TypeString, Text("Müller €")},
		{"E", TypeExpand, Text("%A")},
		{"L", TypeMulti, []byte("a\x00\x00\x00\xfc\x00\x00\x00\x00\x00")},
		{"B", TypeBinary, []byte{1}},
	}}}
	if diff := cmp.Diff(want, keys); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// What is wrong is told with its line, and nothing that is good is lost.
func TestParseBroken(t *testing.T) {
	head := versionLine + "\n[HKEY_LOCAL_MACHINE\\A]\n\"before\"=\"1\"\n"
	tail := "\n[HKEY_LOCAL_MACHINE\\B]\n\"after\"=\"1\"\n"
	for _, c := range []struct{ name, line, want string }{
		{"no value", `"name"`, `line 4: value "name" has no equals sign`},
		{"unclosed name", `"name`, "line 4: the name of a value: a text has no end"},
		{"unclosed text", `"name"="text`, `value "name": a text has no end`},
		{"bad dword", `"n"=dword:xyz`, `line 4: value "n": a dword`},
		{"long dword", `"n"=dword:123456789`, `line 4: value "n": a dword`},
		{"bad hex", `"n"=hex:zz`, `line 4: value "n": bytes in hex`},
		{"hex that goes on nowhere", `"n"=hex:01,\`, `value "n": bytes in hex that go on nowhere`},
		{"bad type", `"n"=hex(q):01`, `line 4: value "n": the type of a value`},
		{"unknown form", `"n"=qword:01`, `line 4: value "n": a value in the form "qword"`},
		{"no form", `"n"=abc`, `line 4: value "n": neither text nor number`},
		{"noise", `%%%`, `line 4: neither key nor value: "%%%"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			keys, err := Parse([]byte(head + c.line + tail))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %s", err, c.want)
			}
			want := []Key{
				{Path: `HKEY_LOCAL_MACHINE\A`, Values: []Value{{"before", TypeString, Text("1")}}},
				{Path: `HKEY_LOCAL_MACHINE\B`, Values: []Value{{"after", TypeString, Text("1")}}},
			}
			if diff := cmp.Diff(want, keys); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	for _, c := range []struct{ text, want string }{
		{"", "it is empty"}, {"\n\n", "it is empty"}, {"MZ\x90", "it begins with"},
		{versionLine + "\n\"a\"=\"b\"", "belongs to no key"},
		{versionLine + "\n[HKEY_LOCAL_MACHINE\\A", "the name of a key has no end"},
		{versionLine + "\n[]", "a key without a name"},
	} {
		if _, err := Parse([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v, want %s", c.text, err, c.want)
		}
	}
	if _, err := Parse(make([]byte, MaxBytes+1)); err == nil {
		t.Error("a file without end is read")
	}
	many, err := Parse([]byte(head + strings.Repeat("noise\n", 1000) + tail))
	if len(many) != 2 || err == nil || strings.Count(err.Error(), "\n") >= maxFaults {
		t.Errorf("%d keys, error %v", len(many), err)
	}
}

func TestWriteIsReadAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[A-Za-z0-9 ;=\[\]"\\é漢.-]{1,12}`)
		var keys []Key
		seen := map[string]bool{}
		for range rapid.IntRange(0, 5).Draw(t, "keys") {
			k := Key{Path: `HKEY_LOCAL_MACHINE\` + strings.Trim(name.Draw(t, "key"), `\`), Failed: rapid.SampledFrom([]string{"", "Access is denied."}).Draw(t, "failed")}
			if seen[strings.ToLower(strings.Trim(k.Path, `\`))] {
				continue
			}
			k.Path = strings.Trim(k.Path, `\`)
			seen[strings.ToLower(k.Path)] = true
			if rapid.Bool().Draw(t, "timed") {
				k.Written = time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "written"), 100).UTC()
			}
			for range rapid.IntRange(0, 5).Draw(t, "values") {
				v := Value{Name: rapid.OneOf(rapid.Just(""), name).Draw(t, "name"), Type: rapid.Uint32Range(0, 12).Draw(t, "type")}
				if rapid.Bool().Draw(t, "text") {
					v.Data = Text(rapid.String().Draw(t, "text"))
				} else {
					v.Data = rapid.SliceOf(rapid.Byte()).Draw(t, "data")
				}
				if len(v.Data) == 0 {
					v.Data = nil
				}
				if slices.ContainsFunc(k.Values, func(o Value) bool { return strings.EqualFold(o.Name, v.Name) }) {
					continue
				}
				k.Values = append(k.Values, v)
			}
			keys = append(keys, k)
		}
		var out bytes.Buffer
		if err := Write(&out, keys); err != nil {
			t.Fatal(err)
		}
		got, err := Parse(out.Bytes())
		if len(got) == 0 {
			got = nil
		}
		if diff := cmp.Diff(keys, got); diff != "" || err != nil {
			t.Fatalf("%v (-want +got):\n%s\nin\n%s", err, diff, out.String())
		}
	})
}

// TestSamples reads the exports that the GLPI agent is tested with, which its
// licence keeps out of this repository.
func TestSamples(t *testing.T) {
	names, err := filepath.Glob("../../../../shared/data/agent/glpi/win32/registry/*.reg")
	if err != nil || len(names) == 0 {
		t.Skip("the shared samples are not here")
	}
	values := 0
	for _, name := range names {
		data, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		keys, err := Parse(data)
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(name), err)
		}
		text := decode(data)
		for _, k := range keys {
			values += len(k.Values)
		}
		lower := map[string]bool{}
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "[HKEY") {
				lower[strings.ToLower(strings.TrimSpace(line))] = true
			}
		}
		if len(keys) != len(lower) {
			t.Errorf("%s: %d of %d keys", filepath.Base(name), len(keys), len(lower))
		}
	}
	if values < 100*len(names) {
		t.Errorf("%d values in %d files", values, len(names))
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(sample))
	f.Add(wide("\ufeff" + sample))
	f.Add([]byte("REGEDIT4\n[HKEY_LOCAL_MACHINE\\A]\n\"E\"=hex(2):25,41,\\\n 00\n[-HKEY_LOCAL_MACHINE\\A]\n\"x\"=-"))
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, _ := Parse(data)
		var out bytes.Buffer
		if err := Write(&out, keys); err != nil {
			t.Fatal(err)
		}
		again, err := Parse(out.Bytes())
		if diff := cmp.Diff(keys, again, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Fatalf("%v (-read +written and read):\n%s\nin\n%s", err, diff, out.String())
		}
	})
}
