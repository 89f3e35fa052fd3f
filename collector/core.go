package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rollcall-itam/rollcall/collector/advisory"
	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/compliance"
	"github.com/rollcall-itam/rollcall/collector/enroll"
	"github.com/rollcall-itam/rollcall/collector/exposure"
	"github.com/rollcall-itam/rollcall/collector/feed"
	"github.com/rollcall-itam/rollcall/collector/kv"
	"github.com/rollcall-itam/rollcall/collector/kv/badgerkv"
	"github.com/rollcall-itam/rollcall/collector/kv/memkv"
	"github.com/rollcall-itam/rollcall/collector/notify"
	"github.com/rollcall-itam/rollcall/collector/signin"
	"github.com/rollcall-itam/rollcall/collector/store"
	"github.com/rollcall-itam/rollcall/collector/view"
	"github.com/rollcall-itam/rollcall/collector/watch"
)

// core is the collector without its listeners.
type core struct {
	db       kv.DB
	store    *store.Store
	catalog  *catalog.Catalog
	view     *view.View
	tokens   *enroll.Tokens
	enroller *enroll.Enroller
	feeds    *feed.Runner
	engine   *compliance.Engine
	// changes tells what happens to assets.
	changes  *watch.Log
	notifier *notify.Notifier
	// library holds the advisories, and exposure tells whom they are about.
	library  *advisory.Library
	refresh  *advisory.Refresh
	exposure *exposure.Exposure
	// signIn lets people in; nil where no provider does.
	signIn *signin.Flow
	// support knows when products end.
	support *support
	// device signs agents, and server the collector's own certificate.
	device, server *enroll.Authority
}

// prepareDataDir makes the data folder, which holds keys and is therefore this
// user's alone.
func prepareDataDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("data folder %s cannot be made: %w; choose another with --data-dir, or start as a user who may", dir, err)
	}
	probe, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return fmt.Errorf("data folder %s cannot be written: %w; choose another with --data-dir, or start as a user who may", dir, err)
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// witnessName is the file in the data folder that remembers the store's newest
// commit, beside the store.
const witnessName = "newest-commit"

// openEngine opens the storage engine that the settings name.
func openEngine(ctx context.Context, s settings, log *slog.Logger) (kv.DB, error) {
	if s.Store == "memory" {
		return memkv.New(), nil
	}
	if err := checkRestored(s.DataDir); err != nil {
		return nil, err
	}
	db, err := badgerkv.Open(ctx, badgerkv.Options{Dir: strings.TrimPrefix(s.Store, "badger:"), Logger: log, MinFree: s.MinFree,
		Verifier: badgerkv.VerifyInChild, Witness: filepath.Join(s.DataDir, witnessName)})
	if errors.Is(err, badgerkv.ErrDamaged) {
		return nil, damaged(fmt.Errorf("the store cannot be used: %w", err), s)
	}
	if err != nil {
		return nil, fmt.Errorf("open the store (--store %s; it lies in --data-dir unless set): %w", s.Store, err)
	}
	return db, nil
}

// openCore opens the store and brings up what works on it. The store comes
// first: its lock keeps a second collector from the keys. say hears what takes
// long.
func openCore(ctx context.Context, s settings, log *slog.Logger, v *view.View, say func(string)) (_ *core, err error) {
	c := &core{view: v}
	if c.db, err = openEngine(ctx, s, log); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.db.Close())
		}
	}()
	m := migration{settings: s, log: log, say: say, free: badgerkv.FreeSpace}
	if err := m.run(ctx, c.db); err != nil {
		return nil, err
	}
	if c.store, err = store.Open(ctx, c.db); err != nil {
		return nil, err
	}
	c.catalog = catalog.New(c.store, time.Now, log)
	c.catalog.KeepHistory(time.Duration(s.HistoryDays) * 24 * time.Hour)
	if err := s.judgeBy(c.catalog); err != nil {
		return nil, err
	}
	v.Follow(c.catalog, c.store)
	c.openChanges()
	if c.support, err = readSupport(s.EOLFile, log); err != nil {
		return nil, err
	}
	c.catalog.Derive(c.support.Derive)
	pack, err := readRules(s.RulesDir)
	if err != nil {
		return nil, err
	}
	c.engine = newEngine(c, pack, log)
	if err := c.catalog.Load(ctx); err != nil {
		return nil, err
	}
	if err := m.rebuild(ctx, c.store, c.catalog); err != nil {
		return nil, err
	}
	if err := c.engine.LoadRules(ctx); err != nil {
		return nil, err
	}
	if err := c.catalog.DeclareOperator(ctx); err != nil {
		return nil, err
	}
	if err := v.Load(ctx, c.store); err != nil {
		return nil, err
	}
	// What was cut off, or undone by a restore, is finished before anybody is answered.
	if err := c.finishErasures(ctx, s, log); err != nil {
		return nil, err
	}
	return c, c.openEnrolment(ctx, s, log)
}

