package facts

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	smbiosDir  = "sys/firmware/dmi/tables"
	dmiDir     = "sys/class/dmi/id"
	deviceTree = "proc/device-tree"
	// maxSMBIOS bounds a table; those of large servers have some 100 KiB.
	maxSMBIOS = 4 << 20
)

// learnSMBIOS tells who made the machine, its serials and what is in it: from
// the firmware's own table, otherwise from what the kernel has copied of it,
// and on machines without, from the device tree. A container shows the machine
// below it, so there nothing is learnt: two assets would have one serial.
func learnSMBIOS(_ context.Context, h *host.Host, d *pb.Device) error {
	if container := detectContainer(h); container != "" {
		return fmt.Errorf("the hardware shown in a container is not its own: %w", errors.ErrUnsupported)
	}
	table, err := h.ReadFile(smbiosDir+"/DMI", maxSMBIOS)
	switch {
	case missing(err):
		return learnDMI(h, d)
	case errors.Is(err, fs.ErrPermission):
		// What the kernel's copy lacks is said once.
		copied := learnDMI(h, d)
		if errors.Is(copied, errors.ErrUnsupported) || copied == nil {
			copied = fmt.Errorf("serials and memory modules may not be read: %w", err)
		}
		return copied
	case len(table) == 0:
		return errors.Join(err, learnDMI(h, d))
	}
	// Without its version, the table is taken for a modern one.
	major, minor := byte(3), byte(0)
	if entry, eerr := h.ReadFile(smbiosDir+"/smbios_entry_point", maxValueFile); eerr == nil {
		if ma, mi, verr := smbiosVersion(entry); verr == nil {
			major, minor = ma, mi
		} else {
			err = errors.Join(err, verr)
		}
	}
	t, derr := decodeSMBIOS(table, major, minor)
	t.fill(hardware(d))
	return errors.Join(err, derr)
}

// fill states what the table says.
func (t *smbiosTable) fill(hw *pb.Hardware) {
	hw.Manufacturer, hw.Serial, hw.Uuid, hw.AssetTag, hw.Chassis = t.manufacturer, t.serial, t.uuid, t.asset, t.chassis
	hw.Model, hw.ModelId = modelName(t.manufacturer, t.product, t.version, t.sku)
	if hw.Serial == "" && ownChassis[t.chassis] {
		hw.Serial = t.chassisSerial
	}
	if t.boardSerial != t.serial {
		hw.BoardSerial = t.boardSerial
	}
	if t.biosVendor+t.biosVersion+t.biosDate != "" {
		hw.Firmware = &pb.Firmware{Vendor: t.biosVendor, Version: t.biosVersion, Date: t.biosDate}
	}
	if len(t.processors) > 0 {
		// The cpu fact replaces what the kernel knows better.
		c := &pb.Cpu{Model: t.processors[0].model, Sockets: proto.Int32(int32(min(len(t.processors), 1<<16)))}
		var cores, threads int
		for _, p := range t.processors {
			cores, threads = cores+p.cores, threads+p.threads
		}
		if cores > 0 && cores < 1<<20 {
			c.Cores = proto.Int32(int32(cores))
		}
		if threads > 0 && threads < 1<<20 {
			c.Threads = proto.Int32(int32(threads))
		}
		hw.Cpu = c
	}
	for _, m := range t.modules {
		out := &pb.MemoryModule{
			SizeBytes: proto.Int64(m.size), Type: m.kind, Serial: m.serial, Slot: m.slot,
			Manufacturer: moduleMaker(m.manufacturer), PartNumber: modulePart(m.partNumber),
		}
		if m.bank != "" && m.bank != m.slot {
			out.Slot = strings.TrimSpace(m.bank + " " + m.slot)
		}
		if m.speed > 0 {
			out.SpeedMts = proto.Int32(int32(m.speed))
		}
		hw.MemoryModules = append(hw.MemoryModules, out)
	}
}

// ownChassis are the kinds of chassis that hold one machine, so that the serial
// of the chassis is the machine's where the machine has none; those of servers
// can hold several.
var ownChassis = map[string]bool{
	"desktop": true, "low profile desktop": true, "pizza box": true, "mini tower": true, "tower": true, "portable": true, "laptop": true,
	"notebook": true, "hand held": true, "all in one": true, "sub notebook": true, "space-saving": true, "tablet": true,
	"convertible": true, "detachable": true, "mini pc": true, "stick pc": true,
}

