package api

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/rollcall-itam/rollcall/collector/compliance"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

func findingsAt(parameters ...string) string {
	q := make(url.Values)
	for i := 0; i < len(parameters); i += 2 {
		q.Set(parameters[i], parameters[i+1])
	}
	return "/v1/findings?" + q.Encode()
}

// Findings are filtered beside their assets, in any order and page by page, over
// REST as over gRPC.
func TestFindingsAreFilteredAndSorted(t *testing.T) {
	w := newSites(t)
	w.must("POST", "/v1/findings/"+w.outside+".encrypted:acknowledge", `{"reason":"OPS-12"}`)
	names := func(path string) (got []string) {
		t.Helper()
		for page := path; ; {
			var p struct {
				Findings []struct {
					AssetName string `json:"asset_name"`
				}
				NextPageToken string `json:"next_page_token"`
			}
			w.get(page, &p)
			for _, f := range p.Findings {
				got = append(got, f.AssetName)
			}
			if p.NextPageToken == "" {
				return got
			}
			page = path + "&page_token=" + url.QueryEscape(p.NextPageToken)
		}
	}
	for _, tc := range []struct {
		path string
		want []string
	}{
		{findingsAt("order_by", "asset.name", "page_size", "1"), []string{"ANN-1", "ANN-2", "OUTSIDE-3"}},
		{findingsAt("order_by", "asset.name desc", "page_size", "2"), []string{"OUTSIDE-3", "ANN-2", "ANN-1"}},
		{findingsAt("filter", `finding.state == "acknowledged"`), []string{"OUTSIDE-3"}},
		{findingsAt("filter", `finding.reason == "OPS-12" && asset.labels.site == "paris" && finding.decided_by.startsWith("token:")`), []string{"OUTSIDE-3"}},
		{findingsAt("filter", `asset.owner.email == "ann@example.com"`, "order_by", "asset.name", "state", "open"), []string{"ANN-1", "ANN-2"}},
		{findingsAt("filter", `has_software("AnnTool") && age(finding.last_seen) < days(1)`, "order_by", "asset.name desc", "page_size", "1"), []string{"ANN-2", "ANN-1"}},
		{findingsAt("filter", `age(finding.opened_at) > days(1)`), nil},
		{findingsAt("filter", `finding.state == "resolved"`, "state", "resolved"), nil},
	} {
		if got := names(tc.path); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", tc.path, got, tc.want)
		}
	}
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+w.admin)
	out, err := adminpb.NewAdminServiceClient(dial(t, w.service)).ListFindings(ctx, &adminpb.ListFindingsRequest{Filter: `asset.name == "ANN-2"`, OrderBy: "severity desc"})
	if err != nil || out.GetTotalSize() != 1 || out.GetFindings()[0].GetAssetName() != "ANN-2" {
		t.Errorf("over gRPC: %v, %v", out, err)
	}
}

// What is wrong with a question for findings is said, where, and what was meant.
func TestFindingsAreAskedForWrongly(t *testing.T) {
	w := newSites(t)
	var first struct {
		NextPageToken string `json:"next_page_token"`
	}
	w.get(findingsAt("page_size", "1", "order_by", "asset.name"), &first)
	for _, tc := range []struct{ path, want string }{
		{findingsAt("filter", `finding.severty == "high"`), `filter: column 8: there is no field "severty" here: did you mean severity?`},
		{findingsAt("filter", `finding.rule == "x" && severity == "high"`), `column 24: "severity" is not known: write finding.severity`},
		{findingsAt("filter", `asset.findings.open > 1`), `cannot be filtered by`},
		{findingsAt("filter", `finding.opened_at > 3`), `column 19`},
		{findingsAt("filter", strings.Repeat("x", 9000)), "8192"},
		{findingsAt("order_by", "asset.nme"), "meant is perhaps name"},
		{findingsAt("order_by", "serious"), "findings are sorted by decided_at, decided_by, last_seen, opened_at, reason, resolved_at, rule, severity, state, waived_until, or by a field of the asset"},
		{findingsAt("order_by", "severity desc", "page_token", first.NextPageToken), "page_token"},
		{findingsAt("order_by", "asset.name", "filter", "true", "page_token", first.NextPageToken), "page_token"},
		{"/v1/findings:group?by=rule&filter=finding.rul=='x'", "did you mean rule"},
	} {
		code, out := w.as(w.admin, "GET", tc.path, "")
		if text, _ := out["message"].(string); code != 400 || !strings.Contains(text, tc.want) {
			t.Errorf("%s: %d %v, want %s", tc.path, code, out, tc.want)
		}
	}
}

// The list, the groups, the assets and the metrics tell the same numbers.
func TestFindingsAreCountedOnce(t *testing.T) {
	w := newSites(t)
	w.must("POST", "/v1/findings/"+w.inside+".encrypted:waive", `{"reason":"x","until":"`+time.Now().Add(time.Hour).UTC().Format(time.RFC3339)+`"}`)
	for state, want := range map[compliance.State]int{compliance.Open: 2, compliance.Waived: 1, compliance.Acknowledged: 0} {
		counted := 0
		for _, c := range w.service.Compliance.Counts() { // which the metrics show
			counted += c.Findings[state].Sum()
		}
		filter := url.QueryEscape(fmt.Sprintf("finding.state == %q", state))
		for path, got := range map[string]int{"metrics": counted, "list": w.total(w.admin, "/v1/findings?state="+string(state)), "filter": w.total(w.admin, "/v1/findings?filter="+filter),
			"group": w.total(w.admin, "/v1/findings:group?by=rule&state="+string(state)), "group of a filter": w.total(w.admin, "/v1/findings:group?by=asset.labels.site&filter="+filter)} {
			if got != want {
				t.Errorf("%s: %s has %d, want %d", state, path, got, want)
			}
		}
	}
	open := 0
	for _, a := range w.must("GET", "/v1/assets?fields=findings", "")["assets"].([]any) {
		n, _ := a.(map[string]any)["findings"].(map[string]any)["open"].(float64)
		open += int(n)
	}
	if open != 2 {
		t.Errorf("the assets have %d", open)
	}
}
