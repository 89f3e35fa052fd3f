package facts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"path"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// maxVolumes is the number of volumes that a report lists.
const maxVolumes = 256

// filesystems are those that hold what a machine keeps. All others are made up
// by the kernel, live elsewhere, or show again what a volume has.
var filesystems = map[string]bool{
	"ext2": true, "ext3": true, "ext4": true, "xfs": true, "btrfs": true, "zfs": true, "f2fs": true, "bcachefs": true,
	"jfs": true, "reiserfs": true, "nilfs2": true, "vfat": true, "exfat": true, "ntfs": true, "ntfs3": true,
	"hfsplus": true, "apfs": true, "fuseblk": true,
}

// askable tells whether a file system answers for its room at once. One on a
// network or of a user's program (fuse) hangs for as long as those are away,
// and an automounter mounts what it is asked about.
func askable(fstype string) bool {
	return filesystems[fstype] && fstype != "fuseblk" || slices.Contains(rootOnly, fstype)
}

// rootOnly are file systems that count only where the system itself lies on
// them: containers, live media, machines without a disk.
var rootOnly = []string{"overlay", "tmpfs", "ramfs", "rootfs", "squashfs", "erofs", "aufs"}

// readVolumes returns the mounts that are volumes, one for each file system, in
// the order of their mount points.
func readVolumes(h *host.Host) ([]mount, error) {
	data, err := h.ReadFile("proc/1/mountinfo", maxMountinfo)
	if err != nil {
		// The first process is another user's, or hidden.
		data, err = h.ReadFile("proc/self/mountinfo", maxMountinfo)
	}
	if missing(err) {
		return nil, fmt.Errorf("no list of mounts: %w", errors.ErrUnsupported)
	}
	if err != nil {
		return nil, err
	}
	mounts, err := decodeMountinfo(data)
	return volumesOf(mounts), err
}

// volumesOf picks the volumes among mounts. A file system that is mounted many
// times (bind mounts, subvolumes) counts once, where it is nearest to the root.
func volumesOf(mounts []mount) []mount {
	var all []mount
	for _, m := range mounts {
		if m.point == "/" || filesystems[m.fstype] && !m.bound() && !strings.HasPrefix(m.source, "/dev/loop") {
			all = append(all, m)
		}
	}
	// Of several on one point, the last covers the others.
	slices.Reverse(all)
	slices.SortStableFunc(all, func(a, b mount) int {
		return cmp.Or(cmp.Compare(len(a.point), len(b.point)), strings.Compare(a.point, b.point))
	})
	points, devices := make(map[string]bool), make(map[string]bool)
	out := slices.DeleteFunc(all, func(m mount) bool {
		again := points[m.point] || devices[m.key()]
		points[m.point], devices[m.key()] = true, true
		return again
	})
	slices.SortFunc(out, func(a, b mount) int { return strings.Compare(a.point, b.point) })
	return out
}

// learnStorage lists the volumes. Where a volume's file system cannot be asked
// without risk, its size stays unstated.
func learnStorage(ctx context.Context, h *host.Host, d *pb.Device) error {
	volumes, err := readVolumes(h)
	if errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	bad := new(faults)
	bad.add(err)
	if len(volumes) > maxVolumes {
		bad.add(fmt.Errorf("%d volumes, of which a report lists %d", len(volumes), maxVolumes))
		volumes = volumes[:maxVolumes]
	}
	stack := &blockStack{attributes: attributes{h: h}}
	out := new(pb.Storage)
	for _, m := range volumes {
		v := &pb.Volume{Mount: m.point, Device: m.source, Filesystem: m.fstype}
		if encryption, known := stack.encryption(m); known {
			v.Encrypted = proto.Bool(encryption != "")
		}
		bad.add(measure(ctx, h, m, v))
		if m.point == "/" {
			out.SystemSizeBytes, out.SystemFreeBytes = v.SizeBytes, v.FreeBytes
		}
		out.Volumes = append(out.Volumes, v)
	}
	bad.add(stack.bad.err())
	d.Storage = out
	return bad.err()
}

// measure states the room on a volume.
func measure(ctx context.Context, h *host.Host, m mount, v *pb.Volume) error {
	if !askable(m.fstype) {
		return nil
	}
	u, err := h.Usage(ctx, m.point)
	switch {
	case errors.Is(err, errors.ErrUnsupported), errors.Is(err, fs.ErrNotExist):
		// A capture, or a mount that the agent's own view of the machine lacks.
		return nil
	case err != nil:
		return err
	case u.Size > 0:
		v.SizeBytes, v.FreeBytes = proto.Int64(u.Size), proto.Int64(steady(u.Free))
	}
	return nil
}

// steady rounds a number of bytes down by less than 1 %, so that what a
// machine writes in passing does not make its inventory another one.
func steady(n int64) int64 {
	const kept = 8
	if drop := bits.Len64(uint64(n)) - kept; drop > 0 {
		return n >> drop << drop
	}
	return n
}

// blockStack finds out what block devices lie on.
type blockStack struct{ attributes }

const (
	classBlock = "sys/class/block"
	// maxStack is how many layers of devices lie on each other: partitions,
	// RAID, LVM, encryption.
	maxStack = 16
)

// encryption returns the method by which what is mounted is encrypted on its
// disk, "" for none: luks or dm-crypt. It is not known for file systems that do
// not lie on block devices of this machine.
func (s *blockStack) encryption(m mount) (method string, known bool) {
	name := path.Base(s.link("sys/dev/block", m.device))
	if name == "." || !s.has(classBlock, name) {
		// btrfs has a device number of its own.
		name = s.named(m.source)
	}
	if name == "" {
		return "", false
	}
	return s.below(name, 0), true
}

// named returns the kernel's name of a device by a path in /dev.
func (s *blockStack) named(source string) string {
	base, ok := strings.CutPrefix(source, "/dev/")
	if !ok {
		return ""
	}
	mapped, ok := strings.CutPrefix(base, "mapper/")
	if !ok {
		if !strings.Contains(base, "/") && s.has(classBlock, base) {
			return base
		}
		return ""
	}
	for _, name := range s.names(classBlock) {
		if strings.HasPrefix(name, "dm-") && s.text(classBlock, name, "dm/name") == mapped {
			return name
		}
	}
	return ""
}

// below returns the encryption of a device or of what it lies on.
func (s *blockStack) below(name string, depth int) string {
	switch uuid := s.text(classBlock, name, "dm/uuid"); {
	case strings.HasPrefix(uuid, "CRYPT-LUKS"):
		return "luks"
	case strings.HasPrefix(uuid, "CRYPT-"):
		return "dm-crypt"
	case depth >= maxStack:
		return ""
	}
	for _, slave := range s.names(classBlock, name, "slaves") {
		if method := s.below(slave, depth+1); method != "" {
			return method
		}
	}
	if s.has(classBlock, name, "partition") {
		if disk := path.Base(path.Dir(s.link(classBlock, name))); disk != "." && disk != "block" {
			return s.below(disk, depth+1)
		}
	}
	return ""
}
