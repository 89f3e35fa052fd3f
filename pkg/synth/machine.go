package synth

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// machine is the truth about one device.
type machine struct {
	i                    int
	kind                 kind
	maker, model         string
	chassis, family      string
	serial, uuid         string
	imei                 string
	cloudID              string
	name, formerName     string
	wired, wifi, dock    string
	disk                 string
	owner                string
	left                 bool
	born                 time.Time
	swapped, reimaged    time.Time
	oldUUID, oldWired    string
	oldSerial            string
	dual                 bool
	edrID, formerEdrID   string
	mdmID, formerMdmID   string
	directoryID          string
	junkSerial, lostTag  bool
	arrived, bought, two bool
	spelling             bool
	displays             []*pb.Display
}

type kind int

const (
	laptop kind = iota
	desktop
	phone
	guest
	instance
)

// family is how many neighbouring numbers are of one kind, so that a template
// and its copies are.
const family = 4

// brand is a maker with what it is called on its boards.
type brand struct {
	maker, model, chassis, os string
	kind                      kind
	serial                    func(n int) string
}

var brands = []brand{
	{"Dell Inc.", "Latitude 7450", "notebook", "windows", laptop, func(n int) string { return number(n, 6) + "3" }},
	{"LENOVO", "21HD0051GE", "notebook", "windows", laptop, func(n int) string { return "PF" + number(n, 6) }},
	{"HP", "HP EliteBook 840 14 inch G10 Notebook PC", "notebook", "windows", laptop, func(n int) string { return "5CG4" + number(n, 6) }},
	{"Apple Inc.", "Mac15,6", "laptop", "macos", laptop, func(n int) string { return "C02F" + number(n, 6) + "Q6" }},
	{"ASUSTeK COMPUTER INC.", "ExpertBook B9403", "notebook", "linux", laptop, func(n int) string { return "N3NRKD0" + number(n, 8) }},
	{"Dell Inc.", "OptiPlex 7010", "desktop", "windows", desktop, func(n int) string { return number(n, 6) + "2" }},
	{"Micro-Star International Co., Ltd.", "MS-7D25", "desktop", "linux", desktop, func(n int) string { return fmt.Sprintf("%012d", 7000000000+n) }},
	{"Supermicro", "SYS-1029P-WTR", "rack mount chassis", "linux", desktop, func(n int) string { return "S2" + number(n, 7) + "0210" }},
}

// machine makes device i.
func (e *Estate) machine(i int) *machine {
	r := e.fleet.rand(i, "machine")
	m := &machine{i: i, born: Now.AddDate(0, 0, -30-r.IntN(900)), spelling: e.hazards&Spelling != 0}
	m.kind = e.kindOf(i)
	// An odd multiplier without common divisor with 34^6 keeps numbers distinct.
	n := (i*777_777_779 + 12_345) % (34 * 34 * 34 * 34 * 34 * 34)
	m.uuid, m.disk = uuid(r), token(r, 14)
	m.wired, m.wifi = mac(r, "a4:bb"), mac(r, "dc:21")
	m.name = fmt.Sprintf("%s-%s", pick(r, sites), strings.ToLower(number(n, 6)))
	m.owner = fmt.Sprintf("%s.%d@example.com", pick(r, people), i)
	m.edrID, m.formerEdrID = hexToken(r), hexToken(r)
	m.mdmID, m.formerMdmID, m.directoryID = uuid(r), uuid(r), uuid(r)
	switch m.kind {
	case laptop, desktop:
		e.computer(m, n)
	case phone:
		m.maker, m.model, m.family, m.chassis = "Apple", "iPhone15,2", "ios", "phone"
		m.serial, m.imei = "F17"+number(n, 7)+"P", imei(n)
		m.wired = ""
	case guest, instance:
		e.virtual(m)
	}
	m.left = e.chance(i, Leavers, "leaver", 0.04)
	m.bought = m.kind <= phone && !e.chance(i, NeverBought, "bought", 0.04)
	m.arrived = m.kind > phone || !e.chance(i, NeverArrived, "arrived", 0.02)
	m.two = e.chance(i, DuplicateRecords, "duplicate", 0.05)
	e.events(m)
	m.displays = e.displaysOf(m)
	return m
}

func (e *Estate) kindOf(i int) kind {
	switch x := e.fleet.rand(i/family, "kind").IntN(100); {
	case x < 50:
		return laptop
	case x < 70:
		return desktop
	case x < 80:
		return phone
	case x < 93:
		return guest
	}
	return instance
}

