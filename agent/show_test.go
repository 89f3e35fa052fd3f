package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/rollcall-itam/rollcall/agent/report"
	"github.com/rollcall-itam/rollcall/pkg/section"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// reportedFolder is a state folder of an agent that reported d.
func reportedFolder(t *testing.T, d *pb.Device) string {
	t.Helper()
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 2, 20, 8, 0, 0, 0, time.UTC)
	r := report.Reported{
		AgentID: "agent1", AssetID: "asset1", Collector: "rollcall.example.net:8471", At: at,
		Problems: []report.ReportedProblem{{Section: section.Security, Fact: "firewall", Error: "may not be read"}},
	}
	for _, name := range section.Names() {
		encoded, err := section.Encode(d, name)
		if err != nil {
			t.Fatal(err)
		}
		s := report.ReportedSection{Name: name, State: section.Complete, At: at}
		switch name {
		case section.Peripherals:
			s.State, s.Reason = section.Skipped, "switched off"
		case section.Security:
			s.State, s.Reason = section.Partial, "not learnt wholly: firewall"
		}
		if len(encoded) > 0 {
			s.Payload = enc.EncodeAll(encoded, nil)
		}
		r.Sections = append(r.Sections, s)
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "reported.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestShow(t *testing.T) {
	d := &pb.Device{
		Name:     "ann's laptop",
		Hardware: &pb.Hardware{Manufacturer: "Dell Inc.", Model: "Latitude 5420", Serial: "7XK2JN3", MemoryBytes: proto.Int64(16 << 30), Disks: []*pb.Disk{{Name: "sda"}}},
		Os:       &pb.Os{Name: "Debian GNU/Linux", Version: "12.11"},
		Software: []*pb.Software{{Kind: "deb", Name: "bash", Version: "5.2"}, {Kind: "snap", Name: "core22"}, {Kind: "deb", Name: "sed"}},
		Security: &pb.Security{DiskEncryption: &pb.DiskEncryption{State: "on"}, LocalAdmins: []string{"ann", "root"}},
		Network:  &pb.Network{Hostname: "laptop-4711", Interfaces: []*pb.Interface{{Name: "eth0"}}},
	}
	dir := reportedFolder(t, d)
	out, errs, code := call(t, "show", "--state-dir", dir)
	want := `This device is reported to the Rollcall collector rollcall.example.net:8471.
It was reported last on 2026-02-20T08:00:00Z, as agent agent1, which is asset asset1.
What the collector knows from it:

  hardware     2026-02-20 08:00Z  Dell Inc. Latitude 5420, serial 7XK2JN3, name ann's laptop, 16384 MiB of memory, 1 disk
  os           2026-02-20 08:00Z  Debian GNU/Linux 12.11
  patch        2026-02-20 08:00Z  nothing
  software     2026-02-20 08:00Z  3 programs with their versions (2 deb, 1 snap)
  security     2026-02-20 08:00Z  disk encryption on, administrators ann root; partial: not learnt wholly: firewall
  users        2026-02-20 08:00Z  nothing
  network      2026-02-20 08:00Z  host name laptop-4711, 1 network interface with its addresses
  storage      2026-02-20 08:00Z  nothing
  peripherals  2026-02-20 08:00Z  skipped: switched off

What could not be learnt, which the collector was told:
  firewall: may not be read

Not reported: what is in your documents, mails and messages, what you type, which pages you visit, where the device is.
Every value: rollcall-agent show -o json
`
	if diff := cmp.Diff(want, out); diff != "" || errs != "" || code != 0 {
		t.Errorf("show exits with %d %s (-want +got):\n%s", code, errs, diff)
	}
	out, errs, code = call(t, "show", "--state-dir", dir, "-o", "json")
	var all struct {
		Collector   string          `json:"collector"`
		Observation json.RawMessage `json:"observation"`
	}
	var o pb.Observation
	if err := errors.Join(json.Unmarshal([]byte(out), &all), protojson.Unmarshal(all.Observation, &o)); err != nil || code != 0 {
		t.Fatalf("show -o json exits with %d: %v %s", code, err, errs)
	}
	if diff := cmp.Diff(d, o.GetDevice(), protocmp.Transform()); diff != "" || all.Collector != "rollcall.example.net:8471" {
		t.Errorf("%q (-reported +shown):\n%s", all.Collector, diff)
	}
	if _, errs, code := call(t, "show", "--state-dir", t.TempDir()); code != 1 || !strings.Contains(errs, "nothing was reported yet") || !strings.Contains(errs, "rollcall-agent collect") {
		t.Errorf("before the first report, show exits with %d: %s", code, errs)
	}
}

func TestCaptureAndCollectFrom(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("a whole Windows or macOS machine takes too long for a test")
	}
	dir := filepath.Join(t.TempDir(), "c")
	out, errs, code := call(t, "capture", dir, "--scrub")
	if code != 0 || !strings.Contains(out, "rollcall-agent collect --from "+dir) || !strings.Contains(out, "Before you send it") {
		t.Fatalf("capture exits with %d: %s%s", code, out, errs)
	}
	one, errs, code := call(t, "collect", "--from", dir)
	if code != 0 {
		t.Fatalf("collect exits with %d: %s", code, errs)
	}
	two, _, _ := call(t, "collect", "--from", dir)
	if one != two {
		t.Errorf("one capture is learnt to be two machines:\n%s", cmp.Diff(one, two))
	}
	var o struct {
		Device struct{ Os, Software json.RawMessage }
	}
	if err := json.Unmarshal([]byte(one), &o); err != nil || len(o.Device.Os) == 0 {
		t.Errorf("the capture tells nothing: %v, %.200s", err, one)
	}
	if _, errs, code := call(t, "capture", dir); code != 1 || !strings.Contains(errs, "the folder is not empty") {
		t.Errorf("a second capture exits with %d: %s", code, errs)
	}
	if _, errs, code := call(t, "collect", "--from", t.TempDir()); code != 1 || !strings.Contains(errs, "it is no capture") {
		t.Errorf("collect from an empty folder exits with %d: %s", code, errs)
	}
	if name, err := os.Hostname(); err == nil && len(name) > 4 && strings.Contains(one, `"`+name+`"`) {
		t.Errorf("the host name %s is left in the scrubbed capture", name)
	}
}
