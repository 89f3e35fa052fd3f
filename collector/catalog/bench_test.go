package catalog_test

import (
	"context"
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/store"
	"github.com/rollcall-itam/rollcall/pkg/section"
	"github.com/rollcall-itam/rollcall/pkg/synth"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// stated is a device as ingest hands it over: without software, whose rows
// are apart and still encoded.
func stated(b *testing.B, fleet *synth.Fleet, i int) (*pb.Observation, []byte) {
	b.Helper()
	d := fleet.Device(i)
	rows, err := section.Encode(d, section.Software)
	if err != nil {
		b.Fatal(err)
	}
	d.Software = nil
	return &pb.Observation{Source: "agent", SourceId: fmt.Sprintf("agent-%06d", i), ObservedAt: timestamppb.New(epoch),
		Subject: &pb.Observation_Device{Device: d}}, rows
}

// The cost of filing the first report of a device with 1,000 titles, on an
// engine that costs next to nothing.
func BenchmarkApplyFirst(b *testing.B) {
	f, fleet := setup(b), synth.New(1, 5000, 1000)
	const devices = 64
	var obs [devices]*pb.Observation
	var rows [devices][]byte
	for i := range devices {
		obs[i], rows[i] = stated(b, fleet, i)
	}
	for n := 0; b.Loop(); n++ {
		o := proto.CloneOf(obs[n%devices])
		o.SourceId = fmt.Sprint("agent-", n)
		o.GetDevice().Hardware.Serial = fmt.Sprint("SER-", n)
		o.GetDevice().Hardware.Uuid = fmt.Sprintf("%08x-1111-2222-8333-444455556666", n+1)
		parsed, err := f.st.ParseRows(rows[n%devices], section.FieldDeviceSoftware)
		if err != nil {
			b.Fatal(err)
		}
		f.apply(b, o, catalog.SoftwareChange{Replace: true, Added: parsed})
	}
}

// The cost of filing a change of 20 titles.
func BenchmarkApplyDelta(b *testing.B) {
	f, fleet := setup(b), synth.New(1, 5000, 1000)
	o, rows := stated(b, fleet, 0)
	parse := func(rows []*pb.Software) []store.Row {
		enc, err := section.Encode(&pb.Device{Software: rows}, section.Software)
		if err != nil {
			b.Fatal(err)
		}
		out, err := f.st.ParseRows(enc, section.FieldDeviceSoftware)
		if err != nil {
			b.Fatal(err)
		}
		return out
	}
	parsed, err := f.st.ParseRows(rows, section.FieldDeviceSoftware)
	if err != nil {
		b.Fatal(err)
	}
	f.apply(b, o, catalog.SoftwareChange{Replace: true, Added: parsed})
	before := fleet.Device(0).Software
	var there, back catalog.SoftwareChange
	after := synth.Upgrade(before, 20, 1)
	there.Removed, there.Added = parse(before[20:40]), parse(after[20:40])
	back.Removed, back.Added = there.Added, there.Removed
	for n := 0; b.Loop(); n++ {
		f.apply(b, o, []catalog.SoftwareChange{there, back}[n%2])
	}
}

func (f *fixture) apply(b *testing.B, o *pb.Observation, s catalog.SoftwareChange) {
	b.Helper()
	_, err := f.c.Apply(context.Background(), store.Ref{Source: o.Source, ID: o.SourceId},
		func(*catalog.Held) (*catalog.Statement, error) {
			return &catalog.Statement{Observation: o, Software: s}, nil
		})
	if err != nil {
		b.Fatal(err)
	}
}
