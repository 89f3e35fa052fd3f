package view

import (
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/rollcall-itam/rollcall/collector/expr"
)

// leaf is a condition that is decided as a whole.
type leaf struct {
	program *expr.Program
	// reads are the columns that the condition depends on.
	reads []*column
	// parent is set where reads is one list or map below a message: an empty one
	// is known to be empty only where the message is there.
	parent *message
	// latest and times tell that it depends on when the asset, or each of its
	// sources, was last seen; software that it depends on the software, and
	// dated that it depends on the times of its rows.
	latest, times, software, dated bool
	// finding are the fields of a finding that it depends on; "" is the finding as a
	// whole.
	finding []string
	// text decides on an encoded text without CEL, where that can.
	text func(encoded string) bool
	// titles is set where the condition asks for a title.
	titles  *titleLeaf
	negated bool

	verdicts, ofTitles verdicts
	memo               memo
}

// titleLeaf is a condition that is true where it is of any title alone.
type titleLeaf struct {
	// name is the name that the title has, and part what its name contains in
	// lower case; both are empty where any title may be meant.
	name, part string
}

// cost is how much a look at the leaf takes: a title or a column, several
// columns, each row for itself.
func (l *leaf) cost() int {
	switch {
	case l.single(), l.titles != nil:
		return 0
	case l.perRow():
		return 2
	}
	return 1
}

// single tells whether one column decides.
func (l *leaf) single() bool {
	return len(l.reads) == 1 && !l.latest && !l.perRow() && len(l.finding) == 0
}

// ofAsset tells whether the asset, and not a finding of it, decides.
func (l *leaf) ofAsset() bool {
	return len(l.finding) == 0 && (len(l.reads) > 0 || l.latest || l.perRow())
}

// perRow tells whether no two rows can be trusted to come out the same.
func (l *leaf) perRow() bool { return l.times || l.software }

// analyse finds out what a condition depends on. A field too many costs time, a
// field too few would be wrong, so in doubt all are taken.
func (p *planner) analyse(program *expr.Program, e ast.Expr, negated bool) (*leaf, error) {
	l := &leaf{program: program, negated: negated}
	r := reader{schema: p.schema, leaf: l}
	r.visit(e)
	l.dated = slices.Contains(program.Fields(), "software.installed_at") || slices.Contains(program.Fields(), "software.last_used_at")
	l.software = l.software || slices.ContainsFunc(program.Fields(), func(f string) bool { return f == "software" || strings.HasPrefix(f, "software.") })
	containers := slices.ContainsFunc(l.reads, func(c *column) bool { return c.index > kindsColumn && c.container() && len(c.wrap) > 0 })
	switch {
	case containers && len(l.reads) == 1 && !r.whole:
		l.parent = p.schema.messageOf(l.reads[0])
	case containers || r.whole:
		r.read(p.schema.columns[shapeColumn])
	}
	if l.single() {
		l.text = textTest(l.reads[0], e, negated)
	}
	if l.software && len(l.reads) == 0 && !l.latest && !l.times && !l.dated && !r.now && len(l.finding) == 0 {
		l.titles = titleTest(e)
	}
	return l, nil
}

// messageOf returns the message around a column.
func (s *schema) messageOf(c *column) *message {
	path := c.path[:strings.LastIndexByte(c.path, '.')]
	for _, m := range s.messages {
		if m.path == path {
			return m
		}
	}
	return nil
}

// reader collects what an expression reads.
type reader struct {
	schema *schema
	leaf   *leaf
	// whole tells that a message is used as a value, and so whether it is there.
	whole, now bool
}

func (r *reader) read(c *column) {
	if !slices.Contains(r.leaf.reads, c) {
		r.leaf.reads = append(r.leaf.reads, c)
	}
}

// visit walks through an expression whose macros are not expanded.
func (r *reader) visit(e ast.Expr) {
	switch e.Kind() {
	case ast.IdentKind, ast.SelectKind:
		switch root, path := chain(e); root {
		case "asset":
			r.path(path)
			return
		case "finding":
			r.leaf.finding = append(r.leaf.finding, append(path, "")[0])
			return
		}
		if e.Kind() == ast.SelectKind {
			r.visit(e.AsSelect().Operand())
			return
		}
		r.leaf.software = r.leaf.software || e.AsIdent() == "software"
		r.now = r.now || e.AsIdent() == "now"
	case ast.CallKind:
		c := e.AsCall()
		r.function(c.FunctionName())
		if c.IsMemberFunction() {
			r.visit(c.Target())
		}
		for _, arg := range c.Args() {
			r.visit(arg)
		}
	case ast.ListKind:
		for _, x := range e.AsList().Elements() {
			r.visit(x)
		}
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			r.visit(entry.AsMapEntry().Key())
			r.visit(entry.AsMapEntry().Value())
		}
	case ast.StructKind:
		for _, f := range e.AsStruct().Fields() {
			r.visit(f.AsStructField().Value())
		}
	}
}

