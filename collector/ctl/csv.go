package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/rollcall-itam/rollcall/pkg/formula"
)

// csvEncoder writes a line of titles and a row for each record. The columns
// follow from what kind of record it is, never from what is found, so that a
// script can rely on them.
type csvEncoder struct {
	out     *csv.Writer
	columns []string
	titled  bool
	// loose says that the columns are those of the answer.
	loose bool
}

func newCSVEncoder(out *bufio.Writer, of protoreflect.MessageDescriptor, columns []string) *csvEncoder {
	e := &csvEncoder{out: csv.NewWriter(out), columns: columns, loose: of == nil && columns == nil}
	if columns == nil && of != nil {
		e.columns = leaves(of, "")
	}
	return e
}

// leaves returns the paths of the fields of a message and of the groups in it. A
// list, a map and a group within itself is one column.
func leaves(d protoreflect.MessageDescriptor, prefix string, above ...protoreflect.FullName) []string {
	var out []string
	above = append(slices.Clone(above), d.FullName())
	for i := range d.Fields().Len() {
		fd := d.Fields().Get(i)
		name, group := prefix+string(fd.Name()), fd.Message()
		if fd.IsList() || fd.IsMap() || group == nil || group.ParentFile().Package() != d.ParentFile().Package() || slices.Contains(above, group.FullName()) {
			out = append(out, name)
			continue
		}
		out = append(out, leaves(group, name+".", above...)...)
	}
	return out
}

func (e *csvEncoder) object(raw []byte, rows []string) error {
	if len(rows) == 0 {
		if err := e.item(raw); err != nil {
			return err
		}
		return e.end(0)
	}
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(raw, &parts); err != nil {
		return fmt.Errorf("read the collector's answer: %w", err)
	}
	for _, name := range rows {
		items := []json.RawMessage{parts[name]}
		if bytes.HasPrefix(parts[name], []byte("[")) {
			if err := json.Unmarshal(parts[name], &items); err != nil {
				return fmt.Errorf("read the collector's answer: %w", err)
			}
		}
		for _, item := range items {
			if len(item) == 0 {
				continue
			}
			if err := e.item(item); err != nil {
				return err
			}
		}
	}
	return e.end(0)
}

func (e *csvEncoder) item(raw []byte) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var record any
	if err := d.Decode(&record); err != nil {
		return fmt.Errorf("read the collector's answer: %w", err)
	}
	if e.loose && !e.titled {
		e.columns = stated(record, "")
	}
	if err := e.title(); err != nil || len(e.columns) == 0 {
		return err
	}
	row := make([]string, len(e.columns))
	for i, path := range e.columns {
		row[i] = csvCell(at(record, path))
	}
	return e.write(row)
}

// stated returns the paths of what a record has.
func stated(record any, prefix string) []string {
	var out []string
	fields, _ := record.(map[string]any)
	for name, v := range fields {
		if below, ok := v.(map[string]any); ok && len(below) > 0 {
			out = append(out, stated(below, prefix+name+".")...)
			continue
		}
		out = append(out, prefix+name)
	}
	slices.Sort(out)
	return out
}

// title writes the titles, once.
func (e *csvEncoder) title() error {
	if e.titled || len(e.columns) == 0 {
		return nil
	}
	e.titled = true
	return e.write(e.columns)
}

func (e *csvEncoder) write(row []string) error {
	if err := e.out.Write(row); err != nil {
		return fmt.Errorf("write the answer as CSV: %w", err)
	}
	return nil
}

func (e *csvEncoder) end(int) error {
	if err := e.title(); err != nil {
		return err
	}
	e.out.Flush()
	if err := e.out.Error(); err != nil {
		return fmt.Errorf("write the answer as CSV: %w", err)
	}
	return nil
}

func (e *csvEncoder) event(raw []byte) error {
	if err := e.item(raw); err != nil {
		return err
	}
	return e.end(0)
}

// whole is a number as the API writes those of 64 bits: as a text.
var whole = regexp.MustCompile(`^-?[0-9]+$`)

// csvCell writes a value into a cell that is not taken for a formula. The values
// of a list stand behind one another, those of a map as key=value; what has groups
// in it is JSON.
func csvCell(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case json.Number:
		return v.String()
	case string:
		if whole.MatchString(v) {
			return v
		}
	}
	return formula.Text(flat(v))
}

func flat(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return fmt.Sprint(v)
	case []any:
		if !slices.ContainsFunc(v, nested) {
			parts := make([]string, len(v))
			for i, x := range v {
				parts[i] = flat(x)
			}
			return strings.Join(parts, "; ")
		}
	case map[string]any:
		parts := make([]string, 0, len(v))
		deep := false
		for key, x := range v {
			parts = append(parts, key+"="+flat(x))
			deep = deep || nested(x)
		}
		if slices.Sort(parts); !deep {
			return strings.Join(parts, "; ")
		}
	}
	var b strings.Builder
	j := json.NewEncoder(&b)
	j.SetEscapeHTML(false)
	if err := j.Encode(v); err != nil {
		return fmt.Sprint(v) // cannot happen: it was decoded from JSON
	}
	return strings.TrimSpace(b.String())
}

func nested(v any) bool {
	switch v.(type) {
	case []any, map[string]any:
		return true
	}
	return false
}
