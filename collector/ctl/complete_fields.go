package main

import (
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// notAsked are fields that neither a condition nor an order can be of.
var notAsked = []string{"provenance", "conflicts", "findings", "attached"}

// fieldPaths returns the paths of the fields of an asset; single leaves out those
// that are lists.
func fieldPaths(single bool) []string {
	d := (*pb.Asset)(nil).ProtoReflect().Descriptor()
	return slices.DeleteFunc(leaves(d, ""), func(path string) bool {
		root, _, _ := strings.Cut(path, ".")
		return slices.Contains(notAsked, root) || single && isList(d, path)
	})
}

func isList(d protoreflect.MessageDescriptor, path string) bool {
	name, rest, below := strings.Cut(path, ".")
	fd := d.Fields().ByName(protoreflect.Name(name))
	switch {
	case fd.IsList() || fd.IsMap():
		return true
	case below:
		return isList(fd.Message(), rest)
	}
	return false
}

// findingPaths returns the fields of a finding; those of its asset are asked of the
// asset itself.
func findingPaths() []string {
	return slices.DeleteFunc(leaves((*adminpb.Finding)(nil).ProtoReflect().Descriptor(), ""), func(path string) bool { return strings.HasPrefix(path, "asset_") })
}

// beside are the fields that the API takes where it is not asked about assets.
var beside = map[string][]string{
	"findings-by":  {"rule", "severity", "state"},
	"people-order": {"name", "email", "department", "title", "status"},
}

// fieldsOf returns the fields that a flag or an argument may name, as kind says.
func (c *completion) fieldsOf(kind, word string) []candidate {
	if field, value, ok := strings.Cut(word, "="); ok && kind == "set" {
		found := c.valuesOf(field, value)
		for i := range found {
			found[i].value = field + "=" + found[i].value
		}
		return found
	}
	prefix := ""
	if i := strings.LastIndexByte(word, ','); i >= 0 && kind == "fields" {
		prefix, word = word[:i+1], word[i+1:]
	}
	if field, typed, ok := strings.Cut(word, " "); ok && strings.HasSuffix(kind, "order") && strings.HasPrefix("desc", typed) {
		return []candidate{{value: field + " desc", help: "the largest first"}}
	}
	paths := slices.Clone(beside[kind])
	switch of := append(fieldPaths(kind != "fields"), c.labels()...); kind {
	case "people-order":
	case "findings-order":
		paths = findingPaths()
		for _, p := range of {
			paths = append(paths, "asset."+p)
		}
	default:
		paths = append(paths, of...)
	}
	found := c.nextPart(paths, word)
	for i := range found {
		if found[i].value = prefix + found[i].value; kind == "set" && !strings.HasSuffix(found[i].value, ".") {
			found[i].value += "="
			c.then = thenOpen
		}
	}
	if kind == "fields" && len(found) > 0 {
		c.then = thenOpen
	}
	return found
}

// nextPart returns the paths that begin with a word as far as their next point,
// so that a person is not shown hundreds; a lone group is opened at once.
func (c *completion) nextPart(paths []string, word string) []candidate {
	for {
		var out []candidate
		for _, p := range paths {
			if !strings.HasPrefix(p, word) {
				continue
			}
			if i := strings.IndexByte(p[len(word):], '.'); i >= 0 && !strings.HasPrefix(p, "labels.") && !strings.HasPrefix(p, "asset.labels.") {
				p = p[:len(word)+i+1]
			}
			if !slices.ContainsFunc(out, func(x candidate) bool { return x.value == p }) {
				out = append(out, candidate{value: p})
			}
		}
		if len(out) != 1 || !strings.HasSuffix(out[0].value, ".") {
			if slices.ContainsFunc(out, func(x candidate) bool { return strings.HasSuffix(x.value, ".") }) {
				c.then = thenOpen
			}
			return out
		}
		word = out[0].value
	}
}

// What stands before the cursor in a condition.
var (
	// comparing is a field that is compared to a text which is begun.
	comparing = regexp.MustCompile(`asset\.([a-z_.]+) *(?:==|!=|in \[(?:[^\]]*,)?) *"([^"]*)$`)
	// naming is a call that takes the name of software.
	naming = regexp.MustCompile(`has_software\("([^"]*)$`)
	// within is any text that is begun.
	within = regexp.MustCompile(`^[^"]*(?:"[^"]*"[^"]*)*"[^"]*$`)
	// path is a name that is begun.
	path = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_.]*$`)
)

// calls are the functions that a condition can begin with; docs/api.md explains
// them.
var calls = []candidate{
	{value: "asset.", help: "a field"}, {value: `has_software("`, help: "that has software of a name"}, {value: "software.exists(s, ", help: "that has software of which something holds"},
	{value: "age(", help: "how long ago a time is"}, {value: "version(", help: "a version to compare"}, {value: "date(\"", help: "a day"}, {value: "days(", help: "so many days"}, {value: "now", help: "this moment"},
	{value: `known_to("`, help: "that a kind of source states"}, {value: `seen_by("`, help: "when a kind of source saw it"}, {value: "has(asset.", help: "that is stated"}, {value: "!has(asset.", help: "that nobody states"},
}

// filter returns how a condition in CEL could go on; of names what it is on beside
// assets.
func (c *completion) filter(word string, of ...candidate) []candidate {
	c.then = thenOpen
	if m := comparing.FindStringSubmatch(word); m != nil {
		return before(strings.TrimSuffix(word, m[2]), c.valuesOf(m[1], m[2]), `"`)
	}
	if m := naming.FindStringSubmatch(word); m != nil {
		l := lists["title"]
		l.values = []string{"name"}
		return before(strings.TrimSuffix(word, m[1]), c.listed(l, m[1]), `"`)
	}
	if within.MatchString(word) {
		return nil
	}
	token := path.FindString(word)
	head := strings.TrimSuffix(word, token)
	if field, ok := strings.CutPrefix(token, "finding."); ok && len(of) > 0 {
		return before(head+"finding.", c.nextPart(findingPaths(), field), "")
	}
	field, ok := strings.CutPrefix(token, "asset.")
	if !ok {
		return before(head, slices.DeleteFunc(append(of, calls...), func(x candidate) bool { return !strings.HasPrefix(x.value, token) }), "")
	}
	found := c.nextPart(append(fieldPaths(false), c.labels()...), field)
	c.then = thenOpen
	if len(found) == 1 && found[0].value == field {
		return before(word, []candidate{{value: ` == "`}, {value: ` != "`}, {value: " < "}, {value: " > "}}, "")
	}
	return before(head+"asset.", found, "")
}

// before puts what is typed already before what could follow.
func before(head string, found []candidate, tail string) []candidate {
	for i := range found {
		found[i].value = head + found[i].value + tail
	}
	return found
}
