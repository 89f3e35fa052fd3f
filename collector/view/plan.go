package view

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/parser"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/rollcall-itam/rollcall/collector/expr"
)

// Filters that are kept ready, with what is known of their parts: a verdict of
// one byte for each distinct value of a column.
const (
	keptPlans  = 256
	keptLeaves = 128
)

// planner makes plans of filters and keeps the latest.
type planner struct {
	schema *schema
	// environment makes what the filters are compiled in.
	environment func() (*expr.Env, error)

	once   sync.Once
	failed error
	env    *expr.Env
	parser *parser.Parser
	plans  *lru.Cache[string, *node]
	leaves *lru.Cache[string, *leaf]
}

// node is a part of a filter. It stands for the rows on which the part is true,
// never for those on which it is false or unknown: negations are in the leaves.
type node struct {
	// either tells that one of the parts is enough.
	either bool
	parts  []*node
	leaf   *leaf
}

func (p *planner) start() error {
	p.once.Do(func() {
		if p.env, p.failed = p.environment(); p.failed != nil {
			return
		}
		if p.parser, p.failed = parser.NewParser(parser.Macros(), parser.MaxRecursionDepth(maxNesting), parser.ExpressionSizeCodePointLimit(expr.MaxSource)); p.failed != nil {
			return
		}
		if p.plans, p.failed = lru.New[string, *node](keptPlans); p.failed != nil {
			return
		}
		p.leaves, p.failed = lru.New[string, *leaf](keptLeaves)
	})
	return p.failed
}

const maxNesting = 64

// plan returns the plan of a filter. An error that is an *expr.Error tells what
// is wrong with the filter.
func (p *planner) plan(filter string) (*node, error) {
	if err := p.start(); err != nil {
		return nil, fmt.Errorf("set up filters: %w", err)
	}
	if n, ok := p.plans.Get(filter); ok {
		return n, nil
	}
	whole, err := p.env.Compile(filter, nil)
	if err != nil {
		return nil, err
	}
	if err := refuse(whole.Fields()); err != nil {
		return nil, err
	}
	parsed, issues := p.parser.Parse(common.NewTextSource(filter))
	if len(issues.GetErrors()) > 0 {
		return nil, &expr.Error{Line: 1, Column: 1, Message: "this is not an expression: " + issues.GetErrors()[0].Message}
	}
	n, err := p.divide(parsed, parsed.Expr(), false)
	if err != nil {
		// What was cut out does not stand alone: take all in one piece.
		l, lone := p.analyse(whole, parsed.Expr(), false)
		if lone != nil {
			return nil, lone
		}
		n = &node{leaf: l}
	}
	p.plans.Add(filter, n)
	return n, nil
}

// refuse names the fields that rules know and filters do not.
func refuse(fields []string) error {
	for _, f := range fields {
		top, _, _ := strings.Cut(f, ".")
		switch {
		case top == "record" || top == "kinds":
			return &expr.Error{Line: 1, Column: 1, Message: f + " is for rules only: a filter knows the asset and its software"}
		case top == "findings":
			return &expr.Error{Line: 1, Column: 1, Message: f + " cannot be filtered by: GET /v1/findings lists them with their assets"}
		case slices.Contains(unheld, top), f == "conflicts.values.observed_at":
			return &expr.Error{Line: 1, Column: 1, Message: f + " cannot be filtered by: ask /v1/assets/{id}:explain of one asset"}
		}
	}
	return nil
}

// divide takes a condition apart at && and ||. Of three truth values as of two,
// a && b is true where both are, a || b where either is, and negation turns one
// into the other.
func (p *planner) divide(a *ast.AST, e ast.Expr, negated bool) (*node, error) {
	if e.Kind() == ast.CallKind {
		c := e.AsCall()
		switch c.FunctionName() {
		case operators.LogicalNot:
			return p.divide(a, c.Args()[0], !negated)
		case operators.LogicalAnd, operators.LogicalOr:
			n := &node{either: (c.FunctionName() == operators.LogicalOr) != negated}
			for _, arg := range c.Args() {
				part, err := p.divide(a, arg, negated)
				if err != nil {
					return nil, err
				}
				if part.leaf == nil && part.either == n.either {
					n.parts = append(n.parts, part.parts...)
				} else {
					n.parts = append(n.parts, part)
				}
			}
			slices.SortStableFunc(n.parts, func(a, b *node) int { return a.cost() - b.cost() })
			return n, nil
		}
	}
	l, err := p.leaf(a, e, negated)
	if err != nil {
		return nil, err
	}
	return &node{leaf: l}, nil
}

// leaf compiles a part of a condition that is not divided.
func (p *planner) leaf(a *ast.AST, e ast.Expr, negated bool) (*leaf, error) {
	text, err := parser.Unparse(e, a.SourceInfo())
	if err != nil {
		return nil, fmt.Errorf("write a part of the filter anew: %w", err)
	}
	key := text
	if negated {
		key = "!(" + text + ")"
	}
	if l, ok := p.leaves.Get(key); ok {
		return l, nil
	}
	program, err := p.env.Compile(key, nil)
	if err != nil {
		return nil, err
	}
	l, err := p.analyse(program, e, negated)
	if err != nil {
		return nil, err
	}
	if l.titles != nil && negated {
		// Of titles it is asked what the condition says without the negation.
		if l.program, err = p.env.Compile(text, nil); err != nil {
			return nil, err
		}
	}
	p.leaves.Add(key, l)
	return l, nil
}

// cost orders the parts of a conjunction: those that narrow the rows down
// without a look at each come first.
func (n *node) cost() int {
	if n.leaf != nil {
		return n.leaf.cost()
	}
	most := 0
	for _, p := range n.parts {
		most = max(most, p.cost())
	}
	return most
}