// computer gives a machine of metal its make and numbers.
func (e *Estate) computer(m *machine, n int) {
	r := e.fleet.rand(m.i, "brand")
	var of []brand
	for _, b := range brands {
		if b.kind == m.kind {
			of = append(of, b)
		}
	}
	b := pick(r, of)
	m.maker, m.model, m.chassis, m.family, m.serial = b.maker, b.model, b.chassis, b.os, b.serial(n)
	switch {
	case e.chance(m.i, JunkSerials, "junk", 0.05):
		m.maker, m.model, m.family = pick(r, []string{"System manufacturer", "To Be Filled By O.E.M.", "Gigabyte Technology Co., Ltd."}), "Default string", "linux"
		m.serial, m.junkSerial = pick(r, listedJunk), true
		if r.IntN(4) == 0 {
			m.uuid = pick(r, []string{"03000200-0400-0500-0006-000700080009", "ffffffff-ffff-ffff-ffff-ffffffffffff"})
		}
	case e.chance(m.i, UnlistedJunk, "unlisted", 0.015):
		p := e.pool(r, "serial")
		m.serial, m.junkSerial = "SN"+number(p, 3)+token(e.fleet.rand(p, "junk"), 4), true
		m.maker, m.model, m.family = "Shenzhen Mini PC", fmt.Sprintf("N%d", 100+p%9), "linux"
	case e.chance(m.i, UnlistedJunk, "unlisted uuid", 0.005):
		m.uuid = uuid(e.fleet.rand(e.pool(r, "uuid"), "junk uuid"))
	}
	if m.kind == laptop && e.chance(m.i, SharedDocks, "dock", 0.4) {
		// Thirty people share a dock; one dock in five is of a make that no list has.
		d := e.fleet.rand(r.IntN(e.devices/30+1), "dock")
		m.dock = mac(d, pick(d, []string{"9c:eb:e8", "a0:ce:c8", "00:50:b6", "3c:18:a0", "b8:27:eb"}))
	}
}

// pool draws one of the placeholders that devices share, few of which are on
// many devices.
func (e *Estate) pool(r *rand.Rand, aspect string) int {
	pools := float64(e.devices)/500 + 3
	return int(math.Pow(r.Float64(), 2.5)*pools)*2 + len(aspect)%2
}

var listedJunk = []string{"Default string", "To be filled by O.E.M.", "System Serial Number", "None", "0123456789", "XXXXXXXX", "Not Specified"}

// virtual makes a guest; copies have the identifiers of the first of their
// family, and network cards and names of their own.
func (e *Estate) virtual(m *machine) {
	r := e.fleet.rand(m.i, "virtual")
	m.family, m.wifi = "linux", ""
	if m.kind == instance {
		m.maker, m.model = "Amazon EC2", "m7i.large"
		m.uuid = "ec2" + m.uuid[3:]
		m.serial, m.cloudID = m.uuid, fmt.Sprintf("i-0%016x", r.Int64())
		return
	}
	m.wired = mac(r, "00:50:56")
	m.maker, m.model = "VMware, Inc.", "VMware7,1"
	first := m.i / family * family
	if e.chance(first, Clones, "copies", 0.08) && m.i-first <= 1+first/family%3 {
		m.uuid = uuid(e.fleet.rand(first, "template"))
	}
	h := strings.ReplaceAll(m.uuid, "-", "")
	m.serial = "VMware-" + h[:16] + "-" + h[16:]
}

// events says what happened to a machine of metal in its life.
func (e *Estate) events(m *machine) {
	if m.kind > desktop {
		if m.kind != phone && e.chance(m.i, Renames, "rename", 0.03) {
			m.formerName = "old-" + m.name
		}
		return
	}
	r := e.fleet.rand(m.i, "events")
	life := func() time.Time {
		return m.born.Add(time.Duration(r.Int64N(int64(Now.Sub(m.born)-48*time.Hour))) + 24*time.Hour)
	}
	switch {
	case e.chance(m.i, Reimages, "reimage", 0.08):
		m.reimaged = life()
		if e.hazards&Renames != 0 && r.IntN(2) == 0 {
			m.formerName = fmt.Sprintf("desktop-%s", strings.ToLower(token(r, 7)))
		}
	case e.chance(m.i, BoardSwaps, "board", 0.02):
		m.swapped = life()
		m.oldUUID, m.oldWired, m.oldSerial = m.uuid, m.wired, m.serial
		m.uuid, m.wired = uuid(r), mac(r, "a4:bb")
		m.lostTag = r.IntN(6) == 0
	case e.chance(m.i, DualBoots, "dual", 0.007):
		m.dual = true
	case e.chance(m.i, Renames, "rename", 0.06):
		m.formerName = fmt.Sprintf("old-%s", m.name)
		if r.IntN(4) == 0 {
			m.formerName = e.machineName((m.i + family*7) % e.devices) // now another device's
		}
	}
}

// machineName is the name of another device, without the rest of it.
func (e *Estate) machineName(i int) string {
	other := &Estate{fleet: e.fleet, devices: e.devices}
	return other.machine(i).name
}

func mac(r *rand.Rand, prefix string) string {
	for len(prefix) < 17 {
		prefix += fmt.Sprintf(":%02x", r.IntN(256))
	}
	return prefix
}

func hexToken(r *rand.Rand) string { return fmt.Sprintf("%016x%016x", r.Uint64(), r.Uint64()) }

// imei returns the n-th IMEI of one type of phone, with its check digit.
func imei(n int) string {
	s := fmt.Sprintf("35290611%06d", n%1_000_000)
	sum := 0
	for i, c := range s {
		d := int(c - '0')
		if i%2 == 1 {
			d = d*2 - d*2/10*9
		}
		sum += d
	}
	return s + fmt.Sprint((10-sum%10)%10)
}
