// Package section names the sections that a device report is made of and
// computes their digests, the same way on both sides of the wire.
package section

import (
	"crypto/sha256"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Names of the sections, as they stand in SectionHeader.name.
const (
	Hardware    = "hardware"
	OS          = "os"
	Patch       = "patch"
	Software    = "software"
	Security    = "security"
	Users       = "users"
	Network     = "network"
	Storage     = "storage"
	Peripherals = "peripherals"
)

// States that a section of a report can be in. Only a complete section may
// remove what an earlier one said; a section that failed or was skipped has no
// payload.
const (
	Complete = "complete"
	Partial  = "partial"
	Failed   = "failed"
	Skipped  = "skipped"
)

var names = []string{Hardware, OS, Patch, Software, Security, Users, Network, Storage, Peripherals}

// Names returns every section in the order in which reports carry them.
func Names() []string { return slices.Clone(names) }

// Known tells whether name is a section of this version.
func Known(name string) bool { return slices.Contains(names, name) }

// Extract returns a device that holds only the fields of one section. It
// shares its messages with d, which must not be modified while it is used.
func Extract(d *pb.Device, name string) *pb.Device {
	out := new(pb.Device)
	Replace(out, d, name)
	return out
}

// Replace sets the fields of one section in dst to those of src, removing the
// ones that src does not have. The messages are shared, not copied; but a
// Hardware message that dst already has is cloned before it is changed, because
// two sections live in it.
func Replace(dst, src *pb.Device, name string) {
	switch name {
	case Hardware:
		dst.Name, dst.Class = src.GetName(), src.GetClass()
		dst.Hardware = joinHardware(src.GetHardware(), dst.GetHardware())
	case OS:
		dst.Os = src.GetOs()
	case Patch:
		dst.Patch = src.GetPatch()
	case Software:
		dst.Software = src.GetSoftware()
	case Security:
		dst.Security, dst.Mdm, dst.Edr, dst.Identifiers = src.GetSecurity(), src.GetMdm(), src.GetEdr(), src.GetIdentifiers()
	case Users:
		dst.PrimaryUser = src.GetPrimaryUser()
	case Network:
		dst.Network = src.GetNetwork()
	case Storage:
		dst.Storage = src.GetStorage()
	case Peripherals:
		dst.Hardware = joinHardware(dst.GetHardware(), src.GetHardware())
	}
}

// joinHardware returns the machine of one message with the peripherals of
// another, and nil where neither says anything.
func joinHardware(machine, peripherals *pb.Hardware) *pb.Hardware {
	out := new(pb.Hardware)
	if machine != nil {
		out = proto.CloneOf(machine)
	}
	out.Displays, out.Usb, out.Printers = peripherals.GetDisplays(), peripherals.GetUsb(), peripherals.GetPrinters()
	if proto.Size(out) == 0 {
		return nil
	}
	return out
}

// Encode returns the section as it travels: the deterministic protobuf
// encoding of Extract.
func Encode(d *pb.Device, name string) ([]byte, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(Extract(d, name))
	if err != nil {
		return nil, fmt.Errorf("encode section %s: %w", name, err)
	}
	return b, nil
}

// Digest returns the digest of an encoded section: the SHA-256 of its bytes,
// and for software the sum of the digests of its rows.
func Digest(name string, encoded []byte) ([]byte, error) {
	if name != Software {
		sum := sha256.Sum256(encoded)
		return sum[:], nil
	}
	var sum Sum
	err := EachRow(encoded, FieldDeviceSoftware, func(row []byte) error {
		sum.Add(sha256.Sum256(row))
		return nil
	})
	return sum[:], err
}
