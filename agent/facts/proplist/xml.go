package proplist

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
)

// xmlList reads an XML property list. It knows the ten elements of Apple's DTD
// and their few rules, and skips declarations and comments unread: no entity
// that a file declares is ever unfolded.
type xmlList struct {
	rest []byte
	*budget
}

func decodeXML(data []byte, b *budget) (any, error) {
	l := &xmlList{rest: toUTF8(data), budget: b}
	tag, empty, err := l.open()
	if err != nil {
		return nil, fmt.Errorf("not a property list: %w", err)
	}
	if tag == "plist" {
		if empty {
			return nil, errors.New("property list is empty")
		}
		if tag, empty, err = l.open(); err != nil {
			return nil, err
		}
	}
	return l.value(tag, empty, 0)
}

// toUTF8 takes off a byte order mark, and the UTF-16 that it announces.
func toUTF8(b []byte) []byte {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(b, []byte("\xef\xbb\xbf")):
		return b[3:]
	case bytes.HasPrefix(b, []byte("\xff\xfe")):
		order = binary.LittleEndian
	case bytes.HasPrefix(b, []byte("\xfe\xff")):
		order = binary.BigEndian
	default:
		return b
	}
	units := make([]uint16, (len(b)-2)/2)
	for i := range units {
		units[i] = order.Uint16(b[2+2*i:])
	}
	return []byte(string(utf16.Decode(units)))
}

// cut returns what stands before a mark and moves behind it.
func (l *xmlList) cut(mark string) ([]byte, error) {
	before, after, ok := bytes.Cut(l.rest, []byte(mark))
	if !ok {
		return nil, fmt.Errorf("cut short: no %q", mark)
	}
	l.rest = after
	return before, nil
}

// skip passes over one comment, declaration or instruction, and tells whether
// there was one.
func (l *xmlList) skip() (bool, error) {
	for _, s := range []struct{ begin, end string }{{"<!--", "-->"}, {"<?", "?>"}, {"<!", ">"}} {
		if !bytes.HasPrefix(l.rest, []byte(s.begin)) || bytes.HasPrefix(l.rest, []byte("<![CDATA[")) {
			continue
		}
		head, err := l.cut(s.end)
		if err == nil && s.begin == "<!" && bytes.IndexByte(head, '[') >= 0 {
			// A DOCTYPE with declarations in it.
			_, err = l.cut("]")
			if err == nil {
				_, err = l.cut(">")
			}
		}
		return true, err
	}
	return false, nil
}

// open returns the next tag, which may be a closing one; empty tells that the
// element ends with it.
func (l *xmlList) open() (tag string, empty bool, err error) {
	for {
		l.rest = bytes.TrimLeft(l.rest, " \t\r\n")
		skipped, err := l.skip()
		if err != nil {
			return "", false, err
		}
		if !skipped {
			break
		}
	}
	if len(l.rest) == 0 || l.rest[0] != '<' {
		return "", false, errors.New("text where an element should be")
	}
	l.rest = l.rest[1:]
	inner, err := l.cut(">")
	if err != nil {
		return "", false, err
	}
	inner, empty = bytes.CutSuffix(inner, []byte("/"))
	name, _, _ := bytes.Cut(bytes.TrimSpace(inner), []byte(" "))
	return string(name), empty, nil
}

// value returns what an element holds whose opening tag was read.
func (l *xmlList) value(tag string, empty bool, depth int) (any, error) {
	switch tag {
	case "dict", "array":
		if err := enter(depth); err != nil {
			return nil, err
		}
		if err := l.spend(0); err != nil {
			return nil, err
		}
		if tag == "dict" {
			return l.dict(empty, depth+1)
		}
		return l.array(empty, depth+1)
	case "true", "false", "null":
		if err := l.spend(0); err != nil {
			return nil, err
		}
		if !empty {
			if _, err := l.cut("</" + tag + ">"); err != nil {
				return nil, err
			}
		}
		if tag == "null" {
			return nil, nil
		}
		return tag == "true", nil
	case "string", "integer", "real", "date", "data":
		text, err := l.text(tag, empty)
		if err != nil {
			return nil, err
		}
		return leaf(tag, text), nil
	}
	return nil, fmt.Errorf("unknown element <%.40s>", tag)
}

