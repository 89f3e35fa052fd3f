package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/collector/compliance"
	"github.com/rollcall-itam/rollcall/collector/identity"
	"github.com/rollcall-itam/rollcall/collector/policy"
	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	// maxContextDevices is how many devices a context lists: who has more is a
	// pool, and the answer must be quick.
	maxContextDevices = 50
	// quietAfter is after how long a device that says nothing deserves a look.
	quietAfter = 14 * 24 * time.Hour
	// fullBelow is the free part of the system volume, in percent, below which it
	// is nearly full.
	fullBelow = 10
)

// GetPersonContext tells what a service desk needs of a person. Of an address
// that no directory knows it tells the devices alone.
func (s *Service) GetPersonContext(ctx context.Context, r *adminpb.GetPersonContextRequest) (*adminpb.PersonContext, error) {
	out := new(adminpb.PersonContext)
	err := s.Store.View(ctx, func(tx *store.Tx) error {
		f := s.fleet(ctx)
		p, err := f.person(tx, r.GetId())
		if status.Code(err) == codes.NotFound {
			p, err = f.strange(r.GetId(), err)
		}
		if err != nil {
			return err
		}
		out.Person = p
		ids := f.With(addressesOf(p)...)
		p.DeviceCount = proto.Int32(int32(len(ids)))
		if more := len(ids) - maxContextDevices; more > 0 {
			out.MoreDevices, ids = int32(more), ids[more:] // the ids of the newest are the greatest
		}
		for _, id := range ids {
			if err := s.addDevice(ctx, tx, out, id); err != nil {
				return err
			}
		}
		return s.Catalog.DatePerson(tx, p)
	})
	if err != nil {
		return nil, s.answer("read the person's context", err)
	}
	slices.SortStableFunc(out.Devices, func(a, b *adminpb.PersonDevice) int {
		return cmp.Or(cmp.Compare(a.GetRelation(), b.GetRelation()), b.GetLastSeen().AsTime().Compare(a.GetLastSeen().AsTime()))
	})
	out.Location = whereabouts(out)
	out.Attention = attention(out, s.Now())
	return out, nil
}

// strange returns whoever devices name by an address that nobody else knows, or
// the error.
func (f fleet) strange(id string, unknown error) (*adminpb.Person, error) {
	key, ok := identity.PersonKey(identity.Email, "", id)
	if !ok || len(f.With(key.Value)) == 0 {
		return nil, unknown
	}
	return &adminpb.Person{Emails: []string{key.Value}}, nil
}

