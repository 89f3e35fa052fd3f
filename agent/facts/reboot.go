package facts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/agent/host"
	"github.com/rollcall-itam/rollcall/pkg/pkgversion"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const maxRebootReasons = 50

// rebootFlags are files that are there while the machine waits for a reboot, and
// who asks for it where no list of packages is beside.
var rebootFlags = []struct{ file, why string }{
	{"run/reboot-needed", "zypper"},
	{"run/ostree/staged-deployment", "a system image is staged"},
}

// coreOfRPM are the packages that, once updated, run only after a reboot, as
// "needs-restarting -r" of dnf has them; kernels are looked at by themselves.
// See https://access.redhat.com/solutions/27943
var coreOfRPM = []string{"dbus", "dbus-broker", "dbus-daemon", "glibc", "linux-firmware", "microcode_ctl", "systemd"}

// rebootCheck learns whether a machine waits for a reboot. It keeps when the
// packages that everything runs on were installed until that can have changed.
type rebootCheck struct {
	database fileState
	core     map[string]int64
}

// learn tells whether the machine waits for a reboot: a package or the package
// manager has said so in a file, a newer kernel of the running one's kind is
// installed, or what everything runs on was updated since the last boot, where
// rpm keeps the time. Without such a file and without an installed kernel, as
// in a container, nothing is said.
func (c *rebootCheck) learn(_ context.Context, h *host.Host, d *pb.Device) error {
	var reasons []string
	required, err := exists(h.FS, "run/reboot-required")
	for _, flag := range rebootFlags {
		there, ferr := exists(h.FS, flag.file)
		if err = errors.Join(err, ferr); there {
			required = true
			reasons = append(reasons, flag.why)
		}
	}
	if required {
		pkgs, perr := readWhole(h.FS, "run/reboot-required.pkgs", 1<<16)
		if perr != nil && !missing(perr) {
			err = errors.Join(err, perr)
		}
		for line := range strings.Lines(string(pkgs)) {
			reasons = append(reasons, softwareText([]byte(line)))
		}
	}
	running, rerr := readWhole(h.FS, "proc/sys/kernel/osrelease", 1<<10)
	if rerr != nil && !missing(rerr) {
		err = errors.Join(err, rerr)
	}
	release := softwareText(running)
	newest, known := newestKernel(h.FS, release)
	if newest != release && known {
		required = true
		reasons = append(reasons, fmt.Sprintf("kernel %s is installed, %s runs", newest, release))
	}
	if known {
		updated := c.updatedSinceBoot(h)
		required = required || len(updated) > 0
		reasons = append(reasons, updated...)
	}
	if !required && !known {
		return err
	}
	slices.Sort(reasons)
	reasons = slices.DeleteFunc(slices.Compact(reasons), func(s string) bool { return s == "" })
	p := patch(d)
	p.RebootRequired = proto.Bool(required)
	p.RebootReasons = reasons[:min(len(reasons), maxRebootReasons)]
	return err
}

// updatedSinceBoot returns the packages of rpm's core that were installed after
// the machine was booted. A database that cannot be read is told of by who lists
// the packages.
func (c *rebootCheck) updatedSinceBoot(h *host.Host) []string {
	stat, err := h.ReadFile("proc/stat", 16<<20)
	boot := bootTime(stat)
	if err != nil || boot == nil {
		return nil
	}
	if state := packagesState(h); c.core == nil || state != c.database {
		packages, err := readRPM(h.FS)
		if err != nil {
			return nil
		}
		c.database, c.core = state, make(map[string]int64)
		for i := range packages {
			if p := &packages[i]; slices.Contains(coreOfRPM, p.Name) {
				c.core[p.Name] = max(c.core[p.Name], p.InstallTime)
			}
		}
	}
	var out []string
	for name, installed := range c.core {
		// The time of the boot is that of its minute, and a clock that was wrong
		// then, or is now, must not ask for ever.
		if installed > boot.Seconds+60 && installed <= h.Now().Unix() {
			out = append(out, name+" was updated")
		}
	}
	return out
}

func exists(fsys fs.FS, name string) (bool, error) {
	_, err := fs.Stat(fsys, name)
	if missing(err) {
		return false, nil
	}
	return err == nil, err
}

// newestKernel returns the newest installed kernel of the running one's kind,
// which is the running one where there is no newer. It is not known where no
// kernel of that kind is installed: a container runs its host's.
func newestKernel(fsys fs.FS, running string) (release string, known bool) {
	entries, err := fs.ReadDir(fsys, "lib/modules")
	if running == "" || err != nil {
		return "", false
	}
	for _, e := range entries {
		name := e.Name()
		if kernelKind(name) != kernelKind(running) || !hasKernel(fsys, name) {
			continue
		}
		if !known || pkgversion.RPM(name, release) > 0 {
			release, known = name, true
		}
	}
	if known && pkgversion.RPM(running, release) > 0 {
		release = running
	}
	return release, known
}

// hasKernel tells whether the modules of a release have a kernel to boot;
// removed kernels can leave a folder behind.
func hasKernel(fsys fs.FS, release string) bool {
	for _, name := range []string{"boot/vmlinuz-" + release, "lib/modules/" + release + "/vmlinuz"} {
		if ok, _ := exists(fsys, name); ok {
			return true
		}
	}
	return false
}

// kernelKind returns what distinguishes kernels that are installed beside one
// another, so that -rt does not count as an upgrade of -generic: the parts of a
// release that begin with a letter, without their numbers, and what follows a
// plus sign.
func kernelKind(release string) string {
	release, variant, _ := strings.Cut(release, "+")
	var kind strings.Builder
	for _, part := range strings.Split(release, "-")[1:] {
		if part == "" || part[0] >= '0' && part[0] <= '9' {
			continue
		}
		kind.WriteString(strings.Trim(part, "0123456789"))
		kind.WriteByte('-')
	}
	return kind.String() + "+" + variant
}
