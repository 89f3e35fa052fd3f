package expr

import (
	"slices"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// variable returns the place and type of a variable of a walk.
func (d *direct) variable(e ast.Expr) (place int, element *types.Type, ok bool) {
	if e.Kind() != ast.IdentKind {
		return 0, nil, false
	}
	for i, w := range slices.Backward(d.walks) {
		if w.name == e.AsIdent() {
			return i, w.element, true
		}
	}
	return 0, nil, false
}

// message compiles an expression that yields a message.
func (d *direct) message(e ast.Expr) messages {
	if place, element, ok := d.variable(e); ok {
		if d.fields.messages[element.TypeName()] == nil {
			return nil
		}
		return func(f *frame) protoreflect.Message { return f.items[place].message }
	}
	switch e.Kind() {
	case ast.IdentKind:
		if e.AsIdent() == "asset" {
			return func(f *frame) protoreflect.Message { return f.asset }
		}
	case ast.SelectKind:
		of, fd := d.field(e)
		if fd == nil || fd.IsList() || fd.IsMap() || fd.Message() == nil || d.fields.messages[string(fd.Message().FullName())] == nil {
			return nil
		}
		return func(f *frame) protoreflect.Message {
			if m := of(f); m != nil && m.Has(fd) {
				return m.Get(fd).Message()
			}
			return nil
		}
	}
	return nil
}

// field returns the field of a message that an expression selects, and the
// message; nil for none.
func (d *direct) field(e ast.Expr) (messages, protoreflect.FieldDescriptor) {
	if e.Kind() != ast.SelectKind {
		return nil, nil
	}
	s := e.AsSelect()
	md := d.fields.messages[d.typeOf(s.Operand()).TypeName()]
	of := d.message(s.Operand())
	if md == nil || of == nil {
		return nil, nil
	}
	return of, md.Fields().ByName(protoreflect.Name(s.FieldName()))
}

// scalar compiles the reading of a field of a message that is no list.
func scalar[T any](d *direct, e ast.Expr, fits func(protoreflect.FieldDescriptor) bool, read func(protoreflect.Value) (T, bool)) func(*frame) (T, bool) {
	of, fd := d.field(e)
	if fd == nil || fd.IsList() || fd.IsMap() || !fits(fd) {
		return nil
	}
	return func(f *frame) (T, bool) {
		m := of(f)
		if m == nil || !m.Has(fd) {
			var none T
			return none, false
		}
		return read(m.Get(fd))
	}
}

// native compiles the reading of a field of a Go struct.
func native[T ref.Val](d *direct, e ast.Expr) func(*frame) (T, bool) {
	of, get := d.nativeField(e)
	if get == nil {
		return nil
	}
	return func(f *frame) (T, bool) {
		v, _ := get.GetFrom(of(f)) // of something that is not known it returns an unknown value
		t, ok := v.(T)
		return t, ok
	}
}

// nativeField returns the field of a Go struct that an expression selects.
func (d *direct) nativeField(e ast.Expr) (natives, *types.FieldType) {
	if e.Kind() != ast.SelectKind {
		return nil, nil
	}
	operand, name := e.AsSelect().Operand(), d.typeOf(e.AsSelect().Operand()).TypeName()
	if place, _, ok := d.variable(operand); ok && (name == lifetimeType || name == weaknessType) {
		return func(f *frame) any { return f.items[place].native }, d.fields.types[name][e.AsSelect().FieldName()]
	}
	if operand.Kind() == ast.IdentKind && operand.AsIdent() == "record" && name == recordType {
		return func(f *frame) any {
			if f.in.Record == nil {
				return nil
			}
			return f.in.Record
		}, d.fields.types[name][e.AsSelect().FieldName()]
	}
	return nil, nil
}

// has compiles the question whether something is stated, which is never unknown.
func (d *direct) has(s ast.SelectExpr) condition {
	if m := d.dictionary(s.Operand()); m != nil {
		key := protoreflect.ValueOfString(s.FieldName()).MapKey()
		return func(f *frame) Value {
			held, ok := m(f)
			return truth(ok && held.Has(key))
		}
	}
	if of := d.message(s.Operand()); of != nil {
		md := d.fields.messages[d.typeOf(s.Operand()).TypeName()]
		fd := md.Fields().ByName(protoreflect.Name(s.FieldName()))
		if fd == nil {
			return nil
		}
		return func(f *frame) Value {
			m := of(f)
			return truth(m != nil && m.Has(fd))
		}
	}
	return nil
}

// dictionary compiles an expression that yields a field with names for keys.
func (d *direct) dictionary(e ast.Expr) func(*frame) (protoreflect.Map, bool) {
	of, fd := d.field(e)
	if fd == nil || !fd.IsMap() || fd.MapKey().Kind() != protoreflect.StringKind {
		return nil
	}
	return func(f *frame) (protoreflect.Map, bool) {
		m := of(f)
		if m == nil {
			return nil, false
		}
		return m.Get(fd).Map(), true
	}
}

// flag compiles the reading of a field that is true or false.
func (d *direct) flag(e ast.Expr) condition {
	read := scalar(d, e, kind(protoreflect.BoolKind), func(v protoreflect.Value) (bool, bool) { return v.Bool(), true })
	if read == nil {
		if n := native[types.Bool](d, e); n != nil {
			read = func(f *frame) (bool, bool) {
				v, ok := n(f)
				return bool(v), ok
			}
		}
	}
	if read == nil {
		return nil
	}
	return func(f *frame) Value {
		v, ok := read(f)
		if !ok {
			return Unknown
		}
		return truth(v)
	}
}

func kind(is ...protoreflect.Kind) func(protoreflect.FieldDescriptor) bool {
	return func(fd protoreflect.FieldDescriptor) bool { return slices.Contains(is, fd.Kind()) }
}

func isDay(fd protoreflect.FieldDescriptor) bool { return slices.Contains(days, string(fd.FullName())) }

// textual compiles an expression that yields text.
func (d *direct) textual(e ast.Expr) textual {
	if !d.typeOf(e).IsExactType(types.StringType) {
		return nil
	}
	if place, element, ok := d.variable(e); ok {
		if !element.IsExactType(types.StringType) {
			return nil
		}
		return func(f *frame) (string, bool) { return f.items[place].text, true }
	}
	switch e.Kind() {
	case ast.LiteralKind:
		s, ok := e.AsLiteral().(types.String)
		return func(*frame) (string, bool) { return string(s), ok }
	case ast.CallKind:
		if args := e.AsCall().Args(); e.AsCall().FunctionName() == operators.Index {
			if key, ok := literal[types.String](args, 1); ok {
				return d.entry(args[0], string(key))
			}
		}
	case ast.SelectKind:
		text := func(fd protoreflect.FieldDescriptor) bool { return fd.Kind() == protoreflect.StringKind && !isDay(fd) }
		if read := scalar(d, e, text, func(v protoreflect.Value) (string, bool) { return v.String(), true }); read != nil {
			return read
		}
		if read := d.entry(e.AsSelect().Operand(), e.AsSelect().FieldName()); read != nil {
			return read
		}
		if n := native[types.String](d, e); n != nil {
			return func(f *frame) (string, bool) {
				v, ok := n(f)
				return string(v), ok
			}
		}
	}
	return nil
}

// entry compiles the reading of text by its key.
func (d *direct) entry(of ast.Expr, name string) textual {
	m := d.dictionary(of)
	if m == nil || !d.typeOf(of).Parameters()[1].IsExactType(types.StringType) {
		return nil
	}
	key := protoreflect.ValueOfString(name).MapKey()
	return func(f *frame) (string, bool) {
		held, ok := m(f)
		if !ok || !held.Has(key) {
			return "", false
		}
		return held.Get(key).String(), true
	}
}

// whole compiles an expression that yields a whole number.
func (d *direct) whole(e ast.Expr) whole {
	switch e.Kind() {
	case ast.LiteralKind:
		n, ok := e.AsLiteral().(types.Int)
		return func(*frame) (int64, bool) { return int64(n), ok }
	case ast.SelectKind:
		return scalar(d, e, kind(protoreflect.Int32Kind, protoreflect.Int64Kind), func(v protoreflect.Value) (int64, bool) { return v.Int(), true })
	case ast.CallKind:
		if c := e.AsCall(); c.FunctionName() == "size" && len(c.Args()) == 1 && !c.IsMemberFunction() {
			if list := d.list(c.Args()[0]); list != nil {
				return list.size
			}
		}
	}
	return nil
}

// exact bounds the whole numbers that are the same as real ones.
const exact = 1 << 53

// real compiles an expression that yields a real number, or a whole one that is
// written out.
func (d *direct) real(e ast.Expr) real {
	switch e.Kind() {
	case ast.LiteralKind:
		switch n := e.AsLiteral().(type) {
		case types.Double:
			return func(*frame) (float64, bool) { return float64(n), true }
		case types.Int:
			if n > -exact && n < exact {
				return func(*frame) (float64, bool) { return float64(n), true }
			}
		}
	case ast.SelectKind:
		return scalar(d, e, kind(protoreflect.DoubleKind), func(v protoreflect.Value) (float64, bool) { return v.Float(), true })
	}
	return nil
}

// version compiles an expression that yields a version.
func (d *direct) version(e ast.Expr) textual {
	if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != "version" {
		return nil
	}
	return d.textual(e.AsCall().Args()[0])
}
