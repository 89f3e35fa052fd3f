package merge

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// SourcePrefix marks, in the order of an Override, the name of one source, where
// a plain word is a kind of sources.
const SourcePrefix = "source:"

// Override changes whom to believe on a field and on all below it that have no
// rule of their own. What it leaves empty stays as it was.
type Override struct {
	// Field is the path of a field or of a group of fields; empty for all that no
	// rule names.
	Field string
	// Order lists kinds of sources, and single sources with SourcePrefix, the
	// best first; who is not named comes last.
	Order []string
	// StaleAfter is how much longer than another a source must have been silent to
	// lose to it, 0 for never.
	StaleAfter *time.Duration
	// Pick is PickRank or PickNewest.
	Pick string
}

// Table says whom to believe on each field. It does not change.
type Table struct {
	root *field
	// apart are the rules of what Merge puts together by itself.
	apart map[string]*rule
	// ages are the times after which sources are stale, the shortest first.
	ages   []time.Duration
	digest string
}

// DefaultTable is the table that holds where nobody says otherwise.
var DefaultTable = sync.OnceValue(func() *Table { return compile(defaults()) })

func defaults() map[string]*rule {
	rules := make(map[string]*rule, len(precedence))
	for path, order := range precedence {
		rules[path] = newRule(order, DefaultStaleAfter, false)
	}
	return rules
}

// NewTable returns the default table with changes. The error names the field and
// what is wrong with it.
func NewTable(overrides []Override) (*Table, error) {
	rules := defaults()
	for i, o := range overrides {
		if err := CheckField(o.Field); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(overrides[:i], func(b Override) bool { return b.Field == o.Field }) {
			return nil, fmt.Errorf("%q is there twice", o.Field)
		}
		if err := o.check(); err != nil {
			return nil, fmt.Errorf("%s: %w", o.Field, err)
		}
	}
	// A group comes before what is below it, which takes after it.
	overrides = slices.Clone(overrides)
	slices.SortFunc(overrides, func(a, b Override) int { return strings.Compare(a.Field, b.Field) })
	for _, o := range overrides {
		was := nearest(rules, o.Field)
		order, staleAfter, newest := was.order, was.staleAfter, was.newest
		if o.Order != nil {
			order = slices.Clone(o.Order)
		}
		if o.StaleAfter != nil {
			staleAfter = *o.StaleAfter
		}
		if o.Pick != "" {
			newest = o.Pick == PickNewest
		}
		rules[o.Field] = newRule(order, staleAfter, newest)
	}
	return compile(rules), nil
}

func (o Override) check() error {
	for i, origin := range o.Order {
		if err := CheckOrigin(origin); err != nil {
			return err
		}
		if slices.Contains(o.Order[:i], origin) {
			return fmt.Errorf("order names %q twice", origin)
		}
	}
	if o.Order != nil && len(o.Order) == 0 {
		return fmt.Errorf("order is empty: leave it out to keep the usual one")
	}
	if o.StaleAfter != nil && *o.StaleAfter < 0 {
		return fmt.Errorf("stale_after is negative")
	}
	if o.Pick != "" && o.Pick != PickRank && o.Pick != PickNewest {
		return fmt.Errorf("pick %q: want %s or %s", o.Pick, PickRank, PickNewest)
	}
	return nil
}

// nearest returns the rule of a path, or of the closest group above it.
func nearest(rules map[string]*rule, path string) *rule {
	for ; path != ""; path = path[:max(strings.LastIndexByte(path, '.'), 0)] {
		if r := rules[path]; r != nil {
			return r
		}
	}
	return rules[""]
}

// CheckField tells what is wrong with the path of an Override.
func CheckField(path string) error {
	all := fieldPaths()
	if path == "" || slices.Contains(all, path) {
		return nil
	}
	return fmt.Errorf("there is no field %q%s", path, nearestOf(path, all))
}

// CheckOrigin tells what is wrong with one word of an order.
func CheckOrigin(origin string) error {
	if name, ok := strings.CutPrefix(origin, SourcePrefix); ok {
		if name == "" {
			return fmt.Errorf("%q names no source", origin)
		}
		return nil
	}
	if slices.Contains(Kinds, origin) {
		return nil
	}
	return fmt.Errorf("there is no kind of source %q%s; a single source is written %s%s", origin, nearestOf(origin, Kinds), SourcePrefix, origin)
}

// apartFields are the fields that Merge puts together by itself and that have rules.
var apartFields = []string{"labels", "software", "warranties"}

// fieldPaths are all paths that a rule may name.
var fieldPaths = sync.OnceValue(func() []string {
	paths := slices.Clone(apartFields)
	var walk func(*field)
	walk = func(f *field) {
		for _, c := range f.order {
			paths = append(paths, c.path)
			walk(c)
		}
	}
	walk(plan())
	slices.Sort(paths)
	return paths
})

func compile(rules map[string]*rule) *Table {
	t := &Table{root: newPlan(rules), apart: make(map[string]*rule, len(apartFields))}
	for _, name := range apartFields {
		t.apart[name] = nearest(rules, name)
	}
	h := sha256.New()
	for _, path := range slices.Sorted(maps.Keys(rules)) {
		r := rules[path]
		fmt.Fprintf(h, "%s %q %d %t\n", path, r.order, r.staleAfter, r.newest)
		if r.staleAfter > 0 {
			t.ages = append(t.ages, r.staleAfter)
		}
	}
	slices.Sort(t.ages)
	t.ages = slices.Compact(t.ages)
	t.digest = hex.EncodeToString(h.Sum(nil)[:16])
	return t
}

// Digest is the same for two tables that say the same.
func (t *Table) Digest() string { return t.digest }

// Sources returns the single sources that the table names.
func (t *Table) Sources() []string {
	var names []string
	note := func(r *rule) {
		for _, origin := range r.order {
			if name, ok := strings.CutPrefix(origin, SourcePrefix); ok && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	var walk func(*field)
	walk = func(f *field) {
		note(f.rule)
		for _, c := range f.order {
			walk(c)
		}
	}
	walk(t.root)
	for _, r := range t.apart {
		note(r)
	}
	slices.Sort(names)
	return names
}

// mayBeStale tells whether any of the statements can be stale to another.
func (t *Table) mayBeStale(stmts []Statement) bool {
	if len(t.ages) == 0 || len(stmts) < 2 {
		return false
	}
	var first, last time.Time
	for i := range stmts {
		s := &stmts[i]
		if lasting[s.Kind] {
			continue
		}
		at := s.heard()
		if first.IsZero() || at.Before(first) {
			first = at
		}
		if at.After(last) {
			last = at
		}
	}
	return last.Sub(first) > t.ages[0]
}
