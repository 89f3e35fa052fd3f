package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// appleRule is a rule of the site that all three assets pass.
const appleRule = `
rules:
  - id: apple-only
    version: 1
    title: Apple only
    severity: medium
    needs: [hardware.manufacturer]
    require: asset.hardware.manufacturer == "Apple"
    remediation: Buy another.
    examples:
      - {name: ours, want: pass, asset: {hardware: {manufacturer: Apple}}}
      - {name: other, want: fail, asset: {hardware: {manufacturer: Dell}}}
`

// content is the body that has a file of rules.
func content(file string) string {
	b, _ := json.Marshal(map[string]string{"content": file})
	return string(b)
}

// parisRule is appleRule as it is changed: what is of Paris fails.
func parisRule(version int) string {
	return strings.NewReplacer("version: 1", fmt.Sprint("version: ", version), `require: asset.hardware.manufacturer == "Apple"`, `require: asset.labels.site != "paris"`,
		"needs: [hardware.manufacturer]", "needs: [labels]", "asset: {hardware: {manufacturer: Apple}}", "asset: {labels: {site: berlin}}",
		"asset: {hardware: {manufacturer: Dell}}", "asset: {labels: {site: paris}}").Replace(appleRule)
}

// audited returns what the audit log has of an action, the latest first, as the
// target and the detail.
func (w *world) audited(action string) []string {
	w.t.Helper()
	var log struct {
		Entries []struct{ Actor, Action, Target, Detail string }
	}
	w.get("/v1/audit?page_size=500&action="+action, &log)
	var out []string
	for _, e := range log.Entries {
		if !strings.HasPrefix(e.Actor, "token:") {
			w.t.Errorf("%s of %s is by %q", e.Action, e.Target, e.Actor)
		}
		out = append(out, strings.TrimSpace(e.Action+" "+e.Target+" "+e.Detail))
	}
	return out
}

// A rule is tried, put, changed and ended over REST; each of it stands in the audit
// log, and trying does not change anything.
func TestRulesOfTheSite(t *testing.T) {
	w := newSites(t)
	const rule = "/v1/rules/apple-only"
	origin := func() string {
		var all struct {
			Rules []struct{ ID, Origin string }
		}
		w.get("/v1/rules", &all)
		for _, r := range all.Rules {
			if r.ID == "apple-only" {
				return r.Origin
			}
		}
		return ""
	}
	tried := w.must("POST", "/v1/rules:try", content(parisRule(1)))
	r := tried["rules"].([]any)[0].(map[string]any)
	if failing := r["failing"].([]any); tried["assets"] != "3" || r["fail"] != "1" || r["pass"] != "2" || len(failing) != 1 || failing[0].(map[string]any)["asset_name"] != "OUTSIDE-3" {
		t.Errorf("tried: %v", tried)
	}
	if n := w.total(w.admin, "/v1/findings"); n != 3 || origin() != "" || len(w.audited("rule")) != 0 {
		t.Errorf("after it was tried there are %d findings, the rule is of %q, and the audit log has %v", n, origin(), w.audited("rule"))
	}

	if put := w.must("PUT", rule, content(appleRule)); put["id"] != "apple-only" || put["origin"] != "api" || put["content"] != appleRule || !strings.HasPrefix(fmt.Sprint(put["written_by"]), "token:") {
		t.Errorf("put: %v", put)
	}
	w.must("PUT", rule, content(appleRule)) // once more does no harm
	code, refused := w.as(w.admin, "PUT", rule, content(strings.Replace(parisRule(1), "medium", "low", 1)))
	if code != http.StatusBadRequest || !strings.Contains(fmt.Sprint(refused["message"]), "count the version up") {
		t.Errorf("a change without another version is answered %d %v", code, refused)
	}
	if n := w.total(w.admin, "/v1/findings?rule=apple-only"); n != 0 {
		t.Errorf("%d findings of a rule that all pass", n)
	}
	w.must("PUT", rule, content(parisRule(2)))
	w.until(func() bool { return w.total(w.admin, "/v1/findings?rule=apple-only") == 1 })
	w.must("DELETE", rule, "")
	w.until(func() bool { return w.total(w.admin, "/v1/findings") == 3 })
	if code, _ := w.as(w.admin, "GET", "/v1/findings?rule=apple-only", ""); code != http.StatusNotFound {
		t.Errorf("the findings of a rule that is no more are answered %d", code)
	}
	if code, _ := w.as(w.admin, "DELETE", rule, ""); code != http.StatusNotFound || origin() != "" {
		t.Errorf("deleted twice is answered %d, and the rule is of %q", code, origin())
	}
	want := []string{"rule.delete apple-only", "rule.put apple-only version 2", "rule.put apple-only version 1", "rule.put apple-only version 1"}
	if got := w.audited("rule"); !slices.Equal(got, want) {
		t.Errorf("the audit log has %q, want %q", got, want)
	}
}

