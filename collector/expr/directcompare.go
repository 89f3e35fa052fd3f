package expr

import (
	"math"
	"time"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// comparing compiles a relation of two values of one type.
func comparing[T any](a, b func(*frame) (T, bool), holds func(a, b T) bool) condition {
	if a == nil || b == nil {
		return nil
	}
	return func(f *frame) Value {
		x, ok := a(f)
		y, ok2 := b(f)
		if !ok || !ok2 {
			return Unknown
		}
		return truth(holds(x, y))
	}
}

func (d *direct) equal(a, b ast.Expr) condition {
	switch t := d.typeOf(a); {
	case !t.IsExactType(d.typeOf(b)):
		return nil
	case t.IsExactType(types.StringType):
		return comparing(d.textual(a), d.textual(b), func(x, y string) bool { return x == y })
	case t.IsExactType(types.IntType):
		return comparing(d.whole(a), d.whole(b), func(x, y int64) bool { return x == y })
	case t.IsExactType(types.BoolType):
		x, y := d.condition(a), d.condition(b)
		if x == nil || y == nil {
			return nil
		}
		return func(f *frame) Value {
			v, w := x(f), y(f)
			if v == Unknown || w == Unknown {
				return Unknown
			}
			return truth(v == w)
		}
	}
	return nil
}

// signs maps comparisons to what they demand of the sign of a comparison.
var signs = map[string]func(int) bool{
	operators.Less:          func(d int) bool { return d < 0 },
	operators.LessEquals:    func(d int) bool { return d <= 0 },
	operators.Greater:       func(d int) bool { return d > 0 },
	operators.GreaterEquals: func(d int) bool { return d >= 0 },
}

func (d *direct) ordered(sign func(int) bool, a, b ast.Expr) condition {
	t, u := d.typeOf(a), d.typeOf(b)
	switch {
	case t.IsExactType(types.DoubleType) && (u.IsExactType(types.DoubleType) || u.IsExactType(types.IntType)):
		x, y := d.real(a), d.real(b)
		if x == nil || y == nil {
			return nil
		}
		return func(f *frame) Value {
			v, ok := x(f)
			w, ok2 := y(f)
			if !ok || !ok2 {
				return Unknown
			}
			return truth(!math.IsNaN(v) && !math.IsNaN(w) && sign(compare(v, w)))
		}
	case !t.IsExactType(u):
		return nil
	case t.IsExactType(types.IntType):
		return comparing(d.whole(a), d.whole(b), func(x, y int64) bool { return sign(compare(x, y)) })
	case t.IsExactType(types.DurationType):
		return comparing(d.span(a), d.span(b), func(x, y time.Duration) bool { return sign(compare(x, y)) })
	case t.IsExactType(types.TimestampType):
		return comparing(d.moment(a), d.moment(b), func(x, y time.Time) bool { return sign(x.Compare(y)) })
	case t.IsExactType(versionType):
		return comparing(d.version(a), d.version(b), func(x, y string) bool { return sign(compareVersions(x, y)) })
	}
	return nil
}

func compare[T int64 | float64 | time.Duration](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// clocked compiles a comparison of now with a time.
func (d *direct) clocked(name string, with ast.Expr) condition {
	t := d.moment(with)
	holds := clockComparisons[name]
	if t == nil {
		return nil
	}
	return func(f *frame) Value {
		at, ok := t(f)
		if !ok {
			return Unknown
		}
		return truth(holds(&f.clock, at))
	}
}
