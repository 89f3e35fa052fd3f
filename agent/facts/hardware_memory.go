package facts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// learnMemory tells how much memory there is: what is plugged in where the
// firmware said so, otherwise what the kernel has, which is somewhat less.
func learnMemory(ctx context.Context, h *host.Host, d *pb.Device) error {
	var installed int64
	for _, m := range d.GetHardware().GetMemoryModules() {
		if m.GetSizeBytes() > 1<<50 {
			installed = 0
			break
		}
		installed += m.GetSizeBytes()
	}
	if installed > 0 {
		hardware(d).MemoryBytes = proto.Int64(installed)
		return nil
	}
	total, err := h.Memory(ctx)
	if errors.Is(err, errors.ErrUnsupported) {
		data, ferr := h.ReadFile("proc/meminfo", maxValueFile)
		if missing(ferr) {
			return fmt.Errorf("no /proc/meminfo: %w", errors.ErrUnsupported)
		}
		total, err = decodeMemTotal(data), ferr
	}
	if total > 0 {
		hardware(d).MemoryBytes = proto.Int64(total)
	}
	return err
}

// decodeMemTotal returns the bytes that /proc/meminfo states as a whole, 0 if
// it states none.
func decodeMemTotal(data []byte) int64 {
	for line := range bytes.Lines(data) {
		if value, ok := bytes.CutPrefix(line, []byte("MemTotal:")); ok {
			kib, err := strconv.ParseInt(string(bytes.TrimSpace(bytes.TrimSuffix(bytes.TrimSpace(value), []byte("kB")))), 10, 53)
			if err == nil && kib > 0 {
				return kib << 10
			}
		}
	}
	return 0
}

const powerSupply = "sys/class/power_supply"

// learnBattery sums up the batteries that the machine itself runs on; those of
// mice and phones at its ports have the scope "Device".
func learnBattery(_ context.Context, h *host.Host, d *pb.Device) error {
	a := &attributes{h: h}
	var design, full, cycles int64
	found := false
	for _, name := range a.names(powerSupply) {
		if a.text(powerSupply, name, "type") != "Battery" || a.text(powerSupply, name, "scope") == "Device" || a.text(powerSupply, name, "present") == "0" {
			continue
		}
		found = true
		design += a.charge(name, "full_design")
		full += a.charge(name, "full")
		if n, ok := a.number(powerSupply, name, "cycle_count"); ok {
			cycles = max(cycles, n)
		}
	}
	if !found {
		return absent(a.bad.err(), "no battery")
	}
	b := new(pb.Battery)
	if design > 0 && design < 1e9 {
		b.DesignMwh = proto.Int32(int32(design))
	}
	if full > 0 && full < 1e9 {
		b.FullMwh = proto.Int32(int32(full))
	}
	if b.DesignMwh != nil && b.FullMwh != nil {
		b.HealthPct = proto.Int32(int32(min(full*100/design, 100)))
	}
	// Drivers that do not count say 0.
	if cycles > 0 && cycles < 1e6 {
		b.CycleCount = proto.Int32(int32(cycles))
	}
	hardware(d).Battery = b
	return a.bad.err()
}

// charge returns an amount of energy in mWh. Drivers give it in µWh, or as a
// charge in µAh, which the voltage turns into energy.
func (a *attributes) charge(battery, what string) int64 {
	if e, ok := a.number(powerSupply, battery, "energy_"+what); ok {
		return e / 1000
	}
	charge, ok := a.number(powerSupply, battery, "charge_"+what)
	volt, known := a.number(powerSupply, battery, "voltage_min_design")
	if !ok || !known || charge > 1e9 || volt > 1e9 {
		return 0
	}
	return charge * volt / 1e9
}
