package main

import (
	"strings"
	"testing"
)

// What an operator states is there, told in the history, and can be taken back.
func TestSetHistoryAndExplain(t *testing.T) {
	w := newWorld(t)
	must(t, w.catalog.DeclareOperator(t.Context()))
	id := w.report("ann", laptop("PF3ABCDE"))
	upgraded := laptop("PF3ABCDE")
	upgraded.Software[0].Version = "5.3"
	w.report("ann", upgraded)
	w.ok("set", "ann", "owner.email=ann@example.com", "labels.site=B", "stage=in_repair")
	if out := w.ok("assets", "list"); !strings.Contains(out, "ann@example.com") {
		t.Errorf("the owner is not listed:\n%s", out)
	}
	out := w.ok("history", "PF3ABCDE")
	for _, want := range []string{"owner.email", "ann@example.com", "in_repair", "created", "updated bash", "site=B"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in the history:\n%s", want, out)
		}
	}
	if out := w.ok("history", id, "--field", "software"); strings.Contains(out, "owner") || !strings.Contains(out, "updated bash") {
		t.Errorf("the history of software:\n%s", out)
	}
	if out := w.ok("explain", "ann"); !strings.Contains(out, "2 records") || !strings.Contains(out, "operator") {
		t.Errorf("explained as:\n%s", out)
	}
	w.ok("set", "ann", "owner.email=", "labels.site=", "stage=")
	if out := w.ok("explain", "ann"); !strings.Contains(out, "one record only") {
		t.Errorf("after taking back, explained as:\n%s", out)
	}
	if _, errs, code := w.call("set", "ann", "os.name=x"); code != exitError && code != exitUsage || !strings.Contains(errs, "does not count for") {
		t.Errorf("exit %d: %s", code, errs)
	}
	if _, errs, code := w.call("set", "ann", "owner"); code != exitUsage || !strings.Contains(errs, "FIELD=VALUE") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

func TestFeedsThatAreNotThere(t *testing.T) {
	w := newWorld(t)
	if _, errs, code := w.call("feeds", "list"); code != 0 || !strings.Contains(errs, "no system is connected") {
		t.Errorf("exit %d: %s", code, errs)
	}
	if _, errs, code := w.call("feeds", "run", "jamf"); code != exitNotFound || !strings.Contains(errs, "there is no feed") {
		t.Errorf("exit %d: %s", code, errs)
	}
}
