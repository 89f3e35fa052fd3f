package privacy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/rollcall-itam/rollcall/pkg/section"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

var key = []byte("0123456789abcdef0123456789abcdef")

func observation() *pb.Observation {
	o := &pb.Observation{Source: "agent", Subject: &pb.Observation_Device{Device: &pb.Device{
		Name: "host-1", Hardware: &pb.Hardware{Serial: "S1"}, Os: &pb.Os{Name: "Debian"},
		PrimaryUser: &pb.PrimaryUser{Name: "Ann", Email: "ann@example.com", Source: "last_login"},
		Security:    &pb.Security{LocalAdmins: []string{"ann", "root"}, SecureBoot: proto.Bool(true)},
		Network:     &pb.Network{Hostname: "host-1"},
		Storage:     &pb.Storage{Volumes: []*pb.Volume{{Mount: "/run/media/ann/STICK"}, {Mount: "/"}}},
		Software: []*pb.Software{
			{Kind: "deb", Name: "bash"},
			{Kind: "browser_extension", Name: "ad blocker", Location: "/opt/profile"},
			{Kind: "ide_extension", Name: "go", Location: "/home/ann/.vscode/extensions"},
			{Kind: "app", Name: "game", Location: "/Users/ann/Applications/Game.app"},
			{Kind: "app", Name: "office", Location: "/Applications/Office.app"},
			{Kind: "app", Name: "common", Location: "/Users/Shared/Common.app"},
			{Kind: "msi", Name: "chat", Location: `C:\Users\Ann\AppData\Local\Chat`},
			{Kind: "msi", Name: "suite", Location: `C:\Program Files\Suite`},
			{Kind: "homebrew", Name: "jq", Location: "/home/linuxbrew/.linuxbrew/Cellar/jq"},
		},
	}}, Problems: []*pb.Problem{
		{Section: section.Software, Fact: "browser_extensions", Error: "read /home/ann/.mozilla: permission denied"},
		{Section: section.Network, Fact: "interfaces", Error: "no netlink"},
	}}
	for _, name := range section.Names() {
		o.Sections = append(o.Sections, &pb.SectionStatus{Name: name, State: section.Complete})
	}
	return o
}

// apply applies settings, and checks that the original stays as it was.
func apply(t *testing.T, s Settings) *pb.Observation {
	t.Helper()
	o := observation()
	out, err := s.Apply(o)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(observation(), o, protocmp.Transform()); diff != "" {
		t.Fatalf("the original was changed:\n%s", diff)
	}
	return out
}

func reason(o *pb.Observation, name string) string {
	for _, s := range o.Sections {
		if s.GetName() == name {
			return s.GetState() + ": " + s.GetReason()
		}
	}
	return "no such section"
}

func TestNothingIsWithheldWithoutSettings(t *testing.T) {
	for _, s := range []Settings{{}, {Levels: map[string]string{"software": Full, "users": Full}, Key: key}} {
		if diff := cmp.Diff(observation(), apply(t, s), protocmp.Transform()); diff != "" {
			t.Errorf("%v (-want +got):\n%s", s, diff)
		}
	}
}

func TestOmittedSectionsAreEmptySayingWhy(t *testing.T) {
	for _, name := range section.Names() {
		if name == section.Hardware || name == section.OS {
			continue
		}
		o := apply(t, Settings{Levels: map[string]string{name: Omit}})
		if d := section.Extract(o.GetDevice(), name); proto.Size(d) > 0 {
			t.Errorf("%s: %v is told", name, d)
		}
		if got := reason(o, name); got != "complete: withheld by the device's privacy settings" {
			t.Errorf("%s: %s", name, got)
		}
		for _, p := range o.Problems {
			if p.GetSection() == name {
				t.Errorf("%s: %v is told", name, p)
			}
		}
		if o.GetDevice().GetHardware().GetSerial() != "S1" || len(o.Sections) != len(section.Names()) {
			t.Errorf("%s: more than that is withheld: %v", name, o)
		}
	}
}

func TestPersonalThingsOfBYODAreWithheld(t *testing.T) {
	o := apply(t, Settings{BYOD: true})
	var names []string
	for _, row := range o.GetDevice().GetSoftware() {
		names = append(names, row.GetName())
	}
	if diff := cmp.Diff([]string{"bash", "office", "common", "suite", "jq"}, names); diff != "" {
		t.Errorf("software (-want +got):\n%s", diff)
	}
	if got := reason(o, section.Software); !strings.HasPrefix(got, "complete: personal applications") {
		t.Error(got)
	}
	if len(o.Problems) != 1 {
		t.Errorf("problems %v", o.Problems)
	}
}

// Whatever level hides the users, nothing in the report names them.
func TestNamesOfPeopleAreNowhere(t *testing.T) {
	for level, want := range map[string]string{Hashed: "complete: names of people are hashed", Omit: "complete: withheld by the device's privacy settings"} {
		o := apply(t, Settings{Levels: map[string]string{"users": level}, Key: key})
		text, err := protojson.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(strings.ToLower(string(text)), "ann") {
			t.Errorf("%s: %s", level, text)
		}
		if got := reason(o, section.Users); got != want {
			t.Errorf("%s: %q", level, got)
		}
		if got := reason(o, section.Security); !strings.Contains(got, "names of people") {
			t.Errorf("%s: security: %q", level, got)
		}
		if got := o.GetDevice().GetSoftware(); len(got) != 9 || got[5].GetLocation() != "/Users/Shared/Common.app" || got[4].GetLocation() != "/Applications/Office.app" {
			t.Errorf("%s: software %v", level, got)
		}
	}
}

func TestHashesCompareUnderOneKey(t *testing.T) {
	user := func(key []byte, name string) string {
		o := observation()
		o.GetDevice().PrimaryUser.Name = name
		out, err := Settings{Levels: map[string]string{"users": Hashed}, Key: key}.Apply(o)
		if err != nil {
			t.Fatal(err)
		}
		return out.GetDevice().GetPrimaryUser().GetName()
	}
	other := []byte(strings.Repeat("k", MinKey))
	if user(key, "ann") != user(key, " Ann") || user(key, "ann") == user(key, "bob") || user(key, "ann") == user(other, "ann") {
		t.Error("hashes do not compare as names do")
	}
	// printf %s ann | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef
	if got, want := user(key, "ann"), "hmac-07db5b4bba5fef53c763f1a9cb1ae82c"; got != want {
		t.Errorf("hash %q, want %q", got, want)
	}
}

func TestSettingsThatCannotBeAreRefused(t *testing.T) {
	for want, s := range map[string]Settings{
		"no section":                 {Levels: map[string]string{"documents": Omit}},
		"want full, hashed or omit":  {Levels: map[string]string{"software": "some"}},
		"security cannot be hashed":  {Levels: map[string]string{"security": Hashed}, Key: key},
		"hardware cannot be hashed":  {Levels: map[string]string{"hardware": Hashed}, Key: key},
		"what is hashed needs a key": {Levels: map[string]string{"software": Hashed}},
		"hardware cannot be omitted": {Levels: map[string]string{"hardware": Omit}},
		"os cannot be omitted":       {Levels: map[string]string{"os": Omit}},
		"privacy_key_file":           {Levels: map[string]string{"users": Hashed}, Key: key[:MinKey-1]},
	} {
		o, err := s.Apply(observation())
		if err == nil || o != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v gives %v, want an error that mentions %q", s, err, want)
		}
	}
}
