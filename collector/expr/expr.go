// Package expr compiles and evaluates conditions on an asset: the language of
// filters, of rules and of feeds, which is CEL with a third truth value.
//
// A condition sees these variables:
//
//	asset     the rollcall.v1.Asset
//	software  its software rows, a list of rollcall.v1.Software
//	record    what the collector itself knows of the asset, see Record
//	kinds     the kinds of sources that this collector hears from
//	now       the time of the evaluation
//
// A field that nobody states is unknown, not empty and not false, and so is
// whatever depends on it: unknown && false is false, unknown || true is true,
// every other use of an unknown value is unknown. A list or a map is unknown
// where the message that holds it is, and else as long as it is. has(x.y) is
// never unknown: it asks whether x.y is stated. Days, which the schema has as
// text, are timestamps here: the first moment of the day in UTC; a day that is
// not one is unknown.
//
// Time enters by comparison only (age(t) is now - t), so that an outcome tells
// until when it holds.
package expr

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/ext"
)

// Bounds of one expression. Sources of conditions are people, who may err, and
// people who may mean harm.
const (
	// MaxSource is the longest expression, in bytes.
	MaxSource = 8 << 10
	// maxDepth bounds the nesting, which is recursion in parser and checker.
	maxDepth = 64
	// costTracked is the estimated worst cost above which an evaluation is
	// counted and can be interrupted. What is cheaper ends within milliseconds
	// on any asset, and counting would double its time.
	costTracked = 100_000
	// costRefused is the estimated worst cost above which an expression is
	// refused: a walk over the software for each row of the software.
	costRefused = 100_000_000
	// costLimit ends an evaluation that is counted.
	costLimit = 5_000_000
	// interruptEvery is how many steps of a walk pass between looks at the
	// context.
	interruptEvery = 100
)

// Env compiles expressions. It is safe for use by several goroutines.
type Env struct {
	cel    *cel.Env
	fields *fields
	// frames are used again by evaluations: a fleet makes millions in a row.
	frames sync.Pool
}

// New returns an environment. The error would be a fault of this package.
func New() (*Env, error) {
	f, err := newFields()
	if err != nil {
		return nil, fmt.Errorf("describe the asset to CEL: %w", err)
	}
	options := []cel.EnvOption{
		cel.CustomTypeProvider(f), cel.CustomTypeAdapter(f),
		cel.ParserRecursionLimit(maxDepth), cel.ParserExpressionSizeLimit(MaxSource), cel.ParserErrorRecoveryLimit(4),
		cel.CrossTypeNumericComparisons(true), cel.HomogeneousAggregateLiterals(), cel.DefaultUTCTimeZone(true),
		cel.RegexProgramSizeLimit(2000), ext.Strings(ext.StringsVersion(2)),
	}
	env, err := cel.NewEnv(append(append(options, variables()...), functions()...)...)
	if err != nil {
		return nil, fmt.Errorf("set up CEL: %w", err)
	}
	return &Env{cel: env, fields: f}, nil
}

func variables() []cel.EnvOption {
	return []cel.EnvOption{
		cel.Variable("asset", cel.ObjectType(assetType)),
		cel.Variable("software", cel.ListType(cel.ObjectType(softwareType))),
		cel.Variable("record", cel.ObjectType(recordType)),
		cel.Variable("kinds", cel.ListType(cel.StringType)),
		cel.Variable("now", cel.TimestampType),
		cel.Variable(titlesVariable, titlesType),
	}
}

// Params are values that an expression finds as params.<name>: bool, int64,
// float64, string, []string or time.Duration. They are compiled in.
type Params map[string]any

// Program is a compiled expression, safe for use by several goroutines.
type Program struct {
	source      string
	program     cel.Program
	tracked     bool
	constraints map[string]constraint
	fields      []string
	// direct is nil for a program that only CEL can run, as it does all of those of
	// an asset that is no more: even has(asset.name) is unknown then.
	direct condition
	frames *sync.Pool
}

// Source returns the text that the program was compiled from.
func (p *Program) Source() string { return p.source }

// Fields returns the fields that the program reads, as users write them but
// without "asset.": "os.family", "record.disk_full_at", in order of text.
func (p *Program) Fields() []string { return p.fields }

// Compile compiles a condition. The error is an *Error, which tells where.
func (e *Env) Compile(source string, params Params) (*Program, error) {
	return e.compile(source, params, "a condition, true or false", cel.BoolType)
}

// CompileText compiles an expression that yields text or a list of texts.
func (e *Env) CompileText(source string, params Params) (*Program, error) {
	return e.compile(source, params, "text or a list of texts", cel.StringType, cel.ListType(cel.StringType))
}

func (e *Env) compile(source string, params Params, want string, wanted ...*cel.Type) (*Program, error) {
	if strings.TrimSpace(source) == "" {
		return nil, &Error{Line: 1, Column: 1, Message: "the expression is empty: write " + want}
	}
	if len(source) > MaxSource {
		return nil, &Error{Line: 1, Column: 1, Message: fmt.Sprintf("the expression is %d bytes long, %d are the most: split it", len(source), MaxSource)}
	}
	parsed, issues := e.cel.Parse(source)
	if issues.Err() != nil {
		return nil, e.issue(source, issues)
	}
	r := newRewriter(parsed.NativeRep(), params)
	r.expand(parsed.NativeRep().Expr())
	if r.err != nil {
		return nil, r.err
	}
	checked, issues := e.cel.Check(parsed)
	if issues.Err() != nil {
		return nil, e.issue(source, issues)
	}
	if got := checked.OutputType(); !slices.ContainsFunc(wanted, got.IsExactType) {
		return nil, &Error{Line: 1, Column: 1, Message: fmt.Sprintf("this yields %s, but %s is needed here", typeName(got), want)}
	}
	used := e.fields.used(checked.NativeRep())
	if r.splitNow(checked.NativeRep()); r.err != nil {
		return nil, r.err
	}
	if checked, issues = e.cel.Check(parsed); issues.Err() != nil {
		return nil, e.issue(source, issues)
	}
	p := &Program{source: source, constraints: r.constraints, fields: used, frames: &e.frames}
	if err := e.plan(p, checked); err != nil {
		return nil, err
	}
	// What may take long is CEL's, which counts and can be interrupted.
	if !p.tracked && checked.OutputType().IsExactType(cel.BoolType) {
		d := &direct{fields: e.fields, checked: checked.NativeRep(), constraints: r.constraints}
		p.direct = d.condition(checked.NativeRep().Expr())
	}
	return p, nil
}

