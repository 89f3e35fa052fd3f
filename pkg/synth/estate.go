package synth

import (
	"iter"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// Hazards are the ways in which the sources of an estate make it hard to tell
// which records are one device.
type Hazards uint32

// The hazards. Rates are shares of the devices that can have them.
const (
	// JunkSerials: boards with a placeholder for a serial number (5 % of the
	// computers), some also for a UUID (a quarter of these).
	JunkSerials Hazards = 1 << iota
	// UnlistedJunk: placeholders that no list has, shared by 2 to some hundred
	// machines: serial numbers (1.5 %) and UUIDs (0.5 %).
	UnlistedJunk
	// Clones: virtual machines copied with all their identifiers, two to four
	// alive at once (6 % of the virtual machines).
	Clones
	// Reimages: computers that were set up anew (8 %), with a new record in
	// the agent and in half of the others, often with a new name.
	Reimages
	// BoardSwaps: another UUID and other built-in network cards (2 %), in some
	// with the serial number lost; sources that lag still tell of the old one.
	BoardSwaps
	// DualBoots: one computer, two systems in turns (0.7 %).
	DualBoots
	// SharedDocks: the dock's address among a laptop's (40 %), now and then as
	// the only one that the MDM tells of.
	SharedDocks
	// Renames: another host name in some sources (6 %), and names that pass
	// from one device to its successor.
	Renames
	// DuplicateRecords: an older, silent record in the MDM beside the current
	// one (5 %).
	DuplicateRecords
	// NeverArrived: bought (2 % of the estate) and seen nowhere else.
	NeverArrived
	// NeverBought: seen, and on no purchase list (4 %).
	NeverBought
	// Leavers: owners who have left the company (4 %).
	Leavers
	// Lags: records last updated days to months ago (12 %).
	Lags
	// Lies: a record that states another machine's serial number (0.4 % of the
	// MDM's and EDR's) and numbers typed wrong on purchase lists (1 %).
	Lies
	// Spelling: case, spaces, hyphens, leading zeros, byte order of UUIDs, and
	// what bar codes have before the number.
	Spelling
	// Displays: at desks that laptops share (a third of them), some without a
	// number of their own, and bought: one in ten has the serial number of a computer.
	Displays

	NoHazards  Hazards = 0
	AllHazards Hazards = Displays<<1 - 1
)

// Now is when an estate is looked at.
var Now = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// Estate is a seeded population of devices, and what six sources state about
// it. It holds nothing in memory: each device is made when it is asked for.
type Estate struct {
	fleet   Fleet
	devices int
	hazards Hazards
}

// NewEstate returns the estate of a seed, of any number of devices.
func NewEstate(seed uint64, devices int, hazards Hazards) *Estate {
	return &Estate{fleet: Fleet{seed: seed}, devices: devices, hazards: hazards}
}

// Sources declares the estate's six sources.
func (e *Estate) Sources() []*storagepb.SourceRecord {
	return []*storagepb.SourceRecord{
		{Id: "agent", Kind: "agent", Unique: true, Title: "Rollcall agents"},
		{Id: "mdm", Kind: "mdm", Unique: true, Title: "Device management"},
		{Id: "edr", Kind: "edr", Unique: true, Title: "Endpoint detection"},
		{Id: "idp", Kind: "idp", Title: "Identity provider"},
		{Id: "orders", Kind: "purchasing", Title: "Purchase lists"},
		{Id: "cloud", Kind: "cloud", Unique: true, Title: "Clouds and hypervisors"},
	}
}

// Statement is one observation and the number of the device that it is truly
// about.
type Statement struct {
	Truth       int
	Observation *pb.Observation
}

// Statements returns all that the sources state, device by device and within a
// device by time, and the orders for displays last. Each record states itself at least twice where it lived for
// long: when it appeared, and last.
func (e *Estate) Statements() iter.Seq[Statement] {
	return func(yield func(Statement) bool) {
		for i := range e.devices {
			for _, s := range e.Device(i) {
				if !yield(s) {
					return
				}
			}
		}
		for _, s := range e.displayOrders() {
			if !yield(s) {
				return
			}
		}
	}
}

// Device returns all statements about device i, by time.
func (e *Estate) Device(i int) []Statement {
	m := e.machine(i)
	var out []Statement
	for _, r := range e.records(m) {
		last := r.observation(m)
		out = append(out, Statement{i, last})
		if r.first.Before(r.last) {
			first := r.observation(m)
			first.ObservedAt = timestamppb.New(r.first)
			if b := first.GetDevice().GetOs(); b.GetBootedAt() != nil {
				b.BootedAt = timestamppb.New(r.first.Add(-time.Hour))
			}
			out = append(out, Statement{i, first})
		}
	}
	slices.SortStableFunc(out, func(a, b Statement) int {
		return a.Observation.GetObservedAt().AsTime().Compare(b.Observation.GetObservedAt().AsTime())
	})
	return out
}

// chance tells whether a device has a hazard that a share of devices have.
func (e *Estate) chance(i int, h Hazards, aspect string, share float64) bool {
	return e.hazards&h != 0 && e.fleet.rand(i, aspect).Float64() < share
}
