package synth

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// record is one record of one source about a machine, as it last stated it.
type record struct {
	source, id   string
	first, last  time.Time
	serial, uuid string
	name         string
	macs         []string
	edr, mdm     string
	booted       time.Time
	// checkedIn is what the record says of the device's own last contact.
	checkedIn time.Time
	directory string
}

// records returns what each source that knows the machine has about it.
func (e *Estate) records(m *machine) []record {
	if !m.arrived {
		return e.orders(m)
	}
	return slices.Concat(e.agents(m), e.mdm(m), e.edr(m), e.idp(m), e.orders(m), e.clouds(m))
}

// covered tells whether a source knows the machine at all.
func (e *Estate) covered(m *machine, source string, share float64) bool {
	return e.fleet.rand(m.i, "cover "+source).Float64() < share
}

// base is a record of a source as of its last update: of the machine as it is,
// or of what it was before the board was replaced where the source lags.
func (e *Estate) base(m *machine, source string) record {
	r := e.fleet.rand(m.i, "base "+source)
	rec := record{
		source: source, id: fmt.Sprintf("%s-%d", source, m.i), serial: m.serial, uuid: m.uuid, name: m.name, macs: []string{m.wired, m.wifi},
		first: m.born.Add(time.Duration(r.IntN(72)) * time.Hour), last: Now.Add(-time.Duration(r.IntN(240)) * time.Minute),
	}
	if m.lostTag {
		rec.serial = "Default string"
	}
	if e.chance(m.i, Lags, "lag "+source, 0.12) {
		rec.last = Now.AddDate(0, 0, -1-r.IntN(200))
		if rec.last.Before(rec.first) {
			rec.last = rec.first
		}
		if m.formerName != "" && m.reimaged.IsZero() {
			rec.name = m.formerName
		}
	}
	if !m.swapped.IsZero() && rec.last.Before(m.swapped) {
		rec.uuid, rec.serial, rec.macs = m.oldUUID, m.oldSerial, []string{m.oldWired, m.wifi}
	}
	rec.macs = slices.DeleteFunc(rec.macs, func(a string) bool { return a == "" })
	return rec
}

func (e *Estate) agents(m *machine) []record {
	if m.kind == phone || !e.covered(m, "agent", 0.93) {
		return nil
	}
	rec := e.base(m, "agent")
	rec.booted = rec.last.Add(-20 * time.Hour)
	if m.dock != "" {
		rec.macs = append(rec.macs, m.dock)
	}
	if e.fleet.rand(m.i, "agent knows").IntN(10) < 8 {
		rec.edr = m.edrID
	}
	if m.family == "windows" && e.covered(m, "joined", 0.9) {
		// A Windows that is joined knows its device id in the directory.
		rec.directory = m.directoryID
	}
	return e.again(m, rec)
}

// again returns the records of a source whose software was installed anew when
// the machine was, or its board replaced, or runs on two systems in turns.
func (e *Estate) again(m *machine, rec record) []record {
	before := rec
	before.id += "-before"
	before.directory = ""
	at := m.reimaged
	switch {
	case m.dual:
		before.last = rec.booted.Add(-time.Hour)
		before.booted = before.last.Add(-5 * time.Hour)
		before.first = rec.first.Add(30 * 24 * time.Hour)
		if before.first.After(before.last) {
			before.first = before.last
		}
		return []record{before, rec}
	case !m.swapped.IsZero():
		at = m.swapped
		before.uuid, before.serial, before.macs = m.oldUUID, m.oldSerial, []string{m.oldWired, m.wifi}
	case m.reimaged.IsZero():
		return []record{rec}
	case m.formerName != "":
		before.name = m.formerName
	}
	if !at.After(rec.first) || !rec.last.After(at.Add(2*time.Hour)) {
		return []record{rec}
	}
	before.last, rec.first = at, at.Add(90*time.Minute)
	before.checkedIn = at
	if rec.source == "agent" {
		before.booted = at.Add(-8 * time.Hour)
		if rec.booted.Before(rec.first) {
			rec.booted = rec.first
		}
	}
	before.edr = strings.Replace(before.edr, m.edrID, m.formerEdrID, 1)
	return []record{before, rec}
}

