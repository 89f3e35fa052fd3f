package record

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Path finds values: keys parted by dots, as in general.name. A key that holds
// a dot stands in double quotes, a number picks an element of a list (-1 is
// the last), and * takes every element of a list or object.
type Path struct {
	text     string
	segments []segment
}

type segment struct {
	key string
	// index is set where the segment reads as a number.
	index  int
	number bool
	every  bool
}

// maxSegments bounds a path.
const maxSegments = 32

// ParsePath reads a path. The empty path is the value itself.
func ParsePath(s string) (Path, error) {
	p := Path{text: s}
	for rest := s; rest != ""; {
		seg, after, err := cutSegment(rest)
		if err != nil {
			return Path{}, fmt.Errorf("path %q: %w", s, err)
		}
		p.segments = append(p.segments, seg)
		if len(p.segments) > maxSegments {
			return Path{}, fmt.Errorf("path %q: more than %d parts", s, maxSegments)
		}
		if after == "" {
			break
		}
		if after[0] != '.' || after == "." {
			return Path{}, fmt.Errorf("path %q: a dot and a key must follow %q", s, strings.TrimSuffix(s, after))
		}
		rest = after[1:]
	}
	return p, nil
}

func cutSegment(s string) (segment, string, error) {
	if s[0] == '"' {
		end := strings.IndexByte(s[1:], '"')
		if end < 0 {
			return segment{}, "", errors.New("a quote is not closed")
		}
		return segment{key: s[1 : 1+end]}, s[end+2:], nil
	}
	end := strings.IndexByte(s, '.')
	if end < 0 {
		end = len(s)
	}
	key := s[:end]
	switch {
	case key == "":
		return segment{}, "", errors.New("a key is empty")
	case strings.ContainsAny(key, "\" \t\n$(){}[]"):
		return segment{}, "", fmt.Errorf("%q is not a plain key: put it in double quotes, or write an expression as {cel: ...}", key)
	case key == "*":
		return segment{every: true}, s[end:], nil
	}
	seg := segment{key: key}
	if n, err := strconv.Atoi(key); err == nil {
		seg.index, seg.number = n, true
	}
	return seg, s[end:], nil
}

// String returns the path as it was written.
func (p Path) String() string { return p.text }

// Get returns the first value that the path leads to, nil where there is none.
func (p Path) Get(v any) any {
	if p.segments == nil {
		return v
	}
	for found := range p.walk(v) {
		return found
	}
	return nil
}

// All returns every value that the path leads to. Those of an object stand in
// the order of its keys, so that the answer is always the same.
func (p Path) All(v any) []any { return slices.Collect(p.walk(v)) }

func (p Path) walk(v any) func(func(any) bool) {
	return func(yield func(any) bool) { walk(v, p.segments, yield) }
}

func walk(v any, segments []segment, yield func(any) bool) bool {
	for i, s := range segments {
		if s.every {
			return walkEvery(v, segments[i+1:], yield)
		}
		var ok bool
		if v, ok = s.step(v); !ok {
			return true
		}
	}
	return yield(v)
}

func walkEvery(v any, rest []segment, yield func(any) bool) bool {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if !walk(e, rest, yield) {
				return false
			}
		}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if !walk(v[k], rest, yield) {
				return false
			}
		}
	}
	return true
}

func (s segment) step(v any) (any, bool) {
	switch v := v.(type) {
	case map[string]any:
		e, ok := v[s.key]
		return e, ok
	case []any:
		i := s.index
		if i < 0 {
			i += len(v)
		}
		if s.number && i >= 0 && i < len(v) {
			return v[i], true
		}
	}
	return nil, false
}

// List returns the records that the path leads to in an answer: the elements
// of a list it ends at, or of each of them. That there is no list at all is
// told from an empty one.
func (p Path) List(v any) (records []any, found bool) {
	for e := range p.walk(v) {
		switch e := e.(type) {
		case nil:
			found = true // some systems write null for an empty list
		case []any:
			records, found = append(records, e...), true
		case map[string]any:
			records, found = append(records, e), true
		}
	}
	return records, found
}