// What cannot hold, and who may not, changes nothing and leaves no entry.
func TestRulesThatAreRefused(t *testing.T) {
	w := newSites(t)
	viewer, operator := w.token("viewer"), w.token("operator")
	const rule = "/v1/rules/apple-only"
	for name, tc := range map[string]struct {
		token, method, path, body string
		code                      int
		want                      string
	}{
		"no content":           {w.admin, "PUT", rule, `{}`, 400, "apple-only"},
		"no JSON":              {w.admin, "PUT", rule, `rules:`, 400, ""},
		"no YAML":              {w.admin, "PUT", rule, content("rules: [\n"), 400, ""},
		"another rule":         {w.admin, "PUT", "/v1/rules/another", content(appleRule), 400, `another`},
		"an unknown field":     {w.admin, "PUT", rule, content(strings.Replace(appleRule, "hardware.manufacturer ==", "hardware.manufacturr ==", 1)), 400, "did you mean manufacturer"},
		"a wrong example":      {w.admin, "PUT", rule, content(strings.Replace(appleRule, "{manufacturer: Apple}", "{manufacturer: Acer}", 1)), 400, "ours"},
		"no such severity":     {w.admin, "PUT", rule, content(strings.Replace(appleRule, "medium", "dreadful", 1)), 400, "severity"},
		"settings":             {w.admin, "PUT", rule, content(appleRule + "settings:\n  - {id: encrypted, enabled: false}\n"), 400, "settings"},
		"a rule of a file":     {w.admin, "PUT", "/v1/rules/encrypted", content(siteRules), 400, "stands in a file"},
		"deleted from a file":  {w.admin, "DELETE", "/v1/rules/encrypted", "", 400, "stands in a file"},
		"deleted, not there":   {w.admin, "DELETE", "/v1/rules/nix", "", 404, "nix"},
		"too much":             {w.admin, "PUT", rule, content(strings.Repeat("# x\n", 1<<19)), 0, ""},
		"tried without YAML":   {w.admin, "POST", "/v1/rules:try", `{"content":7}`, 400, ""},
		"put by a viewer":      {viewer, "PUT", rule, content(appleRule), 403, "viewer"},
		"put by an operator":   {operator, "PUT", rule, content(appleRule), 403, "operator"},
		"put by a part":        {w.berlin, "PUT", rule, content(appleRule), 403, ""},
		"tried by a viewer":    {viewer, "POST", "/v1/rules:try", content(appleRule), 403, "viewer"},
		"tried by a part":      {w.berlin, "POST", "/v1/rules:try", content(appleRule), 403, ""},
		"deleted by a viewer":  {viewer, "DELETE", rule, "", 403, "viewer"},
		"put by nobody":        {"", "PUT", rule, content(appleRule), 401, "token"},
		"tried by a wrong one": {"rca_x", "POST", "/v1/rules:try", content(appleRule), 401, "token"},
	} {
		code, _, b := w.ask(tc.token, tc.method, tc.path, tc.body)
		if tc.code == 0 && code < 400 || tc.code != 0 && code != tc.code || !strings.Contains(string(b), tc.want) {
			t.Errorf("%s is answered %d, want %d and %q: %.300s", name, code, tc.code, tc.want, b)
		}
	}
	// Mistakes in what is tried are the answer, with their places.
	tried := w.must("POST", "/v1/rules:try", content(strings.Replace(appleRule, "manufacturer ==", "manufacturr ==", 1)))
	if p, ok := tried["problems"].([]any); !ok || p[0].(map[string]any)["line"] != 8.0 || p[0].(map[string]any)["rule"] != "apple-only" {
		t.Errorf("a mistake is answered with %v", tried)
	}
	if _, ok := w.must("GET", "/v1/rules", "")["rules"].([]any); !ok || len(w.audited("rule")) != 0 {
		t.Errorf("what was refused left %v", w.audited("rule"))
	}
}

