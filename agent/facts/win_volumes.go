package facts

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// learnWinVolumes lists the volumes on disks of this machine, with a letter or
// a folder or, as the one that Windows starts from, without either.
func learnWinVolumes(ctx context.Context, h *host.Host, d *pb.Device) error {
	q := &queries{h: h}
	system := driveOf((&winreg{h: h}).systemRoot())
	locked := q.bitlocker(ctx)
	out := new(pb.Storage)
	for _, row := range q.rows(ctx, "volumes") {
		v := windowsVolume(row)
		if v == nil {
			continue
		}
		if state, known := locked[volumeID(v.Device)]; known {
			v.Encrypted = proto.Bool(state != "off")
		}
		if strings.EqualFold(v.Mount, system) {
			out.SystemSizeBytes, out.SystemFreeBytes = v.SizeBytes, v.FreeBytes
		}
		out.Volumes = append(out.Volumes, v)
	}
	if len(out.Volumes) == 0 {
		if err := q.bad.err(); err != nil {
			return err
		}
		return learnDrive(ctx, h, d, system)
	}
	slices.SortFunc(out.Volumes, func(a, b *pb.Volume) int {
		return cmp.Or(strings.Compare(a.Mount, b.Mount), strings.Compare(a.Device, b.Device))
	})
	if len(out.Volumes) > maxVolumes {
		q.bad.add(fmt.Errorf("%d volumes, of which a report lists %d", len(out.Volumes), maxVolumes))
		out.Volumes = out.Volumes[:maxVolumes]
	}
	d.Storage = out
	return q.bad.err()
}

// learnDrive tells the room on the system's drive alone, where nothing lists
// the volumes.
func learnDrive(ctx context.Context, h *host.Host, d *pb.Device, drive string) error {
	u, err := h.Usage(ctx, drive+`\`)
	if err != nil {
		return err
	}
	v := &pb.Volume{Mount: drive, SizeBytes: proto.Int64(u.Size), FreeBytes: proto.Int64(steady(u.Free))}
	d.Storage = &pb.Storage{Volumes: []*pb.Volume{v}, SystemSizeBytes: v.SizeBytes, SystemFreeBytes: v.FreeBytes}
	return nil
}

// windowsVolume is a row of Win32_Volume, nil for one on a network, on a disc
// or without a file system.
func windowsVolume(row queryRow) *pb.Volume {
	const removable, fixed = 2, 3
	kind, _ := row.number("DriveType")
	size, ok := row.number("Capacity")
	if kind != fixed && kind != removable || !ok || size == 0 {
		return nil
	}
	v := &pb.Volume{Device: row.text("DeviceID"), Filesystem: strings.ToLower(row.text("FileSystem")), SizeBytes: proto.Int64(size)}
	v.Mount = row.text("DriveLetter")
	if v.Mount == "" && !strings.HasPrefix(row["Name"], `\\?\`) {
		v.Mount = strings.TrimRight(row.text("Name"), `\`)
	}
	if free, ok := row.number("FreeSpace"); ok {
		v.FreeBytes = proto.Int64(steady(free))
	}
	return v
}

// volumeID returns the name of a volume without what is written differently
// from class to class.
func volumeID(device string) string { return strings.ToLower(strings.Trim(device, `\?`)) }

// bitlocker returns the state of each volume that BitLocker can deal with: on,
// off, partial while it is at work, or suspended when everything is encrypted
// but the key lies in the open.
func (q *queries) bitlocker(ctx context.Context) map[string]string {
	out := make(map[string]string)
	for _, row := range q.rows(ctx, "bitlocker") {
		if state := bitlockerState(row); state != "" {
			out[volumeID(row["DeviceID"])] = state
		}
	}
	return out
}

func bitlockerState(row queryRow) string {
	const (
		unprotected, protected, locked = 0, 1, 2
		decrypted, encrypted           = 0, 1
	)
	protection, ok := row.number("ProtectionStatus")
	conversion, known := row.number("ConversionStatus")
	switch {
	case !ok:
		return ""
	case protection == locked, protection == protected && (!known || conversion == encrypted):
		return "on"
	case protection == unprotected && known && conversion == encrypted:
		return "suspended"
	case known && conversion != decrypted && conversion != encrypted:
		return "partial"
	case protection == unprotected:
		return "off"
	}
	return ""
}

// learnWinEncryption tells whether the volumes are encrypted that stay in the
// machine. One whose protection is suspended makes the whole suspended: it is
// meant to be on, and at the moment is not.
func learnWinEncryption(ctx context.Context, h *host.Host, d *pb.Device) error {
	const portable = 2
	q := &queries{h: h}
	states := make(map[string]int)
	total := 0
	for _, row := range q.rows(ctx, "bitlocker") {
		kind, ok := row.number("VolumeType")
		if state := bitlockerState(row); state != "" && (!ok || kind != portable) {
			states[state]++
			total++
		}
	}
	state := "partial"
	switch {
	case total == 0:
		return q.err("no volume that BitLocker could encrypt")
	case states["on"] == total:
		state = "on"
	case states["off"] == total:
		state = "off"
	case states["suspended"] > 0 && states["on"]+states["suspended"] == total:
		state = "suspended"
	}
	security(d).DiskEncryption = &pb.DiskEncryption{State: state}
	if state != "off" {
		security(d).DiskEncryption.Method = "bitlocker"
	}
	return nil
}
