package manifest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// maxErrors bounds the mistakes that are told at once.
const maxErrors = 20

// positions remembers where each key of a manifest stands, by its path.
type positions map[string]*yaml.Node

// decoder fills structs from YAML by their yaml tags and refuses whatever they
// do not have. yaml.v3's own strictness knows no columns.
type decoder struct {
	at   positions
	errs []error
}

// decode fills m from a document.
func decode(doc *yaml.Node, m *Manifest) error {
	d := &decoder{at: make(positions)}
	root := doc
	if doc.Kind == yaml.DocumentNode && len(doc.Content) == 1 {
		root = doc.Content[0]
	}
	d.value(root, valueOf(m), "")
	m.at = d.at
	return errors.Join(d.errs...)
}

func valueOf(pointer any) reflect.Value { return reflect.ValueOf(pointer).Elem() }

func (d *decoder) errorf(n *yaml.Node, format string, args ...any) {
	if len(d.errs) < maxErrors {
		d.errs = append(d.errs, &Error{Line: n.Line, Column: n.Column, Text: fmt.Sprintf(format, args...)})
	}
}

// value fills v from n, which stands at path.
func (d *decoder) value(n *yaml.Node, v reflect.Value, path string) {
	d.at[path] = n
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		d.errorf(n, "%s: anchors and aliases are not taken: write the value out", path)
		return
	}
	switch target := v.Addr().Interface().(type) {
	case *Field:
		target.decodeNode(d, n, path)
		return
	case *Values:
		d.values(n, target, path)
		return
	case *Duration:
		d.duration(n, target, path)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(n, v.Elem(), path)
	case reflect.Struct:
		if d.want(n, yaml.MappingNode, "an object", path) {
			d.object(n, v, path)
		}
	case reflect.Map:
		if d.want(n, yaml.MappingNode, "an object", path) {
			d.table(n, v, path)
		}
	case reflect.Slice:
		if d.want(n, yaml.SequenceNode, "a list", path) {
			v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
			for i, c := range n.Content {
				d.value(c, v.Index(i), path+"["+strconv.Itoa(i)+"]")
			}
		}
	default:
		d.scalar(n, v, path)
	}
}

func (d *decoder) want(n *yaml.Node, kind yaml.Kind, what, path string) bool {
	if n.Kind != kind {
		d.errorf(n, "%s: want %s", path, what)
	}
	return n.Kind == kind
}

// scalar fills texts, numbers and switches.
func (d *decoder) scalar(n *yaml.Node, v reflect.Value, path string) {
	if v.Kind() == reflect.Interface {
		var plain any
		if err := n.Decode(&plain); err != nil {
			d.errorf(n, "%s: %v", path, err)
			return
		}
		if plain != nil {
			v.Set(reflect.ValueOf(plain))
		}
		return
	}
	if !d.want(n, yaml.ScalarNode, "a single value", path) {
		return
	}
	if v.Kind() == reflect.String {
		if n.Tag == "!!null" {
			d.errorf(n, "%s: is empty", path)
			return
		}
		v.SetString(n.Value)
		if t, ok := v.Interface().(Template); ok {
			if err := t.check(); err != nil {
				d.errorf(n, "%s: %v", path, err)
			}
		}
		return
	}
	if err := n.Decode(v.Addr().Interface()); err != nil {
		d.errorf(n, "%s: want %s, not %q", path, kindName(v.Kind()), n.Value)
	}
}

func kindName(k reflect.Kind) string {
	switch k {
	case reflect.Bool:
		return "true or false"
	case reflect.Float64:
		return "a number"
	}
	return "a whole number"
}

// values reads a template or a list of them.
func (d *decoder) values(n *yaml.Node, target *Values, path string) {
	if n.Kind != yaml.SequenceNode {
		var one Template
		d.scalar(n, valueOf(&one), path)
		*target = Values{one}
		return
	}
	var many []Template
	d.value(n, valueOf(&many), path)
	*target = many
}

func (d *decoder) duration(n *yaml.Node, target *Duration, path string) {
	parsed, err := time.ParseDuration(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil || parsed < 0 {
		d.errorf(n, "%s: want a duration, as in 90s, 15m or 24h", path)
	}
	*target = Duration(parsed)
}

// fields returns the fields of a struct by their key.
func fields(t reflect.Type) map[string]reflect.StructField {
	all := make(map[string]reflect.StructField)
	for i := range t.NumField() {
		f := t.Field(i)
		if key := f.Tag.Get("yaml"); key != "" && key != "-" {
			all[key] = f
		}
	}
	return all
}

// object fills a struct.
func (d *decoder) object(n *yaml.Node, v reflect.Value, path string) {
	known := fields(v.Type())
	d.pairs(n, path, func(key, value *yaml.Node, at string) {
		f, ok := known[key.Value]
		if !ok {
			d.errorf(key, "%s is unknown here%s", quoteKey(key.Value), suggest(key.Value, names(known)))
			return
		}
		d.value(value, v.FieldByIndex(f.Index), at)
		d.enum(value, f, at)
	})
}

// enum holds texts to the words that their field takes.
func (d *decoder) enum(n *yaml.Node, f reflect.StructField, path string) {
	words := f.Tag.Get("enum")
	if words == "" || n.Kind != yaml.ScalarNode {
		return
	}
	if all := strings.Split(words, ","); !slices.Contains(all, n.Value) {
		d.errorf(n, "%s: %q is none of %s", path, n.Value, strings.Join(all, ", "))
	}
}

// table fills a map with text keys.
func (d *decoder) table(n *yaml.Node, v reflect.Value, path string) {
	v.Set(reflect.MakeMap(v.Type()))
	d.pairs(n, path, func(key, value *yaml.Node, at string) {
		e := reflect.New(v.Type().Elem()).Elem()
		d.value(value, e, at)
		v.SetMapIndex(reflect.ValueOf(key.Value), e)
	})
}

// pairs goes through an object and refuses a key that stands twice.
func (d *decoder) pairs(n *yaml.Node, path string, fn func(key, value *yaml.Node, at string)) {
	seen := make(map[string]int)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			d.errorf(key, "%s: a key must be a single word", path)
			continue
		}
		if line, twice := seen[key.Value]; twice {
			d.errorf(key, "%s stands here a second time (first in line %d)", quoteKey(key.Value), line)
			continue
		}
		seen[key.Value] = key.Line
		at := key.Value
		if path != "" {
			at = path + "." + key.Value
		}
		fn(key, value, at)
	}
}

func quoteKey(key string) string { return strconv.Quote(key) }

// suggest names the known word that is nearest to one that is not known.
func suggest(word string, known []string) string {
	best := Nearest(word, known)
	if best == "" {
		return "; known are " + strings.Join(known, ", ")
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// Nearest returns the known word that differs from word in at most two letters
// and in the fewest, empty if none does.
func Nearest(word string, known []string) string {
	best, distance := "", 3
	for _, k := range known {
		if n := edits(word, k); n < distance {
			best, distance = k, n
		}
	}
	return best
}

// edits is the Levenshtein distance of two words.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := before
			if a[i-1] != b[j-1] {
				cost++
			}
			before = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
