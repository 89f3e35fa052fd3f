package systest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The programs of the commits that ROLLCALL_OLDER names, separated by commas, are
// built from this repository's history, and their agents report to this
// collector. What older agents said on the wire is a test of the collector that
// needs no history, and always runs.
func TestOlderAgentsReport(t *testing.T) {
	older := os.Getenv("ROLLCALL_OLDER")
	if older == "" {
		t.Skip("ROLLCALL_OLDER names no commits whose agents are to be built")
	}
	c := newCollector(t)
	for _, commit := range strings.Split(older, ",") {
		t.Run(commit, func(t *testing.T) {
			agent := buildOlder(t, commit)
			token := c.enrolToken(t, 1)
			args := c.agent(token, t.TempDir(), "--once")
			// The second time it has its certificate, and nothing new to say.
			for range 2 {
				if _, errs, code := call(t, nil, agent, args...); code != 0 {
					t.Fatalf("agent --once exits with %d:\n%s", code, errs)
				}
			}
			var answer struct {
				Agents []struct {
					AssetID string `json:"asset_id"`
				}
			}
			c.get(t, "/v1/agents?page_size=100", &answer)
			var asset struct {
				Os            struct{ Family string }
				SoftwareCount int `json:"software_count"`
			}
			for _, a := range answer.Agents {
				if a.AssetID == "" {
					t.Fatalf("an agent without an asset: %+v", answer)
				}
				c.get(t, "/v1/assets/"+a.AssetID, &asset)
				if asset.Os.Family != "linux" || asset.SoftwareCount == 0 {
					t.Errorf("asset %s: %+v", a.AssetID, asset)
				}
			}
		})
	}
}

// buildOlder builds the agent of a commit.
func buildOlder(t *testing.T, commit string) string {
	t.Helper()
	root, dir := filepath.Join("..", ".."), t.TempDir()
	if out, err := exec.Command("git", "-C", root, "cat-file", "-e", commit+"^{commit}").CombinedOutput(); err != nil {
		t.Skipf("commit %s is not in the history here: %v %s", commit, err, out)
	}
	archive := filepath.Join(dir, "source.tar")
	for _, command := range [][]string{
		{"git", "-C", root, "archive", "-o", archive, commit},
		{"tar", "xf", archive, "-C", dir},
		{"go", "build", "-C", dir, "-o", filepath.Join(dir, "rollcall-agent"), "./agent"},
	} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", command, err, out)
		}
	}
	return filepath.Join(dir, "rollcall-agent")
}
