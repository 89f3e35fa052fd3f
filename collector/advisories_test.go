package main

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const advisoryLines = `{"id":"DSA-5000-1","published":"2026-01-10T00:00:00Z","modified":"2026-01-11T00:00:00Z","summary":"openssl - security update","upstream":["CVE-2026-0001","CVE-2026-0002"],"affected":[{"package":{"ecosystem":"Debian:12","name":"openssl"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"3.0.11-1~deb12u2"}]}],"ecosystem_specific":{"urgency":"high"}}]}
{"id":"DEBIAN-CVE-2026-0003","modified":"2026-02-01T00:00:00Z","affected":[{"package":{"ecosystem":"Debian:12","name":"vim"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"}]}]}]}
{"id":"broken
`

const exploitedCatalog = `{"catalogVersion":"2026.11.20","dateReleased":"2026-11-20T15:00:00Z","vulnerabilities":[{"cveID":"CVE-2026-0002","vulnerabilityName":"OpenSSL","dateAdded":"2026-01-12","dueDate":"2026-02-02","knownRansomwareCampaignUse":"Known"}]}`

// typed runs a command line, and returns all that it prints.
func typed(t *testing.T, args ...string) (string, int) {
	t.Helper()
	out, errs, code := runCommand(t, args...)
	return out + errs, code
}

// eventually asks until an answer has a text.
func (r *running) eventually(t *testing.T, path, text string) string {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	end := time.After(30 * time.Second)
	for {
		_, b := r.answer(t, "GET", path, "")
		if strings.Contains(string(b), text) {
			return string(b)
		}
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("GET %s does not come to have %s: %s", path, text, b)
		}
	}
}

