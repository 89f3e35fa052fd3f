package scrub

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func testScrubber() *Scrubber {
	s := New([]byte("a key of the test"))
	s.HideName("ann.smith")
	s.HideName("Müller")
	s.HideName("王小明")
	s.HideName("PC-4711")
	s.HideName("root")
	s.HideName("al")
	s.HideSerial("7XK2JN3")
	s.HideSerial("VMware-56 4d 1a")
	s.HideSerial("Default string")
	s.HideSerial("0123456789")
	s.HideSerial("AB12")
	s.HideUUID("4C4C4544-0036-5810-8034-B7C04F4A4E33")
	s.HideUUID("3f8a1c5e9d7b4a60b1c2d3e4f5061728")
	s.HideHardwareAddress("00:1A:2b:3c:4d:5e")
	s.Keep("10.0.19.1")
	s.Keep("tree@example.org")
	return s
}

// What must go is gone, and what takes its place has the same shape.
func TestBytes(t *testing.T) {
	for _, c := range []struct{ name, in, shape string }{
		{"account", "home/ann.smith/x", `^home/[a-z]{3}\.[a-z]{5}/x$`},
		{"account in another case", "ANN.Smith", `^[A-Z]{3}\.[A-Z][a-z]{4}$`},
		{"account joined", "of_ann.smith_", `^of_[a-z]{3}\.[a-z]{5}_$`},
		{"part of a word stays", "ann.smithery joann.smith", `^ann\.smithery joann\.smith$`},
		{"umlaut", "Müller", `^[A-Z].[a-z]{4}$`},
		{"chinese", "王小明", `^...$`},
		{"machine", "pc-4711.example", `^[a-z]{2}-\d{4}\.example$`},
		{"common name stays", "root al", `^root al$`},
		{"serial", "wwn-7XK2JN37XK2JN3", `^wwn-(\d[A-Z]{2}\d[A-Z]{2}\d){2}$`},
		{"serial in lower case", "7xk2jn3", `^\d[a-z]{2}\d[a-z]{2}\d$`},
		{"serial with blanks", "VMware-56 4d 1a", `^[A-Z]{2}[a-z]{4}-\d\d \d[a-z] \d[a-z]$`},
		{"short serial apart", "AB12 xAB12", `^[A-Z]{2}\d\d xAB12$`},
		{"placeholders stay", "Default string 0123456789", `^Default string 0123456789$`},
		{"uuid", "4c4c4544-0036-5810-8034-b7c04f4a4e33", `^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`},
		{"uuid without dashes", "4C4C4544003658108034B7C04F4A4E33", `^[0-9A-F]{32}$`},
		{"hardware address", "00:1a:2b:3c:4d:5e", `^00:1a:2b:[0-9a-f]{2}:[0-9a-f]{2}:[0-9a-f]{2}$`},
		{"hardware address in one", "001A2B3C4D5E", `^001A2B[0-9A-F]{6}$`},
		{"unknown hardware address", "02-42-AC-11-00-02", `^02-42-AC-[0-9A-F]{2}-[0-9A-F]{2}-[0-9A-F]{2}$`},
		{"no hardware address", "00:00:00:00:00:00 ff:ff:ff:ff:ff:ff", `^00:00:00:00:00:00 ff:ff:ff:ff:ff:ff$`},
		{"mail", "<bob.jones@mail.example.com>", `^<[a-z]{3}\.[a-z]{5}@[a-z]{4}\.example\.com>$`},
		{"kept mail", "tree@example.org", `^tree@example\.org$`},
		{"unit", "getty@tty1.service", `^getty@tty1\.service$`},
		{"password in a url", "https://bob:s3cret@host/", `^https://[a-z]{3}:[a-z]\d[a-z]{4}@host/$`},
		{"private address", "10.12.130.7/16", `^10\.\d\d\.[12]\d\d\.\d/16$`},
		{"192.168", "192.168.1.20", `^192\.168\.\d\.\d\d$`},
		{"network and broadcast", "10.0.0.0 255.255.0.0 127.0.0.1 0.0.0.0", `^10\.0\.0\.0 255\.255\.0\.0 127\.0\.0\.1 0\.0\.0\.0$`},
		{"versions stay", "10.0.19.1 1.2.3.4-1 1:2.3.4.5+b 1.2.3.4.5 v1.2.3.4", `^10\.0\.19\.1 1\.2\.3\.4-1 1:\d\.\d\.\d\.\d\+b 1\.2\.3\.4\.5 v1\.2\.3\.4$`},
		{"address 6", "fe80::21a:2bff:fe3c:4d5e/64", `^fe80::[0-9a-f]{3}:[0-9a-f]{4}:[0-9a-f]{4}:[0-9a-f]{4}/64$`},
		{"no address 6", "std::string Dead::x 12:30:45 ::1", `^std::string Dead::x 12:30:45 ::1$`},
		{"domain sid", "S-1-5-21-1004336348-1177238915-682003330-1001_Classes", `^S-1-5-21-\d{10}-\d{10}-\d{9}-1001_Classes$`},
		{"entra sid", "S-1-12-1-1778064242-1251273316-772277320-2482684374", `^S-1-12-1-\d{10}-\d{10}-\d{9}-\d{10}$`},
		{"well known sid", "S-1-5-32-544", `^S-1-5-32-544$`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := testScrubber()
			got := string(s.Bytes([]byte(c.in)))
			if !regexp.MustCompile(c.shape).MatchString(got) {
				t.Errorf("%q became %q, want %s", c.in, got, c.shape)
			}
			stays := strings.Contains(c.name, "stay") || strings.HasPrefix(c.name, "no ") || strings.Contains(c.shape, regexp.QuoteMeta(c.in))
			if got == c.in && !stays {
				t.Errorf("%q is still there", c.in)
			}
			if len(got) != len(c.in) {
				t.Errorf("%q has another length than %q", got, c.in)
			}
		})
	}
}

