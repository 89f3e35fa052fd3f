package api

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// push hands in lines and returns the answers.
func (w *world) push(lines ...string) []map[string]string {
	w.t.Helper()
	code, _, b := w.ask(w.admin, "POST", "/v1/observations", strings.Join(lines, "\n"))
	if code != 200 {
		w.t.Fatalf("push answers %d: %s", code, b)
	}
	var out []map[string]string
	for line := range strings.Lines(string(b)) {
		var a map[string]string
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			w.t.Fatalf("%q: %v", line, err)
		}
		out = append(out, a)
	}
	return out
}

func (w *world) must(method, path, body string) map[string]any {
	w.t.Helper()
	code, _, b := w.ask(w.admin, method, path, body)
	var out map[string]any
	if err := json.Unmarshal(b, &out); code != 200 || err != nil {
		w.t.Fatalf("%s %s answers %d: %s", method, path, code, b)
	}
	return out
}

const pushed = `{"source":"jamf","source_id":"c/%s","observed_at":"%s","device":{"name":"%s","hardware":{"manufacturer":"Dell Inc.","serial":"%s"},"os":{"version":"%s"}}}`

func TestPushedLinesAreAnsweredOneByOne(t *testing.T) {
	w := newWorld(t)
	w.must("PUT", "/v1/sources/jamf", `{"kind":"mdm","title":"Jamf Pro"}`)
	good := fmt.Sprintf(pushed, "1", "2026-01-01T00:00:00Z", "ann", "5XK2J93", "14.1")
	got := w.push(good, "", `{"source":`, good, `{"source":"nobody","source_id":"1","observed_at":"2026-01-01T00:00:00Z","device":{}}`,
		`{"source":"jamf","source_id":"2","device":{}}`, `{"source":"agent","source_id":"2","observed_at":"2026-01-01T00:00:00Z","device":{}}`,
		`{"source":"jamf","source_id":"3","observed_at":"2026-01-01T00:00:00Z","devise":{}}`)
	if len(got) != 7 {
		t.Fatalf("%d answers: %v", len(got), got)
	}
	for i, want := range []string{"", "cannot be read", "", "PUT /v1/sources/nobody", "observed_at is missing", "the collector's own", `unknown field "devise"`} {
		if got[i]["line"] != fmt.Sprint(i+1) || (got[i]["error"] == "") != (want == "") || !strings.Contains(got[i]["error"], want) {
			t.Errorf("line %d is answered %v, want %q", i+1, got[i], want)
		}
	}
	if got[0]["asset_id"] == "" || got[0]["asset_id"] != got[2]["asset_id"] {
		t.Errorf("the same thing twice is answered %v and %v", got[0], got[2])
	}
	// One object over several lines is one observation.
	if got := w.push("{", strings.TrimPrefix(good, "{")); len(got) != 1 || got[0]["asset_id"] == "" {
		t.Errorf("an object over two lines is answered %v", got)
	}
	sources := w.must("GET", "/v1/sources", "")["sources"].([]any)
	i := slices.IndexFunc(sources, func(s any) bool { return s.(map[string]any)["id"] == "jamf" })
	if src := sources[i].(map[string]any); src["observations"] != "1" || src["last_statement"] != "2026-01-01T00:00:00Z" || src["unique"] != true {
		t.Errorf("the source is listed as %v", src)
	}
	if code, _, b := w.ask(w.token("viewer"), "POST", "/v1/observations", good); code != 403 {
		t.Errorf("a viewer pushes: %d %s", code, b)
	}
}

func TestALargePushIsStreamed(t *testing.T) {
	w := newWorld(t)
	w.must("PUT", "/v1/sources/jamf", `{"kind":"mdm"}`)
	lines := make([]string, 5000)
	for i := range lines {
		lines[i] = fmt.Sprintf(pushed, fmt.Sprint(i), "2026-01-01T00:00:00Z", strings.Repeat("x", 300), fmt.Sprintf("SER%06d", i), "14")
	}
	long := `{"source":"` + strings.Repeat("x", maxLine) + `"}`
	lines[7] = long
	got := w.push(lines...)
	if len(got) != len(lines) || !strings.Contains(got[7]["error"], "longer than") || got[8]["asset_id"] == "" || got[4999]["asset_id"] == "" {
		t.Errorf("%d answers, of the long line %v", len(got), got[7])
	}
}

