package main

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-itam/rollcall/collector/compliance"
	"github.com/rollcall-itam/rollcall/collector/expr"
	"github.com/rollcall-itam/rollcall/collector/policy"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// judge has the assets of the world judged by the rules that come along. It is
// to be called before anything is asked.
func (w *world) judge() {
	w.t.Helper()
	env, err := expr.New()
	must(w.t, err)
	files, err := policy.Builtin()
	must(w.t, err)
	// Few of them do, and cost less to prepare.
	files = slices.DeleteFunc(files, func(f *policy.File) bool {
		return !slices.ContainsFunc(f.Rules, func(r *policy.Rule) bool {
			return slices.Contains([]string{"disk-encryption", "screen-lock", "sip"}, r.ID)
		})
	})
	pack, problems := policy.Build(env, files...)
	if len(problems) > 0 {
		w.t.Fatal(problems[0])
	}
	e := compliance.New(compliance.Options{Store: w.store, Catalog: w.catalog, Pack: pack, Env: env, Files: files, Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return noon }})
	w.service.Compliance = e
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	w.t.Cleanup(func() {
		stop()
		must(w.t, <-done)
	})
}

// A person lists what fails, accepts it for a while, and takes that back.
func TestFindingsAreWaived(t *testing.T) {
	w := newWorld(t)
	w.report("host-1", &pb.Device{Class: "laptop", Hardware: &pb.Hardware{Serial: "PF3ABCD1"}, Owner: &pb.Owner{Email: "ann@example.com", Department: "Sales"},
		Security: &pb.Security{DiskEncryption: &pb.DiskEncryption{State: "off"}}})
	w.judge()
	list := ""
	for range 100_000 {
		if list = w.ok("findings", "--rule", "disk-encryption"); list != "" {
			break
		}
	}
	if !strings.Contains(list, "host-1") || !strings.Contains(list, "open") {
		t.Fatalf("listed:\n%s", list)
	}
	for _, args := range [][]string{
		{"findings", "waive", "host-1", "disk-encryption", "--until", "2027-03-31", "--reason", "a demonstration unit"},
		{"findings", "waive", "host-1", "disk-encryption", "--until", "90d", "--reason", "a demonstration unit"},
	} {
		if _, errs, code := w.call(args...); code != 0 || !strings.Contains(errs, "disk-encryption of host-1 is waived until 2027-") {
			t.Errorf("%v exits with %d: %s", args, code, errs)
		}
	}
	if out := w.ok("findings", "list", "host-1", "--state", "waived"); !strings.Contains(out, "waived until 2027-02-22") {
		t.Errorf("waived:\n%s", out)
	}
	if out := w.ok("findings", "--filter", `finding.rule == "disk-encryption" && asset.name == "host-1"`, "--order-by", "opened_at desc", "-o", "csv"); strings.Count(out, "\n") != 2 || !strings.Contains(out, "host-1") {
		t.Errorf("by a condition:\n%s", out)
	}
	if _, errs, code := w.call("findings", "--filter", `finding.sevrity == "high"`); code != exitUsage || !strings.Contains(errs, "severity") {
		t.Errorf("a condition on no field exits with %d: %s", code, errs)
	}
	if out := w.ok("findings", "count", "rule", "--filter", `finding.severity == "critical"`, "-o", "csv"); strings.Contains(out, "screen-lock") {
		t.Errorf("counted by a condition:\n%s", out)
	}
	if out := w.ok("findings", "count", "owner.department", "--rule", "disk-encryption"); !strings.Contains(out, "Sales") {
		t.Errorf("by department:\n%s", out)
	}
	if _, errs, code := w.call("findings", "reopen", "host-1", "disk-encryption"); code != 0 || !strings.Contains(errs, "is open") {
		t.Errorf("reopen exits with %d: %s", code, errs)
	}
	if _, errs, code := w.call("findings", "acknowledge", "host-1", "disk-encryption", "--reason", "OPS-12"); code != 0 || !strings.Contains(errs, "is acknowledged") {
		t.Errorf("acknowledge exits with %d: %s", code, errs)
	}
	for _, tc := range []struct{ rule, until, want string }{{"disk-encryption", "soon", "no time"}, {"disk-encryption", "2020-01-01", "has passed"}, {"sip", "90d", "does not fail"}} {
		if _, errs, code := w.call("findings", "waive", "host-1", tc.rule, "--until", tc.until, "--reason", "x"); code == 0 || !strings.Contains(errs, tc.want) {
			t.Errorf("%v exits with %d: %s", tc, code, errs)
		}
	}
}
