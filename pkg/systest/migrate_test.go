package systest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// oldStores are fixtures of the collector: a store of each older schema, and what
// its last collector said of the assets in it.
var oldStores = filepath.Join("..", "..", "collector", "testdata", "stores")

// moments are lines of the log in whose wake a migration is disturbed, and how
// long after them.
var moments = []struct {
	line   string
	within time.Duration
}{
	{"store was written by an older version and is migrated", 400 * time.Millisecond},
	{"store is backed up before it is migrated", 30 * time.Millisecond},
	{"store is migrated", 100 * time.Millisecond},
}

// A collector that migrates its store is killed, and its disk is filled: it
// starts by itself, and says what the older one said. ROLLCALL_ROUNDS=100 does
// that often.
func TestDisastersWhileItMigrates(t *testing.T) {
	versions, err := filepath.Glob(filepath.Join(oldStores, "*.rcb"))
	if err != nil || len(versions) == 0 {
		t.Fatal(versions, err)
	}
	disk := smallDisk(t, diskMiB)
	start := rand.IntN(len(versions) * len(moments) * len(disasters))
	for i := range rounds(t, 2) {
		n := start + i
		old, moment, disaster := versions[n%len(versions)], moments[n/len(versions)%len(moments)], disasters[n/len(versions)/len(moments)%len(disasters)]
		delay := time.Duration(rand.Int64N(int64(moment.within)))
		what := fmt.Sprintf("round %d: %s, %v after %q, from %s", i, disaster, delay.Round(time.Millisecond), moment.line, filepath.Base(old))
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			dir := filepath.Join(disk, "data")
			if out, errs, code := call(t, nil, "rollcall-collector", "restore", "--data-dir", dir, "--min-free", strconv.Itoa(minFree), old); code != 0 {
				t.Fatalf("restore: %s%s", out, errs)
			}
			s := supervise(t, dir, "--min-free", strconv.Itoa(minFree))
			until(t, moment.line, func() error {
				if !strings.Contains(s.out.String(), moment.line) {
					return fmt.Errorf("not yet: %s", tail(s.out.String()))
				}
				return nil
			})
			<-time.After(delay)
			s.strike(t, disk, disaster)
			began := time.Now()
			s.answers(t)
			t.Logf("%s; ready after %v and %d starts", what, time.Since(began).Round(10*time.Millisecond), s.starts.Load())
			s.saysAsBefore(t, strings.TrimSuffix(old, ".rcb")+".json")
			if out, errs, code := call(t, nil, "rollcall-collector", "check", "--data-dir", dir, "--min-free", strconv.Itoa(minFree)); code != 0 {
				t.Errorf("%s: check: %d %s%s", what, code, out, errs)
			}
			s.end(syscall.SIGTERM)
			if out, errs, code := call(t, nil, "rollcall-collector", "backup", "verify", filepath.Join(dir, "backups", strings.TrimSuffix(filepath.Base(old), ".rcb"))); code != 0 {
				t.Errorf("%s: the backup before it: %d %s%s", what, code, out, errs)
			}
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
		})
		if t.Failed() {
			t.Fatal(what)
		}
	}
}

// saysAsBefore compares the assets with what the older collector said of them.
func (s *service) saysAsBefore(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]struct {
		Name, Build string
		Software    []string
	}
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	have := s.assets(t)
	if len(have) != len(want) || len(want) == 0 {
		t.Errorf("%d assets, want %d", len(have), len(want))
	}
	for _, a := range have {
		id, _ := a["id"].(string)
		system, _ := a["os"].(map[string]any)
		w := want[id]
		if a["name"] != w.Name || system["build"] != w.Build || a["software_count"] != float64(len(w.Software)) {
			t.Errorf("asset %s: %v, build %v, %v titles; the older collector said %s, %s, %d", id, a["name"], system["build"], a["software_count"], w.Name, w.Build, len(w.Software))
		}
	}
}