func (e *Estate) mdm(m *machine) []record {
	if m.kind > phone || m.family == "linux" || !e.covered(m, "mdm", 0.92) {
		return nil
	}
	rec := e.base(m, "mdm")
	rec.checkedIn, rec.mdm, rec.directory = rec.last, m.mdmID, m.directoryID
	r := e.fleet.rand(m.i, "mdm")
	rec.macs = rec.macs[:1]
	if m.dock != "" && r.IntN(20) == 0 {
		rec.macs = []string{m.dock}
	}
	e.lie(m, &rec)
	out := []record{rec}
	if r.IntN(2) == 0 && !m.dual {
		out = e.again(m, rec)
	}
	if len(out) > 1 {
		out[0].mdm, out[0].directory = m.formerMdmID, ""
	} else if m.two {
		old := rec
		old.id, old.mdm, old.directory = rec.id+"-old", m.formerMdmID, ""
		old.first, old.checkedIn = m.born.AddDate(0, 0, -40), m.born.AddDate(0, 0, -3)
		out = append(out, old)
	}
	for i := range out {
		// The MDM goes on listing what it has, whenever that was last in touch.
		out[i].last = Now.Add(-time.Duration(r.IntN(60)) * time.Minute)
	}
	return out
}

func (e *Estate) edr(m *machine) []record {
	if m.kind == phone || !e.covered(m, "edr", 0.9) {
		return nil
	}
	rec := e.base(m, "edr")
	rec.edr, rec.checkedIn = m.edrID, rec.last
	rec.macs = rec.macs[:1]
	if m.kind >= guest && e.covered(m, "edr reads no serial", 0.5) {
		rec.serial = ""
	}
	e.lie(m, &rec)
	if e.covered(m, "edr anew", 0.5) && !m.dual {
		out := e.again(m, rec)
		out[0].edr = m.edrID
		if len(out) > 1 {
			out[0].edr = m.formerEdrID
		}
		return out
	}
	return []record{rec}
}

// lie makes a record state the serial number of another machine.
func (e *Estate) lie(m *machine, rec *record) {
	if m.kind <= desktop && !m.junkSerial && e.chance(m.i, Lies, "lie "+rec.source, 0.004) {
		rec.serial = (&Estate{fleet: e.fleet, devices: e.devices}).machine((m.i + family*3) % e.devices).serial
	}
}

func (e *Estate) idp(m *machine) []record {
	if m.kind > phone || m.family == "linux" || !e.covered(m, "idp", 0.8) {
		return nil
	}
	rec := e.base(m, "idp")
	rec.directory, rec.macs = m.directoryID, nil
	if m.family != "macos" || e.covered(m, "idp reads no uuid", 0.5) {
		rec.uuid = ""
	}
	if m.family == "windows" && e.covered(m, "idp reads no serial", 0.3) {
		rec.serial = ""
	}
	return []record{rec}
}

func (e *Estate) orders(m *machine) []record {
	if !m.bought || m.junkSerial {
		return nil
	}
	rec := e.base(m, "orders")
	rec.first = m.born.AddDate(0, 0, -14)
	rec.last, rec.uuid, rec.name, rec.macs, rec.serial = rec.first, "", "", nil, m.serial
	if e.chance(m.i, Lies, "typo", 0.01) {
		i := e.fleet.rand(m.i, "typo at").IntN(len(rec.serial) - 1)
		b := []byte(rec.serial)
		b[i], b[i+1] = b[i+1], b[i]
		rec.serial = string(b)
	}
	return []record{rec}
}

func (e *Estate) clouds(m *machine) []record {
	if m.kind < guest || !e.covered(m, "cloud", 0.97) {
		return nil
	}
	rec := e.base(m, "cloud")
	rec.serial = ""
	if m.kind == instance {
		rec.uuid = ""
	}
	return []record{rec}
}

