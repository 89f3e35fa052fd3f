// Package peripheral tells which of the displays, docks and other things that a
// machine lists are things of their own, with a record each; it is a function of
// the list.
package peripheral

import (
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/rollcall-itam/rollcall/collector/identity"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Max bounds how many things one machine lists that have a record of their own.
const Max = 256

// Dock is the chassis of a dock, as SMBIOS names it (DSP0134, 7.4.1).
const Dock = "docking station"

// Thing is something that is attached to a machine and has a number of its own.
type Thing struct {
	// Identifier is what tells it from all others.
	Identifier *pb.Identifier
	// Device is what is known of it.
	Device *pb.Device
}

// Key is the same for two listings of one thing.
func (t Thing) Key() string { return t.Identifier.GetScope() + "\x00" + t.Identifier.GetValue() }

// Of returns what a machine lists, each thing once, in the order of its key. What
// has no number, one that many have, or a place inside of the machine, is a field
// of the machine and not among them.
func Of(d *pb.Device) []Thing {
	hw := d.GetHardware()
	if len(hw.GetDisplays())+len(hw.GetUsb()) == 0 || hw.GetVirtual() || d.GetClass() == "display" || d.GetClass() == "peripheral" {
		return nil
	}
	var all []Thing
	for _, display := range hw.GetDisplays() {
		if t, ok := ofDisplay(display); ok {
			all = append(all, t)
		}
	}
	for _, u := range hw.GetUsb() {
		if t, ok := ofUSB(u); ok {
			all = append(all, t)
		}
	}
	slices.SortStableFunc(all, func(a, b Thing) int { return strings.Compare(a.Key(), b.Key()) })
	all = slices.CompactFunc(all, func(a, b Thing) bool { return a.Key() == b.Key() })
	return all[:min(len(all), Max)]
}

// panels are makers, by their letters in the EDID, of the panels that are built
// into laptops and sold to nobody else. They tell where an agent does not say how
// a display is connected.
var panels = []string{"AUO", "BOE", "CMN", "CMO", "CPT", "CSO", "INX", "IVO", "JDI", "KDB", "LGD", "LPL", "NCP", "PAN", "QDS", "SDC", "STA", "TMX"}

// builtIn tells of the panel of a laptop. The connectors are named as the kernel
// of Linux does.
func builtIn(d *pb.Display) bool {
	c := strings.ToUpper(d.GetConnector())
	for _, inside := range []string{"EDP", "LVDS", "DSI"} {
		if strings.HasPrefix(c, inside) {
			return true
		}
	}
	return d.GetBuiltIn() || c == "" && slices.Contains(panels, strings.ToUpper(d.GetManufacturer()))
}

func ofDisplay(d *pb.Display) (Thing, bool) {
	serial, letters := strings.TrimSpace(d.GetSerial()), strings.TrimSpace(d.GetManufacturer())
	if serial == "" || letters == "" || builtIn(d) {
		return Thing{}, false
	}
	scope := identity.PartScope(letters)
	// Agents that do not tell the model's number do not tell either what the
	// serial is.
	if n, isNumber := number(serial); isNumber && (d.GetNumbered() || d.GetProduct() == "") {
		if !identity.Numbered(n) {
			return Thing{}, false
		}
		scope = identity.NumberScope(letters, d.GetProduct(), d.GetYear())
	}
	if !identity.UsableSerial(scope, serial) {
		return Thing{}, false
	}
	hw := &pb.Hardware{Manufacturer: identity.MakerName(letters), Model: d.GetModel(), Serial: serial}
	if product.MatchString(d.GetProduct()) {
		hw.ModelId = strings.ToUpper(letters + d.GetProduct())
	}
	return Thing{
		Identifier: &pb.Identifier{Kind: identity.Part, Scope: scope, Value: serial},
		Device:     &pb.Device{Class: "display", Name: named(hw.GetManufacturer(), d.GetModel(), serial), Hardware: hw},
	}, true
}

var product = regexp.MustCompile(`^[0-9a-fA-F]{4}$`)

// number reads what may be the number of an EDID, which has 32 bits.
func number(serial string) (uint32, bool) {
	if len(serial) > 10 {
		return 0, false
	}
	n := uint64(0)
	for _, c := range serial {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return uint32(n), n <= 1<<32-1
}

// named is how people call a thing: by its model, which mostly begins with the
// maker, and its number, since an office has many of one model.
func named(maker, model, serial string) string {
	if model == "" {
		model = maker
	}
	return strings.TrimSpace(model + " " + serial)
}

// machinesOwn are vendors on the USB whose devices are no peripherals: root hubs and
// gadgets of Linux, what hypervisors and the management of servers make up, and
// Apple, whose phones and built-in keyboards have the numbers of devices.
var machinesOwn = []string{"1d6b", "0627", "46f4", "0e0f", "80ee", "203a", "046b", "05ac"}

// noPeripheral are words in the names of what is built in, of what software makes
// up, of phones, which are devices of their own, of memory sticks, which nobody
// keeps a record of, and of what says nothing of the thing.
var noPeripheral = []string{"hub", "virtual", "bluetooth", "fingerprint", "integrated", "internal", "built-in", "builtin", "card reader", "cardreader", "receiver",
	"iphone", "ipad", "ipod", "android", "galaxy", "mtp", "flash", "disk", "storage", "datatraveler", "cruzer", "ssd", "thumb", "composite"}

var usbID = regexp.MustCompile(`^[0-9a-f]{4}:[0-9a-f]{4}$`)

func ofUSB(u *pb.UsbDevice) (Thing, bool) {
	id, serial := strings.ToLower(u.GetId()), strings.TrimSpace(u.GetSerial())
	scope := "usb:" + id
	if u.GetBuiltIn() || !usbID.MatchString(id) || slices.Contains(machinesOwn, id[:4]) || !ownNumber(serial) || !identity.UsableSerial(scope, serial) {
		return Thing{}, false
	}
	words := strings.ToLower(u.GetVendor() + " " + u.GetProduct())
	dock := strings.Contains(words, "dock") || strings.Contains(words, "port replicator")
	if !dock && slices.ContainsFunc(noPeripheral, func(w string) bool { return strings.Contains(words, w) }) {
		return Thing{}, false
	}
	hw := &pb.Hardware{Manufacturer: u.GetVendor(), Model: u.GetProduct(), ModelId: id, Serial: serial}
	if dock {
		hw.Chassis = Dock
	}
	return Thing{
		Identifier: &pb.Identifier{Kind: identity.Part, Scope: scope, Value: serial},
		Device:     &pb.Device{Class: "peripheral", Name: named(u.GetVendor(), u.GetProduct(), serial), Hardware: hw},
	}, true
}

// date is what firmware has in place of a number: the day it was made.
var date = regexp.MustCompile(`^20[0-2][0-9](0[1-9]|1[0-2])[0-3][0-9]`)

// ownNumber tells whether a serial number of a USB device is likely its own.
// Cheap ones have a date, a version, the place on the bus, or nearly nothing.
func ownNumber(serial string) bool {
	if len(serial) < 6 || strings.ContainsAny(serial, ".:") || date.MatchString(serial) {
		return false
	}
	distinct := make(map[rune]bool)
	for _, c := range serial {
		if unicode.IsLetter(c) || unicode.IsDigit(c) {
			distinct[c] = true
		}
	}
	return len(distinct) >= 4
}
