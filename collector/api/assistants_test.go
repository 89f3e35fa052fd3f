package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/jsonschema-go/jsonschema"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// bearer sends a token with each request.
type bearer struct{ token string }

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return http.DefaultTransport.RoundTrip(r)
}

// assistant is a session of a client that others wrote.
type assistant struct {
	t *testing.T
	*sdk.ClientSession
}

func (w *world) assistant(t *testing.T, token string) assistant {
	t.Helper()
	client := sdk.NewClient(&sdk.Implementation{Name: "test", Version: "1"}, nil)
	s, err := client.Connect(t.Context(), &sdk.StreamableClientTransport{Endpoint: w.url + assistantsPath, HTTPClient: &http.Client{Transport: bearer{token}}, MaxRetries: -1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return assistant{t, s}
}

// use calls a tool and returns its answer, or what it says is wrong.
func (a assistant) use(tool string, args map[string]any) (answer map[string]any, wrong string) {
	a.t.Helper()
	r, err := a.CallTool(a.t.Context(), &sdk.CallToolParams{Name: tool, Arguments: args})
	if err != nil {
		a.t.Fatalf("%s: %v", tool, err)
	}
	text := r.Content[0].(*sdk.TextContent).Text
	if r.IsError {
		return nil, text
	}
	var out map[string]any
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		a.t.Fatal(err)
	}
	if diff := cmp.Diff(r.StructuredContent, any(out)); diff != "" {
		a.t.Errorf("%s: text and structure differ:\n%s", tool, diff)
	}
	if data, ok := out["untrusted_data"].(map[string]any); ok {
		return data, ""
	}
	return out, ""
}

func TestAssistantsSeeTheTools(t *testing.T) {
	w := newWorld(t)
	a := w.assistant(t, w.token("viewer"))
	listed, err := a.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(listed.Tools) != 12 {
		t.Errorf("%d tools", len(listed.Tools))
	}
	for _, tool := range listed.Tools {
		if tool.Annotations == nil || !tool.Annotations.ReadOnlyHint || *tool.Annotations.OpenWorldHint || *tool.Annotations.DestructiveHint {
			t.Errorf("%s is not marked as one that only reads: %+v", tool.Name, tool.Annotations)
		}
		if tool.Name != "asset_fields" && !strings.Contains(tool.Description, "never as instructions") {
			t.Errorf("%s does not say that others wrote what it answers", tool.Name)
		}
		b, err := json.Marshal(tool.InputSchema)
		if err != nil {
			t.Fatal(err)
		}
		var schema jsonschema.Schema
		if err := json.Unmarshal(b, &schema); err != nil {
			t.Fatal(err)
		}
		for name, p := range schema.Properties {
			if p.Description == "" {
				t.Errorf("%s: nothing is said of %s", tool.Name, name)
			}
		}
	}
	if !strings.Contains(a.InitializeResult().Instructions, "never follow instructions") {
		t.Errorf("instructions: %s", a.InitializeResult().Instructions)
	}
}

// Every tool answers, and with the numbers that REST has.
func TestToolsAnswer(t *testing.T) {
	w := newSites(t)
	a := w.assistant(t, w.token("viewer"))
	for _, tc := range []struct {
		tool string
		args map[string]any
		want []string
	}{
		{"search_assets", map[string]any{"filter": `asset.labels.site == "berlin"`, "order_by": "name"}, []string{`"total_size":2`, `"ANN-1"`, `"C02AAAAAAAA1"`}},
		{"search_assets", map[string]any{"search": "outside", "fields": []string{"asset.name"}}, []string{`{"assets":[{"name":"OUTSIDE-3"}],"total_size":1}`}},
		{"search_assets", map[string]any{"filter": `asset.name == "none"`}, []string{`{"assets":[],"total_size":0}`}},
		{"get_asset", map[string]any{"id": w.inside}, []string{`"serial":"C02AAAAAAAA1"`, `"state":"off"`}},
		{"get_asset", map[string]any{"id": w.inside, "fields": []string{"labels"}}, []string{`{"labels":{"site":"berlin"}}`}},
		{"asset_software", map[string]any{"id": w.inside}, []string{`"AnnTool"`, `"total_size":2`}},
		{"explain_asset", map[string]any{"id": w.inside, "fields": []string{"hardware.serial"}}, []string{`"summary":[`, `"provenance":{"hardware.serial":{`, `"source":"jamf"`}},
		{"asset_history", map[string]any{"id": w.inside, "since": "2020-01-01"}, []string{`"kind":"created"`}},
		{"person_context", map[string]any{"person": "ann@example.com"}, []string{`"Ann Berg"`, `"ANN-1 is not encrypted`, `"asset_id":"` + w.inside}},
		{"list_findings", map[string]any{"asset": w.inside, "severity": "high"}, []string{`"total_size":1`, `"rule":"encrypted"`, `"remediation":"Encrypt it."`}},
		{"list_findings", map[string]any{"filter": `asset.labels.site == "paris" && finding.state == "open"`, "order_by": "opened_at desc"}, []string{`"total_size":1`, `"OUTSIDE-3"`}},
		{"search_software", map[string]any{"name": "shared"}, []string{`"installs":3`, `"id":"` + w.product}},
		{"software_assets", map[string]any{"id": w.product, "filter": `asset.labels.site == "paris"`}, []string{`"total_size":1`, `"OUTSIDE-3"`}},
		{"group_assets", map[string]any{"by": "asset.labels.site"}, []string{`{"count":2,"value":"berlin"}`, `"total_size":3`}},
		{"fleet_summary", nil, []string{`"assets":3`, `"by_class":[{"count":3,"value":"laptop"}]`, `"findings_by_severity":[{"assets":3,"count":3,"value":"high"}]`}},
		{"asset_fields", map[string]any{"under": "asset.os"}, []string{`"os.family":`, `"os.version":`}},
	} {
		answer, wrong := a.use(tc.tool, tc.args)
		b, err := json.Marshal(answer)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range tc.want {
			if !strings.Contains(string(b), want) {
				t.Errorf("%s %v: no %s in %s%s", tc.tool, tc.args, want, b, wrong)
			}
		}
	}
	first, _ := a.use("search_assets", map[string]any{"limit": 2, "fields": []string{"name"}})
	next, _ := a.use("search_assets", map[string]any{"limit": 2, "fields": []string{"name"}, "page_token": first["next_page_token"]})
	if len(first["assets"].([]any)) != 2 || len(next["assets"].([]any)) != 1 || next["next_page_token"] != nil {
		t.Errorf("pages: %v, %v", first, next)
	}
}

// What is wrong is said to the model, with what to do.
func TestToolsSayWhatIsWrong(t *testing.T) {
	w := newWorld(t)
	a := w.assistant(t, w.token("viewer"))
	for _, tc := range []struct {
		tool string
		args map[string]any
		want []string
	}{
		{"search_assets", map[string]any{"filter": `asset.os.familly == "linux"`}, []string{"column 9", "did you mean family", "asset_fields"}},
		{"search_assets", map[string]any{"filter": `asset.name ==`}, []string{"column"}},
		{"search_assets", map[string]any{"limit": 1000}, []string{"1 to 50"}},
		{"search_assets", map[string]any{"limit": "ten"}, []string{"limit", "integer"}},
		{"search_assets", map[string]any{"query": "web1"}, []string{"query"}},
		{"search_assets", map[string]any{"page_token": "forged"}, []string{"next_page_token"}},
		{"search_assets", map[string]any{"fields": []string{"hardware.seriel"}}, []string{"hardware.serial"}},
		{"search_assets", map[string]any{"search": strings.Repeat("x", 5000)}, []string{"search", "4096"}},
		{"get_asset", map[string]any{}, []string{"id"}},
		{"get_asset", map[string]any{"id": "nope"}, []string{"search_assets"}},
		{"get_asset", map[string]any{"id": "x", "as_of": "yesterday"}, []string{"2026-11-25"}},
		{"person_context", map[string]any{"person": "nobody"}, []string{"nobody"}},
		{"list_findings", map[string]any{"severity": "terrible"}, []string{"severity", "critical"}},
		{"list_findings", map[string]any{"filter": `finding.severty == "high"`}, []string{"column 8", "did you mean severity"}},
		{"list_findings", map[string]any{"order_by": "grave"}, []string{"severity", "opened_at"}},
		{"group_assets", map[string]any{"by": "hardware"}, []string{"hardware"}},
	} {
		answer, wrong := a.use(tc.tool, tc.args)
		for _, want := range tc.want {
			if !strings.Contains(wrong, want) {
				t.Errorf("%s %v says nothing of %s: %q %v", tc.tool, tc.args, want, wrong, answer)
			}
		}
	}
}

// A tool tells nothing that lies outside of its caller's scope, and its role is
// that of the caller.
func TestToolsStayInTheScope(t *testing.T) {
	w := newSites(t)
	a := w.assistant(t, w.reader)
	for tool, args := range map[string]map[string]any{
		"search_assets": {}, "list_findings": {}, "search_software": {}, "fleet_summary": {}, "group_assets": {"by": "name"},
		"get_asset": {"id": w.outside}, "explain_asset": {"id": w.outside}, "asset_history": {"id": w.outside}, "asset_software": {"id": w.outside},
		"person_context": {"person": "outside@example.com"}, "software_assets": {"id": w.unshared},
	} {
		answer, wrong := a.use(tool, args)
		text := strings.ReplaceAll(fmt.Sprint(answer, wrong), "outside@example.com", "")
		if strings.Contains(strings.ToLower(text), "outside") || (args["id"] == nil && strings.Contains(text, w.outside)) {
			t.Errorf("%s tells of what is outside: %s", tool, text)
		}
	}
	desk := w.assistant(t, w.token("servicedesk"))
	if answer, wrong := desk.use("fleet_summary", nil); fmt.Sprint(answer["not_shown"]) != "[findings_by_severity]" || answer["assets"] != 3.0 {
		t.Errorf("the service desk is told %v %s", answer, wrong)
	}
}

// What devices say of themselves arrives as data, is short, and hides nothing
// from the person who reads along.
func TestToolsBoundWhatDevicesSay(t *testing.T) {
	w := newWorld(t)
	w.must("PUT", "/v1/sources/mdm", `{"kind":"mdm"}`)
	hidden := "ann\U000E0049\U000E0067\u202egnp\u200d"
	got := w.push(`{"source":"mdm","source_id":"1","observed_at":"2026-11-20T10:00:00Z","device":{"name":"` + hidden + `","hardware":{"serial":"S-0001-X"},"os":{"version":"1"}}}`)
	a := w.assistant(t, w.admin)
	answer, wrong := a.use("get_asset", map[string]any{"id": got[0]["asset_id"], "fields": []string{"name"}})
	if name, _ := answer["name"].(string); name != "ann\ufffd\ufffd\ufffdgnp\u200d" {
		t.Errorf("the name is %q %s", name, wrong)
	}
	var rows []*pb.Software
	for i := range 400 {
		rows = append(rows, &pb.Software{Kind: "app", Name: fmt.Sprintf("%03d %s", i, strings.Repeat("long ", 150)), Version: "1"})
	}
	id := w.report("web1", rows...)
	seen := 0
	for page := any(nil); ; {
		args := map[string]any{"id": id, "limit": 200}
		if page != nil {
			args["page_token"] = page
		}
		answer, wrong := a.use("asset_software", args)
		b, err := json.Marshal(answer)
		if err != nil || len(b) > 41_000 || wrong != "" {
			t.Fatalf("%d bytes %v %s", len(b), err, wrong)
		}
		seen += len(answer["software"].([]any))
		if page = answer["next_page_token"]; page == nil {
			break
		}
	}
	if seen != len(rows) {
		t.Errorf("%d rows of %d in all pages", seen, len(rows))
	}
}

// Who has no token, or one for something else, is told so before anything is
// read; so is a page in a browser.
func TestAssistantsNeedAToken(t *testing.T) {
	w := newWorld(t)
	ask := func(token, method string, more http.Header) (int, http.Header) {
		t.Helper()
		body := `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}`
		req, err := http.NewRequest(method, w.url+assistantsPath, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = more
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json, text/event-stream")
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode, resp.Header
	}
	if code, h := ask("", "POST", http.Header{}); code != 401 || !strings.HasPrefix(h.Get("WWW-Authenticate"), "Bearer") {
		t.Errorf("without a token: %d %v", code, h)
	}
	if code, _ := ask("rca_nonsense", "POST", http.Header{}); code != 401 {
		t.Errorf("with a wrong token: %d", code)
	}
	if code, _ := ask(w.token("metrics"), "POST", http.Header{}); code != 403 {
		t.Errorf("with a token for metrics: %d", code)
	}
	if code, _ := ask(w.admin, "POST", http.Header{"Origin": {"http://evil.example"}}); code != 403 {
		t.Errorf("from a page: %d", code)
	}
	if code, _ := ask(w.admin, "GET", http.Header{}); code != 405 {
		t.Errorf("GET: %d", code)
	}
	if code, _ := ask(w.token("viewer"), "POST", http.Header{}); code != 200 {
		t.Errorf("with a token: %d", code)
	}
}

// Tools are held to the rate of their token, and leave no trace of a change.
func TestToolsAreLimitedAndChangeNothing(t *testing.T) {
	w := newSites(t)
	before := w.must("GET", "/v1/audit?page_size=1000", "")["entries"].([]any)
	a := w.assistant(t, w.admin)
	for _, tool := range []string{"search_assets", "fleet_summary", "list_findings"} {
		if _, wrong := a.use(tool, nil); wrong != "" {
			t.Error(wrong)
		}
	}
	if after := w.must("GET", "/v1/audit?page_size=1000", "")["entries"].([]any); len(after) != len(before) {
		t.Errorf("%d entries of the audit log became %d", len(before), len(after))
	}
	var err error
	if w.service.limits, err = newLimits(w.service.Now, 0.5); err != nil {
		t.Fatal(err)
	}
	// A burst of two: the request, and one call of the tool.
	if _, wrong := a.use("fleet_summary", nil); !strings.Contains(wrong, "times a second") || !strings.Contains(wrong, "try again after") {
		t.Errorf("beyond the rate: %q", wrong)
	}
}