// modelName returns the name by which people know a model and the maker's
// number of it. Lenovo has the name in the version and the number where others
// have the name.
func modelName(manufacturer, product, version, sku string) (name, id string) {
	if strings.EqualFold(manufacturer, "lenovo") && strings.ContainsAny(version, "abcdefghijklmnopqrstuvwxyz") {
		return version, product
	}
	return product, sku
}

// learnDMI reads what the kernel shows of the table, one value a file; only
// root sees those that identify the machine.
func learnDMI(h *host.Host, d *pb.Device) error {
	a := &attributes{h: h}
	if !a.has(dmiDir) {
		return learnDeviceTree(h, d)
	}
	value := func(name string) string { return plainText(a.raw(dmiDir, name)) }
	hw := hardware(d)
	hw.Manufacturer, hw.Serial, hw.Uuid = value("sys_vendor"), value("product_serial"), strings.ToLower(value("product_uuid"))
	hw.Model, hw.ModelId = modelName(hw.Manufacturer, value("product_name"), value("product_version"), value("product_sku"))
	hw.AssetTag = value("chassis_asset_tag")
	if n, err := strconv.Atoi(value("chassis_type")); err == nil {
		hw.Chassis = chassisName(n)
	}
	if hw.Serial == "" && ownChassis[hw.Chassis] {
		hw.Serial = value("chassis_serial")
	}
	if board := value("board_serial"); board != hw.Serial {
		hw.BoardSerial = board
	}
	if f := (&pb.Firmware{Vendor: value("bios_vendor"), Version: value("bios_version"), Date: firmwareDate(value("bios_date"))}); proto.Size(f) > 0 {
		hw.Firmware = f
	}
	if proto.Size(hw) == 0 {
		d.Hardware = nil
	}
	if err := a.bad.err(); err != nil {
		return fmt.Errorf("serials may not be read: %w", err)
	}
	return nil
}

// learnDeviceTree reads the model and serial of machines whose firmware
// describes them by a device tree, as most small ARM machines. The maker stands
// before the comma of "compatible", the texts end with a NUL.
func learnDeviceTree(h *host.Host, d *pb.Device) error {
	a := &attributes{h: h}
	model := plainText(a.raw(deviceTree, "model"))
	if model == "" {
		return errors.Join(a.bad.err(), learnBoard(h, d))
	}
	hw := hardware(d)
	hw.Model, hw.Serial = model, plainText(a.raw(deviceTree, "serial-number"))
	first, _, _ := strings.Cut(string(a.raw(deviceTree, "compatible")), "\x00")
	if maker, id, ok := strings.Cut(first, ","); ok {
		hw.Manufacturer, hw.ModelId = plainText([]byte(maker)), plainText([]byte(id))
	}
	return a.bad.err()
}

// learnBoard reads the model and serial that kernels for ARM without a device
// tree state behind the processors. A serial of zeros is one of a board that
// has none.
func learnBoard(h *host.Host, d *pb.Device) error {
	data, err := h.ReadFile("proc/cpuinfo", maxCPUInfo)
	if err != nil && !missing(err) {
		return err
	}
	model, serial := decodeBoard(data)
	if model == "" {
		return fmt.Errorf("neither SMBIOS nor device tree: %w", errors.ErrUnsupported)
	}
	hw := hardware(d)
	hw.Model, hw.Serial = model, serial
	return nil
}

// decodeBoard returns what /proc/cpuinfo says of the board. The line Model,
// which the Raspberry Pi has, is better than the name of its chip.
func decodeBoard(cpuinfo []byte) (model, serial string) {
	var chip string
	for line := range bytes.Lines(cpuinfo) {
		k, v, _ := bytes.Cut(line, []byte(":"))
		switch string(bytes.TrimSpace(k)) {
		case "Model":
			model = plainText(v)
		case "Hardware":
			chip = plainText(v)
		case "Serial":
			if serial = plainText(v); strings.Trim(serial, "0") == "" {
				serial = ""
			}
		}
	}
	return cmp.Or(model, chip), serial
}