// addDevice adds a device in short; one that ended a moment ago is passed over.
func (s *Service) addDevice(ctx context.Context, tx *store.Tx, out *adminpb.PersonContext, id string) error {
	a, err := s.fleet(ctx).asset(tx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	a.Provenance, a.Conflicts = nil, nil // nobody asks here who says so
	if err := s.Catalog.Date(tx, a); err != nil {
		return err
	}
	d := deviceOf(a)
	if s.Compliance != nil {
		open, _ := s.Compliance.Open(id)
		for _, f := range open {
			if compliance.StateOf(f) == compliance.Waived {
				continue
			}
			told, err := s.findingOf(ctx, tx, f)
			if err != nil {
				return err
			}
			d.Findings = append(d.Findings, told)
		}
		slices.SortStableFunc(d.Findings, func(a, b *adminpb.Finding) int {
			return cmp.Or(cmp.Compare(gravity(a.GetSeverity()), gravity(b.GetSeverity())), cmp.Compare(a.GetRule(), b.GetRule()))
		})
	}
	out.Devices = append(out.Devices, d)
	return nil
}

// gravity orders severities, the worst first.
func gravity(severity string) int { return slices.Index(policy.Severities, policy.Severity(severity)) }

func deviceOf(a *pb.Asset) *adminpb.PersonDevice {
	hw, os, disk := a.GetHardware(), a.GetOs(), a.GetStorage()
	d := &adminpb.PersonDevice{
		AssetId: a.GetId(), Name: a.GetName(), Relation: "owner", Class: a.GetClass(), Stage: a.GetStage(), Manufacturer: hw.GetManufacturer(), Model: hw.GetModel(),
		Serial: hw.GetSerial(), AssetTag: hw.GetAssetTag(), LastSeen: a.GetLastSeen(), OsName: cmp.Or(os.GetName(), os.GetFamily()), OsVersion: os.GetVersion(), OsEol: os.GetEol(),
		Warranty: a.GetWarranty(), DiskEncryption: a.GetSecurity().GetDiskEncryption().GetState(), Location: a.GetLocation(),
		LastAddress: a.GetNetwork().GetLastAddress(), SoftwareCount: a.SoftwareCount,
	}
	if os != nil {
		d.OsSupported = os.Supported
	}
	if disk != nil {
		d.SystemSizeBytes, d.SystemFreeBytes, d.SystemFreePct = disk.SystemSizeBytes, disk.SystemFreeBytes, disk.SystemFreePct
	}
	if a.GetMdm() != nil {
		d.MdmCompliant = a.GetMdm().Compliant
	}
	if a.GetPatch() != nil {
		d.RebootRequired = a.GetPatch().RebootRequired
	}
	if a.GetOwner().GetEmail() == "" {
		d.Relation = "user"
	}
	return d
}

// whereabouts returns where a person is: by the directory, or else by the
// device that was heard of last.
func whereabouts(c *adminpb.PersonContext) *pb.Location {
	if l := c.GetPerson().GetLocation(); l != nil {
		return l
	}
	var best *adminpb.PersonDevice
	for _, d := range c.GetDevices() {
		if d.GetLocation() != nil && (best == nil || d.GetLastSeen().AsTime().After(best.GetLastSeen().AsTime())) {
			best = d
		}
	}
	return best.GetLocation()
}

// attention says what deserves a look: of the person first, then by device.
func attention(c *adminpb.PersonContext, now time.Time) []string {
	var all []string
	switch st := c.GetPerson().GetStatus(); {
	case st == "departed" && c.GetPerson().GetDeviceCount() > 0:
		all = append(all, fmt.Sprintf("The person left, and %s.", devicesAre(c.GetPerson().GetDeviceCount())))
	case st == "departed":
		all = append(all, "The person left.")
	case st == "suspended":
		all = append(all, "The person's account is suspended.")
	}
	for _, d := range c.GetDevices() {
		for _, said := range troubles(d, now) {
			all = append(all, cmp.Or(d.GetName(), d.GetSerial(), d.GetAssetId())+" "+said+".")
		}
	}
	return all
}

func devicesAre(n int32) string {
	if n == 1 {
		return "a device is still theirs"
	}
	return fmt.Sprintf("%d devices are still theirs", n)
}

// troubles says what is wrong with a device, as ends of sentences.
func troubles(d *adminpb.PersonDevice, now time.Time) []string {
	var all []string
	grave := slices.DeleteFunc(slices.Clone(d.GetFindings()), func(f *adminpb.Finding) bool { return gravity(f.GetSeverity()) > gravity(string(policy.High)) })
	switch len(grave) {
	case 0:
	case 1:
		all = append(all, "fails a rule of "+grave[0].GetSeverity()+" severity: "+grave[0].GetTitle())
	default:
		all = append(all, fmt.Sprintf("fails %d rules of high or critical severity, the worst: %s", len(grave), grave[0].GetTitle()))
	}
	if d.GetDiskEncryption() == "off" {
		all = append(all, "is not encrypted")
	}
	if d.OsSupported != nil && !d.GetOsSupported() {
		all = append(all, strings.TrimSpace("runs "+d.GetOsName()+" "+d.GetOsVersion())+", which its maker supports no longer")
	}
	if d.SystemFreePct != nil && d.GetSystemFreePct() < fullBelow {
		all = append(all, fmt.Sprintf("has %.1f %% of its system volume free", d.GetSystemFreePct()))
	}
	if d.GetRebootRequired() {
		all = append(all, "waits for a restart")
	}
	if seen := d.GetLastSeen(); seen != nil && now.Sub(seen.AsTime()) > quietAfter {
		all = append(all, fmt.Sprintf("was last heard of %d days ago", int(now.Sub(seen.AsTime()).Hours()/24)))
	}
	if end := d.GetWarranty().GetEnd(); end != "" && end < now.Format(time.DateOnly) {
		all = append(all, "is out of warranty since "+end)
	}
	return all
}
