package compliance

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rollcall-itam/rollcall/collector/policy"
	"github.com/rollcall-itam/rollcall/collector/store"
)

const siteRule = `
rules:
  - id: made-by-dell
    version: 1
    title: Dell only
    severity: medium
    needs: [hardware.manufacturer]
    require: asset.hardware.manufacturer == "Lenovo"
    remediation: Buy another.
    examples:
      - {name: ours, want: pass, asset: {hardware: {manufacturer: Lenovo}}}
      - {name: other, want: fail, asset: {hardware: {manufacturer: Dell}}}
`

// A rule is tried, put, changed and deleted while the fleet is judged, and it
// outlives a restart.
func TestARuleOfTheSite(t *testing.T) {
	f := setup(t)
	f.report("1", "2")
	f.report("2", "1")
	f.settle()
	f.want("before", "[os-is-new open] counted 1 failing 1")
	trials, assets, problems, err := f.e.Try(t.Context(), policy.Read("content", []byte(siteRule)))
	if err != nil || len(problems) > 0 || assets != 2 || trials[0].Results[policy.Fail] != 2 || len(trials[0].Failing) != 2 {
		t.Errorf("tried: %v of %d, %v, %v", trials, assets, problems, err)
	}
	f.want("tried", "[os-is-new open] counted 1 failing 1")
	put := func(content string) error { return f.e.PutRule(t.Context(), "token:ann", "made-by-dell", content) }
	if err := put(siteRule); err != nil {
		t.Fatal(err)
	}
	f.want("put, and not judged yet", "[os-is-new open] counted 1 failing 1")
	f.settle()
	const both = "[made-by-dell open made-by-dell open os-is-new open] counted 3 failing 2"
	f.want("judged", both)
	changed := strings.Replace(siteRule, "severity: medium", "severity: high", 1)
	if err := put(changed); !errors.Is(err, ErrRule) || !strings.Contains(err.Error(), "count the version up") {
		t.Errorf("a change without another version: %v", err)
	}
	if err := put(strings.Replace(changed, "version: 1", "version: 2", 1)); err != nil {
		t.Error(err)
	}
	f.settle()
	if got := f.find(Query{Severity: policy.High}); len(got) != 3 {
		t.Errorf("after the change %v", got)
	}
	f.e = New(f.e.Options)
	if err := errors.Join(f.e.LoadRules(t.Context()), f.e.load(t.Context())); err != nil {
		t.Fatal(err)
	}
	f.settle()
	f.want("after a restart", both)
	if err := f.e.DeleteRule(t.Context(), "token:ann", "made-by-dell"); err != nil {
		t.Fatal(err)
	}
	f.settle()
	f.want("deleted", "[os-is-new open] counted 1 failing 1")
	if err := f.e.DeleteRule(t.Context(), "token:ann", "made-by-dell"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("deleted twice: %v", err)
	}
}

// What does not hold is refused, with the place of the mistake, and changes
// nothing.
func TestRulesThatAreRefused(t *testing.T) {
	f := setup(t)
	f.report("1", "1")
	f.settle()
	for name, tc := range map[string]struct {
		id, content, want string
		is                error
	}{
		"unknown field":      {"made-by-dell", strings.Replace(siteRule, "asset.hardware.manu", "asset.hardware.menu", 1), "8:28", ErrRule},
		"against an example": {"made-by-dell", strings.Replace(siteRule, `== "Lenovo"`, `== "Acer"`, 1), `example "ours" is pass`, ErrRule},
		"another id":         {"made-by-hp", siteRule, "no other", ErrRule},
		"no yaml":            {"made-by-dell", "rules: [", "not YAML", ErrRule},
		"empty":              {"made-by-dell", "", "has no rule", ErrRule},
		"settings":           {"made-by-dell", siteRule + "settings: {os-is-new: {enabled: false}}", "no settings", ErrRule},
		"one of a file":      {"os-is-new", strings.Replace(siteRule, "made-by-dell", "os-is-new", 1), "test.yaml", ErrNotOurs},
	} {
		if err := f.e.PutRule(t.Context(), "token:ann", tc.id, tc.content); !errors.Is(err, tc.is) || !strings.Contains(fmt.Sprint(err), tc.want) {
			t.Errorf("%s: %v, want %s", name, err, tc.want)
		}
	}
	f.settle()
	f.want("after all", "[os-is-new open] counted 1 failing 1")
	if _, _, problems, err := f.e.Try(t.Context(), policy.Read("content", []byte("rules: ["))); err != nil || len(problems) != 1 {
		t.Errorf("tried: %v, %v", problems, err)
	}
	if _, _, _, err := f.e.Try(t.Context(), policy.Read("content", nil)); !errors.Is(err, ErrRule) {
		t.Errorf("nothing is tried: %v", err)
	}
}
