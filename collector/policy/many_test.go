package policy

import (
	"fmt"
	"strings"
	"testing"
)

// Ten thousand rules are taken, one more is named, and the rest stays.
func TestManyRules(t *testing.T) {
	var b strings.Builder
	b.WriteString("rules:\n")
	for i := range MaxRules + 1 {
		fmt.Fprintf(&b, "  - {id: r-%d, title: t, severity: low, require: asset.name != \"x\", remediation: r, examples: [{want: pass, asset: {name: y}}, {want: fail, asset: {name: x}}]}\n", i)
	}
	pack, problems := Build(environment(t), Read("many.yaml", []byte(b.String())))
	if len(pack.Rules()) != MaxRules || len(problems) != 1 || !strings.Contains(problems[0].Error(), "10000 are the most") {
		t.Errorf("%d rules, %v", len(pack.Rules()), problems)
	}
}
