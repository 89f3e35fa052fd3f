package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/rollcall-itam/rollcall/collector/compliance"
	"github.com/rollcall-itam/rollcall/collector/expr"
	"github.com/rollcall-itam/rollcall/collector/policy"
)

// rulePack is the rules that come along and those of a site's files.
type rulePack struct {
	*policy.Pack
	env   *expr.Env
	files []*policy.File
}

// readRules returns the rules that come along and those of the files in a folder,
// none where it is empty. Any mistake in a file is an error: a rule that is left
// out silently is one that nobody misses.
func readRules(dir string) (*rulePack, error) {
	p := new(rulePack)
	var err error
	if p.env, err = expr.New(); err != nil {
		return nil, err
	}
	if p.files, err = policy.Builtin(); err != nil {
		return nil, err
	}
	if dir != "" {
		if _, err := os.Stat(dir); err != nil {
			return nil, fmt.Errorf("rules_dir: %w", err)
		}
		site, err := ruleFiles(dir)
		if err != nil {
			return nil, fmt.Errorf("rules_dir: %w", err)
		}
		p.files = append(p.files, site...)
	}
	var problems []*policy.Problem
	p.Pack, problems = policy.Build(p.env, p.files...)
	if err := joined(problems); err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	return p, nil
}

// ruleFiles reads a file of rules, or those of a folder.
func ruleFiles(name string) (files []*policy.File, err error) {
	names := []string{name}
	if info, err := os.Stat(name); err != nil {
		return nil, fmt.Errorf("read rules: %w", err)
	} else if info.IsDir() {
		if names, err = filepath.Glob(filepath.Join(name, "*.yaml")); err != nil {
			return nil, fmt.Errorf("read rules of %s: %w", name, err)
		}
		slices.Sort(names)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read rules: %w", err)
		}
		files = append(files, policy.Read(name, b))
	}
	return files, nil
}

func joined(problems []*policy.Problem) error {
	errs := make([]error, len(problems))
	for i, p := range problems {
		errs[i] = p
	}
	return errors.Join(errs...)
}

// newEngine returns what judges the assets of a core by the rules.
func newEngine(c *core, pack *rulePack, log *slog.Logger) *compliance.Engine {
	e := compliance.New(compliance.Options{Store: c.store, Catalog: c.catalog, Pack: pack.Pack, Env: pack.env, Files: pack.files, Support: c.support.table.Load(), Logger: log, Now: time.Now})
	c.catalog.OnChange(e.Changed)
	return e
}
