package history

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

func states() *rapid.Generator[*pb.Asset] {
	text := rapid.SampledFrom([]string{"", "a", "b"})
	return rapid.Custom(func(t *rapid.T) *pb.Asset {
		a := &pb.Asset{Id: "x", Name: text.Draw(t, "name")}
		if rapid.Bool().Draw(t, "hardware") {
			a.Hardware = &pb.Hardware{Serial: text.Draw(t, "serial")}
			if s := text.Draw(t, "model"); s != "" {
				a.Hardware.Cpu = &pb.Cpu{Model: s}
			}
			for range rapid.IntRange(0, 2).Draw(t, "disks") {
				a.Hardware.Disks = append(a.Hardware.Disks, &pb.Disk{Name: text.Draw(t, "disk")})
			}
			if s := text.Draw(t, "virtual"); s != "" {
				a.Hardware.Virtual = proto.Bool(s == "a")
			}
		}
		if s := text.Draw(t, "label"); s != "" {
			a.Labels = map[string]string{"site": s}
		}
		if s := rapid.Int64Range(0, 2).Draw(t, "installed"); s > 0 {
			a.Os = &pb.Os{InstalledAt: &timestamppb.Timestamp{Seconds: s}}
		}
		if s := text.Draw(t, "source"); s != "" {
			a.Provenance = map[string]*pb.Provenance{"hardware": {Source: s}}
		}
		if n := rapid.Int32Range(0, 2).Draw(t, "rows"); n > 0 {
			a.SoftwareCount = proto.Int32(n)
		}
		// Groups with nothing in them do not come from a merge.
		return (&Past{asset: a}).Asset()
	})
}

// Whatever happens to an asset, each of its states can be read again from the
// last one and the events since.
func TestAnyStateComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(states(), 1, 8).Draw(t, "states")
		var events [][]byte
		for i := 1; i < len(all); i++ {
			changes, err := Diff(all[i-1], all[i])
			if err != nil {
				t.Fatal(err)
			}
			if (len(changes) == 0) != proto.Equal(all[i-1], all[i]) {
				t.Fatalf("%d changes between %v and %v", len(changes), all[i-1], all[i])
			}
			b, err := proto.Marshal(&storagepb.EventRecord{Source: "s", Kind: "changed", Changes: changes})
			if err != nil {
				t.Fatal(err)
			}
			events = append(events, b)
		}
		for i, want := range all {
			p := NewPast(proto.CloneOf(all[len(all)-1]))
			for _, e := range events[i:] {
				if err := p.Undo(e); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(want, p.Asset(), protocmp.Transform()); diff != "" {
				t.Fatalf("state %d (-want +got):\n%s", i, diff)
			}
		}
	})
}

func TestDiffNamesFields(t *testing.T) {
	old := &pb.Asset{Id: "x", Os: &pb.Os{Version: "1", Build: "7"}, LastSeen: timestamppb.Now()}
	now := &pb.Asset{Id: "x", Os: &pb.Os{Version: "2", Build: "7"}, Hardware: &pb.Hardware{Disks: []*pb.Disk{{Name: "sda"}}}}
	changes, err := Diff(old, now)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range changes {
		got = append(got, c.Field)
	}
	if diff := cmp.Diff([]string{"hardware.disks", "os.version"}, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzUndo(f *testing.F) {
	changes, err := Diff(&pb.Asset{Name: "a"}, &pb.Asset{Name: "b", Os: &pb.Os{Version: "2"}})
	if err != nil {
		f.Fatal(err)
	}
	b, err := proto.Marshal(&storagepb.EventRecord{Changes: changes})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		p := NewPast(&pb.Asset{Name: "now"})
		_ = p.Undo(b)
		p.Asset()
	})
}
