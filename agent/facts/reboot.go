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

// learnReboot tells whether the machine waits for a reboot: a package has said
// so in /run/reboot-required, or a newer kernel of the running one's kind is
// installed. Without the file and without an installed kernel, as in a
// container, nothing is said.
func learnReboot(_ context.Context, h *host.Host, d *pb.Device) error {
	var reasons []string
	required, err := exists(h.FS, "run/reboot-required")
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