// Advisories that are imported, before the collector runs and while it does, judge
// the packages of the fleet; where there are none, nothing is known.
func TestAdvisoriesJudgeTheFleet(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	file := func(name, text string) string {
		name = filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	if out, code := typed(t, "advisories", "list", "--data-dir", dir); code == 0 || !strings.Contains(out, "advisories import") {
		t.Errorf("list of nothing exits with %d: %s", code, out)
	}
	out, code := typed(t, "advisories", "import", "--data-dir", dir, file("debian.ndjson", advisoryLines))
	if code != 0 || !strings.Contains(out, "debian: 2 of 3 records are kept, about 2 packages of Debian:12; the newest is of 2026-02-01") || !strings.Contains(out, "left out: 1 not a record of OSV, such as debian.ndjson:3") {
		t.Fatalf("import exits with %d: %s", code, out)
	}
	r := start(t, testSettings(dir), io.Discard)
	r.ask(t, "PUT", "/v1/sources/cmdb", `{"kind":"mdm"}`, nil)
	at := `","observed_at":"` + time.Now().UTC().Format(time.RFC3339) + `","device":`
	r.push(t, `{"source":"cmdb","source_id":"1`+at+`{"name":"web-1","os":{"family":"linux","id":"debian","name":"Debian GNU/Linux","version":"12.9"},"software":[{"kind":"deb","name":"libssl3","version":"3.0.11-1~deb12u1","source_package":"openssl"},{"kind":"deb","name":"vim","version":"2:9.0"}]}}`)
	r.push(t, `{"source":"cmdb","source_id":"2`+at+`{"name":"web-2","os":{"family":"linux","id":"debian","name":"Debian GNU/Linux","version":"12.9"},"software":[{"kind":"deb","name":"libssl3","version":"3.0.11-1~deb12u2","source_package":"openssl"}]}}`)
	r.push(t, `{"source":"cmdb","source_id":"3`+at+`{"name":"pc","os":{"family":"windows","name":"Windows 11 Pro","version":"24H2"},"software":[{"kind":"msi","name":"openssl","version":"1.0"}]}}`)
	findings := r.eventually(t, "/v1/findings?rule=vulnerability-unfixed", "web-1")
	if !strings.Contains(findings, "openssl 3.0.11-1~deb12u1, fixed in 3.0.11-1~deb12u2 (high, DSA-5000-1)") || strings.Contains(findings, "web-2") || strings.Contains(findings, `"pc"`) {
		t.Errorf("findings %s", findings)
	}
	if out, code := typed(t, "advisories", "import", "--data-dir", dir, file("kev.json", exploitedCatalog)); code != 0 || !strings.Contains(out, "known-exploited: 1 known exploited vulnerabilities as of 2026-11-20") {
		t.Fatalf("import exits with %d: %s", code, out)
	}
	r.eventually(t, "/v1/findings?rule=vulnerability-exploited", "openssl 3.0.11-1~deb12u1, fixed in 3.0.11-1~deb12u2 (DSA-5000-1)")
	var assets struct{ Assets []struct{ ID, Name string } }
	r.ask(t, "GET", "/v1/assets?order_by=name", "", &assets)
	for i, want := range [][]string{
		{`no release of a distribution`},
		{`"covered":true`, `"system":"Debian:12"`, `"compared":2`, `"total_size":2`, `"id":"DSA-5000-1"`, `"due":"2026-02-02"`, `"titles":["libssl3"]`, `"fixed":"3.0.11-1~deb12u2"`, `"name":"vim"`},
		{`"covered":true`, `"compared":1`},
	} {
		_, b := r.answer(t, "GET", "/v1/assets/"+assets.Assets[i].ID+"/vulnerabilities", "")
		for _, text := range want {
			if got := strings.ReplaceAll(string(b), ": ", ":"); !strings.Contains(got, text) && !strings.Contains(strings.ReplaceAll(got, ", ", ","), text) {
				t.Errorf("%s has no %s: %s", assets.Assets[i].Name, text, b)
			}
		}
	}
	r.theFleet(t)
	out, code = typed(t, "advisories", "list", "--data-dir", dir)
	if code != 0 || !strings.Contains(out, "debian") || !strings.Contains(out, "known-exploited") {
		t.Errorf("list exits with %d: %s", code, out)
	}
	for _, name := range []string{"debian", "known-exploited"} {
		if out, code := typed(t, "advisories", "remove", "--data-dir", dir, name); code != 0 {
			t.Errorf("remove exits with %d: %s", code, out)
		}
	}
	r.eventually(t, "/v1/findings?state=resolved", "vulnerability-exploited")
	if err := r.stop(); err != nil {
		t.Error(err)
	}
}

// theFleet asks what is said of all assets.
func (r *running) theFleet(t *testing.T) {
	t.Helper()
	var list struct {
		TotalSize       int    `json:"total_size"`
		NextPageToken   string `json:"next_page_token"`
		CoveredAssets   int    `json:"covered_assets"`
		NotCovered      int    `json:"not_covered_assets"`
		Vulnerabilities []struct {
			ID             string
			Assets         int
			KnownExploited bool `json:"known_exploited"`
		}
	}
	r.eventually(t, "/v1/vulnerabilities?known_exploited=true", "DSA-5000-1")
	r.ask(t, "GET", "/v1/vulnerabilities?page_size=1", "", &list)
	if list.TotalSize != 2 || list.CoveredAssets != 2 || list.NotCovered != 1 || len(list.Vulnerabilities) != 1 || list.Vulnerabilities[0].ID != "DSA-5000-1" || !list.Vulnerabilities[0].KnownExploited || list.Vulnerabilities[0].Assets != 1 {
		t.Errorf("the first page is %+v", list)
	}
	r.ask(t, "GET", "/v1/vulnerabilities?page_size=1&page_token="+list.NextPageToken, "", &list)
	if len(list.Vulnerabilities) != 1 || list.Vulnerabilities[0].ID != "DEBIAN-CVE-2026-0003" {
		t.Errorf("the second page is %+v", list)
	}
	for path, want := range map[string]string{
		"/v1/vulnerabilities?severity=unknown":     "DEBIAN-CVE-2026-0003",
		"/v1/vulnerabilities?severity=high":        "DSA-5000-1",
		"/v1/vulnerabilities?fixable=true":         "DSA-5000-1",
		"/v1/vulnerabilities?search=cve-2026-0001": "DSA-5000-1",
		"/v1/vulnerabilities?search=vim":           "DEBIAN-CVE-2026-0003",
		"/v1/vulnerabilities/CVE-2026-0002":        "web-1",
		"/v1/advisories/status":                    "Debian:12",
	} {
		code, b := r.answer(t, "GET", path, "")
		if code != http.StatusOK || !strings.Contains(string(b), want) || strings.Contains(string(b), "web-2") {
			t.Errorf("GET %s answers %d without %s: %s", path, code, want, b)
		}
	}
	for path, want := range map[string]int{"/v1/vulnerabilities?severity=worst": 400, "/v1/vulnerabilities/CVE-1": 404, "/v1/assets/none/vulnerabilities": 404, "/v1/vulnerabilities?search=" + strings.Repeat("x", 2000): 400} {
		if code, b := r.answer(t, "GET", path, ""); code != want {
			t.Errorf("GET %s answers %d: %s", path, code, b)
		}
	}
}

func TestAdvisorySettings(t *testing.T) {
	for name, tc := range map[string]struct {
		from []advisorySettings
		want string
	}{
		"nothing":         {[]advisorySettings{{}}, "has no from"},
		"too often":       {[]advisorySettings{{From: "/x", Every: time.Second}}, "want 5m0s to 744h0m0s"},
		"twice":           {[]advisorySettings{{From: "/a/Debian/all.zip"}, {From: "https://mirror.example/Debian/all.zip"}}, `both be kept as "debian"`},
		"http":            {[]advisorySettings{{From: "http://u:secret@mirror.example/kev.json"}}, "http://u:xxxxx@mirror.example/kev.json: http is for a mirror in house"},
		"a path by proxy": {[]advisorySettings{{From: "/x", Proxy: "environment"}}, "are for an address"},
		"a bad proxy":     {[]advisorySettings{{From: "https://mirror.example/x", Proxy: "::"}}, "proxy"},
	} {
		if _, err := (settings{Advisories: tc.from}).advisorySources(); err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
	good := []advisorySettings{{From: "https://mirror.example/kev.json"}, {From: "http://mirror.corp.example/x", AllowPrivate: true, Every: time.Hour}, {From: "/srv/osv", Name: "mine"}}
	sources, err := (settings{Advisories: good}).advisorySources()
	if err != nil || len(sources) != 3 || sources[0].Every != 24*time.Hour || sources[0].Client == nil || sources[2].Name != "mine" {
		t.Errorf("%+v, %v", sources, err)
	}
	if out, code := typed(t, "advisories", "import", "--data-dir", t.TempDir(), "https://127.0.0.1:1/all.zip"); code == 0 || !strings.Contains(out, "private network") {
		t.Errorf("an address of a private network: %d %s", code, out)
	}
}
