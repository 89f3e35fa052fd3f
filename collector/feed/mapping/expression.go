package mapping

import (
	"fmt"
	"regexp"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/ext"
)

// Bounds of one expression. The cost counts steps; a mapping of a thousand
// elements takes some ten thousand.
const (
	maxExpression = 4 << 10
	maxCost       = 200_000
)

// expressions compiles CEL over a record. CEL always ends, does no I/O, and
// knows nothing but the record: what it costs is bounded above.
type expressions struct{ env *cel.Env }

func newExpressions() (expressions, error) {
	env, err := cel.NewEnv(
		cel.Variable("r", cel.DynType), cel.Variable("e", cel.DynType),
		cel.OptionalTypes(), ext.Strings(ext.StringsVersion(4)), ext.Math(),
		cel.ParserExpressionSizeLimit(maxExpression), cel.ParserRecursionLimit(64),
		function("or", []*cel.Type{cel.DynType, cel.DynType}, cel.DynType, func(args ...ref.Val) ref.Val {
			if isNothing(args[0]) {
				return args[1]
			}
			if o, ok := args[0].(*types.Optional); ok {
				return o.GetValue()
			}
			return args[0]
		}),
		function("has_value", []*cel.Type{cel.DynType}, cel.BoolType, func(args ...ref.Val) ref.Val { return types.Bool(!isNothing(args[0])) }),
		function("truthy", []*cel.Type{cel.DynType}, cel.BoolType, func(args ...ref.Val) ref.Val {
			b, ok, err := boolean(args[0].Value(), nil)
			return types.Bool(b && ok && err == nil)
		}),
		function("lower", []*cel.Type{cel.DynType}, cel.StringType, func(args ...ref.Val) ref.Val { return types.String(strings.ToLower(plainText(args[0]))) }),
		function("text", []*cel.Type{cel.DynType}, cel.StringType, func(args ...ref.Val) ref.Val { return types.String(plainText(args[0])) }),
		function("match", []*cel.Type{cel.DynType, cel.StringType}, cel.StringType, func(args ...ref.Val) ref.Val {
			re, err := regexp.Compile(string(args[1].(types.String)))
			if err != nil {
				return types.NewErr("match: %v", err)
			}
			return types.String(firstGroup(re, plainText(args[0])))
		}),
	)
	if err != nil {
		return expressions{}, fmt.Errorf("prepare expressions: %w", err)
	}
	return expressions{env}, nil
}

func function(name string, args []*cel.Type, result *cel.Type, fn func(...ref.Val) ref.Val) cel.EnvOption {
	return cel.Function(name, cel.Overload("rollcall_"+name, args, result, cel.OverloadIsNonStrict(), cel.FunctionBinding(func(args ...ref.Val) ref.Val {
		for i, a := range args {
			// What is not there is nothing; any other error stays one.
			if types.IsError(a) {
				if !strings.Contains(fmt.Sprint(a), "no such key") {
					return a
				}
				args[i] = types.NullValue
			}
			if types.IsUnknown(a) {
				return a
			}
		}
		return fn(args...)
	})))
}

// isNothing tells of values that state nothing.
func isNothing(v ref.Val) bool {
	switch v := v.(type) {
	case types.Null:
		return true
	case types.String:
		return nothing(strings.TrimSpace(string(v)), nil)
	case *types.Optional:
		return !v.HasValue() || isNothing(v.GetValue())
	}
	return false
}

// plainText writes a value as text; nothing is the empty one.
func plainText(v ref.Val) string {
	if isNothing(v) {
		return ""
	}
	if o, ok := v.(*types.Optional); ok {
		v = o.GetValue()
	}
	s, _, err := text(v.Value(), nil)
	if err != nil {
		return ""
	}
	return s
}

// firstGroup returns the first group of a match, the match where the
// expression has no group, and nothing where it does not match.
func firstGroup(re *regexp.Regexp, s string) string {
	m := re.FindStringSubmatch(s)
	switch {
	case m == nil:
		return ""
	case len(m) > 1:
		return strings.TrimSpace(m[1])
	}
	return strings.TrimSpace(m[0])
}

// compile checks an expression and makes it ready. wanted, if not nil, is the
// type that it must give.
func (x expressions) compile(source string, wanted *cel.Type) (cel.Program, error) {
	ast, issues := x.env.Compile(source)
	if issues.Err() != nil {
		return nil, fmt.Errorf("expression: %w", issues.Err())
	}
	if out := ast.OutputType(); wanted != nil && !out.IsExactType(wanted) && !out.IsExactType(cel.DynType) {
		return nil, fmt.Errorf("the expression gives %s, want %s", out, wanted)
	}
	program, err := x.env.Program(ast, cel.CostLimit(maxCost), cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return nil, fmt.Errorf("expression: %w", err)
	}
	return program, nil
}

// eval runs an expression over an element of a record. A key that is not there
// makes the whole state nothing, as a path would.
func eval(p cel.Program, r, e any) (any, error) {
	out, _, err := p.Eval(map[string]any{"r": r, "e": e})
	if err != nil {
		if strings.Contains(err.Error(), "no such key") || strings.Contains(err.Error(), "no such overload") && strings.Contains(err.Error(), "null") {
			return nil, nil
		}
		return nil, fmt.Errorf("evaluate: %w", err)
	}
	return native(out)
}

// native turns a result into a plain value.
func native(v ref.Val) (any, error) {
	switch v := v.(type) {
	case types.Null:
		return nil, nil
	case *types.Optional:
		if !v.HasValue() {
			return nil, nil
		}
		return native(v.GetValue())
	case types.Uint:
		return int64(v), nil //nolint:gosec // sizes and counts; a result beyond int64 is no value of any field
	case types.Timestamp:
		return v.Time.UTC().Format("2006-01-02T15:04:05.999999999Z07:00"), nil
	}
	switch plain := v.Value().(type) {
	case bool, string, int64, float64, map[string]any, []any:
		return plain, nil
	case []ref.Val:
		list := make([]any, len(plain))
		for i, e := range plain {
			var err error
			if list[i], err = native(e); err != nil {
				return nil, err
			}
		}
		return list, nil
	case []string:
		list := make([]any, len(plain))
		for i, s := range plain {
			list[i] = s
		}
		return list, nil
	}
	return nil, fmt.Errorf("the expression gives %s, want a text, number, switch, time or list", v.Type().TypeName())
}
