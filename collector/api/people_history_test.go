package api

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

type personStory struct {
	Events []struct {
		Kind, Source, Into, From string
		SourceID                 string `json:"source_id"`
		Changes                  []struct {
			Field    string
			Old, New any
		}
	}
	Next string `json:"next_page_token"`
}

func (s personStory) String() string {
	var lines []string
	for _, e := range s.Events {
		line := e.Kind + " " + e.Source
		for _, c := range e.Changes {
			line += fmt.Sprintf(" %s:%v>%v", c.Field, c.Old, c.New)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "; ")
}

func TestHistoryOfAPersonIsTold(t *testing.T) {
	w := staffed(t)
	if err := w.catalog.DeclareOperator(t.Context()); err != nil {
		t.Fatal(err)
	}
	const ann = "/v1/people/ann@example.com"
	w.must("POST", ann+":assert", `{"set":{"department":"Finance"}}`)
	w.must("POST", ann+":assert", `{"clear":["department"]}`)
	at := time.Now().UTC().Add(time.Second).Format(time.RFC3339Nano)
	// What a source says again is no change.
	w.push(`{"source":"okta","source_id":"user/3","observed_at":"` + at + `","person":{"name":"Cid Dorn","employee_id":"1003","department":"IT","title":"Clerk"}}`)
	var got personStory
	w.get("/v1/people/1003:history", &got)
	if got.String() != "created okta" {
		t.Errorf("of Cid it tells %s", got)
	}
	got = personStory{}
	w.get(ann+":history", &got)
	if got.String() != "changed operator department:Finance>Sales; changed operator department:Sales>Finance; created okta" {
		t.Errorf("of Ann it tells %s", got)
	}
	var pages []string
	for token := ""; ; {
		var page personStory
		w.get(ann+":history?field=department&page_size=1&page_token="+token, &page)
		pages = append(pages, page.String())
		if token = page.Next; token == "" {
			break
		}
	}
	if strings.Join(pages, "; ") != "changed operator department:Finance>Sales; changed operator department:Sales>Finance" {
		t.Errorf("in pages of one it tells %q", pages)
	}
	for path, want := range map[string]string{
		"/v1/people/nobody@example.com:history":                      "nobody is known",
		"/v1/people/01a2108d-726b-7517-ac94-ce3e80897e06:history":    "nobody is known",
		"/v1/people/" + strings.Repeat("x", 600) + ":history":        "nobody is known",
		ann + ":history?page_size=-1":                                "page_size",
		ann + ":history?since=2026-11-25T10%3A00%3A00Z&page_token=x": "page_token",
		ann + ":history?until=0000-11-25T10%3A00%3A00Z":              "",
		ann + ":history?field=department&page_token=" + "bm90aGluZw": "page_token",
	} {
		if code, _, b := w.ask(w.token("viewer"), "GET", path, ""); code == 200 || !strings.Contains(string(b), want) {
			t.Errorf("%s is answered %d: %s, want %q", path, code, b, want)
		}
	}
}

func TestHistoryOfPeopleWhoWereUnitedOrLeft(t *testing.T) {
	w := staffed(t)
	if err := w.catalog.DeclareOperator(t.Context()); err != nil {
		t.Fatal(err)
	}
	cid := w.must("GET", "/v1/people/1003", "")["id"].(string)
	ann := w.must("GET", "/v1/people/ann@example.com", "")["id"].(string)
	w.must("POST", "/v1/people/"+ann+":assert", `{"same_as":["1003"]}`)
	var got personStory
	w.get("/v1/people/"+cid+":history", &got)
	if got.String() != "united operator; created okta" || got.Events[0].Into != ann {
		t.Errorf("of the id that Cid had it tells %s into %q", got, got.Events[0].Into)
	}
	bob := w.must("GET", "/v1/people/bob@example.com", "")["id"].(string)
	w.must("DELETE", "/v1/observations/okta/user%2F2", "")
	got = personStory{}
	w.get("/v1/people/"+bob+":history", &got)
	if got.String() != "withdrawn okta; created okta" {
		t.Errorf("of Bob, who left, it tells %s", got)
	}
}

func TestHistoryOfPeopleKeepsToTheScope(t *testing.T) {
	w := newSites(t)
	for who, want := range map[string]int{"ann@example.com": 200, "outside@example.com": 404} {
		id := w.must("GET", "/v1/people/"+who, "")["id"].(string)
		for _, name := range []string{who, id} {
			if code, _, b := w.ask(w.reader, "GET", "/v1/people/"+name+":history", ""); code != want {
				t.Errorf("the history of %s is answered %d: %s", name, code, b)
			}
		}
	}
	id := w.must("GET", "/v1/people/outside@example.com", "")["id"].(string)
	w.must("DELETE", "/v1/observations/okta/2", "")
	if code, _, b := w.ask(w.reader, "GET", "/v1/people/"+id+":history", ""); code != 404 {
		t.Errorf("the history of who left is answered %d: %s", code, b)
	}
	w.must("GET", "/v1/people/"+id+":history", "")
}
