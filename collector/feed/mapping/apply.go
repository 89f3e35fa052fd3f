package mapping

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// maxElements bounds the elements of one list of a device.
const maxElements = 5000

// ErrNoKey is wrapped by the error about a record without an id.
var ErrNoKey = errors.New("the record has no id of its own")

// Result is what came of one record.
type Result struct {
	// SourceID names the record within the feed: the stream and the system's id.
	SourceID string
	// Skipped is set for a record that the manifest leaves out.
	Skipped bool
	// Observation is nil for a record that was skipped. What it could not read
	// stands among its problems.
	Observation *pb.Observation
}

// Apply makes an observation of a record: read by a feed called source, at a
// time. An error wraps ErrNoKey, or says why skip could not be judged.
func (m *Mapping) Apply(source string, r any, at time.Time) (Result, error) {
	id, ok, err := m.key.text(r, r)
	if err != nil {
		return Result{}, fmt.Errorf("%w: %w", ErrNoKey, err)
	}
	if !ok {
		return Result{}, ErrNoKey
	}
	res := Result{SourceID: m.stream + "/" + id}
	if m.skip != nil {
		v, err := eval(m.skip, r, r)
		if err != nil {
			return res, fmt.Errorf("skip: %w", err)
		}
		if res.Skipped = v == true; res.Skipped {
			return res, nil
		}
	}
	o := &pb.Observation{Source: source, SourceId: res.SourceID, ObservedAt: timestamppb.New(at)}
	p := problems{o}
	if m.person {
		profile := &pb.Profile{}
		p.fill(profile.ProtoReflect(), m.fields, r, r)
		o.Subject = &pb.Observation_Person{Person: profile}
	} else {
		device := &pb.Device{}
		p.fill(device.ProtoReflect(), m.fields, r, r)
		o.Subject = &pb.Observation_Device{Device: device}
	}
	for _, i := range m.ids {
		p.identifier(i, r)
	}
	res.Observation = o
	return res, nil
}

// Wants tells whether request i of a stream's fan-out is made for a record.
func (m *Mapping) Wants(i int, r any) (bool, error) {
	if m.off[i] {
		return false, nil
	}
	if m.when[i] == nil {
		return true, nil
	}
	v, err := eval(m.when[i], r, r)
	return v == true, err
}

// Key returns the system's own id of a record.
func (m *Mapping) Key(r any) (string, error) {
	id, ok, err := m.key.text(r, r)
	if err == nil && !ok {
		err = ErrNoKey
	}
	return id, err
}

// problems fills an observation and notes what it could not read.
type problems struct{ o *pb.Observation }

// maxProblems bounds the problems of one record.
const maxProblems = 50

func (p problems) add(name string, err error) {
	if len(p.o.Problems) < maxProblems {
		section, _, _ := strings.Cut(name, ".")
		p.o.Problems = append(p.o.Problems, &pb.Problem{Section: section, Fact: name, Error: err.Error()})
	}
}

// fill sets the fields of m from element e of record r, and tells whether any
// was stated.
func (p problems) fill(m protoreflect.Message, fields []field, r, e any) (stated bool) {
	for _, f := range fields {
		set, err := p.set(m, f, r, e)
		if err != nil {
			p.add(f.name, err)
		}
		// What is always said says nothing of the record.
		stated = stated || set && f.spec.source.Const == nil
	}
	return stated
}

// set gives one field its value.
func (p problems) set(m protoreflect.Message, f field, r, e any) (bool, error) {
	leaf := f.path[len(f.path)-1]
	if f.spec.source.Const != nil && f.accompanies() && !present(m, f.path) {
		return false, nil
	}
	switch {
	case leaf.IsMap() && f.label == "":
		return p.labels(m, f, e)
	case f.label != "":
		s, ok, err := f.spec.text(r, e)
		if ok {
			into(m, f.path).Mutable(leaf).Map().Set(protoreflect.ValueOfString(f.label).MapKey(), protoreflect.ValueOfString(s))
		}
		return ok, err
	case leaf.IsList() && leaf.Kind() == protoreflect.MessageKind:
		return p.list(m, f, f.spec, r, e), nil
	case leaf.IsList():
		return p.texts(m, f, r, e)
	}
	v, ok, err := f.spec.value(leaf, r, e)
	if ok && err == nil {
		into(m, f.path).Set(leaf, v)
	}
	return ok && err == nil, err
}

// Bounds of the labels that one system gives a thing: clouds allow 50 or 64 of
// up to 512 characters.
const (
	maxLabels = 100
	maxLabel  = 1000
)

