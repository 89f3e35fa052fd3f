package facts

import (
	"context"
	"encoding/binary"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// displayClass has a key for each display adapter that ever was, with what its
// driver tells.
const displayClass = systemHive + `Control\Class\{4d36e968-e325-11ce-bfc1-08002be10318}`

// notGPUs are the buses of adapters that only software has made: remote
// desktops, indirect displays.
var notGPUs = []string{`SWD\`, `ROOT\`, `TERMINPUT_BUS\`, `RDPBUS\`}

// learnWinGPUs lists the display adapters. WMI counts their memory with 32
// bits, so that of those with more than 4 GiB is what the driver has noted.
func learnWinGPUs(ctx context.Context, h *host.Host, d *pb.Device) error {
	q, r := &queries{h: h}, &winreg{h: h}
	var out []*pb.Gpu
	for _, row := range q.rows(ctx, "video_controllers") {
		device := strings.ToUpper(row["PNPDeviceID"])
		name := row.text("Name")
		if name == "" || len(out) == maxPeripherals || slices.ContainsFunc(notGPUs, func(bus string) bool { return strings.HasPrefix(device, bus) }) {
			continue
		}
		g := &pb.Gpu{Name: name, Vendor: row.text("AdapterCompatibility"), Driver: row.text("DriverVersion")}
		bytes := r.adapterMemory(device, name)
		if n, ok := row.number("AdapterRAM"); ok && bytes == 0 {
			bytes = n
		}
		if bytes > 0 {
			g.MemoryBytes = proto.Int64(bytes)
		}
		out = append(out, g)
	}
	if len(out) == 0 {
		return q.err("no display adapters are listed")
	}
	hardware(d).Gpus = out
	return q.bad.err()
}

// adapterMemory returns the bytes of memory that the driver of an adapter has
// noted, 0 for none.
func (r *winreg) adapterMemory(device, name string) int64 {
	for _, number := range r.key(displayClass).subkeys() {
		if len(number) != 4 || strings.Trim(number, "0123456789") != "" {
			continue
		}
		k := r.key(displayClass, `\`, number)
		if !matches(device, strings.ToUpper(k.text("MatchingDeviceId"))) || k.text("DriverDesc") != name {
			continue
		}
		for _, value := range []string{"HardwareInformation.qwMemorySize", "HardwareInformation.MemorySize"} {
			if n := k.size(value); n > 0 {
				return n
			}
		}
	}
	return 0
}

// matches tells whether a device has all parts of what a driver is made for,
// such as PCI\VEN_1002&DEV_73FF&REV_C1. Those of the device come first in its
// name, before a backslash, and there can be more of them.
func matches(device, pattern string) bool {
	bus, rest, _ := strings.Cut(device, `\`)
	parts, _, _ := strings.Cut(rest, `\`)
	wantBus, wanted, ok := strings.Cut(pattern, `\`)
	if !ok || bus != wantBus {
		return false
	}
	has := strings.Split(parts, "&")
	for part := range strings.SplitSeq(wanted, "&") {
		if !slices.Contains(has, part) {
			return false
		}
	}
	return true
}

// size returns a number that drivers write as one, or as its bytes.
func (k regKey) size(name string) int64 {
	if n, ok := k.number(name); ok && n < 1<<60 {
		return int64(n)
	}
	switch b := k.bytes(name); len(b) {
	case 4:
		return int64(binary.LittleEndian.Uint32(b))
	case 8:
		return int64(min(binary.LittleEndian.Uint64(b), 1<<60))
	}
	return 0
}
