package main

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A site's own rule judges what is handed in, and Prometheus sees it.
func TestASitesRuleJudgesTheFleet(t *testing.T) {
	dir := t.TempDir()
	rule := `rules:
  - id: site-os
    version: 1
    title: The system is Debian
    description: We run Debian only.
    severity: high
    needs: [os.name]
    require: asset.os.name == "Debian"
    remediation: Install Debian.
    references: {}
    examples:
      - {name: ours, want: pass, asset: {os: {name: Debian}}}
      - {name: other, want: fail, asset: {os: {name: Other}}}
`
	if err := os.WriteFile(filepath.Join(dir, "site.yaml"), []byte(rule), 0o600); err != nil {
		t.Fatal(err)
	}
	s := testSettings(filepath.Join(dir, "data"))
	s.RulesDir = dir
	s.APIRate = -1 // it is asked until judging has followed
	r := start(t, s, io.Discard)
	r.ask(t, "PUT", "/v1/sources/cmdb", `{"kind":"file"}`, nil)
	r.push(t, `{"source":"cmdb","source_id":"1","observed_at":"2026-01-01T00:00:00Z","device":{"name":"a","os":{"name":"Other"}}}`)
	var got struct {
		Findings []struct {
			Title, Severity string
			AssetName       string `json:"asset_name"`
		}
	}
	// Judging follows a change within moments.
	r.eventually(t, "/v1/findings?rule=site-os", "site-os")
	r.ask(t, "GET", "/v1/findings?rule=site-os", "", &got)
	if len(got.Findings) != 1 || got.Findings[0].AssetName != "a" || got.Findings[0].Title != "The system is Debian" {
		t.Fatalf("findings %+v", got)
	}
	if m := r.metrics(t); !strings.Contains(m, `rollcall_findings_open{rule="site-os",severity="high"} 1`) {
		t.Errorf("not among the metrics:\n%s", m)
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	bad := strings.Replace(rule, "asset.os.name ==", "asset.os.nane ==", 1)
	if err := os.WriteFile(filepath.Join(dir, "site.yaml"), []byte(bad), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := serve(t.Context(), s, newLogger(io.Discard, s), nil); err == nil || !strings.Contains(err.Error(), "site.yaml:8") {
		t.Errorf("a mistake in a rule is told as %v", err)
	}
}

// push hands in one observation.
func (r *running) push(t *testing.T, line string) {
	t.Helper()
	r.ask(t, "POST", "/v1/observations", line, nil)
}

func (r *running) metrics(t *testing.T) string {
	t.Helper()
	token, err := os.ReadFile(filepath.Join(r.dir, "admin-token"))
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodGet, "http://"+r.http.Addr().String()+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
