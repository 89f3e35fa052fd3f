package compliance

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/store"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// told returns the log of findings, without assets and times.
func (f *fixture) told() (all []string) {
	f.t.Helper()
	err := f.st.View(f.t.Context(), func(tx *store.Tx) error {
		all = nil
		return tx.ScanFindingChanges(0, func(_ uint64, c *storagepb.FindingChangeRecord) error {
			all = append(all, c.GetKind()+" "+c.GetRule())
			return nil
		})
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return all
}

// What opens and is resolved is logged while somebody follows, in order and also
// over a restart; what is waived is not.
func TestFindingsAreLogged(t *testing.T) {
	f := setup(t)
	follows, heard := false, 0
	f.e.OnFindings(func() bool { return follows }, func() { heard++ })
	id := f.report("1", "1")
	f.settle()
	if got := f.told(); len(got) != 0 || heard != 0 {
		t.Fatalf("nobody follows, and logged is %v", got)
	}
	follows = true
	say := func(version string) {
		t.Helper()
		f.mu.Lock()
		f.now = f.now.Add(time.Second)
		f.mu.Unlock()
		f.report("1", version)
		f.settle()
	}
	say("2")
	say("1")
	want := []string{"resolved os-is-new", "opened os-is-new"}
	if got := f.told(); !slices.Equal(got, want) || heard != 2 {
		t.Fatalf("logged %v, heard %d times", got, heard)
	}
	now := f.clock()
	_, err := f.e.Decide(t.Context(), &storagepb.DecisionRecord{AssetId: id, Rule: "os-is-new", State: string(Waived), At: timestamppb.New(now), Until: timestamppb.New(now.Add(time.Hour)), Reason: "x", By: "t"})
	if err != nil {
		t.Fatal(err)
	}
	say("2")
	say("1")
	if got := f.told(); !slices.Equal(got, want) {
		t.Fatalf("what is waived is logged: %v", got)
	}
	f.mu.Lock()
	f.now = now.Add(2 * time.Hour) // the waiver lapses
	f.mu.Unlock()
	again := New(f.e.Options)
	again.OnFindings(func() bool { return true }, func() {})
	if err := again.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.e = again
	f.settle()
	if got := f.told(); !slices.Equal(got, append(want, "opened os-is-new")) {
		t.Fatalf("after the restart logged is %v", got)
	}
	f.mu.Lock()
	f.now = now.Add(40 * 24 * time.Hour)
	f.mu.Unlock()
	if err := f.e.pruneLog(t.Context()); err != nil || len(f.told()) != 0 {
		t.Errorf("kept %v, %v", f.told(), err)
	}
	err = f.st.View(t.Context(), func(tx *store.Tx) error {
		if n, err := tx.LastFindingChange(); err != nil || n < 3 {
			return fmt.Errorf("numbers are used again after %d, %w", n, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
