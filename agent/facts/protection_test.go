package facts

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

func TestProtection(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	tree := fstest.MapFS{
		"proc/1/comm":                body("systemd\n"),
		"proc/77/comm":               body("falcon-sensor-b\n"),
		"proc/self/comm":             body("rollcall-agent\n"),
		"opt/CrowdStrike/falconctl":  body(""),
		"var/ossec/bin/wazuh-agentd": body(""),
		"usr/sbin/clamd":             body(""),
		"var/lib/clamav/daily.cld":   {ModTime: now.Add(-30 * 24 * time.Hour)},
		"var/lib/dpkg/status":        status("falcon-sensor 7.10.0-16303 amd64", "wazuh-agent 4.9.0-1 amd64"),
	}
	p, h := new(protection), &host.Host{FS: tree, OS: "linux", Now: func() time.Time { return now }}
	d := new(pb.Device)
	if err := p.learn(t.Context(), h, d); err != nil {
		t.Fatal(err)
	}
	want := &pb.Device{
		Security: &pb.Security{Antivirus: []*pb.Antivirus{
			{Name: "CrowdStrike Falcon", Enabled: proto.Bool(true)}, {Name: "ClamAV", Enabled: proto.Bool(false), UpToDate: proto.Bool(false)},
		}},
		Edr: &pb.Edr{Present: proto.Bool(true), Vendor: "crowdstrike", Version: "7.10.0-16303", State: "running"},
	}
	if diff := cmp.Diff(want, d, protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// An upgrade is seen, and so is a sensor that stopped beside one that runs.
	tree["var/lib/dpkg/status"] = status("wazuh-agent 4.9.10-1 amd64")
	tree["proc/77/comm"] = body("wazuh-agentd\n")
	d = new(pb.Device)
	if err := p.learn(t.Context(), h, d); err != nil || d.Edr.Vendor != "wazuh" || d.Edr.Version != "4.9.10-1" || d.Edr.State != "running" {
		t.Errorf("after an upgrade: %v, %v", d.Edr, err)
	}
	d = new(pb.Device)
	if err := new(protection).learn(t.Context(), &host.Host{FS: fstest.MapFS{}, OS: "linux"}, d); err != nil || d.Edr.Present == nil || *d.Edr.Present {
		t.Errorf("without any: %v, %v", d.Edr, err)
	}
}

func TestFalcon(t *testing.T) {
	for _, c := range []struct{ out, id, version, state string }{
		{`aid="0123456789abcdef0123456789abcdef", rfm-state=false, version = 7.10.16303.0`, "0123456789abcdef0123456789abcdef", "7.10.16303.0", "running"},
		{"aid=\"ab\", version = 6.47.14408.0\nrfm-state=true.\n", "ab", "6.47.14408.0", "degraded"},
		{"aid is not set, version = 7.1.0.0", "", "7.1.0.0", "running"},
		{"", "", "old", "running"},
	} {
		f := &protectorFound{edr: &pb.Edr{State: "running", Version: "old"}}
		f.falcon([]byte(c.out))
		if f.edr.Id != c.id || f.edr.Version != c.version || f.edr.State != c.state {
			t.Errorf("%q: %v", c.out, f.edr)
		}
	}
}

func TestDefenderHealth(t *testing.T) {
	for _, c := range []struct {
		name, out string
		antivirus *pb.Antivirus
		edr       *pb.Edr
		err       string
	}{
		{"well", `{"appVersion":"101.1","healthy":true,"edrMachineId":"m","orgId":"o","realTimeProtectionEnabled":{"value":true},"passiveModeEnabled":{"value":false},"definitionsStatus":{"$type":"upToDate"}}`,
			&pb.Antivirus{Enabled: proto.Bool(true), UpToDate: proto.Bool(true)}, &pb.Edr{Id: "m", Version: "101.1", State: "running"}, ""},
		{"passive and ill", `{"healthy":false,"edrMachineId":"m","orgId":"o","realTimeProtectionEnabled":{"value":true},"passiveModeEnabled":{"value":true},"definitionsStatus":{"$type":"outOfDate"}}`,
			&pb.Antivirus{Enabled: proto.Bool(false), UpToDate: proto.Bool(false)}, &pb.Edr{Id: "m", State: "degraded"}, ""},
		{"of nobody", `{"healthy":true,"realTimeProtectionEnabled":{"value":false}}`, &pb.Antivirus{Enabled: proto.Bool(false)}, nil, ""},
		{"not JSON", `error`, new(pb.Antivirus), &pb.Edr{State: "running"}, "health"},
	} {
		f := &protectorFound{antivirus: new(pb.Antivirus), edr: &pb.Edr{State: "running"}}
		err := f.defender([]byte(c.out))
		if diff := cmp.Diff(c.antivirus, f.antivirus, protocmp.Transform()) + cmp.Diff(c.edr, f.edr, protocmp.Transform()); diff != "" ||
			(err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v %s", c.name, err, diff)
		}
	}
}

func TestRemoteAccess(t *testing.T) {
	for _, c := range []struct {
		os   string
		tree fstest.MapFS
		want []string
	}{
		{"linux", fstest.MapFS{
			"proc/1/comm": body("systemd\n"), "proc/20/comm": body("anydesk\n"), "opt/teamviewer/tv_bin/teamviewerd": body(""),
			"opt/connectwisecontrol-0a1b2c3d/x": body(""), "usr/bin/krfb": body(""), "opt/connectwise": body(""),
		}, []string{"anydesk", "screenconnect", "teamviewer"}},
		{"darwin", fstest.MapFS{
			"Applications/TeamViewerHost.app/Contents/Info.plist": body(""),
			"private/var/db/com.apple.xpc.launchd/disabled.plist": body(`<plist><dict><key>com.apple.screensharing</key><false/><key>x</key><true/></dict></plist>`),
		}, []string{"screen_sharing", "teamviewer"}},
		{"windows", fstest.MapFS{"Program Files (x86)/ScreenConnect Client (0a1b2c3d)/x.exe": body("")}, []string{"screenconnect"}},
		{"linux", fstest.MapFS{"proc/1/comm": body("systemd\n")}, nil},
	} {
		d := new(pb.Device)
		err := learnRemoteAccess(t.Context(), &host.Host{FS: c.tree, OS: c.os}, d)
		if !slices.Equal(c.want, d.GetSecurity().GetRemoteAccess()) || (err == nil) != (c.want != nil) {
			t.Errorf("%s: %v, %v, want %v", c.os, d.GetSecurity().GetRemoteAccess(), err, c.want)
		}
	}
}

func TestPrinters(t *testing.T) {
	const conf = `# Printer configuration file for CUPS v2.4.2
<Printer zebra>
MakeModel Zebra ZTC \#1
DeviceURI socket://10.0.0.7:9100
</Printer>
<DefaultPrinter Office>
UUID urn:uuid:00000000-0000-0000-0000-000000000000
MakeModel HP LaserJet MFP M428, driverless, 2.0.1
DeviceURI ipp://ann:s3/cret@print.example.net/printers/office
State Idle
</DefaultPrinter>
DeviceURI lost://
<Class all>
Printer Office
DeviceURI none
</Class>`
	want := []*pb.Printer{
		{Name: "Office", Driver: "HP LaserJet MFP M428, driverless, 2.0.1", Port: "ipp://print.example.net/printers/office"},
		{Name: "zebra", Driver: "Zebra ZTC #1", Port: "socket://10.0.0.7:9100"},
	}
	if diff := cmp.Diff(want, decodePrinters([]byte(conf)), protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzPrinters(f *testing.F) {
	f.Add([]byte("<Printer a>\nMakeModel \\\\x\nDeviceURI usb://HP/x?serial=1\n</Printer>\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, p := range decodePrinters(b) {
			carried(t, p.Name, p.Driver, p.Port)
			if _, rest, ok := strings.Cut(p.Port, "://"); ok && strings.Contains(rest, "@") {
				t.Fatalf("%q may hold a password", p.Port)
			}
		}
	})
}

func FuzzProtection(f *testing.F) {
	f.Add([]byte(`aid="ab", rfm-state=false, version = 7.1`))
	f.Add([]byte(`{"orgId":"o","passiveModeEnabled":{"value":true}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		found := &protectorFound{antivirus: new(pb.Antivirus), edr: new(pb.Edr)}
		found.falcon(b)
		edr := found.edr
		_ = found.defender(b) // what is no JSON is an error
		carried(t, edr.Id, edr.Version, found.antivirus.Name)
	})
}
