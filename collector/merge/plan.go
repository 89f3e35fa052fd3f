package merge

import (
	"sync"

	"google.golang.org/protobuf/reflect/protoreflect"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// field is one field of Device and where it goes in Asset.
type field struct {
	src, dst protoreflect.FieldDescriptor
	path     string
	ranks    map[string]int
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

// plan is the tree of all fields, built once.
var plan = sync.OnceValue(func() *field {
	device, asset := (*pb.Device)(nil).ProtoReflect().Descriptor(), (*pb.Asset)(nil).ProtoReflect().Descriptor()
	root := &field{ranks: ranks(precedence[""]), below: make(map[protoreflect.FieldNumber]*field)}
	for i := range device.Fields().Len() {
		src := device.Fields().Get(i)
		if derivedHere[string(src.Name())] {
			continue
		}
		root.add(src, asset.Fields().ByName(src.Name()), "")
	}
	return root
})

func (f *field) add(src, dst protoreflect.FieldDescriptor, prefix string) {
	path := prefix + string(src.Name())
	c := &field{src: src, dst: dst, path: path, ranks: f.ranks}
	if kinds, ok := precedence[path]; ok {
		c.ranks = ranks(kinds)
	}
	if src.Message() != nil && !src.IsList() && !src.IsMap() && !whole[src.Message().FullName()] {
		c.below = make(map[protoreflect.FieldNumber]*field)
		for i := range src.Message().Fields().Len() {
			sub := src.Message().Fields().Get(i)
			c.add(sub, sub, path+".")
		}
	}
	f.below[src.Number()] = c
	f.order = append(f.order, c)
}
