package expr_test

import (
	"strings"
	"testing"
	"time"

	"github.com/rollcall-itam/rollcall/collector/expr"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// A condition on a finding sees it beside its asset; what is not stated is
// unknown, and mistakes are told with what was meant.
func TestConditionsOnFindings(t *testing.T) {
	env, err := expr.NewForFindings()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	in := &expr.Input{Now: now, Asset: &pb.Asset{Class: "laptop", Labels: map[string]string{"site": "berlin"}, Owner: &pb.Owner{Department: "Sales"}},
		Finding: &expr.Finding{Rule: "disk-encryption", Severity: "high", State: "open", Detail: []string{"C:"}, OpenedAt: now.Add(-48 * time.Hour)}}
	for source, want := range map[string]expr.Value{
		`finding.severity in ["critical", "high"] && asset.owner.department == "Sales"`: expr.True,
		`finding.rule.startsWith("disk-") && asset.labels.site == "berlin"`:             expr.True,
		`age(finding.opened_at) > days(7)`:                                              expr.False,
		`age(finding.opened_at) > days(1) && asset.class == "laptop"`:                   expr.True,
		`finding.waived_until < now`:                                                    expr.Unknown,
		`has(finding.waived_until)`:                                                     expr.False,
		`finding.detail.exists(d, d == "C:")`:                                           expr.True,
	} {
		p, err := env.Compile(source, nil)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		out, err := p.Eval(in)
		if err != nil || out.Value != want {
			t.Errorf("%s is %v (%v), want %v", source, out.Value, err, want)
		}
	}
	for source, want := range map[string]string{
		`finding.severty == "high"`: `column 8: there is no field "severty" here: did you mean severity?`,
		`severity == "high"`:        `column 1: "severity" is not known: write finding.severity`,
		`finding.severity > 3`:      `column 18`,
	} {
		if _, err := env.Compile(source, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", source, err, want)
		}
	}
	plain, err := expr.New()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plain.Compile(`finding.severity == "high"`, nil); err == nil {
		t.Error("a condition on assets sees a finding")
	}
}
