package report

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rollcall-itam/rollcall/pkg/section"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// What is shown follows the reports: states and problems of the last, content
// of the last that had any.
func TestReportedFollowsTheReports(t *testing.T) {
	b := newBench(t, newCollector(t))
	if _, err := ReadReported(b.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before the first report: %v", err)
	}
	a := b.start()
	d := device(1)
	b.exchange(a, d)
	first, err := ReadReported(b.dir)
	if err != nil || first.Collector != b.c.addr || first.AgentID != a.ID() || !first.At.Equal(b.clock.UTC()) || len(first.Sections) != len(section.Names()) {
		t.Fatalf("%+v, %v", first, err)
	}
	b.clock = b.clock.Add(1e9)
	inv := b.pack(&pb.Device{}, &pb.SectionStatus{Name: section.Software, State: section.Failed, Reason: "not learnt: dpkg"})
	inv.problems = []*pb.Problem{{Section: section.Software, Fact: "dpkg", Error: "half a file"}}
	inv.problemsSum = []byte("other")
	if _, err := a.Exchange(t.Context(), inv); err != nil {
		t.Fatal(err)
	}
	second, err := ReadReported(b.dir)
	if err != nil || !second.At.After(first.At) || len(second.Problems) != 1 || second.Problems[0].Error != "half a file" {
		t.Fatalf("%+v, %v", second, err)
	}
	o, err := second.Observation()
	if err != nil || len(o.GetDevice().GetSoftware()) != len(d.GetSoftware()) || o.GetProblems()[0].GetFact() != "dpkg" {
		t.Errorf("software that the collector still has is shown as %d rows, %v", len(o.GetDevice().GetSoftware()), err)
	}
	for _, s := range o.GetSections() {
		if s.GetName() == section.Software && (s.GetState() != section.Failed || s.GetReason() != "not learnt: dpkg") {
			t.Errorf("state: %v", s)
		}
	}
}

func TestReportedIsReadWithinBounds(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]string{
		`{"agent_id":"a"`: "unexpected EOF",
		`{"agent_id":"a","collector":"c","at":"2026-01-01T00:00:00Z","sections":[{"name":"software","state":"complete","at":"2026-01-01T00:00:00Z","payload":"AAAA"}]}`: "unpack section software",
		`{"agent_id":"a","extra":1}`:            "unknown field",
		strings.Repeat(" ", maxReportedBytes+1): "larger than a state file",
	} {
		if err := os.WriteFile(filepath.Join(dir, reportedFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := ReadReported(dir)
		if err == nil {
			_, err = r.Observation()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: error %v, want %s", text, err, want)
		}
	}
}
