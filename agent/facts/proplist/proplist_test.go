package proplist

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// written is what both fixtures below hold.
var written = Dict{
	"name": `Äpp "1"`, "n": int64(-5), "big": int64(1 << 40), "t": true, "f": 1.5,
	"when": time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC), "raw": []byte{0, 1},
	"list": []any{"a", Dict{"k": "v"}, []any{}}, "ascii": strings.Repeat("x", 20),
}

// writtenBinary was written by Python's plistlib.
const writtenBinary = "YnBsaXN0MDDZAQIDBAUGBwgJCgsMDRMUFRYXVWFzY2lpU2JpZ1FmVGxpc3RRblRuYW1lU3Jhd1F0VHdoZW5fEBR4eHh4eHh4eHh4eHh4eHh4eHh4eBMAAAEAAAAAACM/+AAAAAAAAKMODxJRYdEQEVFrUXagE//////////7ZwDEAHAAcAAgACIAMQAiQgABCTNBxfRcrIAAAAgbISUnLC4zNzk+VV5na21wcnR1fo2QkQAAAAAAAAEBAAAAAAAAABgAAAAAAAAAAAAAAAAAAACa"

const writtenXML = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- made by hand -->
<plist version="1.0">
<dict>
	<key>name</key><string>&#xc4;pp &quot;<![CDATA[1]]>"<!-- no text --></string>
	<key>n</key><integer>-5</integer>
	<key>big</key><integer>0x10000000000</integer>
	<key>t</key><true/>
	<key>f</key><real>1.5</real>
	<key>when</key><date>2024-05-06T07:08:09Z</date>
	<key>raw</key><data>
	AAE=
	</data>
	<key>list</key><array><string>a</string><dict><key>k</key><string>v</string></dict><array/></array>
	<key>ascii</key><string>xxxxxxxxxxxxxxxxxxxx</string>
</dict>
</plist>
`

func fixture(t testing.TB) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(writtenBinary)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDecode(t *testing.T) {
	utf16 := []byte{0xff, 0xfe}
	for _, r := range strings.ReplaceAll(writtenXML, "&#xc4;", "Ä") {
		utf16 = binary.LittleEndian.AppendUint16(utf16, uint16(r))
	}
	for name, data := range map[string][]byte{
		"binary": fixture(t), "xml": []byte(writtenXML), "utf-8 mark": []byte("\xef\xbb\xbf" + writtenXML), "utf-16": utf16,
		"declarations": []byte(strings.Replace(writtenXML, `"http://www.apple.com/DTDs/PropertyList-1.0.dtd">`, `"x" [ <!ENTITY a "b"> ]>`, 1)),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := DecodeDict(data)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(written, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// One bad value costs itself only.
func TestDecodeBadValues(t *testing.T) {
	got, err := DecodeDict([]byte(`<plist><dict><key>a</key><integer></integer><key>b</key><date>soon</date><key>c</key><data>?</data>` +
		`<key>d</key><real>nan</real><key>e</key><string>&unknown; &amp;lt; &#0;</string><key>f</key><integer>18446744073709551615</integer></dict></plist>`))
	if err != nil {
		t.Fatal(err)
	}
	want := Dict{"a": nil, "b": nil, "c": nil, "d": nil, "e": "&unknown; &lt; &#0;", "f": float64(1 << 64)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := fixture(t)
	for name, data := range map[string]string{
		"nothing": "", "text": "hello", "a word": "<html></html>", "no value": "<plist><dict><key>a</key></dict></plist>", "no key": "<dict><string/></dict>",
		"open": "<plist><dict><key>a</key><string>b", "empty": "<plist/>", "nested": "<string><b>x</b></string>", "no end": "<!-- ", "array": "<array/>",
		"cut": string(good[:len(good)-5]), "magic only": "bplist00", "trailer only": "bplist00" + strings.Repeat("\xff", 40),
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := DecodeDict([]byte(data)); err == nil {
				t.Errorf("decoded to %v", got)
			}
		})
	}
}

