package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/rollcall-itam/rollcall/collector/expr"
)

// Bounds of a file of rules.
const (
	// MaxFile is the largest file, in bytes.
	MaxFile     = 16 << 20
	maxText     = 4 << 10
	maxNeeds    = 20
	maxExamples = 100
	maxProblems = 200
)

// File is a file of rules as it was read, mistakes and all.
type File struct {
	Name     string
	Rules    []*Rule
	Settings []Setting
	problems []*Problem
}

// Setting changes a rule for a site.
type Setting struct {
	Rule     string
	Enabled  *bool
	Severity Severity
	Params   expr.Params
	at       position
}

// Read reads a file of rules: a mapping with rules, a list, and settings, a
// mapping from ids of rules to what changes of them. Names that are not known
// are mistakes. A rule with a mistake is left out; Build tells of it.
func Read(name string, data []byte) *File {
	r := &reader{file: &File{Name: name}}
	if len(data) > MaxFile {
		r.fail(position{1, 1, false}, "the file is %d bytes long, %d are the most: split it", len(data), MaxFile)
		return r.file
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		at := position{1, 1, false}
		if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
			at.line, _ = strconv.Atoi(m[1])
		}
		r.fail(at, "this is not YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
		return r.file
	}
	if len(doc.Content) == 0 {
		return r.file
	}
	r.mapping(doc.Content[0], "the file", map[string]func(*yaml.Node){
		"rules": func(n *yaml.Node) {
			for _, item := range r.list(n, "rules", MaxRules) {
				r.rule(item)
			}
		},
		"settings": r.settings,
	})
	return r.file
}

var yamlLine = regexp.MustCompile(`line (\d+)`)

// position is a place in a file; block is set where the text of a value begins
// on the line after it.
type position struct {
	line, column int
	block        bool
}

func place(n *yaml.Node) position {
	at := position{line: n.Line, column: n.Column}
	switch n.Style {
	case yaml.LiteralStyle, yaml.FoldedStyle:
		at.line, at.block = at.line+1, true
	case yaml.DoubleQuotedStyle, yaml.SingleQuotedStyle:
		at.column++
	}
	return at
}

// reader takes a file apart.
type reader struct {
	file *File
	// rule is the rule that is being read, bad whether it has a mistake.
	current *Rule
	bad     bool
}

func (r *reader) fail(at position, format string, args ...any) {
	r.bad = true
	if len(r.file.problems) == maxProblems {
		return
	}
	p := &Problem{File: r.file.Name, Line: at.line, Column: at.column, Message: fmt.Sprintf(format, args...)}
	if r.current != nil {
		p.Rule = r.current.ID
	}
	r.file.problems = append(r.file.problems, p)
}

// mapping hands each value of a mapping to the reader of its key.
func (r *reader) mapping(n *yaml.Node, what string, keys map[string]func(*yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		r.fail(place(n), "%s is a mapping of names to values", what)
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		read, ok := keys[key.Value]
		switch {
		case !ok:
			known := make([]string, 0, len(keys))
			for k := range keys {
				known = append(known, k)
			}
			slices.Sort(known)
			r.fail(place(key), "%s has no %q: it may have %s", what, key.Value, strings.Join(known, ", "))
		case seen[key.Value]:
			r.fail(place(key), "%q occurs twice: remove one", key.Value)
		case value.Kind == yaml.AliasNode:
			r.fail(place(value), "aliases are not used here: write the value out")
		default:
			read(value)
		}
		seen[key.Value] = true
	}
}

func (r *reader) list(n *yaml.Node, what string, most int) []*yaml.Node {
	if n.Kind != yaml.SequenceNode {
		r.fail(place(n), "%s is a list", what)
		return nil
	}
	if len(n.Content) > most {
		r.fail(place(n), "%s has %d items, %d are the most", what, len(n.Content), most)
		return n.Content[:most]
	}
	return n.Content
}

func (r *reader) text(n *yaml.Node, what string) string {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		r.fail(place(n), "%s is text", what)
		return ""
	}
	if most := maxText; len(n.Value) > most && what != "require" && what != "applies" && what != "detail" {
		r.fail(place(n), "%s is %d bytes long, %d are the most", what, len(n.Value), most)
		return ""
	}
	return strings.TrimSpace(n.Value)
}

func (r *reader) texts(n *yaml.Node, what string, most int) []string {
	list := []string{}
	for _, item := range r.list(n, what, most) {
		list = append(list, r.text(item, "an item of "+what))
	}
	return list
}

