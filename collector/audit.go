package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/rollcall-itam/rollcall/collector/store"
)

// auditCommands look at the audit log of a collector that is stopped.
type auditCommands struct {
	Verify auditVerifyCommand `cmd:"" help:"Check that no entry of the audit log was changed or is missing; the collector must be stopped (rollcall audit verify asks one that runs)."`
}

type auditVerifyCommand struct{ configFlags }

// Run checks the log and prints its length and the hash of its last entry.
func (c auditVerifyCommand) Run(world outside) error {
	s, err := c.settings(world.getenv)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir, ok := strings.CutPrefix(s.Store, "badger:")
	if !ok {
		return errors.New("a store in memory holds no log to check: name the collector's with --data-dir or --store")
	}
	if _, err := os.Stat(dir); err != nil {
		return fmt.Errorf("there is no store to check: %w; name the collector's with --data-dir or --store", err)
	}
	db, err := openEngine(ctx, s, newLogger(world.stderr, s))
	if err != nil {
		return err
	}
	st, err := store.Open(ctx, db)
	if err == nil {
		err = st.View(ctx, func(tx *store.Tx) error {
			n, hash, err := tx.VerifyAudit(ctx)
			if err == nil {
				fmt.Fprintf(world.stdout, "the audit log is whole: %d entries, the last has the hash %x\n", n, hash)
			}
			return err
		})
	}
	return errors.Join(err, db.Close())
}