// binaryOf puts objects together to a binary list whose first object is on top.
func binaryOf(objects ...string) []byte {
	out := []byte("bplist00")
	var offsets []byte
	for _, o := range objects {
		offsets = binary.BigEndian.AppendUint32(offsets, uint32(len(out)))
		out = append(out, o...)
	}
	table := len(out)
	out = append(out, offsets...)
	out = append(out, 0, 0, 0, 0, 0, 0, 4, 1)
	for _, n := range []int{len(objects), 0, table} {
		out = binary.BigEndian.AppendUint64(out, uint64(n))
	}
	return out
}

// Lists that unfold to more than anybody has memory for.
func TestDecodeBombs(t *testing.T) {
	var levels []string
	for i := range 60 {
		levels = append(levels, "\xa2"+strings.Repeat(string([]byte{byte(i + 1)}), 2))
	}
	megabyte := "\x5f\x12\x00\x10\x00\x00" + strings.Repeat("x", 1<<20)
	for name, data := range map[string][]byte{
		"doubling":      binaryOf(append(levels, "\x08")...),
		"itself":        binaryOf("\xa1\x00"),
		"itself, wide":  binaryOf("\xae" + strings.Repeat("\x00", 14)),
		"one text":      binaryOf("\xaf\x10\xff"+strings.Repeat("\x01", 255), megabyte),
		"long array":    binaryOf("\xaf\x13\x7f\xff\xff\xff\xff\xff\xff\xff"),
		"deep":          []byte("<plist>" + strings.Repeat("<array>", 100_000)),
		"deep dict":     []byte("<plist>" + strings.Repeat("<dict><key>a</key>", 100_000)),
		"many":          []byte("<plist><array>" + strings.Repeat("<true/>", maxValues) + "</array></plist>"),
		"many, of text": []byte("<plist><array>" + strings.Repeat("<string/>", maxValues) + "</array></plist>"),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Decode(data); !errors.Is(err, ErrTooBig) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestDictOfOtherTypes(t *testing.T) {
	d := Dict{"s": "  ", "n": 2.0, "half": 0.5, "d": Dict{"e": Dict{"x": "y"}}, "l": []any{"a", int64(1), Dict{}}, "b": int64(1)}
	if n, ok := d.Integer("s", "half", "n"); n != 2 || !ok {
		t.Error("no 2 under n")
	}
	if _, ok := d.Integer("half"); ok {
		t.Error("a half is no integer")
	}
	if v, ok := d.Bool("s", "b"); !v || !ok {
		t.Error("1 is true")
	}
	if d.Text("s", "n") != "" || d.Dict("d", "e").Text("x") != "y" || d.Dict("s", "e").Text("x") != "" || d.Bytes("s") != nil {
		t.Error("values of another type are not there")
	}
	if len(d.Dicts("l")) != 1 || !slices.Equal(d.Texts("l"), []string{"a"}) || d.List("d") != nil {
		t.Error("elements of another type are left out")
	}
	if _, ok := d.Time("s"); ok {
		t.Error("text is no date")
	}
}

// FuzzDecode: no bytes make it panic or unfold beyond the bounds.
func FuzzDecode(f *testing.F) {
	f.Add(fixture(f))
	f.Add([]byte(writtenXML))
	f.Add(binaryOf("\xa1\x00"))
	f.Add(binaryOf("\xd1\x01\x02", "\x51k", "\x33\x41\xc0\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := Decode(data)
		if err != nil {
			return
		}
		values, text := 0, 0
		var walk func(v any, depth int)
		walk = func(v any, depth int) {
			if values++; depth > maxDepth {
				t.Fatalf("%d levels", depth)
			}
			switch v := v.(type) {
			case Dict:
				for k, e := range v {
					text += len(k)
					walk(e, depth+1)
				}
			case []any:
				for _, e := range v {
					walk(e, depth+1)
				}
			case string:
				text += len(v)
			case time.Time:
				if _, err := v.MarshalText(); err != nil {
					t.Fatal(err)
				}
			case nil, int64, float64, bool, []byte:
			default:
				t.Fatalf("a value of %T", v)
			}
		}
		walk(v, 0)
		if values > maxValues || text > 3*maxText {
			t.Fatalf("%d values, %d bytes of text", values, text)
		}
	})
}
