package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rollcall-itam/rollcall/collector/expr"
)

// MaxRules is how many rules there may be.
const MaxRules = 10_000

// Pack is a set of rules that assets are judged by. It is safe for use by
// several goroutines.
type Pack struct {
	rules []*Rule
	byID  map[string]*Rule
	slots int
}

// Build compiles the rules of some files, applies the settings in them, and
// holds each rule to its examples. A rule with a mistake is left out and named
// among the problems; the rest works.
func Build(env *expr.Env, files ...*File) (*Pack, []*Problem) {
	b := &builder{env: env, pack: &Pack{byID: map[string]*Rule{}}, programs: map[string]*program{}}
	for _, f := range files {
		b.problems = append(b.problems, f.problems...)
		for _, r := range f.Rules {
			b.add(r)
		}
	}
	for _, f := range files {
		for _, s := range f.Settings {
			b.set(f, s)
		}
	}
	for _, r := range b.rules {
		if err := b.compile(r); err != nil {
			b.problems = append(b.problems, err)
			delete(b.pack.byID, r.ID)
			continue
		}
		b.pack.rules = append(b.pack.rules, r)
	}
	slices.SortFunc(b.pack.rules, func(x, y *Rule) int { return strings.Compare(x.ID, y.ID) })
	return b.pack, b.problems
}

// Rules returns the rules in order of their ids, those that are turned off
// among them.
func (p *Pack) Rules() []*Rule { return p.rules }

// Rule returns the rule of an id, or nil.
func (p *Pack) Rule(id string) *Rule { return p.byID[id] }

// Evaluate judges one asset by every rule that is turned on, in order of ids.
func (p *Pack) Evaluate(in *expr.Input) []Verdict {
	verdicts := make([]Verdict, 0, len(p.rules))
	p.evaluate(&evaluation{in: in}, func(v *Verdict) { verdicts = append(verdicts, *v) })
	return verdicts
}

// Decide is Evaluate for who does not ask why an answer is unknown: it calls hear
// with verdicts that may lack Missing and Reason, which takes far less time. They
// hold until hear returns.
func (p *Pack) Decide(in *expr.Input, hear func(*Verdict)) {
	p.evaluate(&evaluation{in: in, brief: true}, hear)
}

func (p *Pack) evaluate(e *evaluation, hear func(*Verdict)) {
	e.kept = make([]*expr.Outcome, p.slots)
	var v Verdict
	for _, r := range p.rules {
		if r.Enabled {
			v = r.evaluate(e)
			hear(&v)
		}
	}
}

// builder makes a pack.
type builder struct {
	env      *expr.Env
	pack     *Pack
	rules    []*Rule
	programs map[string]*program
	problems []*Problem
}

func (b *builder) add(r *Rule) {
	if before := b.pack.byID[r.ID]; before != nil {
		b.problems = append(b.problems, r.problem("id", "there is a rule of this id already, at %s:%d: choose another id, or change that rule under settings", before.File, before.Line))
		return
	}
	if len(b.rules) == MaxRules {
		b.problems = append(b.problems, r.problem("id", "there are more than %d rules: leave some out", MaxRules))
		return
	}
	c := *r // settings change the rule of this pack, not that of the file
	c.Params, c.Enabled = maps.Clone(r.Params), true
	b.rules = append(b.rules, &c)
	b.pack.byID[r.ID] = &c
}

// set applies one entry of settings.
func (b *builder) set(f *File, s Setting) {
	fail := func(format string, args ...any) {
		b.problems = append(b.problems, &Problem{File: f.Name, Line: s.at.line, Column: s.at.column, Message: fmt.Sprintf(format, args...)})
	}
	r := b.pack.byID[s.Rule]
	if r == nil {
		fail("settings name the rule %q, which there is not: see rollcall-collector rules list", s.Rule)
		return
	}
	if s.Severity != "" {
		r.Severity = s.Severity
	}
	if s.Enabled != nil {
		r.Enabled = *s.Enabled
	}
	for name, value := range s.Params {
		old, ok := r.Params[name]
		switch {
		case !ok:
			fail("rule %s has no parameter %q: it has %s", r.ID, name, strings.Join(slices.Sorted(maps.Keys(r.Params)), ", "))
		case fmt.Sprintf("%T", old) != fmt.Sprintf("%T", value):
			fail("parameter %q of rule %s is %s, such as %v: write one of that kind", name, r.ID, kindOf(old), old)
		default:
			if r.original == nil {
				before := *r
				before.Params = maps.Clone(r.Params)
				r.original = &before
			}
			r.Params[name] = value
		}
	}
}

// compile compiles a rule and holds it to its examples, with the parameters
// that those were written for.
func (b *builder) compile(r *Rule) *Problem {
	proven := r
	if r.original != nil {
		proven = r.original
		if p := b.expressions(proven); p != nil {
			return p
		}
	}
	if p := b.expressions(r); p != nil {
		return p
	}
	return b.prove(proven)
}

