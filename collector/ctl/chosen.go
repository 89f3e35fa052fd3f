package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// chosenFields are the fields that a list of assets is to show: those that the
// command line names, or else those of the view; nil where neither names any.
func (s *session) chosenFields(c *client, named, view string) ([]string, error) {
	if named == "" && view != "" {
		raw, err := c.get(s.ctx, viewPath(view), nil)
		if err != nil {
			return nil, err
		}
		v := new(adminpb.SavedView)
		if err := decode(raw, v); err != nil {
			return nil, err
		}
		named = v.GetFields()
	}
	var fields []string
	for f := range strings.SplitSeq(named, ",") {
		if f = strings.TrimSpace(f); f != "" {
			fields = append(fields, f)
		}
	}
	return fields, nil
}

// printChosen lists assets with a column for each of some fields.
func (s *session) printChosen(c *client, query url.Values, fields []string, l listing[*pb.Asset]) error {
	query.Set("fields", strings.Join(fields, ","))
	pages := c.pages(s.ctx, "/v1/assets", l.key, query)
	if e := s.encoder(l.key, nil, fields); e != nil {
		return encodeList(e, pages)
	}
	t := new(table)
	for i, f := range fields {
		t.columns = append(t.columns, column{strings.ToUpper(f), 12, i})
	}
	for p, err := range pages {
		if err != nil {
			return err
		}
		for _, raw := range p.items {
			var a any
			if err := json.Unmarshal(raw, &a); err != nil {
				return fmt.Errorf("read the collector's answer: %w", err)
			}
			cells := make([]string, len(fields))
			for i, f := range fields {
				cells[i] = plainCell(at(a, f))
			}
			t.add(cells...)
		}
	}
	if len(t.rows) == 0 {
		return l.none()
	}
	s.table(t)
	return nil
}

// at returns what stands at a path of a record; of a list, that of each item.
// What follows the name of a map is a key of it, points included.
func at(v any, path string) any {
	if path == "" {
		return v
	}
	switch v := v.(type) {
	case []any:
		var all []any
		for _, item := range v {
			if x := at(item, path); x != nil {
				all = append(all, x)
			}
		}
		return all
	case map[string]any:
		if x, ok := v[path]; ok {
			return x
		}
		name, rest, _ := strings.Cut(path, ".")
		if x, ok := v[name]; ok && rest != "" {
			return at(x, rest)
		}
	}
	return nil
}

// plainCell writes a value of a record into one cell of a table for people.
func plainCell(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		if _, err := time.Parse(time.RFC3339, v); err == nil && strings.HasSuffix(v, "Z") {
			return strings.Replace(strings.TrimSuffix(v, "Z"), "T", " ", 1)
		}
		return v
	case []any:
		parts := make([]string, len(v))
		for i, x := range v {
			parts[i] = plainCell(x)
		}
		return strings.Join(parts, "; ")
	case map[string]any:
		parts := make([]string, 0, len(v))
		for key, x := range v {
			parts = append(parts, key+"="+plainCell(x))
		}
		slices.Sort(parts)
		return strings.Join(parts, "; ")
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}
