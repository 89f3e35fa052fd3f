package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// laptop is a device with something in each section.
func laptop(serial string) *pb.Device {
	return &pb.Device{Class: "laptop", Labels: map[string]string{"site": "lab"},
		Hardware: &pb.Hardware{Serial: serial, Manufacturer: "LENOVO", Model: "21CBCTO1WW", MemoryBytes: proto.Int64(16 << 30),
			Disks: []*pb.Disk{{Name: "nvme0n1", Kind: "nvme", SizeBytes: proto.Int64(512e9)}}},
		Os:       &pb.Os{Family: "linux", Name: "Debian GNU/Linux 13", Version: "13", Kernel: "6.12.9"},
		Network:  &pb.Network{Hostname: "ann", Interfaces: []*pb.Interface{{Name: "eth0", Mac: "52:54:00:12:34:56", Addresses: []string{"10.0.0.7/24"}}}},
		Storage:  &pb.Storage{Volumes: []*pb.Volume{{Mount: "/", Filesystem: "ext4", SizeBytes: proto.Int64(500 << 30), FreeBytes: proto.Int64(123<<30 + 1<<29)}}},
		Patch:    &pb.Patch{RebootRequired: proto.Bool(true), RebootReasons: []string{"linux-image"}},
		Security: &pb.Security{Firewall: &pb.Firewall{State: "on", Name: "nftables"}},
		Software: []*pb.Software{{Kind: "deb", Name: "bash", Version: "5.2", SizeBytes: proto.Int64(7<<20 + 1<<19)}, {Kind: "deb", Name: "vim", Version: "9.1"}}}
}

func TestAssetsList(t *testing.T) {
	w := newWorld(t)
	id := w.report("ann-thinkpad.example.com", laptop("PF3ABCDE"))
	for columns, want := range map[int]string{
		0: "NAME                      CLASS   OS                   SERIAL    MODEL              OWNER  LAST SEEN  SOFTWARE  ID\n" +
			"ann-thinkpad.example.com  laptop  Debian GNU/Linux 13  PF3ABCDE  LENOVO 21CBCTO1WW  -      3h ago     2         " + id + "\n",
		80: "NAME          OS          OWNER  LAST SEEN  ID\n" +
			"ann-thinkpa…  Debian GN…  -      3h ago     " + id + "\n",
		20: "NAME       ID\n" +
			"ann-thin…  " + id[:8] + "…\n",
	} {
		w.screen.columns = columns
		if diff := cmp.Diff(want, w.ok("assets", "list")); diff != "" {
			t.Errorf("in %d columns (-want +got):\n%s", columns, diff)
		}
	}
}

func TestAssetsShow(t *testing.T) {
	w := newWorld(t)
	id := w.report("ann", laptop("PF3ABCDE"))
	out := w.ok("assets", "show", id)
	for _, line := range []string{
		"Serial            PF3ABCDE", "Memory            16 GiB", "Disk nvme0n1      477 GiB, nvme", "System            Debian GNU/Linux 13",
		"Interface eth0    52:54:00:12:34:56, 10.0.0.7/24", "/                 ext4, 500 GiB, 124 GiB free", "Reboot required   yes linux-image",
		"Firewall          on nftables", "Section hardware  partial, needs root", "Problem           hardware, smbios: permission denied", "Last seen         3h ago", "Labels            site=lab",
	} {
		if !strings.Contains(out, line+"\n") {
			t.Errorf("no line %q", line)
		}
	}
	if t.Failed() {
		t.Logf("the asset is shown as\n%s", out)
	}
	for _, ref := range []string{strings.ToUpper(id), "ANN", "pf3abcde"} {
		if diff := cmp.Diff(out, w.ok("assets", "show", ref)); diff != "" {
			t.Errorf("show %s differs from show by id:\n%s", ref, diff)
		}
	}
	twin := laptop("PF3OTHER")
	twin.Network = nil
	other := w.report("ann", twin)
	if _, errs, code := w.call("assets", "show", "ann"); other == id || code != exitError || !strings.Contains(errs, id) || !strings.Contains(errs, other) {
		t.Errorf("a name that two assets have: exits with %d and says %s", code, errs)
	}
}

