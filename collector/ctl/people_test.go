package main

import (
	"encoding/json"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

func TestPeople(t *testing.T) {
	w := newWorld(t)
	if _, errs, code := w.call("people"); code != 0 || !strings.Contains(errs, "nobody is found") {
		t.Errorf("exit %d: %s", code, errs)
	}
	must(t, w.catalog.DeclareSource(t.Context(), &storagepb.SourceRecord{Id: "okta", Kind: "idp"}))
	w.report("ann-pc", &pb.Device{Class: "laptop", Hardware: &pb.Hardware{Manufacturer: "LENOVO", Serial: "PF3ABCDE"}, Owner: &pb.Owner{Email: "ann@example.com"},
		Security: &pb.Security{DiskEncryption: &pb.DiskEncryption{State: "off"}}})
	_, err := w.catalog.Accept(t.Context(), &pb.Observation{Source: "okta", SourceId: "u1", ObservedAt: timestamppb.New(noon), Subject: &pb.Observation_Person{Person: &pb.Profile{
		Name: "Ann Berg", Emails: []string{"ann@example.com"}, EmployeeId: "1001", Status: "departed", Department: "Sales", Apps: []*pb.AppAccess{{Name: "Salesforce"}}}}})
	must(t, err)
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"people"}, []string{"Ann Berg", "ann@example.com", "departed", "Sales", "1"}},
		{[]string{"people", "list", "sales", "--status", "departed", "--order-by", "email desc"}, []string{"Ann Berg"}},
		{[]string{"people", "show", "1001"}, []string{"Ann Berg", "WHO SAYS SO", "employee_id", "okta", "Salesforce"}},
		{[]string{"people", "context", "ann@example.com"}, []string{"ANN-PC", "owner", "LENOVO", "DESERVES A LOOK", "a device is still theirs", "ann-pc is not encrypted."}},
		{[]string{"assets", "show", "ann-pc"}, []string{"Ann Berg ann@example.com Sales"}},
	} {
		out := w.ok(c.args...)
		for _, want := range c.want {
			if !strings.Contains(out, want) {
				t.Errorf("%v: no %q in:\n%s", c.args, want, out)
			}
		}
	}
	for _, args := range [][]string{{"people", "-o", "json"}, {"people", "show", "1001", "-o", "json"}, {"people", "context", "1001", "-o", "json"}} {
		if out := w.ok(args...); !json.Valid([]byte(out)) || !strings.Contains(out, `"Ann Berg"`) {
			t.Errorf("%v: %s", args, out)
		}
	}
	if _, errs, code := w.call("people", "show", "nobody@example.com"); code != exitNotFound || !strings.Contains(errs, "nobody is known") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

func TestOperatorsWordOnPeople(t *testing.T) {
	w := newWorld(t)
	must(t, w.catalog.DeclareOperator(t.Context()))
	must(t, w.catalog.DeclareSource(t.Context(), &storagepb.SourceRecord{Id: "okta", Kind: "idp"}))
	for id, p := range map[string]*pb.Profile{
		"u1": {Name: "Ann Berg", Emails: []string{"ann@example.com"}, Department: "Sales"}, "u2": {Name: "Ann B", Emails: []string{"annb@example.com"}},
	} {
		_, err := w.catalog.Accept(t.Context(), &pb.Observation{Source: "okta", SourceId: id, ObservedAt: timestamppb.New(noon), Subject: &pb.Observation_Person{Person: p}})
		must(t, err)
	}
	w.ok("people", "assert", "ann@example.com", "department=Finance", "location.site=Oslo", "--same-as", "annb@example.com")
	if out := w.ok("people", "show", "annb@example.com"); !strings.Contains(out, "Finance") || !strings.Contains(out, "Oslo") {
		t.Error(out)
	}
	if out := w.ok("people", "explain", "ann@example.com"); !strings.Contains(out, "says that they are the same") || !strings.Contains(out, "DELETE /v1/statements/") {
		t.Error(out)
	}
	w.ok("people", "assert", "ann@example.com", "department=", "location.site=")
	if out := w.ok("people", "show", "ann@example.com"); strings.Contains(out, "Finance") || !strings.Contains(out, "Sales") {
		t.Error(out)
	}
	if out := w.ok("people", "history", "ann@example.com", "--field", "department"); !strings.Contains(out, "Finance") || !strings.Contains(out, "Sales") || strings.Contains(out, "Oslo") {
		t.Errorf("the history of her department:\n%s", out)
	}
	if _, errs, code := w.call("people", "history", "nobody@example.com"); code != exitNotFound || !strings.Contains(errs, "nobody is known") {
		t.Errorf("the history of nobody: %d, %s", code, errs)
	}
	if _, errs, code := w.call("people", "assert", "ann@example.com", "name=Zoe"); code == 0 || !strings.Contains(errs, "only for: title") {
		t.Errorf("exit %d: %s", code, errs)
	}
}
