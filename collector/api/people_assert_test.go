package api

import (
	"strings"
	"testing"

	"github.com/rollcall-itam/rollcall/collector/catalog"
)

type personWhyOut struct {
	PersonID   string `json:"person_id"`
	Summary    []string
	Statements []struct{ ID, Verb, Subject, Other, By string }
}

func TestOperatorsWordOnAPerson(t *testing.T) {
	w := staffed(t)
	if err := w.catalog.DeclareOperator(t.Context()); err != nil {
		t.Fatal(err)
	}
	operator, viewer := w.token("operator"), w.token("viewer")
	const ann = "/v1/people/ann@example.com"
	if code, _, b := w.ask(viewer, "POST", ann+":assert", `{"set":{"department":"Finance"}}`); code != 403 {
		t.Errorf("a viewer is answered %d: %s", code, b)
	}
	if code, _, b := w.ask(operator, "POST", ann+":assert", `{"set":{"department":"Finance","manager":"bob@example.com","location":{"site":"Oslo"},"labels":{"vip":"yes"}}}`); code != 200 {
		t.Fatalf("%d: %s", code, b)
	}
	var p personOut
	w.get(ann, &p)
	if p.Department != "Finance" || p.Provenance["department"].Source != catalog.Operator || p.Provenance["location.site"].Source != catalog.Operator {
		t.Errorf("Ann is %+v", p)
	}
	// Her devices follow her.
	owner := func() any {
		list := w.must("GET", "/v1/assets?filter=asset.name%3D%3D%22ANN-MBP%22", "")["assets"].([]any)
		return list[0].(map[string]any)["owner"].(map[string]any)["department"]
	}
	if got := owner(); got != "Finance" {
		t.Errorf("her laptop is of %v", got)
	}
	if w.must("POST", ann+":assert", `{"clear":["department","manager","location.site","labels.vip"]}`); owner() != "Sales" {
		t.Errorf("taken back, her laptop is of %v", owner())
	}
	p = personOut{}
	w.get(ann, &p)
	for field, from := range p.Provenance {
		if from.Source == catalog.Operator {
			t.Errorf("%s is an operator's still", field)
		}
	}
	for body, want := range map[string]string{
		`{}`:                                               "nothing is stated",
		`{"set":{"status":"departed"}}`:                    "does not count for",
		`{"set":{"emails":["x@example.com"]}}`:             "does not count for",
		`{"set":{"type":"king"}}`:                          "none of",
		`{"clear":["department.x"]}`:                       "does not have",
		`{"same_as":["ann@example.com"]}`:                  "already",
		`{"same_as":["nobody@example.com"]}`:               "nobody is known",
		`{"same_as":["jamf/1"]}`:                           "nothing is held of a person",
		`{"not_same_as":["okta/user/1"]}`:                  "no other record",
		`{"same_as":["` + strings.Repeat("x", 600) + `"]}`: "nobody is known",
	} {
		if code, _, b := w.ask(operator, "POST", ann+":assert", body); code == 200 || !strings.Contains(string(b), want) {
			t.Errorf("%s is answered %d: %s, want %q", body, code, b, want)
		}
	}
}

func TestPeopleAreUnitedExplainedAndParted(t *testing.T) {
	w := staffed(t)
	if err := w.catalog.DeclareOperator(t.Context()); err != nil {
		t.Fatal(err)
	}
	const ann = "/v1/people/ann@example.com"
	var why personWhyOut
	w.get(ann+":explain", &why)
	if len(why.Summary) != 1 || !strings.Contains(why.Summary[0], "one record only") {
		t.Errorf("explained by %q", why.Summary)
	}
	w.must("POST", ann+":assert", `{"same_as":["1003"]}`)
	var both personOut
	w.get("/v1/people/1003", &both)
	why = personWhyOut{}
	w.get(ann+":explain", &why)
	if both.ID != why.PersonID || len(why.Statements) != 1 || !strings.Contains(strings.Join(why.Summary, " "), "are one person: operator ") {
		t.Fatalf("%+v is explained by %+v", both, why)
	}
	if st := why.Statements[0]; st.Verb != "same_as" || st.By == "" {
		t.Errorf("the statement is %+v", st)
	}
	if w.must("DELETE", "/v1/statements/"+why.Statements[0].ID, ""); len(w.must("GET", "/v1/people?page_size=100", "")["people"].([]any)) != 3 {
		t.Error("taken back, and they are still one")
	}
	var page auditPage
	w.get("/v1/audit?action=person.assert", &page)
	if len(page.Entries) != 1 {
		t.Errorf("the audit log has %+v", page)
	}
	if code, _, _ := w.ask(w.token("servicedesk"), "GET", ann+":explain", ""); code != 200 {
		t.Errorf("a service desk is answered %d", code)
	}
}
