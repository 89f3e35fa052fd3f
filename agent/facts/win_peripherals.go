package facts

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/agent/host"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	enumKey     = systemHive + `Enum\`
	printersKey = systemHive + `Control\Print\Printers`
)

// learnWinDisplays lists the displays that are in use, by the EDID that Windows
// keeps of each. It keeps that of every display there ever was, so that WMI must
// tell which ones are there.
func learnWinDisplays(ctx context.Context, h *host.Host, d *pb.Device) error {
	r, q := &winreg{h: h}, &queries{h: h}
	connections := make(map[string]queryRow)
	for _, row := range q.rows(ctx, "monitor_connections") {
		connections[strings.ToLower(row["InstanceName"])] = row
	}
	var out []*pb.Display
	for _, row := range q.rows(ctx, "monitors") {
		// The instance of WMI is that of the device and a number.
		device := row["InstanceName"]
		if at := strings.LastIndexByte(device, '_'); at > 0 {
			device = device[:at]
		}
		if !row.is("Active") || device == "" || len(out) == maxPeripherals {
			continue
		}
		edid := r.key(enumKey, device, `\Device Parameters`).bytes("EDID")
		if len(edid) == 0 {
			continue
		}
		display, err := decodeEDID(edid)
		if err != nil {
			q.bad.add(fmt.Errorf("EDID of %s: %w", plainText([]byte(device)), err))
			continue
		}
		display.Connector, display.BuiltIn = windowsConnector(connections[strings.ToLower(row["InstanceName"])])
		out = append(out, display)
	}
	q.bad.add(r.bad.err())
	if len(out) == 0 {
		return q.err("no displays are in use")
	}
	hardware(d).Displays = out
	return q.bad.err()
}

// videoOutputs are the values of D3DKMDT_VIDEO_OUTPUT_TECHNOLOGY, under the names
// that Linux has for them, which it numbers and Windows does not:
// https://learn.microsoft.com/windows-hardware/drivers/ddi/d3dkmdt/ne-d3dkmdt-_d3dkmdt_video_output_technology
var videoOutputs = map[uint32]string{
	0: "VGA", 1: "SVIDEO", 2: "Composite", 3: "Component", 4: "DVI", 5: "HDMI", 6: "LVDS", 9: "SDI", 10: "DP", 11: "eDP", 12: "UDI",
	13: "eDP", 15: "Miracast", 16: "USB", 17: "Virtual", 18: "DP",
}

// windowsConnector returns how a display is connected, "" where its driver does
// not say or says something unknown, and whether it is a part of the machine.
func windowsConnector(row queryRow) (connector string, builtIn bool) {
	const internal = 1 << 31
	// WMI hands unsigned numbers of 32 bits over as signed ones.
	n, err := strconv.ParseInt(strings.TrimSpace(row["VideoOutputTechnology"]), 10, 64)
	if err != nil || n < math.MinInt32 || n > math.MaxUint32 {
		return "", false
	}
	kind := uint32(n)
	connector = videoOutputs[kind]
	return connector, kind == internal || connector == "eDP" || connector == "LVDS"
}

// usbDevice is the name of a device on the USB, without those of the parts that
// one with several functions has.
var usbDevice = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)^USB\\VID_([0-9A-F]{4})&PID_([0-9A-F]{4})(&[^\\]*)?\\(.*)$`)
})

// learnWinUSB lists the USB devices that are attached now, without hubs.
func learnWinUSB(ctx context.Context, h *host.Host, d *pb.Device) error {
	q := &queries{h: h}
	rows, ok := q.ask(ctx, "usb_devices")
	if !ok {
		return q.err("Windows does not list devices")
	}
	var out []*pb.UsbDevice
	for _, row := range rows {
		if u := windowsUSB(row); u != nil && len(out) < maxPeripherals {
			out = append(out, u)
		}
	}
	slices.SortStableFunc(out, func(a, b *pb.UsbDevice) int { return strings.Compare(a.Id+a.Serial, b.Id+b.Serial) })
	if len(out) > 0 {
		hardware(d).Usb = out
	}
	return nil
}

// windowsUSB is a row of Win32_PnPEntity, nil for what is no device of its own.
func windowsUSB(row queryRow) *pb.UsbDevice {
	m := usbDevice().FindStringSubmatch(strings.TrimSpace(row["PNPDeviceID"]))
	if m == nil || strings.HasPrefix(strings.ToUpper(m[3]), "&MI_") || strings.HasPrefix(strings.ToLower(row["Service"]), "usbhub") {
		return nil
	}
	u := &pb.UsbDevice{Id: strings.ToLower(m[1] + ":" + m[2]), Vendor: row.text("Manufacturer"), Product: row.text("Name")}
	// What Windows makes up for a device without a serial has an ampersand.
	if !strings.Contains(m[4], "&") {
		u.Serial = plainText([]byte(m[4]))
	}
	return u
}

// learnWinPrinters lists the printers of the machine, and those on servers
// that the users who are logged on have connected.
func learnWinPrinters(_ context.Context, h *host.Host, d *pb.Device) error {
	r := &winreg{h: h}
	list := r.key(printersKey)
	var out []*pb.Printer
	for _, name := range list.subkeys() {
		k := r.key(printersKey, `\`, name)
		p := &pb.Printer{Name: k.text("Name"), Driver: k.text("Printer Driver"), Port: k.text("Port")}
		if p.Name == "" {
			// A key cannot have a backslash in its name.
			p.Name = plainText([]byte(strings.ReplaceAll(name, ",", `\`)))
		}
		out = append(out, p)
	}
	for _, sid := range r.users() {
		for _, name := range r.key(`HKU\`, sid, `\Printers\Connections`).subkeys() {
			server, _, _ := strings.Cut(strings.TrimPrefix(name, ",,"), ",")
			out = append(out, &pb.Printer{Name: plainText([]byte(strings.ReplaceAll(name, ",", `\`))), Port: plainText([]byte(`\\` + server))})
		}
	}
	slices.SortStableFunc(out, func(a, b *pb.Printer) int { return strings.Compare(a.Name, b.Name) })
	out = slices.CompactFunc(out, func(a, b *pb.Printer) bool { return proto.Equal(a, b) })
	if len(out) == 0 {
		return r.err(list.found(), "no printers")
	}
	if len(out) > maxPeripherals {
		r.bad.add(fmt.Errorf("%d printers, of which a report lists %d", len(out), maxPeripherals))
		out = out[:maxPeripherals]
	}
	hardware(d).Printers = out
	return r.bad.err()
}