// expressions compiles the expressions of a rule.
func (b *builder) expressions(r *Rule) *Problem {
	var err error
	c := compiled{}
	for _, part := range []struct {
		name, source string
		into         **program
		compile      func(string, expr.Params) (*expr.Program, error)
	}{
		{"applies", r.Applies, &c.applies, b.env.Compile},
		{"require", r.Require, &c.require, b.env.Compile},
		{"detail", r.Detail, &c.detail, b.env.CompileText},
	} {
		if part.source == "" {
			continue
		}
		if *part.into, err = b.program(part.name, part.source, r.Params, part.compile); err != nil {
			return r.expression(part.name, err)
		}
	}
	for i, n := range r.Needs {
		if !b.env.KnownField(n.Field) {
			return r.problem(fmt.Sprintf("needs.%d", i), "there is no field %q%s", n.Field, b.env.Guess(n.Field))
		}
		known := need{Need: n}
		if n.Field != "software" && n.Field != "kinds" {
			source := "has(asset." + n.Field + ")"
			if strings.HasPrefix(n.Field, "record.") {
				source = "has(" + n.Field + ")"
			}
			if known.stated, err = b.program("needs", source, nil, b.env.Compile); err != nil {
				return r.problem(fmt.Sprintf("needs.%d", i), "%q cannot be needed: it lies within a list, so name the list", n.Field)
			}
		}
		c.needs = append(c.needs, known)
	}
	r.compiled, r.Digest = c, digest(r)
	return nil
}

// program compiles an expression once for all rules that have it.
func (b *builder) program(part, source string, params expr.Params, compile func(string, expr.Params) (*expr.Program, error)) (*program, error) {
	key := source
	if strings.Contains(source, "params.") {
		key += fmt.Sprintf("\x00%v", params) // fmt prints maps in order of keys
	}
	if part == "detail" {
		key += "\x00detail"
	}
	if p := b.programs[key]; p != nil {
		if p.slot < 0 {
			p.slot = b.pack.slots
			b.pack.slots++
		}
		return p, nil
	}
	compiled, err := compile(source, params)
	if err != nil {
		return nil, err
	}
	p := &program{Program: compiled, slot: -1}
	b.programs[key] = p
	return p, nil
}

// prove holds a rule to its examples.
func (b *builder) prove(r *Rule) *Problem {
	for i, example := range r.Examples {
		judge := r
		if example.Params != nil {
			other := *r
			other.Params = maps.Clone(r.Params)
			maps.Copy(other.Params, example.Params)
			if p := b.expressions(&other); p != nil {
				return p
			}
			judge = &other
		}
		v := judge.Evaluate(&example.Input)
		at := fmt.Sprintf("examples.%d", i)
		switch {
		case v.Result != example.Want:
			return r.problem(at, "example %q is %s, but the rule says %s%s", example.Name, example.Want, v.Result, v.why())
		case len(example.Detail) > 0 && !slices.Equal(example.Detail, v.Detail):
			return r.problem(at, "example %q tells %q, but the rule says %q", example.Name, example.Detail, v.Detail)
		case !example.Due.IsZero() && !example.Due.Equal(v.Due):
			return r.problem(at, "example %q is due %v, but the rule says %v", example.Name, example.Due, v.Due)
		}
	}
	return nil
}

// why explains a verdict in a clause.
func (v Verdict) why() string {
	switch {
	case len(v.Missing) > 0:
		return ": nobody states " + strings.Join(v.Missing, ", ")
	case v.Reason != "":
		return ": " + v.Reason
	case len(v.Detail) > 0:
		return ": " + strings.Join(v.Detail, "; ")
	}
	return ""
}

// expression places an error of a compiler in the file.
func (r *Rule) expression(part string, err error) *Problem {
	var in *expr.Error
	if !errors.As(err, &in) {
		return r.problem(part, "%s: %s", part, err)
	}
	p := r.problem(part, "%s: %s", part, in.Message)
	at := r.at[part]
	if p.Line += in.Line - 1; in.Line > 1 || at.block {
		p.Column = in.Column
	} else {
		p.Column += in.Column - 1
	}
	return p
}

// problem is a mistake in a part of the rule.
func (r *Rule) problem(part, format string, args ...any) *Problem {
	at, ok := r.at[part]
	if !ok {
		at = position{line: r.Line, column: 1}
	}
	return &Problem{File: r.File, Line: at.line, Column: at.column, Rule: r.ID, Message: fmt.Sprintf(format, args...)}
}

// digest sums up what decides on verdicts.
func digest(r *Rule) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q %q %v %v", r.ID, r.Severity, r.Applies, r.Require, r.Detail, r.Needs, r.Params))
	return hex.EncodeToString(sum[:])
}

// kindOf names the kind of a parameter.
func kindOf(value any) string {
	switch value.(type) {
	case bool:
		return "true or false"
	case int64:
		return "a whole number"
	case float64:
		return "a number with a point"
	case []string:
		return "a list of texts"
	}
	return "text"
}