// leaf returns the value of an element that holds text only, nil for a number,
// date or data that is none: tools write <integer></integer>, and one bad value
// must not cost the list.
func leaf(tag, text string) any {
	if tag == "string" {
		return text
	}
	text = strings.TrimSpace(text)
	switch tag {
	case "integer":
		if n, err := strconv.ParseInt(text, 0, 64); err == nil {
			return n
		}
		if n, err := strconv.ParseUint(text, 0, 64); err == nil {
			return float64(n)
		}
	case "real":
		if f, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(f) {
			return f
		}
	case "date":
		if t, err := time.Parse(time.RFC3339, text); err == nil {
			return t.UTC()
		}
	case "data":
		if b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), "")); err == nil {
			return b
		}
	}
	return nil
}

func (l *xmlList) array(empty bool, depth int) (any, error) {
	out := []any{}
	for !empty {
		tag, none, err := l.open()
		if err != nil {
			return nil, err
		}
		if tag == "/array" {
			break
		}
		v, err := l.value(tag, none, depth)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

func (l *xmlList) dict(empty bool, depth int) (any, error) {
	out := Dict{}
	for !empty {
		tag, none, err := l.open()
		if err != nil {
			return nil, err
		}
		if tag == "/dict" {
			break
		}
		if tag != "key" {
			return nil, fmt.Errorf("<%.40s> in a dictionary where a key should be", tag)
		}
		key, err := l.text(tag, none)
		if err != nil {
			return nil, err
		}
		if tag, none, err = l.open(); err != nil {
			return nil, err
		}
		if out[key], err = l.value(tag, none, depth); err != nil {
			return nil, fmt.Errorf("%.40s: %w", key, err)
		}
	}
	return out, nil
}

// text returns what stands up to the closing tag of an element.
func (l *xmlList) text(tag string, empty bool) (string, error) {
	if empty {
		return "", l.spend(0)
	}
	var out []byte
	for {
		part, err := l.cut("<")
		if err != nil {
			return "", err
		}
		out = unescape(out, part)
		switch {
		case bytes.HasPrefix(l.rest, []byte("![CDATA[")):
			l.rest = l.rest[len("![CDATA["):]
			raw, err := l.cut("]]>")
			if err != nil {
				return "", err
			}
			out = append(out, raw...)
		case bytes.HasPrefix(l.rest, []byte("!--")):
			if _, err := l.cut("-->"); err != nil {
				return "", err
			}
		default:
			end, err := l.cut(">")
			if err != nil {
				return "", err
			}
			if string(bytes.TrimSpace(end)) != "/"+tag {
				return "", fmt.Errorf("<%.40s> inside <%s>", end, tag)
			}
			return strings.ToValidUTF8(string(out), "\uFFFD"), l.spend(len(out))
		}
	}
}

// named are the entities that XML itself declares.
var named = map[string]string{"lt": "<", "gt": ">", "amp": "&", "quot": `"`, "apos": "'"}

// maxEntity is more bytes than any entity has.
const maxEntity = 12

// unescape appends text with its entities replaced; what is no entity stays.
func unescape(out, text []byte) []byte {
	for {
		before, after, ok := bytes.Cut(text, []byte("&"))
		out = append(out, before...)
		if !ok {
			return out
		}
		name, _, ok := bytes.Cut(after[:min(len(after), maxEntity)], []byte(";"))
		if c, known := entity(string(name)); ok && known {
			out = append(out, c...)
			text = after[len(name)+1:]
			continue
		}
		out = append(out, '&')
		text = after
	}
}

// entity returns what an entity stands for.
func entity(name string) (string, bool) {
	if c, ok := named[name]; ok {
		return c, true
	}
	digits, ok := strings.CutPrefix(name, "#")
	if !ok {
		return "", false
	}
	base := 10
	if hex, ok := strings.CutPrefix(digits, "x"); ok {
		digits, base = hex, 16
	}
	n, err := strconv.ParseUint(digits, base, 21)
	if err != nil || n == 0 {
		return "", false
	}
	return string(rune(n)), true
}
