package merge

import (
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// States of a person, as Profile.status has them.
const (
	StatusActive    = "active"
	StatusSuspended = "suspended"
	StatusDeparted  = "departed"
)

// peoplePrecedence is for people what precedence is for devices: a directory
// knows best, then the lists of personnel, then what a device manager was told
// once.
var peoplePrecedence = []string{KindOperator, KindIDP, KindFile, KindSaaS, KindMDM, KindPurchasing, KindEDR, KindAgent}

// gathered are the fields of a person that all sources together give.
var gathered = map[string]bool{"emails": true, "apps": true, "labels": true}

// personPlan is the tree of the fields of a person, built once.
var personPlan = sync.OnceValue(func() *field {
	root := &field{rule: newRule(peoplePrecedence, 0, false), below: make(map[protoreflect.FieldNumber]*field)}
	root.addPerson((*pb.Profile)(nil).ProtoReflect().Descriptor(), (*adminpb.Person)(nil).ProtoReflect().Descriptor(), "")
	return root
})

func (f *field) addPerson(src, dst protoreflect.MessageDescriptor, prefix string) {
	for i := range src.Fields().Len() {
		fd := src.Fields().Get(i)
		path := prefix + string(fd.Name())
		if gathered[path] {
			continue
		}
		c := &field{src: fd, dst: dst.Fields().ByName(fd.Name()), path: path, rule: f.rule}
		if fd.Message() != nil && !fd.IsList() && !fd.IsMap() && !whole[fd.Message().FullName()] {
			c.below = make(map[protoreflect.FieldNumber]*field)
			c.addPerson(fd.Message(), c.dst.Message(), path+".")
		}
		f.below[fd.Number()] = c
		f.order = append(f.order, c)
	}
}

// Person returns the person that the statements make, as Merge does for
// devices.
func Person(id string, redirects []string, stmts []Statement) *adminpb.Person {
	stmts = slices.Clone(stmts)
	slices.SortFunc(stmts, compareStatements)
	p := &adminpb.Person{Id: id, Redirects: redirects}
	// The merger notes where values come from on an asset.
	notes := &pb.Asset{Provenance: make(map[string]*pb.Provenance, 16)}
	all := make([]said, 0, len(stmts))
	for i := range stmts {
		s := &stmts[i]
		o := s.Observation
		all = append(all, said{msg: o.GetPerson().ProtoReflect(), stmt: s, from: &pb.Provenance{
			Source: o.GetSource(), SourceId: o.GetSourceId(), ObservedAt: o.GetObservedAt()}})
		p.Sources = append(p.Sources, &pb.AssetSource{Source: o.GetSource(), Kind: s.Kind, SourceId: o.GetSourceId(),
			FirstSeen: timestamppb.New(s.FirstSeen), LastSeen: o.GetObservedAt()})
		if i == 0 || s.FirstSeen.Before(p.FirstSeen.AsTime()) {
			p.FirstSeen = timestamppb.New(s.FirstSeen)
		}
		if at := o.GetObservedAt(); p.LastSeen == nil || at.AsTime().After(p.LastSeen.AsTime()) {
			p.LastSeen = at
		}
	}
	personPlan().rule.sort(all, false)
	gather(p, all, notes)
	m := merger{asset: notes}
	m.group(p.ProtoReflect(), personPlan(), current(all))
	p.Provenance, p.Conflicts = notes.Provenance, notes.Conflicts
	creditLocation(p)
	if p.Name == "" {
		p.Name = firstOf(strings.TrimSpace(p.GetGivenName()+" "+p.GetFamilyName()), firstOf(p.GetEmails()...), p.GetUpn(), p.GetAccount(), p.GetEmployeeId())
	}
	return p
}

// current leaves out the accounts that are closed where the same source has one
// that is not: somebody who came back is not somebody who left.
func current(all []said) []said {
	status := func(s said) string { return s.stmt.Observation.GetPerson().GetStatus() }
	return slices.DeleteFunc(slices.Clone(all), func(s said) bool {
		return status(s) == StatusDeparted && slices.ContainsFunc(all, func(other said) bool {
			return other.from.GetSource() == s.from.GetSource() && status(other) != StatusDeparted
		})
	})
}

// gather fills the fields that all sources together give, from the best first.
func gather(p *adminpb.Person, all []said, notes *pb.Asset) {
	for _, s := range all {
		profile := s.stmt.Observation.GetPerson()
		for _, e := range profile.GetEmails() {
			e = strings.ToLower(strings.TrimSpace(e))
			if e == "" || slices.Contains(p.Emails, e) {
				continue
			}
			if p.Emails = append(p.Emails, e); len(p.Emails) == 1 {
				notes.Provenance["emails"] = s.from
			}
		}
		for _, a := range profile.GetApps() {
			a = proto.CloneOf(a)
			a.Source = s.from.GetSource()
			p.Apps = append(p.Apps, a)
		}
		for k, v := range profile.GetLabels() {
			if _, ok := p.Labels[k]; ok {
				continue
			}
			if p.Labels == nil {
				p.Labels = make(map[string]string)
			}
			p.Labels[k] = v
			notes.Provenance["labels."+k] = s.from
		}
	}
	slices.SortStableFunc(p.Apps, func(a, b *pb.AppAccess) int {
		return strings.Compare(strings.ToLower(a.GetName()), strings.ToLower(b.GetName()))
	})
	p.Apps = slices.CompactFunc(p.Apps, func(a, b *pb.AppAccess) bool { return proto.Equal(a, b) })
}

// creditLocation gives each field of the location its own entry of provenance.
func creditLocation(p *adminpb.Person) {
	from, ok := p.Provenance["location"]
	if !ok {
		return
	}
	delete(p.Provenance, "location")
	p.GetLocation().ProtoReflect().Range(func(fd protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		p.Provenance["location."+string(fd.Name())] = from
		return true
	})
}
