package main

import (
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-itam/rollcall/agent/report"
)

func TestStatusTellsLifeAndCosts(t *testing.T) {
	at := time.Date(2026, 11, 25, 3, 0, 0, 0, time.UTC)
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	describe(w, report.Summary{
		AgentID: "a1", CertificateEnds: at.Add(48 * time.Hour), RenewalSequence: 3, RenewalDue: at.Add(24 * time.Hour),
		LastContact: at, LastReport: at, LastError: "connection refused", LastErrorAt: at.Add(time.Minute),
		Collection: report.Collection{At: at, Took: 62 * time.Millisecond, Facts: []report.FactCost{
			{Name: "cpu", Took: 200 * time.Microsecond}, {Name: "os", Took: 300 * time.Microsecond},
			{Name: "usb", Took: 2 * time.Millisecond}, {Name: "apt_updates", Took: 58 * time.Millisecond},
			{Name: "dpkg", KeptSince: at.Add(-time.Hour)},
			{Name: "displays", KeptSince: at.Add(-time.Hour), Waits: "the battery is low"},
			{Name: "printers", KeptSince: at.Add(-time.Hour), Waits: "the battery is low"},
			{Name: "mounts", Took: 20 * time.Second, HangsSince: at.Add(-2 * time.Hour)},
		}},
	})
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	want := `enrolled         yes
agent id         a1
certificate      ends 2026-11-27T03:00:00Z (number 3), renewed from 2026-11-26T03:00:00Z
last contact     2026-11-25T03:00:00Z
last report      2026-11-25T03:00:00Z
last error       2026-11-25T03:01:00Z: connection refused
last collection  2026-11-25T03:00:00Z, took 62ms
  mounts         hangs since 2026-11-25T01:00:00Z: it is not tried again until it returns
  apt_updates    58ms
  usb            2ms
  2 more         500µs together
  1 kept         were learnt earlier and are not due
  2 put off      are due, but the battery is low
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}
