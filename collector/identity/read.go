package identity

import (
	"slices"
	"strings"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Bounds of what one observation may carry. A record with more than maxPerKind
// serials is a list of things and not one of them; so many network cards
// belong to a router or a hypervisor, and the rest of them say nothing new.
const (
	maxPerKind = 8
	maxWeak    = 128
)

// reading is what an observation says about who the thing is.
type reading struct {
	strong, weak []Key
	ignored      []Ignored
	virtual      bool
}

// read takes the identifiers of the subject's fields and those stated beside
// them. An address beside a device is that of its user and does not make two
// devices one; a record that has nothing of a device is a person's.
func read(o *pb.Observation) reading {
	var r reading
	d := o.GetDevice()
	stated := slices.Concat(o.GetIdentifiers(), d.GetIdentifiers())
	if isAttached(d) {
		r.attached(d, stated)
		r.bound()
		return r
	}
	r.device(d)
	for _, id := range stated {
		r.add(id.GetKind(), id.GetScope(), id.GetValue())
	}
	if d == nil && len(r.strong) == 0 {
		for _, id := range o.GetIdentifiers() {
			r.person(id.GetKind(), id.GetScope(), id.GetValue())
		}
	}
	if r.virtual = virtual(d, r.strong); r.virtual {
		// Hypervisors hand the same ones to every guest.
		r.weak = slices.DeleteFunc(r.weak, func(k Key) bool { return k.Kind == Disk || k.Kind == Board })
	}
	r.bound()
	r.strong = sortKeys(append(r.strong, r.parts()...))
	return r
}

func (r *reading) device(d *pb.Device) {
	hw := d.GetHardware()
	maker := hw.GetManufacturer()
	r.add(Serial, maker, hw.GetSerial())
	if strings.TrimSpace(maker) == "" {
		for _, g := range guesses(hw.GetSerial()) {
			r.add(Serial, maker, g)
		}
	}
	r.add(UUID, "", hw.GetUuid())
	for _, imei := range hw.GetImei() {
		r.add(IMEI, "", imei)
	}
	r.add(CloudInstance, hw.GetCloud().GetProvider(), hw.GetCloud().GetInstanceId())
	r.add(MDM, managedBy(d.GetMdm().GetVendor(), d.GetMdm().GetServerUrl()), d.GetMdm().GetId())
	r.add(EDR, d.GetEdr().GetVendor(), d.GetEdr().GetId())

	if m := knownMaker(maker); m != "" {
		r.weak = append(r.weak, Key{Maker, "", m})
	}
	r.add(AssetTag, "", hw.GetAssetTag())
	r.add(Board, "", hw.GetBoardSerial())
	for _, disk := range hw.GetDisks() {
		if disk.GetKind() != "virtual" && disk.GetKind() != "removable" && disk.GetBus() != "usb" {
			r.add(Disk, "", disk.GetSerial())
		}
	}
	for _, i := range d.GetNetwork().GetInterfaces() {
		if !i.GetVirtual() {
			r.add(MAC, "", i.GetMac())
		}
	}
	r.add(Hostname, "", d.GetNetwork().GetHostname())
	r.add(Hostname, "", d.GetName())
}

// parts returns the keys of a disk, a network card and the name together. The
// disk and the card may go into another machine, and the name pass to it, but
// hardly all three.
func (r *reading) parts() []Key {
	var keys []Key
	for _, disk := range of(r.weak, Disk) {
		for _, mac := range of(r.weak, MAC) {
			for _, name := range of(r.weak, Hostname) {
				value := disk.Value + " " + mac.Value + " " + name.Value
				if len(keys) < maxPerKind && len(value) <= maxValue {
					keys = append(keys, Key{Parts, "", value})
				}
			}
		}
	}
	return keys
}

// add files one identifier of a device.
func (r *reading) add(kind, scope, value string) {
	k, ok := normalise(kind, scope, value)
	if !ok {
		return
	}
	strong := rank(k.Kind) >= 0
	if reason := junk(k); reason != "" {
		if strong || k.Kind == MAC {
			r.ignored = append(r.ignored, Ignored{Key: k, Reason: reason})
		}
		return
	}
	if strong {
		r.strong = append(r.strong, k)
	} else {
		r.weak = append(r.weak, k)
	}
}

// bound sorts the keys and drops those of which one thing cannot have so many.
func (r *reading) bound() {
	r.strong, r.weak = sortKeys(r.strong), sortKeys(r.weak)
	r.weak = r.weak[:min(len(r.weak), maxWeak)]
	count := make(map[string]int)
	for _, k := range r.strong {
		count[k.Kind]++
	}
	r.strong = slices.DeleteFunc(r.strong, func(k Key) bool {
		if count[k.Kind] <= maxPerKind {
			return false
		}
		r.ignored = append(r.ignored, Ignored{Key: k, Reason: "one of too many of its kind on one record"})
		return true
	})
	slices.SortStableFunc(r.ignored, func(a, b Ignored) int { return compareKeys(a.Key, b.Key) })
	r.ignored = slices.Compact(r.ignored)
	r.ignored = r.ignored[:min(len(r.ignored), maxWeak)]
}

// virtual tells whether a device is a guest: guests are copied with all their
// identifiers, which machines of metal are not.
func virtual(d *pb.Device, keys []Key) bool {
	hw := d.GetHardware()
	if hw.GetVirtual() || (hw.GetHypervisor() != "" && hw.GetHypervisor() != "none") || hw.GetCloud().GetInstanceId() != "" {
		return true
	}
	switch d.GetClass() {
	case "virtual_machine", "cloud_instance":
		return true
	}
	if hypervisorMaker(hw.GetManufacturer(), hw.GetModel()) {
		return true
	}
	return slices.ContainsFunc(keys, func(k Key) bool {
		return k.Kind == Serial && (strings.HasPrefix(k.Value, "VMWARE") || strings.HasPrefix(k.Value, "PARALLELS"))
	})
}