func (c *core) finishErasures(ctx context.Context, s settings, log *slog.Logger) error {
	if s.Store == "memory" {
		return c.catalog.FinishErasures(ctx)
	}
	return errors.Join(keepErasures(ctx, s.DataDir, c.store, c.catalog, log), eraseAgain(ctx, s.DataDir, c.catalog, log), c.catalog.FinishErasures(ctx))
}

// openEnrolment loads or makes the authorities and lets an administrator in.
func (c *core) openEnrolment(ctx context.Context, s settings, log *slog.Logger) (err error) {
	dir := filepath.Join(s.DataDir, "ca")
	if c.device, err = enroll.OpenAuthority(ctx, c.store, dir, enroll.PurposeDevice, time.Now()); err != nil {
		return err
	}
	if c.server, err = enroll.OpenAuthority(ctx, c.store, dir, enroll.PurposeServer, time.Now()); err != nil {
		return err
	}
	if err := enroll.WriteFile(filepath.Join(s.DataDir, "ca.pem"), c.server.PEM(), 0o644); err != nil {
		return err
	}
	c.tokens = enroll.NewTokens(c.store, time.Now)
	c.enroller = enroll.New(c.store, c.tokens, c.device, c.server, 0)
	file := filepath.Join(s.DataDir, "admin-token")
	created, err := c.tokens.EnsureAdmin(ctx, s.preset, func(secret string) error {
		return enroll.WriteFile(file, []byte(secret+"\n"), 0o600)
	})
	if created {
		log.Info("administrator's token written", "file", file)
	}
	return err
}

// judgeBy lets a catalog make assets by the settings.
func (s settings) judgeBy(c *catalog.Catalog) error {
	table, err := s.Precedence.table()
	if err != nil {
		return err
	}
	policy, err := s.Expiry.policy()
	if err != nil {
		return err
	}
	c.UseTable(table)
	c.ExpireBy(policy)
	return nil
}

// openCatalog opens a store that is there with the catalog over it, for commands
// that work without the collector.
func openCatalog(ctx context.Context, s settings, log *slog.Logger) (kv.DB, *catalog.Catalog, error) {
	dir, ok := strings.CutPrefix(s.Store, "badger:")
	if !ok {
		return nil, nil, errors.New("a store in memory holds nothing: name the collector's with --data-dir or --store")
	}
	if _, err := os.Stat(dir); err != nil {
		return nil, nil, fmt.Errorf("there is no store: %w; name the collector's with --data-dir or --store", err)
	}
	support, err := readSupport(s.EOLFile, log)
	if err != nil {
		return nil, nil, err
	}
	db, err := openEngine(ctx, s, log)
	if err != nil {
		return nil, nil, err
	}
	st, err := store.Open(ctx, db)
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	c := catalog.New(st, time.Now, log)
	c.Derive(support.Derive)
	if err := errors.Join(s.judgeBy(c), c.Load(ctx)); err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return db, c, nil
}

// rebuild makes anew what is derived.
func rebuild(ctx context.Context, s settings, log *slog.Logger) (stats catalog.RebuildStats, err error) {
	db, c, err := openCatalog(ctx, s, log)
	if err != nil {
		return stats, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return c.Rebuild(ctx)
}
