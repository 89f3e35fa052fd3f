package expr

import (
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// list compiles an expression that yields a list: of texts, messages or what the
// collector knows.
func (d *direct) list(e ast.Expr) *collection {
	switch e.Kind() {
	case ast.ListKind:
		return d.texts(e.AsList().Elements())
	case ast.CallKind:
		if e.AsCall().FunctionName() == noTexts {
			return d.texts(nil)
		}
	case ast.IdentKind:
		if e.AsIdent() == "kinds" && len(d.walks) == 0 { // a walk may have a variable of that name
			return nativeList(types.StringType, func(f *frame) any {
				if f.in.Kinds == nil {
					return nil
				}
				return f.in.Kinds
			})
		}
	case ast.SelectKind:
		if c := d.repeated(e); c != nil {
			return c
		}
		return d.nativeRepeated(e)
	}
	return nil
}

// texts compiles a list of texts that are written out.
func (d *direct) texts(elements []ast.Expr) *collection {
	all := make([]item, 0, len(elements))
	for _, e := range elements {
		s, ok := literal[types.String]([]ast.Expr{e}, 0)
		if !ok {
			return nil
		}
		all = append(all, item{text: string(s)})
	}
	return &collection{
		each: func(_ *frame, fn func(item) bool) bool {
			for _, i := range all {
				if !fn(i) {
					break
				}
			}
			return true
		},
		size:    func(*frame) (int64, bool) { return int64(len(all)), true },
		element: types.StringType,
	}
}

// repeated compiles a list in a message. One that is not stated is empty where
// the message is.
func (d *direct) repeated(e ast.Expr) *collection {
	of, fd := d.field(e)
	if fd == nil || !fd.IsList() {
		return nil
	}
	c := &collection{element: types.StringType, size: func(f *frame) (int64, bool) {
		m := of(f)
		if m == nil {
			return 0, false
		}
		return int64(m.Get(fd).List().Len()), true
	}}
	read := func(v protoreflect.Value) item { return item{text: v.String()} }
	switch {
	case fd.Message() != nil && d.fields.messages[string(fd.Message().FullName())] != nil:
		c.element = types.NewObjectType(string(fd.Message().FullName()))
		read = func(v protoreflect.Value) item { return item{message: v.Message()} }
	case fd.Kind() != protoreflect.StringKind:
		return nil
	}
	c.each = func(f *frame, fn func(item) bool) bool {
		m := of(f)
		if m == nil {
			return false
		}
		list := m.Get(fd).List()
		for i := range list.Len() {
			if !fn(read(list.Get(i))) {
				break
			}
		}
		return true
	}
	return c
}

// nativeRepeated compiles a list that the collector knows.
func (d *direct) nativeRepeated(e ast.Expr) *collection {
	of, field := d.nativeField(e)
	if field == nil || field.Type.Kind() != types.ListKind {
		return nil
	}
	return nativeList(field.Type.Parameters()[0], func(f *frame) any {
		v, _ := field.GetFrom(of(f))
		return v
	})
}

// nativeList is a list that read returns.
func nativeList(element *types.Type, read natives) *collection {
	return &collection{
		element: element,
		each:    func(f *frame, fn func(item) bool) bool { return eachNative(read(f), fn) },
		size: func(f *frame) (n int64, ok bool) {
			ok = eachNative(read(f), func(item) bool {
				n++
				return true
			})
			return n, ok
		},
	}
}

// eachNative calls fn with the elements of a list, and returns false for what is
// none, as an unknown value.
func eachNative(list any, fn func(item) bool) bool {
	switch all := list.(type) {
	case []string:
		for _, s := range all {
			if !fn(item{text: s}) {
				break
			}
		}
	case []*Lifetime:
		for _, l := range all {
			if !fn(item{native: l}) {
				break
			}
		}
	case []*Vulnerability:
		for _, v := range all {
			if !fn(item{native: v}) {
				break
			}
		}
	default:
		return false
	}
	return true
}
