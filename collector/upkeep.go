package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/rollcall-itam/rollcall/collector/kv/badgerkv"
	"github.com/rollcall-itam/rollcall/collector/store"
)

// maxProblems is how many problems are named; all are counted.
const maxProblems = 50

// findings are what a check of the store found.
type findings struct {
	Counts store.Counts `json:"counts"`
	// Problems are the first ones; Lost and Derived count all.
	Problems      []store.Problem `json:"problems"`
	Lost, Derived int
}

func (f *findings) report(p store.Problem) {
	if p.Derived {
		f.Derived++
	} else {
		f.Lost++
	}
	if len(f.Problems) < maxProblems {
		f.Problems = append(f.Problems, p)
	}
}

// print tells what was found; the error says what to do about it.
func (f *findings) print(w io.Writer, s settings) error {
	for _, p := range f.Problems {
		fmt.Fprintf(w, "%s: %s\n", p.Record, p.What)
	}
	if more := f.Lost + f.Derived - len(f.Problems); more > 0 {
		fmt.Fprintf(w, "and %d more\n", more)
	}
	total := 0
	names := make([]string, 0, len(f.Counts))
	for name, n := range f.Counts {
		names, total = append(names, name), total+n
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(w, "%10d %s\n", f.Counts[name], name)
	}
	fmt.Fprintf(w, "%10d records checked\n", total)
	switch {
	case f.Lost > 0:
		return damaged(fmt.Errorf("%d records are damaged and cannot be made anew", f.Lost), s)
	case f.Derived > 0:
		return fmt.Errorf("%d records are not what sources said, and can be made anew: stop the collector and run: rollcall-collector rebuild --data-dir %s", f.Derived, quoted(s.DataDir))
	}
	return nil
}

type checkStoreCommand struct{ configFlags }

// Run checks the store, through the collector where one runs.
func (c checkStoreCommand) Run(world outside) error {
	s, err := c.settings(world.getenv)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var found findings
	err = viaControl(ctx, s.DataDir, "check", &found)
	if errors.Is(err, errNotRunning) {
		err = checkStopped(ctx, s, newLogger(world.stderr, s), &found)
	}
	if err != nil {
		return err
	}
	return found.print(world.stdout, s)
}

// checkStopped checks the files of a store as well, which opening it does.
func checkStopped(ctx context.Context, s settings, log *slog.Logger, found *findings) (err error) {
	db, c, err := openCatalog(ctx, s, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	found.Counts, err = c.Verify(ctx, found.report)
	return err
}

func (k *control) check(w http.ResponseWriter, r *http.Request) error {
	var found findings
	var err error
	if found.Counts, err = k.core.catalog.Verify(r.Context(), found.report); err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(found)
}

type compactCommand struct{ configFlags }

// Run compacts the store, through the collector where one runs.
func (c compactCommand) Run(world outside) error {
	s, err := c.settings(world.getenv)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var sizes badgerkv.Sizes
	err = viaControl(ctx, s.DataDir, "compact", &sizes)
	if errors.Is(err, errNotRunning) {
		sizes, err = compactStopped(ctx, s, newLogger(world.stderr, s))
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(world.stdout, "the store's tables took %d MB and take %d MB\n", sizes.Before/1e6, sizes.After/1e6)
	return nil
}

func compactStopped(ctx context.Context, s settings, log *slog.Logger) (sizes badgerkv.Sizes, err error) {
	db, err := openStopped(ctx, s, log)
	if err != nil {
		return sizes, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.Compact(ctx)
}

func (k *control) compact(w http.ResponseWriter, r *http.Request) error {
	db, ok := k.core.db.(*badgerkv.DB)
	if !ok {
		return errors.New("a store in memory is not compacted")
	}
	sizes, err := db.Compact(r.Context())
	if err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(sizes)
}

// maxAnswer bounds an answer of the collector to a command, in bytes.
const maxAnswer = 64 << 20

// viaControl has the collector that runs do something, and decodes its answer.
func viaControl(ctx context.Context, dataDir, command string, into any) error {
	resp, err := askControl(ctx, dataDir, command, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if said := answered(resp); said != nil {
		return said
	}
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		return fmt.Errorf("the answer of the collector that runs on %s cannot be read: %w", dataDir, err)
	}
	return nil
}
