package compliance

import (
	"fmt"
	"testing"

	"github.com/rollcall-itam/rollcall/collector/policy"
	"github.com/rollcall-itam/rollcall/collector/store"
)

// More findings at once than one update of the store takes are stored and told all
// the same: of one asset that fails as many rules as there may be.
func TestOneAssetFailsTenThousandRules(t *testing.T) {
	f := setup(t)
	file := &policy.File{Name: "many.yaml"}
	for i := range policy.MaxRules {
		file.Rules = append(file.Rules, &policy.Rule{ID: fmt.Sprintf("r-%05d", i), Version: 1, Severity: policy.Low, Require: `asset.os.version == "2"`})
	}
	pack, problems := policy.Build(f.e.Env, file)
	if len(problems) > 0 {
		t.Fatal(problems[0])
	}
	f.e.OnFindings(func() bool { return true }, func() {})
	f.e.Replace(pack)
	id := f.report("1", "1")
	f.settle()
	told := uint64(0)
	err := f.st.View(t.Context(), func(tx *store.Tx) (err error) {
		told, err = tx.LastFindingChange()
		return err
	})
	if open, resolved := f.stored(id); open != policy.MaxRules || resolved != 0 || err != nil || told != policy.MaxRules {
		t.Errorf("%d open, %d resolved, %d told, %v", open, resolved, told, err)
	}
	f.report("1", "2")
	f.settle()
	if open, resolved := f.stored(id); open != 0 || resolved != policy.MaxRules {
		t.Errorf("%d open, %d resolved", open, resolved)
	}
}
