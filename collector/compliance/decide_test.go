package compliance

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/policy"
	"github.com/rollcall-itam/rollcall/collector/store"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

func (f *fixture) decide(id string, state State, until time.Time) {
	f.t.Helper()
	d := &storagepb.DecisionRecord{AssetId: id, Rule: "os-is-new", State: string(state), Reason: "replaced in spring", By: "token:ann", At: timestamppb.New(f.clock())}
	if !until.IsZero() {
		d.Until = timestamppb.New(until)
	}
	if _, err := f.e.Decide(context.Background(), d); err != nil {
		f.t.Fatal(err)
	}
}

// states tells the findings of all assets, and what is counted of them.
func (f *fixture) states() string {
	var out []string
	for _, x := range f.find(Query{}) {
		out = append(out, x.GetRule()+" "+string(StateOf(x)))
	}
	counted := 0
	for _, c := range f.e.Counts() {
		for state, ages := range c.Findings {
			if state == Open || state == Acknowledged {
				counted += ages.Sum()
			}
		}
	}
	_, failing := f.e.Fleet()
	return fmt.Sprint(out, " counted ", counted, " failing ", failing.Sum())
}

func (f *fixture) want(when, want string) {
	f.t.Helper()
	if got := f.states(); got != want {
		f.t.Errorf("%s: %s, want %s", when, got, want)
	}
}

// A waiver takes a finding out of what is counted until it lapses, by itself.
func TestAWaiverLapses(t *testing.T) {
	f := setup(t)
	id := f.report("1", "1")
	f.settle()
	f.want("found", "[os-is-new open] counted 1 failing 1")
	f.decide(id, Waived, f.now.AddDate(0, 0, 3))
	f.want("waived", "[os-is-new waived] counted 0 failing 0")
	f.e = New(f.e.Options)
	if err := f.e.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.settle()
	f.want("after a restart", "[os-is-new waived] counted 0 failing 0")
	f.now = f.now.AddDate(0, 0, 2)
	f.report("1", "1")
	f.settle()
	f.want("a day before", "[os-is-new waived] counted 0 failing 0")
	f.now = f.now.AddDate(0, 0, 1)
	if wait := f.e.untilDue(); wait > time.Second {
		t.Errorf("the engine would sleep for %v", wait)
	}
	f.settle()
	f.want("lapsed", "[os-is-new open] counted 1 failing 1")
	err := f.st.View(t.Context(), func(tx *store.Tx) error {
		left, err := loadDecisions(tx)
		if len(left) != 0 {
			t.Errorf("what lapsed is kept: %v", left)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A waiver outlives that the asset passes in between, an acknowledgement does
// not: that was of this failure.
func TestWhatDecisionsOutlive(t *testing.T) {
	for state, again := range map[State]State{Waived: Waived, Acknowledged: Open} {
		f := setup(t)
		id := f.report("1", "1")
		f.settle()
		until := time.Time{}
		if state == Waived {
			until = f.now.AddDate(0, 0, 30)
		}
		f.decide(id, state, until)
		f.now = f.now.Add(time.Hour)
		f.report("1", "2")
		f.settle()
		f.want("resolved", "[] counted 0 failing 0")
		resolved, err := f.e.Resolved(t.Context(), Query{})
		if err != nil || len(resolved) != 1 || resolved[0].GetDecision().GetBy() != "token:ann" {
			t.Errorf("resolved %v, %v", resolved, err)
		}
		f.now = f.now.Add(time.Hour)
		f.report("1", "1")
		f.settle()
		if got := StateOf(f.find(Query{})[0]); got != again {
			t.Errorf("%s, then failing again: %s, want %s", state, got, again)
		}
	}
}

// What was decided is taken back, and follows the asset into the one that it
// is united with.
func TestDecisionsFollowTheAsset(t *testing.T) {
	f := setup(t)
	first, second := f.report("1", "1"), f.report("2", "1")
	f.settle()
	f.decide(second, Acknowledged, time.Time{})
	f.want("acknowledged", "[os-is-new open os-is-new acknowledged] counted 2 failing 2")
	f.decide(first, Acknowledged, time.Time{})
	f.decide(first, "", time.Time{})
	f.want("taken back", "[os-is-new open os-is-new acknowledged] counted 2 failing 2")
	if _, err := f.c.Say(t.Context(), "ann", true, store.Ref{Source: "agent", ID: "1"}, store.Ref{Source: "agent", ID: "2"}); err != nil {
		t.Fatal(err)
	}
	f.settle()
	f.want("united", "[os-is-new acknowledged] counted 1 failing 1")
	_, err := f.e.Decide(t.Context(), &storagepb.DecisionRecord{AssetId: first, Rule: "seen-lately", State: string(Waived), At: timestamppb.New(f.now)})
	if !errors.Is(err, ErrNotFailing) {
		t.Errorf("a waiver of what passes: %v", err)
	}
	var actions []string
	err = f.st.View(t.Context(), func(tx *store.Tx) error {
		return tx.ScanAudit(func(r *storagepb.AuditRecord) error {
			actions = append(actions, r.GetAction())
			return nil
		})
	})
	if want := "[finding.acknowledged finding.acknowledged finding.reopen]"; err != nil || fmt.Sprint(actions) != want {
		t.Errorf("audited: %v, want %s (%v)", actions, want, err)
	}
}

// A device that falls silent makes what is known of it old, and one that only
// says that nothing changed keeps it young.
func TestAgesAreCounted(t *testing.T) {
	f := setup(t)
	f.report("1", "2")
	f.report("2", "2")
	f.settle()
	passes := func() Ages {
		for _, c := range f.e.Counts() {
			if c.Rule.ID == "os-is-new" {
				return c.Results[policy.Pass]
			}
		}
		return Ages{}
	}
	if got := passes(); got != (Ages{2}) {
		t.Errorf("fresh: %v", got)
	}
	f.now = f.now.AddDate(0, 0, 20)
	f.c.Seen(store.Ref{Source: "agent", ID: "2"}, f.now)
	f.e.age()
	if got := passes(); got != (Ages{0: 1, 3: 1}) || got.Stale() != 1 {
		t.Errorf("after 20 days of silence of one: %v", got)
	}
	f.now = f.now.AddDate(0, 0, 100)
	f.e.age()
	if got := passes(); got != (Ages{6: 2}) || got.Stale() != 2 {
		t.Errorf("after 120 days: %v", got)
	}
	// Counted anew from nothing it is the same.
	fresh := newTally(enabled(f.e.Pack()))
	for _, j := range f.e.judged {
		fresh.add(&j, 1)
	}
	if fmt.Sprint(fresh.rules) != fmt.Sprint(f.e.tally.rules) || fresh.assets != f.e.tally.assets || fresh.failing != f.e.tally.failing {
		t.Errorf("the running count is %v, counted anew it is %v", f.e.tally, fresh)
	}
}
