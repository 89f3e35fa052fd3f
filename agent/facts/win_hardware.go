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

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// rawSMBIOS is the size of what Windows puts before the table of structures:
// the calling method, major and minor version, a revision, and the length.
const rawSMBIOS = 8

// learnWinSMBIOS tells who made the machine, its serials and what is in it,
// from the firmware's table; without one, from what WMI has of it.
func learnWinSMBIOS(ctx context.Context, h *host.Host, d *pb.Device) error {
	r := &winreg{h: h}
	if _, ok := r.key(systemHive, "Control").number("ContainerType"); ok {
		return fmt.Errorf("the hardware shown in a container is not its own: %w", errors.ErrUnsupported)
	}
	data, err := h.SMBIOS(ctx)
	if errors.Is(err, errors.ErrUnsupported) || missing(err) || err == nil && len(data) <= rawSMBIOS {
		return learnComputerSystem(ctx, h, d)
	}
	if err != nil {
		return errors.Join(err, learnComputerSystem(ctx, h, d))
	}
	t, err := decodeSMBIOS(data[rawSMBIOS:], data[1], data[2])
	t.fill(hardware(d))
	return err
}

// learnComputerSystem takes over what WMI says of the machine and its memory.
func learnComputerSystem(ctx context.Context, h *host.Host, d *pb.Device) error {
	q := &queries{h: h}
	hw := hardware(d)
	for _, row := range q.rows(ctx, "computer_system") {
		hw.Manufacturer, hw.Model, hw.ModelId = row.text("Manufacturer"), row.text("Model"), row.text("SystemSKUNumber")
	}
	for _, row := range q.rows(ctx, "system_product") {
		hw.Serial, hw.Uuid = row.text("IdentifyingNumber"), strings.ToLower(row.text("UUID"))
		hw.Manufacturer, hw.Model = cmp.Or(hw.Manufacturer, row.text("Vendor")), cmp.Or(hw.Model, row.text("Name"))
	}
	for _, row := range q.rows(ctx, "bios") {
		f := &pb.Firmware{Vendor: row.text("Manufacturer"), Version: cmp.Or(row.text("SMBIOSBIOSVersion"), row.text("Version"))}
		if t := cimTime(row["ReleaseDate"]); !t.IsZero() {
			f.Date = t.Format("2006-01-02")
		}
		if hw.Serial = cmp.Or(hw.Serial, row.text("SerialNumber")); proto.Size(f) > 0 {
			hw.Firmware = f
		}
	}
	for _, row := range q.rows(ctx, "memory_modules") {
		hw.MemoryModules = append(hw.MemoryModules, memoryModule(row))
	}
	if proto.Size(hw) == 0 {
		d.Hardware = nil
		return q.err("neither SMBIOS nor WMI describes the machine")
	}
	return q.bad.err()
}

// memoryModule is a row of Win32_PhysicalMemory. SMBIOSMemoryType is the number
// that the firmware has; MemoryType, on old systems, another one.
func memoryModule(row queryRow) *pb.MemoryModule {
	m := &pb.MemoryModule{
		Serial: row.text("SerialNumber"), Manufacturer: moduleMaker(row.text("Manufacturer")), PartNumber: modulePart(row.text("PartNumber")),
		Slot: row.text("DeviceLocator"),
	}
	if bank := row.text("BankLabel"); bank != "" && bank != m.Slot {
		m.Slot = strings.TrimSpace(bank + " " + m.Slot)
	}
	if n, ok := row.number("Capacity"); ok && n > 0 {
		m.SizeBytes = proto.Int64(n)
	}
	if n, ok := row.number("Speed"); ok && n > 0 && n < math.MaxInt32 {
		m.SpeedMts = proto.Int32(int32(n))
	}
	if n, ok := row.number("SMBIOSMemoryType"); ok && n < 256 {
		m.Type = memoryTypes[byte(n)]
	}
	return m
}

// learnWinCPU tells the processors: by WMI, which knows sockets and cores, else
// by what the kernel has put into the registry when it started, one key for each
// thread.
func learnWinCPU(ctx context.Context, h *host.Host, d *pb.Device) error {
	r, q := &winreg{h: h}, &queries{h: h}
	const key = `HKLM\HARDWARE\DESCRIPTION\System\CentralProcessor`
	var p processors
	for _, row := range q.rows(ctx, "processors") {
		p.sockets++
		p.model = cmp.Or(p.model, processorName(row.text("Name")))
		cores, known := row.number("NumberOfCores")
		threads, also := row.number("NumberOfLogicalProcessors")
		if known && also && cores < 1<<16 && threads < 1<<16 {
			p.cores, p.threads = p.cores+int(cores), p.threads+int(threads)
		}
		if mhz, ok := row.number("MaxClockSpeed"); ok && mhz < 100_000 {
			p.mhz = max(p.mhz, float64(mhz))
		}
	}
	listed := r.key(key).subkeys()
	if n := len(listed); n > 0 {
		first := r.key(key, `\0`)
		// Before Windows Vista, WMI takes each thread for a processor, and calls
		// it by what its maker does.
		if name := processorName(first.text("ProcessorNameString")); name != "" {
			p.model = name
		}
		if p.threads == 0 {
			p.threads = n
		}
		if mhz, ok := first.number("~MHz"); ok && p.mhz == 0 && mhz < 100_000 {
			p.mhz = float64(mhz)
		}
	}
	if p.sockets+p.threads == 0 {
		return absent(errors.Join(r.bad.err(), q.bad.err()), "no processors are listed")
	}
	hw := hardware(d)
	if hw.Cpu == nil {
		hw.Cpu = new(pb.Cpu)
	}
	p.fill(hw.Cpu)
	hw.Cpu.Architecture = windowsArchitecture(r.processorArchitecture())
	if p.mhz > 0 {
		hw.Cpu.Mhz = proto.Int32(int32(p.mhz))
	}
	return errors.Join(r.bad.err(), q.bad.err())
}

