package main

import (
	"io"
	"strings"
	"testing"
	"time"
)

// A finding is waived over the API, counted apart in the metrics and by
// department, and comes back when it is reopened.
func TestAFindingIsWaived(t *testing.T) {
	r := start(t, testSettings(t.TempDir()), io.Discard)
	defer func() {
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	}()
	r.ask(t, "PUT", "/v1/sources/cmdb", `{"kind":"mdm"}`, nil)
	r.push(t, `{"source":"cmdb","source_id":"1","observed_at":"`+time.Now().UTC().Format(time.RFC3339)+`","device":{"name":"a","class":"laptop","owner":{"email":"ann@example.com","department":"Sales"},"security":{"disk_encryption":{"state":"off"}}}}`)
	type finding struct {
		ID, State, Reason string
		DecidedBy         string `json:"decided_by"`
	}
	var got struct{ Findings []finding }
	r.eventually(t, "/v1/findings?rule=disk-encryption&department=sales", "disk-encryption")
	r.ask(t, "GET", "/v1/findings?rule=disk-encryption&department=sales", "", &got)
	if len(got.Findings) != 1 || got.Findings[0].State != "open" {
		t.Fatalf("findings %+v", got)
	}
	id := got.Findings[0].ID
	metric := func(want ...string) {
		t.Helper()
		m := r.metrics(t)
		for _, w := range want {
			if !strings.Contains(m, w) {
				t.Errorf("not among the metrics: %s", w)
			}
		}
	}
	metric(`rollcall_findings_open{rule="disk-encryption",severity="critical"} 1`, `rollcall_findings_waived{rule="disk-encryption",severity="critical"} 0`)
	until := time.Now().AddDate(0, 1, 0).UTC().Format(time.RFC3339)
	var one finding
	r.ask(t, "POST", "/v1/findings/"+id+":waive", `{"until":"`+until+`","reason":"a demonstration unit without data"}`, &one)
	if one.State != "waived" || one.Reason != "a demonstration unit without data" || !strings.HasPrefix(one.DecidedBy, "token:") {
		t.Errorf("waived as %+v", one)
	}
	metric(`rollcall_findings_open{rule="disk-encryption",severity="critical"} 0`, `rollcall_findings_waived{rule="disk-encryption",severity="critical"} 1`,
		`rollcall_rule_assets{result="fail",rule="disk-encryption",severity="critical"} 1`)
	var groups struct {
		Groups []struct {
			Value         string
			Count, Waived int
		}
	}
	r.ask(t, "GET", "/v1/findings:group?by=owner.department&rule=disk-encryption", "", &groups)
	if len(groups.Groups) != 1 || groups.Groups[0].Value != "Sales" || groups.Groups[0].Count != 1 || groups.Groups[0].Waived != 1 {
		t.Errorf("by department: %+v", groups)
	}
	r.ask(t, "POST", "/v1/findings/"+id+":reopen", `{}`, &one)
	metric(`rollcall_findings_open{rule="disk-encryption",severity="critical"} 1`)
	for body, want := range map[string]string{
		`{"reason":"x"}`: "until is missing", `{"until":"2020-01-01T00:00:00Z","reason":"x"}`: "has passed", `{"until":"2099-01-01T00:00:00Z","reason":"x"}`: "three years",
		`{"until":"` + until + `"}`: "reason is missing",
	} {
		if text := r.refused(t, "POST", "/v1/findings/"+id+":waive", body); !strings.Contains(text, want) {
			t.Errorf("%s is refused with %s, want %s", body, text, want)
		}
	}
	asset, _, _ := strings.Cut(id, ".")
	if text := r.refused(t, "POST", "/v1/findings/"+asset+".firewall:waive", `{"until":"`+until+`","reason":"x"}`); !strings.Contains(text, "does not fail") {
		t.Errorf("a waiver of what is not open is refused with %s", text)
	}
}
