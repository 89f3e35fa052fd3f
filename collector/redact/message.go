package redact

import (
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Message takes the person out of a message, which it modifies, and tells whether
// they were in it. Of an owner or user who is the person nothing stays, whatever
// else it says; of one who is somebody else only what names this person goes.
func (r *Redactor) Message(m proto.Message) bool { return r.message(m.ProtoReflect()) }

func (r *Redactor) message(m protoreflect.Message) bool {
	changed := r.record(m)
	if m.Descriptor().Name() == "TokenRecord" {
		changed = r.signedIn(m) || changed
	}
	if m.Descriptor().Name() == "Asset" {
		changed = r.disown(m) || changed
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if r.field(m, fd, v) {
			changed = true
		}
		return true
	})
	return changed
}

// field takes the person out of one field of a message.
func (r *Redactor) field(m protoreflect.Message, fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
	switch {
	case fd.IsMap():
		return r.entries(fd, v.Map())
	case fd.IsList():
		return r.items(m, fd, v.List())
	case fd.Kind() == protoreflect.StringKind:
		now, found := r.Text(v.String())
		if fd.Name() == "employee_id" && r.Names(v.String()) {
			now, found = "", true
		}
		if found {
			m.Set(fd, protoreflect.ValueOfString(now))
		}
		return found
	case fd.Message() != nil && r.theirs(v.Message()):
		m.Clear(fd)
		return true
	case fd.Message() != nil && r.message(v.Message()):
		return true
	}
	return false
}

func (r *Redactor) entries(fd protoreflect.FieldDescriptor, entries protoreflect.Map) bool {
	changed := false
	entries.Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
		if fd.MapKey().Kind() == protoreflect.StringKind && r.Within(k.String()) {
			entries.Clear(k)
			changed = true
			return true
		}
		switch {
		case fd.MapValue().Kind() == protoreflect.StringKind:
			if now, found := r.Text(v.String()); found {
				entries.Set(k, protoreflect.ValueOfString(now))
				changed = true
			}
		case fd.MapValue().Message() != nil:
			changed = r.message(v.Message()) || changed
		}
		return true
	})
	return changed
}

func (r *Redactor) items(m protoreflect.Message, fd protoreflect.FieldDescriptor, list protoreflect.List) bool {
	changed, kept := false, 0
	for i := range list.Len() {
		v := list.Get(i)
		switch {
		case fd.Kind() == protoreflect.StringKind:
			now, found := r.Text(v.String())
			if changed = changed || found; found && now == "" {
				continue
			}
			v = protoreflect.ValueOfString(now)
		case fd.Message() != nil:
			changed = r.message(v.Message()) || changed
		}
		list.Set(kept, v)
		kept++
	}
	if list.Truncate(kept); kept == 0 {
		m.Clear(fd)
	}
	return changed
}

// record takes out of a message that names one of the person's records its name.
func (r *Redactor) record(m protoreflect.Message) bool {
	fields := m.Descriptor().Fields()
	source, id := fields.ByName("source"), fields.ByName("source_id")
	if source == nil || id == nil || !r.records[Record{m.Get(source).String(), m.Get(id).String()}] {
		return false
	}
	m.Clear(id)
	return true
}

// signedIn takes out of a session of the person all that says whose it was.
func (r *Redactor) signedIn(m protoreflect.Message) bool {
	fields := m.Descriptor().Fields()
	if !r.Within(m.Get(fields.ByName("person")).String()) {
		return false
	}
	for _, name := range []protoreflect.Name{"person", "name", "subject"} {
		m.Clear(fields.ByName(name))
	}
	return true
}

// theirs tells whether an owner or user is the person: by the address where there
// is one, since two people may have one name.
func (r *Redactor) theirs(m protoreflect.Message) bool {
	switch m.Descriptor().Name() {
	case "Owner", "PrimaryUser":
	default:
		return false
	}
	for _, name := range []protoreflect.Name{"email", "name"} {
		fd := m.Descriptor().Fields().ByName(name)
		if text := m.Get(fd).String(); text != "" {
			return r.Within(text)
		}
	}
	return false
}

// disown takes out of an asset what was noted of an owner or user who is the
// person, or was said to be: who stated it, and what else was stated.
func (r *Redactor) disown(m protoreflect.Message) bool {
	fields := m.Descriptor().Fields()
	changed := false
	for _, group := range []string{"owner", "primary_user"} {
		conflicts := fields.ByName("conflicts")
		their := r.theirs(m.Get(fields.ByName(protoreflect.Name(group))).Message())
		if !their && !r.disputed(m.Get(conflicts).List(), group) {
			continue
		}
		below := func(path string) bool { return path == group || strings.HasPrefix(path, group+".") }
		if list := m.Mutable(conflicts).List(); list.Len() > 0 {
			kept := 0
			for i := range list.Len() {
				c := list.Get(i)
				if below(c.Message().Get(c.Message().Descriptor().Fields().ByName("field")).String()) {
					changed = true
					continue
				}
				list.Set(kept, c)
				kept++
			}
			list.Truncate(kept)
		}
		if !their {
			continue
		}
		from := m.Mutable(fields.ByName("provenance")).Map()
		from.Range(func(k protoreflect.MapKey, _ protoreflect.Value) bool {
			if below(k.String()) {
				from.Clear(k)
				changed = true
			}
			return true
		})
	}
	return changed
}

// disputed tells whether somebody says that the person is the owner or user.
func (r *Redactor) disputed(conflicts protoreflect.List, group string) bool {
	for i := range conflicts.Len() {
		c := conflicts.Get(i).Message()
		field := c.Get(c.Descriptor().Fields().ByName("field")).String()
		if field != group+".email" && field != group+".name" {
			continue
		}
		probe := proto.Clone(c.Interface())
		if r.message(probe.ProtoReflect()) {
			return true
		}
	}
	return false
}
