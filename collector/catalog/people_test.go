package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

func setupPeople(t testing.TB) *fixture {
	t.Helper()
	f := setup(t)
	for source, kind := range map[string]string{"okta": "idp", "hr": "file"} {
		if err := f.c.DeclareSource(t.Context(), &storagepb.SourceRecord{Id: source, Kind: kind}); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func person(source, id string, p *pb.Profile) *pb.Observation {
	return &pb.Observation{Source: source, SourceId: id, ObservedAt: timestamppb.New(epoch), Subject: &pb.Observation_Person{Person: p}}
}

func (f *fixture) person(t testing.TB, id string) *adminpb.Person {
	t.Helper()
	var p *adminpb.Person
	err := f.st.View(context.Background(), func(tx *store.Tx) (err error) {
		if p, err = tx.ResolvePerson(id); err != nil {
			return err
		}
		return f.c.DatePerson(tx, p)
	})
	if err != nil {
		t.Fatalf("person %s: %v", id, err)
	}
	return p
}

func TestSourcesOfOnePersonMakeOnePerson(t *testing.T) {
	f := setupPeople(t)
	var told []string
	f.c.OnPersonChange(func(c catalog.PersonChange) { told = append(told, c.Kind) })
	first := person("jamf", "user/7", &pb.Profile{Name: "ann", Emails: []string{"Ann@Example.com"}, Department: "Old"})
	first.ObservedAt = timestamppb.New(epoch.Add(-time.Hour))
	mdm := f.accept(t, first)
	hr := f.accept(t, person("hr", "1001", &pb.Profile{EmployeeId: "1001", Name: "Berg, Ann", Department: "Sales", Manager: "bob@example.com"}))
	if mdm == hr {
		t.Fatal("nothing says yet that they are one")
	}
	okta := f.accept(t, person("okta", "user/00u1", &pb.Profile{EmployeeId: "1001", Name: "Ann Berg", Emails: []string{"ann@example.com", "a.berg@example.com"}, Status: "active",
		Apps: []*pb.AppAccess{{Name: "Salesforce", Id: "0oa1"}}}))
	p := f.person(t, okta)
	for _, id := range []string{mdm, hr} {
		if got := f.person(t, id); got.GetId() != p.GetId() {
			t.Errorf("%s answers with %s, want %s", id, got.GetId(), p.GetId())
		}
	}
	want := &adminpb.Person{Id: mdm, Redirects: []string{hr}, Name: "Ann Berg", Emails: []string{"ann@example.com", "a.berg@example.com"}, EmployeeId: "1001", Status: "active", Department: "Sales",
		Manager: "bob@example.com", Apps: []*pb.AppAccess{{Name: "Salesforce", Id: "0oa1", Source: "okta"}}}
	if diff := cmp.Diff(want, p, protocmp.Transform(), protocmp.IgnoreFields(&adminpb.Person{}, "sources", "provenance", "conflicts", "first_seen", "last_seen")); diff != "" {
		t.Error(diff)
	}
	if from := p.GetProvenance()["department"]; from.GetSource() != "hr" || from.GetObservedAt() == nil {
		t.Errorf("the department comes from %v", from)
	}
	if len(p.GetConflicts()) != 2 || p.GetConflicts()[0].GetField() != "name" || p.GetConflicts()[1].GetField() != "department" {
		t.Errorf("conflicts %v", p.GetConflicts())
	}
	if got := strings.Join(told, " "); got != "created created united changed" {
		t.Errorf("told of %s", got)
	}
	// What withdrew leaves nothing behind, and a second word changes nothing.
	if err := f.c.Withdraw(t.Context(), store.Ref{Source: "okta", ID: "user/00u1"}); err != nil {
		t.Fatal(err)
	}
	if p := f.person(t, mdm); p.GetName() != "ann" || p.GetEmployeeId() != "" || p.GetStatus() != "" || len(p.GetApps()) != 0 {
		t.Errorf("left is %v", p)
	}
}

func TestAnOwnerIsThePerson(t *testing.T) {
	f := setupPeople(t)
	laptop := observe("jamf", "1", "SER-A1")
	laptop.GetDevice().Owner = &pb.Owner{Email: "Ann@Example.com", Name: "ann", Department: "Old"}
	asset := f.accept(t, laptop)
	f.accept(t, person("okta", "u1", &pb.Profile{Name: "Ann Berg", Emails: []string{"ann@example.com"}, Department: "Sales", Manager: "bob@example.com", Status: "active"}))
	check := func(what string, want *pb.Owner) {
		t.Helper()
		if diff := cmp.Diff(want, f.asset(t, asset).GetOwner(), protocmp.Transform()); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	check("after the directory", &pb.Owner{Email: "Ann@Example.com", Name: "Ann Berg", Department: "Sales", Manager: "bob@example.com", Active: proto.Bool(true)})
	a := f.dated(t, asset)
	if from := a.GetProvenance()["owner.department"]; from.GetSource() != "okta" || from.GetObservedAt() == nil {
		t.Errorf("the department comes from %v", from)
	}
	if c := a.GetConflicts(); len(c) != 2 || c[1].GetField() != "owner.department" || c[1].GetValues()[1].GetValue().GetStringValue() != "Old" {
		t.Errorf("conflicts %v", c)
	}
	left := person("okta", "u1", &pb.Profile{Name: "Ann Berg", Emails: []string{"ann@example.com"}, Department: "Sales", Status: "departed"})
	left.ObservedAt = timestamppb.New(epoch.Add(time.Minute))
	f.accept(t, left)
	check("once they left", &pb.Owner{Email: "Ann@Example.com", Name: "Ann Berg", Department: "Sales", Active: proto.Bool(false)})
	f.accept(t, &pb.Observation{Source: "okta", SourceId: "u1", ObservedAt: timestamppb.New(epoch.Add(2 * time.Minute)), Gone: true})
	check("once nobody knows them", &pb.Owner{Email: "Ann@Example.com", Name: "ann", Department: "Old"})
	f.accept(t, left)
	check("known again", &pb.Owner{Email: "Ann@Example.com", Name: "Ann Berg", Department: "Sales", Active: proto.Bool(false)})
}

func TestAnOperatorKnowsTheOwnerBest(t *testing.T) {
	f := setupPeople(t)
	if err := f.c.DeclareOperator(t.Context()); err != nil {
		t.Fatal(err)
	}
	asset := f.accept(t, observe("jamf", "1", "SER-A1"))
	if _, err := f.c.Assert(t.Context(), "ann", asset, func(d *pb.Device) error {
		d.Owner = &pb.Owner{Email: "ann@example.com", Department: "Loan pool"}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	f.accept(t, person("okta", "u1", &pb.Profile{Name: "Ann Berg", Emails: []string{"ann@example.com"}, Department: "Sales"}))
	if o := f.asset(t, asset).GetOwner(); o.GetDepartment() != "Loan pool" || o.GetName() != "Ann Berg" {
		t.Errorf("the owner is %v", o)
	}
}

func TestRefusedPeople(t *testing.T) {
	f := setupPeople(t)
	f.accept(t, observe("okta", "1", "SER-A1"))
	for want, o := range map[string]*pb.Observation{
		"of another sort":                  person("okta", "1", &pb.Profile{Name: "Ann"}),
		"none of: active, suspended":       person("okta", "2", &pb.Profile{Name: "Ann", Status: "gone fishing"}),
		"none of: employee, contractor":    person("okta", "2", &pb.Profile{Name: "Ann", Type: "boss"}),
		"at most 8192 are kept":            person("okta", "2", &pb.Profile{Name: strings.Repeat("a", 9000)}),
		"declare it first with PUT":        person("nobody", "2", &pb.Profile{Name: "Ann"}),
		"person.groups has 20000 items":    person("okta", "2", &pb.Profile{Groups: slices.Repeat([]string{"x"}, 20_000)}),
		"person.emails holds a NUL":        person("okta", "2", &pb.Profile{Emails: []string{"a\x00@example.com"}}),
		"an observation needs a source an": person("okta", "", &pb.Profile{Name: "Ann"}),
	} {
		_, err := f.c.Accept(t.Context(), o)
		if err == nil || !strings.Contains(err.Error(), want) || !errors.Is(err, catalog.ErrInvalid) && !errors.Is(err, catalog.ErrUndeclared) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	f.accept(t, person("okta", "3", &pb.Profile{Name: "Ann"}))
	if _, err := f.c.Accept(t.Context(), observe("okta", "3", "SER-B2")); !errors.Is(err, catalog.ErrInvalid) {
		t.Errorf("a device took the place of a person: %v", err)
	}
}

// peopled draws statements about a handful of people and what is theirs.
func peopled() *rapid.Generator[[]*pb.Observation] {
	email := rapid.SampledFrom([]string{"", "ann@example.com", "bob@example.com", "cid@example.com"})
	statement := rapid.Custom(func(t *rapid.T) *pb.Observation {
		id := fmt.Sprint(rapid.IntRange(1, 4).Draw(t, "id"))
		at := timestamppb.New(epoch.Add(-time.Duration(rapid.IntRange(0, 72).Draw(t, "age")) * time.Hour))
		if rapid.IntRange(0, 2).Draw(t, "device") == 0 {
			o := observe("abm", id, rapid.SampledFrom([]string{"", "SER-A1", "SER-B2"}).Draw(t, "serial"))
			o.ObservedAt, o.GetDevice().Owner = at, &pb.Owner{Email: email.Draw(t, "owner"), Name: rapid.SampledFrom([]string{"", "Ann"}).Draw(t, "named")}
			return o
		}
		p := &pb.Profile{Name: rapid.SampledFrom([]string{"Ann", "Bob"}).Draw(t, "name"), Status: rapid.SampledFrom([]string{"", "active", "suspended", "departed"}).Draw(t, "status")}
		for range rapid.IntRange(0, 2).Draw(t, "addresses") {
			p.Emails = append(p.Emails, email.Draw(t, "email"))
		}
		p.EmployeeId = rapid.SampledFrom([]string{"", "1", "2"}).Draw(t, "number")
		o := person(rapid.SampledFrom([]string{"okta", "hr", "jamf"}).Draw(t, "source"), id, p)
		o.ObservedAt = at
		if rapid.IntRange(0, 3).Draw(t, "beside") == 0 {
			o.Identifiers = []*pb.Identifier{{Kind: "email", Value: email.Draw(t, "identifier")}}
		}
		return o
	})
	return rapid.Custom(func(t *rapid.T) []*pb.Observation {
		at := make(map[string]bool)
		return slices.DeleteFunc(rapid.SliceOfN(statement, 1, 10).Draw(t, "statements"), func(o *pb.Observation) bool {
			k := fmt.Sprint(o.Source, o.SourceId, o.ObservedAt.AsTime())
			defer func() { at[k] = true }()
			return at[k]
		})
	})
}

// crowd is everything that users see of people and assets but their ids.
func (f *fixture) crowd(t testing.TB) []string {
	t.Helper()
	out := f.picture(t)
	err := f.st.View(context.Background(), func(tx *store.Tx) error {
		return tx.ScanPeople("", func(p *adminpb.Person) error {
			if err := f.c.DatePerson(tx, p); err != nil {
				return err
			}
			p.Id, p.Redirects = "", nil
			b, err := proto.MarshalOptions{Deterministic: true}.Marshal(p)
			out = append(out, fmt.Sprintf("%s %x", protojson.Format(p), b))
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

// The same statements in any order, any of them repeated, give the same people
// and the same owners to the byte; so does a rebuild, and what is withdrawn
// might never have been said.
func TestTheOrderOfPeopleDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		all := peopled().Draw(rt, "world")
		want := setupPeople(t).acceptAll(t, all).crowd(t)
		again := slices.Concat(all, rapid.SliceOfN(rapid.SampledFrom(all), 0, 5).Draw(rt, "repeated"))
		f := setupPeople(t).acceptAll(t, rapid.Permutation(again).Draw(rt, "order"))
		if diff := cmp.Diff(want, f.crowd(t)); diff != "" {
			rt.Fatalf("another order, other people (-want +got):\n%s", diff)
		}
		stored := dump(t, f.db)
		if _, err := f.c.Rebuild(context.Background()); err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(stored, dump(t, f.db)); diff != "" {
			rt.Fatalf("other bytes after a rebuild (-want +got):\n%s", diff)
		}
		victim := rapid.SampledFrom(all).Draw(rt, "victim")
		if err := f.c.Withdraw(context.Background(), store.Ref{Source: victim.Source, ID: victim.SourceId}); err != nil {
			rt.Fatal(err)
		}
		rest := slices.DeleteFunc(slices.Clone(all), func(o *pb.Observation) bool { return o.Source == victim.Source && o.SourceId == victim.SourceId })
		if diff := cmp.Diff(setupPeople(t).acceptAll(t, rest).crowd(t), f.crowd(t)); diff != "" {
			rt.Fatalf("(-never said +withdrawn):\n%s", diff)
		}
	})
}

// Stores from before people were known have no index of owners.
func TestTheIndexOfOwnersIsMadeWhereThereIsNone(t *testing.T) {
	f := setupPeople(t)
	laptop := observe("jamf", "1", "SER-A1")
	laptop.GetDevice().Owner = &pb.Owner{Email: "ann@example.com"}
	asset := f.accept(t, laptop)
	err := f.st.Update(t.Context(), func(tx *store.Tx) error { return tx.DeleteOwned("ann@example.com", asset) })
	if err != nil {
		t.Fatal(err)
	}
	if err := f.c.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.accept(t, person("okta", "u1", &pb.Profile{Name: "Ann Berg", Emails: []string{"ann@example.com"}}))
	if got := f.asset(t, asset).GetOwner().GetName(); got != "Ann Berg" {
		t.Errorf("the owner is %q", got)
	}
}

func TestSweepWithdrawsPeople(t *testing.T) {
	f := setupPeople(t)
	for i := range 3 {
		f.accept(t, person("okta", fmt.Sprint("user/", i), &pb.Profile{Emails: []string{fmt.Sprintf("u%d@example.com", i)}}))
	}
	n, err := f.c.Sweep(t.Context(), "okta", func(id string) bool { return id == "user/1" }, 0.3)
	if err != nil || n != 2 {
		t.Fatal(n, err)
	}
	if left := f.crowd(t); len(left) != 1 || !strings.Contains(left[0], "u1@example.com") {
		t.Errorf("left are %v", left)
	}
}

func BenchmarkAcceptPerson(b *testing.B) {
	f := setupPeople(b)
	for i := 0; b.Loop(); i++ {
		o := person("okta", fmt.Sprint("user/", i), &pb.Profile{Name: "Ann Berg", Emails: []string{fmt.Sprintf("u%d@example.com", i)}, EmployeeId: fmt.Sprint(1000 + i), Department: "Sales", Status: "active"})
		if _, err := f.c.Accept(b.Context(), o); err != nil {
			b.Fatal(err)
		}
	}
}
