package catalog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/kv"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// traces are what must be found nowhere once she is erased.
var traces = []string{"quackenbush", "zelda@", "zquack", "z.quack@"}

// leftovers returns what the store still has of somebody: every key, and every
// value as it was before it was packed.
func leftovers(t testing.TB, db kv.DB) []string {
	t.Helper()
	var found []string
	err := db.View(context.Background(), func(tx kv.Tx) error {
		return tx.Scan(nil, nil, func(k, v []byte) error {
			text := v
			if len(v) > 0 && v[0] == 1 && !bytes.HasPrefix(k, []byte("!/")) { // those are not packed
				var err error
				if text, err = s2.Decode(nil, v[1:]); err != nil {
					return err
				}
			}
			for _, word := range traces {
				if bytes.Contains(bytes.ToLower(text), []byte(word)) || bytes.Contains(bytes.ToLower(k), []byte(word)) {
					found = append(found, fmt.Sprintf("%q: %q", k, text))
					break
				}
			}
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// zelda fills a store with all that may be known of somebody, over some time, and
// returns her id and that of her laptop.
func zelda(t testing.TB, f *fixture) (id, laptop string) {
	t.Helper()
	if err := f.c.DeclareOperator(t.Context()); err != nil {
		t.Fatal(err)
	}
	at := func(minutes int) *timestamppb.Timestamp {
		return timestamppb.New(epoch.Add(time.Duration(minutes) * time.Minute))
	}
	said := func(o *pb.Observation, minutes int) *pb.Observation {
		o = proto.CloneOf(o)
		o.ObservedAt = at(minutes)
		return o
	}
	f.accept(t, person("okta", "zelda@example.com", &pb.Profile{Name: "Zelda Quackenbush", GivenName: "Zelda", FamilyName: "Quackenbush", Emails: []string{"Zelda@example.com"},
		Upn: "z.quack@corp.example.com", Account: `CORP\zquack`, EmployeeId: "4711", Department: "Sales", Status: "active"}))
	id = f.accept(t, person("hr", "4711", &pb.Profile{Name: "Quackenbush, Zelda", EmployeeId: "4711", Manager: "boss@example.com"}))
	f.accept(t, person("okta", "bob", &pb.Profile{Name: "Bob Cole", Emails: []string{"bob@example.com"}, Manager: "zelda@example.com"}))
	device := observe("jamf", "1", "SER-A1")
	device.GetDevice().Owner = &pb.Owner{Email: "bob@example.com"}
	laptop = f.accept(t, device)
	device.GetDevice().Owner = &pb.Owner{Email: "Zelda@Example.com", Name: "Zelda", Department: "Sales"}
	f.accept(t, said(device, 1))
	device.GetDevice().Name = "zquack-mbp"
	device.GetDevice().PrimaryUser = &pb.PrimaryUser{Name: "zquack", Email: "zelda@example.com"}
	device.GetDevice().Security = &pb.Security{LocalAdmins: []string{"root", "zquack", `CORP\zquack`}}
	device.GetDevice().Labels = map[string]string{"assigned_to": "Zelda Quackenbush", "site": "Berlin"}
	f.accept(t, said(device, 2))
	agent := observe("agent", "A-1", "SER-A1")
	agent.GetDevice().Software = []*pb.Software{{Kind: "app", Name: "Tool", Version: "1", Location: "/Users/zquack/Applications/Tool.app"}}
	agent.GetDevice().Name = "zquack-mbp"
	agent.Problems = []*pb.Problem{{Section: "users", Fact: "home", Error: "open /Users/zquack: permission denied"}}
	f.accept(t, said(agent, 3))
	if _, err := f.c.Assert(t.Context(), "token:1", laptop, func(d *pb.Device) error {
		d.Owner = &pb.Owner{Email: "zelda@example.com"}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	f.accept(t, &pb.Observation{Source: "hr", SourceId: "desk/zelda@example.com", ObservedAt: at(4), Subject: &pb.Observation_Device{Device: &pb.Device{Name: "her desk", Hardware: &pb.Hardware{Serial: "DESK0001"}}}})
	gone := observe("abm", "9", "SER-GONE")
	gone.GetDevice().Owner = &pb.Owner{Email: "zelda@example.com", Name: "Zelda Quackenbush"}
	f.accept(t, gone)
	if err := f.c.Withdraw(t.Context(), store.Ref{Source: "abm", ID: "9"}); err != nil {
		t.Fatal(err)
	}
	err := f.st.Update(t.Context(), func(tx *store.Tx) error {
		return errors.Join(
			tx.AppendAudit(&storagepb.AuditRecord{Actor: "user:zelda@example.com", Action: "signin", Target: "10.0.0.1"}),
			tx.AppendAudit(&storagepb.AuditRecord{Actor: "token:1", Action: "asset.assert", Target: laptop, Detail: `{"set":{"owner":{"email":"zelda@example.com","name":"CORP\\zquack"}}}`}),
			tx.PutFinding(&storagepb.FindingRecord{AssetId: laptop, Rule: "owner-left", Detail: []string{"owner Zelda Quackenbush left"}}),
			tx.PutDecision(&storagepb.DecisionRecord{AssetId: laptop, Rule: "owner-left", Reason: "asked zelda@example.com, she is on leave"}),
			tx.PutToken(&storagepb.TokenRecord{Id: "t1", Name: "laptop of zelda@example.com"}),
			tx.PutNote("feed/okta/memory", []byte(`{"error":"record zelda@example.com: bad"}`)),
			tx.PutNote("feed/okta/cache/1", []byte(`{"login":"zquack"}`)))
	})
	if err != nil {
		t.Fatal(err)
	}
	return id, laptop
}

func erasing(f *fixture, t testing.TB, id string) catalog.Erasing {
	return catalog.Erasing{Person: f.person(t, id), By: "token:1", Reason: "request 17"}
}

func (f *fixture) sound(t testing.TB) {
	t.Helper()
	_, err := f.c.Verify(t.Context(), func(p store.Problem) { t.Errorf("%s: %s", p.Record, p.What) })
	if err != nil {
		t.Fatal(err)
	}
	err = f.st.View(t.Context(), func(tx *store.Tx) error {
		_, _, err := tx.VerifyAudit(t.Context())
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestNothingIsLeftOfWhoIsErased(t *testing.T) {
	f := setupPeople(t)
	id, laptop := zelda(t, f)
	if len(leftovers(t, f.db)) < 10 {
		t.Fatal("there is little to erase")
	}
	_, assets, err := f.c.PlanErasure(t.Context(), erasing(f, t, id))
	if err != nil || len(assets) != 3 {
		t.Fatalf("the plan names %v, %v", assets, err)
	}
	r, err := f.c.Erase(t.Context(), erasing(f, t, id))
	if err != nil {
		t.Fatal(err)
	}
	if r.GetCompletedAt() == nil || r.GetSubject() != nil || r.GetCounts()["people"]+r.GetCounts()["observations"] == 0 || len(r.GetMarks()) < 5 {
		t.Errorf("it is %v", r)
	}
	for _, left := range leftovers(t, f.db) {
		t.Error(left)
	}
	f.sound(t)
	a := f.asset(t, laptop)
	if a.GetOwner() != nil || a.GetPrimaryUser() != nil || a.GetName() != "[erased]-mbp" || a.GetLabels()["site"] != "Berlin" || len(a.GetSecurity().GetLocalAdmins()) != 1 {
		t.Errorf("the laptop is %v", a)
	}
	// What was before her is still told, and what was hers is nobody's.
	err = f.st.View(t.Context(), func(tx *store.Tx) error {
		bobs := 0
		for seconds := range 60 {
			past, err := f.c.AsOf(tx, laptop, epoch.Add(time.Duration(seconds)*time.Second))
			if errors.Is(err, catalog.ErrNotYet) {
				continue
			}
			if err != nil {
				return err
			}
			if past.GetOwner().GetEmail() == "bob@example.com" {
				bobs++
			} else if past.GetOwner() != nil {
				t.Errorf("after %d seconds the owner was %v", seconds, past.GetOwner())
			}
		}
		if bobs == 0 {
			t.Error("nobody knows any more that it was Bob's")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	before := f.picture(t)
	if _, err := f.c.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := f.picture(t); strings.Join(after, "\n") != strings.Join(before, "\n") {
		t.Error("a rebuild gives something else")
	}
	for _, left := range leftovers(t, f.db) {
		t.Error("rebuilt:", left)
	}
	f.sound(t)
}

func TestWhoIsErasedIsNotTakenInAgain(t *testing.T) {
	f := setupPeople(t)
	id, laptop := zelda(t, f)
	r, err := f.c.Erase(t.Context(), erasing(f, t, id))
	if err != nil {
		t.Fatal(err)
	}
	f.later = 2 * time.Hour
	again := func() error {
		o := person("okta", "zelda@example.com", &pb.Profile{Name: "Zelda Quackenbush", Emails: []string{"zelda@example.com"}})
		o.ObservedAt = timestamppb.New(epoch.Add(time.Hour))
		_, err := f.c.Accept(t.Context(), o)
		return err
	}
	if err := again(); !errors.Is(err, catalog.ErrErased) || strings.Contains(err.Error(), "zelda") {
		t.Errorf("she is stated again: %v", err)
	}
	device := observe("jamf", "1", "SER-A1")
	device.ObservedAt = timestamppb.New(epoch.Add(time.Hour))
	device.GetDevice().Owner = &pb.Owner{Email: "ZELDA@example.com", Name: "Zelda Quackenbush"}
	device.GetDevice().PrimaryUser = &pb.PrimaryUser{Name: "zquack"}
	device.GetDevice().Name = "zquack-mbp"
	f.accept(t, device)
	agent := observe("agent", "A-1", "SER-A1")
	agent.ObservedAt = timestamppb.New(epoch.Add(time.Hour))
	agent.GetDevice().Software = []*pb.Software{{Kind: "app", Name: "Tool", Version: "1", Location: "/Users/zquack/Applications/Tool.app"}}
	f.accept(t, agent)
	for _, left := range leftovers(t, f.db) {
		t.Error(left)
	}
	if a := f.asset(t, laptop); a.GetOwner() != nil || a.GetSoftwareCount() != 1 {
		t.Errorf("the laptop is %v", a)
	}
	f.sound(t)
	err = f.st.View(t.Context(), func(tx *store.Tx) (err error) {
		r, err = tx.Erasure(r.GetId())
		return err
	})
	if err != nil || r.GetRefused() != 1 {
		t.Errorf("refused %d times, %v", r.GetRefused(), err)
	}
	// The erasure holds after a restart, until it is deleted.
	c := catalog.New(f.st, time.Now, slog.New(slog.DiscardHandler))
	if err := c.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c.ErasedBy("zelda@example.com") != r.GetId() || c.ErasedBy("bob@example.com") != "" {
		t.Error("a new catalog knows nothing of it")
	}
	if err := f.c.DeleteErasure(t.Context(), "token:1", r.GetId()); err != nil {
		t.Fatal(err)
	}
	if err := again(); err != nil {
		t.Errorf("she may come back: %v", err)
	}
}

func TestLegalHoldKeepsAPersonFromBeingErased(t *testing.T) {
	f := setupPeople(t)
	id, laptop := zelda(t, f)
	if _, err := f.c.Assert(t.Context(), "token:1", laptop, func(d *pb.Device) error {
		d.Hold = &pb.Hold{Reason: "case 2026-17"}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	_, err := f.c.Erase(t.Context(), erasing(f, t, id))
	if !errors.Is(err, catalog.ErrHeld) || !strings.Contains(err.Error(), "case 2026-17") || !strings.Contains(err.Error(), laptop) {
		t.Errorf("held: %v", err)
	}
}

func TestTheReasonMustNotNameThePerson(t *testing.T) {
	f := setupPeople(t)
	id, _ := zelda(t, f)
	e := erasing(f, t, id)
	e.Reason = "Zelda Quackenbush asked for it"
	if _, err := f.c.Erase(t.Context(), e); !errors.Is(err, catalog.ErrInvalid) {
		t.Errorf("taken: %v", err)
	}
}

// failing lets some updates pass, and then none: the program was killed.
type failing struct {
	kv.DB
	left int
}

var errKilled = errors.New("killed")

func (f *failing) Update(ctx context.Context, fn func(kv.Tx) error) error {
	if f.left--; f.left < 0 {
		return errKilled
	}
	return f.DB.Update(ctx, fn)
}

func TestAnErasureThatWasCutOffIsFinished(t *testing.T) {
	for cut := 1; ; cut++ {
		f := setupPeople(t)
		id, _ := zelda(t, f)
		e := erasing(f, t, id)
		broken := &failing{DB: f.db, left: cut + 1} // Open writes once
		open := func(db kv.DB) *catalog.Catalog {
			st, err := store.Open(t.Context(), db)
			if err != nil {
				t.Fatal(err)
			}
			c := catalog.New(st, func() time.Time { return epoch.Add(time.Hour) }, slog.New(slog.DiscardHandler))
			if db == kv.DB(broken) {
				return c
			}
			if err := c.Load(t.Context()); err != nil {
				t.Fatal(err)
			}
			return c
		}
		_, err := open(broken).Erase(t.Context(), e)
		if err == nil && cut > 5 {
			return // it took no more updates than that
		}
		if !errors.Is(err, errKilled) {
			t.Fatalf("cut after %d: %v", cut, err)
		}
		if err := open(f.db).FinishErasures(t.Context()); err != nil {
			t.Fatalf("cut after %d: %v", cut, err)
		}
		for _, left := range leftovers(t, f.db) {
			t.Errorf("cut after %d: %s", cut, left)
		}
		f.sound(t)
		if t.Failed() {
			return
		}
	}
}
