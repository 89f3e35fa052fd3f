package catalog_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/history"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// storyOf is what the history tells of a person, the earliest first, a line each.
func (f *fixture) storyOf(t testing.TB, id string, q catalog.Query) []string {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = 100
	}
	var lines []string
	err := f.st.View(t.Context(), func(tx *store.Tx) error {
		events, _, err := f.c.PersonEvents(tx, id, q)
		for _, e := range slices.Backward(events) {
			line := e.Record.GetKind()
			if e.Record.GetSource() != "" {
				line += " by " + e.Record.GetSource() + "/" + e.Record.GetSourceId()
			}
			if e.Record.GetBecause() != "" {
				line += " because " + e.Record.GetBecause()
			}
			for _, c := range e.Record.GetChanges() {
				old, err := history.PersonValue(c.GetField(), c.GetOld())
				if err != nil {
					return err
				}
				now, err := history.PersonValue(c.GetField(), c.GetNew())
				if err != nil {
					return err
				}
				line += fmt.Sprintf(" %s %v>%v", c.GetField(), old.AsInterface(), now.AsInterface())
			}
			lines = append(lines, line)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func TestAPersonsHistoryTellsWhatChangedAndNotWhatWasReported(t *testing.T) {
	f := setupPeople(t)
	minutes := 0
	okta := func(p *pb.Profile) string {
		o := person("okta", "ann", p)
		minutes++
		o.ObservedAt = timestamppb.New(epoch.Add(time.Duration(minutes) * time.Minute))
		f.later = time.Duration(minutes) * time.Minute
		return f.accept(t, o)
	}
	ann := func(department string) *pb.Profile {
		return &pb.Profile{Name: "Ann Berg", Emails: []string{"ann@example.com"}, EmployeeId: "1001", Department: department}
	}
	id := okta(ann("Sales"))
	for range 3 {
		okta(ann("Sales"))
	}
	okta(ann("Finance"))
	left := ann("Finance")
	left.Status = "departed"
	okta(left)
	hr := f.accept(t, person("hr", "1001", &pb.Profile{Name: "Berg, Ann", EmployeeId: "1001", Manager: "bob@example.com"}))
	if hr != id {
		t.Fatalf("HR's record is of %s", hr)
	}
	want := []string{"created by okta/ann", "changed by okta/ann department Sales>Finance", "changed by okta/ann status <nil>>departed", "changed by hr/1001 manager <nil>>bob@example.com"}
	if got := f.storyOf(t, id, catalog.Query{}); !slices.Equal(got, want) {
		t.Errorf("it tells %q, want %q", got, want)
	}
	if got := f.storyOf(t, id, catalog.Query{Field: "status"}); !slices.Equal(got, want[2:3]) {
		t.Errorf("of the status it tells %q", got)
	}
	if err := f.c.Withdraw(t.Context(), store.Ref{Source: "hr", ID: "1001"}); err != nil {
		t.Fatal(err)
	}
	if err := f.c.Withdraw(t.Context(), store.Ref{Source: "okta", ID: "ann"}); err != nil {
		t.Fatal(err)
	}
	got := f.storyOf(t, id, catalog.Query{})
	if len(got) != 6 || got[4] != "changed by hr/1001 manager bob@example.com><nil>" || got[5] != "withdrawn by okta/ann" {
		t.Errorf("in the end it tells %q", got)
	}
	f.sound(t)
	if err := f.c.Prune(t.Context(), epoch.Add(4*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got := f.storyOf(t, id, catalog.Query{}); len(got) != 0 {
		t.Errorf("pruned, it tells %q", got)
	}
}

func TestWhoWasErasedHasNoHistoryAndIsInNobodyElses(t *testing.T) {
	f := setupPeople(t)
	id, _ := zelda(t, f)
	var bob string
	err := f.st.View(t.Context(), func(tx *store.Tx) error {
		m, err := tx.PersonMember(store.Ref{Source: "okta", ID: "bob"})
		bob = m.GetAssetId()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	o := person("okta", "bob", &pb.Profile{Name: "Bob Cole", Emails: []string{"bob@example.com"}, Manager: "boss@example.com", Title: "Lead"})
	o.ObservedAt = timestamppb.New(epoch.Add(time.Minute))
	f.accept(t, o)
	// Somebody of her name whom nobody states any more.
	gone := person("hr", "4700", &pb.Profile{Name: "Temp", EmployeeId: "4700", Emails: []string{"temp@example.com"}})
	ghost := f.accept(t, gone)
	gone.GetPerson().Title, gone.ObservedAt = "was Zelda Quackenbush", timestamppb.New(epoch.Add(time.Minute))
	f.accept(t, gone)
	if err := f.c.Withdraw(t.Context(), store.Ref{Source: "hr", ID: "4700"}); err != nil {
		t.Fatal(err)
	}
	if got := f.storyOf(t, bob, catalog.Query{}); len(got) != 2 || !strings.Contains(got[1], "manager zelda@example.com>boss@example.com") {
		t.Fatalf("of Bob it tells %q", got)
	}
	if _, err := f.c.Erase(t.Context(), erasing(f, t, id)); err != nil {
		t.Fatal(err)
	}
	if got := f.storyOf(t, id, catalog.Query{}); len(got) != 0 {
		t.Errorf("of her it tells %q", got)
	}
	if got := f.storyOf(t, ghost, catalog.Query{}); len(got) != 0 {
		t.Errorf("of her other record it tells %q", got)
	}
	if got := f.storyOf(t, bob, catalog.Query{}); len(got) != 2 || got[1] != "changed by okta/bob manager <nil>>boss@example.com title <nil>>Lead" {
		t.Errorf("of Bob it tells %q", got)
	}
	for _, left := range leftovers(t, f.db) {
		t.Error(left)
	}
	f.sound(t)
}
