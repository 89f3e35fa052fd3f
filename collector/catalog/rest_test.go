package catalog_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/store"
	"github.com/rollcall-itam/rollcall/pkg/section"
	"github.com/rollcall-itam/rollcall/pkg/synth"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// A device with 1,000 titles, of which 20 are upgraded each week, takes at most
// 40 KB with a year of that, its history included.
func TestAYearOfADeviceAtRest(t *testing.T) {
	f, fleet := setup(t), synth.New(1, 5000, 1000)
	device := fleet.Device(0)
	ref := store.Ref{Source: "agent", ID: "agent-0"}
	parse := func(rows []*pb.Software) []store.Row {
		encoded, err := section.Encode(&pb.Device{Software: rows}, section.Software)
		if err != nil {
			t.Fatal(err)
		}
		out, err := f.st.ParseRows(encoded, section.FieldDeviceSoftware)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	rows := device.Software
	device.Software = nil
	report := func(at time.Time, s catalog.SoftwareChange, week int) {
		device.Os.Build = fmt.Sprint(week)
		o := &pb.Observation{Source: ref.Source, SourceId: ref.ID, ObservedAt: timestamppb.New(at), Subject: &pb.Observation_Device{Device: device}}
		_, err := f.c.Apply(context.Background(), ref, func(*catalog.Held) (*catalog.Statement, error) {
			return &catalog.Statement{Observation: o, Software: s}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	report(epoch, catalog.SoftwareChange{Replace: true, Added: parse(rows)}, 0)
	for week := range 52 {
		at := epoch.AddDate(0, 0, 7*week)
		f.later = at.Sub(epoch)
		next := synth.Upgrade(rows, 20, week+1)
		var was, is []*pb.Software
		for i := range rows {
			if rows[i].GetVersion() != next[i].GetVersion() {
				was, is = append(was, rows[i]), append(is, next[i])
				next[i].InstalledAt = timestamppb.New(at)
			}
		}
		report(at, catalog.SoftwareChange{Removed: parse(was), Added: parse(is)}, week+1)
		rows = next
	}
	if err := f.c.Prune(context.Background(), epoch.AddDate(-1, 0, 0)); err != nil {
		t.Fatal(err)
	}
	total := 0
	by := make(map[string]int)
	for k, v := range dump(t, f.db) {
		if strings.HasPrefix(k, "t/") || strings.HasPrefix(k, "s/") || strings.HasPrefix(k, "!/") {
			continue // shared by all devices
		}
		by[k[:2]] += len(k) + len(v)
		total += len(k) + len(v)
	}
	t.Logf("%d bytes: %v", total, by)
	if total > 40<<10 {
		t.Errorf("%d bytes at rest, want at most %d: %v", total, 40<<10, by)
	}
}

// Reading an asset as it was before 5,000 events, in memory and from Badger.
func BenchmarkAsOf5000(b *testing.B) {
	b.Run("memory", func(b *testing.B) { asOf5000(b, setup(b), func() time.Time { return epoch.Add(2 * time.Second) }) })
	b.Run("badger", func(b *testing.B) {
		d := openDurable(b)
		asOf5000(b, d.f, d.now)
	})
}

// asOf5000 reads an asset as it was at the time that a clock has after the first
// of 5,000 changes.
func asOf5000(b *testing.B, f *fixture, clock func() time.Time) {
	var id string
	var first time.Time
	for i := range 5000 {
		o := observe("agent", "1", "SER-A1")
		o.ObservedAt = timestamppb.New(epoch.Add(time.Duration(i-5000) * time.Minute))
		o.GetDevice().Os = &pb.Os{Build: fmt.Sprint(i), Version: fmt.Sprint(i / 10)}
		id = f.accept(b, o)
		if i == 0 {
			first = clock()
		}
	}
	before, told := processorTime()
	for b.Loop() {
		err := f.st.View(context.Background(), func(tx *store.Tx) error {
			_, err := f.c.AsOf(tx, id, first)
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	if after, _ := processorTime(); told {
		b.ReportMetric(float64((after-before).Microseconds())/float64(b.N), "cpu-us/op")
	}
}
