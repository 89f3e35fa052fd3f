package fetch

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/rollcall-itam/rollcall/collector/feed/manifest"
	"github.com/rollcall-itam/rollcall/collector/feed/record"
)

// pairPaths makes objects of lists of names and values.
type pairPaths struct {
	manifest.Pairs
	list, name, value record.Path
	match             *regexp.Regexp
	// named is what the ids of a page are called.
	named map[string]string
	// words are the names that each key stands for, in lower case.
	words map[string][]string
}

// newPairs makes pairs ready for the records of an answer.
func (w *walker) newPairs(p manifest.Pairs, answer any) (pairPaths, error) {
	made := pairPaths{Pairs: p}
	for text, to := range map[*string]*record.Path{&p.List: &made.list, &p.Name: &made.name, &p.Value: &made.value} {
		var err error
		if *to, err = path(*text); err != nil {
			return made, err
		}
	}
	if p.Match != "" {
		var err error
		if made.match, err = regexp.Compile(p.Match); err != nil {
			return made, fmt.Errorf("match of pairs: %w", err)
		}
	}
	if p.Words != nil {
		made.Lower, made.words = true, make(map[string][]string)
	}
	for word, names := range p.Words {
		text, err := w.f.text(names, w.extra())
		if err != nil {
			return made, err
		}
		for name := range strings.SplitSeq(text, ",") {
			made.words[word] = append(made.words[word], strings.ToLower(strings.TrimSpace(name)))
		}
	}
	if p.Named == nil {
		return made, nil
	}
	var err error
	made.named, err = w.names(p.Named, answer)
	return made, err
}

// names reads what ids are called.
func (w *walker) names(n *manifest.Named, answer any) (map[string]string, error) {
	list, err := path(n.List)
	if err != nil {
		return nil, err
	}
	by, err := path(n.By)
	if err != nil {
		return nil, err
	}
	name, err := path(n.Name)
	if err != nil {
		return nil, err
	}
	explained, found := list.List(answer)
	if !found {
		return nil, w.broken("the answer tells at %q what nothing is called: it is %s", n.List, outline(answer))
	}
	named := make(map[string]string, len(explained))
	for _, e := range explained {
		if called, ok := name.Get(e).(string); ok {
			named[joinKey(by.Get(e))] = called
		}
	}
	return named, nil
}

// gather adds the object. Of a name that comes twice the first holds, so that
// what a system adds at the end replaces nothing.
func (p pairPaths) gather(o map[string]any) {
	into := make(map[string]any)
	if p.Name == "" {
		from, _ := p.list.Get(o).(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(from)) {
			p.put(into, name, []any{from[name]})
		}
	} else {
		elements, _ := p.list.List(o)
		for _, e := range elements {
			for _, name := range p.called(p.name.Get(e)) {
				p.put(into, name, p.value.All(e))
			}
		}
	}
	if p.words != nil {
		into = p.worded(into)
	}
	o[p.Into] = into
}

// called returns the names of an element: its name and its id where the name is
// told elsewhere.
func (p pairPaths) called(name any) []string {
	if p.Named == nil {
		s, _ := name.(string)
		return []string{s}
	}
	id := joinKey(name)
	if record.Secret(p.named[id]) {
		return nil
	}
	return []string{p.named[id], id}
}

func (p pairPaths) put(into map[string]any, name string, values []any) {
	if p.Lower {
		name = strings.ToLower(name)
	}
	if p.match != nil {
		found := p.match.FindStringSubmatch(name)
		if found == nil {
			return
		}
		name = found[1]
	}
	values = slices.DeleteFunc(values, func(v any) bool {
		list, isList := v.([]any)
		return v == nil || isList && len(list) == 0
	})
	// The names of pairs were no keys when the answer was cleared of secrets.
	if _, taken := into[name]; name == "" || taken || len(values) == 0 || record.Secret(name) {
		return
	}
	if into[name] = values[0]; len(values) > 1 {
		into[name] = values
	}
}

// worded puts words in the place of the names that stand for them.
func (p pairPaths) worded(from map[string]any) map[string]any {
	into := make(map[string]any, len(p.words))
	for word, names := range p.words {
		for _, name := range names {
			if v, ok := from[name]; ok {
				into[word] = v
				break
			}
		}
	}
	return into
}
