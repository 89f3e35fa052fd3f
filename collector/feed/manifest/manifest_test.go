package manifest

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const small = `
schema: 1
name: acme
title: Acme MDM
kind: mdm
settings:
  url: {help: Address, example: "https://acme.example.com", type: url}
  token: {secret: true}
base: ${url}/api
auth:
  header: {value: "Bearer ${token}"}
streams:
  - name: devices
    get: /devices
    query: {limit: 100, include: [a, b]}
    records: data
    pager: {cursor: {from: meta.next, param: cursor}}
    cursor: {field: updated, query: {since: "${cursor}"}}
    fan_out:
      - {get: "/devices/${record.id}/apps", into: apps}
    key: id
    map:
      name: name
      hardware.serial: [serial, {path: hw.serial, none: [X]}]
      network.interfaces:
        each: nics
        map: {mac: mac}
`

func TestParse(t *testing.T) {
	m, err := Parse(strings.NewReader(small))
	if err != nil {
		t.Fatal(err)
	}
	s := m.Stream("devices")
	if diff := cmp.Diff(Values{"a", "b"}, s.Query["include"]); diff != "" {
		t.Error(diff)
	}
	if s.Query["limit"][0] != "100" || time.Duration(s.Cursor.Overlap) != 10*time.Minute || time.Duration(*s.Pager.Good) != 10*time.Minute || s.FanOut[0].Parallel != 2 {
		t.Errorf("defaults or numbers are not as documented: %+v", s)
	}
	f := s.Map["hardware.serial"]
	if len(f.Any) != 2 || f.Any[1].Path != "hw.serial" || f.Any[1].Line != 24 {
		t.Errorf("alternatives: %+v", f)
	}
	if got := m.SecretNames(); len(got) != 1 || got[0] != "token" {
		t.Errorf("secrets: %v", got)
	}
}

// edit replaces one line of the small manifest.
func edit(old, with string) string {
	if !strings.Contains(small, old) {
		return "the test's manifest has no " + old
	}
	return strings.Replace(small, old, with, 1)
}

func TestMistakesAreToldWithTheirPlace(t *testing.T) {
	for name, c := range map[string]struct{ yaml, want string }{
		"unknown key":      {edit("    records: data", "    record: data"), `16:5: "record" is unknown here; did you mean "records"?`},
		"unknown top key":  {edit("title: Acme MDM", "title: x\ncolour: red"), `5:1: "colour" is unknown here`},
		"twice":            {edit("kind: mdm", "kind: mdm\nkind: edr"), `6:1: "kind" stands here a second time (first in line 5)`},
		"bad kind":         {edit("kind: mdm", "kind: toaster"), `5:7: kind: "toaster" is none of mdm, idp`},
		"no such setting":  {edit("Bearer ${token}", "Bearer ${tokem}"), `11:19: auth.header.value: there is no setting "tokem"; did you mean "token"?`},
		"cursor elsewhere": {edit("include: [a, b]", "include: \"${cursor}\""), `there is no setting "cursor"`},
		"open hole":        {edit("${token}", "${token"), `a ${ is not closed`},
		"bad path":         {edit("records: data", "records: data[0]"), `16:14: streams[0].records: path "data[0]"`},
		"bad duration":     {edit("{field: updated,", "{overlap: soon, field: updated,"), `want a duration`},
		"bad number":       {edit("schema: 1", "schema: one"), `2:9: schema: want a whole number, not "one"`},
		"future":           {edit("schema: 1", "schema: 2"), `2:9: schema: want 1`},
		"two pagers":       {edit("pager: {cursor", "pager: {link: true, cursor"), `17:12: streams[0].pager: want one of link`},
		"no key":           {edit("    key: id\n", ""), `13:5: streams[0].key: is missing`},
		"both":             {edit("    get: /devices\n", "    get: /devices\n    post: /devices\n"), `want one of get and post`},
		"page of one":      {edit("{cursor: {from: meta.next, param: cursor}}", "{page: {param: page, size: 1}}"), `size: want 2 to 100000`},
		"empty field":      {edit("name: name", "name: {as: text}"), `want one of path, cel, const, each and list`},
		"alias":            {edit("query: {limit: 100, include: [a, b]}", "query: &q {limit: 100}"), `anchors and aliases are not taken`},
		"bad as":           {edit("{path: hw.serial, none: [X]}", "{path: hw.serial, as: sonnet}"), `"sonnet" is none of text`},
		"list for text":    {edit("title: Acme MDM", "title: [a]"), `4:8: title: want a single value`},
		"no stream":        {strings.Split(small, "streams:")[0], `streams: is missing`},
		"two documents":    {small + "---\na: 1\n", "more than one document"},
		"empty file":       {"", "empty"},
		"no YAML":          {"a: [", "read the manifest"},
		"a list":           {"- a", "1:1: : want an object"},
	} {
		_, err := Parse(strings.NewReader(c.yaml))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v\nwant one that says %q", name, err, c.want)
		}
	}
}

func TestTemplateFill(t *testing.T) {
	got, err := Template("/a/${x}/b?${y}").Fill(func(name string) (string, error) { return name + "/..", nil }, func(s string) string { return strings.ReplaceAll(s, "/", "%2F") })
	if err != nil || got != "/a/x%2F../b?y%2F.." {
		t.Errorf("%q, %v", got, err)
	}
}

func TestJSONSchemaDescribesEveryKey(t *testing.T) {
	b, err := JSONSchema()
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Properties map[string]any `json:"properties"`
		Defs       map[string]struct {
			Properties map[string]any `json:"properties"`
		} `json:"$defs"`
	}
	if err := json.Unmarshal(b, &schema); err != nil {
		t.Fatal(err)
	}
	if schema.Properties["streams"] == nil || schema.Defs["Stream"].Properties["fan_out"] == nil || schema.Defs["Field"].Properties["layouts"] == nil {
		t.Errorf("the schema lacks keys:\n%s", b)
	}
	if strings.Count(string(b), `"description"`) < 100 {
		t.Error("keys are not described")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(small)
	f.Add("a: &a [*a]")
	f.Add("schema: 1\nstreams: [{key: [[[]]]}]")
	f.Fuzz(func(t *testing.T, s string) {
		m, err := Parse(strings.NewReader(s))
		if err == nil && (m.Name == "" || len(m.Streams) == 0) {
			t.Error("a manifest without name or streams was taken")
		}
	})
}
