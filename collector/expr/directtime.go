package expr

import (
	"math"
	"time"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// constant returns the value of a conversion of text that is written out.
func constant[T ref.Val](e ast.Expr, function string, to ref.Type) (value T, ok bool) {
	if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != function {
		return value, false
	}
	text, ok := literal[types.String](e.AsCall().Args(), 0)
	if !ok {
		return value, false
	}
	value, ok = text.ConvertToType(to).(T)
	return value, ok
}

// moment compiles an expression that yields a time other than now.
func (d *direct) moment(e ast.Expr) moments {
	if t, ok := constant[types.Timestamp](e, "timestamp", types.TimestampType); ok {
		return func(*frame) (time.Time, bool) { return t.Time, true }
	}
	switch e.Kind() {
	case ast.SelectKind:
		if read := scalar(d, e, isMoment, readMoment); read != nil {
			return read
		}
		if read := scalar(d, e, isDay, readDay); read != nil {
			return read
		}
		if n := native[types.Timestamp](d, e); n != nil {
			return func(f *frame) (time.Time, bool) {
				v, ok := n(f)
				return v.Time, ok
			}
		}
	case ast.CallKind:
		args := e.AsCall().Args()
		switch e.AsCall().FunctionName() {
		case operators.Add, operators.Subtract:
			return d.shifted(e.AsCall())
		case operators.Conditional:
			return d.eitherMoment(args)
		}
	}
	return nil
}

func (d *direct) eitherMoment(args []ast.Expr) moments {
	test, yes, no := d.condition(args[0]), d.moment(args[1]), d.moment(args[2])
	if test == nil || yes == nil || no == nil {
		return nil
	}
	return func(f *frame) (time.Time, bool) {
		switch test(f) {
		case True:
			return yes(f)
		case False:
			return no(f)
		}
		return time.Time{}, false
	}
}

func isMoment(fd protoreflect.FieldDescriptor) bool {
	return fd.Message() != nil && fd.Message().FullName() == "google.protobuf.Timestamp"
}

func readMoment(v protoreflect.Value) (time.Time, bool) {
	t, ok := v.Message().Interface().(*timestamppb.Timestamp)
	if !ok || t.CheckValid() != nil {
		return time.Time{}, false
	}
	return t.AsTime(), true
}

func readDay(v protoreflect.Value) (time.Time, bool) {
	t, err := time.Parse(time.DateOnly, v.String())
	return t, err == nil
}

// The seconds of the first and the last time that CEL has.
const (
	firstSecond = -62135596800
	lastSecond  = 253402300799
)

// shifted compiles a time that lies a duration before or after another.
func (d *direct) shifted(c ast.CallExpr) moments {
	args := c.Args()
	if !d.typeOf(args[0]).IsExactType(types.TimestampType) || !d.typeOf(args[1]).IsExactType(types.DurationType) {
		return nil
	}
	t, by := d.moment(args[0]), d.span(args[1])
	back := c.FunctionName() == operators.Subtract
	if t == nil || by == nil {
		return nil
	}
	return func(f *frame) (time.Time, bool) {
		at, ok := t(f)
		far, ok2 := by(f)
		if !ok || !ok2 || far == math.MinInt64 {
			return time.Time{}, false
		}
		if back {
			far = -far
		}
		at = at.Add(far)
		return at, at.Unix() >= firstSecond && at.Unix() <= lastSecond
	}
}

// span compiles an expression that yields a duration.
func (d *direct) span(e ast.Expr) span {
	if c, ok := constant[types.Duration](e, "duration", types.DurationType); ok {
		return func(*frame) (time.Duration, bool) { return c.Duration, true }
	}
	if e.Kind() == ast.SelectKind {
		if n := native[types.Duration](d, e); n != nil {
			return func(f *frame) (time.Duration, bool) {
				v, ok := n(f)
				return v.Duration, ok
			}
		}
	}
	if e.Kind() == ast.CallKind && e.AsCall().FunctionName() == operators.Subtract {
		a, b := d.span(e.AsCall().Args()[0]), d.span(e.AsCall().Args()[1])
		if a == nil || b == nil {
			return nil
		}
		return func(f *frame) (time.Duration, bool) {
			x, ok := a(f)
			y, ok2 := b(f)
			less := x - y
			return less, ok && ok2 && (less < x) == (y > 0) // else it overflows
		}
	}
	return nil
}