// A device must not be able to do anything to the terminal of who looks at it.
func TestHostileNamesDoNothing(t *testing.T) {
	w := newWorld(t)
	d := laptop("S\x1b[1m\u202e")
	d.Hardware.Model = "a\nFAKE  row\r\x7f"
	d.Network.Interfaces[0].Name = "eth\x1b[2J"
	id := w.report("evil\x1b]0;owned\a\u200b\u009b31m", d)
	out := w.ok("assets", "list") + w.ok("assets", "show", id)
	if i := strings.IndexFunc(out, func(r rune) bool {
		return r != '\n' && (r < ' ' || (r >= 0x7f && r < 0xa0) || r == 0x202e || r == 0x200b)
	}); i >= 0 {
		t.Errorf("%q gets to the terminal", out[i:min(len(out), i+10)])
	}
	if !strings.Contains(out, "a FAKE row") && !strings.Contains(out, "a FAKE  row") {
		t.Errorf("the model is lost:\n%s", out)
	}
}

func TestOutputIsTheAPIs(t *testing.T) {
	w := newWorld(t)
	id := w.report("ann", laptop("PF3ABCDE"))
	var assets struct {
		Assets []struct {
			ID       string
			LastSeen string `json:"last_seen"`
		}
		TotalSize int `json:"total_size"`
	}
	out := w.ok("assets", "list", "-o", "json")
	must(t, json.Unmarshal([]byte(out), &assets))
	if len(assets.Assets) != 1 || assets.Assets[0].ID != id || assets.Assets[0].LastSeen != "2026-11-24T12:00:00Z" || assets.TotalSize != 1 {
		t.Errorf("%+v of\n%s", assets, out)
	}
	if !strings.HasPrefix(out, "{\n  \"assets\": [\n    {\n      \"id\": \""+id+"\",\n      \"name\": \"ann\",\n") {
		t.Errorf("the list begins differently:\n%s", out)
	}
	if out := w.ok("assets", "list", "-o", "yaml"); !strings.HasPrefix(out, "assets:\n- id: "+id+"\n  name: ann\n") {
		t.Errorf("the list as YAML begins differently:\n%s", out)
	}
	if out := w.ok("assets", "show", id, "-o", "yaml"); !strings.HasPrefix(out, "id: "+id+"\nname: ann\n") || !strings.Contains(out, "memory_bytes: \"17179869184\"\n") {
		t.Errorf("the asset as YAML:\n%s", out)
	}
	if diff := cmp.Diff("{\n  \"agents\": []\n}\n", w.ok("agents", "list", "-o", "json")); diff != "" {
		t.Errorf("an empty list (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff("agents: []\n", w.ok("agents", "list", "-o", "yaml")); diff != "" {
		t.Errorf("an empty list as YAML (-want +got):\n%s", diff)
	}
	want := "NAME  VERSION  KIND  ARCH  PUBLISHER  SIZE     INSTALLED\nbash  5.2      deb   -     -          7.5 MiB  -\nvim   9.1      deb   -     -          -        -\n"
	if diff := cmp.Diff(want, w.ok("software", "ann")); diff != "" {
		t.Errorf("software (-want +got):\n%s", diff)
	}
}

func TestListsAreFollowedToTheirEnd(t *testing.T) {
	w := newWorld(t)
	const fleet = listPage + 7
	for i := range fleet {
		w.report("host-"+string(rune('a'+i%26))+strings.Repeat("x", i/26), &pb.Device{Class: "server"})
	}
	var answer struct{ Assets []struct{ ID string } }
	must(t, json.Unmarshal([]byte(w.ok("assets", "list", "-o", "json")), &answer))
	if lines := strings.Count(w.ok("assets", "list"), "\n"); len(answer.Assets) != fleet || lines != fleet+1 {
		t.Errorf("%d assets as JSON and %d lines, want %d assets", len(answer.Assets), lines, fleet)
	}
}

func TestTokens(t *testing.T) {
	w := newWorld(t)
	var made struct {
		Token, ID, Kind string
		MaxUses         int               `json:"max_uses"`
		ExpiresAt       string            `json:"expires_at"`
		Labels          map[string]string `json:"labels"`
	}
	out := w.ok("token", "create", "--kind", "enroll", "--name", "lab", "--uses", "3", "--expires", "2d", "--label", "site=lab;1", "--label", "room=2=3", "-o", "json")
	must(t, json.Unmarshal([]byte(out), &made))
	if !strings.HasPrefix(made.Token, "rce_") || made.MaxUses != 3 || made.ExpiresAt != "2026-11-26T12:00:00Z" || cmp.Diff(map[string]string{"site": "lab;1", "room": "2=3"}, made.Labels) != "" {
		t.Errorf("made %s", out)
	}
	list := w.ok("token", "list")
	if !strings.Contains(list, made.ID) || !strings.Contains(list, "0/3") || !strings.Contains(list, "in 45h") || strings.Contains(list, made.Token) {
		t.Errorf("the list is\n%s", list)
	}
	if out := w.ok("token", "revoke", made.ID); out != "revoked token "+made.ID+"\n" {
		t.Errorf("revoke says %q", out)
	}
	if list := w.ok("token", "list"); !strings.Contains(list, "revoked") {
		t.Errorf("the list is\n%s", list)
	}
	if out := w.ok("token", "create", "--kind", "api", "--role", "viewer", "--name", "me"); !strings.HasPrefix(out, "Token    rca_") || !strings.Contains(out, "Role     viewer\n") {
		t.Errorf("a new token is shown as\n%s", out)
	}
}

// One file has all that an agent needs, for its owner only, and none is left
// where no token was made.
func TestAgentConfig(t *testing.T) {
	w := newWorld(t)
	name := filepath.Join(t.TempDir(), "agent.yaml")
	w.ok("token", "create", "--kind", "enroll", "--uses", "500", "--agent-config", name, "--collector", "rollcall.example.com:8471")
	b, err := os.ReadFile(name)
	must(t, err)
	var got map[string]string
	must(t, yaml.Unmarshal(b, &got))
	token := got["token"]
	delete(got, "token")
	if diff := cmp.Diff(map[string]string{"collector": "rollcall.example.com:8471", "ca_pin": "sha256:" + strings.Repeat("a", 64)}, got); diff != "" || !strings.HasPrefix(token, "rce_") {
		t.Errorf("token %.4s..., and (-want +got):\n%s", token, diff)
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v: %v", info.Mode(), err)
	}
	if list := w.ok("token", "list"); !strings.Contains(list, "0/500") || strings.Contains(list, token) {
		t.Errorf("the list is\n%s", list)
	}
}

func TestAssetsShowTellsWhatIsAttached(t *testing.T) {
	w := newWorld(t)
	d := laptop("PF3ABCDE")
	d.Hardware.Displays = []*pb.Display{{Manufacturer: "DEL", Model: "DELL U2720Q", Serial: "CN0Y5H4K09PS", Connector: "DP-1", Product: "40a1"}}
	id := w.report("ann", d)
	out := w.ok("assets", "show", id)
	_, display, _ := strings.Cut(out, "display  ")
	display, _, _ = strings.Cut(strings.TrimSpace(display), "\n")
	fields := strings.Split(display, ", ")
	if len(fields) != 3 || fields[0] != "DELL U2720Q CN0Y5H4K09PS" || fields[2] != "seen 3h ago" {
		t.Fatalf("the machine is shown as\n%s", out)
	}
	if out := w.ok("assets", "show", fields[1]); !strings.Contains(out, "Attached to  ann, seen 3h ago\n") || !strings.Contains(out, "Class        display\n") {
		t.Errorf("the display is shown as\n%s", out)
	}
	d.Hardware.Displays = nil
	w.report("ann", d)
	if out := w.ok("assets", "show", fields[1]); !strings.Contains(out, "ann, unplugged, last seen 3h ago\n") {
		t.Errorf("the unplugged display is shown as\n%s", out)
	}
}
