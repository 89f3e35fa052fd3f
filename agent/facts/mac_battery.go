package facts

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/agent/facts/ioreg"
	"github.com/rollcall-itam/rollcall/agent/facts/proplist"
	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// macBattery is what is known of a Mac's battery; 0 is unknown.
type macBattery struct {
	// design and full are capacities in mAh, and volts the present voltage in mV.
	design, full, volts int64
	cycles              int64
	hasCycles           bool
	// health is what macOS calls the maximum capacity, in percent of the design's.
	health int64
}

// learnMacBattery describes the battery: capacities from its own gauge, and its
// health as macOS shows it, which smooths what the gauge says.
func learnMacBattery(ctx context.Context, h *host.Host, d *pb.Device) error {
	var b macBattery
	out, err := h.Run(ctx, macCommandBattery)
	entries, derr := ioreg.Decode(out)
	b.addGauge(entries)
	p, perr := macProfile(ctx, h, macCommandPower)
	b.addPower(p)
	battery := b.battery()
	if battery == nil {
		return absent(errors.Join(err, derr, perr), "no battery")
	}
	hardware(d).Battery = battery
	return derr
}

// addGauge takes over what the battery's gauge says, as the I/O registry has
// it. On Macs with Apple's processors MaxCapacity is a share in percent.
func (b *macBattery) addGauge(entries []proplist.Dict) {
	for _, e := range entries {
		design, ok := e.Integer("DesignCapacity")
		if installed, known := e.Bool("BatteryInstalled"); !ok || known && !installed {
			continue
		}
		b.design = design
		b.full, _ = e.Integer("NominalChargeCapacity", "AppleRawMaxCapacity", "MaxCapacity")
		b.volts, _ = e.Integer("Voltage", "AppleRawBatteryVoltage")
		b.cycles, b.hasCycles = e.Integer("CycleCount")
		if b.full <= 100 {
			b.full = 0
		}
		return
	}
}

// addPower takes over what system_profiler says, whose text form has it as text.
func (b *macBattery) addPower(p profile) {
	number := func(d proplist.Dict, keys ...string) (int64, bool) {
		if n, ok := d.Integer(keys...); ok {
			return n, true
		}
		n, err := strconv.ParseInt(strings.TrimRight(d.Text(keys...), " %"), 10, 64)
		return n, err == nil
	}
	p.each(func(item, _ proplist.Dict) {
		for _, d := range []proplist.Dict{item, item.Dict("sppower_battery_health_info"), item.Dict("sppower_battery_charge_info")} {
			if n, ok := number(d, "sppower_battery_health_maximum_capacity", "Maximum Capacity"); ok {
				b.health = n
			}
			if n, ok := number(d, "sppower_battery_cycle_count", "Cycle Count"); ok && !b.hasCycles {
				b.cycles, b.hasCycles = n, true
			}
			if n, ok := number(d, "sppower_battery_max_capacity", "Full Charge Capacity (mAh)"); ok && b.full == 0 && n > 100 {
				b.full = n
			}
			if n, ok := number(d, "sppower_current_voltage", "Voltage (mV)"); ok && b.volts == 0 {
				b.volts = n
			}
		}
	}, "SPPowerDataType")
}

// battery returns the battery, nil for none.
func (b *macBattery) battery() *pb.Battery {
	out := new(pb.Battery)
	if n := b.energy(b.design); n > 0 {
		out.DesignMwh = proto.Int32(n)
	}
	if n := b.energy(b.full); n > 0 {
		out.FullMwh = proto.Int32(n)
	}
	if b.hasCycles && b.cycles >= 0 && b.cycles < 1<<20 {
		out.CycleCount = proto.Int32(int32(b.cycles))
	}
	share := b.health
	if share == 0 && b.design > 0 && b.full > 0 && b.full < 1<<40 {
		share = min((b.full*100+b.design/2)/b.design, 100)
	}
	if share > 0 && share <= 100 {
		out.HealthPct = proto.Int32(int32(share))
	}
	if proto.Size(out) == 0 {
		return nil
	}
	return out
}

// energy returns the energy in mWh of a charge in mAh. It reckons with the
// voltage that Apple does, 3.8 V a cell: the present voltage tells the number of
// cells only, since it changes from minute to minute. Macs have two in a row, or
// three.
func (b *macBattery) energy(charge int64) int32 {
	const pair, three = 2 * 3800, 3 * 3800
	if charge <= 0 || charge > 100_000 {
		return 0
	}
	switch {
	case b.volts >= 5_000 && b.volts < 9_000:
		return int32(charge * pair / 1000)
	case b.volts >= 9_000 && b.volts < 13_500:
		return int32(charge * three / 1000)
	}
	return 0
}
