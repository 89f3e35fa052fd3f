// Package mapping turns the records of a vendor into observations, as a
// manifest says.
package mapping

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/rollcall-itam/rollcall/collector/feed/manifest"
	"github.com/rollcall-itam/rollcall/collector/feed/record"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Mapping makes observations of the records of one stream. It may be used by
// many goroutines at once.
type Mapping struct {
	stream string
	// person is set where the records are about people.
	person bool
	key    *spec
	skip   cel.Program
	when   []cel.Program
	// off are the requests of the fan-out that the settings do not switch on.
	off    []bool
	fields []field
	ids    []identifier
}

// field is one field of a device or person and where it comes from.
type field struct {
	name string
	// path leads from the subject to the field; all but the last are messages.
	path []protoreflect.FieldDescriptor
	// label is the key within a field that is a map.
	label string
	spec  *spec
}

type identifier struct {
	kind         string
	value, scope *spec
}

// spec is a manifest.Field made ready.
type spec struct {
	source   manifest.Field
	any      []*spec
	path     record.Path
	cel      cel.Program
	constant string
	match    *regexp.Regexp
	as       string
	values   map[string]string
	none     []string
	unit     string
	zone     *time.Location
	layouts  []string
	// currency is that of money which names none, or stands at currencyAt.
	currency   string
	currencyAt *record.Path
	each       *elements
	// list are the fields of elements that are written one by one.
	list [][]field
}

// elements makes the elements of a list.
type elements struct {
	path   record.Path
	where  cel.Program
	fields []field
}

// Compile makes the mapping of a stream ready, with the settings that its
// constants name. Each mistake is told with its line and column in the manifest.
func Compile(s *manifest.Stream, settings map[string]string) (*Mapping, error) {
	x, err := newExpressions()
	if err != nil {
		return nil, err
	}
	c := &compiler{x: x, settings: settings}
	m := &Mapping{stream: s.Name, person: s.Subject == "person", key: c.spec(s.Key, "text")}
	m.skip = c.condition(s.Skip, s.Key, "skip")
	for _, f := range s.FanOut {
		m.when = append(m.when, c.condition(f.When, s.Key, "fan_out.when"))
		m.off = append(m.off, f.Setting != "" && settings[f.Setting] != "yes")
	}
	subject := (&pb.Device{}).ProtoReflect().Descriptor()
	if m.person {
		subject = (&pb.Profile{}).ProtoReflect().Descriptor()
	}
	m.fields = c.fields(subject, s.Map, "")
	for _, id := range s.IDs {
		one := identifier{kind: id.Kind, value: c.spec(id.Value, "text")}
		if id.Scope.Given() {
			one.scope = c.spec(id.Scope, "text")
		}
		m.ids = append(m.ids, one)
	}
	return m, errors.Join(c.errs...)
}

// compiler collects the mistakes of a mapping.
type compiler struct {
	x        expressions
	settings map[string]string
	errs     []error
}

func (c *compiler) errorf(f manifest.Field, format string, args ...any) {
	c.errs = append(c.errs, f.Errorf(format, args...))
}

// condition compiles an expression that says yes or no. near is a field by
// which its place in the file is told.
func (c *compiler) condition(source string, near manifest.Field, what string) cel.Program {
	if source == "" {
		return nil
	}
	p, err := c.x.compile(source, cel.BoolType)
	if err != nil {
		c.errorf(near, "%s of this stream: %v", what, err)
	}
	return p
}

// fields resolves the names of fields against a message.
func (c *compiler) fields(message protoreflect.MessageDescriptor, from map[string]manifest.Field, within string) []field {
	var all []field
	for _, name := range slices.Sorted(maps.Keys(from)) {
		f := from[name]
		resolved, err := resolve(message, name)
		if err != nil {
			c.errorf(f, "%v", err)
			continue
		}
		leaf := resolved.path[len(resolved.path)-1]
		if forbidden := computed[within+name]; forbidden != "" {
			c.errorf(f, "%s%s is computed from %s: map that", within, name, forbidden)
			continue
		}
		switch {
		case leaf.IsMap() && resolved.label == "" && (f.Path == "" || len(f.Values) > 0 || f.Match != ""):
			c.errorf(f, "%s takes an object of names and values by its path; one label is labels.NAME", name)
		case leaf.IsList() && leaf.Kind() == protoreflect.MessageKind:
			resolved.spec = c.elements(f, leaf, within+name)
		case f.Each != "" || f.List != nil:
			c.errorf(f, "%s is no list of objects: take its values by path, as in nics.*.mac", name)
		default:
			resolved.spec = c.spec(f, reading(leaf, within+name))
			c.words(resolved.spec, leaf.FullName())
		}
		all = append(all, resolved)
	}
	slices.SortStableFunc(all, func(a, b field) int { return constants(a) - constants(b) })
	return all
}

// constants orders what is always said after what a record says.
func constants(f field) int {
	if f.spec.source.Const != nil {
		return 1
	}
	return 0
}

// computed are the fields that a merge makes of others.
var computed = map[string]string{"os.cycle": "os.version", "os.eol": "os.version", "os.supported": "os.version", "storage.system_free_pct": "storage.system_free_bytes"}