// A finding is acknowledged, waived and taken back; what is refused leaves it as it
// was.
func TestDecisionsOnFindings(t *testing.T) {
	w := newSites(t)
	viewer, desk := w.token("viewer"), w.token("servicedesk")
	path := "/v1/findings/" + w.outside + ".encrypted"
	until := time.Now().UTC().AddDate(0, 0, 30).Truncate(time.Second).Format(time.RFC3339)
	waive := fmt.Sprintf(`{"until":%q,"reason":"a demonstration unit"}`, until)
	if f := w.must("POST", path+":acknowledge", `{"reason":"OPS-12"}`); f["state"] != "acknowledged" || f["reason"] != "OPS-12" {
		t.Errorf("acknowledged: %v", f)
	}
	if f := w.must("POST", path+":waive", waive); f["state"] != "waived" || f["waived_until"] != until {
		t.Errorf("waived: %v", f)
	}
	now, _ := w.must("GET", "/v1/compliance?days=1", "")["now"].(map[string]any)
	if now["waived"] != "1" || now["failing"] != "2" || now["assets"] != "3" {
		t.Errorf("the compliance with one waived: %v", now)
	}
	for name, tc := range map[string]struct {
		token, path, body string
		code              int
		want              string
	}{
		"no reason":              {w.admin, path + ":waive", fmt.Sprintf(`{"until":%q}`, until), 400, "reason"},
		"no end":                 {w.admin, path + ":waive", `{"reason":"x"}`, 400, "until"},
		"an end that has passed": {w.admin, path + ":waive", `{"reason":"x","until":"2020-01-01T00:00:00Z"}`, 400, "has passed"},
		"ten years":              {w.admin, path + ":waive", `{"reason":"x","until":"2037-01-01T00:00:00Z"}`, 400, ""},
		"an end that is none":    {w.admin, path + ":waive", `{"reason":"x","until":"soon"}`, 400, ""},
		"an unknown rule":        {w.admin, "/v1/findings/" + w.outside + ".nix:acknowledge", `{}`, 400, "does not fail"},
		"an unknown asset":       {w.admin, "/v1/findings/01a21029-a2e1-7e05-b065-fec06c9cf29a.encrypted:waive", waive, 404, ""},
		"no id of a finding":     {w.admin, "/v1/findings/nonsense:reopen", `{}`, 404, ""},
		"waived by a viewer":     {viewer, path + ":waive", waive, 403, "viewer"},
		"waived by a desk":       {desk, path + ":waive", waive, 403, "servicedesk"},
		"reopened by a viewer":   {viewer, path + ":reopen", `{}`, 403, "viewer"},
		"of another part":        {w.berlin, path + ":waive", waive, 404, ""},
		"by nobody":              {"", path + ":acknowledge", `{}`, 401, "token"},
	} {
		if code, _, b := w.ask(tc.token, "POST", tc.path, tc.body); code != tc.code || !strings.Contains(string(b), tc.want) {
			t.Errorf("%s is answered %d, want %d and %q: %.300s", name, code, tc.code, tc.want, b)
		}
	}
	if n := w.total(w.admin, "/v1/findings?state=waived"); n != 1 {
		t.Errorf("after what was refused %d are waived", n)
	}
	if f := w.must("POST", path+":reopen", `{}`); f["state"] != "open" {
		t.Errorf("reopened: %v", f)
	}
	if code, f := w.as(desk, "POST", path+":acknowledge", `{"reason":"SD-7"}`); code != 200 || f["state"] != "acknowledged" {
		t.Errorf("acknowledged by a desk: %d %v", code, f)
	}
	target := w.outside + ".encrypted"
	var actions []string
	for _, row := range w.audited("finding") {
		action, _, _ := strings.Cut(row, " ")
		if actions = append(actions, action); !strings.Contains(row, w.outside) || !strings.Contains(row, "encrypted") {
			t.Errorf("the audit log does not name %s: %q", target, row)
		}
	}
	if want := []string{"finding.acknowledged", "finding.reopen", "finding.waived", "finding.acknowledged"}; !slices.Equal(actions, want) {
		t.Errorf("the audit log has %q, want %q", actions, want)
	}
}

// How the fleet stands is asked for so many days, and of the part that one may see.
func TestComplianceOverHTTP(t *testing.T) {
	w := newSites(t)
	for token, want := range map[string]string{w.admin: "3", w.reader: "2"} {
		code, all := w.as(token, "GET", "/v1/compliance?days=400", "")
		now, _ := all["now"].(map[string]any)
		if code != 200 || now["assets"] != want || now["failing"] != want || now["open"].(map[string]any)["high"] != want || now["score"] != 0.0 {
			t.Errorf("%d, want %s assets: %v", code, want, all)
		}
	}
	for query, want := range map[string]string{"days=401": "400", "days=-1": "days", "days=x": "", "dayz=1": ""} {
		if code, _, b := w.ask(w.admin, "GET", "/v1/compliance?"+query, ""); code != http.StatusBadRequest || !strings.Contains(string(b), want) {
			t.Errorf("%s is answered %d: %s", query, code, b)
		}
	}
	if code, _, b := w.ask(w.token("metrics"), "GET", "/v1/compliance", ""); code != http.StatusForbidden {
		t.Errorf("to a token of metrics it is answered %d: %s", code, b)
	}
}
