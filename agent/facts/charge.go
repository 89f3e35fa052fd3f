package facts

import (
	"context"

	"github.com/rollcall-itam/rollcall/agent/facts/ioreg"
	"github.com/rollcall-itam/rollcall/agent/host"
)

// lowCharge is the share of a battery, in percent, below which a machine that
// runs on it is spared what is dear.
const lowCharge = 20

// lowBattery tells whether the machine runs on a battery that is nearly empty.
// A machine that does not say is taken to have power.
func lowBattery(ctx context.Context, h *host.Host) bool {
	switch h.OS {
	case "linux":
		return lowOnLinux(h)
	case "darwin":
		return lowOnMac(ctx, h)
	case "windows":
		return lowOnWindows(ctx, h)
	}
	return false
}

// lowOnLinux looks at what the kernel says of the machine's own batteries: one
// that is charged, or is well charged, is enough.
func lowOnLinux(h *host.Host) bool {
	a := &attributes{h: h}
	low := false
	for _, name := range a.names(powerSupply) {
		if a.text(powerSupply, name, "type") != "Battery" || a.text(powerSupply, name, "scope") == "Device" || a.text(powerSupply, name, "present") == "0" {
			continue
		}
		charge, known := a.number(powerSupply, name, "capacity")
		if a.text(powerSupply, name, "status") != "Discharging" || !known || charge >= lowCharge {
			return false
		}
		low = true
	}
	return low
}

// lowOnMac looks at the battery's gauge. Capacities are in mAh or in percent,
// both alike.
func lowOnMac(ctx context.Context, h *host.Host) bool {
	out, err := h.Run(ctx, macCommandBattery)
	if err != nil {
		return false
	}
	entries, err := ioreg.Decode(out)
	if err != nil {
		return false
	}
	for _, e := range entries {
		plugged, known := e.Bool("ExternalConnected")
		now, ok := e.Integer("CurrentCapacity")
		full, fok := e.Integer("MaxCapacity")
		if known && !plugged && ok && fok && full > 0 && now >= 0 && now <= full && now*100/full < lowCharge {
			return true
		}
	}
	return false
}

// lowOnWindows looks at Win32_Battery, whose status 1, 4 and 5 mean that the
// battery is discharging, low and critical:
// https://learn.microsoft.com/windows/win32/cimwin32prov/win32-battery
func lowOnWindows(ctx context.Context, h *host.Host) bool {
	q := &queries{h: h}
	low := false
	for _, row := range q.rows(ctx, "battery_charge") {
		charge, known := row.number("EstimatedChargeRemaining")
		status, _ := row.number("BatteryStatus")
		if !known || charge >= lowCharge || status != 1 && status != 4 && status != 5 {
			return false
		}
		low = true
	}
	return low
}
