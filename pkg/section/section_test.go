package section

import (
	"crypto/sha256"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

func device() *pb.Device {
	return &pb.Device{
		Name: "host-1", Class: "server",
		Hardware: &pb.Hardware{Serial: "S1", Displays: []*pb.Display{{Serial: "D1"}}, Usb: []*pb.UsbDevice{{Id: "0000:0001"}}},
		Os:       &pb.Os{Family: "linux"}, Patch: &pb.Patch{AutoUpdate: "on"},
		Software: []*pb.Software{{Kind: "deb", Name: "bash", Version: "5"}, {Kind: "deb", Name: "zsh", Version: "5"}},
		Security: &pb.Security{SecureBoot: proto.Bool(true)}, Mdm: &pb.Mdm{Enrolled: proto.Bool(true)},
		PrimaryUser: &pb.PrimaryUser{Name: "ann"}, Network: &pb.Network{Hostname: "host-1"}, Storage: &pb.Storage{},
	}
}

func TestSectionsPartitionADevice(t *testing.T) {
	want := device()
	got := new(pb.Device)
	for _, name := range Names() {
		Replace(got, Extract(want, name), name)
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("sections joined differ from the device (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(device(), want, protocmp.Transform()); diff != "" {
		t.Errorf("the device was modified:\n%s", diff)
	}
}

func TestReplaceRemovesWhatIsNoLongerSaid(t *testing.T) {
	d := device()
	Replace(d, &pb.Device{}, Hardware)
	if d.Name != "" || d.Hardware.GetSerial() != "" || len(d.Hardware.GetDisplays()) != 1 {
		t.Errorf("after an empty hardware section: %v", d)
	}
	Replace(d, &pb.Device{}, Peripherals)
	if d.Hardware != nil {
		t.Errorf("hardware = %v, want none", d.Hardware)
	}
}

// A delta applied to a digest gives the digest of the changed rows, in
// whatever order they stand.
func TestSoftwareDigestFollowsDeltas(t *testing.T) {
	row := rapid.Custom(func(t *rapid.T) *pb.Software {
		return &pb.Software{Name: rapid.StringN(1, 8, 32).Draw(t, "name"), Version: rapid.StringN(0, 4, 16).Draw(t, "version")}
	})
	digest := func(t *rapid.T, rows []*pb.Software) Sum {
		enc, err := Encode(&pb.Device{Software: rows}, Software)
		if err != nil {
			t.Fatal(err)
		}
		d, err := Digest(Software, enc)
		if err != nil {
			t.Fatal(err)
		}
		return Sum(d)
	}
	hash := func(s *pb.Software) [32]byte {
		b, _ := proto.MarshalOptions{Deterministic: true}.Marshal(s)
		return sha256.Sum256(b)
	}
	rapid.Check(t, func(t *rapid.T) {
		kept := rapid.SliceOf(row).Draw(t, "kept")
		removed := rapid.SliceOf(row).Draw(t, "removed")
		added := rapid.SliceOf(row).Draw(t, "added")
		sum := digest(t, append(append([]*pb.Software{}, removed...), kept...))
		for _, r := range removed {
			sum.Sub(hash(r))
		}
		for _, a := range added {
			sum.Add(hash(a))
		}
		if want := digest(t, append(append([]*pb.Software{}, kept...), added...)); sum != want {
			t.Fatalf("digest after the delta %x, want %x", sum, want)
		}
	})
}

func FuzzEachRow(f *testing.F) {
	enc, _ := Encode(device(), Software)
	f.Add(enc)
	f.Add([]byte{0xc2, 0x02, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		rows := 0
		err := EachRow(b, FieldDeviceSoftware, func([]byte) error { rows++; return nil })
		var d pb.Device
		if perr := proto.Unmarshal(b, &d); perr == nil && (err != nil || rows != len(d.Software)) {
			t.Fatalf("protobuf reads %d rows, EachRow %d and %v", len(d.Software), rows, err)
		}
	})
}
