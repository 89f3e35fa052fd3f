package privacy

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/rollcall-itam/rollcall/pkg/section"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Of a hashed section nothing that names something is told, and what can be
// counted stays.
func TestHashedSectionsNameNothing(t *testing.T) {
	o := observation()
	d := o.GetDevice()
	d.Software = []*pb.Software{
		{Kind: "app", Name: "Secret Game", Version: "1.2", Publisher: "Secret Inc", Location: "/opt/secret", ProductId: "com.secret.game", SourcePackage: "secret", SizeBytes: proto.Int64(7)},
		{Kind: "app", Name: "secret game", Version: "1.2", Location: "/OPT/secret"},
	}
	d.Patch = &pb.Patch{RebootRequired: proto.Bool(true), Pending: []*pb.PendingUpdate{{Id: "secret-1", Title: "Secret update", Severity: "critical", Cves: []string{"SECRET-2026-1"}}},
		Installed: []*pb.InstalledUpdate{{Id: "secret-0"}}}
	d.Network = &pb.Network{Hostname: "secret", Fqdn: "secret.example.com", Domain: "secret.example.com", LastAddress: "secret",
		Interfaces: []*pb.Interface{{Name: "eth0", Mac: "secret-mac", Addresses: []string{"secret-a", "secret-b"}, Kind: "ethernet"}}}
	d.Storage = &pb.Storage{Volumes: []*pb.Volume{{Mount: "/", Device: "/dev/secret"}, {Mount: "/srv/secret", FreeBytes: proto.Int64(5)}}}
	d.Hardware.Displays = []*pb.Display{{Manufacturer: "Dell", Model: "secret", Serial: "secret", Year: proto.Int32(2020)}}
	d.Hardware.Usb = []*pb.UsbDevice{{Vendor: "Yubico", Product: "secret", Serial: "secret", Id: "secret"}}
	d.Hardware.Printers = []*pb.Printer{{Name: "secret", Driver: "secret", Port: "secret"}}
	o.Problems = []*pb.Problem{{Section: section.Software, Fact: "applications", Error: "read /opt/secret: permission denied"}}

	levels := make(map[string]string)
	for _, name := range hashable() {
		levels[name] = Hashed
	}
	out, err := Settings{Levels: levels, Key: key}.Apply(o)
	if err != nil {
		t.Fatal(err)
	}
	text, err := protojson.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(strings.ToLower(string(text)), "secret") {
		t.Errorf("%s", text)
	}
	got := out.GetDevice()
	if len(got.GetSoftware()) != 1 || got.GetSoftware()[0].GetVersion() != "1.2" || got.GetSoftware()[0].GetSizeBytes() != 7 || got.GetSoftware()[0].GetKind() != "app" {
		t.Errorf("software %v: want one, with what can be counted", got.GetSoftware())
	}
	if v := got.GetStorage().GetVolumes(); v[0].GetMount() != "/" || v[1].GetFreeBytes() != 5 {
		t.Errorf("volumes %v", v)
	}
	if p := got.GetPatch(); !p.GetRebootRequired() || p.GetPending()[0].GetSeverity() != "critical" {
		t.Errorf("patch %v", p)
	}
	if got.GetHardware().GetSerial() != "S1" || len(out.Problems) != 1 {
		t.Errorf("hardware %v, problems %v", got.GetHardware(), out.Problems)
	}
	if got := reason(out, section.Network); got != "complete: names are hashed" {
		t.Error(got)
	}
}

// A field that is renamed or goes away in the schema must not be told in full.
func TestHashedFieldsAreThoseOfTheSchema(t *testing.T) {
	for name, paths := range named {
		for _, path := range paths {
			m := (*pb.Device)(nil).ProtoReflect().Descriptor()
			var f protoreflect.FieldDescriptor
			for part := range strings.SplitSeq(path, ".") {
				if m == nil {
					t.Fatalf("%s: %s is no message", name, path)
				}
				if f = m.Fields().ByName(protoreflect.Name(part)); f == nil {
					t.Fatalf("%s: there is no %s", name, path)
				}
				m = f.Message()
			}
			if f.Kind() != protoreflect.StringKind {
				t.Errorf("%s: %s is a %v, which is not hashed", name, path, f.Kind())
			}
		}
	}
}
