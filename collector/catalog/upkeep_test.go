package catalog_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/merge"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const aDay = 24 * time.Hour

// saying is what a source says of one machine's version at a time after epoch.
func saying(source, version string, after time.Duration) *pb.Observation {
	o := observe(source, "1", "SER-A1")
	o.ObservedAt = timestamppb.New(epoch.Add(after))
	o.GetDevice().Os = &pb.Os{Version: version}
	return o
}

func (f *fixture) expire(t testing.TB, later time.Duration) {
	t.Helper()
	f.later = later
	if err := f.c.Expire(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) version(t testing.TB, id, want string) {
	t.Helper()
	if got := f.asset(t, id).GetOs().GetVersion(); got != want {
		t.Errorf("after %v the version is %q, want %q", f.later, got, want)
	}
}

// An agent that falls silent loses to an MDM that goes on, and wins again at once
// when it comes back, were it only by a check-in that says nothing new.
func TestStaleSourcesLoseAsTimePasses(t *testing.T) {
	f := setup(t)
	id := f.accept(t, saying("agent", "agent", 0))
	f.accept(t, saying("jamf", "mdm", 0))
	agent, jamf := store.Ref{Source: "agent", ID: "1"}, store.Ref{Source: "jamf", ID: "1"}
	f.version(t, id, "agent")
	f.expire(t, 35*aDay)
	f.version(t, id, "agent") // both are silent, and then nothing flips
	f.c.Seen(jamf, epoch.Add(35*aDay))
	f.expire(t, 35*aDay)
	f.version(t, id, "mdm")
	f.c.Seen(agent, epoch.Add(36*aDay))
	f.expire(t, 36*aDay)
	f.version(t, id, "agent")

	var events []catalog.Event
	err := f.st.View(context.Background(), func(tx *store.Tx) (err error) {
		events, _, err = f.c.Events(tx, id, catalog.Query{Field: "os.version", Limit: 10})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(events) < 2 || events[0].Record.GetBecause() == "" || events[0].Record.GetSource() != "" {
		t.Errorf("history does not say why: %v", events)
	}
}

// The clock of the MDM's own record counts, not that the MDM still lists it.
func TestAListedRecordIsNoSignOfLife(t *testing.T) {
	f := setup(t)
	listed := func(after time.Duration) *pb.Observation {
		o := saying("jamf", "mdm", after)
		o.GetDevice().Mdm = &pb.Mdm{Enrolled: new(bool), LastCheckIn: timestamppb.New(epoch)}
		return o
	}
	id := f.accept(t, saying("agent", "agent", 0))
	f.accept(t, listed(0))
	f.later = 40 * aDay
	f.accept(t, listed(40*aDay))
	f.version(t, id, "agent")
}

// Whatever was heard when, what is stored once all that was due was looked at is
// what a rebuild makes.
func TestUpkeepGivesWhatARebuildGives(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := setup(t)
		f.acceptAll(t, worlds().Draw(rt, "world"))
		for range rapid.IntRange(1, 6).Draw(rt, "steps") {
			f.later += time.Duration(rapid.IntRange(1, 45).Draw(rt, "days")) * aDay
			for _, source := range []string{"agent", "jamf"} {
				if ref := (store.Ref{Source: source, ID: rapid.SampledFrom([]string{"1", "2", "3"}).Draw(rt, "heard")}); rapid.Bool().Draw(rt, "speaks") && f.holds(t, ref) {
					f.c.Seen(ref, epoch.Add(f.later))
				}
			}
			// What one look finds may give reason for another.
			f.expire(t, f.later)
		}
		f.expire(t, f.later+2*aDay)
		want := f.picture(t)
		if _, err := f.c.Rebuild(context.Background()); err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(want, f.picture(t)); diff != "" {
			rt.Fatalf("a rebuild gives other assets (-stored +rebuilt):\n%s", diff)
		}
	})
}

func (f *fixture) holds(t testing.TB, ref store.Ref) bool {
	t.Helper()
	err := f.st.View(context.Background(), func(tx *store.Tx) error {
		_, err := tx.Head(ref)
		return err
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

// Another table shows beforehand what it would alter and writes nothing; once it
// is in force the assets are made anew, and history says why.
func TestAnotherTable(t *testing.T) {
	ctx := context.Background()
	f := setup(t)
	id := f.accept(t, saying("agent", "agent", 0))
	f.accept(t, saying("jamf", "mdm", 0))
	f.accept(t, observe("agent", "2", "SER-B2"))
	f.upkeep(t)
	table, err := merge.NewTable([]merge.Override{{Field: "os", Order: []string{merge.KindMDM}}})
	if err != nil {
		t.Fatal(err)
	}
	before := dump(t, f.db)
	f.c.UseTable(table)
	var fields []string
	looked, err := f.c.Preview(ctx, func(a catalog.Alteration) error {
		for _, x := range a.Fields {
			fields = append(fields, a.Asset.GetId(), x.Field, x.Old.GetStringValue(), x.From, x.New.GetStringValue(), x.Into)
		}
		return nil
	})
	if err != nil || looked != 2 {
		t.Errorf("looked at %d assets: %v", looked, err)
	}
	if want := []string{id, "os.version", "agent", "agent/1", "mdm", "jamf/1"}; !slices.Equal(fields, want) {
		t.Errorf("the preview tells %q, want %q", fields, want)
	}
	if diff := cmp.Diff(before, dump(t, f.db)); diff != "" {
		t.Errorf("a preview writes:\n%s", diff)
	}
	f.version(t, id, "agent")
	f.upkeep(t)
	f.version(t, id, "mdm")
	var events []catalog.Event
	err = f.st.View(ctx, func(tx *store.Tx) (err error) {
		events, _, err = f.c.Events(tx, id, catalog.Query{Field: "os", Limit: 10})
		return err
	})
	if err != nil || len(events) == 0 || events[0].Record.GetBecause() != "the table of precedence changed" {
		t.Errorf("history tells %v, %v", events, err)
	}
}

// upkeep runs it from its start until its clock ticks for the first time.
func (f *fixture) upkeep(t testing.TB) {
	t.Helper()
	if err := f.c.Arrange(context.Background()); err != nil {
		t.Fatal(err)
	}
}
