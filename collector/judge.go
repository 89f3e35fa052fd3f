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

// rulePack returns the rules that come along and those of the files in a folder,
// none where it is empty. Any mistake in a file is an error: a rule that is left
// out silently is one that nobody misses.
func rulePack(dir string) (*policy.Pack, error) {
	env, err := expr.New()
	if err != nil {
		return nil, err
	}
	files, err := policy.Builtin()
	if err != nil {
		return nil, err
	}
	if dir != "" {
		if _, err := os.Stat(dir); err != nil {
			return nil, fmt.Errorf("rules_dir: %w", err)
		}
		names, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
		if err != nil {
			return nil, fmt.Errorf("rules_dir %s: %w", dir, err)
		}
		slices.Sort(names)
		for _, name := range names {
			b, err := os.ReadFile(name)
			if err != nil {
				return nil, fmt.Errorf("read rules: %w", err)
			}
			files = append(files, policy.Read(name, b))
		}
	}
	pack, problems := policy.Build(env, files...)
	errs := make([]error, len(problems))
	for i, p := range problems {
		errs[i] = p
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	return pack, nil
}

// newEngine returns what judges the assets of a core by the rules.
func newEngine(c *core, pack *policy.Pack, log *slog.Logger) *compliance.Engine {
	e := compliance.New(compliance.Options{Store: c.store, Catalog: c.catalog, Pack: pack, Logger: log, Now: time.Now})
	c.catalog.OnChange(e.Changed)
	return e
}
