package facts

import (
	"os"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

func TestScreenLock(t *testing.T) {
	// In this database the screen of GNOME locks 30 seconds after 180, both of
	// which are locked, and that of Cinnamon never does.
	data, err := os.ReadFile("gvdb/testdata/local.gvdb")
	if err != nil {
		t.Fatal(err)
	}
	base := &fstest.MapFile{Data: data}
	on := func(seconds int32) *pb.ScreenLock { return &pb.ScreenLock{State: "on", Seconds: proto.Int32(seconds)} }
	off := &pb.ScreenLock{State: "off"}
	for name, c := range map[string]struct {
		tree fstest.MapFS
		want *pb.ScreenLock
	}{
		"GNOME as it comes":             {fstest.MapFS{"usr/bin/gnome-shell": body("")}, on(300)},
		"a person's own":                {fstest.MapFS{"usr/bin/gnome-shell": body(""), "home/ann/.config/dconf/user": base}, on(210)},
		"the administrator's":           {fstest.MapFS{"usr/bin/gnome-shell": body(""), "etc/dconf/profile/user": body("user-db:user\nsystem-db:local\nsystem-db:none\n"), "etc/dconf/db/local": base}, on(210)},
		"Cinnamon, switched off":        {fstest.MapFS{"usr/bin/cinnamon": body(""), "home/ann/.config/dconf/user": base}, off},
		"two desktops, one open":        {fstest.MapFS{"usr/bin/cinnamon": body(""), "usr/bin/gnome-shell": body(""), "home/ann/.config/dconf/user": base}, off},
		"the distribution's":            {fstest.MapFS{"usr/bin/gnome-shell": body(""), schemasDir + "/10_x.gschema.override": body("[org.gnome.desktop.session]\nidle-delay=uint32 600\n[org.gnome.desktop.session:GNOME]\nidle-delay=900\n[org.gnome.desktop.screensaver]\nlock-enabled=true\n")}, on(900)},
		"the distribution's off":        {fstest.MapFS{"usr/bin/gnome-shell": body(""), schemasDir + "/10_x.gschema.override": body("[org.gnome.desktop.screensaver]\nlock-enabled=false\n")}, off},
		"KDE as it comes":               {fstest.MapFS{"usr/bin/plasmashell": body("")}, on(300)},
		"KDE of two people":             {fstest.MapFS{"usr/bin/plasmashell": body(""), "home/ann/.config/kscreenlockerrc": body("[Daemon]\nTimeout=2\n"), "home/bob/.config/kscreenlockerrc": body("[Daemon]\nTimeout=15\n[Greeter]\nTimeout=99\n")}, on(900)},
		"KDE switched off":              {fstest.MapFS{"usr/bin/plasmashell": body(""), "home/ann/.config/kscreenlockerrc": body("[Daemon]\nAutolock=false\n")}, off},
		"KDE that people cannot change": {fstest.MapFS{"usr/bin/plasmashell": body(""), "home/ann/.config/kscreenlockerrc": body("[Daemon]\nAutolock=false\n"), "etc/xdg/kscreenlockerrc": body("[Daemon]\nAutolock[$i]=true\nTimeout=10\n")}, on(600)},
		"a server":                      {fstest.MapFS{"etc/hostname": body("x")}, nil},
	} {
		d := new(pb.Device)
		err := learnScreenLock(t.Context(), &host.Host{FS: c.tree, OS: "linux"}, d)
		if diff := cmp.Diff(c.want, d.GetSecurity().GetScreenLock(), protocmp.Transform()); diff != "" || (err == nil) != (c.want != nil) {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
}

func FuzzKeyFile(f *testing.F) {
	f.Add([]byte("[Daemon]\nAutolock[$i]=true\nTimeout = 5\n# x=y\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		settings := decodeKeyFile(b)
		for _, v := range settings {
			carried(t, v)
		}
		if s := kdeState(settings, settings).message(); s.State != "on" && s.State != "off" {
			t.Fatal(s)
		}
	})
}
