package facts

import (
	"context"
	"strconv"

	"github.com/rollcall-itam/rollcall/agent/facts/ioreg"
	"github.com/rollcall-itam/rollcall/agent/facts/proplist"
	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// productAttributes are what Apple's own processors know of a display from its
// EDID, which they hand on to nobody else.
type productAttributes struct {
	maker, name, serial string
	// number is the serial that is a number, by which system_profiler knows the
	// display.
	number string
	year   int32
}

// macAttributes returns the attributes of the displays in the I/O registry's
// entries. Framebuffers without a display, and those of the built-in one, which
// has no serial, are none.
func macAttributes(entries []proplist.Dict) []productAttributes {
	var out []productAttributes
	for _, e := range entries {
		p := e.Dict("DisplayAttributes", "ProductAttributes")
		number, ok := p.Integer("SerialNumber")
		a := productAttributes{
			maker: plainText([]byte(p.Text("ManufacturerID"))), name: plainText([]byte(p.Text("ProductName"))),
			serial: plainText([]byte(p.Text("AlphanumericSerialNumber"))),
		}
		if ok && number > 0 {
			a.number = strconv.FormatUint(uint64(uint32(number)), 10)
		}
		if year, ok := p.Integer("YearOfManufacture"); ok && year > 1990 && year < 1<<15 {
			a.year = int32(year)
		}
		if a.number+a.serial != "" && len(out) < maxPeripherals {
			out = append(out, a)
		}
	}
	return out
}

// completeDisplays gives displays the serial that their EDID has as text, by
// which Windows, Linux and Macs with Intel's processors know them too: without
// it one display would be two things.
func completeDisplays(displays []*pb.Display, known []productAttributes) {
	for _, d := range displays {
		for i, a := range known {
			if a.number == "" || d.Serial != a.number || d.Manufacturer != "" && d.Manufacturer != a.maker {
				continue
			}
			if a.serial != "" {
				d.Serial = a.serial
			}
			if d.Manufacturer = a.maker; d.Year == nil && a.year > 0 {
				d.Year = &known[i].year
			}
		}
	}
}

// macFramebuffers asks for the attributes of displays. Macs with Intel's
// processors have no such entries.
func macFramebuffers(ctx context.Context, h *host.Host) ([]productAttributes, error) {
	var all []productAttributes
	var bad faults
	for _, command := range []string{macCommandFramebuffer, macCommandFramebufferShim} {
		out, err := h.Run(ctx, command)
		if missing(err) {
			// A recording from before the command was listed.
			continue
		}
		bad.add(err)
		entries, err := ioreg.Decode(out)
		bad.add(err)
		all = append(all, macAttributes(entries)...)
	}
	return all, bad.err()
}
