package api

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-itam/rollcall/collector/compliance"
	"github.com/rollcall-itam/rollcall/collector/expr"
	"github.com/rollcall-itam/rollcall/collector/policy"
)

// sites is a world with two sites: Ann's two laptops are in berlin and Bob's,
// whose every word has "outside" in it, is in paris.
type sites struct {
	*world
	// berlin and reader are tokens, of an admin and a viewer of that site.
	berlin, reader    string
	inside, outside   string
	product, unshared string
}

const siteRules = `
rules:
  - id: encrypted
    version: 1
    title: The disk is encrypted
    description: It is.
    severity: high
    needs: [security.disk_encryption.state]
    require: asset.security.disk_encryption.state == "on"
    remediation: Encrypt it.
    references: {}
    examples:
      - {name: good, want: pass, asset: {security: {disk_encryption: {state: "on"}}}}
      - {name: bad, want: fail, asset: {security: {disk_encryption: {state: "off"}}}}
`

func newSites(t *testing.T) *sites {
	t.Helper()
	w := &sites{world: newWorld(t)}
	w.judged()
	w.must("PUT", "/v1/sources/okta", `{"kind":"idp"}`)
	w.must("PUT", "/v1/sources/jamf", `{"kind":"mdm"}`)
	if err := w.catalog.DeclareOperator(t.Context()); err != nil {
		t.Fatal(err)
	}
	at := time.Now().UTC().Add(-time.Hour).Format(time.RFC3339)
	device := `{"source":"jamf","source_id":"%s","observed_at":"` + at + `","device":{"name":"%s","class":"laptop","labels":{"site":"%s"},"hardware":{"manufacturer":"Apple","serial":"%s"},"owner":{"email":"%s"},"security":{"disk_encryption":{"state":"off"}},"network":{"hostname":"same"},"software":[{"kind":"app","name":"Shared","version":"1"},{"kind":"app","name":"%s","version":"1"}]}}`
	got := w.push(
		`{"source":"okta","source_id":"1","observed_at":"`+at+`","person":{"name":"Ann Berg","emails":["ann@example.com"],"status":"active"}}`,
		`{"source":"okta","source_id":"2","observed_at":"`+at+`","person":{"name":"Outside Bob","emails":["outside@example.com"],"account":"CORP\\outside","status":"active"}}`,
		fmt.Sprintf(device, "1", "ANN-1", "berlin", "C02AAAAAAAA1", "ann@example.com", "AnnTool"),
		fmt.Sprintf(device, "2", "ANN-2", "berlin", "C02AAAAAAAA2", "ann@example.com", "AnnTool"),
		fmt.Sprintf(device, "outside3", "OUTSIDE-3", "paris", "C02OUTSIDE3", "outside@example.com", "OutsideTool"))
	w.inside, w.outside = got[2]["asset_id"], got[4]["asset_id"]
	w.berlin, w.reader = w.scoped("admin"), w.scoped("viewer")
	var titles struct{ Software []struct{ ID, Name string } }
	w.get("/v1/software", &titles)
	for _, x := range titles.Software {
		switch x.Name {
		case "Shared":
			w.product = x.ID
		case "OutsideTool":
			w.unshared = x.ID
		}
	}
	w.until(func() bool { return w.total(w.admin, "/v1/findings") == 3 })
	return w
}

// judged has the assets of a world judged.
func (w *sites) judged() {
	env, err := expr.New()
	if err != nil {
		w.t.Fatal(err)
	}
	file := policy.Read("test.yaml", []byte(siteRules))
	pack, problems := policy.Build(env, file)
	if len(problems) > 0 {
		w.t.Fatal(problems)
	}
	e := compliance.New(compliance.Options{Store: w.service.Store, Catalog: w.catalog, Pack: pack, Logger: slog.New(slog.DiscardHandler), Now: time.Now, Env: env, Files: []*policy.File{file}})
	w.catalog.OnChange(e.Changed)
	w.service.Compliance = e
	done := make(chan error, 1)
	ctx := w.t.Context()
	go func() { done <- e.Run(ctx) }()
	w.t.Cleanup(func() { <-done })
}

// until waits for something to be so.
func (w *sites) until(so func() bool) {
	w.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(20 * time.Second); !so(); {
		select {
		case <-tick.C:
		case <-end:
			w.t.Fatal("it did not come to be so")
		}
	}
}