// processorName returns the name without the runs of blanks that its maker put
// in.
func processorName(text string) string { return strings.Join(strings.Fields(text), " ") }

// learnWinMemory tells how much memory there is: what is plugged in, otherwise
// what Windows has.
func learnWinMemory(ctx context.Context, h *host.Host, d *pb.Device) error {
	err := learnMemory(ctx, h, d)
	if !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	q := &queries{h: h}
	for _, row := range q.rows(ctx, "computer_system") {
		if n, ok := row.number("TotalPhysicalMemory"); ok && n > 0 {
			hardware(d).MemoryBytes = proto.Int64(n)
			return q.bad.err()
		}
	}
	return q.err("nothing tells how much memory there is")
}

// learnWinTPM tells whether there is a TPM and of which version.
func learnWinTPM(ctx context.Context, h *host.Host, d *pb.Device) error {
	q := &queries{h: h}
	rows, ok := q.ask(ctx, "tpm")
	if !ok {
		return q.err("Windows does not tell of a TPM")
	}
	tpm := &pb.Tpm{Present: proto.Bool(len(rows) > 0)}
	for _, row := range rows {
		// "2.0, 0, 1.38": the version, its level, its revision.
		version, _, _ := strings.Cut(row["SpecVersion"], ",")
		if version = strings.TrimSpace(version); version != "" && version != "Not Supported" {
			tpm.Version = plainText([]byte(version))
		}
	}
	hardware(d).Tpm = tpm
	return nil
}

// learnWinBattery sums up the batteries that the machine runs on. Drivers that
// do not know a figure say 0, or leave a class without rows.
func learnWinBattery(ctx context.Context, h *host.Host, d *pb.Device) error {
	q := &queries{h: h}
	sum := func(name, property string) (total int64) {
		for _, row := range q.rows(ctx, name) {
			if n, ok := row.number(property); ok && n < 1e9 {
				total += n
			}
		}
		return min(total, 1e9)
	}
	design, full := sum("battery_design", "DesignedCapacity"), sum("battery_full", "FullChargedCapacity")
	cycles := sum("battery_cycles", "CycleCount")
	if design == 0 && full == 0 {
		return q.err("no battery")
	}
	b := new(pb.Battery)
	if design > 0 {
		b.DesignMwh = proto.Int32(int32(design))
	}
	if full > 0 {
		b.FullMwh = proto.Int32(int32(full))
	}
	if design > 0 && full > 0 {
		b.HealthPct = proto.Int32(int32(min(full*100/design, 100)))
	}
	if cycles > 0 && cycles < 1e6 {
		b.CycleCount = proto.Int32(int32(cycles))
	}
	hardware(d).Battery = b
	// Machines without a battery answer with an error for some of these.
	return nil
}

// queries asks WMI. What a machine does not have is no fault.
type queries struct {
	h   *host.Host
	bad faults
}

// queryRow is one row of an answer.
type queryRow map[string]string

// rows returns the rows of a listed query, none where it cannot be asked.
func (q *queries) rows(ctx context.Context, name string) []queryRow {
	rows, _ := q.ask(ctx, name)
	return rows
}

// ask returns the rows of a listed query, and whether it could be asked.
func (q *queries) ask(ctx context.Context, name string) (rows []queryRow, ok bool) {
	list, err := q.h.Query(ctx, name)
	if err != nil {
		if !errors.Is(err, errors.ErrUnsupported) && !missing(err) {
			q.bad.add(err)
		}
		return nil, false
	}
	rows = make([]queryRow, 0, len(list))
	for _, row := range list {
		rows = append(rows, queryRow(row))
	}
	return rows, true
}

// err returns what went wrong, or that there is nothing.
func (q *queries) err(what string) error {
	if err := q.bad.err(); err != nil {
		return err
	}
	return fmt.Errorf("%s: %w", what, errors.ErrUnsupported)
}

// text returns a property as a report can carry it.
func (r queryRow) text(name string) string { return plainText([]byte(r[name])) }

// number returns a property that is a number, and not negative.
func (r queryRow) number(name string) (int64, bool) {
	n, err := strconv.ParseInt(strings.TrimSpace(r[name]), 10, 64)
	return n, err == nil && n >= 0
}

// is tells whether a property is true.
func (r queryRow) is(name string) bool { return strings.EqualFold(strings.TrimSpace(r[name]), "true") }
