package manifest

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Template is text with ${name} where a setting, or a value of the engine,
// takes its place. The engine escapes what it puts in.
type Template string

// Values are one or more templates.
type Values []Template

// Duration is written as 90s, 15m or 24h.
type Duration time.Duration

var (
	hole      = regexp.MustCompile(`\$\{([^}]*)\}`)
	validHole = regexp.MustCompile(`^([a-z][a-z0-9_]*|record\.[^{}]+)$`)
)

// Names returns the names in ${...}, in order.
func (t Template) Names() []string {
	var names []string
	for _, m := range hole.FindAllStringSubmatch(string(t), -1) {
		names = append(names, m[1])
	}
	return names
}

// Fill puts values in the place of their names; escape, if not nil, writes
// each so that it stays what it is where it stands.
func (t Template) Fill(value func(name string) (string, error), escape func(string) string) (string, error) {
	var failed error
	filled := hole.ReplaceAllStringFunc(string(t), func(s string) string {
		v, err := value(s[2 : len(s)-1])
		failed = errors.Join(failed, err)
		if escape != nil {
			v = escape(v)
		}
		return v
	})
	return filled, failed
}

func (t Template) check() error {
	for _, name := range t.Names() {
		if !validHole.MatchString(name) {
			return fmt.Errorf("${%s}: want the name of a setting in lower-case letters, digits and _", name)
		}
	}
	if strings.Contains(hole.ReplaceAllString(string(t), ""), "${") {
		return errors.New("a ${ is not closed")
	}
	return nil
}

// Field says where a value comes from and how it is read. It is written as a
// path, as a list of which the first that states something is taken, or as an
// object with more to say.
type Field struct {
	// Any holds the alternatives where it was written as a list.
	Any []Field `yaml:"-"`

	Path     string             `yaml:"path" doc:"Path of the value in the record."`
	CEL      string             `yaml:"cel" doc:"Expression over the record r."`
	Const    *Template          `yaml:"const" doc:"Always this value; ${name} is a setting that is no secret."`
	As       string             `yaml:"as" doc:"How the value is read; follows from the field unless set." enum:"text,lower,upper,time,day,bool,integer,number,money,mac,uuid,serial,email,address,prefix,unix,unix_ms"`
	Values   map[string]string  `yaml:"values" doc:"What each of the system's words means here, whatever their case; words that are not named state nothing, unless * stands for them (to keep them as they are: *: \"*\")."`
	Match    string             `yaml:"match" doc:"Regular expression; its first group, or the whole match, is taken. What does not match states nothing."`
	Unit     string             `yaml:"unit" doc:"Unit of a size or share." enum:"kB,KiB,MB,MiB,GB,GiB,TB,TiB,MHz,GHz"`
	Zone     string             `yaml:"zone" doc:"Time zone of times that name none (UTC)."`
	Layouts  []string           `yaml:"layouts" doc:"Further layouts of times, as Go's time package has them."`
	Currency *Template          `yaml:"currency" doc:"Currency of money that names none, or the path of it after a leading $; ${name} is a setting that is no secret, and states none where it is empty."`
	Each     string             `yaml:"each" doc:"Path of a list, of which each element makes one element of the field."`
	Where    string             `yaml:"where" doc:"CEL over the element e and the record r: elements that are taken."`
	Map      map[string]Field   `yaml:"map" doc:"Fields of each element; paths begin at the element."`
	List     []map[string]Field `yaml:"list" doc:"Elements of a list of objects, one by one: the fields of each."`
	None     []string           `yaml:"none" doc:"Words that state nothing, beside those that the engine knows."`

	// Line and Column are where it stands.
	Line   int `yaml:"-"`
	Column int `yaml:"-"`
}

// Given tells whether the field says anything.
func (f Field) Given() bool {
	return f.Any != nil || f.Path != "" || f.CEL != "" || f.Const != nil || f.Each != "" || f.List != nil
}

// Errorf returns an error about the field with its line and column.
func (f Field) Errorf(format string, args ...any) error {
	return &Error{Line: f.Line, Column: f.Column, Text: fmt.Sprintf(format, args...)}
}

// decodeNode reads the three forms of a field.
func (f *Field) decodeNode(d *decoder, n *yaml.Node, path string) {
	f.Line, f.Column = n.Line, n.Column
	switch n.Kind {
	case yaml.ScalarNode:
		if n.Tag == "!!null" || n.Value == "" {
			d.errorf(n, "%s: want a path, as in general.name, a list of them, or an object with path, cel, const or each", path)
		}
		f.Path = n.Value
	case yaml.SequenceNode:
		f.Any = make([]Field, len(n.Content))
		for i, c := range n.Content {
			f.Any[i].decodeNode(d, c, path)
		}
		if len(n.Content) == 0 {
			d.errorf(n, "%s: the list is empty", path)
		}
	case yaml.MappingNode:
		d.object(n, valueOf(f), path)
		given := 0
		for _, set := range []bool{f.Path != "", f.CEL != "", f.Const != nil, f.Each != "", f.List != nil} {
			if set {
				given++
			}
		}
		if given != 1 {
			d.errorf(n, "%s: want one of path, cel, const, each and list", path)
		}
	}
}

// Error is a mistake in a manifest and where it stands.
type Error struct {
	Line, Column int
	Text         string
}

// Error returns line:column: text.
func (e *Error) Error() string { return fmt.Sprintf("%d:%d: %s", e.Line, e.Column, e.Text) }

// names returns the sorted keys of a map for a message.
func names[V any](m map[string]V) []string {
	var all []string
	for k := range m {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}
