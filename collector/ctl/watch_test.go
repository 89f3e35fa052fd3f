package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

func TestWatch(t *testing.T) {
	w := newWorld(t)
	id := w.report("ann", &pb.Device{Hardware: &pb.Hardware{Serial: "S-0001"}})
	w.report("bob", &pb.Device{Hardware: &pb.Hardware{Serial: "S-0002"}})
	out := w.ok("watch", "--once", "--cursor", "oldest")
	if lines := strings.Split(strings.TrimSpace(out), "\n"); len(lines) != 2 || !strings.HasSuffix(lines[0], " created ann (agent)") {
		t.Errorf("all there was is told as\n%s", out)
	}
	var e struct {
		Cursor  string
		AssetID string `json:"asset_id"`
	}
	out = w.ok("watch", "ann", "--once", "--cursor", "oldest", "-o", "json")
	if err := json.Unmarshal([]byte(out), &e); err != nil || e.AssetID != id {
		t.Errorf("as JSON, of one asset: %s", out)
	}
	if out = w.ok("watch", "--once", "--cursor", e.Cursor); !strings.Contains(out, "bob") || strings.Contains(out, "ann") {
		t.Errorf("from a cursor on:\n%s", out)
	}
	if _, errs, code := w.call("watch", "--cursor", "nonsense"); code != exitUsage || !strings.Contains(errs, "cursor") {
		t.Errorf("a wrong cursor exits with %d: %s", code, errs)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, errs, code := w.callIn(ctx, "watch"); code != 0 {
		t.Errorf("interrupted, it exits with %d: %s", code, errs)
	}
}

func TestExport(t *testing.T) {
	w := newWorld(t)
	w.report("ann", laptop("S-0001"))
	if out := w.ok("export", "--format", "csv", "--fields", "name,hardware.serial,labels.site"); out != "name,hardware.serial,labels.site\r\nann,S-0001,lab\r\n" {
		t.Errorf("as CSV: %q", out)
	}
	if out := w.ok("export", "--software"); strings.Count(out, "\n") != 2 {
		t.Errorf("the software: %s", out)
	}
	file := filepath.Join(t.TempDir(), "fleet.xlsx")
	w.ok("export", "--file", file)
	if b, err := os.ReadFile(file); err != nil || !strings.HasPrefix(string(b), "PK") {
		t.Errorf("the workbook: %.4q, %v", b, err)
	}
	if _, errs, code := w.call("export", "--file", file); code != exitError || !strings.Contains(errs, "exists") {
		t.Errorf("over a file that is there, it exits with %d: %s", code, errs)
	}
	if _, _, code := w.call("export", "--filter", "nonsense"); code != exitUsage {
		t.Errorf("a wrong filter exits with %d", code)
	}
}

func FuzzReadEvents(f *testing.F) {
	f.Add("retry: 1\n\nid: 1\nevent: changed\ndata: {}\n\n: still there\n\n")
	f.Add("data:x\ndata: y\r\n\n")
	f.Fuzz(func(t *testing.T, stream string) {
		size := 0
		if err := readEvents(strings.NewReader(stream), func(e event) error { size += len(e.data); return nil }); err != nil && err != io.EOF {
			t.Skip(err)
		}
		if size > len(stream) {
			t.Errorf("%d bytes of data in a stream of %d", size, len(stream))
		}
	})
}
