package facts

import (
	"fmt"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

func TestPackagesInFolders(t *testing.T) {
	tree := fstest.MapFS{
		"var/db/pkg/app-shells/bash-5.2_p37-r1/repository":           body("gentoo\n"),
		"var/db/pkg/app-shells/bash-5.2_p37-r1/SIZE":                 body("8388608\n"),
		"var/db/pkg/x11-libs/gtk+-3.24.41/SIZE":                      body("none\n"),
		"var/db/pkg/dev-libs/boost-build-1.84.0a/CONTENTS":           body(""),
		"var/db/pkg/dev-libs/-MERGING-openssl-3.0.13/CONTENTS":       body(""),
		"var/db/pkg/dev-libs/readme":                                 body(""),
		"var/lib/pkgtools/packages/aaa_base-15.0-x86_64-3":           body("PACKAGE NAME:     aaa_base-15.0-x86_64-3\nUNCOMPRESSED PACKAGE SIZE:     90K\nFILE LIST:\n"),
		"var/lib/pkgtools/packages/xf86-video-ati-19.1.0-noarch-5_x": body("UNCOMPRESSED PACKAGE SIZE: plenty\n"),
		"var/lib/pkgtools/packages/notes":                            body(""),
		"var/log/packages/old-1-x86-1":                               body(""),
	}
	d := new(pb.Device)
	h := &host.Host{FS: tree, OS: "linux"}
	for _, learn := range []func() error{
		func() error { return learnPortage(t.Context(), h, d) }, func() error { return learnSlackware(t.Context(), h, d) },
	} {
		if err := learn(); err != nil {
			t.Error(err)
		}
	}
	var got []string
	for _, s := range d.Software {
		got = append(got, fmt.Sprintf("%s %s %s %s %s %d", s.Kind, s.Name, s.Version, s.Architecture, s.Publisher, s.GetSizeBytes()))
	}
	want := []string{
		"portage app-shells/bash 5.2_p37-r1  gentoo 8388608", "portage dev-libs/boost-build 1.84.0a   0", "portage x11-libs/gtk+ 3.24.41   0",
		"slackware aaa_base 15.0-3 x86_64  92160", "slackware xf86-video-ati 19.1.0-5_x noarch  0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, learn := range []func() error{
		func() error { return learnPortage(t.Context(), &host.Host{FS: fstest.MapFS{}}, d) },
		func() error { return learnSlackware(t.Context(), &host.Host{FS: fstest.MapFS{}}, d) },
	} {
		if err := learn(); err == nil {
			t.Error("packages of nothing")
		}
	}
}
