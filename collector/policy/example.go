package policy

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/collector/expr"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// ExampleTime is the time of an example that names none.
var ExampleTime = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// maxNesting bounds how deep the value of an example goes.
const maxNesting = 20

var paramName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// params reads the parameters of a rule or of a setting.
func (r *reader) params(n *yaml.Node) expr.Params {
	if n.Kind != yaml.MappingNode {
		r.fail(place(n), "params is a mapping of names to values")
		return nil
	}
	params := expr.Params{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if _, twice := params[key.Value]; twice || !paramName.MatchString(key.Value) {
			r.fail(place(key), "%q is not a name of a parameter, or occurs twice: use lower-case letters, digits and _", key.Value)
			continue
		}
		v, err := param(value)
		if err != nil {
			r.fail(place(value), "parameter %q: %s", key.Value, err)
			continue
		}
		params[key.Value] = v
	}
	return params
}

func param(n *yaml.Node) (any, error) {
	if n.Kind == yaml.SequenceNode {
		list := []string{}
		for _, item := range n.Content {
			if item.Kind != yaml.ScalarNode {
				return nil, fmt.Errorf("line %d: a list has texts only", item.Line)
			}
			list = append(list, item.Value)
		}
		return list, nil
	}
	if n.Kind != yaml.ScalarNode {
		return nil, fmt.Errorf("write a number, true or false, text, or a list of texts")
	}
	switch n.Tag {
	case "!!bool":
		return strconv.ParseBool(n.Value)
	case "!!int":
		return strconv.ParseInt(n.Value, 0, 64)
	case "!!float":
		return strconv.ParseFloat(n.Value, 64)
	case "!!null":
		return nil, fmt.Errorf("write a value")
	}
	return n.Value, nil
}

// example reads one example.
func (r *reader) example(n *yaml.Node) Example {
	e := Example{Line: n.Line, Input: expr.Input{Now: ExampleTime, Asset: &pb.Asset{}}}
	r.mapping(n, "an example", map[string]func(*yaml.Node){
		"name": func(n *yaml.Node) { e.Name = r.text(n, "name") },
		"want": func(n *yaml.Node) {
			if e.Want = Result(r.text(n, "want")); !slices.Contains([]Result{Pass, Fail, Unknown, NotApplicable}, e.Want) {
				r.fail(place(n), "want is one of pass, fail, unknown, not_applicable")
			}
		},
		"now":    func(n *yaml.Node) { e.Input.Now = r.time(n, "now") },
		"due":    func(n *yaml.Node) { e.Due = r.time(n, "due") },
		"detail": func(n *yaml.Node) { e.Detail = r.texts(n, "detail", 100) },
		"kinds":  func(n *yaml.Node) { e.Input.Kinds = r.texts(n, "kinds", 100) },
		"asset":  func(n *yaml.Node) { r.message(n, e.Input.Asset, "asset") },
		"software": func(n *yaml.Node) {
			rows := expr.Rows{}
			for _, item := range r.list(n, "software", 1000) {
				s := &pb.Software{}
				r.message(item, s, "software")
				rows = append(rows, s)
			}
			e.Input.Software = rows
		},
		"record": func(n *yaml.Node) { e.Input.Record = r.record(n) },
		"params": func(n *yaml.Node) { e.Params = r.params(n) },
	})
	return e
}

