package facts

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/agent/facts/ioreg"
	"github.com/rollcall-itam/rollcall/agent/facts/proplist"
	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// learnMacGPUs lists the graphics processors.
func learnMacGPUs(ctx context.Context, h *host.Host, d *pb.Device) error {
	p, err := macProfile(ctx, h, macCommandDisplays)
	if gpus := macGPUs(p); len(gpus) > 0 {
		hardware(d).Gpus = gpus
		return err
	}
	return cmp.Or(err, fmt.Errorf("no graphics: %w", errors.ErrUnsupported))
}

func macGPUs(p profile) []*pb.Gpu {
	var out []*pb.Gpu
	for _, item := range p["SPDisplaysDataType"] {
		out = appendGPU(out, item)
		// The text form has the processors one level deeper.
		for _, c := range item.Dicts(profileItems) {
			out = appendGPU(out, c)
		}
	}
	return out
}

func appendGPU(out []*pb.Gpu, item proplist.Dict) []*pb.Gpu {
	name := plainText([]byte(item.Text("sppci_model", "Chipset Model")))
	if name == "" || len(out) == maxPeripherals {
		return out
	}
	g := &pb.Gpu{Name: name, Vendor: macVendor(item.Text("spdisplays_vendor", "Vendor"))}
	vram := item.Text("spdisplays_vram", "_spdisplays_vram", "spdisplays_vram_shared", "spdisplays_vram_dynamic", "VRAM (Total)", "VRAM (Dynamic, Max)")
	if n := memorySize(vram); n > 0 {
		g.MemoryBytes = proto.Int64(n)
	}
	return append(out, g)
}

// macVendor returns the maker in "sppci_vendor_Apple" or "AMD (0x1002)".
func macVendor(text string) string {
	text = strings.TrimPrefix(text, "sppci_vendor_")
	text, _, _ = strings.Cut(text, " (0x")
	return plainText([]byte(text))
}

// learnMacDisplays lists the displays that are attached now.
func learnMacDisplays(ctx context.Context, h *host.Host, d *pb.Device) error {
	p, err := macProfile(ctx, h, macCommandDisplays)
	if displays := macDisplays(p); len(displays) > 0 {
		known, ferr := macFramebuffers(ctx, h)
		completeDisplays(displays, known)
		hardware(d).Displays = displays
		return errors.Join(err, ferr)
	}
	return cmp.Or(err, fmt.Errorf("no displays: %w", errors.ErrUnsupported))
}

func macDisplays(p profile) []*pb.Display {
	var out []*pb.Display
	p.each(func(item, _ proplist.Dict) {
		shown := append(item.Dicts("spdisplays_ndrvs"), child(item, "Displays").Dicts(profileItems)...)
		for _, s := range shown {
			status := s.Text("spdisplays_status", "Status")
			if name := s.Text(profileName); name == "" || strings.Contains(strings.ToLower(status), "no") && strings.Contains(strings.ToLower(status), "connected") || len(out) == maxPeripherals {
				continue
			}
			d := macDisplay(s)
			connection := strings.ToLower(s.Text("spdisplays_connection_type", "Connection Type"))
			d.BuiltIn = strings.Contains(connection, "internal")
			out = append(out, d)
		}
	}, "SPDisplaysDataType")
	return out
}