// scoped makes a token for berlin, as an administrator would.
func (w *sites) scoped(role string) string {
	w.t.Helper()
	r := w.must("POST", "/v1/tokens", `{"kind":"api","name":"berlin","role":"`+role+`","scope":["label.site=berlin"]}`)
	if fmt.Sprint(r["scope"]) != "[labels.site=berlin]" {
		w.t.Fatalf("the scope is %v", r["scope"])
	}
	return r["token"].(string)
}

// as asks with a token.
func (w *sites) as(token, method, path, body string) (int, map[string]any) {
	w.t.Helper()
	code, _, b := w.ask(token, method, path, body)
	var out map[string]any
	if err := json.Unmarshal(b, &out); err != nil {
		w.t.Fatalf("%s %s answers %d: %s", method, path, code, b)
	}
	return code, out
}

func (w *sites) total(token, path string) int {
	w.t.Helper()
	code, out := w.as(token, "GET", path, "")
	if code != 200 {
		w.t.Fatalf("%s answers %d %v", path, code, out)
	}
	n, _ := out["total_size"].(float64)
	return int(n)
}

// Counts in a list, in a group, of software and of findings are those of the
// part that one may see.
func TestCountsAreOfTheScope(t *testing.T) {
	w := newSites(t)
	for path, want := range map[string][2]int{
		"/v1/assets": {3, 2},
		"/v1/assets?filter=asset.class=='laptop'":                        {3, 2},
		"/v1/assets?search=shared":                                       {3, 2},
		"/v1/assets?search=outside":                                      {1, 0},
		"/v1/assets:group?by=labels.site":                                {3, 2},
		"/v1/software":                                                   {3, 2},
		"/v1/software/" + w.product + "/assets":                          {3, 2},
		"/v1/people":                                                     {2, 1},
		"/v1/people?search=outside":                                      {1, 0},
		"/v1/findings":                                                   {3, 2},
		"/v1/findings:group?by=rule":                                     {3, 2},
		"/v1/findings?owner=outside@example.com":                         {1, 0},
		"/v1/findings?filter=finding.severity==%22high%22":               {3, 2},
		"/v1/findings?filter=asset.labels.site!=%22berlin%22":            {1, 0},
		"/v1/findings:group?by=rule&filter=asset.name.contains(%22-%22)": {3, 2},
		"/v1/assets?filter=asset.labels.site%20==%27paris%27":            {1, 0},
	} {
		if all, part := w.total(w.admin, path), w.total(w.reader, path); all != want[0] || part != want[1] {
			t.Errorf("%s: %d, and %d with a scope, want %v", path, all, part, want)
		}
	}
	_, titles := w.as(w.reader, "GET", "/v1/software?search=shared", "")
	if n := titles["software"].([]any)[0].(map[string]any)["installs"]; n != 2.0 {
		t.Errorf("installs: %v", n)
	}
	_, stand := w.as(w.reader, "GET", "/v1/compliance", "")
	if now := stand["now"].(map[string]any); now["assets"] != "2" || now["failing"] != "2" || len(stand["days"].([]any)) != 1 {
		t.Errorf("stands: %v", stand)
	}
	_, rules := w.as(w.reader, "GET", "/v1/rules", "")
	if r := rules["rules"].([]any)[0].(map[string]any); r["fail"] != "2" {
		t.Errorf("the rule says: %v", r)
	}
	if _, info := w.as(w.reader, "GET", "/v1/server", ""); info["assets"] != nil && info["assets"] != "2" {
		t.Errorf("server: %v", info)
	}
	if _, me := w.as(w.reader, "GET", "/v1/caller", ""); me["role"] != "viewer" || fmt.Sprint(me["scope"]) != "[labels.site=berlin]" || !strings.HasPrefix(me["actor"].(string), "token:") {
		t.Errorf("caller: %v", me)
	}
}

