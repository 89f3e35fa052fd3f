package facts

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Servers keep no list of virus scanners, so that their services tell.
func TestScannersOfServers(t *testing.T) {
	service := func(name, start string) string {
		return `SYSTEM\CurrentControlSet\Services\` + name + `|Start=dword:0000000` + start
	}
	registry := keys(service("ekrn", "2"), service("AVP.KES.21.15", "2"), service("AVPlayer", "2"), service("SentinelAgent", "4"), service("cyserver", "2"), service("AVP21.3", "2"))
	states := []host.Row{{"Name": "EKRN", "State": "Running"}, {"Name": "AVP.KES.21.15", "State": "Stopped"}}
	for what, c := range map[string]struct {
		queries map[string][]host.Row
		want    []*pb.Antivirus
	}{
		"a server": {map[string][]host.Row{"services": states}, []*pb.Antivirus{
			{Name: "Cortex XDR"}, {Name: "ESET Security", Enabled: proto.Bool(true)}, {Name: "Kaspersky Endpoint Security", Enabled: proto.Bool(false)},
			{Name: "SentinelOne", Enabled: proto.Bool(false)},
		}},
		"a client": {map[string][]host.Row{"services": states, "antivirus_products": {{"displayName": "ESET Security", "productState": "266240"}}}, []*pb.Antivirus{
			{Name: "ESET Security", Enabled: proto.Bool(true), UpToDate: proto.Bool(true)},
		}},
	} {
		d := new(pb.Device)
		if err := learnWinAntivirus(t.Context(), winMachine(t, registry, c.queries), d); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if diff := cmp.Diff(c.want, d.GetSecurity().GetAntivirus(), protocmp.Transform()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
}
