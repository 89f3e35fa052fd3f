package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/rollcall-itam/rollcall/collector/merge"
)

// precedenceSettings change whom to believe, by field.
type precedenceSettings map[string]precedenceRule

type precedenceRule struct {
	Order      []string `yaml:"order,omitempty"`
	StaleAfter string   `yaml:"stale_after,omitempty"`
	Pick       string   `yaml:"pick,omitempty"`
}

// everyField is how the file writes the rule of all fields that have no other.
const everyField = "default"

// UnmarshalYAML reads the settings and names the line of what is wrong.
func (p *precedenceSettings) UnmarshalYAML(node *yaml.Node) error {
	*p = make(precedenceSettings)
	return eachKey(node, "precedence", func(key, value *yaml.Node) error {
		if _, twice := (*p)[key.Value]; twice {
			return fmt.Errorf("line %d: precedence.%s is there twice", key.Line, key.Value)
		}
		if key.Value != everyField {
			if err := merge.CheckField(key.Value); err != nil {
				return fmt.Errorf("line %d: precedence: %w", key.Line, err)
			}
		}
		r, err := readRule(value, "precedence."+key.Value)
		(*p)[key.Value] = r
		return err
	})
}

// eachKey calls fn with the keys and values of a mapping.
func eachKey(node *yaml.Node, path string, fn func(key, value *yaml.Node) error) error {
	if node.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: %s: want keys and values, as in the documentation", node.Line, path)
	}
	for i := 0; i < len(node.Content); i += 2 {
		if err := fn(node.Content[i], node.Content[i+1]); err != nil {
			return err
		}
	}
	return nil
}

func readRule(node *yaml.Node, path string) (precedenceRule, error) {
	var r precedenceRule
	seen := make(map[string]bool)
	err := eachKey(node, path, func(key, value *yaml.Node) error {
		at := path + "." + key.Value
		if seen[key.Value] {
			return fmt.Errorf("line %d: %s is there twice", key.Line, at)
		}
		seen[key.Value] = true
		switch key.Value {
		case "order":
			return r.readOrder(value, at)
		case "stale_after":
			r.StaleAfter = value.Value
			if _, err := parseAge(value.Value); err != nil {
				return fmt.Errorf("line %d: %s: %w", value.Line, at, err)
			}
		case "pick":
			r.Pick = value.Value
			if r.Pick != merge.PickRank && r.Pick != merge.PickNewest {
				return fmt.Errorf("line %d: %s is %q: want %s or %s", value.Line, at, r.Pick, merge.PickRank, merge.PickNewest)
			}
		default:
			return fmt.Errorf("line %d: %s is unknown: want order, stale_after or pick", key.Line, at)
		}
		return nil
	})
	if err == nil && len(seen) == 0 {
		err = fmt.Errorf("line %d: %s says nothing: want order, stale_after or pick", node.Line, path)
	}
	return r, err
}

func (r *precedenceRule) readOrder(node *yaml.Node, path string) error {
	if node.Kind != yaml.SequenceNode || len(node.Content) == 0 {
		return fmt.Errorf("line %d: %s: want a list, as in [operator, mdm, source:hr]", node.Line, path)
	}
	for _, item := range node.Content {
		if err := merge.CheckOrigin(item.Value); err != nil {
			return fmt.Errorf("line %d: %s: %w", item.Line, path, err)
		}
		if slices.Contains(r.Order, item.Value) {
			return fmt.Errorf("line %d: %s names %s twice", item.Line, path, item.Value)
		}
		r.Order = append(r.Order, item.Value)
	}
	return nil
}

// table returns the table that holds with these settings.
func (p precedenceSettings) table() (*merge.Table, error) {
	overrides := make([]merge.Override, 0, len(p))
	for path, r := range p {
		o := merge.Override{Field: path, Order: r.Order, Pick: r.Pick}
		if path == everyField {
			o.Field = ""
		}
		if r.StaleAfter != "" {
			age, err := parseAge(r.StaleAfter)
			if err != nil {
				return nil, fmt.Errorf("precedence.%s.stale_after: %w", path, err)
			}
			o.StaleAfter = &age
		}
		overrides = append(overrides, o)
	}
	t, err := merge.NewTable(overrides)
	if err != nil {
		return nil, fmt.Errorf("precedence: %w", err)
	}
	return t, nil
}

// maxAge is the longest that parseAge takes.
const maxAge = 100 * 365 * 24 * time.Hour

// parseAge reads how old something may be: 30d, 12h or never, which is 0.
func parseAge(s string) (time.Duration, error) {
	if s == "never" {
		return 0, nil
	}
	age, err := time.ParseDuration(s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n int
		n, err = strconv.Atoi(days)
		age = time.Duration(min(n, int(maxAge/(24*time.Hour))+1)) * 24 * time.Hour
	}
	if err != nil || age <= 0 || age > maxAge {
		return 0, fmt.Errorf("%q is no age: want days or hours, as in 30d or 12h, or never", s)
	}
	return age, nil
}
