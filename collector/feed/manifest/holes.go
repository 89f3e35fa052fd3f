package manifest

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Names that the engine fills in, where it has them.
const (
	// NameBase is the manifest's base.
	NameBase = "base"
	// NameCursor is the time since which changes are asked for.
	NameCursor = "cursor"
	// NameSerials are the serial numbers of a lookup.
	NameSerials = "serials"
)

var engineNames = []string{NameBase, NameCursor, NameSerials}

// holes checks that every ${name} has something to fill it.
func (c *checker) holes(m *Manifest) {
	c.walk(reflect.ValueOf(m).Elem(), "", func(t Template, at string) {
		for _, name := range t.Names() {
			stated := strings.HasSuffix(at, ".const") || strings.HasSuffix(at, ".currency")
			if m.Settings[name].Secret && stated {
				c.errorf(at, "setting %q is secret and cannot be part of what is known of devices", name)
			}
			if _, ok := m.Settings[name]; ok || allowed(name, at) || !stated && slices.Contains(m.overs(streamAt(at)), name) {
				if rest, ok := strings.CutPrefix(name, "record."); ok {
					c.path(rest, at)
				}
				continue
			}
			c.errorf(at, "there is no setting %q%s", name, suggest(name, names(m.Settings)))
		}
	})
}

// allowed tells whether the engine has a value of that name at a place.
func allowed(name, at string) bool {
	switch {
	case name == NameBase:
		return at != "base"
	case name == NameCursor:
		return strings.Contains(at, ".cursor.query.")
	case name == NameSerials:
		return strings.Contains(at, ".query.") || strings.Contains(at, ".form.") || strings.Contains(at, ".body.") || strings.HasSuffix(at, ".get")
	case strings.HasPrefix(name, "record."):
		return strings.Contains(at, ".fan_out[")
	}
	return false
}

// streamAt returns the number of the stream that a place stands in, -1 for one
// that all streams share.
func streamAt(at string) int {
	rest, ok := strings.CutPrefix(at, "streams[")
	number, _, closed := strings.Cut(rest, "]")
	if n, err := strconv.Atoi(number); ok && closed && err == nil {
		return n
	}
	return -1
}

// walk visits every template of a value with the path at which it stands.
func (c *checker) walk(v reflect.Value, at string, visit func(Template, string)) {
	if t, ok := v.Interface().(Template); ok {
		visit(t, at)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			c.walk(v.Elem(), at, visit)
		}
	case reflect.Struct:
		for key, f := range fields(v.Type()) {
			c.walk(v.FieldByIndex(f.Index), strings.TrimPrefix(at+"."+key, "."), visit)
		}
	case reflect.Slice:
		for i := range v.Len() {
			c.walk(v.Index(i), at+"["+strconv.Itoa(i)+"]", visit)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			c.walk(v.MapIndex(k), at+"."+k.String(), visit)
		}
	}
}

// SecretNames returns the names of the secret settings.
func (m *Manifest) SecretNames() []string {
	var secret []string
	for _, name := range names(m.Settings) {
		if m.Settings[name].Secret {
			secret = append(secret, name)
		}
	}
	return secret
}

// Stream returns the stream of that name, the first for an empty one, nil if
// there is none.
func (m *Manifest) Stream(name string) *Stream {
	i := slices.IndexFunc(m.Streams, func(s Stream) bool { return s.Name == name || name == "" })
	if i < 0 {
		return nil
	}
	return &m.Streams[i]
}
