package merge

import (
	"google.golang.org/protobuf/reflect/protoreflect"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// derivedLeaves are fields inside a group that no source states.
var derivedLeaves = map[string]bool{"storage.system_free_pct": true, "os.cycle": true, "os.eol": true, "os.supported": true}

// Expand gives every field of an asset that Merge made its own entry of
// provenance, as users see it: an asset is stored with one entry for a whole
// group where one statement gave it, which is most of them. It modifies a,
// which must be the caller's own; what it already has stays.
func Expand(a *pb.Asset) {
	m := a.ProtoReflect()
	for _, c := range plan().order {
		expand(a, c, m)
	}
}

func expand(a *pb.Asset, c *field, parent protoreflect.Message) {
	if c.below == nil || !parent.Has(c.dst) {
		return
	}
	from, whole := a.Provenance[c.path]
	m := parent.Get(c.dst).Message()
	if !whole {
		for _, sub := range c.order {
			expand(a, sub, m)
		}
		return
	}
	delete(a.Provenance, c.path)
	credit(a, c, m, from)
}

// credit records that every field of a group that is set comes from one
// statement.
func credit(a *pb.Asset, c *field, m protoreflect.Message, from *pb.Provenance) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		sub := c.below[fd.Number()]
		switch {
		case sub == nil || derivedLeaves[sub.path]:
		case sub.below != nil:
			credit(a, sub, v.Message(), from)
		default:
			a.Provenance[sub.path] = from
		}
		return true
	})
}
