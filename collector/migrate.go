package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/rollcall-itam/rollcall/collector/backup"
	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/kv"
	"github.com/rollcall-itam/rollcall/collector/kv/badgerkv"
	"github.com/rollcall-itam/rollcall/collector/store"
)

// backupsName is the folder in the data folder for the backups that the
// collector makes by itself: before a migration, in a folder named after the
// schema that they have.
const backupsName = "backups"

func migrationBackups(dataDir string, version int) string {
	return filepath.Join(dataDir, backupsName, fmt.Sprintf("schema-%d", version))
}

// migration brings a store that an older version wrote to this one's schema.
type migration struct {
	settings settings
	log      *slog.Logger
	// say tells people how far it is.
	say func(string)
	// free returns the free space of a folder, in bytes.
	free func(dir string) (uint64, error)
}

// run migrates a store that needs it, after a backup of it.
func (m migration) run(ctx context.Context, db kv.DB) error {
	was, err := store.ReadSchema(ctx, db)
	if errors.Is(err, store.ErrNewer) {
		return m.newer(err)
	}
	if err != nil || !was.Due() {
		return err
	}
	m.log.Info("store was written by an older version and is migrated", "from", was.Version, "to", store.SchemaVersion, "goes_on", was.Begun)
	// One that goes on has its backup: that of a store half migrated is of no use.
	if !was.Begun {
		if err := m.backUp(ctx, db, was.Version); err != nil {
			return fmt.Errorf("the store has schema version %d and is not migrated to %d without a backup, which was not made: %w; "+
				"make room, or start once with --no-migration-backup if you have another backup. Nothing was changed: the older version still runs", was.Version, store.SchemaVersion, err)
		}
	}
	began, told := time.Now(), time.Now()
	err = store.Migrate(ctx, db, func(done, total int64) {
		percent := 100 * done / max(total, 1)
		m.say(fmt.Sprintf("migrating %d %%", percent))
		if now := time.Now(); now.Sub(told) >= progressEvery {
			told = now
			m.log.Info("store is being migrated", "records", done, "of", total, "percent", percent)
		}
	})
	if err != nil {
		return fmt.Errorf("%w; the next start goes on where this one stopped", err)
	}
	m.log.Info("store is migrated", "to", store.SchemaVersion, "took", time.Since(began).Round(time.Millisecond).String())
	return nil
}

// progressEvery is how often the log tells how far a migration is.
const progressEvery = 5 * time.Second

// newer says which backup the older version, which this is, can go back to.
func (m migration) newer(err error) error {
	dir := migrationBackups(m.settings.DataDir, store.SchemaVersion)
	if _, none := backup.Open(dir); none != nil {
		return err
	}
	return fmt.Errorf("%w\nA backup from before the upgrade is there. To go back to it, and lose what was reported since, run: rollcall-collector restore --replace --data-dir %s %s",
		err, quoted(m.settings.DataDir), quoted(dir))
}

// backUp makes a backup and restores it into a scratch folder to try it.
func (m migration) backUp(ctx context.Context, db kv.DB, version int) error {
	b, ok := db.(*badgerkv.DB)
	if !ok || m.settings.noMigrationBackup {
		m.log.Warn("store is migrated without a backup", "from", version)
		return nil
	}
	m.say("migrating: backing up the store")
	dir := migrationBackups(m.settings.DataDir, version)
	if err := m.room(b); err != nil {
		return err
	}
	job := backupJob{settings: m.settings, try: tryRestore, log: m.log, open: b}
	made, err := job.run(ctx, dir)
	if errors.Is(err, backup.ErrRolledBack) {
		return fmt.Errorf("%w; if the older state is what you want, move the folder %s elsewhere", err, dir)
	}
	if err != nil {
		return err
	}
	m.log.Info("store is backed up before it is migrated", "file", made.Path, "records", made.Records, "commit", made.Commit)
	if err := made.note(m.settings.DataDir); err != nil {
		m.log.Warn("data folder cannot remember where the backup is", "file", made.Path, "error", err)
	}
	return nil
}

// newStore is what the logs of a store take that holds next to nothing.
const newStore = 128 << 20

// room makes sure that there is space for a backup and for the store that it is
// restored into, beside what has to stay free.
func (m migration) room(db *badgerkv.DB) error {
	free, err := m.free(m.settings.DataDir)
	if err != nil {
		return err
	}
	need := 2*uint64(db.Size()) + newStore + m.settings.MinFree
	if free < need {
		return fmt.Errorf("data folder %s has %d MiB free and this needs %d MiB", m.settings.DataDir, free>>20, need>>20)
	}
	return nil
}

// rebuild makes anew what is derived, where a migration asks for that or where
// another rebuild was interrupted.
func (m migration) rebuild(ctx context.Context, st *store.Store, c *catalog.Catalog) error {
	var due bool
	err := st.View(ctx, func(tx *store.Tx) (err error) {
		due, err = tx.RebuildDue()
		return err
	})
	if err != nil || !due {
		return err
	}
	m.say("making assets anew")
	stats, err := c.Rebuild(ctx)
	if err != nil {
		return fmt.Errorf("make assets anew: %w; the next start does it again", err)
	}
	m.log.Info("assets are made anew", "assets", stats.Assets, "observations", stats.Observations)
	return nil
}
