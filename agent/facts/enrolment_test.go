package facts

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

func TestEnrolment(t *testing.T) {
	const conf = "[client]\nurl = https://user:pw@landscape.example.com/message-system\nping_url = http://landscape.example.com/ping\n"
	for name, c := range map[string]struct {
		tree fstest.MapFS
		want *pb.Mdm
		err  string
	}{
		"Intune": {fstest.MapFS{
			"opt/microsoft/intune/bin/intune-daemon":    body(""),
			"home/ann/.config/intune/registration.toml": body("aad_device_hint = \"a\"\ndevice_hint = \"d6f6cfea\"\naccount_hint = \"ann@example.com\"\n"),
		}, &pb.Mdm{Enrolled: proto.Bool(true), Vendor: "intune", Id: "d6f6cfea"}, ""},
		"Intune, begun": {fstest.MapFS{
			"opt/microsoft/intune/bin/intune-daemon":    body(""),
			"home/ann/.config/intune/registration.toml": body("account_hint = \"ann@example.com\"\n"),
		}, &pb.Mdm{Enrolled: proto.Bool(false), Vendor: "intune"}, ""},
		"Landscape": {fstest.MapFS{landscapeConfig: body(conf), landscapeState: body("du12:registrationdu9:secure-ids40:0123u11:insecure-idi7;;;")},
			&pb.Mdm{Enrolled: proto.Bool(true), Vendor: "landscape", ServerUrl: "https://landscape.example.com/message-system"}, ""},
		"Landscape, waiting": {fstest.MapFS{landscapeConfig: body(conf), landscapeState: body("du12:registrationdu9:secure-idn;;")},
			&pb.Mdm{Enrolled: proto.Bool(false), Vendor: "landscape", ServerUrl: "https://landscape.example.com/message-system"}, ""},
		"JumpCloud": {fstest.MapFS{jumpcloudConfig: body(`{"systemKey":"0123456789abcdef01234567","agentServerHost":"x"}`)},
			&pb.Mdm{Enrolled: proto.Bool(true), Vendor: "jumpcloud", Id: "0123456789abcdef01234567"}, ""},
		"JumpCloud, broken": {fstest.MapFS{jumpcloudConfig: body(`{"systemKey":`)}, nil, "jcagent.conf"},
		"none":              {fstest.MapFS{"etc/hostname": body("x")}, nil, "no agent"},
	} {
		d := new(pb.Device)
		err := learnEnrolment(t.Context(), &host.Host{FS: c.tree, OS: "linux"}, d)
		if diff := cmp.Diff(c.want, d.Mdm, protocmp.Transform()); diff != "" || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
}

func FuzzEnrolment(f *testing.F) {
	f.Add([]byte("du9:secure-ids4:abcd;"))
	f.Add([]byte(`{"systemKey":"x"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		tree := fstest.MapFS{landscapeConfig: {Data: b}, landscapeState: {Data: b}, jumpcloudConfig: {Data: b}}
		h := &host.Host{FS: tree, OS: "linux"}
		for _, m := range []*pb.Mdm{landscape(h, new(faults)), jumpcloud(h, new(faults))} {
			carried(t, m.GetId(), m.GetServerUrl(), m.GetVendor())
		}
	})
}
