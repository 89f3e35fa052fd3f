package facts

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-itam/rollcall/agent/facts/smart"
	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// disksOf returns a machine whose disks have the given health logs of NVMe.
func disksOf(t *testing.T, logs map[string][]byte) *host.Host {
	t.Helper()
	answers := make(map[string]host.DiskLog)
	for name, log := range logs {
		answers["health of disk "+name] = host.DiskLog{Data: log}
	}
	machine, err := json.Marshal(map[string]any{"os": "linux", "time": time.Unix(1_700_000_000, 0), "answers": answers})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "machine.json"), machine, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "files"), 0o700); err != nil {
		t.Fatal(err)
	}
	h, err := host.Replay(dir)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestDiskHealth(t *testing.T) {
	log := func(used byte) []byte {
		b := make([]byte, smart.SectorBytes)
		b[1], b[2], b[3], b[5] = 0x36, 0x01, 100, used
		return b
	}
	k := new(diskLogs)
	now := time.Unix(1_700_000_000, 0)
	look := func(logs map[string][]byte) ([]string, error) {
		h := disksOf(t, logs)
		h.Now = func() time.Time { return now }
		d := &pb.Device{Hardware: &pb.Hardware{Disks: []*pb.Disk{
			{Name: "nvme0n1", Bus: "nvme", Kind: "nvme", Serial: "1"}, {Name: "nvme1n1", Bus: "nvme", Kind: "virtual"},
			{Name: "sda", Bus: "sata", Kind: "hdd"}, {Name: "sdb", Bus: "usb", Kind: "removable"},
		}}}
		err := k.learn(t.Context(), h, d)
		var out []string
		for _, disk := range d.Hardware.Disks {
			out = append(out, disk.Health)
		}
		return out, err
	}
	for i, c := range []struct {
		logs  map[string][]byte
		later time.Duration
		want  []string
		err   string
	}{
		{map[string][]byte{"nvme0n1": log(3), "nvme1n1": log(3), "sdb": log(3)}, 0, []string{"ok", "", "", ""}, ""},
		// What was said stands until it is asked again.
		{map[string][]byte{"nvme0n1": log(100)}, time.Hour, []string{"ok", "", "", ""}, ""},
		{map[string][]byte{"nvme0n1": log(100)}, askDisksEvery, []string{"warning", "", "", ""}, ""},
		// A disk that gives no answer for once is as it was.
		{nil, askDisksEvery, []string{"warning", "", "", ""}, ""},
		{map[string][]byte{"nvme0n1": {1, 2}}, askDisksEvery, []string{"warning", "", "", ""}, "health of disk nvme0n1"},
		// The clock was set back.
		{map[string][]byte{"nvme0n1": log(4)}, -30 * 24 * time.Hour, []string{"ok", "", "", ""}, ""},
	} {
		now = now.Add(c.later)
		got, err := look(c.logs)
		if diff := cmp.Diff(c.want, got); diff != "" || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("look %d: %v %s", i, err, diff)
		}
	}
}
