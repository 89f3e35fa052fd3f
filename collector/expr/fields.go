package expr

import (
	"maps"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Names of types, as CEL knows them.
const (
	assetType    = "rollcall.v1.Asset"
	softwareType = "rollcall.v1.Software"
	recordType   = "rollcall.Record"
	lifetimeType = "rollcall.Lifetime"
	weaknessType = "rollcall.Vulnerability"
)

// days are the fields that hold a day as YYYY-MM-DD, as asset.proto says.
var days = []string{
	"rollcall.v1.Firmware.date", "rollcall.v1.Os.eol", "rollcall.v1.Purchase.ordered_at", "rollcall.v1.Purchase.shipped_at",
	"rollcall.v1.Purchase.received_at", "rollcall.v1.Purchase.lease_end", "rollcall.v1.Warranty.start", "rollcall.v1.Warranty.end",
	"rollcall.v1.Financial.as_of",
}

// fields tells CEL which fields there are and reads them, with absence as an
// unknown value in place of the default of protobuf.
type fields struct {
	*types.Registry
	types map[string]map[string]*types.FieldType
	// messages are the descriptors of those types that are messages.
	messages map[string]protoreflect.MessageDescriptor
	// paths maps a type to where users find it, "os" for rollcall.v1.Os.
	paths map[string]string
	// names are all names of fields, to guess from.
	names  []string
	nextID int64
}

func newFields() (*fields, error) {
	base, err := types.NewProtoRegistry(types.ProtoTypeDefs(&pb.Asset{}))
	if err != nil {
		return nil, err
	}
	f := &fields{Registry: base, types: map[string]map[string]*types.FieldType{}, messages: map[string]protoreflect.MessageDescriptor{}, paths: map[string]string{}, nextID: firstField}
	f.describe((&pb.Asset{}).ProtoReflect().Descriptor(), "")
	f.describe((&pb.Software{}).ProtoReflect().Descriptor(), "software")
	f.describeRecord()
	found := map[string]bool{}
	for _, t := range f.types {
		for name := range t {
			found[name] = true
		}
	}
	f.names = slices.Sorted(maps.Keys(found))
	return f, nil
}

// describe takes in a message and those below it.
func (f *fields) describe(md protoreflect.MessageDescriptor, path string) {
	name := string(md.FullName())
	if f.types[name] != nil || !strings.HasPrefix(name, "rollcall.") {
		return
	}
	f.types[name], f.paths[name], f.messages[name] = map[string]*types.FieldType{}, path, md
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		field := string(fd.Name())
		known, ok := f.Registry.FindStructFieldType(name, field)
		if !ok {
			continue
		}
		at := join(path, field)
		ft := &types.FieldType{Type: known.Type, IsSet: isSet(fd), GetFrom: f.getter(fd, at)}
		if slices.Contains(days, string(fd.FullName())) {
			ft.Type = types.TimestampType
		}
		f.types[name][field] = ft
		if below := fd.Message(); below != nil && !fd.IsMap() {
			f.describe(below, at)
		} else if fd.IsMap() && fd.MapValue().Message() != nil {
			f.describe(fd.MapValue().Message(), at)
		}
	}
}

func join(path, field string) string {
	if path == "" {
		return field
	}
	return path + "." + field
}

// unknown makes the unknown value of one field.
func (f *fields) unknown(path string) *types.Unknown {
	f.nextID++
	return types.NewUnknown(f.nextID, types.NewAttributeTrail(path))
}

func isSet(fd protoreflect.FieldDescriptor) ref.FieldTester {
	return func(target any) bool {
		m, ok := target.(proto.Message)
		return ok && m.ProtoReflect().Has(fd)
	}
}

// getter reads one field.
func (f *fields) getter(fd protoreflect.FieldDescriptor, path string) ref.FieldGetter {
	unknown := f.unknown(path)
	read := f.reader(fd)
	if slices.Contains(days, string(fd.FullName())) {
		read = func(v protoreflect.Value) any { return day(v.String()) }
	}
	container := fd.IsList() || fd.IsMap()
	return func(target any) (any, error) {
		m, ok := target.(proto.Message)
		if !ok {
			if u, ok := target.(*types.Unknown); ok {
				return u, nil
			}
			return unknown, nil
		}
		r := m.ProtoReflect()
		if !container && !r.Has(fd) {
			return unknown, nil
		}
		if v := read(r.Get(fd)); v != nil {
			return v, nil
		}
		return unknown, nil
	}
}

