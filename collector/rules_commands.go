package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/rollcall-itam/rollcall/collector/expr"
	"github.com/rollcall-itam/rollcall/collector/policy"
)

type rulesCommands struct {
	List   rulesListCommand   `cmd:"" help:"List the rules that come along."`
	Fields rulesFieldsCommand `cmd:"" help:"List the fields that rules and filters can read."`
	Test   rulesTestCommand   `cmd:"" help:"Check files of rules: that they compile, and that every rule gives what its examples want."`
}

type rulesListCommand struct{}

// Run lists the rules that come along, with the parameters that a site may set.
func (rulesListCommand) Run(world outside) error {
	pack, err := readRules("")
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(world.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "RULE\tSEVERITY\tTITLE\tPARAMETERS")
	for _, r := range pack.Rules() {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.ID, r.Severity, r.Title, r.Params)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("print the rules: %w", err)
	}
	return nil
}

type rulesFieldsCommand struct{}

// Run lists the fields, with what they hold.
func (rulesFieldsCommand) Run(world outside) error {
	env, err := expr.New()
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(world.stdout, 0, 0, 2, ' ', 0)
	for _, f := range env.Fields() {
		path := "asset." + f.Path
		if strings.HasPrefix(f.Path, "record.") || strings.HasPrefix(f.Path, "software.") {
			path = f.Path
		}
		fmt.Fprintf(w, "%s\t%s\n", path, f.Type)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("print the fields: %w", err)
	}
	return nil
}

type rulesTestCommand struct {
	Path []string `arg:"" help:"Files of rules, or folders of them (*.yaml)."`
}

// Run checks files of rules together with the rules that come along, as the
// collector would take them.
func (c rulesTestCommand) Run(world outside) error {
	env, err := expr.New()
	if err != nil {
		return err
	}
	files, err := policy.Builtin()
	if err != nil {
		return err
	}
	rules, examples, settings := 0, 0, 0
	for _, path := range c.Path {
		own, err := ruleFiles(path)
		if err != nil {
			return err
		}
		for _, f := range own {
			for _, r := range f.Rules {
				rules, examples = rules+1, examples+len(r.Examples)
			}
			settings += len(f.Settings)
		}
		files = append(files, own...)
	}
	_, problems := policy.Build(env, files...)
	for _, p := range problems {
		fmt.Fprintln(world.stdout, p)
	}
	switch {
	case len(problems) > 0:
		return fmt.Errorf("%d mistakes: nothing of a file with one is in force", len(problems))
	case rules+settings == 0:
		return fmt.Errorf("no rules and no settings in %v", c.Path)
	}
	fmt.Fprintf(world.stdout, "ok: %d rules hold to %d examples, %d settings\n", rules, examples, settings)
	return nil
}
