package facts

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/agent/facts/proplist"
	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// macDataVolume is where what people keep is, beside the sealed system.
const macDataVolume = "/System/Volumes/Data"

// macMount is a line of mount's output.
type macMount struct {
	device, point, fstype string
	flags                 []string
}

// decodeMacMounts reads lines of the form
// "/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)". Mount
// points are not escaped, so that the last " (" begins the options.
func decodeMacMounts(out []byte) []macMount {
	var list []macMount
	for line := range strings.Lines(string(out)) {
		device, rest, ok := strings.Cut(strings.TrimSpace(line), " on ")
		at := strings.LastIndex(rest, " (")
		if !ok || at < 0 || !strings.HasSuffix(rest, ")") {
			continue
		}
		flags := strings.Split(strings.TrimSuffix(rest[at+2:], ")"), ", ")
		list = append(list, macMount{
			device: softwareText([]byte(device)), point: softwareText([]byte(rest[:at])), fstype: softwareText([]byte(flags[0])), flags: flags[1:],
		})
	}
	return list
}

// macFilesystems are our names of what mount calls otherwise.
var macFilesystems = map[string]string{"hfs": "hfsplus", "msdos": "vfat"}

// kept tells whether a mount is a volume that people or programs keep things
// on: on a local disk, and shown; the system's own parts are hidden, of which
// the data volume is the one that counts.
func (m macMount) kept() bool {
	return slices.Contains(m.flags, "local") && strings.HasPrefix(m.device, "/dev/disk") &&
		(m.point == "/" || m.point == macDataVolume || !slices.Contains(m.flags, "nobrowse") && !strings.HasPrefix(m.point, "/System/"))
}

// learnMacStorage lists the volumes.
func learnMacStorage(ctx context.Context, h *host.Host, d *pb.Device) error {
	out, err := h.Run(ctx, macCommandMounts)
	mounts := slices.DeleteFunc(decodeMacMounts(out), func(m macMount) bool { return !m.kept() })
	if len(mounts) == 0 {
		return absent(err, "no volumes")
	}
	bad := new(faults)
	bad.add(err)
	if len(mounts) > maxVolumes {
		bad.add(fmt.Errorf("%d volumes, of which a report lists %d", len(mounts), maxVolumes))
		mounts = mounts[:maxVolumes]
	}
	containers, err := macContainers(ctx, h)
	bad.add(err)
	slices.SortFunc(mounts, func(a, b macMount) int { return strings.Compare(a.point, b.point) })
	s := new(pb.Storage)
	for _, m := range mounts {
		v := &pb.Volume{Mount: m.point, Device: m.device, Filesystem: m.fstype}
		if ours, ok := macFilesystems[m.fstype]; ok {
			v.Filesystem = ours
		}
		if encrypted, ok := containers[macVolumeOf(m.device)]; ok {
			v.Encrypted = proto.Bool(encrypted)
		}
		bad.add(measure(ctx, h, mount{point: m.point, fstype: v.Filesystem}, v))
		if m.point == "/" {
			s.SystemSizeBytes, s.SystemFreeBytes = v.SizeBytes, v.FreeBytes
		}
		s.Volumes = append(s.Volumes, v)
	}
	d.Storage = s
	return bad.err()
}

// macVolumeOf returns the volume that a device is or is a snapshot of:
// disk3s1s1, which the system starts from, is one of disk3s1.
func macVolumeOf(device string) string {
	name := strings.TrimPrefix(device, "/dev/disk")
	disk, rest, _ := strings.Cut(name, "s")
	part, _, _ := strings.Cut(rest, "s")
	return "disk" + disk + "s" + part
}

// macContainers tells of each volume in APFS containers whether it is encrypted
// with a key that takes somebody's password.
func macContainers(ctx context.Context, h *host.Host) (map[string]bool, error) {
	out, err := h.Run(ctx, macCommandAPFS)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p, err := proplist.DecodeDict(out)
	if err != nil {
		return nil, fmt.Errorf("read what diskutil prints: %w", err)
	}
	encrypted := make(map[string]bool)
	for _, c := range p.Dicts("Containers") {
		for _, v := range c.Dicts("Volumes") {
			// FileVault is what diskutil calls it of any volume. Without, disks
			// with a security chip encrypt all the same, for whoever has the Mac.
			if on, ok := v.Bool("FileVault", "Encryption"); ok {
				encrypted[v.Text("DeviceIdentifier")] = on
			}
		}
	}
	return encrypted, nil
}
