package policy

import (
	"testing"

	"github.com/rollcall-itam/rollcall/collector/expr"
)

func environment(t testing.TB) *expr.Env {
	t.Helper()
	env, err := expr.New()
	if err != nil {
		t.Fatal(err)
	}
	return env
}

func builtinPack(t testing.TB) *Pack {
	t.Helper()
	files, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	pack, problems := Build(environment(t), files...)
	for _, p := range problems {
		t.Error(p)
	}
	return pack
}

func TestBuiltin(t *testing.T) {
	pack := builtinPack(t)
	if len(pack.Rules()) < 40 {
		t.Errorf("%d rules", len(pack.Rules()))
	}
}
