package catalog_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/store"
	"github.com/rollcall-itam/rollcall/pkg/section"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// dated is an asset as users see it.
func (f *fixture) dated(t *testing.T, id string) *pb.Asset {
	t.Helper()
	var a *pb.Asset
	err := f.st.View(context.Background(), func(tx *store.Tx) (err error) {
		if a, err = tx.ResolveAsset(id); err != nil {
			return err
		}
		return f.c.Date(tx, a)
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (f *fixture) rows(t *testing.T, names ...string) []store.Row {
	t.Helper()
	d := new(pb.Device)
	for _, n := range names {
		d.Software = append(d.Software, &pb.Software{Name: n})
	}
	encoded, err := section.Encode(d, section.Software)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := f.st.ParseRows(encoded, section.FieldDeviceSoftware)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// What a source repeats is dated anew although nothing else is written, and the
// asset changes only with what it holds.
func TestRepeatedContentIsDatedAnew(t *testing.T) {
	f := setup(t)
	changes := 0
	f.c.OnChange(func(c catalog.Change) {
		if c.Kind != catalog.Software {
			changes++
		}
	})
	ref := store.Ref{Source: "agent", ID: "1"}
	state := func(at time.Time, same bool, s catalog.SoftwareChange) string {
		t.Helper()
		o := observe("agent", "1", "SER-A1")
		o.ObservedAt = timestamppb.New(at)
		if same {
			o.Subject = nil
		}
		id, err := f.c.Apply(context.Background(), ref, func(*catalog.Held) (*catalog.Statement, error) {
			return &catalog.Statement{Observation: o, SameContent: same, Software: s}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	id := state(epoch, false, catalog.SoftwareChange{Replace: true, Added: f.rows(t, "a", "b")})
	later := epoch.Add(time.Hour)
	for _, step := range []struct {
		what    string
		s       catalog.SoftwareChange
		changes int
		count   int32
	}{
		{"nothing", catalog.SoftwareChange{}, 1, 2},
		{"a title for another", catalog.SoftwareChange{Removed: f.rows(t, "a"), Added: f.rows(t, "c")}, 1, 2},
		{"one title more", catalog.SoftwareChange{Added: f.rows(t, "d")}, 2, 3},
	} {
		later = later.Add(time.Hour)
		if got := state(later, true, step.s); got != id {
			t.Fatalf("%s: asset %s, want %s", step.what, got, id)
		}
		a := f.dated(t, id)
		if a.GetSoftwareCount() != step.count || changes != step.changes {
			t.Errorf("%s: %d rows and %d changes, want %d and %d", step.what, a.GetSoftwareCount(), changes, step.count, step.changes)
		}
		if a.GetHardware().GetSerial() != "SER-A1" {
			t.Errorf("%s: serial %q", step.what, a.GetHardware().GetSerial())
		}
		for path, p := range a.GetProvenance() {
			if !p.GetObservedAt().AsTime().Equal(later) {
				t.Errorf("%s: %s is dated %v, want %v", step.what, path, p.GetObservedAt().AsTime(), later)
			}
		}
		if !a.GetLastSeen().AsTime().Equal(later) || !a.GetSources()[0].GetLastSeen().AsTime().Equal(later) {
			t.Errorf("%s: last seen %v, want %v", step.what, a.GetLastSeen().AsTime(), later)
		}
	}
}

// A source cannot repeat what it never said.
func TestContentThatIsNotHeldIsNotRepeated(t *testing.T) {
	f := setup(t)
	_, err := f.c.Apply(context.Background(), store.Ref{Source: "agent", ID: "1"}, func(*catalog.Held) (*catalog.Statement, error) {
		return &catalog.Statement{Observation: &pb.Observation{Source: "agent", SourceId: "1"}, SameContent: true}, nil
	})
	if err == nil {
		t.Error("it was accepted")
	}
}
