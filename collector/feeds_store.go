package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/rollcall-itam/rollcall/collector/connect"
	"github.com/rollcall-itam/rollcall/collector/notify"
	"github.com/rollcall-itam/rollcall/collector/store"
)

// withStore opens the store of a collector that is stopped.
func withStore(ctx context.Context, s settings, log *slog.Logger, fn func(*store.Store) error) error {
	dir, ok := strings.CutPrefix(s.Store, "badger:")
	if !ok {
		return errors.New("a store in memory holds nothing while no collector runs: name the collector's with --data-dir or --store")
	}
	if _, err := os.Stat(dir); err != nil {
		return fmt.Errorf("there is no store: %w; name the collector's with --data-dir or --store", err)
	}
	db, err := openEngine(ctx, s, log)
	if err != nil {
		return err
	}
	st, err := store.Open(ctx, db)
	if err == nil {
		err = fn(st)
	}
	return errors.Join(err, db.Close())
}

type feedsRotateCommand struct{ configFlags }

// Run makes a new key and seals all secrets with it.
func (c feedsRotateCommand) Run(world outside) error {
	s, err := c.settings(world.getenv)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return withStore(ctx, s, newLogger(world.stderr, s), func(st *store.Store) error {
		vault, err := connect.OpenVault(feedsKey(s))
		if err != nil {
			return err
		}
		n, err := connect.Rotate(ctx, st, vault, notify.Reseal)
		if err != nil {
			return err
		}
		noun := "secrets are"
		if n == 1 {
			noun = "secret is"
		}
		fmt.Fprintf(world.stdout, "%d %s sealed anew; the old key opens nothing any more: replace %s in your backups\n", n, noun, feedsKey(s))
		return nil
	})
}
