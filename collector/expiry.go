package main

import (
	"fmt"

	"github.com/rollcall-itam/rollcall/collector/expiry"
)

// expirySettings say when assets of which nothing is heard expire; they come
// before the rules that hold anyway.
type expirySettings []expiryRule

type expiryRule struct {
	Class []string `yaml:"class,omitempty,flow"`
	Only  []string `yaml:"only,omitempty,flow"`
	After string   `yaml:"after"`
	Stage string   `yaml:"stage,omitempty"`
}

// policy returns the rules that hold with these settings.
func (e expirySettings) policy() (*expiry.Policy, error) {
	rules := make([]expiry.Rule, len(e))
	for i, r := range e {
		age, err := parseAge(r.After)
		if err != nil {
			return nil, fmt.Errorf("expiry: rule %d: after: %w", i+1, err)
		}
		stage := r.Stage
		if stage == "" {
			stage = expiry.Missing
		}
		rules[i] = expiry.Rule{Classes: r.Class, Only: r.Only, After: age, Stage: stage}
	}
	p, err := expiry.New(rules)
	if err != nil {
		return nil, fmt.Errorf("expiry: %w", err)
	}
	return p, nil
}
