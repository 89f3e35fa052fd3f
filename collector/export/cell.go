package export

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/pkg/formula"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// kind is what a cell holds.
type kind byte

const (
	empty kind = iota
	text
	number
	boolean
)

// cell is one value of a table; one of kind text cannot be taken for a formula.
type cell struct {
	kind kind
	text string
}

// textCell returns a text, which cannot be taken for a formula.
func textCell(s string) cell {
	if s == "" {
		return cell{}
	}
	return cell{kind: text, text: formula.Text(s)}
}

func timeCell(t time.Time) cell {
	if t.IsZero() {
		return cell{}
	}
	return cell{kind: text, text: t.UTC().Format(time.RFC3339)}
}

// path leads to a column's value.
type path struct {
	name  string
	chain []protoreflect.FieldDescriptor
	// key is the entry of the map at the end of the chain, where keyed.
	key   string
	keyed bool
}

const schemaPackage = "rollcall.v1"

// parsePath reads a path of an asset's field; what follows a map's name is a key
// of it, dots included.
func parsePath(name string) (path, error) {
	p := path{name: name}
	d := (*pb.Asset)(nil).ProtoReflect().Descriptor()
	for rest, more := name, true; more; {
		var part string
		part, rest, more = strings.Cut(rest, ".")
		fd := d.Fields().ByName(protoreflect.Name(part))
		if fd == nil {
			return p, fmt.Errorf("an asset has no field %.100q", name)
		}
		p.chain = append(p.chain, fd)
		switch {
		case !more:
		case fd.IsMap():
			p.key, p.keyed = rest, true
			return p, nil
		case fd.Message() == nil || fd.Message().ParentFile().Package() != schemaPackage:
			return p, fmt.Errorf("an asset has no field %.100q", name)
		default:
			d = fd.Message()
		}
	}
	return p, nil
}

// between stands between the values of a list in one cell.
const between = "; "

// cell returns the value of a column; the values of a list are joined.
func (p path) cell(m protoreflect.Message) (cell, error) {
	found, err := p.values(m, p.chain, nil)
	if err != nil || len(found) == 0 {
		return cell{}, err
	}
	if len(found) == 1 {
		if found[0].kind == text {
			return textCell(found[0].text), nil
		}
		return found[0], nil
	}
	texts := make([]string, len(found))
	for i, c := range found {
		texts[i] = c.text
	}
	return textCell(strings.Join(texts, between)), nil
}

func (p path) values(m protoreflect.Message, chain []protoreflect.FieldDescriptor, into []cell) ([]cell, error) {
	fd := chain[0]
	if !m.Has(fd) {
		return into, nil
	}
	v := m.Get(fd)
	switch {
	case fd.IsMap() && p.keyed:
		if entry := v.Map().Get(protoreflect.ValueOfString(p.key).MapKey()); entry.IsValid() {
			c, err := value(fd.MapValue(), entry)
			return append(into, c), err
		}
		return into, nil
	case fd.IsMap():
		c, err := mapCell(fd, v.Map())
		return append(into, c), err
	case fd.IsList():
		for i := range v.List().Len() {
			var err error
			if into, err = p.item(fd, v.List().Get(i), chain, into); err != nil {
				return nil, err
			}
		}
		return into, nil
	}
	return p.item(fd, v, chain, into)
}

func (p path) item(fd protoreflect.FieldDescriptor, v protoreflect.Value, chain []protoreflect.FieldDescriptor, into []cell) ([]cell, error) {
	if len(chain) > 1 {
		return p.values(v.Message(), chain[1:], into)
	}
	c, err := value(fd, v)
	return append(into, c), err
}

// value returns one value; a group of fields is JSON.
func value(fd protoreflect.FieldDescriptor, v protoreflect.Value) (cell, error) {
	switch fd.Kind() {
	case protoreflect.BoolKind:
		return cell{kind: boolean, text: strconv.FormatBool(v.Bool())}, nil
	case protoreflect.StringKind:
		return cell{kind: text, text: v.String()}, nil
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			return cell{kind: text, text: fmt.Sprint(f)}, nil
		}
		return cell{kind: number, text: strconv.FormatFloat(v.Float(), 'g', -1, 64)}, nil
	case protoreflect.MessageKind, protoreflect.GroupKind:
		if t, ok := v.Message().Interface().(*timestamppb.Timestamp); ok {
			return timeCell(t.AsTime()), nil
		}
		b, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(v.Message().Interface())
		return cell{kind: text, text: string(b)}, err
	case protoreflect.BytesKind, protoreflect.EnumKind:
		return cell{kind: text, text: fmt.Sprint(v.Interface())}, nil
	}
	return cell{kind: number, text: v.String()}, nil
}

// mapCell returns a map as "key=value", sorted.
func mapCell(fd protoreflect.FieldDescriptor, m protoreflect.Map) (cell, error) {
	pairs := make([]string, 0, m.Len())
	var err error
	m.Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
		var c cell
		c, err = value(fd.MapValue(), v)
		pairs = append(pairs, k.String()+"="+c.text)
		return err == nil
	})
	slices.Sort(pairs)
	return cell{kind: text, text: strings.Join(pairs, between)}, err
}