// labels takes every name and value of an object, in the order of the names.
func (p problems) labels(m protoreflect.Message, f field, e any) (bool, error) {
	from, ok := f.spec.path.Get(e).(map[string]any)
	if !ok {
		return false, nil
	}
	leaf, n := f.path[len(f.path)-1], 0
	for _, name := range slices.Sorted(maps.Keys(from)) {
		s, ok, err := f.spec.read(from[name])
		if err != nil || !ok || name == "" || len(name)+len(s) > maxLabel {
			continue
		}
		if n++; n > maxLabels {
			return true, fmt.Errorf("%d labels, the first %d were taken", len(from), maxLabels)
		}
		into(m, f.path).Mutable(leaf).Map().Set(protoreflect.ValueOfString(name).MapKey(), protoreflect.ValueOfString(s))
	}
	return n > 0, nil
}

// companions are groups that say nothing if all they have is what is always
// said: a warranty of Apple without an end is none.
var companions = []protoreflect.Name{"warranty", "primary_user", "disk_encryption", "firewall", "screen_lock", "integrity_protection", "cloud", "purchase"}

// accompanies tells whether a constant needs something else in its group. The
// constants of a message are set after everything else.
func (f field) accompanies() bool {
	return len(f.path) > 1 && slices.Contains(companions, f.path[len(f.path)-2].Name())
}

// present tells whether the group of a field has anything.
func present(m protoreflect.Message, path []protoreflect.FieldDescriptor) bool {
	for _, fd := range path[:len(path)-1] {
		if !m.Has(fd) {
			return false
		}
		m = m.Get(fd).Message()
	}
	return true
}

// group returns the message that holds the last field of a path, to look at:
// one that is not there is not made.
func group(m protoreflect.Message, path []protoreflect.FieldDescriptor) protoreflect.Message {
	for _, fd := range path[:len(path)-1] {
		m = m.Get(fd).Message()
	}
	return m
}

// into returns the message that holds the last field of a path.
func into(m protoreflect.Message, path []protoreflect.FieldDescriptor) protoreflect.Message {
	for _, fd := range path[:len(path)-1] {
		m = m.Mutable(fd).Message()
	}
	return m
}

// list fills a list of objects, from the first alternative that has any.
func (p problems) list(m protoreflect.Message, f field, s *spec, r, e any) bool {
	for _, one := range s.any {
		if p.list(m, f, one, r, e) {
			return true
		}
	}
	stated := false
	for _, fields := range s.list {
		stated = p.element(m, f, fields, r, e) || stated
	}
	if s.each == nil {
		return stated
	}
	elements, _ := s.each.path.List(e)
	if len(elements) > maxElements {
		p.add(f.name, fmt.Errorf("%d elements, the first %d were taken", len(elements), maxElements))
		elements = elements[:maxElements]
	}
	for _, e := range elements {
		if s.each.where != nil {
			if v, err := eval(s.each.where, r, e); err != nil || v != true {
				if err != nil {
					p.add(f.name, err)
				}
				continue
			}
		}
		stated = p.element(m, f, s.each.fields, r, e) || stated
	}
	return stated
}

// element appends an element to a list, if it states anything.
func (p problems) element(m protoreflect.Message, f field, fields []field, r, e any) bool {
	one := group(m, f.path).NewField(f.path[len(f.path)-1]).List().NewElement()
	if !p.fill(one.Message(), fields, r, e) {
		return false
	}
	into(m, f.path).Mutable(f.path[len(f.path)-1]).List().Append(one)
	return true
}

// texts fills a list of texts.
func (p problems) texts(m protoreflect.Message, f field, r, e any) (bool, error) {
	var all []string
	var failed error
	for _, v := range f.spec.every(r, e) {
		s, ok, err := f.spec.read(v)
		failed = errors.Join(failed, err)
		if ok && err == nil && !slices.Contains(all, s) && len(all) < maxElements {
			all = append(all, s)
		}
	}
	if len(all) == 0 {
		return false, failed
	}
	leaf := f.path[len(f.path)-1]
	list := into(m, f.path).Mutable(leaf).List()
	for _, s := range all {
		list.Append(protoreflect.ValueOfString(s))
	}
	return true, failed
}

func (p problems) identifier(i identifier, r any) {
	v, ok, err := i.value.text(r, r)
	if err != nil {
		p.add("identifiers."+i.kind, err)
	}
	if !ok || err != nil {
		return
	}
	id := &pb.Identifier{Kind: i.kind, Value: v}
	if i.scope != nil {
		if id.Scope, _, err = i.scope.text(r, r); err != nil {
			p.add("identifiers."+i.kind, err)
			return
		}
	}
	p.o.Identifiers = append(p.o.Identifiers, id)
}

// int32Value bounds a number to its field.
func int32Value(n int64) (protoreflect.Value, bool, error) {
	if n < math.MinInt32 || n > math.MaxInt32 {
		return protoreflect.Value{}, false, fmt.Errorf("%d is too large", n)
	}
	return protoreflect.ValueOfInt32(int32(n)), true, nil
}
