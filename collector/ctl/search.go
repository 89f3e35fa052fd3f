package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

type searchCommand struct {
	Words []string `arg:"" help:"Words to look for, each of which must be found: of names, numbers, addresses, people, software."`
	Kind  []string `enum:"asset,person,software" values:"asset,person,software" placeholder:"KIND" help:"Only these kinds of things: asset, person, software."`
	Limit int      `default:"20" help:"The most to list of each kind."`
}

// hit is something that was found.
type hit struct {
	Kind   string `json:"kind"`
	Name   string `json:"name"`
	Detail string `json:"detail,omitempty"`
	ID     string `json:"id"`
}

// searched says how each kind of thing is searched, and what of it tells it from
// the others.
var searched = []struct {
	kind, path, key, fields string
	names, details          []string
}{
	{"asset", "/v1/assets", "assets", "id,name,class,os.name,hardware.serial,owner.email", []string{"name", "hardware.serial", "id"}, []string{"class", "os.name", "hardware.serial", "owner.email"}},
	{"person", "/v1/people", "people", "", []string{"name", "emails", "id"}, []string{"emails", "department", "title", "status"}},
	{"software", "/v1/software", "software", "", []string{"name"}, []string{"kind", "publisher"}},
}

// Run looks into everything for words.
func (cmd searchCommand) Run(s *session) error {
	if cmd.Limit < 1 {
		return fail(exitUsage, "--limit is the most to list of each kind, 1 or more")
	}
	c, err := s.open()
	if err != nil {
		return err
	}
	var all page
	for _, kind := range searched {
		if len(cmd.Kind) > 0 && !slices.Contains(cmd.Kind, kind.kind) {
			continue
		}
		query := pageSize(min(cmd.Limit, listPage))
		query.Set("search", strings.Join(cmd.Words, " "))
		if kind.fields != "" {
			query.Set("fields", kind.fields)
		}
		found := 0
		for p, err := range upTo(c.pages(s.ctx, kind.path, kind.key, query), cmd.Limit) {
			var refused *failure
			if errors.As(err, &refused) && refused.code == exitUnauthorised && len(cmd.Kind) == 0 {
				s.note("%s is left out: %s", kind.key, err)
				break
			}
			if err != nil {
				return err
			}
			for _, raw := range p.items {
				h, err := hitOf(raw, kind.kind, kind.names, kind.details)
				if err != nil {
					return err
				}
				all.items = append(all.items, h)
			}
			if found += len(p.items); p.total > found && found == cmd.Limit {
				s.note("%d more of %s are not shown: see --limit", p.total-found, kind.key)
			}
		}
	}
	return s.hits(all)
}

// hitOf makes a hit of a record.
func hitOf(raw []byte, kind string, names, details []string) ([]byte, error) {
	var record map[string]any
	if err := json.Unmarshal(raw, &record); err != nil {
		return nil, fmt.Errorf("read the collector's answer: %w", err)
	}
	h := hit{Kind: kind, Name: firstBeginning(record, names, "")}
	h.ID, _ = record["id"].(string)
	var told []string
	for _, d := range details {
		told = append(told, plainCell(at(record, d)))
	}
	if n, ok := record["installs"].(float64); ok {
		told = append(told, strconv.Itoa(int(n))+" assets")
	}
	h.Detail = list(told...)
	b, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("write what was found as JSON: %w", err)
	}
	return b, nil
}

func (s *session) hits(found page) error {
	if e := s.encoder("results", nil, []string{"kind", "name", "detail", "id"}); e != nil {
		return encodeList(e, func(yield func(page, error) bool) { yield(found, nil) })
	}
	t := &table{columns: []column{{"KIND", 0, 1}, {"NAME", 16, 0}, {"DETAIL", 20, 2}, {"ID", 0, 0}}}
	for _, raw := range found.items {
		var h hit
		if err := json.Unmarshal(raw, &h); err != nil {
			return fmt.Errorf("read what was found: %w", err)
		}
		t.add(h.Kind, h.Name, h.Detail, h.ID)
	}
	if len(t.rows) == 0 {
		s.note("nothing is found")
		return nil
	}
	s.table(t)
	return nil
}
