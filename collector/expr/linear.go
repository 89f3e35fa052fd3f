package expr

import (
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// term is a summand of one side of a comparison.
type term struct {
	e        ast.Expr
	negative bool
	// point is set for a timestamp, and not for a duration.
	point bool
}

// sum is one side of a comparison: how often it has now in it, and the rest.
type sum struct {
	now   int
	terms []term
	// odd is set where now is used otherwise than in sums and differences.
	odd bool
}

// comparisons maps operators to the comparisons with the clock, as they are
// and with their sides exchanged.
var comparisons = map[string][2]string{
	operators.Greater:       {nowAfter, nowBefore},
	operators.GreaterEquals: {nowNotUntil, nowUntil},
	operators.Less:          {nowBefore, nowAfter},
	operators.LessEquals:    {nowUntil, nowNotUntil},
}

// splitNow makes of each comparison with now in it one that has now on one
// side and all else on the other: age(t) > days(3), which is now - t > days(3),
// becomes now > t + days(3). An expression that uses now in another way is
// refused, since nobody could tell when its value changes.
func (r *rewriter) splitNow(checked *ast.AST) {
	ast.PostOrderVisit(checked.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.CallKind {
			return
		}
		names, ok := comparisons[e.AsCall().FunctionName()]
		if !ok || len(e.AsCall().Args()) != 2 {
			return
		}
		left, right := collect(checked, e.AsCall().Args()[0]), collect(checked, e.AsCall().Args()[1])
		if left.odd || right.odd || left.now == right.now {
			return // without now, or refused below
		}
		name := names[0]
		if left.now < right.now {
			left, right, name = right, left, names[1]
		}
		if left.now-right.now != 1 {
			return
		}
		if t := r.threshold(e, left.terms, right.terms); t != nil {
			e.SetKindCase(r.call(e, name, r.factory.NewIdent(r.id(e), "now"), t))
		}
	}))
	if at := freeNow(checked.Expr()); at != nil {
		r.fail(at, "time enters by comparison only: compare now with a time, as in now > asset.warranty.end or age(asset.last_seen) > days(30)")
	}
}

// collect takes one side of a comparison apart.
func collect(checked *ast.AST, e ast.Expr) sum {
	var s sum
	var walk func(e ast.Expr, negative bool)
	walk = func(e ast.Expr, negative bool) {
		if e.Kind() == ast.IdentKind && e.AsIdent() == "now" {
			if s.now++; negative {
				s.now -= 2
			}
			return
		}
		if e.Kind() == ast.CallKind && len(e.AsCall().Args()) == 2 {
			switch args := e.AsCall().Args(); e.AsCall().FunctionName() {
			case operators.Add:
				walk(args[0], negative)
				walk(args[1], negative)
				return
			case operators.Subtract:
				walk(args[0], negative)
				walk(args[1], !negative)
				return
			}
		}
		s.odd = s.odd || freeNow(e) != nil
		s.terms = append(s.terms, term{e: e, negative: negative, point: checked.GetType(e.ID()).IsExactType(types.TimestampType)})
	}
	walk(e, false)
	return s
}

// threshold builds right - left, which is a time. Times are added to each
// other as differences only.
func (r *rewriter) threshold(at ast.Expr, left, right []term) ast.Expr {
	var points, minus, spans []term
	add := func(t term) {
		switch {
		case !t.point:
			spans = append(spans, t)
		case t.negative:
			minus = append(minus, t)
		default:
			points = append(points, t)
		}
	}
	for _, t := range right {
		add(t)
	}
	for _, t := range left {
		t.negative = !t.negative
		add(t)
	}
	if len(points) != len(minus)+1 {
		return nil
	}
	result := points[0].e
	for i, m := range minus {
		result = r.call(at, operators.Add, result, r.call(at, operators.Subtract, points[i+1].e, m.e))
	}
	for _, t := range spans {
		op := operators.Add
		if t.negative {
			op = operators.Subtract
		}
		result = r.call(at, op, result, t.e)
	}
	return result
}

// freeNow returns a use of now that no comparison with the clock accounts for.
func freeNow(e ast.Expr) (found ast.Expr) {
	counted := map[int64]bool{}
	ast.PreOrderVisit(e, ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.CallKind:
			switch c := e.AsCall(); c.FunctionName() {
			case nowAfter, nowNotUntil, nowBefore, nowUntil:
				counted[c.Args()[0].ID()] = true
			}
		case ast.IdentKind:
			if e.AsIdent() == "now" && !counted[e.ID()] && found == nil {
				found = e
			}
		}
	}))
	return found
}
