package api

import (
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Bounds of a field mask.
const (
	maxMaskBytes = 8 << 10
	maxMaskPaths = 500
)

// mask tells which fields of a message to answer with.
type mask struct {
	// whole keeps the field with all that is below it.
	whole bool
	// below holds what is wanted of a message by name of field, and of a map by
	// key.
	below map[string]*mask
}

// parseMask reads comma-separated field paths, as in "name,hardware.serial";
// a path goes through lists, and what follows a map's name is a key of it, dots
// included. Nil, for an empty text, means everything.
func parseMask(fields string, d protoreflect.MessageDescriptor) (*mask, error) {
	if fields == "" {
		return nil, nil
	}
	if len(fields) > maxMaskBytes || strings.Count(fields, ",") >= maxMaskPaths {
		return nil, status.Errorf(codes.InvalidArgument, "fields is too long: at most %d paths of %d bytes together", maxMaskPaths, maxMaskBytes)
	}
	root := &mask{below: make(map[string]*mask)}
	for path := range strings.SplitSeq(fields, ",") {
		path = strings.TrimSpace(path)
		if !root.add(path, d) {
			return nil, status.Errorf(codes.InvalidArgument, "fields names %.100q, which %s does not have%s: paths are comma-separated names of the schema, as in name,hardware.serial; see /openapi.json",
				path, d.Name(), meant(path, d))
		}
	}
	return root, nil
}

// add takes a path into the mask; it returns false where d has no such field.
func (m *mask) add(path string, d protoreflect.MessageDescriptor) bool {
	name, rest, more := strings.Cut(path, ".")
	fd := d.Fields().ByName(protoreflect.Name(name))
	if fd == nil || (more && rest == "") {
		return false
	}
	sub := m.sub(name)
	switch {
	case !more:
		sub.whole = true
		return true
	case fd.IsMap():
		sub.sub(rest).whole = true
		return true
	case fd.Message() == nil || fd.Message().ParentFile().Package() != d.ParentFile().Package():
		return false // a value, or a time, which is one value in JSON
	}
	return sub.add(rest, fd.Message())
}

func (m *mask) sub(name string) *mask {
	if m.below == nil {
		m.below = make(map[string]*mask)
	}
	s, ok := m.below[name]
	if !ok {
		s = new(mask)
		m.below[name] = s
	}
	return s
}

// wants tells whether anything of a field of the message itself is asked for.
func (m *mask) wants(name string) bool {
	return m == nil || m.whole || m.below[name] != nil
}

// apply clears all that the mask does not ask for.
func (m *mask) apply(msg protoreflect.Message) {
	if m == nil || m.whole {
		return
	}
	msg.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		sub := m.below[string(fd.Name())]
		switch {
		case sub == nil:
			msg.Clear(fd)
		case sub.whole:
		case fd.IsMap():
			entries := v.Map()
			entries.Range(func(k protoreflect.MapKey, _ protoreflect.Value) bool {
				if sub.below[k.String()] == nil {
					entries.Clear(k)
				}
				return true
			})
		case fd.IsList():
			for i := range v.List().Len() {
				sub.apply(v.List().Get(i).Message())
			}
		default:
			sub.apply(v.Message())
		}
		return true
	})
}
