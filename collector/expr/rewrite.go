package expr

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// rewriter changes a parsed expression in place: what users write becomes what
// CEL can check, and what is checked becomes what tells when it changes.
type rewriter struct {
	factory     ast.ExprFactory
	info        *ast.SourceInfo
	params      Params
	constraints map[string]constraint
	nextID      int64
	err         error
}

func newRewriter(a *ast.AST, params Params) *rewriter {
	return &rewriter{factory: ast.NewExprFactory(), info: a.SourceInfo(), params: params, constraints: map[string]constraint{}, nextID: ast.MaxID(a)}
}

// fail keeps the first error.
func (r *rewriter) fail(at ast.Expr, format string, args ...any) {
	if r.err == nil {
		line, column := location(r.info, at.ID())
		r.err = &Error{Line: line, Column: column, Message: fmt.Sprintf(format, args...)}
	}
}

// id returns the id of a new node that stands where at does.
func (r *rewriter) id(at ast.Expr) int64 {
	r.nextID++
	if o, ok := r.info.GetOffsetRange(at.ID()); ok {
		r.info.SetOffsetRange(r.nextID, o)
	}
	return r.nextID
}

func (r *rewriter) call(at ast.Expr, function string, args ...ast.Expr) ast.Expr {
	return r.factory.NewCall(r.id(at), function, args...)
}

func (r *rewriter) text(at ast.Expr, s string) ast.Expr {
	return r.factory.NewLiteral(r.id(at), types.String(s))
}

// expand replaces params and the functions that are ways of writing.
func (r *rewriter) expand(root ast.Expr) {
	ast.PostOrderVisit(root, ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.SelectKind:
			if s := e.AsSelect(); s.Operand().Kind() == ast.IdentKind && s.Operand().AsIdent() == "params" {
				r.param(e, s.FieldName())
			}
		case ast.CallKind:
			if c := e.AsCall(); !c.IsMemberFunction() {
				r.function(e, c)
			}
		}
	}))
}

func (r *rewriter) param(e ast.Expr, name string) {
	value, ok := r.params[name]
	if !ok {
		if len(r.params) == 0 {
			r.fail(e, "there is no parameter %q here: this expression has none", name)
			return
		}
		r.fail(e, "there is no parameter %q: there are %s", name, strings.Join(slices.Sorted(maps.Keys(r.params)), ", "))
		return
	}
	switch v := value.(type) {
	case bool:
		r.replace(e, types.Bool(v))
	case int64:
		r.replace(e, types.Int(v))
	case float64:
		r.replace(e, types.Double(v))
	case string:
		r.replace(e, types.String(v))
	case time.Duration:
		e.SetKindCase(r.call(e, "duration", r.text(e, v.String())))
	case []string:
		list := make([]ast.Expr, len(v))
		for i, s := range v {
			list[i] = r.text(e, s)
		}
		if len(v) == 0 { // CEL gives an empty list no type of its own
			e.SetKindCase(r.call(e, noTexts))
			return
		}
		e.SetKindCase(r.factory.NewList(r.id(e), list, nil))
	default:
		r.fail(e, "parameter %q has a value of type %T, which expressions do not know", name, value)
	}
}

func (r *rewriter) replace(e ast.Expr, v ref.Val) {
	e.SetKindCase(r.factory.NewLiteral(r.id(e), v))
}

// function replaces one call of a function that is a way of writing.
func (r *rewriter) function(e ast.Expr, c ast.CallExpr) {
	args := c.Args()
	switch name := c.FunctionName(); name {
	case "dyn":
		r.fail(e, "dyn() would take away the check of types: leave it out")
	case "age":
		if r.arity(e, name, args, 1, 1) {
			e.SetKindCase(r.call(e, operators.Subtract, r.factory.NewIdent(r.id(e), "now"), args[0]))
		}
	case "days":
		if n, ok := literal[types.Int](args, 0); ok && len(args) == 1 {
			if n < -maxDays || n > maxDays {
				r.fail(e, "days(%d) is out of range: %d are the most", int64(n), maxDays)
				return
			}
			e.SetKindCase(r.call(e, "duration", r.text(e, fmt.Sprintf("%dh", int64(n)*24))))
		}
	case "date":
		s, ok := literal[types.String](args, 0)
		if !ok || len(args) != 1 {
			r.fail(e, "date takes one day as quoted text, such as date(\"2027-01-31\")")
			return
		}
		if _, err := time.Parse(time.DateOnly, string(s)); err != nil {
			r.fail(e, "%q is not a day: write year, month and day, such as date(\"2027-01-31\")", string(s))
			return
		}
		e.SetKindCase(r.call(e, "timestamp", r.text(e, string(s)+"T00:00:00Z")))
	case "seen_by", "known_to":
		if r.arity(e, name, args, 1, 1) {
			e.SetKindCase(r.call(e, "@"+name, r.factory.NewIdent(r.id(e), "asset"), args[0]))
		}
	case "has_software":
		if r.arity(e, name, args, 1, 2) {
			r.hasSoftware(e, args)
		}
	}
}

func (r *rewriter) arity(e ast.Expr, name string, args []ast.Expr, least, most int) bool {
	if len(args) >= least && len(args) <= most {
		return true
	}
	r.fail(e, "%s", usage[name])
	return false
}

// hasSoftware keeps the parsed constraint, so that it is parsed once.
func (r *rewriter) hasSoftware(e ast.Expr, args []ast.Expr) {
	if title, ok := literal[types.String](args, 0); ok && strings.TrimSpace(string(title)) == "" {
		r.fail(e, "%s", usage["has_software"])
		return
	}
	var text types.String
	var ok bool
	if len(args) == 2 {
		if text, ok = literal[types.String](args, 1); !ok {
			r.fail(args[1], "%s", usage["has_software"])
			return
		}
	}
	c, err := parseConstraint(string(text))
	if err != nil {
		r.fail(args[len(args)-1], "%s", err)
		return
	}
	r.constraints[string(text)] = c
	e.SetKindCase(r.call(e, hasSoftware, r.factory.NewIdent(r.id(e), titlesVariable), args[0], r.text(e, string(text))))
}

// literal returns an argument that is written out.
func literal[T ref.Val](args []ast.Expr, i int) (value T, ok bool) {
	if i >= len(args) || args[i].Kind() != ast.LiteralKind {
		return value, false
	}
	value, ok = args[i].AsLiteral().(T)
	return value, ok
}
