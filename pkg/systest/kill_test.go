package systest

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const (
	killRounds    = 10
	killAgents    = 50
	reportsARound = 2000
)

// The collector is killed in the middle of 2,000 reports from 50 agents, ten
// times over: whatever it acknowledged is there when it comes back.
func TestAcknowledgedReportsSurviveKill(t *testing.T) {
	c := newCollector(t)
	acks := filepath.Join(t.TempDir(), "acks")
	sim := start(t, "fleetsim", c.sim(t, "--agents", strconv.Itoa(killAgents), "--titles", "200",
		"--mode", "change", "--reports", strconv.Itoa(killRounds*reportsARound), "--retry", "--acks", acks)...)
	for round := range killRounds {
		at := round*reportsARound + reportsARound/4 + rand.IntN(reportsARound/2)
		until(t, fmt.Sprintf("round %d: %d reports are acknowledged", round, at), func() error {
			select {
			case <-sim.exited:
				t.Fatalf("fleetsim ended early: %v", sim.err)
			default:
			}
			if n := acknowledged(t, acks).total; n < at {
				return fmt.Errorf("%d so far", n)
			}
			return nil
		})
		c.kill()
		before := acknowledged(t, acks)
		c.serve(t)
		c.holds(t, before)
	}
	if err := sim.wait(); err != nil {
		t.Fatalf("fleetsim: %v", err)
	}
	last := acknowledged(t, acks)
	if len(last.latest) != killAgents || last.total < killRounds*reportsARound {
		t.Errorf("%d reports of %d agents are acknowledged, want %d of %d", last.total, len(last.latest), killRounds*reportsARound, killAgents)
	}
	c.holds(t, last)
	if n := len(c.assets(t)); n != killAgents {
		t.Errorf("%d assets, want %d", n, killAgents)
	}
}

// acked is what fleetsim wrote: for each agent the number of the last report
// that was acknowledged.
type acked struct {
	latest map[string]int
	total  int
}

func acknowledged(t testing.TB, path string) acked {
	t.Helper()
	a := acked{latest: make(map[string]int)}
	f, err := os.Open(path)
	if os.IsNotExist(err) {
		return a
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		name, number, ok := strings.Cut(lines.Text(), " ")
		n, err := strconv.Atoi(number)
		if !ok || err != nil {
			continue // the line being written
		}
		a.latest[name] = max(a.latest[name], n)
		a.total++
	}
	return a
}

// holds checks that the collector knows, of each agent, the report that was
// acknowledged last, or a later one: fleetsim numbers its reports in os.build
// and changes the software along with it.
func (c *collector) holds(t testing.TB, want acked) {
	t.Helper()
	builds := make(map[string]int)
	for _, a := range c.assets(t) {
		name, _ := a["name"].(string)
		if _, reports := want.latest[name]; !reports {
			continue // a feed told of it
		}
		system, _ := a["os"].(map[string]any)
		build, _ := system["build"].(string)
		n, err := strconv.Atoi(build)
		if err != nil {
			t.Errorf("asset %s has os.build %q", name, build)
		}
		if rows, _ := a["software_count"].(float64); rows != 200 {
			t.Errorf("asset %s has %v software rows, want 200", name, rows)
		}
		builds[name] = n
	}
	for name, n := range want.latest {
		if got, ok := builds[name]; !ok || got < n {
			t.Errorf("%s: report %d was acknowledged, the collector holds %d (%v)", name, n, got, ok)
		}
	}
}