func (r *reader) record(n *yaml.Node) *expr.Record {
	rec := &expr.Record{}
	when := func(into *time.Time, what string) func(*yaml.Node) {
		return func(n *yaml.Node) { *into = r.time(n, what) }
	}
	r.mapping(n, "record", map[string]func(*yaml.Node){
		"latest_version":  func(n *yaml.Node) { rec.LatestVersion = r.text(n, "latest_version") },
		"latest_at":       when(&rec.LatestAt, "latest_at"),
		"disk_full_at":    when(&rec.DiskFullAt, "disk_full_at"),
		"certificate_end": when(&rec.CertificateEnd, "certificate_end"),
		"clock_skew": func(n *yaml.Node) {
			d, err := time.ParseDuration(n.Value)
			if err != nil {
				r.fail(place(n), "clock_skew is a span of time such as 90s or -5m")
			}
			rec.ClockSkew = &d
		},
		"identity_issues": func(n *yaml.Node) { rec.IdentityIssues = r.texts(n, "identity_issues", 100) },
		"lifetimes": func(n *yaml.Node) {
			rec.Lifetimes = []*expr.Lifetime{}
			for _, item := range r.list(n, "lifetimes", 1000) {
				l := &expr.Lifetime{}
				r.mapping(item, "a lifetime", map[string]func(*yaml.Node){
					"name":    func(n *yaml.Node) { l.Name = r.text(n, "name") },
					"version": func(n *yaml.Node) { l.Version = r.text(n, "version") },
					"product": func(n *yaml.Node) { l.Product = r.text(n, "product") },
					"cycle":   func(n *yaml.Node) { l.Cycle = r.text(n, "cycle") },
					"end":     when(&l.End, "end"),
				})
				rec.Lifetimes = append(rec.Lifetimes, l)
			}
		},
		"vulnerabilities": func(n *yaml.Node) {
			rec.Vulnerabilities = []*expr.Vulnerability{}
			for _, item := range r.list(n, "vulnerabilities", 1000) {
				rec.Vulnerabilities = append(rec.Vulnerabilities, r.vulnerability(item))
			}
		},
	})
	return rec
}

func (r *reader) vulnerability(n *yaml.Node) *expr.Vulnerability {
	v := &expr.Vulnerability{Advisories: []string{}}
	r.mapping(n, "a vulnerability", map[string]func(*yaml.Node){
		"package":  func(n *yaml.Node) { v.Package = r.text(n, "package") },
		"version":  func(n *yaml.Node) { v.Version = r.text(n, "version") },
		"fixed":    func(n *yaml.Node) { v.Fixed = r.text(n, "fixed") },
		"fixed_at": func(n *yaml.Node) { v.FixedAt = r.time(n, "fixed_at") },
		"severity": func(n *yaml.Node) { v.Severity = r.text(n, "severity") },
		"known_exploited": func(n *yaml.Node) {
			exploited, err := strconv.ParseBool(n.Value)
			if err != nil {
				r.fail(place(n), "known_exploited is true or false")
			}
			v.Exploited = exploited
		},
		"due":        func(n *yaml.Node) { v.Due = r.time(n, "due") },
		"advisories": func(n *yaml.Node) { v.Advisories = r.texts(n, "advisories", 100) },
	})
	return v
}

func (r *reader) time(n *yaml.Node, what string) time.Time {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, n.Value); err == nil {
			return t.UTC()
		}
	}
	r.fail(place(n), "%s is a time such as 2026-06-01T12:00:00Z, or a day such as 2026-06-01", what)
	return time.Time{}
}

// message fills a message from a value, in the form that the API has.
func (r *reader) message(n *yaml.Node, m proto.Message, what string) {
	plain, err := plainValue(n, 0)
	if err != nil {
		r.fail(place(n), "%s: %s", what, err)
		return
	}
	text, err := json.Marshal(plain)
	if err == nil {
		err = protojson.Unmarshal(text, m)
	}
	if err != nil {
		reason := strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\u00a0", " "), "proto: ")
		if _, after, ok := strings.Cut(reason, "): "); ok {
			reason = after // the place is one in JSON that nobody has seen
		}
		r.fail(place(n), "%s: %s: fields are named as in the API", what, reason)
	}
}

// plainValue turns a value of YAML into one of JSON. Days stay text.
func plainValue(n *yaml.Node, depth int) (any, error) {
	if depth > maxNesting {
		return nil, fmt.Errorf("line %d: this is nested too deep", n.Line)
	}
	switch n.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			v, err := plainValue(n.Content[i+1], depth+1)
			if err != nil {
				return nil, err
			}
			if _, twice := m[n.Content[i].Value]; twice {
				return nil, fmt.Errorf("line %d: %q occurs twice", n.Content[i].Line, n.Content[i].Value)
			}
			m[n.Content[i].Value] = v
		}
		return m, nil
	case yaml.SequenceNode:
		list := []any{}
		for _, item := range n.Content {
			v, err := plainValue(item, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	case yaml.ScalarNode:
		switch n.Tag {
		case "!!bool":
			return n.Value == "true", nil
		case "!!int", "!!float":
			return json.Number(n.Value), nil
		case "!!null":
			return nil, nil
		}
		return n.Value, nil
	}
	return nil, fmt.Errorf("line %d: aliases are not used here: write the value out", n.Line)
}
