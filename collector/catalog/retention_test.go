package catalog_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// What is older than the retention goes, what is younger can still be read as
// it was, and nothing of the present is lost.
func TestPruningKeepsThePresent(t *testing.T) {
	f := setup(t)
	var id string
	for i := range 40 {
		o := observe("agent", "1", "SER-A1")
		o.ObservedAt = timestamppb.New(epoch.Add(time.Duration(i-40) * time.Hour))
		o.GetDevice().Os = &pb.Os{Build: fmt.Sprint(i)}
		o.GetDevice().Software = []*pb.Software{{Name: "app", Version: fmt.Sprint(i)}, {Name: "other"}}
		id = f.accept(t, o)
	}
	count := func() (events, software int) {
		err := f.st.View(context.Background(), func(tx *store.Tx) error {
			all, _, err := f.c.Events(tx, id, catalog.Query{Limit: 1000})
			for _, e := range all {
				if e.Record == nil {
					software++
				} else {
					events++
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return events, software
	}
	before := f.asset(t, id)
	events, software := count()
	if events != 40 || software != 39 {
		t.Fatalf("%d events and %d changes of software, want 40 and 39", events, software)
	}
	if err := f.c.Prune(context.Background(), epoch.Add(-10*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, software = count(); software != 10 {
		t.Errorf("%d changes of software are left, want 10", software)
	}
	if err := f.c.Prune(context.Background(), epoch.AddDate(1, 0, 0)); err != nil {
		t.Fatal(err)
	}
	if events, software = count(); events != 0 || software != 0 {
		t.Errorf("%d events and %d changes of software are left, want none", events, software)
	}
	if after := f.asset(t, id); after.String() != before.String() {
		t.Errorf("the asset became %v", after)
	}
	rows := 0
	err := f.st.View(context.Background(), func(tx *store.Tx) error {
		return tx.Software(store.Ref{Source: "agent", ID: "1"}, func(*pb.Software) error { rows++; return nil })
	})
	if err != nil || rows != 2 {
		t.Errorf("%d rows, %v", rows, err)
	}
}