// reader returns how to make a value of CEL of one of protobuf; nil for a value
// that is none.
func (f *fields) reader(fd protoreflect.FieldDescriptor) func(protoreflect.Value) any {
	if fd.IsList() {
		return func(v protoreflect.Value) any { return types.NewProtoList(f, v.List()) }
	}
	if fd.IsMap() { // all maps of the schema have text for keys
		return func(v protoreflect.Value) any {
			m := make(map[string]any, v.Map().Len())
			v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
				m[k.String()] = v.Interface()
				if below, ok := m[k.String()].(protoreflect.Message); ok {
					m[k.String()] = below.Interface()
				}
				return true
			})
			return m
		}
	}
	switch fd.Kind() {
	case protoreflect.StringKind:
		return func(v protoreflect.Value) any { return types.String(v.String()) }
	case protoreflect.BoolKind:
		return func(v protoreflect.Value) any { return types.Bool(v.Bool()) }
	case protoreflect.Int32Kind, protoreflect.Int64Kind:
		return func(v protoreflect.Value) any { return types.Int(v.Int()) }
	case protoreflect.MessageKind:
		return func(v protoreflect.Value) any {
			if t, ok := v.Message().Interface().(*timestamppb.Timestamp); ok {
				return moment(t)
			}
			return v.Message().Interface()
		}
	}
	return func(v protoreflect.Value) any { return v.Interface() }
}

// moment returns a time, or nil for one outside of the years 1 to 9999.
func moment(t *timestamppb.Timestamp) any {
	if t.CheckValid() != nil {
		return nil
	}
	return types.Timestamp{Time: t.AsTime()}
}

// day returns the first moment of a day, or nil for text that is not one.
func day(s string) any {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return nil
	}
	return types.Timestamp{Time: t}
}

// FindStructType implements types.Provider.
func (f *fields) FindStructType(name string) (*types.Type, bool) {
	if f.types[name] != nil {
		return types.NewTypeTypeWithParam(types.NewObjectType(name)), true
	}
	return f.Registry.FindStructType(name)
}

// FindStructFieldNames implements types.Provider.
func (f *fields) FindStructFieldNames(name string) ([]string, bool) {
	if t := f.types[name]; t != nil {
		return slices.Sorted(maps.Keys(t)), true
	}
	return f.Registry.FindStructFieldNames(name)
}

// FindStructFieldType implements types.Provider.
func (f *fields) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	if t := f.types[name]; t != nil {
		ft, ok := t[field]
		return ft, ok
	}
	return f.Registry.FindStructFieldType(name, field)
}

// NativeToValue implements types.Adapter.
func (f *fields) NativeToValue(value any) ref.Val {
	switch v := value.(type) {
	case ref.Val:
		return v
	case *Record:
		return object{native: v, name: recordType}
	case *Finding:
		return object{native: v, name: findingType}
	case *Lifetime:
		return object{native: v, name: lifetimeType}
	case *Vulnerability:
		return object{native: v, name: weaknessType}
	case protoreflect.Message:
		return f.NativeToValue(v.Interface())
	case proto.Message:
		if name := string(v.ProtoReflect().Descriptor().FullName()); f.types[name] != nil {
			return object{native: v, name: name}
		}
	}
	return f.Registry.NativeToValue(value)
}

// used lists the fields that an expression reads.
func (f *fields) used(checked *ast.AST) []string {
	found := map[string]bool{}
	ast.PostOrderVisit(checked.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.SelectKind:
			t := checked.GetType(e.AsSelect().Operand().ID())
			if path, ok := f.paths[t.TypeName()]; ok {
				found[join(path, e.AsSelect().FieldName())] = true
			}
		case ast.IdentKind:
			if e.AsIdent() == "software" || e.AsIdent() == titlesVariable {
				found["software"] = true
			}
			if e.AsIdent() == "kinds" {
				found["kinds"] = true
			}
		case ast.CallKind:
			if fn := e.AsCall().FunctionName(); fn == "@seen_by" || fn == "@known_to" {
				found["sources"] = true
			}
		}
	}))
	return slices.Sorted(maps.Keys(found))
}

// KnownField tells whether path names a field of the asset ("os.family"), of
// the record or the software, as rules list them under needs.
func (e *Env) KnownField(path string) bool {
	if path == "software" || path == "kinds" {
		return true
	}
	dir, field := "", path
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		dir, field = path[:i], path[i+1:]
	}
	for name, at := range e.fields.paths {
		if at == dir && e.fields.types[name][field] != nil {
			return true
		}
	}
	return false
}

// Field is one field that expressions may read.
type Field struct {
	// Path is as users write it but without "asset.", Type the name of its kind.
	Path, Type string
}

// Fields lists the fields of the asset, its software and the record, in order of
// text.
func (e *Env) Fields() []Field {
	var all []Field
	for name, at := range e.fields.paths {
		for field, t := range e.fields.types[name] {
			all = append(all, Field{Path: join(at, field), Type: typeName(t.Type)})
		}
	}
	slices.SortFunc(all, func(a, b Field) int { return strings.Compare(a.Path, b.Path) })
	return all
}

// Guess proposes the name of a field that a misspelt one may mean, as a clause
// that begins with a colon; empty if none is near.
func (e *Env) Guess(path string) string {
	var all []string
	for name, at := range e.fields.paths {
		for field := range e.fields.types[name] {
			all = append(all, join(at, field))
		}
	}
	slices.Sort(all)
	return e.guess(path, all)
}

var _ interface {
	types.Provider
	types.Adapter
} = (*fields)(nil)
