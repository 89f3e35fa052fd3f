package facts

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// WMI hands VideoOutputTechnology over as a signed number; some drivers have
// none, and a Windows on Arm has been seen to say "uninitialized".
func TestWindowsConnectors(t *testing.T) {
	for value, want := range map[string]struct {
		connector string
		builtIn   bool
	}{
		"0": {"VGA", false}, "4": {"DVI", false}, "5": {"HDMI", false}, "10": {"DP", false}, "18": {"DP", false},
		"6": {"LVDS", true}, "11": {"eDP", true}, "13": {"eDP", true},
		"2147483648": {"", true}, "-2147483648": {"", true},
		"-1": {}, "-2": {}, "4294967295": {}, "99": {}, "": {}, "none": {}, "9999999999999": {},
	} {
		connector, builtIn := windowsConnector(queryRow{"VideoOutputTechnology": value})
		if connector != want.connector || builtIn != want.builtIn {
			t.Errorf("%q: %q %v, want %q %v", value, connector, builtIn, want.connector, want.builtIn)
		}
	}
}

// The panel of a laptop has a number of its own in its EDID, and is no thing of
// its own all the same.
func TestWindowsPanelIsBuiltIn(t *testing.T) {
	const edid = `EDID=hex:00,ff,ff,ff,ff,ff,ff,00,09,e5,95,08,39,30,00,00,01,1c,01,04,` +
		`95,1f,11,78,02,00,00,00,00,00,00,00,00,00,00,00,00,00,01,01,01,01,01,01,01,01,01,01,01,01,01,01,01,01,` +
		`00,00,00,10,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,10,00,00,00,00,00,00,00,00,00,00,00,00,00,00,` +
		`00,00,00,fe,00,42,4f,45,20,48,46,0a,20,20,20,20,20,20,00,00,00,fe,00,4e,56,31,34,30,46,48,4d,2d,4e,34,38,0a,00,00`
	registry := keys(`SYSTEM\CurrentControlSet\Enum\DISPLAY\BOE0895\4&1&0&UID8388688\Device Parameters|` + edid)
	queries := map[string][]host.Row{
		"monitors":            {{"InstanceName": `DISPLAY\BOE0895\4&1&0&UID8388688_0`, "Active": "true"}},
		"monitor_connections": {{"InstanceName": `display\boe0895\4&1&0&uid8388688_0`, "VideoOutputTechnology": "-2147483648"}},
	}
	d := new(pb.Device)
	if err := learnWinDisplays(t.Context(), winMachine(t, registry, queries), d); err != nil {
		t.Fatal(err)
	}
	want := []*pb.Display{{
		Manufacturer: "BOE", Model: "BOE HF NV140FHM-N48", Product: "0895", Serial: "12345", Numbered: true, Year: proto.Int32(2018), BuiltIn: true,
	}}
	if diff := cmp.Diff(want, d.GetHardware().GetDisplays(), protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}