// macDisplay describes a display. Its EDID tells most where there is one, which
// is on Macs with Intel's processors. The serial that Macs give in hexadecimal
// is the number in the EDID, except of Apple's own displays, where it is a
// constant.
func macDisplay(s proplist.Dict) *pb.Display {
	text := strings.TrimPrefix(s.Text("spdisplays_edid", "_spdisplays_edid"), "0x")
	if edid, err := hex.DecodeString(text); err == nil && len(edid) > 0 {
		if d, err := decodeEDID(edid); err == nil {
			return d
		}
	}
	d := &pb.Display{Model: plainText([]byte(s.Text(profileName))), Serial: plainText([]byte(s.Text("spdisplays_display-serial-number", "Display Serial Number")))}
	if id, err := strconv.ParseUint(s.Text("_spdisplays_display-vendor-id"), 16, 16); err == nil {
		d.Manufacturer = edidMaker(uint16(id))
	}
	number := s.Text("_spdisplays_display-serial-number", "_spdisplays_display-serial-number2")
	if n, err := strconv.ParseUint(number, 16, 32); err == nil && n != 0 && d.Serial == "" && d.Manufacturer != "APP" {
		d.Serial, d.Numbered = strconv.FormatUint(n, 10), true
	}
	if id, err := strconv.ParseUint(s.Text("_spdisplays_display-product-id"), 16, 16); err == nil && id > 0 {
		d.Product = fmt.Sprintf("%04x", id)
	}
	if year, err := strconv.ParseInt(s.Text("_spdisplays_display-year"), 10, 16); err == nil && year > 1990 {
		d.Year = proto.Int32(int32(year))
	}
	return d
}

// edidMaker returns the letters that a display's maker has in its EDID, "" for
// what is none.
func edidMaker(id uint16) string {
	edid := make([]byte, edidBlock)
	copy(edid, edidHeader)
	binary.BigEndian.PutUint16(edid[8:], id)
	d, err := decodeEDID(edid)
	if err != nil {
		return ""
	}
	return d.Manufacturer
}

// learnMacUSB lists the USB devices, without hubs.
func learnMacUSB(ctx context.Context, h *host.Host, d *pb.Device) error {
	out, err := h.Run(ctx, macCommandUSB)
	if len(out) == 0 && err != nil {
		return err
	}
	entries, derr := ioreg.Decode(out)
	if list := macUSB(entries); len(list) > 0 {
		hardware(d).Usb = list
	}
	return errors.Join(err, derr)
}

func macUSB(entries []proplist.Dict) []*pb.UsbDevice {
	const hub = 9
	var out []*pb.UsbDevice
	for _, e := range entries {
		vendor, ok1 := e.Integer("idVendor")
		product, ok2 := e.Integer("idProduct")
		class, _ := e.Integer("bDeviceClass")
		if !ok1 || !ok2 || class == hub || len(out) == maxPeripherals {
			continue
		}
		u := &pb.UsbDevice{
			Id:      fmt.Sprintf("%04x:%04x", uint16(vendor), uint16(product)),
			Vendor:  plainText([]byte(e.Text("kUSBVendorString", "USB Vendor Name"))),
			Product: plainText([]byte(e.Text("kUSBProductString", "USB Product Name"))),
			Serial:  plainText([]byte(e.Text("kUSBSerialNumberString", "USB Serial Number"))),
		}
		if u.Product == "" {
			u.Product = plainText([]byte(e.Text(ioreg.KeyName)))
		}
		out = append(out, u)
	}
	return out
}

// learnMacPrinters lists the printers that are set up: those that CUPS keeps in
// its file or, where that may not be read, those that system_profiler lists.
func learnMacPrinters(ctx context.Context, h *host.Host, d *pb.Device) error {
	if data, err := h.ReadFile(printersFile, maxPrintersFile); err == nil {
		if list := decodePrinters(data); len(list) > 0 {
			hardware(d).Printers = list[:min(len(list), maxPeripherals)]
		}
		return nil
	}
	p, err := macProfile(ctx, h, macCommandPrinters)
	if err != nil {
		return err
	}
	if list := macPrinters(p); len(list) > 0 {
		hardware(d).Printers = list
	}
	return nil
}

func macPrinters(p profile) []*pb.Printer {
	var out []*pb.Printer
	p.each(func(item, _ proplist.Dict) {
		name, uri := plainText([]byte(item.Text(profileName))), item.Text("uri", "URI")
		if name == "" || uri == "" || len(out) == maxPeripherals {
			return
		}
		out = append(out, &pb.Printer{Name: name, Driver: plainText([]byte(item.Text("ppd", "PPD"))), Port: plainText([]byte(withoutUser(uri)))})
	}, "SPPrintersDataType")
	return out
}
