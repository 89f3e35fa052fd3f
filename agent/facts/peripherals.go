package facts

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	drmDir = "sys/class/drm"
	usbDir = "sys/bus/usb/devices"
	pciDir = "sys/bus/pci/devices"
	// maxPeripherals bounds each list of them.
	maxPeripherals = 512
)

// learnDisplays lists the displays that are attached now, by the EDID that
// each sends; a panel that sends none is not there.
func learnDisplays(_ context.Context, h *host.Host, d *pb.Device) error {
	a := &attributes{h: h}
	var out []*pb.Display
	for _, connector := range a.names(drmDir) {
		edid := a.raw(drmDir, connector, "edid")
		if len(edid) == 0 || len(out) == maxPeripherals {
			continue
		}
		display, err := decodeEDID(edid)
		if err != nil {
			a.bad.add(fmt.Errorf("/%s/%s/edid: %w", drmDir, connector, err))
			continue
		}
		// The folder is named after the graphics card and its connector: card0-eDP-1.
		_, display.Connector, _ = strings.Cut(connector, "-")
		display.BuiltIn = strings.HasPrefix(display.Connector, "eDP") || strings.HasPrefix(display.Connector, "LVDS") || strings.HasPrefix(display.Connector, "DSI")
		out = append(out, display)
	}
	if len(out) == 0 {
		return absent(a.bad.err(), "no displays")
	}
	hardware(d).Displays = out
	return a.bad.err()
}

// learnUSB lists the USB devices, without hubs and the ports themselves.
func learnUSB(_ context.Context, h *host.Host, d *pb.Device) error {
	const hub = "09"
	a := &attributes{h: h}
	names := a.names(usbDir)
	if len(names) == 0 {
		return absent(a.bad.err(), "no USB")
	}
	var out []*pb.UsbDevice
	for _, name := range names {
		// An interface of a device has a colon in its name.
		if strings.Contains(name, ":") || a.text(usbDir, name, "bDeviceClass") == hub || len(out) == maxPeripherals {
			continue
		}
		vendor, product := a.text(usbDir, name, "idVendor"), a.text(usbDir, name, "idProduct")
		if vendor == "" || product == "" {
			continue
		}
		out = append(out, &pb.UsbDevice{
			Id: strings.ToLower(vendor + ":" + product), Vendor: plainText(a.raw(usbDir, name, "manufacturer")),
			Product: plainText(a.raw(usbDir, name, "product")), Serial: plainText(a.raw(usbDir, name, "serial")),
			BuiltIn: a.text(usbDir, name, "removable") == "fixed",
		})
	}
	if len(out) > 0 {
		hardware(d).Usb = out
	}
	return a.bad.err()
}

// learnGPUs lists the display controllers on the PCI bus. Their names are
// those that udev has looked up; without, the numbers of vendor and device
// stand for them.
func learnGPUs(_ context.Context, h *host.Host, d *pb.Device) error {
	a := &attributes{h: h}
	var out []*pb.Gpu
	for _, slot := range a.names(pciDir) {
		// Class 03 of PCI: VGA, 3D and other display controllers.
		if !strings.HasPrefix(a.text(pciDir, slot, "class"), "0x03") || len(out) == maxPeripherals {
			continue
		}
		udev := decodeUdev(a.raw(udevDir, "+pci:"+slot))
		vendor, device := strings.TrimPrefix(a.text(pciDir, slot, "vendor"), "0x"), strings.TrimPrefix(a.text(pciDir, slot, "device"), "0x")
		g := &pb.Gpu{
			Name: first(udev["ID_MODEL_FROM_DATABASE"], vendor+":"+device), Vendor: first(udev["ID_VENDOR_FROM_DATABASE"], vendor),
			Driver: softwareText([]byte(lastElement(a.link(pciDir, slot, "driver")))),
		}
		// Only amdgpu says how much memory there is.
		if n, ok := a.number(pciDir, slot, "mem_info_vram_total"); ok && n > 0 {
			g.MemoryBytes = proto.Int64(n)
		}
		out = append(out, g)
	}
	if len(out) == 0 {
		return absent(a.bad.err(), "no graphics")
	}
	hardware(d).Gpus = out
	return a.bad.err()
}
