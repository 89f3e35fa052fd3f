package expr

import (
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// A fleet is judged by hundreds of conditions on hundreds of thousands of
// assets, and nearly all of them consist of comparisons of fields, of walks over
// short lists, and of and, or, not. Those are compiled to Go functions by type,
// which take a tenth of the time of CEL's interpreter. A condition with anything
// else in it is CEL's alone, and so is what is told of an unknown value.

// frame is one evaluation.
type frame struct {
	in    *Input
	asset protoreflect.Message
	clock clock
	// items are what the walks are at, the outermost first.
	items [maxWalks]item
}

// maxWalks is how deep walks may lie within each other.
const maxWalks = 3

// item is one element of a list: a message, a Go struct or text.
type item struct {
	message protoreflect.Message
	native  any
	text    string
}

// The functions that expressions are compiled to, by type. The second result is
// false where the value is unknown, and so is a message or a list that is nil.
type (
	condition func(*frame) Value
	textual   func(*frame) (string, bool)
	whole     func(*frame) (int64, bool)
	real      func(*frame) (float64, bool)
	moments   func(*frame) (time.Time, bool)
	span      func(*frame) (time.Duration, bool)
	messages  func(*frame) protoreflect.Message
	natives   func(*frame) any
)

// direct compiles a checked expression. Each of its methods returns nil for an
// expression that it does not know.
type direct struct {
	fields      *fields
	checked     *ast.AST
	constraints map[string]constraint
	// walks are the variables of the walks around, by place in frame.items.
	walks []walk
}

type walk struct {
	name    string
	element *types.Type
}

func (d *direct) typeOf(e ast.Expr) *types.Type { return d.checked.GetType(e.ID()) }

// run evaluates a compiled condition, of an input with an asset, in one of the
// frames.
func (c condition) run(in *Input, frames *sync.Pool) (Value, time.Time) {
	f, ok := frames.Get().(*frame)
	if !ok {
		f = new(frame)
	}
	f.in, f.asset, f.clock = in, in.Asset.ProtoReflect(), clock{now: in.Now}
	v, next := c(f), f.clock.next
	*f = frame{} // so that it keeps no asset
	frames.Put(f)
	return v, next
}

func truth(b bool) Value {
	if b {
		return True
	}
	return False
}

func not(v Value) Value {
	switch v {
	case True:
		return False
	case False:
		return True
	}
	return Unknown
}

// condition compiles an expression that is true, false or unknown.
func (d *direct) condition(e ast.Expr) condition {
	switch e.Kind() {
	case ast.LiteralKind:
		if b, ok := e.AsLiteral().(types.Bool); ok {
			return func(*frame) Value { return truth(bool(b)) }
		}
	case ast.SelectKind:
		if e.AsSelect().IsTestOnly() {
			return d.has(e.AsSelect())
		}
		return d.flag(e)
	case ast.ComprehensionKind:
		return d.quantifier(e.AsComprehension())
	case ast.CallKind:
		return d.call(e.AsCall())
	}
	return nil
}

func (d *direct) call(c ast.CallExpr) condition {
	args := c.Args()
	switch name := c.FunctionName(); name {
	case operators.LogicalNot:
		if of := d.condition(args[0]); of != nil {
			return func(f *frame) Value { return not(of(f)) }
		}
	case operators.LogicalAnd:
		return d.chain(args, False)
	case operators.LogicalOr:
		return d.chain(args, True)
	case operators.Conditional:
		return d.conditional(args)
	case operators.Equals, operators.NotEquals:
		same := d.equal(args[0], args[1])
		if same != nil && name == operators.NotEquals {
			return func(f *frame) Value { return not(same(f)) }
		}
		return same
	case operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
		return d.ordered(signs[name], args[0], args[1])
	case operators.In:
		return d.in(args[0], args[1])
	case nowAfter, nowNotUntil, nowBefore, nowUntil:
		return d.clocked(name, args[1])
	case "@known_to":
		return d.knownTo(args)
	case hasSoftware:
		return d.installed(args)
	case "startsWith", "endsWith", "contains":
		return d.affix(name, c)
	}
	return nil
}

// chain compiles && (which ends at False) and || (which ends at True).
func (d *direct) chain(args []ast.Expr, end Value) condition {
	parts := make([]condition, 0, len(args))
	for _, a := range args {
		part := d.condition(a)
		if part == nil {
			return nil
		}
		parts = append(parts, part)
	}
	return func(f *frame) Value {
		all := not(end)
		for _, part := range parts {
			switch v := part(f); v {
			case end:
				return end
			case Unknown:
				all = Unknown
			}
		}
		return all
	}
}

func (d *direct) conditional(args []ast.Expr) condition {
	if test, yes, no := d.condition(args[0]), d.condition(args[1]), d.condition(args[2]); test != nil && yes != nil && no != nil {
		return func(f *frame) Value {
			switch test(f) {
			case True:
				return yes(f)
			case False:
				return no(f)
			}
			return Unknown
		}
	}
	return nil
}

// quantifier compiles all and exists, which CEL makes a loop of that ends once
// the outcome is known.
func (d *direct) quantifier(c ast.ComprehensionExpr) condition {
	begin, ok := c.AccuInit().AsLiteral().(types.Bool)
	step := c.LoopStep()
	if !ok || c.HasIterVar2() || step.Kind() != ast.CallKind || c.Result().Kind() != ast.IdentKind || c.Result().AsIdent() != c.AccuVar() {
		return nil
	}
	end, operator := False, operators.LogicalAnd
	if !begin {
		end, operator = True, operators.LogicalOr
	}
	args := step.AsCall().Args()
	if step.AsCall().FunctionName() != operator || len(args) != 2 || args[0].Kind() != ast.IdentKind || args[0].AsIdent() != c.AccuVar() || len(d.walks) == maxWalks {
		return nil
	}
	list := d.list(c.IterRange())
	if list == nil {
		return nil
	}
	place := len(d.walks)
	d.walks = append(d.walks, walk{c.IterVar(), list.element})
	holds := d.condition(args[1])
	d.walks = d.walks[:place]
	if holds == nil {
		return nil
	}
	return func(f *frame) Value {
		elements, known := list.of(f)
		if !known {
			return Unknown
		}
		all := not(end)
		for i := range elements.len() {
			f.items[place] = elements.at(i)
			switch v := holds(f); v {
			case end:
				return end
			case Unknown:
				all = Unknown
			}
		}
		return all
	}
}

// in compiles text in a list.
func (d *direct) in(what, among ast.Expr) condition {
	x, list := d.textual(what), d.list(among)
	if x == nil || list == nil || !list.element.IsExactType(types.StringType) {
		return nil
	}
	if len(list.written) > manyWritten {
		return amongWritten(x, list.written)
	}
	return func(f *frame) Value {
		text, ok := x(f)
		all, known := list.of(f)
		if !ok || !known {
			return Unknown
		}
		for i := range all.len() {
			if all.at(i).text == text {
				return True
			}
		}
		return False
	}
}

// manyWritten is how many texts are better looked up than compared.
const manyWritten = 8

func amongWritten(x textual, written []string) condition {
	among := make(map[string]bool, len(written))
	for _, s := range written {
		among[s] = true
	}
	return func(f *frame) Value {
		text, ok := x(f)
		if !ok {
			return Unknown
		}
		return truth(among[text])
	}
}

func (d *direct) affix(name string, c ast.CallExpr) condition {
	if !c.IsMemberFunction() || len(c.Args()) != 1 {
		return nil
	}
	holds := map[string]func(s, part string) bool{"startsWith": strings.HasPrefix, "endsWith": strings.HasSuffix, "contains": strings.Contains}[name]
	return comparing(d.textual(c.Target()), d.textual(c.Args()[0]), holds)
}

func (d *direct) knownTo(args []ast.Expr) condition {
	kind := d.textual(args[1])
	if kind == nil || args[0].Kind() != ast.IdentKind {
		return nil
	}
	return func(f *frame) Value {
		k, ok := kind(f)
		if !ok || f.in.Asset == nil {
			return Unknown
		}
		for _, s := range f.in.Asset.GetSources() {
			if s.GetKind() == k {
				return True
			}
		}
		return False
	}
}

func (d *direct) installed(args []ast.Expr) condition {
	name := d.textual(args[1])
	text, ok := literal[types.String](args, 2)
	if name == nil || !ok {
		return nil
	}
	allowed := d.constraints[string(text)]
	return func(f *frame) Value {
		n, ok := name(f)
		if !ok || f.in.Software == nil {
			return Unknown
		}
		return truth(hasTitle(f.in.Software, n, allowed))
	}
}
