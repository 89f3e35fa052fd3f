package main

import (
	"strings"
	"testing"
)

func TestAudit(t *testing.T) {
	w := newWorld(t)
	w.ok("token", "create", "--kind", "enroll", "--name", "berlin")
	if out := w.ok("audit", "--action", "token"); !strings.Contains(out, "token.create") || !strings.Contains(out, "enroll berlin") || strings.Contains(out, "signin") {
		t.Errorf("the log is shown as\n%s", out)
	}
	if out := w.ok("audit", "list", "--limit", "1"); strings.Count(out, "\n") != 2 {
		t.Errorf("one entry is shown as\n%s", out)
	}
	if out := w.ok("audit", "verify"); !strings.HasPrefix(out, "the audit log is whole: ") {
		t.Errorf("verify says %s", out)
	}
	w.env["ROLLCALL_TOKEN"] = w.token("viewer")
	if _, _, code := w.call("audit"); code != exitUnauthorised {
		t.Errorf("as a viewer it exits with %d", code)
	}
}
