package facts

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	blockDir = "sys/block"
	udevDir  = "run/udev/data"
	// maxDisks is the number of disks that a report lists.
	maxDisks = 512
)

// notDisks are block devices that lie on other ones, or on none.
var notDisks = []string{"loop", "ram", "zram", "dm-", "md", "sr", "fd", "nbd", "zd", "drbd", "rbd", "mtdblock", "bcache"}

// learnDisks lists the disks, as the kernel names them and as udev has read
// them out: what the kernel shows of a model is cut at 16 characters.
func learnDisks(_ context.Context, h *host.Host, d *pb.Device) error {
	a := &attributes{h: h}
	var out []*pb.Disk
	for _, name := range a.names(blockDir) {
		if !isDisk(name) {
			continue
		}
		sectors, ok := a.number(blockDir, name, "size")
		if !ok || sectors == 0 || sectors > 1<<53 {
			// A drive without a medium, such as a card reader.
			continue
		}
		out = append(out, a.disk(name, sectors))
	}
	if len(out) == 0 {
		return absent(a.bad.err(), "no disks")
	}
	if len(out) > maxDisks {
		a.bad.add(fmt.Errorf("%d disks, of which a report lists %d", len(out), maxDisks))
		out = out[:maxDisks]
	}
	hardware(d).Disks = out
	return a.bad.err()
}

func isDisk(name string) bool {
	for _, prefix := range notDisks {
		if rest, ok := strings.CutPrefix(name, prefix); ok && strings.Trim(rest, "0123456789") == "" {
			return false
		}
	}
	// Parts of an eMMC that hold its firmware.
	return !strings.HasPrefix(name, "mmcblk") || !strings.Contains(name, "boot") && !strings.Contains(name, "rpmb")
}

// disk describes one disk of a number of sectors, which are of 512 bytes here
// whatever the disk has.
func (a *attributes) disk(name string, sectors int64) *pb.Disk {
	dir := blockDir + "/" + name
	udev := decodeUdev(a.raw(udevDir, "b"+a.text(dir, "dev")))
	out := &pb.Disk{Name: softwareText([]byte(name)), SizeBytes: proto.Int64(sectors << 9), Bus: a.diskBus(name, udev)}
	out.Model = first(unescapeUdev(udev["ID_MODEL_ENC"]), plainText(a.raw(dir, "device/model")), plainText(a.raw(dir, "device/name")))
	if maker := plainText(a.raw(dir, "device/vendor")); maker != "" && out.Bus != "sata" && out.Bus != "nvme" && out.Bus != "virtio" && !strings.HasPrefix(out.Model, maker) {
		out.Model = strings.TrimSpace(maker + " " + out.Model)
	}
	out.Serial = first(udev["ID_SCSI_SERIAL"], udev["ID_SERIAL_SHORT"], plainText(a.raw(dir, "device/serial")), plainText(a.raw(dir, "serial")), a.unitSerial(dir))
	out.Firmware = first(plainText(a.raw(dir, "device/firmware_rev")), udev["ID_REVISION"], plainText(a.raw(dir, "device/rev")))
	out.Kind = a.diskKind(name, out)
	return out
}

// first returns the first text that is not empty.
func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// unitSerial returns the serial that a SCSI disk states: page 80 of its vital
// product data, which has a header of four bytes.
func (a *attributes) unitSerial(dir string) string {
	if page := a.raw(dir, "device/vpd_pg80"); len(page) > 4 {
		return plainText(page[4:])
	}
	return ""
}

// diskBus tells how a disk is attached, by where the kernel has it.
func (a *attributes) diskBus(name string, udev map[string]string) string {
	target := a.link(blockDir, name)
	switch {
	case strings.HasPrefix(name, "nvme"):
		return "nvme"
	case strings.HasPrefix(name, "mmcblk"):
		return "mmc"
	case strings.HasPrefix(name, "xvd"):
		return "xen"
	case strings.Contains(target, "/usb"):
		return "usb"
	case strings.Contains(target, "/ata"), udev["ID_BUS"] == "ata":
		return "sata"
	case strings.Contains(target, "/end_device-"):
		return "sas"
	case strings.HasPrefix(name, "vd"), strings.Contains(target, "/virtio"):
		return "virtio"
	}
	return "scsi"
}

// virtualDisks are what hypervisors call the disks that they make up.
var virtualDisks = []string{"QEMU ", "VBOX ", "VMware ", "Msft Virtual", "Virtual disk", "Virtual Disk", "Amazon Elastic Block Store", "Google PersistentDisk", "PersistentDisk"}

func (a *attributes) diskKind(name string, d *pb.Disk) string {
	for _, made := range virtualDisks {
		if strings.HasPrefix(d.Model, made) {
			return "virtual"
		}
	}
	switch {
	case d.Bus == "virtio", d.Bus == "xen":
		return "virtual"
	case a.text(blockDir, name, "removable") == "1", d.Bus == "usb":
		return "removable"
	case d.Bus == "nvme":
		return "nvme"
	case a.text(blockDir, name, "queue/rotational") == "0":
		return "ssd"
	case a.text(blockDir, name, "queue/rotational") == "1":
		return "hdd"
	}
	return ""
}

// decodeUdev returns the properties in a record of udev's database: the lines
// that begin with E.
func decodeUdev(data []byte) map[string]string {
	out := make(map[string]string)
	for line := range bytes.Lines(data) {
		property, ok := bytes.CutPrefix(line, []byte("E:"))
		if !ok {
			continue
		}
		if key, value, ok := bytes.Cut(property, []byte("=")); ok {
			out[string(key)] = plainText(value)
		}
	}
	return out
}

// unescapeUdev takes back udev's escapes: \x20 is a blank.
func unescapeUdev(s string) string {
	var b []byte
	for i := 0; i < len(s); i++ {
		if strings.HasPrefix(s[i:], `\x`) && len(s) >= i+4 {
			if n, err := strconv.ParseUint(s[i+2:i+4], 16, 8); err == nil {
				b = append(b, byte(n))
				i += 3
				continue
			}
		}
		b = append(b, s[i])
	}
	return plainText(b)
}
