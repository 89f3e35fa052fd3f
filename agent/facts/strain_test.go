package facts

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/rollcall-itam/rollcall/agent/host"
	"github.com/rollcall-itam/rollcall/pkg/section"
)

const (
	calm   = "some avg10=0.00 avg60=12.50 avg300=80.00 total=9\nfull avg10=0.00 avg60=99.00 avg300=0.00 total=0\n"
	strife = "some avg10=0.00 avg60=50.00 avg300=0.00 total=9813606642\n"
	// two is /proc/stat of a machine of two processors.
	two = "cpu  1 2 3\ncpu0 1 2 3\ncpu1 1 2 3\nintr 99 0\nctxt 7\ncpufreq 1\n"
)

func TestBusyOnLinux(t *testing.T) {
	for name, tc := range map[string]struct {
		pressure, load, stat string
		want                 bool
	}{
		"calm":                   {calm, "9.00 0 0 1/2 3\n", two, false},
		"tasks stall":            {strife, "0.00 0.00 0.00 1/134 18815\n", two, true},
		"no pressure, load":      {"", "3.00 0.10 0.10 1/134 18815\n", two, true},
		"no pressure, calm":      {"", "2.99 9.00 9.00 1/134 18815\n", two, false},
		"no pressure, none told": {"", "", two, false},
		"no processors told":     {"", "9.00 9.00 9.00 1/2 3\n", "intr 1\n", false},
		"garbage":                {"some avg10=x avg60=y\n", "many\n", two, false},
		"more than all":          {"some avg60=5000\n", "9.00 9 9 1/2 3\n", two, true},
		"not a number":           {"some avg60=NaN\n", "0.10 0 0 1/2 3\n", two, false},
	} {
		t.Run(name, func(t *testing.T) {
			tree := fstest.MapFS{"proc/stat": {Data: []byte(tc.stat)}}
			for file, text := range map[string]string{"proc/pressure/cpu": tc.pressure, "proc/loadavg": tc.load} {
				if text != "" {
					tree[file] = &fstest.MapFile{Data: []byte(text)}
				}
			}
			if got := busyProcessors(t.Context(), &host.Host{FS: tree, OS: "linux", Now: time.Now}); got != tc.want {
				t.Errorf("busy is %v", got)
			}
		})
	}
}

// Macs count tasks, Windows tells how long its processors worked.
func TestBusyElsewhere(t *testing.T) {
	for name, tc := range map[string]struct {
		goos, answers string
		want          bool
	}{
		"mac, busy":        {"darwin", `{"load_average": 12.0, "logical_processors": 8}`, true},
		"mac, calm":        {"darwin", `{"load_average": 11.9, "logical_processors": 8}`, false},
		"mac, says little": {"darwin", `{"load_average": 99}`, false},
		"windows, busy":    {"windows", `{"busy": 90.0}`, true},
		"windows, calm":    {"windows", `{"busy": 89.9, "load_average": 99, "logical_processors": 1}`, false},
		"windows, silent":  {"windows", `{}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			text := `{"os": "` + tc.goos + `", "agent_version": "1", "time": "2026-11-25T08:00:00Z", "answers": ` + tc.answers + `}`
			if err := os.WriteFile(filepath.Join(dir, "machine.json"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			h, err := host.Replay(dir)
			if err != nil {
				t.Fatal(err)
			}
			if got := busyProcessors(t.Context(), h); got != tc.want {
				t.Errorf("busy is %v", got)
			}
		})
	}
}

func TestDearFactsWaitForProcessorsAFewHoursAtMost(t *testing.T) {
	r := newRhythm(t, Fact{Section: section.OS, Every: time.Hour})
	r.tree["proc/pressure/cpu"] = &fstest.MapFile{Data: []byte(strife)}
	r.expect("first, whatever else is to do", 0, 1)
	r.expect("put off", time.Hour, 1)
	out, _ := r.collect(0)
	if c := out.Costs[0]; c.Waits != waitsForProcessors || out.Device.GetOs().GetEdition() != "look 1" || len(out.Problems) > 0 {
		t.Errorf("what is put off is told as %+v, %v, %v", c, out.Device, out.Problems)
	}
	r.expect("put off still", maxWhileBusy-time.Second, 1)
	r.expect("put off long enough", time.Second, 2)
	if out, _ = r.collect(time.Minute); out.Costs[0].Waits != "" {
		t.Errorf("what is not due waits: %+v", out.Costs[0])
	}
	r.expect("put off again", time.Hour, 2)
	r.tree["proc/pressure/cpu"] = &fstest.MapFile{Data: []byte(calm)}
	r.expect("calm", time.Minute, 3)

	r = newRhythm(t, Fact{Section: section.OS})
	r.tree["proc/pressure/cpu"] = &fstest.MapFile{Data: []byte(strife)}
	r.expect("cheap", 0, 1)
	r.expect("cheap facts do not wait", time.Minute, 2)
}

// An embedded controller that does not answer must not hang the agent, nor
// keep dear facts from being learnt.
func TestABatteryThatHangsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRhythm(t, Fact{Section: section.OS, Every: time.Hour})
		release := make(chan struct{})
		r.tree[powerSupply+"/BAT0/type"] = &fstest.MapFile{Data: []byte("Battery\n")}
		r.host.FS = away{FS: r.tree, release: release, prefix: powerSupply}
		r.expect("first", 0, 1)
		begin := time.Now()
		r.expect("due", time.Hour, 2)
		if took := time.Since(begin); took != defaultTimeout {
			t.Errorf("given up after %s", took)
		}
		begin = time.Now()
		r.expect("due again", time.Hour, 3)
		if took := time.Since(begin); took != 0 {
			t.Errorf("the hanging battery is asked again, for %s", took)
		}
		close(release)
	})
}

func FuzzStalled(f *testing.F) {
	for _, seed := range []string{calm, strife, "some avg60=\n", strings.Repeat("some ", 99)} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if percent, ok := stalled(text); ok && (percent < 0 || percent > 100) {
			t.Errorf("%f percent", percent)
		}
		processorsOf(text)
	})
}