// plan makes the program and decides whether its cost must be watched.
func (e *Env) plan(p *Program, checked *cel.Ast) error {
	estimate, err := e.cel.EstimateCost(checked, sizes{})
	if err != nil {
		return &Error{Line: 1, Column: 1, Message: "the cost cannot be estimated: " + err.Error()}
	}
	if estimate.Max > costRefused {
		return &Error{Line: 1, Column: 1, Message: "this could take far too long on an asset with much software: " +
			"avoid a walk over a long list within another, and name titles with has_software(\"name\", \"< 1.2\")"}
	}
	options := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize)}
	if p.tracked = estimate.Max > costTracked; p.tracked {
		options = append(options, cel.CostLimit(costLimit), cel.InterruptCheckFrequency(interruptEvery))
	}
	if p.program, err = e.cel.Program(checked, options...); err != nil {
		return &Error{Line: 1, Column: 1, Message: err.Error()}
	}
	return nil
}

// Value is what a condition is: true, false or unknown.
type Value uint8

// The truth values.
const (
	Unknown Value = iota
	False
	True
)

// String names the value.
func (v Value) String() string {
	return [...]string{"unknown", "false", "true"}[min(v, True)]
}

// Outcome is the value of an expression for one asset.
type Outcome struct {
	Value Value
	// Texts is the value of an expression made by CompileText.
	Texts []string
	// Missing are the fields that nobody states and that made the value unknown.
	Missing []string
	// Reason tells what else made the value unknown, as a division by zero.
	Reason string
	// Next is the first time at which the value may be another although the
	// asset is the same; zero if there is none.
	Next time.Time
}

// ErrLimit is wrapped by the error of an evaluation that takes too long.
var ErrLimit = errors.New("the expression takes too long")

// Eval evaluates the program. An error means that there is no outcome: the
// cost limit was reached (ErrLimit). That something is missing or cannot be
// computed is no error but an unknown value.
func (p *Program) Eval(in *Input) (Outcome, error) {
	return p.EvalContext(context.Background(), in)
}

// EvalContext is Eval that ends early, with an error that wraps the context's,
// when ctx ends.
func (p *Program) EvalContext(ctx context.Context, in *Input) (Outcome, error) {
	if p.direct != nil && in.Asset != nil {
		if v, next := p.direct.run(in, p.frames); v != Unknown {
			return Outcome{Value: v, Next: next}, nil
		}
	}
	return p.interpret(ctx, in)
}

// Decide is Eval for who does not ask what is missing: the outcome has neither
// Missing nor Reason where that saves time.
func (p *Program) Decide(in *Input) (Outcome, error) {
	if p.direct != nil && in.Asset != nil {
		v, next := p.direct.run(in, p.frames)
		return Outcome{Value: v, Next: next}, nil
	}
	return p.interpret(context.Background(), in)
}

// interpret evaluates the program by CEL.
func (p *Program) interpret(ctx context.Context, in *Input) (Outcome, error) {
	act := &activation{in: in, clock: clock{now: in.Now}, constraints: p.constraints}
	var value ref.Val
	var err error
	if p.tracked {
		value, _, err = p.program.ContextEval(ctx, act)
	} else {
		value, _, err = p.program.Eval(act)
	}
	out := Outcome{Next: act.clock.next}
	if err != nil {
		return out, p.failed(ctx, err, &out)
	}
	switch v := value.(type) {
	case types.Bool:
		if out.Value = False; v == types.True {
			out.Value = True
		}
	case types.String:
		out.Value, out.Texts = True, []string{string(v)}
	case traits.Lister:
		out.Value = True
		for it := v.Iterator(); it.HasNext() == types.True; {
			switch s := it.Next().(type) {
			case types.String:
				out.Texts = append(out.Texts, string(s))
			case *types.Unknown:
				out.Missing = append(out.Missing, missing(s)...)
			}
		}
	case *types.Unknown:
		out.Missing = missing(v)
	}
	return out, nil
}

// failed sorts the errors of CEL: those that only mean that this asset has no
// answer go into the outcome.
func (p *Program) failed(ctx context.Context, err error, out *Outcome) error {
	if ctx.Err() != nil {
		return fmt.Errorf("evaluate %q: %w", p.source, context.Cause(ctx))
	}
	text := err.Error()
	if strings.Contains(text, "cost limit exceeded") {
		return fmt.Errorf("evaluate %q: %w: name fewer rows, or use has_software", p.source, ErrLimit)
	}
	if name, ok := strings.CutPrefix(text, "no such key: "); ok {
		out.Missing = []string{name}
		return nil
	}
	out.Reason = text
	return nil
}

// missing returns the fields behind an unknown value.
func missing(u *types.Unknown) []string {
	found := map[string]bool{}
	for _, id := range u.IDs() {
		trails, _ := u.GetAttributeTrails(id)
		for _, t := range trails {
			found[t.Variable()] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}
