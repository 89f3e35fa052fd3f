package facts

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// osState returns the device's operating system, which several facts fill.
func osState(d *pb.Device) *pb.Os {
	if d.Os == nil {
		d.Os = new(pb.Os)
	}
	return d.Os
}

// learnOS learns which operating system is installed.
func learnOS(_ context.Context, h *host.Host, d *pb.Device) error {
	o := osState(d)
	o.Family = "linux"
	var data []byte
	err := error(nil)
	for _, name := range []string{"etc/os-release", "usr/lib/os-release"} {
		if data, err = h.ReadFile(name, maxValueFile); err == nil {
			break
		}
	}
	if missing(err) {
		return errors.New("there is no /etc/os-release, which names the distribution")
	}
	if err != nil {
		return err
	}
	addRelease(o, settings(data))
	a := &attributes{h: h}
	switch o.Id {
	case "debian":
		// os-release says 12 for all of 12.1, 12.2, ...; sid has a name here.
		if exact := a.text("etc/debian_version"); strings.HasPrefix(exact, o.Version+".") {
			o.Version = exact
		}
	case "centos":
		// The same with 7: "CentOS Linux release 7.9.2009 (Core)".
		_, after, _ := strings.Cut(a.text("etc/centos-release"), " release ")
		if exact, _, _ := strings.Cut(after, " "); strings.HasPrefix(exact, o.Version+".") {
			o.Version = exact
		}
	}
	return nil
}

// addRelease takes over what os-release(5) says.
func addRelease(o *pb.Os, release map[string]string) {
	o.Id, o.Name = release["ID"], cmp.Or(release["NAME"], release["PRETTY_NAME"])
	o.Version, o.Build = release["VERSION_ID"], release["BUILD_ID"]
	o.Edition = release["VARIANT"]
}

// learnKernel learns which kernel runs, and since when.
func learnKernel(ctx context.Context, h *host.Host, d *pb.Device) error {
	a := &attributes{h: h}
	o := osState(d)
	o.Kernel = a.text("proc/sys/kernel/osrelease")
	o.Architecture = architecture(ctx, h)
	stat, err := h.ReadFile("proc/stat", 16<<20)
	if missing(err) {
		return a.bad.err()
	}
	o.BootedAt = bootTime(stat)
	return errors.Join(a.bad.err(), err)
}

// bootTime returns the time of the last boot from /proc/stat, to the minute: the
// kernel reckons it anew at each look, and it can be a second off the last one.
func bootTime(stat []byte) *timestamppb.Timestamp {
	for line := range bytes.Lines(stat) {
		text, ok := bytes.CutPrefix(line, []byte("btime "))
		if !ok {
			continue
		}
		if sec, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64); err == nil {
			return unixTime(sec - sec%60)
		}
	}
	return nil
}

// learnLocale learns the language and the time zone that are set for the whole
// machine.
func learnLocale(_ context.Context, h *host.Host, d *pb.Device) error {
	a := &attributes{h: h}
	o := osState(d)
	for _, name := range []string{"etc/locale.conf", "etc/default/locale", "etc/sysconfig/language"} {
		s := settings(a.raw(name))
		if lang := cmp.Or(s["LANG"], s["RC_LANG"]); lang != "" {
			// The coding is not part of the language: de_DE.UTF-8, C.utf8.
			o.Language, _, _ = strings.Cut(lang, ".")
			break
		}
	}
	o.Timezone = a.timezone()
	return a.bad.err()
}

func (a *attributes) timezone() string {
	const zones = "zoneinfo/"
	target := a.link("etc/localtime")
	if at := strings.Index(target, zones); at >= 0 {
		return softwareText([]byte(target[at+len(zones):]))
	}
	return a.text("etc/timezone")
}

// installSalt makes the name of an installation one that only this product
// uses: machine-id(5) asks not to hand the id itself to others.
const installSalt = "rollcall install id v1"

// learnInstallation learns the name of this installation, and about when it was
// made: Linux does not keep that, so it is when the installer left its log, or
// when the machine got its id.
func learnInstallation(_ context.Context, h *host.Host, d *pb.Device) error {
	a := &attributes{h: h}
	o := osState(d)
	for _, name := range []string{"etc/machine-id", "var/lib/dbus/machine-id"} {
		id, err := hex.DecodeString(a.text(name))
		if err != nil || len(id) != 16 {
			// Empty or "uninitialized" until the first boot.
			continue
		}
		mac := hmac.New(sha256.New, id)
		mac.Write([]byte(installSalt))
		o.InstallId = hex.EncodeToString(mac.Sum(nil)[:16])
		break
	}
	for _, name := range []string{
		"var/log/installer/initial-status.gz", "var/log/installer", "root/anaconda-ks.cfg", "var/log/YaST2/mkinitrd.log", "etc/machine-id",
	} {
		if o.InstalledAt = modTime(h.FS, name); o.InstalledAt != nil {
			break
		}
	}
	if err := a.bad.err(); err != nil {
		return err
	}
	if o.InstallId == "" && o.InstalledAt == nil {
		return fmt.Errorf("nothing tells installations apart: %w", errors.ErrUnsupported)
	}
	return nil
}