// observation writes a record as its source does.
func (r record) observation(m *machine) *pb.Observation {
	hw := &pb.Hardware{Manufacturer: m.maker, Model: m.model, Serial: r.serial, Uuid: r.uuid, Chassis: m.chassis}
	d := &pb.Device{Name: r.name, Hardware: hw}
	o := &pb.Observation{Source: r.source, SourceId: r.id, ObservedAt: timestamppb.New(r.last), Subject: &pb.Observation_Device{Device: d}}
	if r.name != "" {
		d.Network = &pb.Network{Hostname: r.name}
		for n, a := range r.macs {
			d.Network.Interfaces = append(d.Network.Interfaces, &pb.Interface{Name: fmt.Sprintf("eth%d", n), Mac: a})
		}
	}
	switch {
	case r.directory == "":
	case r.source == "agent":
		d.Identifiers = append(d.Identifiers, &pb.Identifier{Kind: "directory", Scope: "entra", Value: r.directory})
	default:
		o.Identifiers = append(o.Identifiers, &pb.Identifier{Kind: "directory", Scope: "entra", Value: r.directory})
	}
	if m.kind == instance {
		hw.Cloud = &pb.Cloud{Provider: "aws", InstanceId: m.cloudID}
	}
	if r.edr != "" {
		d.Edr = &pb.Edr{Present: proto.Bool(true), Vendor: "crowdstrike", Id: r.edr}
	}
	switch r.source {
	case "agent":
		d.Os = &pb.Os{Family: m.family, BootedAt: timestamppb.New(r.booted)}
		if m.kind <= desktop {
			hw.Disks = []*pb.Disk{{Name: "nvme0n1", Kind: "nvme", Bus: "nvme", Serial: m.disk}}
		}
		hw.Displays = m.displays
	case "mdm":
		d.Mdm = &pb.Mdm{Enrolled: proto.Bool(true), Vendor: "intune", Id: r.mdm, EnrolledAt: timestamppb.New(r.first), LastCheckIn: timestamppb.New(r.checkedIn)}
		if m.imei != "" {
			hw.Imei = []string{m.imei}
		}
	case "edr":
		d.Edr.LastSeen = timestamppb.New(r.checkedIn)
	case "idp":
		hw.Model, hw.Chassis = "", ""
		d.Owner = &pb.Owner{Email: m.owner, Active: proto.Bool(!m.left)}
	case "orders":
		d.Purchase = &pb.Purchase{OrderNumber: fmt.Sprintf("PO-%d", m.i/40), OrderedAt: r.first.Format(time.DateOnly)}
	}
	m.spell(r.source, hw)
	return o
}

// spell writes serial numbers and UUIDs as each source does.
func (m *machine) spell(source string, hw *pb.Hardware) {
	if !m.spelling {
		return
	}
	r := rand.New(rand.NewPCG(uint64(m.i), uint64(len(source))))
	switch source {
	case "orders":
		switch r.IntN(4) {
		case 0:
			hw.Serial = strings.ToLower(hw.Serial)
		case 1:
			hw.Serial = " " + hw.Serial[:4] + " " + hw.Serial[4:] + " "
		case 2:
			hw.Serial = strings.TrimLeft(hw.Serial, "0")
		case 3:
			if m.maker == "LENOVO" {
				hw.Serial = "1S" + m.model + hw.Serial
			} else if m.maker == "Apple Inc." {
				hw.Serial = "S" + hw.Serial
			}
		}
		hw.Manufacturer = pick(r, []string{strings.Fields(m.maker)[0], strings.ToUpper(m.maker), m.maker, ""})
	case "idp":
		hw.Manufacturer = strings.Fields(m.maker)[0]
	case "edr":
		hw.Uuid = strings.ToUpper(hw.Uuid)
		if r.IntN(3) == 0 {
			hw.Uuid = twin(hw.Uuid)
		}
		if strings.HasPrefix(hw.Serial, "VMware-") {
			hw.Serial = spaced(hw.Serial)
		}
	}
}

// twin writes a UUID in the other byte order.
func twin(u string) string {
	if len(u) != 36 {
		return u
	}
	return u[6:8] + u[4:6] + u[2:4] + u[0:2] + "-" + u[11:13] + u[9:11] + "-" + u[16:18] + u[14:16] + u[18:]
}

// spaced writes VMware's serial number as its SMBIOS does: in pairs of digits.
func spaced(s string) string {
	a, b, _ := strings.Cut(strings.TrimPrefix(s, "VMware-"), "-")
	pairs := func(h string) string {
		var out []string
		for i := 0; i+2 <= len(h); i += 2 {
			out = append(out, h[i:i+2])
		}
		return strings.Join(out, " ")
	}
	return "VMware-" + pairs(a) + "-" + pairs(b)
}
