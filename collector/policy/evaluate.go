package policy

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-itam/rollcall/collector/expr"
)

// compiled is what a rule is evaluated with.
type compiled struct {
	applies, require, detail *program
	needs                    []need
}

// program is a compiled expression that rules may share.
type program struct {
	*expr.Program
	// slot is its place among the outcomes that are kept for one asset; -1 for one
	// that only one rule has.
	slot int
}

// need is a Need with the question whether the field is stated.
type need struct {
	Need
	stated *program
}

// maxSteps bounds the search for the time at which a verdict changes. A search
// that ends early gives a time that is too early, which costs one evaluation.
const maxSteps = 16

// evaluation is the judging of one asset at one time.
type evaluation struct {
	in *expr.Input
	// kept holds outcomes by slot: many rules apply to the same assets.
	kept []*expr.Outcome
	next time.Time
	// brief leaves out what an unknown answer lacks.
	brief bool
}

func (e *evaluation) eval(p *program) (expr.Outcome, error) {
	var out *expr.Outcome
	keep := p.slot >= 0 && p.slot < len(e.kept)
	if keep {
		out = e.kept[p.slot]
	}
	if out == nil {
		o, err := e.run(p)
		if err != nil {
			return o, err
		}
		if !keep {
			e.until(o.Next)
			return o, nil
		}
		kept := o
		out, e.kept[p.slot] = &kept, &kept
	}
	e.until(out.Next)
	return *out, nil
}

func (e *evaluation) run(p *program) (expr.Outcome, error) {
	if e.brief {
		return p.Decide(e.in)
	}
	return p.Eval(e.in)
}

// until notes that an outcome holds until a time, if that is not zero.
func (e *evaluation) until(next time.Time) {
	if !next.IsZero() && (e.next.IsZero() || next.Before(e.next)) {
		e.next = next
	}
}

// Evaluate judges one asset by the rule. A rule that cannot be evaluated, since
// it takes too long on this asset, is unknown, with the reason.
func (r *Rule) Evaluate(in *expr.Input) Verdict {
	return r.evaluate(&evaluation{in: in})
}

func (r *Rule) evaluate(e *evaluation) Verdict {
	in, brief := e.in, e.brief
	e.next = time.Time{}
	v := r.judge(e)
	v.Due = e.next
	for step := 0; !v.Due.IsZero() && step < maxSteps; step++ {
		later := *in
		later.Now = v.Due
		e := &evaluation{in: &later, brief: brief}
		if w := r.judge(e); w.Result != v.Result || !slices.Equal(w.Detail, v.Detail) {
			break
		}
		v.Due = e.next
	}
	return v
}

// judge evaluates without a look at the time to come.
func (r *Rule) judge(e *evaluation) Verdict {
	v := Verdict{Rule: r, Result: Unknown}
	if r.compiled.applies != nil {
		out, err := e.eval(r.compiled.applies)
		if err != nil || out.Value == expr.Unknown {
			return v.unknown(out, err)
		}
		if out.Value == expr.False {
			v.Result = NotApplicable
			return v
		}
	}
	for _, n := range r.compiled.needs {
		if !n.met(e) {
			v.Missing = append(v.Missing, n.String())
		}
	}
	if len(v.Missing) > 0 {
		return v
	}
	out, err := e.eval(r.compiled.require)
	if err != nil || out.Value == expr.Unknown {
		return v.unknown(out, err)
	}
	if out.Value == expr.True {
		v.Result = Pass
		return v
	}
	v.Result = Fail
	if r.compiled.detail != nil {
		if told, err := e.eval(r.compiled.detail); err == nil {
			v.Detail = told.Texts
		}
	}
	return v
}

func (v Verdict) unknown(out expr.Outcome, err error) Verdict {
	v.Missing, v.Reason = out.Missing, out.Reason
	if errors.Is(err, expr.ErrLimit) {
		v.Reason = "the rule takes too long on this asset"
	}
	return v
}

// String writes a need as in a file of rules.
func (n Need) String() string {
	if len(n.Kinds) == 0 {
		return n.Field
	}
	return n.Field + " from " + strings.Join(n.Kinds, "|")
}

// met tells whether the field is stated by whom it must be.
func (n need) met(e *evaluation) bool {
	switch n.Field {
	case "software":
		if e.in.Software == nil {
			return false
		}
	case "kinds":
		return e.in.Kinds != nil
	default:
		if out, err := e.eval(n.stated); err != nil || out.Value != expr.True {
			return false
		}
	}
	return len(n.Kinds) == 0 || n.fromKind(e)
}

// fromKind tells whether a source of one of the kinds states the field, some of
// what lies below it, or the group that it lies in.
func (n need) fromKind(e *evaluation) bool {
	for _, s := range e.in.Asset.GetSources() {
		if !slices.Contains(n.Kinds, s.GetKind()) {
			continue
		}
		if n.Field == "software" {
			return true
		}
		for path, p := range e.in.Asset.GetProvenance() {
			if p.GetSource() == s.GetSource() && (path == n.Field || strings.HasPrefix(path, n.Field+".") || strings.HasPrefix(n.Field, path+".")) {
				return true
			}
		}
	}
	return false
}
