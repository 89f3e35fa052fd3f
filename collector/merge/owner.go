package merge

import (
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// ownerFields names, for a field of an asset's owner, the field of a person
// that it follows.
var ownerFields = []struct{ owner, person protoreflect.Name }{
	{"name", "name"}, {"department", "department"}, {"cost_center", "cost_center"}, {"manager", "manager"}, {"title", "title"}, {"active", "status"},
}

// OwnerOf returns what an asset says of its owner where it is this person; the
// e-mail address is left to who assigned the asset.
func OwnerOf(p *adminpb.Person) *pb.Owner {
	o := &pb.Owner{Department: p.GetDepartment(), CostCenter: p.GetCostCenter(), Manager: p.GetManager(), Title: p.GetTitle()}
	if p.GetProvenance()["name"] != nil {
		o.Name = p.GetName()
	}
	switch p.GetStatus() {
	case StatusActive:
		o.Active = proto.Bool(true)
	case StatusSuspended, StatusDeparted:
		o.Active = proto.Bool(false)
	}
	return o
}

// Own lets an asset that is assigned to a person say of its owner what is known
// of the person: who assigned it may know the name as it was then. What an
// operator says of the owner stays. It replaces messages of the asset and does
// not modify those that are shared with observations.
func Own(a *pb.Asset, p *adminpb.Person) {
	known, owner := OwnerOf(p).ProtoReflect(), proto.CloneOf(a.GetOwner())
	m := owner.ProtoReflect()
	for _, f := range ownerFields {
		fd := m.Descriptor().Fields().ByName(f.owner)
		from := p.GetProvenance()[string(f.person)]
		if !known.Has(fd) || from == nil {
			continue
		}
		path := "owner." + string(f.owner)
		if stated := statedBy(a, path); m.Has(fd) {
			if kindOf(a, stated) == KindOperator {
				continue
			}
			dispute(a, path, fd, disputed{known.Get(fd), from}, disputed{m.Get(fd), stated})
		}
		m.Set(fd, known.Get(fd))
		a.Provenance[path] = from
	}
	a.Owner = owner
}

// statedBy returns who gave a field of the owner.
func statedBy(a *pb.Asset, path string) *pb.Provenance {
	if p := a.GetProvenance()[path]; p != nil {
		return p
	}
	return a.GetProvenance()["owner"]
}

func kindOf(a *pb.Asset, from *pb.Provenance) string {
	i := slices.IndexFunc(a.GetSources(), func(s *pb.AssetSource) bool {
		return s.GetSource() == from.GetSource() && s.GetSourceId() == from.GetSourceId()
	})
	if i < 0 {
		return ""
	}
	return a.GetSources()[i].GetKind()
}

// disputed is a value and who states it.
type disputed struct {
	value protoreflect.Value
	from  *pb.Provenance
}

func (d disputed) conflicting(fd protoreflect.FieldDescriptor) *pb.ConflictValue {
	return &pb.ConflictValue{Value: plain(fd, d.value), Source: d.from.GetSource(), SourceId: d.from.GetSourceId(), ObservedAt: d.from.GetObservedAt()}
}

// dispute notes that a value that was best lost to another.
func dispute(a *pb.Asset, path string, fd protoreflect.FieldDescriptor, won, lost disputed) {
	best := won.conflicting(fd)
	i := slices.IndexFunc(a.GetConflicts(), func(c *pb.Conflict) bool { return c.GetField() == path })
	if i < 0 {
		if won.value.Equal(lost.value) {
			return
		}
		a.Conflicts = append(a.Conflicts, &pb.Conflict{Field: path, Values: []*pb.ConflictValue{best, lost.conflicting(fd)}})
		return
	}
	others := slices.DeleteFunc(slices.Clone(a.Conflicts[i].GetValues()), func(v *pb.ConflictValue) bool { return proto.Equal(v.GetValue(), best.GetValue()) })
	a.Conflicts[i] = &pb.Conflict{Field: path, Values: append([]*pb.ConflictValue{best}, others...)}
}
