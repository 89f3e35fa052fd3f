package diagnose

import (
	"fmt"
	"strings"
	"testing"
)

// What is secret or names somebody by its looks is masked, wherever it stands;
// what a helper needs is not.
func TestText(t *testing.T) {
	m := NewMasker([]byte("key"))
	for text, secret := range map[string]string{
		"token rct_AAAABBBBCCCCDDDD was refused":                            "AAAABBBB",
		"Authorization: Bearer abcdef0123456789":                            "abcdef0123456789",
		`Get "https://ann:pw12345@jamf.example.com/api": EOF`:               "pw12345",
		"GET /v1?code=abcd1234&x=1":                                         "abcd1234",
		`{"client_secret": "s3cr\"et", "a": 1}`:                             "s3cr",
		`msg {\"password\":\"hunter2\"}`:                                    "hunter2",
		"password: hunter22\nport: 3":                                       "hunter22",
		"api_key='k k k'":                                                   "k k k",
		"eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln":                         "eyJ",
		"https://hooks.slack.com/services/T0/B0/abcdefgh":                   "abcdefgh",
		"AKIAABCDEFGHIJKLMNOP":                                              "AKIA",
		"-----BEGIN EC PRIVATE KEY-----\nMHcCAQ\n-----END EC PRIVATE KEY--": "MHcCAQ",
		"mail to ann.berg@example.com failed":                               "ann.berg",
		"filter=ann%40example.com":                                          "ann%40",
		"from 10.1.2.3:4711":                                                "10.1.2.3",
		"from [fe80::1ff:fe23:4567:890a]:4711":                              "fe23",
		"from 2001:db8::7":                                                  "2001:db8",
		"mac 00:1A:2b:3c:4d:5e":                                             "1A:2b",
		"agent 01a212fe-0000-7000-8000-000000000001":                        "01a212fe",
		"open /home/annberg/x: permission denied":                           "annberg",
		`open C:\Users\annberg\x: denied`:                                   "annberg",
		"user: annberg":                                                     "annberg",
	} {
		if got := m.Text(text); strings.Contains(got, secret) || got == text {
			t.Errorf("%q becomes %q", text, got)
		}
	}
	for _, text := range []string{
		"client_secret: file:/etc/rollcall/jamf.secret", "token: env:JAMF", "password: (set)", "token_file=/var/lib/rollcall-collector/admin-token",
		"listens on 127.0.0.1:8470 since 2026-11-25T10:20:30Z", "grpc_addr: 0.0.0.0:8471", "https://acme.jamfcloud.com answers 401", "version 1.2.3",
		"rollcall_ingest_rejected_total{reason=\"expired_certificate\"} 3", "update_keys: [ed25519:AAAA]",
	} {
		if got := m.Text(text); got != text {
			t.Errorf("%q becomes %q", text, got)
		}
	}
	if a, b := m.Text("10.0.0.1"), m.Text("10.0.0.2"); a == b || a != m.Text("10.0.0.1") || a == NewMasker([]byte("other")).Text("10.0.0.1") {
		t.Error("an address is not replaced by the same wherever it stands, and by another with another key")
	}
}

// What tells of records keeps our words and loses what came with them.
func TestForeign(t *testing.T) {
	m := NewMasker([]byte("key"))
	for text, want := range map[string]string{
		`setting "url": is missing`:                               `setting "url": is missing`,
		`the answer tells of an error: "no such person Ann"`:      `the answer tells of an error: "..."`,
		`Get "https://acme.example/api/devices/C02AB": EOF`:       `Get "https://acme.example/...": EOF`,
		`the system answers 429 at 2026-11-25T10:20:30Z`:          `the system answers 429 at 2026-11-25T10:20:30Z`,
		`it has "serial" but \"Ann Berg\" and it's "out of" this`: `it has "serial" but \"...\" and it's "..." this`,
	} {
		if got := m.Foreign(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
	if got := m.Foreign("file C02XK1ABCDEF: bad"); strings.Contains(got, "C02") || !strings.HasPrefix(got, "file (id-") {
		t.Errorf("a serial number becomes %q", got)
	}
}

// Lines of a log keep their messages, whichever format they have, and lose their
// names; what a service manager puts before them names the machine.
func TestLog(t *testing.T) {
	m := NewMasker([]byte("key"))
	for text, want := range map[string]string{
		`time=2026-11-25T15:23:06.097Z level=INFO msg="agent enrolled" peer=10.0.0.1:3 hostname=ann-mbp agent_id=7`:          `time=2026-11-25T15:23:06.097Z level=INFO msg="agent enrolled" peer=(withheld) hostname=(withheld) agent_id=7`,
		`Nov 25 15:23:06 ann-server rollcall-collector[7]: time=2026-11-25T15:23:06Z level=WARN msg=x error="bad \"Ann B\""`: `time=2026-11-25T15:23:06Z level=WARN msg=x error="bad \"...\""`,
		`{"time":"2026-11-25T15:23:06Z","level":"INFO","msg":"agent enrolled","hostname":"ann-mbp","token":"abc","took":3}`:  `{"hostname":"(withheld)","level":"INFO","msg":"agent enrolled","time":"2026-11-25T15:23:06Z","token":"(secret)","took":3}`,
		`panic: ann@example.com`: `panic: ` + m.Text("ann@example.com"),
	} {
		if got := strings.TrimSuffix(m.Log(text+"\n"), "\n"); got != want {
			t.Errorf("%s\nbecomes %s\nwant    %s", text, got, want)
		}
	}
	if got := Heads("time=2026-11-25T15:23:06Z level=INFO msg=\"a b\" x=secret\nother\n"); got != "time=2026-11-25T15:23:06Z level=INFO msg=\"a b\"\n" {
		t.Errorf("the heads are %q", got)
	}
}

// A name is found whatever stands between its words and in whichever case, and
// never within another word.
func TestNames(t *testing.T) {
	n := NewNames("ann_berg: bad; Ann Berg's ANN-MBP, annular Berg 17 C02x Ann")
	for _, name := range []string{"Ann Berg", "ann-mbp", "17", "", "Ann", "Nobody Here", "Ann Berg"} {
		n.Offer(name)
	}
	got, err := n.Mask(NewMasker([]byte("key")))
	if err != nil {
		t.Fatal(err)
	}
	shape := strings.NewReplacer("(name-", "<", ")", ">").Replace(got)
	for _, keep := range []string{": bad; ", "'s ", ", annular Berg 17 C02x "} {
		if !strings.Contains(shape, keep) {
			t.Errorf("%q is not in %q", keep, got)
		}
	}
	if strings.Count(got, "(name-") != 4 || strings.Contains(strings.ToLower(strings.ReplaceAll(got, "annular", "")), "ann") {
		t.Errorf("masked: %q", got)
	}
}

// With more names than can be masked, nothing is told.
func TestTooManyNames(t *testing.T) {
	var text strings.Builder
	for i := range maxNames + 2 {
		fmt.Fprintf(&text, "host%d ", i)
	}
	n := NewNames(text.String())
	for i := range maxNames + 2 {
		n.Offer(fmt.Sprintf("host%d", i))
	}
	if got, err := n.Mask(NewMasker(nil)); err == nil {
		t.Errorf("%d names are told", strings.Count(got, " "))
	}
}
