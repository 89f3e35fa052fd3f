// Package proplist decodes Apple's property lists, binary ones and XML ones,
// within bounds on depth, values and bytes that no honest file comes near.
package proplist

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// Bounds of a property list. They count what a list unfolds to, not what it
// takes on disk: a binary one of a hundred bytes can refer to the same array
// over and over and mean billions of values.
const (
	maxDepth  = 64
	maxValues = 1 << 20
	maxText   = 64 << 20
)

// ErrTooBig is wrapped by the errors of lists that go beyond the bounds.
var ErrTooBig = errors.New("property list beyond bounds")

// Dict is a dictionary. Its methods answer with the zero value where a key is
// missing or its value is of another type, since a list from outside can hold
// anything.
type Dict map[string]any

// Decode returns the value that a property list holds: Dict, []any, string,
// int64, float64, bool, time.Time or []byte.
func Decode(data []byte) (any, error) {
	d := &budget{values: maxValues, text: maxText}
	if bytes.HasPrefix(data, []byte(binaryMagic)) {
		return decodeBinary(data, d)
	}
	return decodeXML(data, d)
}

// DecodeDict returns the dictionary that a property list holds.
func DecodeDict(data []byte) (Dict, error) {
	v, err := Decode(data)
	if err != nil {
		return nil, err
	}
	d, ok := v.(Dict)
	if !ok {
		return nil, fmt.Errorf("property list holds %T instead of a dictionary", v)
	}
	return d, nil
}

// budget is what a list may still unfold to.
type budget struct{ values, text int }

// spend takes one value with an amount of text off the budget.
func (b *budget) spend(text int) error {
	b.values--
	b.text -= text
	switch {
	case b.values < 0:
		return fmt.Errorf("more than %d values: %w", maxValues, ErrTooBig)
	case b.text < 0:
		return fmt.Errorf("more than %d bytes of text and data: %w", maxText, ErrTooBig)
	}
	return nil
}

// enter tells whether one may go a level deeper than depth.
func enter(depth int) error {
	if depth >= maxDepth {
		return fmt.Errorf("more than %d levels: %w", maxDepth, ErrTooBig)
	}
	return nil
}

// Text returns the string under the first of the keys that has one which is
// not blank, without the blanks around it.
func (d Dict) Text(keys ...string) string {
	for _, k := range keys {
		if s, ok := d[k].(string); ok {
			if s = strings.TrimSpace(s); s != "" {
				return s
			}
		}
	}
	return ""
}

// Integer returns the whole number under the first of the keys that has one.
func (d Dict) Integer(keys ...string) (int64, bool) {
	for _, k := range keys {
		switch n := d[k].(type) {
		case int64:
			return n, true
		case float64:
			if n == math.Trunc(n) && math.Abs(n) < 1<<53 {
				return int64(n), true
			}
		}
	}
	return 0, false
}

// Bool returns the truth under the first of the keys that has one; numbers
// count too, as they do for macOS itself.
func (d Dict) Bool(keys ...string) (value, ok bool) {
	for _, k := range keys {
		switch v := d[k].(type) {
		case bool:
			return v, true
		case int64:
			return v != 0, true
		}
	}
	return false, false
}

// Time returns the date under a key.
func (d Dict) Time(key string) (time.Time, bool) {
	t, ok := d[key].(time.Time)
	return t, ok
}

// Bytes returns the data under a key.
func (d Dict) Bytes(key string) []byte {
	b, _ := d[key].([]byte)
	return b
}

// Dict returns the dictionary under a path of keys.
func (d Dict) Dict(path ...string) Dict {
	for _, k := range path {
		d, _ = d[k].(Dict)
	}
	return d
}

// List returns the array under a key.
func (d Dict) List(key string) []any {
	l, _ := d[key].([]any)
	return l
}

// Dicts returns the dictionaries of the array under a key.
func (d Dict) Dicts(key string) []Dict { return Dicts(d[key]) }

// Texts returns the strings of the array under a key.
func (d Dict) Texts(key string) []string {
	var out []string
	for _, v := range d.List(key) {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// Dicts returns the dictionaries of a value that is an array.
func Dicts(v any) []Dict {
	list, _ := v.([]any)
	var out []Dict
	for _, e := range list {
		if d, ok := e.(Dict); ok {
			out = append(out, d)
		}
	}
	return out
}