// One value is one stand-in wherever it stands, in every coding.
func TestStandInsAgree(t *testing.T) {
	s := testScrubber()
	do := func(text string) string { return string(s.Bytes([]byte(text))) }
	account := do("ann.smith")
	if got := do("x ann.smith@ann.smith.example.com y"); got != "x "+account+"@"+account+".example.com y" {
		t.Errorf("mail of %q: %q", account, got)
	}
	if got := do("ANN.SMITH"); got != strings.ToUpper(account) {
		t.Errorf("%q and %q", got, account)
	}
	for _, text := range []string{"ann.smith", "7XK2JN3", "00:1a:2b:3c:4d:5e", "192.168.1.20", "Müller", "王小明"} {
		want := encodeWide(" says " + do(text) + " ")
		if got := s.Bytes(encodeWide(" says " + text + " ")); !bytes.Equal(got, want) {
			t.Errorf("%s in UTF-16: %q, want %q", text, decodeWide(got), decodeWide(want))
		}
	}
	if a, b := do("00:1a:2b:3c:4d:5e"), do("001A2B3C4D5E"); strings.ToUpper(strings.ReplaceAll(a, ":", "")) != b {
		t.Errorf("hardware addresses: %s and %s", a, b)
	}
	dashed := do("4c4c4544-0036-5810-8034-b7c04f4a4e33")
	raw, err := hex.DecodeString("4c4c454400365810" + "8034b7c04f4a4e33")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(dashed, "-", "")
	if got := hex.EncodeToString(s.Bytes(raw)); got != text {
		t.Errorf("uuid as bytes: %s, want %s", got, text)
	}
	if got := hex.EncodeToString(littleEndian(s.Bytes(littleEndian(raw)))); got != text {
		t.Errorf("uuid as bytes of SMBIOS: %s, want %s", got, text)
	}
	if a, b := do("10.1.2.3"), do("10.1.2.77"); a[:strings.LastIndexByte(a, '.')] != b[:strings.LastIndexByte(b, '.')] {
		t.Errorf("one network became two: %s and %s", a, b)
	}
	if other := New([]byte("another")); string(other.Bytes([]byte("192.168.10.20"))) == do("192.168.10.20") {
		t.Error("the key does not count")
	}
}

