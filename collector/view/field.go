package view

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// lastSeen is the field that no column holds, since it changes with each
// report.
const lastSeen = "last_seen"

// field reads one value of the assets of a snapshot: a field that is one
// value, or the value of one key of a map.
type field struct {
	path   string
	s      *Snapshot
	column *column
	kind   protoreflect.Kind
	time   bool
	// keyed holds, for a key of a map, the values by code.
	keyed []string
	// latest is set for lastSeen.
	latest bool
}

// FieldError says that assets have no such field to sort or to group by.
type FieldError struct{ Path, Reason string }

// Error implements error.
func (e *FieldError) Error() string { return fmt.Sprintf("%.100q %s", e.Path, e.Reason) }

// find returns the field of a path.
func (s *Snapshot) find(path string) (*field, error) {
	f := &field{path: path, s: s}
	if path == lastSeen {
		f.latest, f.time = true, true
		return f, nil
	}
	name, key := path, ""
	c := s.schema.byPath[name]
	for i := len(path); c == nil && i > 0; {
		if i = strings.LastIndexByte(path[:i], '.'); i < 0 {
			break
		}
		if c = s.schema.byPath[path[:i]]; c != nil {
			name, key = path[:i], path[i+1:]
		}
	}
	switch {
	case c == nil:
		return nil, &FieldError{path, "is no field of an asset that has one value"}
	case c.field.IsMap() && key == "":
		return nil, &FieldError{path, "has many values: name a key, as in " + name + ".site"}
	case c.field.IsList():
		return nil, &FieldError{path, "is a list: name a field that has one value"}
	case key != "" && !c.field.IsMap():
		return nil, &FieldError{path, "is no field: " + name + " is one value"}
	}
	f.column, f.kind = c, c.field.Kind()
	if c.field.IsMap() {
		f.kind = c.field.MapValue().Kind()
		f.keyed = mapValues(s.values[c.index], key)
	}
	f.time = f.kind == protoreflect.MessageKind
	return f, nil
}

// field is find for a field that is known to exist.
func (s *Snapshot) field(path string) *field {
	c := s.schema.byPath[path]
	return &field{path: path, s: s, column: c, kind: c.field.Kind()}
}

// mapValues returns what maps, encoded, have under a key: a field of the number
// of a map's values, encoded.
func mapValues(encoded []string, key string) []string {
	out := make([]string, len(encoded))
	for code, text := range encoded {
		for b := []byte(text); len(b) > 0; {
			_, _, tag := protowire.ConsumeTag(b)
			entry, n := protowire.ConsumeBytes(b[max(tag, 0):])
			if tag < 0 || n < 0 {
				break
			}
			b = b[tag+n:]
			if k, v := splitEntry(entry); k == key {
				out[code] = v
			}
		}
	}
	return out
}

// splitEntry takes an entry of a map with text for keys apart.
func splitEntry(entry []byte) (key, value string) {
	for len(entry) > 0 {
		num, typ, tag := protowire.ConsumeTag(entry)
		n := protowire.ConsumeFieldValue(num, typ, entry[max(tag, 0):])
		if tag < 0 || n < 0 {
			return "", ""
		}
		if num == 1 {
			k, _ := protowire.ConsumeBytes(entry[tag:])
			key = string(k)
		} else {
			value = string(entry[:tag+n])
		}
		entry = entry[tag+n:]
	}
	return key, value
}

// code returns what stands for the value of a row: equal ones have one code,
// and 0 is that nothing is stated.
func (f *field) code(row uint32) uint32 {
	if f.latest {
		return uint32(f.s.latest.get(row)) // Unix seconds, enough to tell them apart
	}
	return f.s.columns[f.column.index].get(row)
}

// encoded returns the value behind a code as an encoded field; empty where
// nothing is stated.
func (f *field) encoded(code uint32) string {
	switch {
	case f.keyed != nil:
		return f.keyed[code]
	case f.latest:
		return ""
	}
	return f.s.values[f.column.index][code]
}

// value is a value that can be ordered: whether it is stated, and what it is.
type value struct {
	stated bool
	number float64
	nanos  int32
	text   string
}

// maxSortText bounds what of a text its order depends on, and so the length of
// a page token, in bytes.
const maxSortText = 256

// value returns the value behind a code.
func (f *field) value(code uint32) value {
	if f.latest {
		return value{stated: code != 0, number: float64(code)}
	}
	encoded := f.encoded(code)
	if encoded == "" {
		return value{}
	}
	b := []byte(encoded)
	_, typ, tag := protowire.ConsumeTag(b)
	b = b[max(tag, 0):]
	switch typ {
	case protowire.VarintType:
		n, _ := protowire.ConsumeVarint(b)
		return value{stated: true, number: float64(int64(n))}
	case protowire.Fixed64Type:
		n, _ := protowire.ConsumeFixed64(b)
		return value{stated: true, number: math.Float64frombits(n)}
	}
	text, _ := protowire.ConsumeBytes(b)
	if f.time {
		seconds, nanos := splitTime(text)
		return value{stated: true, number: float64(seconds), nanos: nanos}
	}
	return value{stated: true, text: string(text[:min(len(text), maxSortText)])}
}

// splitTime reads an encoded timestamp.
func splitTime(b []byte) (seconds int64, nanos int32) {
	for len(b) > 0 {
		num, _, tag := protowire.ConsumeTag(b)
		n, size := protowire.ConsumeVarint(b[max(tag, 0):])
		if tag < 0 || size < 0 {
			break
		}
		if num == 1 {
			seconds = int64(n)
		} else {
			nanos = int32(n)
		}
		b = b[tag+size:]
	}
	return seconds, nanos
}

// compareValues orders values; what is not stated comes last, in both
// directions.
func compareValues(a, b value, descending bool) int {
	if a.stated != b.stated {
		if a.stated {
			return -1
		}
		return 1
	}
	d := cmp.Or(cmp.Compare(a.number, b.number), cmp.Compare(a.nanos, b.nanos), strings.Compare(a.text, b.text))
	if descending {
		return -d
	}
	return d
}

// text returns the value behind a code as the JSON of an asset shows it,
// without quotes; empty where nothing is stated.
func (f *field) text(code uint32) string {
	v := f.value(code)
	switch {
	case !v.stated:
		return ""
	case f.time:
		return time.Unix(int64(v.number), int64(v.nanos)).UTC().Format(time.RFC3339Nano)
	case f.kind == protoreflect.BoolKind:
		return strconv.FormatBool(v.number != 0)
	case f.kind == protoreflect.StringKind:
		encoded := []byte(f.encoded(code))
		_, _, tag := protowire.ConsumeTag(encoded)
		whole, _ := protowire.ConsumeBytes(encoded[max(tag, 0):])
		return string(whole)
	}
	return strconv.FormatFloat(v.number, 'f', -1, 64)
}

// Fields returns the paths of the fields to sort and group by, in order of
// text.
func (v *View) Fields() []string {
	out := []string{lastSeen}
	for path, c := range v.schema.byPath {
		if !c.container() && path != lastSeen {
			out = append(out, path)
		}
	}
	slices.Sort(out)
	return out
}