// resolve finds a dotted name in a message.
func resolve(message protoreflect.MessageDescriptor, name string) (field, error) {
	f := field{name: name}
	for rest := name; ; {
		key, after, more := strings.Cut(rest, ".")
		fd := message.Fields().ByName(protoreflect.Name(key))
		switch {
		case fd == nil:
			return f, fmt.Errorf("%q is no field: %q has none of that name; it has %s", name, message.Name(), fieldNames(message))
		case fd.IsMap() && fd.MapKey().Kind() == protoreflect.StringKind && fd.MapValue().Kind() == protoreflect.StringKind && after != "":
			f.path, f.label = append(f.path, fd), after
			return f, nil
		case fd.IsMap() && key == "labels":
			f.path = append(f.path, fd)
			return f, nil
		case fd.IsMap():
			return f, fmt.Errorf("%q needs a key, as in %s.site", name, key)
		}
		f.path = append(f.path, fd)
		single := fd.Kind() == protoreflect.MessageKind && !fd.IsList() && !leafMessage(fd.Message())
		switch {
		case more && !single:
			return f, fmt.Errorf("%q is no field: %s has no fields of its own here%s", name, key, eachHint(fd))
		case !more && single:
			return f, fmt.Errorf("%q is a group: name one of its fields, %s", name, fieldNames(fd.Message()))
		case !more:
			return f, nil
		}
		message, rest = fd.Message(), after
	}
}

func eachHint(fd protoreflect.FieldDescriptor) string {
	if fd.IsList() {
		return "; it is a list: write each: and map:"
	}
	return ""
}

func fieldNames(m protoreflect.MessageDescriptor) string {
	var all []string
	for i := range m.Fields().Len() {
		all = append(all, string(m.Fields().Get(i).Name()))
	}
	return strings.Join(all, ", ")
}

// leafMessage tells of messages that are one value.
func leafMessage(m protoreflect.MessageDescriptor) bool {
	return m.FullName() == "google.protobuf.Timestamp" || m.FullName() == "rollcall.v1.Money"
}

// elements compiles a list of objects.
func (c *compiler) elements(f manifest.Field, leaf protoreflect.FieldDescriptor, name string) *spec {
	s := &spec{source: f}
	if f.Any != nil {
		for _, one := range f.Any {
			s.any = append(s.any, c.elements(one, leaf, name))
		}
		return s
	}
	for _, one := range f.List {
		s.list = append(s.list, c.fields(leaf.Message(), one, name+"."))
	}
	if f.List != nil {
		return s
	}
	if f.Each == "" || len(f.Map) == 0 {
		c.errorf(f, "%s is a list of objects: write each: with the path of the list, and map: with the fields of an element; or list: with the fields of each", name)
		return s
	}
	path, err := record.ParsePath(f.Each)
	if err != nil {
		c.errorf(f, "%v", err)
	}
	s.each = &elements{path: path, where: c.condition(f.Where, f, "where"), fields: c.fields(leaf.Message(), f.Map, name+".")}
	return s
}

// spec compiles a field that is one value, or a list of values.
func (c *compiler) spec(f manifest.Field, as string) *spec {
	s := &spec{source: f, zone: time.UTC, layouts: f.Layouts, none: f.None, unit: f.Unit, values: lowerKeys(f.Values)}
	if s.as = as; f.As != "" {
		s.as = f.As
		if !readable(f.As, as) {
			c.errorf(f, "as: %s does not give what the field holds, %s", f.As, as)
		}
	}
	for _, one := range f.Any {
		s.any = append(s.any, c.spec(one, as))
	}
	var err error
	if f.Const != nil {
		// A setting that is not filled in states nothing.
		s.constant, _ = f.Const.Fill(func(name string) (string, error) { return c.settings[name], nil }, nil)
	}
	if f.Path != "" {
		if s.path, err = record.ParsePath(f.Path); err != nil {
			c.errorf(f, "%v", err)
		}
	}
	if f.CEL != "" {
		if s.cel, err = c.x.compile(f.CEL, nil); err != nil {
			c.errorf(f, "%v", err)
		}
	}
	if f.Match != "" {
		if s.match, err = regexp.Compile(f.Match); err != nil {
			c.errorf(f, "match: %v", err)
		}
	}
	if f.Zone != "" {
		if s.zone, err = time.LoadLocation(f.Zone); err != nil {
			c.errorf(f, "zone %q is not known: want one like Europe/Berlin", f.Zone)
			s.zone = time.UTC
		}
	}
	c.money(s, f)
	if f.Map != nil || f.Where != "" {
		c.errorf(f, "map and where belong to each")
	}
	return s
}

// money checks what a price is read with.
func (c *compiler) money(s *spec, f manifest.Field) {
	if f.Currency == nil {
		return
	}
	path, isPath := strings.CutPrefix(string(*f.Currency), "$")
	if !isPath || len(f.Currency.Names()) > 0 {
		// A setting that is not filled in names none.
		code, _ := f.Currency.Fill(func(name string) (string, error) { return c.settings[name], nil }, nil)
		if s.currency = strings.ToUpper(strings.TrimSpace(code)); s.currency != "" && !codeShape.MatchString(s.currency) {
			c.errorf(f, "currency %q: want a code like EUR, or the path of one after $", code)
		}
		return
	}
	at, err := record.ParsePath(path)
	if err != nil {
		c.errorf(f, "currency: %v", err)
	}
	s.currencyAt = &at
}

func lowerKeys(m map[string]string) map[string]string {
	if m == nil {
		return nil
	}
	lower := make(map[string]string, len(m))
	for k, v := range m {
		lower[strings.ToLower(k)] = v
	}
	return lower
}
