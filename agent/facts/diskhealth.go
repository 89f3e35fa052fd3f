package facts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/rollcall-itam/rollcall/agent/facts/smart"
	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// askDisksEvery is how long what a disk said of its health is good for.
const askDisksEvery = 6 * time.Hour

// diskLogs learns how the disks are. It keeps what each said last: disks are
// asked rarely, and those that are asleep are not woken.
type diskLogs struct {
	asked time.Time
	known map[string]smart.Health
}

// learn tells the health of the disks that an earlier fact has listed, as far
// as they have one: those of virtual machines and behind USB do not. Without
// the right to ask disks nothing is said, which is how the service is set up
// unless it is told otherwise.
func (k *diskLogs) learn(ctx context.Context, h *host.Host, d *pb.Device) error {
	now := h.Now()
	due := k.asked.IsZero() || now.Sub(k.asked) >= askDisksEvery || now.Before(k.asked)
	disks := make(map[string]smart.Health)
	bad := new(faults)
	asked := false
	for _, disk := range d.GetHardware().GetDisks() {
		protocol := diskProtocol(disk)
		if protocol == "" || ctx.Err() != nil {
			continue
		}
		name := disk.Name + " " + disk.Serial
		health, had := k.known[name]
		if due || !had {
			asked = true
			said, err := judge(h, disk.Name, protocol)
			switch {
			case err == nil:
				health = said
			case errors.Is(err, errors.ErrUnsupported), errors.Is(err, fs.ErrPermission), missing(err):
			default:
				bad.add(err)
			}
		}
		disks[name], disk.Health = health, string(health)
	}
	k.known = disks
	if asked && due {
		k.asked = now
	}
	if err := ctx.Err(); err != nil {
		bad.add(fmt.Errorf("not all disks were asked for their health: %w", err))
	}
	for _, health := range disks {
		if health != "" {
			return bad.err()
		}
	}
	return absent(bad.err(), "no disk tells its health")
}

// diskProtocol returns what a disk is asked in, "" for one that is not asked:
// bridges to USB have been seen to hang.
func diskProtocol(d *pb.Disk) string {
	if d.Kind == "virtual" || d.Kind == "removable" {
		return ""
	}
	switch d.Bus {
	case "sata":
		return host.DiskATA
	case "nvme":
		return host.DiskNVMe
	case "sas":
		return host.DiskSCSI
	}
	return ""
}

// judge asks one disk.
func judge(h *host.Host, name, protocol string) (smart.Health, error) {
	log, err := h.DiskLog(name, protocol)
	if err != nil {
		return "", err
	}
	var health smart.Health
	switch protocol {
	case host.DiskATA:
		health, err = smart.ATA(log.Data, log.Thresholds, log.Exceeded)
	case host.DiskNVMe:
		health, err = smart.NVMe(log.Data)
	default:
		health, err = smart.SCSI(log.Data)
	}
	if err != nil {
		return "", fmt.Errorf("health of disk %s: %w", name, err)
	}
	return health, nil
}
