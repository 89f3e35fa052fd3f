// Package history tells what changed between two states of an asset or a person,
// and takes changes back: it is pure.
package history

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// field is one field whose changes are told: a scalar, a list or a map as a
// whole, or a message that is one value.
type field struct {
	path string
	// chain leads to the field from the asset or person.
	chain []protoreflect.FieldDescriptor
}

// whole are the messages that are one value and not a group of fields.
var whole = map[protoreflect.FullName]bool{
	"google.protobuf.Timestamp": true,
	"rollcall.v1.Money":         true,
	"rollcall.v1.FindingCounts": true,
}

// untold are the fields that say nothing of the thing itself, or that are not
// stored with it: its name, when it was last heard of, what is counted elsewhere.
var untold = map[string]bool{"id": true, "last_seen": true, "findings": true, "device_count": true}

// bookkeeping are the fields that a past state needs, and that people who ask
// what changed do not want to read.
var bookkeeping = map[string]bool{"provenance": true, "sources": true, "conflicts": true, "redirects": true, "first_seen": true}

// Bookkeeping tells whether changes of a field are of no interest by themselves.
func Bookkeeping(path string) bool { return bookkeeping[path] }

// Subject is what has a history.
type Subject interface {
	*pb.Asset | *adminpb.Person
	proto.Message
}

// fieldsOf are all fields of a subject whose changes are told, by path.
func fieldsOf[S Subject]() map[string]*field {
	if _, person := any(S(nil)).(*adminpb.Person); person {
		return personFields()
	}
	return fields()
}

var (
	fields       = sync.OnceValue(func() map[string]*field { return all((*pb.Asset)(nil)) })
	personFields = sync.OnceValue(func() map[string]*field { return all((*adminpb.Person)(nil)) })
)

func all(m proto.Message) map[string]*field {
	out := make(map[string]*field)
	collect(out, m.ProtoReflect().Descriptor(), nil, "")
	return out
}

func collect(out map[string]*field, d protoreflect.MessageDescriptor, above []protoreflect.FieldDescriptor, prefix string) {
	for i := range d.Fields().Len() {
		fd := d.Fields().Get(i)
		path := prefix + string(fd.Name())
		if untold[path] {
			continue
		}
		chain := append(slices.Clone(above), fd)
		if group(fd) {
			collect(out, fd.Message(), chain, path+".")
			continue
		}
		out[path] = &field{path: path, chain: chain}
	}
}

// group tells whether a field is a message whose fields change one by one.
func group(fd protoreflect.FieldDescriptor) bool {
	return fd.Message() != nil && !fd.IsList() && !fd.IsMap() && !whole[fd.Message().FullName()]
}

// Diff returns the fields in which two states of one thing differ, sorted by
// their paths. A nil state has no field. Neither state is modified.
func Diff[S Subject](old, now S) ([]*storagepb.FieldChange, error) {
	var changes []*storagepb.FieldChange
	from, to := old.ProtoReflect(), now.ProtoReflect()
	told := fieldsOf[S]()
	err := diff(from, to, "", func(path string) error {
		f := told[path]
		if f == nil {
			return nil
		}
		c := &storagepb.FieldChange{Field: path}
		var err error
		if c.Old, err = f.encode(from); err != nil {
			return err
		}
		if c.New, err = f.encode(to); err != nil {
			return err
		}
		changes = append(changes, c)
		return nil
	})
	slices.SortFunc(changes, func(a, b *storagepb.FieldChange) int { return strings.Compare(a.Field, b.Field) })
	return changes, err
}

