package facts

import (
	"path/filepath"
	"testing"

	"github.com/rollcall-itam/rollcall/agent/host"
)

// What is learnt of captured machines, of whatever system: a folder of
// testdata/machines is one, with want.json beside what was captured.
func TestCaptures(t *testing.T) {
	names, err := filepath.Glob("testdata/machines/*/machine.json")
	if err != nil || len(names) < 5 {
		t.Fatalf("%d machines, %v", len(names), err)
	}
	for _, name := range names {
		dir := filepath.Dir(name)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			h, err := host.Replay(dir)
			if err != nil {
				t.Fatal(err)
			}
			checkMachine(t, Observe(t.Context(), h, Options{}), filepath.Join(dir, "want.json"))
		})
	}
}