var idForm = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// rule reads one rule.
func (r *reader) rule(n *yaml.Node) {
	rule := &Rule{File: r.file.Name, Line: n.Line, Version: 1, at: map[string]position{}, Enabled: true}
	r.current, r.bad = rule, false
	defer func() { r.current = nil }()
	into := func(part string, field *string) func(*yaml.Node) {
		return func(n *yaml.Node) {
			rule.at[part] = place(n)
			*field = r.text(n, part)
		}
	}
	r.mapping(n, "a rule", map[string]func(*yaml.Node){
		"id": into("id", &rule.ID), "title": into("title", &rule.Title), "description": into("description", &rule.Description),
		"applies": into("applies", &rule.Applies), "require": into("require", &rule.Require), "detail": into("detail", &rule.Detail),
		"remediation": into("remediation", &rule.Remediation),
		"severity":    func(n *yaml.Node) { rule.Severity = r.severity(n) },
		"version": func(n *yaml.Node) {
			var err error
			if rule.Version, err = strconv.Atoi(n.Value); err != nil || rule.Version < 1 {
				r.fail(place(n), "version is a whole number from 1 on")
			}
		},
		"needs":      func(n *yaml.Node) { r.needs(rule, n) },
		"params":     func(n *yaml.Node) { rule.Params = r.params(n) },
		"references": func(n *yaml.Node) { r.references(rule, n) },
		"examples": func(n *yaml.Node) {
			for i, item := range r.list(n, "examples", maxExamples) {
				rule.at[fmt.Sprintf("examples.%d", i)] = place(item)
				rule.Examples = append(rule.Examples, r.example(item))
			}
		},
	})
	if r.complete(rule); !r.bad {
		r.file.Rules = append(r.file.Rules, rule)
	}
}

// complete checks that nothing is missing.
func (r *reader) complete(rule *Rule) {
	at := position{line: rule.Line, column: 1}
	for _, f := range []struct{ name, value string }{
		{"id", rule.ID}, {"title", rule.Title}, {"severity", string(rule.Severity)}, {"require", rule.Require}, {"remediation", rule.Remediation},
	} {
		if f.value == "" {
			r.fail(at, "the rule has no %s: write one", f.name)
		}
	}
	if rule.ID != "" && (!idForm.MatchString(rule.ID) || len(rule.ID) > 80) {
		r.fail(rule.at["id"], "%q is not an id: use lower-case words and digits with hyphens between them, 80 letters at most", rule.ID)
	}
	wants := map[Result]bool{}
	for _, e := range rule.Examples {
		wants[e.Want] = true
	}
	for _, want := range []Result{Pass, Fail} {
		if !wants[want] {
			r.fail(at, "the rule has no example that wants %q: write at least one that passes and one that fails", want)
		}
	}
}

func (r *reader) severity(n *yaml.Node) Severity {
	s := Severity(r.text(n, "severity"))
	if !slices.Contains(Severities, s) {
		r.fail(place(n), "severity is one of critical, high, medium, low, info")
	}
	return s
}

func (r *reader) needs(rule *Rule, n *yaml.Node) {
	for i, item := range r.list(n, "needs", maxNeeds) {
		rule.at[fmt.Sprintf("needs.%d", i)] = place(item)
		field, kinds, from := strings.Cut(r.text(item, "an item of needs"), " from ")
		need := Need{Field: strings.TrimPrefix(strings.TrimSpace(field), "asset.")}
		if from {
			for kind := range strings.SplitSeq(kinds, "|") {
				need.Kinds = append(need.Kinds, strings.TrimSpace(kind))
			}
		}
		if need.Field == "" || slices.Contains(need.Kinds, "") {
			r.fail(place(item), "write a field, or a field and kinds of sources: security from agent|mdm")
		}
		rule.Needs = append(rule.Needs, need)
	}
}

func (r *reader) references(rule *Rule, n *yaml.Node) {
	rule.References = map[string][]string{}
	keys := map[string]func(*yaml.Node){}
	for framework := range Frameworks {
		keys[framework] = func(n *yaml.Node) { rule.References[framework] = r.texts(n, framework, 20) }
	}
	r.mapping(n, "references", keys)
}

func (r *reader) settings(n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		r.fail(place(n), "settings is a mapping of ids of rules to what changes of them")
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		s := Setting{Rule: n.Content[i].Value, at: place(n.Content[i])}
		r.bad = false
		r.mapping(n.Content[i+1], "a setting", map[string]func(*yaml.Node){
			"enabled": func(n *yaml.Node) {
				enabled, err := strconv.ParseBool(n.Value)
				if err != nil {
					r.fail(place(n), "enabled is true or false")
				}
				s.Enabled = &enabled
			},
			"severity": func(n *yaml.Node) { s.Severity = r.severity(n) },
			"params":   func(n *yaml.Node) { s.Params = r.params(n) },
		})
		if !r.bad {
			r.file.Settings = append(r.file.Settings, s)
		}
	}
}
