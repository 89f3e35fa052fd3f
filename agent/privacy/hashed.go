package privacy

import (
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/rollcall-itam/rollcall/pkg/section"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// named are the fields of a section that name something, and are hashed where
// the section is: kinds, versions, sizes, times and states stay, so that what
// devices with one key have in common can still be counted. Where names of people
// stand in a section, the level of users decides.
var named = map[string][]string{
	section.Software: {"software.name", "software.publisher", "software.location", "software.product_id", "software.source_package"},
	section.Patch:    {"patch.pending.id", "patch.pending.title", "patch.pending.cves", "patch.installed.id"},
	section.Network: {"network.hostname", "network.fqdn", "network.domain", "network.interfaces.mac", "network.interfaces.addresses",
		"network.last_address", "network.public_address"},
	section.Storage: {"storage.volumes.mount", "storage.volumes.device"},
	section.Peripherals: {"hardware.displays.model", "hardware.displays.product", "hardware.displays.serial", "hardware.usb.product", "hardware.usb.serial",
		"hardware.usb.id", "hardware.printers.name", "hardware.printers.driver", "hardware.printers.port"},
	section.Users: nil, // wherever they are named: see withoutNames
}

// hashable returns the sections that can be hashed, in order of names.
func hashable() []string { return slices.Sorted(maps.Keys(named)) }

// systemVolumes are told as they are: each system of a kind has the same, and what
// is free on it is looked at by name.
var systemVolumes = map[string]bool{"/": true, "C:": true, `C:\`: true, "/System/Volumes/Data": true}

// withHashes hashes what the fields of a section name. Errors of its facts may say
// the same names, and are left to the agent's own log.
func (o *observed) withHashes(name string, pseudonym func(string) string) {
	for _, path := range named[name] {
		hashAt(o.GetDevice().ProtoReflect(), strings.Split(path, "."), func(text string) string {
			if path == "storage.volumes.mount" && systemVolumes[text] {
				return text
			}
			return replaced(text, pseudonym)
		})
	}
	for _, p := range o.Problems {
		if p.GetSection() == name {
			p.Error = "see the agent's log on the device: what went wrong may name what is hashed"
		}
	}
	if name == section.Software {
		o.oneOfEach()
	}
	o.because(name, "names are hashed")
}

// oneOfEach leaves one of rows that hashing has made equal, as of two names that
// differ in capitals.
func (o *observed) oneOfEach() {
	type row struct{ kind, name, version, architecture, location string }
	seen := make(map[row]bool)
	d := o.GetDevice()
	d.Software = slices.DeleteFunc(d.Software, func(s *pb.Software) bool {
		r := row{s.GetKind(), s.GetName(), s.GetVersion(), s.GetArchitecture(), s.GetLocation()}
		again := seen[r]
		seen[r] = true
		return again
	})
}

// hashAt replaces the texts at a path of fields, in each item of lists.
func hashAt(m protoreflect.Message, path []string, replace func(string) string) {
	f := m.Descriptor().Fields().ByName(protoreflect.Name(path[0]))
	if !m.Has(f) {
		return
	}
	switch {
	case f.IsList() && len(path) > 1:
		list := m.Mutable(f).List()
		for i := range list.Len() {
			hashAt(list.Get(i).Message(), path[1:], replace)
		}
	case f.IsList():
		eachTextOfList(f, m.Mutable(f).List(), replace)
	case len(path) > 1:
		hashAt(m.Mutable(f).Message(), path[1:], replace)
	default:
		m.Set(f, protoreflect.ValueOfString(replace(m.Get(f).String())))
	}
}
