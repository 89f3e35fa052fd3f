package facts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/agent/facts/ioreg"
	"github.com/rollcall-itam/rollcall/agent/facts/proplist"
	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// learnMacPlatform learns which Mac it is: identifiers from the I/O registry,
// names for people and the firmware from system_profiler.
func learnMacPlatform(ctx context.Context, h *host.Host, d *pb.Device) error {
	out, err := h.Run(ctx, macCommandPlatform)
	entries, derr := ioreg.Decode(out)
	p, perr := macProfile(ctx, h, macCommandHardware)
	hw := &pb.Hardware{Manufacturer: appleName}
	addPlatform(hw, entries)
	addOverview(hw, p)
	if product, err := h.Run(ctx, macCommandProduct); err == nil {
		addProduct(hw, product)
	}
	if hw.Serial == "" && hw.Uuid == "" && hw.ModelId == "" {
		return errors.Join(err, derr, perr, errors.New("neither ioreg nor system_profiler tells which Mac this is"))
	}
	hw.Chassis = macChassis(hw.Model, hw.ModelId)
	to := hardware(d)
	to.Manufacturer, to.Model, to.ModelId, to.Serial, to.Uuid = hw.Manufacturer, hw.Model, hw.ModelId, hw.Serial, hw.Uuid
	to.Chassis, to.Firmware, to.BoardSerial = hw.Chassis, hw.Firmware, hw.BoardSerial
	// One of the two is enough of an answer, unless it broke half-way.
	if derr != nil {
		return derr
	}
	return nil
}

// addPlatform takes over what the platform's expert knows.
func addPlatform(hw *pb.Hardware, entries []proplist.Dict) {
	for _, e := range entries {
		if e.Text("IOPlatformSerialNumber") == "" && e.Text("IOPlatformUUID") == "" {
			continue
		}
		hw.Serial = plainText([]byte(e.Text("IOPlatformSerialNumber")))
		hw.Uuid = plainText([]byte(strings.ToLower(e.Text("IOPlatformUUID"))))
		hw.ModelId = plainText([]byte(ioreg.Text(e, "model")))
		if board := plainText([]byte(ioreg.Text(e, "mlb-serial-number"))); board != hw.Serial {
			hw.BoardSerial = board
		}
		if maker := plainText([]byte(ioreg.Text(e, "manufacturer"))); maker != "" {
			hw.Manufacturer = maker
		}
		return
	}
}

// addOverview takes over system_profiler's overview of the hardware.
func addOverview(hw *pb.Hardware, p profile) {
	p.each(func(item, _ proplist.Dict) {
		hw.Model = cmp.Or(hw.Model, plainText([]byte(item.Text("machine_name", "Model Name", "Machine Name"))))
		hw.ModelId = cmp.Or(hw.ModelId, plainText([]byte(item.Text("machine_model", "Model Identifier", "Machine Model"))))
		hw.Serial = cmp.Or(hw.Serial, plainText([]byte(item.Text("serial_number", "Serial Number (system)", "Serial Number"))))
		hw.Uuid = cmp.Or(hw.Uuid, plainText([]byte(strings.ToLower(item.Text("platform_UUID", "Hardware UUID")))))
		if version := plainText([]byte(item.Text("boot_rom_version", "System Firmware Version", "Boot ROM Version"))); version != "" && hw.Firmware == nil {
			hw.Firmware = &pb.Firmware{Vendor: appleName, Version: version}
		}
	}, "SPHardwareDataType")
}

// addProduct takes over the full name that Macs with Apple's processors have of
// themselves: "MacBook Pro (14-inch, 2021)".
func addProduct(hw *pb.Hardware, out []byte) {
	entries, err := ioreg.Decode(out)
	if err != nil {
		return
	}
	for _, e := range entries {
		if name := plainText([]byte(ioreg.Text(e, "product-name"))); name != "" && !strings.HasPrefix(name, hw.ModelId) {
			hw.Model = name
		}
	}
}

// macChassis returns the kind of chassis, in the words of SMBIOS. Identifiers
// of late ("Mac14,2") do not tell, the names do.
func macChassis(model, id string) string {
	for _, k := range []struct{ prefix, chassis string }{
		{"MacBook", "notebook"}, {"PowerBook", "notebook"}, {"iBook", "notebook"}, {"iMac", "all in one"}, {"eMac", "all in one"}, {"Mac mini", "mini pc"},
		{"Macmini", "mini pc"}, {"Mac Studio", "desktop"}, {"Mac Pro", "tower"}, {"MacPro", "tower"}, {"Power Mac", "tower"}, {"Xserve", "rack mount chassis"},
	} {
		if strings.HasPrefix(model, k.prefix) || strings.HasPrefix(id, k.prefix) {
			return k.chassis
		}
	}
	return ""
}