// An asset can be read as it was, and tells what happened to it.
func TestHistory(t *testing.T) {
	w := newWorld(t)
	w.must("PUT", "/v1/sources/jamf", `{"kind":"mdm"}`)
	id := w.push(fmt.Sprintf(pushed, "1", "2026-01-01T00:00:00Z", "ann", "5XK2J93", "14.1"))[0]["asset_id"]
	between := time.Now().UTC().Format(time.RFC3339Nano)
	w.push(fmt.Sprintf(pushed, "1", "2026-01-02T00:00:00Z", "ann-2", "5XK2J93", "14.2"))
	events := w.must("GET", "/v1/assets/"+id+":history", "")["events"].([]any)
	if len(events) != 2 || events[1].(map[string]any)["kind"] != "created" {
		t.Fatalf("events %v", events)
	}
	changes := events[0].(map[string]any)["changes"].([]any)
	if got := fmt.Sprint(changes); got != "[map[field:name new:ann-2 old:ann] map[field:os.version new:14.2 old:14.1]]" {
		t.Errorf("changes %s", got)
	}
	was := w.must("GET", "/v1/assets/"+id+"?as_of="+url.QueryEscape(between), "")
	if was["name"] != "ann" || was["os"].(map[string]any)["version"] != "14.1" {
		t.Errorf("it was %v", was)
	}
	if page := w.must("GET", "/v1/assets?fields=name&as_of="+url.QueryEscape(between), "")["assets"].([]any); fmt.Sprint(page) != "[map[name:ann]]" {
		t.Errorf("the list was %v", page)
	}
	if code, _, b := w.ask(w.admin, "GET", "/v1/assets/"+id+"?as_of=2001-01-01T00:00:00Z", ""); code != 404 || !strings.Contains(string(b), "was not known at that time") {
		t.Errorf("before it came to be: %d %s", code, b)
	}
	if only := w.must("GET", "/v1/assets/"+id+":history?field=os", "")["events"].([]any); len(only) != 1 {
		t.Errorf("events of os: %v", only)
	}
	w.must("DELETE", "/v1/observations/jamf/c/1", "")
	if code, _, _ := w.ask(w.admin, "GET", "/v1/assets/"+id, ""); code != 404 {
		t.Errorf("what nobody states is still there: %d", code)
	}
	if was := w.must("GET", "/v1/assets/"+id+"?as_of="+url.QueryEscape(between), ""); was["name"] != "ann" {
		t.Errorf("after the end it was %v", was)
	}
	if events := w.must("GET", "/v1/assets/"+id+":history", "")["events"].([]any); events[0].(map[string]any)["kind"] != "withdrawn" {
		t.Errorf("events after the end: %v", events)
	}
	if page := w.must("GET", "/v1/assets?fields=name&as_of="+url.QueryEscape(between), "")["assets"].([]any); fmt.Sprint(page) != "[map[name:ann]]" {
		t.Errorf("after the end, the list was %v", page)
	}
}

func TestOperatorsSayAndTakeBack(t *testing.T) {
	w := newWorld(t)
	if err := w.catalog.DeclareOperator(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.must("PUT", "/v1/sources/jamf", `{"kind":"mdm"}`)
	a := w.report("one")
	b := w.push(fmt.Sprintf(pushed, "1", "2026-01-01T00:00:00Z", "two", "5XK2J93", "14.1"))[0]["asset_id"]
	got := w.must("POST", "/v1/assets/"+a+":assert", `{"set":{"owner":{"email":"ann@example.com"},"labels":{"site":"A"},"stage":"in_repair"}}`)
	if got["owner"].(map[string]any)["email"] != "ann@example.com" || got["stage"] != "in_repair" || got["id"] != a {
		t.Errorf("after the statement: %v", got)
	}
	got = w.must("POST", "/v1/assets/"+a+":assert", `{"clear":["owner.email","stage"]}`)
	if got["owner"] != nil || got["stage"] != "deployed" || got["labels"].(map[string]any)["site"] != "A" {
		t.Errorf("after taking back: %v", got)
	}
	w.must("POST", "/v1/assets/"+a+":assert", `{"clear":["labels.site"]}`)
	if got := w.must("GET", "/v1/assets/"+a, ""); len(got["sources"].([]any)) != 1 || got["labels"] != nil {
		t.Errorf("after taking all back: %v", got)
	}
	w.must("POST", "/v1/assets/"+a+":assert", `{"same_as":["`+b+`"]}`)
	if got := w.must("GET", "/v1/assets/"+b, ""); got["id"] != w.must("GET", "/v1/assets/"+a, "")["id"] {
		t.Errorf("after same_as: %v", got)
	}
	why := w.must("GET", "/v1/assets/"+a+":explain", "")
	if text := fmt.Sprint(why["summary"]); !strings.Contains(text, "operator") {
		t.Errorf("explained as %s", text)
	}
	said := w.must("GET", "/v1/statements", "")["statements"].([]any)
	if len(said) != 1 {
		t.Fatalf("statements %v", said)
	}
	w.must("DELETE", "/v1/statements/"+said[0].(map[string]any)["id"].(string), "")
	if x, y := w.must("GET", "/v1/assets/"+a, ""), w.must("GET", "/v1/assets?fields=id", ""); len(x["sources"].([]any)) != 1 || len(y["assets"].([]any)) != 2 {
		t.Errorf("after taking same_as back: %v, %v", x, y)
	}
	for body, want := range map[string]string{
		`{"set":{"os":{"name":"x"}}}`:        "does not count for",
		`{"set":{"stage":"lost"}}`:           "none of: requested",
		`{}`:                                 "nothing is stated",
		`{"clear":["owner.nothing"]}`:        "does not have",
		`{"same_as":["` + a + `"]}`:          "this asset already",
		`{"same_as":["nobody"]}`:             "there is no asset",
		`{"not_same_as":["jamf/nothing"]}`:   "not found",
		`{"set":{"hardware":{"serial":""}}}`: "",
	} {
		code, _, b := w.ask(w.admin, "POST", "/v1/assets/"+a+":assert", body)
		if want != "" && (code < 400 || !strings.Contains(string(b), want)) {
			t.Errorf("%s is answered %d %s, want %q", body, code, b, want)
		}
	}
}
