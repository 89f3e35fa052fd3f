package view

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rollcall-itam/rollcall/collector/expr"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

var findingAtoms = []string{
	`true`, `finding.severity == "high"`, `finding.severity in ["low", "high"]`, `finding.rule.startsWith("a")`, `finding.state != "open"`, `finding == finding`,
	`age(finding.opened_at) > days(3)`, `finding.waived_until < now + days(5)`, `has(finding.reason)`, `finding.detail.exists(d, d == asset.name)`, `size(finding.detail) == 0`,
	`finding.decided_by == asset.owner.email`, `has_software(finding.rule)`, `software.exists(s, s.name == finding.rule)`, `finding.opened_at < asset.last_seen`,
	`asset.labels.site == finding.rule`, `["high"].exists(finding, finding == "high")`, `finding.severity == "high" ? asset.mdm.enrolled : has(asset.owner)`,
}

// hazard draws a finding.
func hazard(t *rapid.T) expr.Finding {
	f := expr.Finding{Rule: oneOf("a1", "a2", "bash", "berlin")(t, "rule"), Severity: oneOf("info", "low", "high", "critical")(t, "severity"), State: oneOf("open", "waived")(t, "finding state"),
		DecidedBy: emails(t, "by"), Reason: oneOf("", "because")(t, "reason"), OpenedAt: testNow.Add(-time.Duration(rapid.IntRange(0, 9).Draw(t, "days")) * 24 * time.Hour)}
	if rapid.Bool().Draw(t, "waived") {
		f.WaivedUntil = testNow.AddDate(0, 0, rapid.IntRange(1, 9).Draw(t, "until"))
	}
	if rapid.Bool().Draw(t, "detailed") {
		f.Detail = []string{names(t, "detail")}
	}
	return f
}

// Filters on findings find what plain evaluation of each finding beside its asset
// finds, whatever the fleet, and pages in any order hold each of those once.
func TestFindingsEqualPlainEvaluation(t *testing.T) {
	env, err := expr.NewForFindings()
	must(t, err)
	rapid.Check(t, func(r *rapid.T) {
		f := newFleet(t.Context(), r)
		for range rapid.IntRange(0, 15).Draw(r, "acts") {
			f.act(t.Context(), r)
		}
		compareFindings(t.Context(), r, f, env)
	})
}

func compareFindings(ctx context.Context, r *rapid.T, f *fleet, env *expr.Env) {
	var assets []answer
	var held []expr.Finding
	for _, x := range append(f.all(ctx, r), answer{asset: &pb.Asset{Id: "ended"}}) {
		for range rapid.IntRange(0, 3).Draw(r, "findings") {
			assets, held = append(assets, x), append(held, hazard(r))
		}
	}
	seen := make(map[*storagepb.FindingRecord]expr.Finding)
	all := Findings{Seen: func(f *storagepb.FindingRecord) expr.Finding { return seen[f] }}
	for i, x := range assets {
		f := &storagepb.FindingRecord{AssetId: x.asset.GetId(), Rule: held[i].Rule}
		all.Records, seen[f] = append(all.Records, f), held[i]
	}
	filter := findingCondition(r, 2)
	program, err := env.Compile(filter, nil)
	must(r, err)
	var want []int
	for i, x := range assets {
		in := &expr.Input{Asset: x.asset, Software: x.software, Finding: &held[i], Now: testNow}
		if x.asset.GetId() == "ended" {
			in.Asset = nil
		}
		out, err := program.Eval(in)
		must(r, err)
		if out.Value == expr.True {
			want = append(want, i)
		}
	}
	got, err := f.view.Part(nil).MatchFindings(ctx, filter, testNow, all)
	if err != nil || !slices.Equal(got, want) {
		r.Fatalf("%s finds %v (%v), want %v", filter, got, err, want)
	}
	by := oneOf("", "rule", "severity", "opened_at", "finding.waived_until", "asset.name")(r, "by")
	q := FindingQuery{Filter: filter, OrderBy: by, Limit: rapid.IntRange(1, 4).Draw(r, "limit"), Now: testNow}
	var pages []int
	for {
		page, err := f.view.Part(nil).ListFindings(ctx, q, all)
		must(r, err)
		if page.Total != len(want) {
			r.Fatalf("%s: %d in all, want %d", filter, page.Total, len(want))
		}
		pages = append(pages, page.Found...)
		if q.After = page.Last; q.After == "" {
			break
		}
	}
	sorted := func(i int) string {
		h, id := held[i], assets[i].asset.GetId()+"\x00"+held[i].Rule
		first := map[string]string{"": "", "rule": h.Rule, "severity": fmt.Sprint(slices.Index(severities, h.Severity)), "opened_at": h.OpenedAt.Format(time.RFC3339),
			"finding.waived_until": h.WaivedUntil.Format(time.RFC3339), "asset.name": assets[i].asset.GetName()}[by]
		if first == "" && by != "" || strings.HasPrefix(first, "0001") {
			first = "~"
		}
		return first + "\x00" + id
	}
	// Of one asset a rule is failed once, and so what this draws twice is one place.
	place := func(a, b int) int { return cmp.Compare(sorted(a), sorted(b)) }
	slices.SortFunc(want, place)
	want = slices.CompactFunc(want, func(a, b int) bool { return place(a, b) == 0 })
	if got := slices.CompactFunc(pages, func(a, b int) bool { return place(a, b) == 0 }); !slices.EqualFunc(got, want, func(a, b int) bool { return place(a, b) == 0 }) {
		r.Fatalf("by %q: %v, want %v", by, got, want)
	}
}

func findingCondition(t *rapid.T, depth int) string {
	if depth == 0 || rapid.IntRange(0, 2).Draw(t, "whole") == 0 {
		return rapid.SampledFrom(append(findingAtoms, atoms...)).Draw(t, "finding atom")
	}
	a, b := findingCondition(t, depth-1), findingCondition(t, depth-1)
	return oneOf("("+a+" && "+b+")", "("+a+" || "+b+")", "!("+a+")")(t, "finding shape")
}

func TestFindingsAreAskedForWrongly(t *testing.T) {
	v := newFleet(t.Context(), t).view
	none := Findings{}
	for want, q := range map[string]FindingQuery{
		`filter: column 8: there is no field "severty" here: did you mean severity?`: {Filter: `finding.severty == "high"`},
		`filter: column 1: "severity" is not known: write finding.severity`:          {Filter: `severity == "high"`},
		`filter: column 1: record.disk_full_at is for rules only`:                    {Filter: `record.disk_full_at < now`},
		`order_by: "finding.nothing" is none of: decided_at`:                         {OrderBy: "finding.nothing"},
		`findings are sorted by decided_at`:                                          {OrderBy: "nothing"},
		`order_by: "a b c" is no order`:                                              {OrderBy: "a b c"},
	} {
		q.Limit, q.Now = 1, testNow
		if _, err := v.Part(nil).ListFindings(t.Context(), q, none); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", q, err, want)
		}
	}
}
