package merge

import (
	"math/rand"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

var day = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func says(kind, source string, at int, d *pb.Device) Statement {
	return Statement{Kind: kind, FirstSeen: day, SoftwareRows: -1, Observation: &pb.Observation{
		Source: source, SourceId: "1", ObservedAt: timestamppb.New(day.AddDate(0, 0, at)), Subject: &pb.Observation_Device{Device: d}}}
}

// expanded is the asset as users see it, away from the observations.
func expanded(id string, stmts []Statement) *pb.Asset {
	a := proto.CloneOf(Merge(id, nil, stmts))
	Expand(a)
	return a
}

func TestOneSource(t *testing.T) {
	s := says(KindAgent, "agent", 2, &pb.Device{
		Hardware: &pb.Hardware{Serial: "S1", Chassis: "notebook", MemoryBytes: proto.Int64(8 << 30), Cpu: &pb.Cpu{Cores: proto.Int32(4)}},
		Network:  &pb.Network{Hostname: "ann-mbp"},
		Storage:  &pb.Storage{SystemSizeBytes: proto.Int64(1000), SystemFreeBytes: proto.Int64(123)},
		Labels:   map[string]string{"site": "A"},
	})
	s.SoftwareRows = 3
	before := proto.CloneOf(s.Observation)
	a := expanded("id-1", []Statement{s})
	from := &pb.Provenance{Source: "agent", SourceId: "1", ObservedAt: s.Observation.ObservedAt}
	want := &pb.Asset{
		Id: "id-1", Name: "ann-mbp", Class: "laptop", Stage: "deployed", StageSince: timestamppb.New(day), FirstSeen: timestamppb.New(day),
		LastSeen: s.Observation.ObservedAt, Labels: map[string]string{"site": "A"}, SoftwareCount: proto.Int32(3),
		Hardware: before.GetDevice().Hardware, Network: before.GetDevice().Network,
		Storage: &pb.Storage{SystemSizeBytes: proto.Int64(1000), SystemFreeBytes: proto.Int64(123), SystemFreePct: proto.Float64(12.3)},
		Sources: []*pb.AssetSource{{Source: "agent", Kind: "agent", SourceId: "1", FirstSeen: timestamppb.New(day), LastSeen: s.Observation.ObservedAt}},
		Provenance: map[string]*pb.Provenance{"hardware.serial": from, "hardware.chassis": from, "hardware.memory_bytes": from, "hardware.cpu.cores": from,
			"network.hostname": from, "storage.system_size_bytes": from, "storage.system_free_bytes": from, "labels.site": from, "software": from},
	}
	if diff := cmp.Diff(want, a, protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, s.Observation, protocmp.Transform()); diff != "" {
		t.Errorf("the observation was modified:\n%s", diff)
	}
}

func TestPrecedence(t *testing.T) {
	agent := says(KindAgent, "agent", 1, &pb.Device{
		Os: &pb.Os{Version: "14.5"}, Hardware: &pb.Hardware{AssetTag: "firmware junk", Disks: []*pb.Disk{{Name: "disk0"}}},
		Mdm: &pb.Mdm{Enrolled: proto.Bool(true), Vendor: "jamf"}})
	mdm := says(KindMDM, "jamf", 5, &pb.Device{
		Os: &pb.Os{Version: "14.4", Build: "23E214"}, Hardware: &pb.Hardware{AssetTag: "T-17", Disks: []*pb.Disk{{Name: "a"}, {Name: "b"}}},
		Mdm: &pb.Mdm{Enrolled: proto.Bool(false)}, Warranties: []*pb.Warranty{{Provider: "Apple", End: "2027-01-01"}}})
	orders := says(KindPurchasing, "csv:po", 0, &pb.Device{
		Purchase: &pb.Purchase{Price: &pb.Money{Amount: "1299.00", Currency: "EUR"}}, Warranty: &pb.Warranty{Provider: "Dealer", End: "2028-01-01"}})
	a := expanded("id", []Statement{orders, mdm, agent})

	for _, tc := range []struct{ field, got, want, source string }{
		{"os.version", a.Os.Version, "14.5", "agent"},
		{"os.build", a.Os.Build, "23E214", "jamf"},
		{"hardware.asset_tag", a.Hardware.AssetTag, "T-17", "jamf"},
		{"hardware.disks", a.Hardware.Disks[0].Name, "disk0", "agent"},
		{"mdm.vendor", a.Mdm.Vendor, "jamf", "agent"},
		{"purchase.price", a.Purchase.Price.Amount, "1299.00", "csv:po"},
		{"warranty", a.Warranty.Provider, "Dealer", "csv:po"},
	} {
		if tc.got != tc.want || a.Provenance[tc.field].GetSource() != tc.source {
			t.Errorf("%s = %q of %s, want %q of %s", tc.field, tc.got, a.Provenance[tc.field].GetSource(), tc.want, tc.source)
		}
	}
	if len(a.Hardware.Disks) != 1 || len(a.Warranties) != 2 || a.Mdm.GetEnrolled() {
		t.Errorf("disks %v, warranties %v, mdm %v", a.Hardware.Disks, a.Warranties, a.Mdm)
	}
	var conflict *pb.Conflict
	for _, c := range a.Conflicts {
		if c.Field == "os.version" {
			conflict = c
		}
	}
	want := &pb.Conflict{Field: "os.version", Values: []*pb.ConflictValue{
		{Value: structpb.NewStringValue("14.5"), Source: "agent", SourceId: "1", ObservedAt: agent.Observation.ObservedAt},
		{Value: structpb.NewStringValue("14.4"), Source: "jamf", SourceId: "1", ObservedAt: mdm.Observation.ObservedAt}}}
	if diff := cmp.Diff(want, conflict, protocmp.Transform()); diff != "" {
		t.Errorf("conflict (-want +got):\n%s", diff)
	}
}

func TestClassAndStage(t *testing.T) {
	for name, tc := range map[string]struct {
		kind         string
		d            *pb.Device
		class, stage string
	}{
		"rack server":       {KindAgent, &pb.Device{Hardware: &pb.Hardware{Chassis: "rack mount chassis"}}, "server", "deployed"},
		"guest":             {KindAgent, &pb.Device{Hardware: &pb.Hardware{Chassis: "other", Virtual: proto.Bool(true)}}, "virtual_machine", "deployed"},
		"cloud":             {KindCloud, &pb.Device{Hardware: &pb.Hardware{Virtual: proto.Bool(true), Cloud: &pb.Cloud{InstanceId: "i-1"}}}, "cloud_instance", "deployed"},
		"phone":             {KindMDM, &pb.Device{Os: &pb.Os{Family: "ios"}}, "phone", "deployed"},
		"bought":            {KindPurchasing, &pb.Device{Class: "laptop"}, "laptop", "ordered"},
		"stated":            {KindOperator, &pb.Device{Class: "printer", Stage: "retired"}, "printer", "retired"},
		"nothing but a row": {KindFile, &pb.Device{}, "other", ""},
	} {
		a := Merge("id", nil, []Statement{says(tc.kind, "s", 0, tc.d)})
		if a.Class != tc.class || a.Stage != tc.stage {
			t.Errorf("%s: class %q, stage %q, want %q, %q", name, a.Class, a.Stage, tc.class, tc.stage)
		}
	}
}

// The record does not depend on the order in which statements are given, and
// every field has a provenance.
func TestMergeDoesNotDependOnOrder(t *testing.T) {
	text := rapid.SampledFrom([]string{"", "", "a", "b"})
	statement := rapid.Custom(func(t *rapid.T) Statement {
		s := says(rapid.SampledFrom([]string{KindAgent, KindMDM, KindEDR, KindOperator, KindPurchasing, "unheard_of"}).Draw(t, "kind"),
			rapid.StringMatching(`[a-c]`).Draw(t, "source"), rapid.IntRange(0, 2).Draw(t, "at"), &pb.Device{
				Name: text.Draw(t, "name"), Os: &pb.Os{Version: text.Draw(t, "version"), Name: text.Draw(t, "os")},
				Hardware: &pb.Hardware{Serial: text.Draw(t, "serial"), Cpu: &pb.Cpu{Model: text.Draw(t, "cpu")}, Imei: []string{text.Draw(t, "imei")}},
				Labels:   map[string]string{"k": text.Draw(t, "label")}})
		s.Observation.SourceId = rapid.StringMatching(`[0-9]{8}`).Draw(t, "id")
		s.FirstSeen = day.AddDate(0, 0, -rapid.IntRange(0, 3).Draw(t, "first"))
		return s
	})
	rapid.Check(t, func(t *rapid.T) {
		stmts := rapid.SliceOfNDistinct(statement, 1, 6, func(s Statement) string { return s.Observation.Source + s.Observation.SourceId }).Draw(t, "statements")
		marshal := func(stmts []Statement) string {
			b, err := proto.MarshalOptions{Deterministic: true}.Marshal(Merge("id", nil, stmts))
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		want := marshal(stmts)
		shuffled := make([]Statement, len(stmts))
		for i, from := range rand.New(rand.NewSource(rapid.Int64().Draw(t, "seed"))).Perm(len(stmts)) {
			shuffled[i] = stmts[from]
		}
		if marshal(shuffled) != want {
			t.Fatal("another order, another asset")
		}
	})
}

// Every field of a device has a place in the asset, or is derived from it.
func TestEveryDeviceFieldHasAPlace(t *testing.T) {
	fields := (*pb.Device)(nil).ProtoReflect().Descriptor().Fields()
	asset := (*pb.Asset)(nil).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		name := fields.Get(i).Name()
		if !derivedHere[string(name)] && asset.ByName(name) == nil {
			t.Errorf("Device.%s has no field of that name in Asset", name)
		}
	}
	for path := range precedence {
		if path != "" && !derivedHere[path] && !known(plan(), path) {
			t.Errorf("precedence names %q, which is no field", path)
		}
	}
}

// Every leaf of an asset that a source stated has a provenance once expanded,
// and nothing but leaves has.
func TestExpandCreditsLeavesOnly(t *testing.T) {
	agent := says(KindAgent, "agent", 1, &pb.Device{Name: "n", Hardware: &pb.Hardware{Serial: "S", Cpu: &pb.Cpu{Model: "c"}, Cloud: &pb.Cloud{Region: "eu"}},
		Storage: &pb.Storage{SystemSizeBytes: proto.Int64(2), SystemFreeBytes: proto.Int64(1)}})
	cloud := says(KindCloud, "aws", 1, &pb.Device{Hardware: &pb.Hardware{Model: "m5", Cloud: &pb.Cloud{InstanceId: "i-1", Region: "us"}}})
	got := map[string]string{}
	for path, from := range expanded("id", []Statement{agent, cloud}).Provenance {
		got[path] = from.Source
	}
	want := map[string]string{"name": "agent", "hardware.serial": "agent", "hardware.cpu.model": "agent", "hardware.cloud.region": "aws",
		"hardware.cloud.instance_id": "aws", "hardware.model": "aws", "storage.system_size_bytes": "agent", "storage.system_free_bytes": "agent"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("provenance (-want +got):\n%s", diff)
	}
}

func known(f *field, path string) bool {
	for _, c := range f.order {
		if c.path == path || known(c, path) {
			return true
		}
	}
	return false
}

func BenchmarkMergeOneSource(b *testing.B) {
	s := says(KindAgent, "agent", 0, &pb.Device{
		Hardware: &pb.Hardware{Serial: "S1", Model: "m", Manufacturer: "x", Uuid: "u", Chassis: "notebook", MemoryBytes: proto.Int64(8 << 30), Cpu: &pb.Cpu{Cores: proto.Int32(4), Model: "c"}},
		Network:  &pb.Network{Hostname: "h", Domain: "d", Interfaces: []*pb.Interface{{Name: "eth0"}}}, Os: &pb.Os{Family: "linux", Version: "12", Kernel: "6"},
		Storage: &pb.Storage{SystemSizeBytes: proto.Int64(1000), SystemFreeBytes: proto.Int64(123)}})
	for b.Loop() {
		Merge("id", nil, []Statement{s})
	}
}

// A placeholder is no better than nothing, whoever states it.
func TestPlaceholdersGiveWay(t *testing.T) {
	agent := says(KindAgent, "agent", 2, &pb.Device{Hardware: &pb.Hardware{Serial: "Default string", Model: "X"}})
	agent.Void = []string{"hardware.serial"}
	bought := says(KindPurchasing, "orders", 1, &pb.Device{Hardware: &pb.Hardware{Serial: "5XK2J93", Model: "Y"}})
	a := expanded("id-1", []Statement{agent, bought})
	if a.Hardware.Serial != "5XK2J93" || a.Hardware.Model != "X" || len(a.Conflicts) != 1 {
		t.Errorf("merged into %v with conflicts %v", a.Hardware, a.Conflicts)
	}
	if alone := expanded("id-1", []Statement{agent}); alone.Hardware.Serial != "Default string" {
		t.Errorf("alone it is %v", alone.Hardware)
	}
}