// diff calls fn with the path of each field in which two messages differ.
func diff(old, now protoreflect.Message, prefix string, fn func(path string) error) error {
	all := now.Descriptor().Fields()
	for i := range all.Len() {
		fd := all.Get(i)
		if !old.Has(fd) && !now.Has(fd) {
			continue
		}
		var err error
		switch {
		case group(fd):
			// Get returns an empty message where there is none.
			err = diff(old.Get(fd).Message(), now.Get(fd).Message(), prefix+string(fd.Name())+".", fn)
		case old.Has(fd) != now.Has(fd) || !old.Get(fd).Equal(now.Get(fd)):
			err = fn(prefix + string(fd.Name()))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// encode returns the field of a thing as an encoded thing that has nothing else,
// and nil where it is absent.
func (f *field) encode(m protoreflect.Message) ([]byte, error) {
	to := m.Type().New()
	out := to.Interface()
	for _, fd := range f.chain {
		if !m.Has(fd) {
			return nil, nil
		}
		if group(fd) {
			m, to = m.Get(fd).Message(), to.Mutable(fd).Message()
			continue
		}
		to.Set(fd, m.Get(fd))
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", f.path, err)
	}
	return b, nil
}

// Past takes an asset back in time: it is handed the changes since, the oldest
// first, and what the asset was before the first change of each field is what
// it was then.
type Past struct {
	asset *pb.Asset
	seen  map[string]bool
}

// NewPast begins with the present state of an asset, which it modifies, or with
// an empty one that has the id of an asset that is no more.
func NewPast(now *pb.Asset) *Past { return &Past{asset: now, seen: make(map[string]bool)} }

// Undo takes back one event, encoded as it is stored.
func (p *Past) Undo(event []byte) error {
	for len(event) > 0 {
		num, typ, n := protowire.ConsumeTag(event)
		if n < 0 {
			return fmt.Errorf("read an event: %w", protowire.ParseError(n))
		}
		m := protowire.ConsumeFieldValue(num, typ, event[n:])
		if m < 0 {
			return fmt.Errorf("read an event: %w", protowire.ParseError(m))
		}
		if num == fieldEventChanges && typ == protowire.BytesType {
			change, _ := protowire.ConsumeBytes(event[n : n+m])
			if err := p.undo(change); err != nil {
				return err
			}
		}
		event = event[n+m:]
	}
	return nil
}

// Field numbers of EventRecord and FieldChange.
const (
	fieldEventChanges = protowire.Number(6)
	fieldChangeField  = protowire.Number(1)
	fieldChangeOld    = protowire.Number(2)
)

func (p *Past) undo(change []byte) error {
	var path, old []byte
	for len(change) > 0 {
		num, typ, n := protowire.ConsumeTag(change)
		if n < 0 {
			return fmt.Errorf("read a change: %w", protowire.ParseError(n))
		}
		m := protowire.ConsumeFieldValue(num, typ, change[n:])
		if m < 0 {
			return fmt.Errorf("read a change: %w", protowire.ParseError(m))
		}
		if typ == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(change[n : n+m])
			switch num {
			case fieldChangeField:
				path = value
			case fieldChangeOld:
				old = value
			}
		}
		change = change[n+m:]
	}
	if p.seen[string(path)] {
		return nil
	}
	p.seen[string(path)] = true
	// A field of a newer collector is not known here, and stays away.
	f := fields()[string(path)]
	if f == nil {
		return nil
	}
	f.clear(p.asset.ProtoReflect())
	if err := (proto.UnmarshalOptions{Merge: true}).Unmarshal(old, p.asset); err != nil {
		return fmt.Errorf("read what %s was: %w", path, err)
	}
	return nil
}

func (f *field) clear(m protoreflect.Message) {
	for _, fd := range f.chain {
		if !m.Has(fd) {
			return
		}
		if group(fd) {
			m = m.Mutable(fd).Message()
			continue
		}
		m.Clear(fd)
	}
}

// Asset returns what the asset was, with no groups that have nothing in them.
func (p *Past) Asset() *pb.Asset {
	prune(p.asset.ProtoReflect())
	return p.asset
}

// prune drops the groups of a message that have nothing in them, and tells
// whether anything is left.
func prune(m protoreflect.Message) bool {
	left := len(m.GetUnknown()) > 0
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if group(fd) && !prune(v.Message()) {
			m.Clear(fd)
			return true
		}
		left = true
		return true
	})
	return left
}
