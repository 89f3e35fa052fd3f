package compliance

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rollcall-itam/rollcall/collector/advisory"
	"github.com/rollcall-itam/rollcall/collector/policy"
	"github.com/rollcall-itam/rollcall/collector/policy/eol"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// supportUntil is end-of-life data that knows one product.
func supportUntil(t *testing.T, day string) *eol.Table {
	t.Helper()
	table, err := eol.Parse([]byte(`{"generated_at":"2026-11-01T00:00:00Z","result":[{"name":"python","label":"Python","category":"lang","releases":[{"name":"3.9","releaseDate":"2020-10-05","eolFrom":"` + day + `"}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// An asset that is judged for the first time while other data takes the place of
// what it is judged by, is judged by the other, though it never changes again.
func TestJudgedWhileDataIsSwapped(t *testing.T) {
	python := []*pb.Software{{Kind: "msi", Name: "Python 3.9.13 (64-bit)", Version: "3.9.13150.0", Publisher: "Python Software Foundation"}}
	debian := []*pb.Software{{Kind: "deb", Name: "curl", Version: "8.0-1"}}
	for name, tc := range map[string]struct {
		device *pb.Device
		rule   string
		swap   func(e *Engine)
	}{
		"end of life": {&pb.Device{Os: &pb.Os{Family: "windows", Name: "Windows 11"}, Software: python}, "software-eol",
			func(e *Engine) { e.Outlive(supportUntil(t, "2025-10-31")) }},
		"advisories": {&pb.Device{Os: &pb.Os{Family: "linux", Id: "debian", Name: "Debian GNU/Linux", Version: "12.5"}, Software: debian}, "vulnerability-unfixed",
			func(e *Engine) { e.Advise(advisories(t, record("DSA-1-1", "curl", "8.0-2", "2026-01-10", "high"))) }},
	} {
		t.Run(name, func(t *testing.T) {
			f := builtin(t)
			f.e.Outlive(supportUntil(t, "2030-10-31"))
			if err := f.e.load(t.Context()); err != nil {
				t.Fatal(err)
			}
			f.accept(tc.device)
			if err := f.e.sift(t.Context()); err != nil {
				t.Fatal(err)
			}
			found, err := f.e.judgeSome(t.Context(), f.e.take())
			if err != nil || len(found) != 1 {
				t.Fatal(found, err)
			}
			tc.swap(f.e)
			if err := f.e.file(t.Context(), found); err != nil {
				t.Fatal(err)
			}
			f.settle()
			if got := f.result(tc.rule); got != policy.Fail {
				t.Errorf("judged while the data was swapped: %s", got)
			}
		})
	}
}

const catalogOfExploited = `{"title":"CISA Catalog of Known Exploited Vulnerabilities","catalogVersion":"2026.11.01","dateReleased":"2026-11-01T00:00:00Z","count":1,
"vulnerabilities":[{"cveID":"CVE-2026-7001","dateAdded":"2026-11-01","dueDate":"2026-11-22"}]}`

// A vulnerability that is exploited fails a second rule once the day has passed
// until which the catalog wants it fixed, without a change of the asset.
func TestExploitedVulnerabilitiesFallDue(t *testing.T) {
	f := builtin(t)
	dir, in := t.TempDir(), t.TempDir()
	for name, text := range map[string]string{
		"kev.json": catalogOfExploited,
		"debian.json": `{"id":"DEBIAN-CVE-2026-7001","upstream":["CVE-2026-7001"],"published":"2026-11-01T00:00:00Z","modified":"2026-11-01T00:00:00Z",
			"affected":[{"package":{"ecosystem":"Debian:12","name":"curl"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"8.0-2"}]}]}]}`,
	} {
		if err := os.WriteFile(filepath.Join(in, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := (advisory.Import{Dir: dir, Path: filepath.Join(in, name), Now: f.now}).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	l, err := advisory.Open(dir, slog.New(slog.DiscardHandler), f.clock)
	if err != nil {
		t.Fatal(err)
	}
	f.e.Advise(l.Set())
	f.device(&pb.Device{Os: &pb.Os{Family: "linux", Id: "debian", Name: "Debian GNU/Linux", Version: "12.5"}, Software: []*pb.Software{{Kind: "deb", Name: "curl", Version: "8.0-1"}}})
	f.now = time.Date(2026, 11, 22, 23, 59, 0, 0, time.UTC)
	f.settle()
	if a, b := f.result("vulnerability-exploited"), f.result("vulnerability-overdue"); a != policy.Fail || b != policy.Pass {
		t.Errorf("on the day: exploited is %s, overdue %s", a, b)
	}
	f.now = f.now.Add(2 * time.Minute)
	f.settle()
	if got := f.detail("vulnerability-overdue"); got != "[curl 8.0-1, due on 2026-11-22 (DEBIAN-CVE-2026-7001)]" {
		t.Errorf("the day after: %s", got)
	}
}
