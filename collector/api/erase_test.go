package api

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
)

// erasureOutJSON is an Erasure as HTTP has it.
type erasureOutJSON struct {
	ID, State, Reason, By string
	Counts                map[string]string
	Assets, Marks         []string
	Refused               string
}

// erase asks for an erasure.
func (w *world) erase(t *testing.T, who, body string) (out erasureOutJSON, code int, text string) {
	t.Helper()
	code, _, b := w.ask(w.admin, "POST", "/v1/people/"+url.PathEscape(who)+":erase", body)
	if code == 200 {
		if err := json.Unmarshal(b, &out); err != nil {
			t.Fatal(err)
		}
	}
	return out, code, string(b)
}

func TestAPersonIsErasedOverHTTP(t *testing.T) {
	w := staffed(t)
	plan, code, text := w.erase(t, "ann@example.com", `{"dry_run":true}`)
	if code != 200 || plan.State != "planned" || plan.ID != "" || len(plan.Assets) != 3 || len(plan.Counts) == 0 {
		t.Fatalf("planned: %d %s", code, text)
	}
	for body, want := range map[string]string{`{}`: "reason is missing", `{"reason":"Ann Berg asked"}`: "the reason names the person", `{"reason":"r","also":[""]}`: "a name has 0 bytes"} {
		if _, code, text := w.erase(t, "ann@example.com", body); code != 400 || !strings.Contains(text, want) {
			t.Errorf("%s: %d %s", body, code, text)
		}
	}
	if code, _, _ := w.ask(w.token("operator"), "POST", "/v1/people/ann@example.com:erase", `{"reason":"r"}`); code != 403 {
		t.Errorf("an operator is answered %d", code)
	}
	done, code, text := w.erase(t, "ann@example.com", `{"reason":"request 17"}`)
	if code != 200 || done.State != "done" || len(done.Marks) == 0 {
		t.Fatalf("erased: %d %s", code, text)
	}
	if again, code, text := w.erase(t, "ann@example.com", `{"reason":"request 17"}`); code != 200 || again.ID != done.ID {
		t.Errorf("repeated: %d %s", code, text)
	}
	for _, path := range []string{"/v1/people", "/v1/assets", "/v1/assets?as_of=2030-01-01T00:00:00Z", "/v1/assets?search=ann", "/v1/assets:export?format=ndjson", "/v1/changes?once=true&cursor=oldest", "/v1/findings", "/v1/audit", "/v1/erasures", "/v1/assets:group?by=owner.email"} {
		_, _, b := w.ask(w.admin, "GET", path, "")
		for _, trace := range []string{"ann@example", "berg", `corp\\ann`} {
			if strings.Contains(strings.ToLower(string(b)), trace) {
				t.Errorf("%s still tells of %s: %.500s", path, trace, b)
			}
		}
	}
	if code, _, _ := w.ask(w.admin, "GET", "/v1/people/ann@example.com", ""); code != 404 {
		t.Errorf("she is found: %d", code)
	}
	got := w.push(`{"source":"okta","source_id":"user/1","observed_at":"2026-01-01T00:00:00Z","person":{"name":"Ann Berg","emails":["ann@example.com"]}}`)
	if text := got[0]["error"]; !strings.Contains(text, "was erased") {
		t.Errorf("stated again: %v", got)
	}
	var verified struct{ Fault, Entries string }
	if w.get("/v1/audit:verify", &verified); verified.Fault != "" || verified.Entries == "0" {
		t.Errorf("the audit log is %+v", verified)
	}
	var list struct{ Erasures []erasureOutJSON }
	if w.get("/v1/erasures", &list); len(list.Erasures) != 1 || list.Erasures[0].Refused != "1" || list.Erasures[0].Reason != "request 17" {
		t.Errorf("listed: %+v", list)
	}
	w.must("DELETE", "/v1/erasures/"+done.ID, "")
	if code, _, _ := w.ask(w.admin, "DELETE", "/v1/erasures/"+done.ID, ""); code != 404 {
		t.Errorf("deleted twice: %d", code)
	}
}

// Somebody whom only devices name can be erased, and a stranger cannot.
func TestWhomNoDirectoryKnowsIsErased(t *testing.T) {
	w := staffed(t)
	if _, code, text := w.erase(t, "eve@example.com", `{"reason":"request 18"}`); code != 200 {
		t.Fatalf("%d %s", code, text)
	}
	if _, _, b := w.ask(w.admin, "GET", "/v1/assets", ""); strings.Contains(string(b), "eve@") {
		t.Error("she is still there")
	}
	for _, who := range []string{"stranger@example.com", "01a211b3-c912-7352-adf7-cd59efcaaff6"} {
		if _, code, text := w.erase(t, who, `{"reason":"r"}`); code != 404 || !strings.Contains(text, "nobody is known") {
			t.Errorf("%s: %d %s", who, code, text)
		}
	}
}

func TestAnErasureIsRefusedOnLegalHold(t *testing.T) {
	w := staffed(t)
	if err := w.catalog.DeclareOperator(t.Context()); err != nil {
		t.Fatal(err)
	}
	var page struct{ Assets []struct{ ID, Name string } }
	w.get("/v1/assets?search=ANN-MBP", &page)
	if len(page.Assets) != 1 {
		t.Fatalf("found %v", page)
	}
	w.must("POST", "/v1/assets/"+page.Assets[0].ID+":assert", `{"set":{"hold":{"reason":"case 7"}}}`)
	if _, code, text := w.erase(t, "ann@example.com", `{"reason":"request 17"}`); code != 400 || !strings.Contains(text, "ANN-MBP (case 7") {
		t.Errorf("%d %s", code, text)
	}
}
