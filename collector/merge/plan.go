package merge

import (
	"google.golang.org/protobuf/reflect/protoreflect"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// field is one field of Device and where it goes in Asset.
type field struct {
	src, dst protoreflect.FieldDescriptor
	path     string
	// rule is whom to believe on it.
	rule *rule
	// below are the fields of a group, by number; nil for a value that is taken
	// whole: scalars, lists, maps and the messages that are one value.
	below map[protoreflect.FieldNumber]*field
	order []*field
}

// whole are the messages that are one value and not a group of fields.
var whole = map[protoreflect.FullName]bool{
	"google.protobuf.Timestamp": true,
	"rollcall.v1.Money":         true,
}

// derivedHere are the fields of Device that merge computes from all statements
// together, and the identifiers, which are identity's.
var derivedHere = map[string]bool{"software": true, "warranty": true, "warranties": true, "labels": true, "identifiers": true}

// plan is the tree of all fields with the default rules.
func plan() *field { return DefaultTable().root }

// newPlan returns the tree of all fields, with their rules.
func newPlan(rules map[string]*rule) *field {
	device, asset := (*pb.Device)(nil).ProtoReflect().Descriptor(), (*pb.Asset)(nil).ProtoReflect().Descriptor()
	root := &field{rule: rules[""], below: make(map[protoreflect.FieldNumber]*field)}
	for i := range device.Fields().Len() {
		src := device.Fields().Get(i)
		if derivedHere[string(src.Name())] {
			continue
		}
		root.add(src, asset.Fields().ByName(src.Name()), "", rules)
	}
	return root
}

func (f *field) add(src, dst protoreflect.FieldDescriptor, prefix string, rules map[string]*rule) {
	path := prefix + string(src.Name())
	c := &field{src: src, dst: dst, path: path, rule: f.rule}
	if r, ok := rules[path]; ok {
		c.rule = r
	}
	if src.Message() != nil && !src.IsList() && !src.IsMap() && !whole[src.Message().FullName()] {
		c.below = make(map[protoreflect.FieldNumber]*field)
		for i := range src.Message().Fields().Len() {
			sub := src.Message().Fields().Get(i)
			c.add(sub, sub, path+".", rules)
		}
	}
	f.below[src.Number()] = c
	f.order = append(f.order, c)
}
