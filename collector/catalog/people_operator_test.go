package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

func (f *fixture) operated(t testing.TB) *fixture {
	t.Helper()
	if err := f.c.DeclareOperator(context.Background()); err != nil {
		t.Fatal(err)
	}
	return f
}

// personOf returns who a record is about.
func (f *fixture) personOf(t testing.TB, ref store.Ref) string {
	t.Helper()
	var id string
	err := f.st.View(context.Background(), func(tx *store.Tx) error {
		m, err := tx.PersonMember(ref)
		id = m.GetAssetId()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// people is everything that users see of people but ids and when operators spoke.
func (f *fixture) people(t testing.TB) []string {
	t.Helper()
	var out []string
	err := f.st.View(context.Background(), func(tx *store.Tx) error {
		return tx.ScanPeople("", func(p *adminpb.Person) error {
			p.Id, p.Redirects, p.FirstSeen = "", nil, nil
			for _, s := range p.GetSources() {
				if s.GetSource() == catalog.Operator {
					s.SourceId, s.FirstSeen = "", nil
				}
			}
			slices.SortFunc(p.Sources, func(a, b *pb.AssetSource) int { return strings.Compare(a.Source+a.SourceId, b.Source+b.SourceId) })
			for _, from := range p.GetProvenance() {
				if from.GetSource() == catalog.Operator {
					from.SourceId = ""
				}
			}
			for _, c := range p.GetConflicts() {
				for _, v := range c.GetValues() {
					if v.GetSource() == catalog.Operator {
						v.SourceId = ""
					}
				}
			}
			b, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(p)
			out = append(out, strings.ReplaceAll(string(b), " ", ""))
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

// word is what an operator says of two people.
type word struct {
	same           bool
	subject, other store.Ref
}

// What operators say gives the same people in whatever order their records came,
// survives a rebuild to the byte, and leaves nothing behind once it is taken back.
func TestOperatorsWordsOnPeople(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		all := peopled().Draw(rt, "world")
		var refs []store.Ref
		for _, o := range all {
			if ref := (store.Ref{Source: o.Source, ID: o.SourceId}); o.GetPerson() != nil && !slices.Contains(refs, ref) {
				refs = append(refs, ref)
			}
		}
		if len(refs) < 2 {
			return
		}
		words := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) word {
			pair := rapid.Permutation(refs).Draw(t, "pair")
			return word{rapid.Bool().Draw(t, "same"), pair[0], pair[1]}
		}), 0, 4).Draw(rt, "words")
		about := rapid.SampledFrom(refs).Draw(rt, "about")
		f := setupPeople(t).operated(t).acceptAll(t, all)
		before := f.crowd(t)
		said, spoken := f.speak(t, words, about)
		again := setupPeople(t).operated(t).acceptAll(t, rapid.Permutation(all).Draw(rt, "order"))
		again.speak(t, words, about)
		if diff := cmp.Diff(f.people(t), again.people(t)); diff != "" {
			rt.Fatalf("another order, other people (-want +got):\n%s", diff)
		}
		stored := dump(t, f.db)
		if _, err := f.c.Rebuild(context.Background()); err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(stored, dump(t, f.db)); diff != "" {
			rt.Fatalf("other bytes after a rebuild (-want +got):\n%s", diff)
		}
		for _, id := range rapid.Permutation(said).Draw(rt, "taken back") {
			if err := f.c.Unsay(context.Background(), "op", id); err != nil {
				rt.Fatal(err)
			}
		}
		if _, err := f.c.AssertPerson(context.Background(), "op", f.personOf(t, spoken), func(p *pb.Profile) error { proto.Reset(p); return nil }); err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(before, f.crowd(t)); diff != "" {
			rt.Fatalf("(-never said +taken back):\n%s", diff)
		}
		if n := len(f.statements(t)); n != 0 {
			rt.Fatalf("%d statements are left", n)
		}
	})
}

// speak says words, and a department of one person. It returns the ids of what
// was said, and the record that has the department.
func (f *fixture) speak(t testing.TB, words []word, about store.Ref) (ids []string, spoken store.Ref) {
	t.Helper()
	id, err := f.c.AssertPerson(context.Background(), "op", f.personOf(t, about), func(p *pb.Profile) error {
		p.Department = "Operations"
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range f.person(t, id).GetSources() {
		if s.GetSource() == catalog.Operator {
			spoken = store.Ref{Source: catalog.Operator, ID: s.GetSourceId()}
		}
	}
	if got := f.person(t, id); got.GetDepartment() != "Operations" || got.GetProvenance()["department"].GetSource() != catalog.Operator {
		t.Fatalf("the department is %q", got.GetDepartment())
	}
	for _, w := range words {
		s, err := f.c.SayPerson(context.Background(), "op", w.same, w.subject, w.other)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, s.GetId())
	}
	return ids, spoken
}

func TestPeopleAreUnitedAndPartedByOperators(t *testing.T) {
	f := setupPeople(t).operated(t)
	ann := f.accept(t, person("okta", "a", &pb.Profile{Name: "Ann", Emails: []string{"ann@example.com"}}))
	hr := f.accept(t, person("hr", "1", &pb.Profile{Name: "Ann", EmployeeId: "1", Emails: []string{"ann@example.com"}}))
	other := f.accept(t, person("okta", "b", &pb.Profile{Name: "Ann B.", Emails: []string{"b@example.com"}}))
	if f.person(t, hr).GetId() != ann || other == ann {
		t.Fatal("addresses unite")
	}
	apart, err := f.c.SayPerson(t.Context(), "op", false, store.Ref{Source: "okta", ID: "a"}, store.Ref{Source: "hr", ID: "1"})
	if err != nil {
		t.Fatal(err)
	}
	if a, b := f.personOf(t, store.Ref{Source: "okta", ID: "a"}), f.personOf(t, store.Ref{Source: "hr", ID: "1"}); a == b {
		t.Error("two people are still one")
	}
	// Two accounts of one directory, which nothing else would unite.
	if _, err := f.c.SayPerson(t.Context(), "op", true, store.Ref{Source: "okta", ID: "a"}, store.Ref{Source: "okta", ID: "b"}); err != nil {
		t.Fatal(err)
	}
	if f.person(t, other).GetId() != f.personOf(t, store.Ref{Source: "okta", ID: "a"}) {
		t.Error("one person is still two")
	}
	e, err := f.c.ExplainPerson(t.Context(), other)
	if err != nil || len(e.Statements) != 2 || len(e.Ties) != 1 || len(e.Refusals) == 0 {
		t.Errorf("explained by %+v, %v", e, err)
	}
	if err := f.c.Unsay(t.Context(), "op", apart.GetId()); err != nil {
		t.Fatal(err)
	}
	if f.personOf(t, store.Ref{Source: "hr", ID: "1"}) != f.personOf(t, store.Ref{Source: "okta", ID: "a"}) {
		t.Error("what was said is taken back, and they are still two")
	}
	machine := observe("jamf", "1", "SER-A1")
	f.accept(t, machine)
	for _, ref := range []store.Ref{{Source: "jamf", ID: "1"}, {Source: "okta", ID: "nobody"}} {
		if _, err := f.c.SayPerson(t.Context(), "op", true, store.Ref{Source: "okta", ID: "a"}, ref); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a person is the same as %s: %v", ref, err)
		}
		if _, err := f.c.Say(t.Context(), "op", true, store.Ref{Source: "okta", ID: "a"}, ref); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a thing is the same as a person: %v", err)
		}
	}
	if _, err := f.c.SayPerson(t.Context(), "op", true, store.Ref{Source: "okta", ID: "a"}, store.Ref{Source: "okta", ID: "a"}); !errors.Is(err, catalog.ErrInvalid) {
		t.Error(err)
	}
	f.sound(t)
}

// A record that goes takes nothing of the operator's word with it.
func TestTheOperatorsWordStaysWithThePerson(t *testing.T) {
	f := setupPeople(t).operated(t)
	ann := f.accept(t, person("okta", "a", &pb.Profile{Name: "Ann", Emails: []string{"ann@example.com"}}))
	f.accept(t, person("hr", "1", &pb.Profile{Name: "Ann", Emails: []string{"ann@example.com"}}))
	f.speak(t, nil, store.Ref{Source: "okta", ID: "a"})
	for i := range 2 {
		gone := []store.Ref{{Source: "okta", ID: "a"}, {Source: "hr", ID: "1"}}[i]
		if err := f.c.Withdraw(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
		if p := f.person(t, ann); p.GetDepartment() != "Operations" || len(p.GetSources()) != 2-i {
			t.Errorf("after %s: %v", gone, p)
		}
	}
	f.accept(t, person("hr", "1", &pb.Profile{Name: "Ann", Emails: []string{"ann@example.com"}}))
	if p := f.person(t, f.personOf(t, store.Ref{Source: "hr", ID: "1"})); p.GetDepartment() != "Operations" {
		t.Errorf("she came back as %v", p)
	}
	f.sound(t)
}

func TestErasureTakesTheOperatorsWord(t *testing.T) {
	f := setupPeople(t).operated(t)
	id := f.accept(t, person("okta", "a", &pb.Profile{Name: "Ann Berg", Emails: []string{"ann@example.com"}}))
	f.accept(t, person("hr", "1", &pb.Profile{Name: "Bob Cole", Emails: []string{"bob@example.com"}}))
	f.speak(t, []word{{false, store.Ref{Source: "okta", ID: "a"}, store.Ref{Source: "hr", ID: "1"}}}, store.Ref{Source: "okta", ID: "a"})
	if len(f.statements(t)) != 2 {
		t.Fatal(f.statements(t))
	}
	if _, err := f.c.Erase(t.Context(), erasing(f, t, id)); err != nil {
		t.Fatal(err)
	}
	if left := f.statements(t); len(left) != 0 {
		t.Errorf("statements stay: %v", left)
	}
	if left := f.people(t); len(left) != 1 || !strings.Contains(left[0], "bob@example.com") {
		t.Errorf("people stay: %v", left)
	}
	f.sound(t)
}

func (f *fixture) statements(t testing.TB) []string {
	t.Helper()
	var out []string
	err := f.st.View(context.Background(), func(tx *store.Tx) error {
		return tx.ScanStatements("", func(s *storagepb.StatementRecord) error {
			out = append(out, fmt.Sprint(s.GetSubjectSource(), s.GetOtherSource(), s.GetAnchor()))
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
