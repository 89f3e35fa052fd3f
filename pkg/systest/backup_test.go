package systest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A collector is backed up three times over while 50 agents report. What is
// restored holds every report that was acknowledged before the backup began,
// lets the agents go on, and is taken by no damaged backup.
func TestBackupWhileAgentsReport(t *testing.T) {
	const agents, reports = 50, 20_000
	c := newCollector(t)
	acks, backups := filepath.Join(t.TempDir(), "acks"), filepath.Join(t.TempDir(), "backups")
	sim := start(t, "fleetsim", c.sim(t, "--agents", strconv.Itoa(agents), "--titles", "200",
		"--mode", "change", "--reports", strconv.Itoa(reports), "--retry", "--acks", acks)...)
	began := time.Now()
	var before acked
	for round := 1; round <= 3; round++ {
		until(t, "reports come in", func() error {
			if before = acknowledged(t, acks); before.total < 1000*round || len(before.latest) < agents {
				return fmt.Errorf("%d so far", before.total)
			}
			return nil
		})
		out, errs, code := call(t, nil, "rollcall-collector", "backup", "--data-dir", c.dir, "--keep", "2", backups)
		if code != 0 {
			t.Fatalf("backup: %d %s%s", code, out, errs)
		}
		t.Logf("%s(%d reports were acknowledged before it, in %v)", out, before.total, time.Since(began).Round(time.Second))
	}
	sim.kill()
	c.stop()

	restored := t.TempDir()
	if out, errs, code := call(t, nil, "rollcall-collector", "restore", "--data-dir", restored, backups); code != 0 {
		t.Fatalf("restore: %d %s%s", code, out, errs)
	}
	second := openCollector(t, restored)
	second.holds(t, before)
	if n := len(second.assets(t)); n != agents {
		t.Errorf("%d assets, want %d", n, agents)
	}
	second.stop()

	chunks, err := filepath.Glob(filepath.Join(backups, "chunks", "*", "*"))
	if err != nil || len(chunks) == 0 {
		t.Fatalf("chunks: %v %v", chunks, err)
	}
	flip := func(name string) {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/2] ^= 1
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(command ...string) {
		t.Helper()
		if _, errs, code := call(t, nil, "rollcall-collector", command...); code == 0 || !strings.Contains(errs, "the backup is damaged") {
			t.Errorf("%v of a flipped bit: %d %s", command, code, errs)
		}
	}
	// Wherever it is, it is found; the newest backup may not need that chunk.
	flip(chunks[len(chunks)/2])
	refused("backup", "verify", backups)
	for i, name := range chunks {
		if i != len(chunks)/2 {
			flip(name)
		}
	}
	refused("restore", "--data-dir", filepath.Join(t.TempDir(), "new"), backups)
}
