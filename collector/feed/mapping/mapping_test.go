package mapping

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/rollcall-itam/rollcall/collector/feed/manifest"
	"github.com/rollcall-itam/rollcall/collector/feed/record"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

var at = time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)

const head = `
schema: 1
name: acme
title: Acme
kind: mdm
base: https://acme.example.com
streams:
  - name: devices
    get: /devices
    key: id
`

// compile makes the mapping of a manifest whose stream ends with the lines.
func compile(t *testing.T, lines string) (*Mapping, error) {
	t.Helper()
	m, err := manifest.Parse(strings.NewReader(head + lines))
	if err != nil {
		t.Fatal(err)
	}
	return Compile(m.Stream(""), nil)
}

func apply(t *testing.T, lines, json string) Result {
	t.Helper()
	m, err := compile(t, lines)
	if err != nil {
		t.Fatal(err)
	}
	r, err := record.Decode([]byte(json))
	if err != nil {
		t.Fatal(err)
	}
	res, err := m.Apply("acme", r, at)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

const everything = `
    skip: r.?status.orValue("") == "retired"
    identifiers:
      - {kind: mdm, value: id, scope: {const: acme}}
      - {kind: directory, value: aad}
    map:
      name: [nick, name]
      class: {path: form, values: {Notebook: laptop, Tower: desktop}}
      labels.site: site.name
      hardware.serial: {path: serial, none: [SysSerial]}
      hardware.uuid: uuid
      hardware.imei: imei
      hardware.memory_bytes: {path: ram, unit: MiB}
      hardware.virtual: {cel: 'lower(r.?model.orValue("")).contains("vmware")'}
      os.version: {path: osv, match: '^([0-9.]+)'}
      os.build: {path: osv, match: '\(([0-9A-Z]+)\)'}
      security.disk_encryption.state: {path: enc, values: {"true": "on", "false": "off"}}
      mdm.enrolled: {const: "true"}
      mdm.supervised: sup
      mdm.last_check_in: seen
      network.interfaces:
        - {each: nics, where: 'has_value(e.?mac)', map: {mac: mac, addresses: ips, kind: {cel: 'r.id == 7 ? "ethernet" : "x"'}}}
        - {each: wifi, map: {mac: addr}}
      primary_user.email: user.mail
      purchase.price: {path: cost, currency: $cur}
      purchase.ordered_at: bought
      warranties:
        each: cover
        map: {end: until, level: name}
`

func TestApply(t *testing.T) {
	res := apply(t, everything, `{"id": 7, "name": "ANN-MBP", "nick": "", "form": "notebook", "site": {"name": "Berlin"}, "serial": " C02ABC ", "uuid": "4C4C4544-0031-3310-8052-B4C04F4E3132",
		"imei": ["35 999", "", null, "35 999"], "ram": "16384", "model": "VMware7,1", "osv": "11.2.1 (20D74)", "enc": "True", "sup": null, "seen": "2026-11-19 08:00:00.961496+00:00",
		"nics": [{"mac": "AABBCCDDEEFF", "ips": ["10.0.0.1", "0.0.0.0"]}, {"mac": "00:00:00:00:00:00"}, {"mac": null}], "user": "", "cost": "$1,299.00", "cur": "usd", "bought": "2026-01-02T00:00:00Z",
		"cover": [{"until": "9999-12-31T00:00:00Z", "name": "Lifetime"}, {"until": "2027-05-01", "name": "Pro"}], "aad": "00000000-0000-0000-0000-000000000000"}`)
	want := &pb.Observation{}
	if err := protojson.Unmarshal([]byte(`{"source": "acme", "source_id": "devices/7", "observed_at": "2026-11-20T10:00:00Z", "identifiers": [{"kind": "mdm", "value": "7", "scope": "acme"}],
		"device": {"name": "ANN-MBP", "class": "laptop", "labels": {"site": "Berlin"}, "hardware": {"serial": "C02ABC", "uuid": "4c4c4544-0031-3310-8052-b4c04f4e3132", "imei": ["35 999"], "memory_bytes": "17179869184", "virtual": true},
		"os": {"version": "11.2.1", "build": "20D74"}, "security": {"disk_encryption": {"state": "on"}}, "mdm": {"enrolled": true, "last_check_in": "2026-11-19T08:00:00.961496Z"},
		"network": {"interfaces": [{"mac": "aa:bb:cc:dd:ee:ff", "addresses": ["10.0.0.1/32"], "kind": "ethernet"}, {"kind": "ethernet"}]}, "purchase": {"price": {"amount": "1299.00", "currency": "USD"}, "ordered_at": "2026-01-02"},
		"warranties": [{"level": "Lifetime"}, {"end": "2027-05-01", "level": "Pro"}]}}`), want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, res.Observation, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

func TestWhatCannotBeReadIsAProblemAndHarmsNothingElse(t *testing.T) {
	res := apply(t, everything, `{"id": "a/b", "name": "x", "serial": 6.37702e15, "uuid": "nonsense", "seen": "yesterday", "sup": "perhaps", "form": "Toaster", "nics": {"mac": "zz"}, "user": {"mail": "Ann@Example.COM"}, "ram": "lots", "enc": [1]}`)
	d := res.Observation.GetDevice()
	if d.GetName() != "x" || d.GetPrimaryUser().GetEmail() != "ann@example.com" || d.GetClass() != "" || d.GetMdm().GetEnrolled() != true {
		t.Errorf("what is good was lost: %v", d)
	}
	var facts []string
	for _, p := range res.Observation.Problems {
		facts = append(facts, p.Fact)
		if p.Error == "" || p.Section == "" {
			t.Errorf("a problem without text: %v", p)
		}
	}
	want := []string{"hardware.memory_bytes", "hardware.serial", "hardware.uuid", "mdm.last_check_in", "mdm.supervised", "mac", "security.disk_encryption.state"}
	if diff := cmp.Diff(want, facts); diff != "" {
		t.Error(diff)
	}
}

func TestSkipAndKey(t *testing.T) {
	if res := apply(t, everything, `{"id": "9", "status": "retired"}`); !res.Skipped || res.Observation != nil || res.SourceID != "devices/9" {
		t.Errorf("%+v", res)
	}
	m, err := compile(t, everything)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []any{map[string]any{}, map[string]any{"id": nil}, map[string]any{"id": ""}, map[string]any{"id": []any{}}, nil, "x", []any{}} {
		if _, err := m.Apply("acme", r, at); err == nil || !strings.Contains(err.Error(), ErrNoKey.Error()) {
			t.Errorf("%v: %v", r, err)
		}
	}
}

func TestCompileTellsMistakesWithTheirPlace(t *testing.T) {
	for name, c := range map[string]struct{ line, want string }{
		"no such field":    {"hardware.serail: x", `12:24: "hardware.serail" is no field: "Hardware" has none of that name; it has manufacturer`},
		"group":            {"hardware: x", `"hardware" is a group: name one of its fields`},
		"below a text":     {"name.first: x", `has no fields of its own`},
		"list by path":     {"network.interfaces: nics", `is a list of objects: write each:`},
		"below a list":     {"network.interfaces.mac: m", `write each: and map:`},
		"each for text":    {"name: {each: a, map: {b: c}}", `is no list of objects`},
		"label":            {"labels: {cel: r.x}", `takes an object of names and values`},
		"typo in function": {"name: {cel: 'lowr(r.x)'}", `undeclared reference to 'lowr'`},
		"syntax":           {"name: {cel: 'r.x ==='}", `Syntax error`},
		"word":             {"class: {const: toaster}", `"toaster" is none of laptop`},
		"mapped word":      {"security.disk_encryption.state: {path: x, values: {a: yes}}", `"yes" is none of on, off`},
		"as":               {"mdm.enrolled: {path: x, as: mac}", `as: mac does not give what the field holds, bool`},
		"zone":             {"mdm.last_check_in: {path: x, zone: Mars/Base}", `zone "Mars/Base" is not known`},
		"regexp":           {"name: {path: x, match: '('}", `missing closing )`},
		"derived":          {"os.eol: x", `computed from os.version`},
		"currency":         {"purchase.price: {path: x, currency: euro}", `want a code like EUR`},
	} {
		_, err := compile(t, "    map:\n      "+c.line+"\n")
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v\nwant one that says %q", name, err, c.want)
		}
	}
}

func TestExpressionsAreBounded(t *testing.T) {
	res := apply(t, "    map:\n      name: {cel: 'r.l.map(a, r.l.map(b, r.l.map(c, string(c)).size()).size()).size() > 0 ? \"x\" : \"y\"'}\n",
		`{"id": 1, "l": [`+strings.Repeat("1,", 500)+`1]}`)
	if len(res.Observation.Problems) != 1 || !strings.Contains(res.Observation.Problems[0].Error, "cost") {
		t.Errorf("a mapping without end was let go on: %v", res.Observation.Problems)
	}
}

func TestExpressionFunctions(t *testing.T) {
	for expression, want := range map[string]string{
		`or(r.?none, "d")`:                      "d",
		`or(r.?v, "d") + "!"`:                   "Ab12!",
		`or(r.none, "d")`:                       "d",
		`or(r.nul, "d")`:                        "d",
		`or(r.f, true) == false ? "kept" : "x"`: "kept",
		`r.missing.deep`:                        "",
		`match(r.v, "b([0-9]+)")`:               "12",
		`lower(r.v)`:                            "ab12",
		`truthy(r.t) ? "t" : "f"`:               "t",
		`text(r.n + 1)`:                         "8",
		`r.l.filter(x, x > 1).size() == 1 ? "one" : "no"`: "one",
		`"a,b".split(",")[1]`:                             "b",
	} {
		res := apply(t, "    map:\n      name: {cel: '"+expression+"'}\n", `{"id": 1, "nul": null, "f": false, "v": "Ab12", "t": "True", "n": 7, "l": [1,2]}`)
		if got := res.Observation.GetDevice().GetName(); got != want || len(res.Observation.Problems) > 0 {
			t.Errorf("%s: %q, want %q; %v", expression, got, want, res.Observation.Problems)
		}
	}
}
