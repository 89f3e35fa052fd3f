package facts

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// learnWinDisks lists the disks, as the storage management of Windows 8 and
// later has them, otherwise by the older class of WMI.
func learnWinDisks(ctx context.Context, h *host.Host, d *pb.Device) error {
	q := &queries{h: h}
	var out []*pb.Disk
	for _, row := range q.rows(ctx, "physical_disks") {
		if disk := physicalDisk(row); disk != nil {
			out = append(out, disk)
		}
	}
	if len(out) == 0 {
		// What the newer one could not tell is of no matter when this one can.
		older := &queries{h: h}
		for _, row := range older.rows(ctx, "disk_drives") {
			if disk := diskDrive(row); disk != nil {
				out = append(out, disk)
			}
		}
		if q.bad.add(older.bad.err()); len(out) > 0 {
			q.bad = older.bad
		}
	}
	if len(out) == 0 {
		return q.err("no disks are listed")
	}
	slices.SortStableFunc(out, func(a, b *pb.Disk) int {
		return cmp.Or(cmp.Compare(len(a.Name), len(b.Name)), cmp.Compare(a.Name, b.Name))
	})
	if len(out) > maxDisks {
		q.bad.add(fmt.Errorf("%d disks, of which a report lists %d", len(out), maxDisks))
		out = out[:maxDisks]
	}
	hardware(d).Disks = out
	return q.bad.err()
}

// storageBuses are the buses by their number in MSFT_PhysicalDisk.
var storageBuses = map[string]string{
	"1": "scsi", "3": "sata", "7": "usb", "8": "raid", "9": "iscsi", "10": "sas", "11": "sata", "12": "mmc", "13": "mmc",
	"14": "virtual", "15": "virtual", "16": "virtual", "17": "nvme", "19": "ufs",
}

// diskHealth is the state by its number there.
var diskHealth = map[string]string{"0": "ok", "1": "warning", "2": "failing"}

// windowsVirtual are names of disks that are made up, beside those that Linux
// sees.
var windowsVirtual = []string{"VBOX", "VMware", "Virtual HD", "Msft Virtual", "QEMU", "Red Hat VirtIO", "Xen", "XENSRC", "Google PersistentDisk", "Amazon Elastic", "NVMe Amazon EC2"}

func physicalDisk(row queryRow) *pb.Disk {
	size, ok := row.number("Size")
	if !ok || size == 0 {
		return nil
	}
	out := &pb.Disk{
		Name: "PhysicalDrive" + row.text("DeviceId"), SizeBytes: proto.Int64(size), Bus: storageBuses[strings.TrimSpace(row["BusType"])],
		Model: cmp.Or(row.text("Model"), row.text("FriendlyName")), Firmware: row.text("FirmwareVersion"),
		Health: diskHealth[strings.TrimSpace(row["HealthStatus"])], Serial: diskSerial(row),
	}
	switch media := strings.TrimSpace(row["MediaType"]); {
	case virtualModel(out.Model), out.Bus == "virtual":
		out.Kind = "virtual"
	case out.Bus == "usb", out.Bus == "mmc":
		out.Kind = "removable"
	case out.Bus == "nvme":
		out.Kind = "nvme"
	case media == "3":
		out.Kind = "hdd"
	case media == "4":
		out.Kind = "ssd"
	}
	return out
}

func virtualModel(model string) bool {
	return slices.ContainsFunc(windowsVirtual, func(name string) bool {
		return len(model) >= len(name) && strings.EqualFold(model[:len(name)], name)
	})
}

// namespaceID is the EUI-64 or NGUID of a namespace, which Windows gives as the
// serial of a disk on NVMe.
var namespaceID = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[0-9A-Fa-f]{4}(_[0-9A-Fa-f]{4})+\.$`)
})

// diskSerial returns the serial that is printed on the disk. On NVMe that is
// the controller's, to which Windows adds the number of the namespace.
func diskSerial(row queryRow) string {
	serial := row.text("SerialNumber")
	if !namespaceID().MatchString(serial) {
		return strings.TrimSpace(strings.TrimSuffix(serial, "."))
	}
	fields := strings.Fields(row.text("AdapterSerialNumber"))
	if len(fields) == 0 || namespaceID().MatchString(fields[0]) {
		return serial
	}
	return fields[0]
}

// diskDrive is a row of Win32_DiskDrive.
func diskDrive(row queryRow) *pb.Disk {
	size, ok := row.number("Size")
	if !ok || size == 0 {
		return nil
	}
	name := row.text("DeviceID")
	if at := strings.LastIndexByte(name, '\\'); at >= 0 {
		name = name[at+1:]
	}
	if number, ok := strings.CutPrefix(name, "PHYSICALDRIVE"); ok {
		name = "PhysicalDrive" + number
	}
	out := &pb.Disk{
		Name: name, SizeBytes: proto.Int64(size), Model: row.text("Model"), Firmware: row.text("FirmwareRevision"),
		Serial: swappedSerial(row.text("SerialNumber")),
	}
	media := row.text("MediaType")
	switch bus := row.text("InterfaceType"); {
	case bus == "USB":
		out.Bus, out.Kind = "usb", "removable"
	case bus == "SCSI":
		out.Bus = "scsi"
	case bus == "IDE":
		out.Bus = "sata"
	}
	switch {
	case virtualModel(out.Model):
		out.Kind = "virtual"
	case strings.HasPrefix(media, "Removable"), strings.HasPrefix(media, "External"):
		out.Kind = "removable"
	}
	return out
}

// swappedSerial returns a serial that Windows before 8 writes as it got it from
// the disk: in hexadecimal, with each two characters the wrong way round.
func swappedSerial(text string) string {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) < 8 || len(b)%2 != 0 {
		return text
	}
	for i := 0; i+1 < len(b); i += 2 {
		b[i], b[i+1] = b[i+1], b[i]
	}
	for _, c := range b {
		if c < ' ' || c > '~' {
			return text
		}
	}
	return strings.TrimSpace(string(b))
}
