package expr

import (
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// collection is a compiled expression that yields a list.
type collection struct {
	// of returns the elements; false if the list is unknown.
	of func(*frame) (elements, bool)
	// element is the type of the elements.
	element *types.Type
	// written are the elements where they are all written out.
	written []string
}

// elements are those of one list: texts, messages or what the collector knows.
type elements struct {
	texts           []string
	list            protoreflect.List
	messages        bool
	lifetimes       []*Lifetime
	vulnerabilities []*Vulnerability
}

func (e *elements) len() int {
	if e.list != nil {
		return e.list.Len()
	}
	return len(e.texts) + len(e.lifetimes) + len(e.vulnerabilities)
}

func (e *elements) at(i int) item {
	switch {
	case e.messages:
		return item{message: e.list.Get(i).Message()}
	case e.list != nil:
		return item{text: e.list.Get(i).String()}
	case e.texts != nil:
		return item{text: e.texts[i]}
	case e.lifetimes != nil:
		return item{native: e.lifetimes[i]}
	}
	return item{native: e.vulnerabilities[i]}
}

// list compiles an expression that yields a list.
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
			return &collection{element: types.StringType, of: func(f *frame) (elements, bool) { return elements{texts: f.in.Kinds}, f.in.Kinds != nil }}
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
func (d *direct) texts(list []ast.Expr) *collection {
	all := make([]string, 0, len(list))
	for _, e := range list {
		s, ok := literal[types.String]([]ast.Expr{e}, 0)
		if !ok {
			return nil
		}
		all = append(all, string(s))
	}
	return &collection{element: types.StringType, written: all, of: func(*frame) (elements, bool) { return elements{texts: all}, true }}
}

// repeated compiles a list in a message. One that is not stated is empty where
// the message is.
func (d *direct) repeated(e ast.Expr) *collection {
	of, fd := d.field(e)
	if fd == nil || !fd.IsList() {
		return nil
	}
	c := &collection{element: types.StringType}
	messages := fd.Message() != nil && d.fields.messages[string(fd.Message().FullName())] != nil
	switch {
	case messages:
		c.element = types.NewObjectType(string(fd.Message().FullName()))
	case fd.Kind() != protoreflect.StringKind:
		return nil
	}
	c.of = func(f *frame) (elements, bool) {
		m := of(f)
		if m == nil {
			return elements{}, false
		}
		return elements{list: m.Get(fd).List(), messages: messages}, true
	}
	return c
}

// nativeRepeated compiles a list that the collector knows.
func (d *direct) nativeRepeated(e ast.Expr) *collection {
	of, field := d.nativeField(e)
	if field == nil || field.Type.Kind() != types.ListKind {
		return nil
	}
	return &collection{element: field.Type.Parameters()[0], of: func(f *frame) (elements, bool) {
		v, _ := field.GetFrom(of(f))
		switch all := v.(type) {
		case []string:
			return elements{texts: all}, true
		case []*Lifetime:
			return elements{lifetimes: all}, true
		case []*Vulnerability:
			return elements{vulnerabilities: all}, true
		}
		return elements{}, false
	}}
}

// size compiles how many elements a list has.
func (c *collection) size(f *frame) (int64, bool) {
	all, ok := c.of(f)
	return int64(all.len()), ok
}
