package compliance

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-itam/rollcall/collector/advisory"
	"github.com/rollcall-itam/rollcall/collector/policy"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// advisories returns a set of what some records say.
func advisories(t *testing.T, records ...string) *advisory.Set {
	t.Helper()
	dir, now := t.TempDir(), time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	file := filepath.Join(t.TempDir(), "debian.ndjson")
	if err := os.WriteFile(file, []byte(strings.Join(records, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := (advisory.Import{Dir: dir, Path: file, Now: now}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	l, err := advisory.Open(dir, slog.New(slog.DiscardHandler), func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	return l.Set()
}

// record is an advisory about one package of Debian 12; without a fixed version
// there is none.
func record(id, name, fixed, published, urgency string) string {
	events := `{"introduced":"0"}`
	if fixed != "" {
		events += `,{"fixed":"` + fixed + `"}`
	}
	return fmt.Sprintf(`{"id":%q,"published":"%sT00:00:00Z","modified":"2026-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"Debian:12","name":%q},"ranges":[{"type":"ECOSYSTEM","events":[%s]}],"ecosystem_specific":{"urgency":%q}}]}`, id, published, name, events, urgency)
}

// What advisories say of an asset is unknown where there are none for its system,
// and follows its packages, the advisories and the time.
func TestVulnerablePackages(t *testing.T) {
	f := builtin(t)
	debian := &pb.Os{Family: "linux", Id: "debian", Name: "Debian GNU/Linux", Version: "12.5"}
	vim := &pb.Software{Kind: "deb", Name: "vim", Version: "2:9.0-1"}
	curl := func(version string) []*pb.Software {
		return []*pb.Software{{Kind: "deb", Name: "curl", Version: version}, {Kind: "deb", Name: "libcurl4", Version: version, SourcePackage: "curl"}, vim}
	}
	f.device(&pb.Device{Os: debian, Software: curl("8.0-1")})
	if got := f.result("vulnerability-unfixed"); got != policy.Unknown {
		t.Errorf("without advisories: %s", got)
	}
	f.e.Advise(advisories(t, record("DSA-1-1", "curl", "8.0-2", "2026-11-10", "high"), record("DSA-2-1", "vim", "", "2026-01-01", "high"), record("DSA-3-1", "curl", "8.0-2", "2026-01-01", "low")))
	f.settle()
	if got := f.result("vulnerability-unfixed"); got != policy.Pass {
		t.Errorf("fixed ten days ago: %s", got)
	}
	f.now = f.now.AddDate(0, 0, 21)
	f.settle()
	if got := f.detail("vulnerability-unfixed"); got != "[curl 8.0-1, fixed in 8.0-2 (high, DSA-1-1)]" {
		t.Errorf("fixed a month ago: %s", got)
	}
	f.device(&pb.Device{Os: debian, Software: curl("8.0-2")})
	if got := f.result("vulnerability-unfixed"); got != policy.Pass {
		t.Errorf("updated: %s", got)
	}
	f.device(&pb.Device{Os: debian, Software: curl("7.9-1")})
	if got := f.result("vulnerability-unfixed"); got != policy.Fail {
		t.Errorf("gone back: %s", got)
	}
	f.now = f.now.Add(time.Hour)
	f.device(&pb.Device{Os: &pb.Os{Family: "linux", Id: "debian", Name: "Debian GNU/Linux", Version: "11.9"}, Software: curl("7.9-1")})
	if got := f.result("vulnerability-unfixed"); got != policy.Unknown {
		t.Errorf("on a release without advisories: %s", got)
	}
	f.device(&pb.Device{Os: debian})
	if got := f.result("vulnerability-unfixed"); got != policy.Unknown {
		t.Errorf("without a list of software: %s", got)
	}
	f.e.Advise(nil)
	f.settle()
	if got := f.result("vulnerability-exploited"); got != policy.Unknown {
		t.Errorf("with the advisories removed: %s", got)
	}
}

func TestDetailsAreBounded(t *testing.T) {
	var many []string
	for i := range 100 {
		many = append(many, fmt.Sprint(i))
	}
	if diff := cmp.Diff(many[:maxDetail], few(many[:maxDetail])); diff != "" {
		t.Error(diff)
	}
	if got := few(many); len(got) != maxDetail || got[maxDetail-1] != "and 76 more" || got[0] != "0" || len(many) != 100 || many[maxDetail-1] != "24" {
		t.Errorf("%d: %v", len(got), got)
	}
}
