package view

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// The columns that are no fields of the schema.
const (
	// shapeColumn says which messages an asset has, a bit each: a list of a
	// message that is there is empty, of one that is not it is unknown.
	shapeColumn = 0
	// kindsColumn has the sources without all but their kinds, of which there are
	// few combinations, while no two assets have the same sources.
	kindsColumn = 1
)

// unheld are the fields that no column holds: where each value comes from would
// take more room than all else, and findings are no part of what is stored.
var unheld = []string{"provenance", "findings"}

// column describes one column: a field of an asset that is one value, a list
// or a map.
type column struct {
	index int
	path  string
	field protoreflect.FieldDescriptor
	// wrap are the numbers of the messages around the field, from the outside.
	wrap []protowire.Number
}

// container tells whether an absent value may be an empty one.
func (c *column) container() bool { return c.field.IsList() || c.field.IsMap() }

// schema is the asset taken apart into columns.
type schema struct {
	columns []*column
	byPath  map[string]*column
	root    *message
	// messages are the paths of the messages below the asset, in the order of
	// the bits of the shape.
	messages []*message
}

// message is one message below the asset, or the asset itself.
type message struct {
	path   string
	bit    int
	wrap   []protowire.Number
	fields map[protowire.Number]part
}

// part is a field of a message: a column or another message; neither where the
// field is not held.
type part struct {
	column  *column
	message *message
}

func newSchema() *schema {
	s := &schema{byPath: map[string]*column{}}
	d := (&pb.Asset{}).ProtoReflect().Descriptor()
	s.columns = []*column{
		shapeColumn: {index: shapeColumn},
		kindsColumn: {index: kindsColumn, field: d.Fields().ByName("sources")},
	}
	s.root = s.describe(d, "", nil)
	return s
}

func (s *schema) describe(d protoreflect.MessageDescriptor, path string, wrap []protowire.Number) *message {
	m := &message{path: path, bit: len(s.messages), wrap: wrap, fields: map[protowire.Number]part{}}
	if path != "" {
		s.messages = append(s.messages, m)
	}
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		at := string(f.Name())
		if path != "" {
			at = path + "." + at
		}
		switch {
		case slices.Contains(unheld, at):
		case !f.IsList() && !f.IsMap() && f.Message() != nil && f.Message().ParentFile() == d.ParentFile():
			m.fields[f.Number()] = part{message: s.describe(f.Message(), at, append(slices.Clone(wrap), f.Number()))}
		default:
			c := &column{index: len(s.columns), path: at, field: f, wrap: wrap}
			s.columns, s.byPath[at] = append(s.columns, c), c
			m.fields[f.Number()] = part{column: c}
		}
	}
	return m
}

// split takes an encoded asset apart: values gets what each column holds, the
// encoded fields without the messages around them.
func (s *schema) split(encoded []byte, values [][]byte) {
	for i := range values {
		values[i] = values[i][:0]
	}
	shape := make([]byte, (len(s.messages)+7)/8)
	s.splitMessage(s.root, encoded, values, shape)
	for len(shape) > 0 && shape[len(shape)-1] == 0 {
		shape = shape[:len(shape)-1]
	}
	values[shapeColumn] = append(values[shapeColumn], shape...)
}

// splitMessage trusts its input: it was encoded by us.
func (s *schema) splitMessage(m *message, b []byte, values [][]byte, shape []byte) {
	for len(b) > 0 {
		num, typ, tag := protowire.ConsumeTag(b)
		if tag < 0 {
			return
		}
		n := protowire.ConsumeFieldValue(num, typ, b[tag:])
		if n < 0 {
			return
		}
		switch p := m.fields[num]; {
		case p.column != nil:
			values[p.column.index] = append(values[p.column.index], b[:tag+n]...)
		case p.message != nil:
			shape[p.message.bit/8] |= 1 << (p.message.bit % 8)
			inner, _ := protowire.ConsumeBytes(b[tag:])
			s.splitMessage(p.message, inner, values, shape)
		}
		b = b[tag+n:]
	}
}

// appendValue adds a column's value to an encoded asset: fields of messages
// that come in pieces are one when they are decoded.
func (c *column) appendValue(b []byte, value string) []byte {
	return appendWrapped(b, c.wrap, value)
}

func appendWrapped(b []byte, wrap []protowire.Number, value string) []byte {
	if len(wrap) == 0 {
		return append(b, value...)
	}
	size := len(value)
	var nested [8]int // the schema is not that deep
	sizes := nested[:len(wrap)]
	for i := len(wrap) - 1; i >= 0; i-- {
		sizes[i] = size
		size += protowire.SizeTag(wrap[i]) + protowire.SizeVarint(uint64(size))
	}
	for i, num := range wrap {
		b = protowire.AppendVarint(protowire.AppendTag(b, num, protowire.BytesType), uint64(sizes[i]))
	}
	return append(b, value...)
}

// appendShape adds the messages of a shape to an encoded asset.
func (s *schema) appendShape(b []byte, shape string) []byte {
	for _, m := range s.messages {
		if m.bit/8 < len(shape) && shape[m.bit/8]&(1<<(m.bit%8)) != 0 {
			b = appendWrapped(b, m.wrap, "")
		}
	}
	return b
}

// under returns the columns of a field, or of all fields of a message, and
// whether the path names a message; nothing for a path that is neither.
func (s *schema) under(path string) (found []*column, isMessage bool) {
	if c := s.byPath[path]; c != nil {
		return []*column{c}, false
	}
	for _, c := range s.columns[kindsColumn+1:] {
		if path == "" || strings.HasPrefix(c.path, path+".") {
			found, isMessage = append(found, c), true
		}
	}
	return found, isMessage
}