// What is outside cannot be read or changed, and does not exist.
func TestOutsideDoesNotExist(t *testing.T) {
	w := newSites(t)
	at := "as_of=" + time.Now().UTC().Format(time.RFC3339Nano)
	for _, tc := range [][3]string{
		{"GET", "/v1/assets/%s", ""}, {"GET", "/v1/assets/%s?" + at, ""}, {"GET", "/v1/assets/%s/software", ""}, {"GET", "/v1/assets/%s/software?" + at, ""},
		{"GET", "/v1/assets/%s:history", ""}, {"GET", "/v1/assets/%s:explain", ""}, {"GET", "/v1/assets/%s:sources", ""}, {"GET", "/v1/findings?asset=%s", ""},
		{"POST", "/v1/assets/%s:assert", `{"set":{"stage":"in_repair"}}`},
		{"POST", "/v1/findings/%s.encrypted:waive", `{"reason":"x","until":"` + time.Now().Add(time.Hour).UTC().Format(time.RFC3339) + `"}`},
		{"POST", "/v1/findings/%s.encrypted:acknowledge", `{}`},
	} {
		if code, out := w.as(w.berlin, tc[0], fmt.Sprintf(tc[1], w.outside), tc[2]); code != 404 {
			t.Errorf("%s %s answers %d %v", tc[0], tc[1], code, out)
		}
		if code, out := w.as(w.berlin, tc[0], fmt.Sprintf(tc[1], w.inside), tc[2]); code != 200 {
			t.Errorf("%s %s of what is inside answers %d %v", tc[0], tc[1], code, out)
		}
	}
	for path, want := range map[string]int{"/v1/people/outside@example.com": 404, "/v1/people/outside@example.com:context": 404, "/v1/people/ann@example.com:context": 200,
		"/v1/people/CORP%5Coutside": 404, "/v1/software/" + w.unshared + "/assets": 404, "/v1/people/nobody@example.com": 404} {
		if code, out := w.as(w.berlin, "GET", path, ""); code != want {
			t.Errorf("%s answers %d %v", path, code, out)
		}
	}
	if code, out := w.as(w.berlin, "DELETE", "/v1/observations/jamf/outside3", ""); code != 404 {
		t.Errorf("a record outside is withdrawn: %d %v", code, out)
	}
	for _, body := range []string{`{"same_as":["` + w.outside + `"]}`, `{"same_as":["jamf/outside3"]}`, `{"not_same_as":["jamf/outside3"]}`} {
		if code, out := w.as(w.berlin, "POST", "/v1/assets/"+w.inside+":assert", body); code != 404 {
			t.Errorf("%s: %d %v", body, code, out)
		}
	}
	for _, body := range []string{`{"set":{"labels":{"site":"paris"}}}`, `{"clear":["labels.site"]}`, `{"clear":["labels"]}`} {
		if code, out := w.as(w.berlin, "POST", "/v1/assets/"+w.inside+":assert", body); code != 403 {
			t.Errorf("%s: %d %v", body, code, out)
		}
	}
	if code, out := w.as(w.berlin, "POST", "/v1/assets/"+w.inside+":assert", `{"set":{"labels":{"room":"12"}}}`); code != 200 {
		t.Errorf("another label: %d %v", code, out)
	}
	if code, _ := w.as(w.berlin, "POST", "/v1/observations", `{}`); code != 403 {
		t.Errorf("who sees a part hands in observations: %d", code)
	}
	if code, _, _ := w.ask(w.reader, "GET", "/metrics", ""); code != 403 {
		t.Errorf("metrics of the whole fleet: %d", code)
	}
	w.auditNamesTheScope()
}

func (w *sites) auditNamesTheScope() {
	w.t.Helper()
	found := make(map[string]bool)
	_, log := w.as(w.admin, "GET", "/v1/audit?page_size=1000", "")
	for _, e := range log["entries"].([]any) {
		if x := e.(map[string]any); x["scope"] == "labels.site=berlin" {
			found[x["action"].(string)] = true
		}
	}
	for _, want := range []string{"asset.assert", "finding.waived", "signin"} {
		if !found[want] {
			w.t.Errorf("no %s names the scope: %v", want, found)
		}
	}
}

// Handlers reach assets through the fleet that is their caller's, and in no
// other way.
func TestHandlersAskTheirCallersFleet(t *testing.T) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	// What reads assets, and who but the fleet may.
	guarded := []string{"Asset", "ResolveAsset", "ScanAssets", "NextAsset", "AsOf", "Explain"}
	const fleets, writer = "fleet.go", "export.go"
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), f.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if call, is := n.(*ast.CallExpr); is {
				if sel, ok = call.Fun.(*ast.SelectorExpr); ok {
					ok = slices.Contains(guarded, sel.Sel.Name)
				}
			} else if ok {
				of, _ := sel.X.(*ast.SelectorExpr)
				ok = sel.Sel.Name == "View" && (of == nil || of.Sel.Name != "Store") && fmt.Sprint(sel.X) != "view"
			}
			if ok && f.Name() != fleets && (f.Name() != writer || sel.Sel.Name != "Asset") {
				t.Errorf("%s reads .%s: ask s.fleet(ctx), which knows who asks", f.Name(), sel.Sel.Name)
			}
			return true
		})
	}
}
