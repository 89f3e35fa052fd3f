package facts

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// What everything runs on asks for a reboot when rpm has updated it since the
// machine was booted, as needs-restarting does: here glibc, at 1643279453, and
// systemd two seconds later.
func TestRebootOfUpdatedCore(t *testing.T) {
	packed, err := os.ReadFile("rpmdb/testdata/mariner2-rpmdb.sqlite.zst")
	if err != nil {
		t.Fatal(err)
	}
	r, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	db, err := r.DecodeAll(packed, nil)
	if err != nil {
		t.Fatal(err)
	}
	const installed, release = 1643279453, "5.15.2.1-2.cm2"
	c := new(rebootCheck)
	for what, tt := range map[string]struct {
		kernel    string
		boot, now int64
		want      []string
		state     string
	}{
		"installed, then booted":   {release, installed + 600, installed + 9000, nil, "false"},
		"booted, then updated":     {release, installed - 6000, installed + 9000, []string{"glibc was updated", "systemd was updated"}, "true"},
		"a clock that was ahead":   {release, installed - 6000, installed - 10, nil, "false"},
		"in a container":           {"", installed - 6000, installed + 9000, nil, "unknown"},
		"when it booted is hidden": {release, 0, installed + 9000, nil, "false"},
	} {
		fsys := fstest.MapFS{
			"proc/sys/kernel/osrelease": text(release + "\n"), "proc/stat": text(fmt.Sprintf("cpu 1 2\nbtime %d\n", tt.boot)),
			"var/lib/rpm/rpmdb.sqlite": {Data: db},
		}
		if tt.kernel != "" {
			fsys["lib/modules/"+tt.kernel+"/vmlinuz"] = text("")
		}
		if tt.boot == 0 {
			delete(fsys, "proc/stat")
		}
		h, d := &host.Host{FS: fsys, OS: "linux", Now: func() time.Time { return time.Unix(tt.now, 0) }}, new(pb.Device)
		if err := c.learn(t.Context(), h, d); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		state := "unknown"
		if p := d.GetPatch(); p != nil && p.RebootRequired != nil {
			state = fmt.Sprint(p.GetRebootRequired())
		}
		if diff := cmp.Diff(tt.want, d.GetPatch().GetRebootReasons()); diff != "" || state != tt.state {
			t.Errorf("%s: %s, want %s %s", what, state, tt.state, diff)
		}
	}
}

// A timer that is masked runs nothing, whatever apt's settings say.
func TestMaskedUnattendedUpgrades(t *testing.T) {
	for _, target := range []string{"/dev/null", "/usr/lib/systemd/system/apt-daily-upgrade.timer", ""} {
		fsys := fstest.MapFS{
			"usr/bin/apt-get": text(""), "usr/bin/unattended-upgrade": text(""), "etc/apt/apt.conf.d/20auto-upgrades": text(`APT::Periodic::Unattended-Upgrade "1";`),
		}
		if target != "" {
			fsys["etc/systemd/system/apt-daily-upgrade.timer"] = link(target)
		}
		d := new(pb.Device)
		err := learnAutoUpdate(t.Context(), &host.Host{FS: fsys, OS: "linux"}, d)
		if want := map[bool]string{true: "off", false: "on"}[strings.HasPrefix(target, "/dev")]; err != nil || d.GetPatch().GetAutoUpdate() != want {
			t.Errorf("%q: %s, %v, want %s", target, d.GetPatch().GetAutoUpdate(), err, want)
		}
	}
}