func TestIdentifiers(t *testing.T) {
	const text = "UUID=1b4e28ba-2fa1-4d2f-883f-0016d3cca427 {1b4e28ba-2fa1-4d2f-883f-0016d3cca427} SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
	s := testScrubber()
	if got := string(s.Bytes([]byte(text))); got != text {
		t.Errorf("a UUID of nobody's was replaced: %s", got)
	}
	s.Identifiers = true
	got := string(s.Bytes([]byte(text)))
	if got[:13] == text[:13] || got[41:] != text[41:] {
		t.Errorf("got %s", got)
	}
}

func TestStandInsAreAddresses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := New([]byte("key"))
		four := netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "four")))
		six := netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "six")))
		for _, a := range []netip.Addr{four, six} {
			got := string(s.Bytes([]byte(a.String())))
			if b, err := netip.ParseAddr(got); err != nil || a.Is4() && a.IsPrivate() && !b.IsPrivate() {
				t.Fatalf("%s became %s: %v", a, got, err)
			}
		}
	})
}

func FuzzBytes(f *testing.F) {
	for _, seed := range []string{"ann.smith@x.y 10.1.2.3 fe80::1:2", "a\x00n\x00n\x00.\x00s\x00m\x00i\x00t\x00h\x00", "M\xfc\x00ller 王小明", "https://a:b@c S-1-5-21-1-2-3-4 00:11:22:33:44:55:66"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := testScrubber()
		s.Identifiers = true
		before := bytes.Clone(data)
		out := s.Bytes(data)
		if len(out) != len(data) || !bytes.Equal(data, before) {
			t.Fatalf("%q became %q", before, out)
		}
		if !bytes.Equal(out, s.Bytes(data)) {
			t.Fatalf("%q became two things", data)
		}
		if bytes.Contains(out, []byte("7XK2JN3")) {
			t.Fatalf("the serial is left in %q", out)
		}
	})
}

func TestFileOfLogins(t *testing.T) {
	record := bytes.Repeat([]byte{7}, 384)
	copy(record[44:], "ann.smith\x00")
	copy(record[76:], "192.168.10.20\x00")
	copy(record[348:], []byte{192, 168, 10, 20})
	s := testScrubber()
	out := s.File("var/log/wtmp", append(record, record...))
	if bytes.Contains(out, []byte{192, 168, 10, 20}) || bytes.Contains(out, []byte("ann.smith")) || bytes.Contains(out, []byte("192.168.10.20")) {
		t.Errorf("logins tell from where: %q", out)
	}
	if out[0] != 7 || out[347] != 7 || out[364] != 7 {
		t.Error("what is beside the address was changed")
	}
	if out := s.File("etc/motd", record); !bytes.Contains(out, []byte{192, 168, 10, 20}) {
		t.Error("bytes of another file were taken for an address")
	}
}

// Names in binary property lists have the marks of texts beside them, which
// look like letters.
func TestPropertyList(t *testing.T) {
	s := testScrubber()
	s.HideName("ann")
	s.HideName("Ann’s Mac")
	list := "bplist00\xa4TrootSannYann.smith\x69" + string(swapped(encodeWide("Ann’s Mac"))) + "\x10"
	out := string(s.Bytes([]byte(list)))
	account := string(s.Bytes([]byte("ann")))
	if out[:14] != list[:14] || out[14:18] != "S"+account || strings.Contains(out, "ann") || strings.Contains(out, "smith") || strings.Contains(out, "\x00A\x00n\x00n") {
		t.Errorf("%q became %q", list, out)
	}
	if len(out) != len(list) || out[len(out)-1] != 0x10 {
		t.Errorf("%q has another end", out)
	}
}

func TestFileOfEnvironment(t *testing.T) {
	const in = "container=docker\x00API_TOKEN=s3cr3t=x\x00EMPTY=\x00none\x00LAST=hunter2"
	out := string(testScrubber().File("proc/1/environ", []byte(in)))
	for _, keep := range []string{"container=docker\x00API_TOKEN=", "\x00EMPTY=\x00none\x00LAST="} {
		if !strings.Contains(out, keep) {
			t.Errorf("%q lacks %q", out, keep)
		}
	}
	if strings.Contains(out, "s3cr3t") || strings.Contains(out, "hunter2") || len(out) != len(in) {
		t.Errorf("got %q", out)
	}
}