// function notes what functions look into that do not say so.
func (r *reader) function(name string) {
	switch name {
	case "known_to":
		r.read(r.schema.columns[kindsColumn])
	case "seen_by":
		r.path([]string{"sources"})
	case "age":
		r.now = true
	case "has_software":
		r.leaf.software = true
	}
}

// chain returns the name at the root of a chain of fields and the fields.
func chain(e ast.Expr) (root string, path []string) {
	for e.Kind() == ast.SelectKind {
		path = append(path, e.AsSelect().FieldName())
		e = e.AsSelect().Operand()
	}
	if e.Kind() != ast.IdentKind {
		return "", nil
	}
	slices.Reverse(path)
	return e.AsIdent(), path
}

// path notes that a field is read.
func (r *reader) path(names []string) {
	for end := len(names); end > 0; end-- {
		if c := r.schema.byPath[strings.Join(names[:end], ".")]; c != nil {
			r.column(c)
			return
		}
	}
	found, _ := r.schema.under(strings.Join(names, "."))
	if len(found) == 0 { // not a field: something else goes by the name of asset
		found, _ = r.schema.under("")
	}
	r.whole = true
	for _, c := range found {
		r.column(c)
	}
}

func (r *reader) column(c *column) {
	switch c.path {
	case lastSeen:
		r.leaf.latest = true
	case "sources":
		r.leaf.times = true
		r.read(c)
	default:
		r.read(c)
	}
}

// titleTest returns what a condition asks of titles, or nil if it is not one
// that is true where it is of any title alone.
func titleTest(e ast.Expr) *titleLeaf {
	if e.Kind() != ast.CallKind {
		return nil
	}
	c := e.AsCall()
	switch {
	case c.FunctionName() == "has_software" && !c.IsMemberFunction() && len(c.Args()) > 0:
		name, ok := text(c.Args()[0])
		if !ok {
			return nil
		}
		if !strings.Contains(name, "*") {
			return &titleLeaf{name: name}
		}
		longest := ""
		for part := range strings.SplitSeq(strings.ToLower(name), "*") {
			if len(part) > len(longest) {
				longest = part
			}
		}
		return &titleLeaf{part: longest}
	case c.FunctionName() == operators.Exists && c.IsMemberFunction() && c.Target().Kind() == ast.IdentKind && c.Target().AsIdent() == "software":
		inner := reader{leaf: new(leaf), schema: newSchema()}
		inner.visit(c.Args()[1])
		if inner.leaf.software {
			return nil // it looks at other titles as well
		}
		return new(titleLeaf)
	}
	return nil
}

func text(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	s, ok := e.AsLiteral().(types.String)
	return string(s), ok
}

// textTest returns how to decide a comparison of a text with texts that are
// written out, or nil for another condition. It was checked that the types fit.
func textTest(c *column, e ast.Expr, negated bool) func(encoded string) bool {
	if c.index <= kindsColumn || c.container() || c.field.Kind() != protoreflect.StringKind || e.Kind() != ast.CallKind {
		return nil
	}
	call := e.AsCall()
	subject, args := call.Target(), call.Args()
	if !call.IsMemberFunction() && len(args) == 2 {
		subject, args = args[0], args[1:]
	}
	if subject == nil || len(args) != 1 || !isField(subject, c.path) {
		return nil
	}
	if call.FunctionName() == operators.In {
		return listTest(c, args[0], negated)
	}
	want, ok := text(args[0])
	if !ok {
		return nil
	}
	encoded := encodeText(c, want)
	var test func(string) bool
	switch call.FunctionName() {
	case operators.Equals:
		return func(v string) bool { return (v == encoded) != negated }
	case operators.NotEquals:
		return func(v string) bool { return (v == encoded) == negated }
	case "startsWith":
		test = func(v string) bool { return strings.HasPrefix(v, want) }
	case "endsWith":
		test = func(v string) bool { return strings.HasSuffix(v, want) }
	case "contains":
		test = func(v string) bool { return strings.Contains(v, want) }
	default:
		return nil
	}
	return func(v string) bool { return test(decodeText(v)) != negated }
}

func listTest(c *column, list ast.Expr, negated bool) func(string) bool {
	if list.Kind() != ast.ListKind {
		return nil
	}
	among := make(map[string]bool)
	for _, x := range list.AsList().Elements() {
		want, ok := text(x)
		if !ok {
			return nil
		}
		among[encodeText(c, want)] = true
	}
	return func(v string) bool { return among[v] != negated }
}

func isField(e ast.Expr, path string) bool {
	root, names := chain(e)
	return root == "asset" && strings.Join(names, ".") == path
}

func encodeText(c *column, s string) string {
	return string(protowire.AppendString(protowire.AppendTag(nil, c.field.Number(), protowire.BytesType), s))
}

func decodeText(encoded string) string {
	i := 0
	for range 2 { // the tag and the length
		for encoded[i] >= 0x80 {
			i++
		}
		i++
	}
	return encoded[i:]
}