// macSysctl returns the kernel's variables that the listed command asks for.
func macSysctl(ctx context.Context, h *host.Host) (map[string]string, error) {
	out, err := h.Run(ctx, macCommandSysctl)
	values := decodeSysctl(out)
	if len(values) > 0 {
		// It fails where it does not know one of the variables.
		return values, nil
	}
	return nil, cmp.Or(err, fmt.Errorf("sysctl tells nothing: %w", errors.ErrUnsupported))
}

// decodeSysctl reads lines "name: value".
func decodeSysctl(out []byte) map[string]string {
	values := make(map[string]string)
	for line := range strings.Lines(string(out)) {
		if name, value, ok := strings.Cut(line, ": "); ok && !strings.Contains(name, " ") {
			values[name] = plainText([]byte(value))
		}
	}
	return values
}

// positive returns the number of the first variable that has one above 0, 0 for
// none.
func positive(values map[string]string, names ...string) int64 {
	for _, n := range names {
		if v, err := strconv.ParseInt(values[n], 10, 64); err == nil && v > 0 {
			return v
		}
	}
	return 0
}

// translated is how the processor is called that Rosetta shows to programs for
// Intel's, of which the agent may be one.
const translated = "VirtualApple"

// learnMacCPU describes the processor and the memory.
func learnMacCPU(ctx context.Context, h *host.Host, d *pb.Device) error {
	values, err := macSysctl(ctx, h)
	if err != nil {
		return err
	}
	c := &pb.Cpu{Model: values["machdep.cpu.brand_string"], Architecture: macMachine(values)}
	if strings.HasPrefix(c.Model, translated) {
		p, err := macProfile(ctx, h, macCommandHardware)
		if err != nil {
			return err
		}
		p.each(func(item, _ proplist.Dict) {
			c.Model = cmp.Or(plainText([]byte(item.Text("chip_type", "Chip"))), c.Model)
		}, "SPHardwareDataType")
	}
	for _, n := range []struct {
		n     int64
		field **int32
	}{
		{positive(values, "hw.packages"), &c.Sockets}, {positive(values, "hw.physicalcpu", "machdep.cpu.core_count"), &c.Cores},
		{positive(values, "hw.logicalcpu", "machdep.cpu.thread_count"), &c.Threads}, {positive(values, "hw.cpufrequency_max") / 1_000_000, &c.Mhz},
	} {
		if n.n > 0 {
			*n.field = proto.Int32(int32(min(n.n, math.MaxInt32)))
		}
	}
	hardware(d).Cpu = c
	if n := positive(values, "hw.memsize"); n > 0 {
		hardware(d).MemoryBytes = proto.Int64(n)
	}
	return nil
}

// macMachine returns the architecture of the machine itself, which an agent
// that runs translated (Rosetta) is not told by uname.
func macMachine(values map[string]string) string {
	switch {
	case values["hw.optional.arm64"] == "1", values["hw.cputype"] == "16777228", strings.HasPrefix(values["machdep.cpu.brand_string"], "Apple "):
		return "arm64"
	case len(values) > 0 && (values["hw.cputype"] == "7" || values["machdep.cpu.brand_string"] != ""):
		return "x86_64"
	}
	return ""
}

// macHypervisors are the hypervisors by how the model identifiers begin that
// they give to Macs.
var macHypervisors = []struct{ prefix, name string }{
	{"VirtualMac", "apple"}, {"VMware", "vmware"}, {"Parallels", "parallels"}, {"VirtualBox", "virtualbox"}, {"QEMU", "qemu"}, {"Standard PC", "qemu"},
}

// learnMacVirtual tells whether the machine is a virtual one.
func learnMacVirtual(ctx context.Context, h *host.Host, d *pb.Device) error {
	values, err := macSysctl(ctx, h)
	if err != nil {
		return err
	}
	model, guest := values["hw.model"], values["kern.hv_vmm_present"]
	for _, k := range macHypervisors {
		if strings.HasPrefix(model, k.prefix) {
			hardware(d).Virtual, hardware(d).Hypervisor = proto.Bool(true), k.name
			return nil
		}
	}
	switch {
	case guest == "1":
		hardware(d).Virtual = proto.Bool(true)
	case guest == "0", model != "":
		hardware(d).Virtual = proto.Bool(false)
	default:
		return fmt.Errorf("sysctl tells no model: %w", errors.ErrUnsupported)
	}
	return nil
}

// learnMacName gives the device the name that its user gave it in the settings.
func learnMacName(ctx context.Context, h *host.Host, d *pb.Device) error {
	names, err := readMacNames(ctx, h)
	d.Name = cmp.Or(names.computer, names.short())
	return err
}
