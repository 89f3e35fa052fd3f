package facts

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/agent/facts/proplist"
	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// learnMacDisks lists the disks by what they are attached to.
func learnMacDisks(ctx context.Context, h *host.Host, d *pb.Device) error {
	p, err := macProfile(ctx, h, macCommandDisks)
	out := macDisks(p)
	if len(out) == 0 {
		return cmp.Or(err, fmt.Errorf("no disks: %w", errors.ErrUnsupported))
	}
	if len(out) > maxDisks {
		err = errors.Join(err, fmt.Errorf("%d disks, of which a report lists %d", len(out), maxDisks))
		out = out[:maxDisks]
	}
	hardware(d).Disks = out
	return err
}

// macBuses are the kinds of data that have disks in them, and our names of what
// those are attached to.
var macBuses = []struct{ kind, bus string }{
	{"SPNVMeDataType", "nvme"}, {"SPSerialATADataType", "sata"}, {"SPUSBDataType", "usb"}, {"SPUSBHostDataType", "usb"},
	{"SPCardReaderDataType", "mmc"}, {"SPFireWireDataType", "firewire"},
}

// macDisks returns the disks in a profile. Drives without a medium, which have
// no size, are none.
func macDisks(p profile) []*pb.Disk {
	var out []*pb.Disk
	for _, b := range macBuses {
		p.each(func(item, parent proplist.Dict) {
			name := item.Text("bsd_name", "BSD Name")
			size, _ := item.Integer("size_in_bytes")
			if size <= 0 {
				size = diskSize(item.Text("size", "Capacity"))
			}
			if name == "" || size <= 0 || slices.ContainsFunc(out, func(d *pb.Disk) bool { return d.Name == name }) {
				return
			}
			out = append(out, macDisk(item, parent, b.bus, size))
		}, b.kind)
	}
	return out
}

// macDisk describes a disk. parent is what it is attached to, which for the
// medium of a USB drive is the drive.
func macDisk(item, parent proplist.Dict, bus string, size int64) *pb.Disk {
	drive := item
	if bus == "usb" && usbSerial(item) == "" && usbSerial(parent) != "" {
		drive = parent
	}
	d := &pb.Disk{Name: plainText([]byte(item.Text("bsd_name", "BSD Name"))), SizeBytes: proto.Int64(size), Bus: bus}
	d.Model = plainText([]byte(drive.Text("device_model", "Model", profileName)))
	if maker := plainText([]byte(drive.Text("f_manufacturer", "manufacturer", "USBDeviceKeyVendorName", "Manufacturer"))); bus == "usb" && maker != "" &&
		!strings.HasPrefix(strings.ToLower(d.Model), strings.ToLower(maker)) {
		d.Model = maker + " " + d.Model
	}
	d.Serial = plainText([]byte(cmp.Or(drive.Text("device_serial"), usbSerial(drive))))
	d.Firmware = plainText([]byte(drive.Text("device_revision", "c_bcd_device", "bcd_device", "USBDeviceKeyProductVersion", "Revision", "Version")))
	switch smart := item.Text("smart_status", "S.M.A.R.T. status"); {
	case smart == "Verified":
		d.Health = "ok"
	case strings.HasPrefix(smart, "Failing"), strings.HasPrefix(smart, "About"):
		d.Health = "failing"
	}
	d.Kind = macDiskKind(item, d)
	return d
}

// usbSerial returns the serial of a USB device, by the keys of old and new
// systems.
func usbSerial(item proplist.Dict) string {
	serial := item.Text("d_serial_num", "serial_num", "USBDeviceKeySerialNumber", "Serial Number")
	if serial == "Not Provided" {
		return ""
	}
	return serial
}

func macDiskKind(item proplist.Dict, d *pb.Disk) string {
	for _, made := range append(virtualDisks, "Apple Virtual", "VirtIO") {
		if strings.HasPrefix(d.Model, strings.TrimSpace(made)) {
			return "virtual"
		}
	}
	yes := func(keys ...string) bool { return strings.EqualFold(item.Text(keys...), "yes") }
	switch {
	case d.Bus != "nvme" && d.Bus != "sata", yes("removable_media", "Removable Media"):
		return "removable"
	case d.Bus == "nvme":
		return "nvme"
	}
	switch item.Text("spsata_medium_type", "Medium Type") {
	case "Solid State":
		return "ssd"
	case "Rotational":
		return "hdd"
	}
	return ""
}

// learnMacMemory lists the memory modules. Macs with Apple's processors have
// one that cannot be replaced.
func learnMacMemory(ctx context.Context, h *host.Host, d *pb.Device) error {
	p, err := macProfile(ctx, h, macCommandMemory)
	if modules := macMemory(p); len(modules) > 0 {
		hardware(d).MemoryModules = modules
		return err
	}
	return cmp.Or(err, fmt.Errorf("no memory modules: %w", errors.ErrUnsupported))
}

// macMemory returns the memory modules in a profile, without empty slots.
func macMemory(p profile) []*pb.MemoryModule {
	var out []*pb.MemoryModule
	p.each(func(item, _ proplist.Dict) {
		size := memorySize(item.Text("dimm_size", "Size", "SPMemoryDataType", "Memory"))
		if size == 0 || len(out) == maxPeripherals {
			return
		}
		m := &pb.MemoryModule{SizeBytes: proto.Int64(size), Type: memoryText(item.Text("dimm_type", "Type"))}
		if slot := item.Text(profileName); slot != "Memory" {
			m.Slot = plainText([]byte(slot))
		}
		if speed, _, _ := strings.Cut(item.Text("dimm_speed", "Speed"), " "); speed != "" {
			// Macs give the rate of transfers in MHz, as the labels of modules do.
			if n, err := strconv.ParseInt(speed, 10, 32); err == nil && n > 0 {
				m.SpeedMts = proto.Int32(int32(n))
			}
		}
		m.Manufacturer = memoryText(item.Text("dimm_manufacturer", "Manufacturer"))
		m.PartNumber = memoryText(hexText(item.Text("dimm_part_number", "Part Number")))
		m.Serial = memoryText(item.Text("dimm_serial_number", "Serial Number"))
		out = append(out, m)
	}, "SPMemoryDataType")
	return out
}

// memoryText returns what is said of a module, "" where it says nothing.
func memoryText(text string) string {
	switch text {
	case "-", "Unknown", "Empty", "empty", "unknown":
		return ""
	}
	return plainText([]byte(text))
}

// hexText takes back the hexadecimal that some modules' part numbers are shown
// in: 0x4D34... is "M4...". What does not mean text stays as it is.
func hexText(text string) string {
	digits, ok := strings.CutPrefix(text, "0x")
	if !ok {
		return text
	}
	b, err := hex.DecodeString(digits)
	if err != nil {
		return text
	}
	for _, c := range b {
		if (c < ' ' || c > '~') && c != 0 && c != 0xff {
			return text
		}
	}
	padding := func(r rune) bool { return r == ' ' || r == 0 || r == 0xfffd }
	if plain := strings.TrimFunc(strings.ToValidUTF8(string(b), "\uFFFD"), padding); len(plain) > 3 && !strings.ContainsRune(plain, 0) {
		return plain
	}
	return text
}
