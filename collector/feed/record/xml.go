package record

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// DecodeXML reads one XML document as Decode reads JSON. Of the root element
// its content is returned. An element with text is that text; one with others
// in it is an object by their names, without namespaces and attributes; or,
// where each of them is called item or member, as AWS writes lists, the list of
// those. Others that repeat under one name become a list as well.
func DecodeXML(b []byte) (any, error) {
	if b = bytes.TrimSpace(b); len(b) > 0 && b[0] != '<' {
		return nil, errors.New("the answer is not XML")
	}
	if kind := notJSON(b); strings.HasPrefix(kind, "an HTML") {
		return nil, fmt.Errorf("the answer is not XML but %s", kind)
	}
	d := xml.NewDecoder(bytes.NewReader(b))
	left := maxValues
	for {
		t, err := d.Token()
		if err != nil {
			return nil, xmlError(err)
		}
		if _, ok := t.(xml.StartElement); !ok {
			continue
		}
		v, err := element(d, 0, &left)
		if err != nil {
			return nil, err
		}
		return v, onlyBlank(d)
	}
}

// onlyBlank wants nothing but blanks and comments after the document.
func onlyBlank(d *xml.Decoder) error {
	for {
		switch t, err := d.Token(); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return xmlError(err)
		default:
			if _, more := t.(xml.StartElement); more {
				return errors.New("the answer holds more than one XML document")
			}
		}
	}
}

func xmlError(err error) error {
	var syntax *xml.SyntaxError
	if errors.Is(err, io.EOF) || errors.As(err, &syntax) && syntax.Msg == "unexpected EOF" {
		return fmt.Errorf("the answer ends in the middle: %w", io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("decode XML: %w", err)
}

// element reads what stands in an element up to its end.
func element(d *xml.Decoder, depth int, left *int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("the answer is nested more than %d deep", maxDepth)
	}
	var text strings.Builder
	var names []string
	var values []any
	for {
		t, err := d.Token()
		if err != nil {
			return nil, xmlError(err)
		}
		switch t := t.(type) {
		case xml.StartElement:
			if *left--; *left < 0 {
				return nil, fmt.Errorf("the answer holds more than %d values: ask for smaller pages", maxValues)
			}
			v, err := element(d, depth+1, left)
			if err != nil {
				return nil, err
			}
			names, values = append(names, t.Name.Local), append(values, v)
		case xml.CharData:
			text.Write(t)
		case xml.EndElement:
			if names == nil {
				return strings.TrimSpace(text.String()), nil
			}
			return gather(names, values), nil
		}
	}
}

// gather makes an object or a list of the elements within one.
func gather(names []string, values []any) any {
	listed := true
	for _, name := range names {
		listed = listed && (name == "item" || name == "member")
	}
	if listed {
		return values
	}
	o := make(map[string]any, len(names))
	many := make(map[string]bool)
	for i, name := range names {
		before, twice := o[name]
		switch {
		case !twice:
			o[name] = values[i]
		case many[name]:
			o[name] = append(before.([]any), values[i])
		default:
			o[name], many[name] = []any{before, values[i]}, true
		}
	}
	return o
}
