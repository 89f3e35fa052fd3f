package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-itam/rollcall/collector/backup"
	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/kv"
	"github.com/rollcall-itam/rollcall/collector/kv/badgerkv"
	"github.com/rollcall-itam/rollcall/collector/kv/memkv"
	"github.com/rollcall-itam/rollcall/collector/store"
)

func oldStore(version int) string { return fmt.Sprintf("testdata/stores/schema-%d.rcb", version) }

// invoke runs a command line in this process and returns all that it printed.
func invoke(t *testing.T, args ...string) (string, int) {
	t.Helper()
	var out bytes.Buffer
	code := execute(args, outside{stdout: &out, stderr: &out, getenv: func(string) string { return "" }})
	return out.String(), code
}

// dataFolder returns a data folder with the store of an older version.
func dataFolder(t *testing.T, version int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	if out, code := invoke(t, "restore", "--data-dir", dir, "--min-free", "1048576", oldStore(version)); code != 0 {
		t.Fatalf("restore: %s", out)
	}
	return dir
}

// A store that an older version wrote is backed up and migrated at the start;
// nothing of what it held is lost, and the backup leads back to it.
func TestStoresOfOlderVersionsAreMigrated(t *testing.T) {
	for version := 1; version < store.SchemaVersion; version++ {
		t.Run(fmt.Sprint("schema ", version), func(t *testing.T) {
			dir := dataFolder(t, version)
			if out, code := invoke(t, "check", "--data-dir", dir, "--min-free", "1048576"); code == 0 || !strings.Contains(out, "rollcall-collector serve") {
				t.Errorf("check of a store that is not migrated exits with %d: %s", code, out)
			}
			var log bytes.Buffer
			r := start(t, testSettings(dir), &log)
			if diff := cmp.Diff(readGolden(t, version), r.fleet(t)); diff != "" {
				t.Errorf("what the older version answered, and this one (-older +this):\n%s", diff)
			}
			if version == 2 {
				r.want(t, 200, "GET", "/v1/feeds", nil, "Acme MDM", "http://127.0.0.1:9")
			}
			if err := r.stop(); err != nil {
				t.Fatal(err)
			}
			if out, code := invoke(t, "check", "--data-dir", dir, "--min-free", "1048576"); code != 0 {
				t.Errorf("check after the migration: %s", out)
			}
			a, err := backup.Open(migrationBackups(dir, version))
			if err != nil {
				t.Fatal(err)
			}
			if got := restored(t, a.Path); got.Version != version {
				t.Errorf("the backup has schema version %d, want %d", got.Version, version)
			}
			if version != store.SchemaVersion-1 {
				return // the way back is the same from each
			}
			if out, code := invoke(t, "restore", "--replace", "--data-dir", dir, "--min-free", "1048576", migrationBackups(dir, version)); code != 0 {
				t.Errorf("the backup within the data folder is not restored: %s", out)
			}
			log.Reset()
			again := start(t, testSettings(dir), &log)
			defer again.stop()
			if !strings.Contains(log.String(), "store is migrated") {
				t.Errorf("what was restored is not migrated again: %s", log.String())
			}
		})
	}
}

// restored returns the schema of what is in a backup.
func restored(t *testing.T, path string) store.Schema {
	t.Helper()
	s, err := store.ReadSchema(t.Context(), load(t, path))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func load(t *testing.T, path string) kv.DB {
	t.Helper()
	a, err := backup.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	db := memkv.New()
	t.Cleanup(func() { _ = db.Close() })
	if _, err := a.Restore(t.Context(), db, nil); err != nil {
		t.Fatal(err)
	}
	return db
}

type oldAsset struct {
	Name, Build, Site, Agent string
	FirstSeen                string `json:"first_seen"`
	Software                 []string
}

func readGolden(t *testing.T, version int) map[string]oldAsset {
	t.Helper()
	b, err := os.ReadFile(strings.TrimSuffix(oldStore(version), ".rcb") + ".json")
	if err != nil {
		t.Fatal(err)
	}
	want := make(map[string]oldAsset)
	if err := json.Unmarshal(b, &want); err != nil || len(want) != 3 {
		t.Fatalf("%d assets, %v", len(want), err)
	}
	return want
}

// fleet returns what the collector says of its assets, in the terms of the
// golden files.
func (r *running) fleet(t *testing.T) map[string]oldAsset {
	t.Helper()
	var list struct {
		Assets []struct {
			ID, Name  string
			FirstSeen string `json:"first_seen"`
			Os        struct{ Build string }
			Labels    struct{ Site string }
			Sources   []struct {
				SourceID string `json:"source_id"`
			}
		}
	}
	r.decode(t, "/v1/assets?page_size=100", &list)
	all := make(map[string]oldAsset)
	for _, a := range list.Assets {
		var rows struct {
			Software []struct {
				Name, Version string
				InstalledAt   string `json:"installed_at"`
			}
		}
		r.decode(t, "/v1/assets/"+a.ID+"/software?page_size=1000", &rows)
		old := oldAsset{Name: a.Name, Build: a.Os.Build, Site: a.Labels.Site, Agent: a.Sources[0].SourceID, FirstSeen: a.FirstSeen[:19]}
		for _, s := range rows.Software {
			old.Software = append(old.Software, s.Name+" "+s.Version+" "+s.InstalledAt)
		}
		slices.Sort(old.Software)
		all[a.ID] = old
	}
	return all
}

func (r *running) decode(t *testing.T, path string, into any) {
	t.Helper()
	code, answer := r.request(t, "GET", path, nil)
	if code != 200 {
		t.Fatalf("GET %s answers %d: %s", path, code, answer)
	}
	if err := json.Unmarshal([]byte(answer), into); err != nil {
		t.Fatal(err)
	}
}

// halting is an engine that fails at its nth update.
type halting struct {
	kv.DB
	left atomic.Int64
}

func haltAfter(db kv.DB, updates int) *halting {
	h := &halting{DB: db}
	h.left.Store(int64(updates))
	return h
}

var errHalted = errors.New("halted")

func (h *halting) Update(ctx context.Context, fn func(kv.Tx) error) error {
	if h.left.Add(-1) < 0 {
		return errHalted
	}
	return h.DB.Update(ctx, fn)
}

// A migration that is interrupted before any of its transactions goes on, and
// ends with the same bytes as one that is not; a second one has nothing to do.
func TestMigrationGoesOnWhereItStopped(t *testing.T) {
	for version := 1; version < store.SchemaVersion; version++ {
		whole := load(t, oldStore(version))
		if err := store.Migrate(t.Context(), whole, func(_, _ int64) {}); err != nil {
			t.Fatal(err)
		}
		want := measure(t, whole)
		interrupted := 0
		for after := 0; ; after++ {
			db := haltAfter(load(t, oldStore(version)), after)
			err := store.Migrate(t.Context(), db, func(_, _ int64) {})
			if err == nil {
				break
			}
			if !errors.Is(err, errHalted) {
				t.Fatal(err)
			}
			interrupted++
			s, err := store.ReadSchema(t.Context(), db)
			if err != nil || !s.Due() || s.Begun != (after > 0) {
				t.Fatalf("after %d transactions: %+v, %v", after, s, err)
			}
			if _, err := store.Open(t.Context(), db.DB); !errors.Is(err, store.ErrOlder) {
				t.Fatalf("a store half migrated is opened: %v", err)
			}
			last := int64(-1)
			err = store.Migrate(t.Context(), db.DB, func(done, total int64) {
				if done < last || done > total || (after > 3 && done == 0) {
					t.Errorf("after %d transactions: %d of %d records, %d before", after, done, total, last)
				}
				last = done
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := measure(t, db.DB); got != want {
				t.Errorf("interrupted after %d transactions: %+v, want %+v", after, got, want)
			}
		}
		if interrupted < 3 {
			t.Errorf("schema %d was interrupted %d times only", version, interrupted)
		}
		if s, err := store.ReadSchema(t.Context(), whole); err != nil || s.Due() {
			t.Errorf("after the migration: %+v, %v", s, err)
		}
	}
}

// A rebuild that was interrupted is done at the next start, and before it nobody
// is answered from half of the assets.
func TestInterruptedRebuildIsDoneAtTheStart(t *testing.T) {
	discard := slog.New(slog.DiscardHandler)
	db := load(t, oldStore(store.SchemaVersion-1))
	m := migration{settings: settings{noMigrationBackup: true}, log: discard, say: func(string) {}}
	if err := m.run(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	made := func(db kv.DB, work func(*store.Store, *catalog.Catalog) error) error {
		t.Helper()
		st, err := store.Open(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		c := catalog.New(st, time.Now, discard)
		if err := c.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		return work(st, c)
	}
	again := func(st *store.Store, c *catalog.Catalog) error { return m.rebuild(t.Context(), st, c) }
	rebuild := func(_ *store.Store, c *catalog.Catalog) error { _, err := c.Rebuild(t.Context()); return err }
	if err := made(db, again); err != nil {
		t.Fatal(err)
	}
	want := measure(t, db)
	// The first updates open the store; then all is dropped, and made anew.
	for updates, halves := 2, 0; ; updates++ {
		err := made(haltAfter(db, updates), rebuild)
		if err == nil {
			if halves < 3 {
				t.Errorf("it left %d halves only", halves)
			}
			break
		}
		if !errors.Is(err, errHalted) {
			t.Fatalf("after %d updates: %v", updates, err)
		}
		if measure(t, db) != want {
			halves++
		}
		if err := made(db, again); err != nil {
			t.Fatal(err)
		}
		if got := measure(t, db); got != want {
			t.Errorf("interrupted after %d updates, then done again: %+v, want %+v", updates, got, want)
		}
	}
}

func measure(t *testing.T, db kv.DB) backup.Summary {
	t.Helper()
	s, err := backup.Measure(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Without room for a backup nothing is changed, unless somebody has another.
func TestMigrationWantsABackup(t *testing.T) {
	dir := dataFolder(t, 1)
	s := testSettings(dir)
	db, err := badgerkv.Open(t.Context(), badgerkv.Options{Dir: filepath.Join(dir, "store"), MinFree: s.MinFree})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	before := measure(t, db)
	var said []string
	m := migration{settings: s, log: slog.New(slog.DiscardHandler), say: func(what string) { said = append(said, what) },
		free: func(string) (uint64, error) { return 100 << 20, nil }}
	err = m.run(t.Context(), db)
	if err == nil || !strings.Contains(err.Error(), "100 MiB free") || !strings.Contains(err.Error(), "--no-migration-backup") {
		t.Errorf("without room: %v", err)
	}
	if got := measure(t, db); got != before {
		t.Errorf("the store was changed: %+v, before %+v", got, before)
	}
	m.settings.noMigrationBackup = true
	if err := m.run(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, backupsName)); err == nil {
		t.Error("a backup was made that nobody wanted")
	}
	if !slices.Contains(said, "migrating 0 %") {
		t.Errorf("the way is not told: %q", said)
	}
}

// A store that a newer version wrote is left alone, and the way back is told.
func TestStoreOfANewerVersionIsRefused(t *testing.T) {
	dir := dataFolder(t, 2)
	s := testSettings(dir)
	db, err := badgerkv.Open(t.Context(), badgerkv.Options{Dir: filepath.Join(dir, "store"), MinFree: s.MinFree})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(t.Context(), func(tx kv.Tx) error { return tx.Set([]byte("!/schema"), []byte{store.SchemaVersion + 1}) })
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	refused := func() string {
		t.Helper()
		err := serve(t.Context(), s, slog.New(slog.DiscardHandler), nil)
		if !errors.Is(err, store.ErrNewer) {
			t.Fatalf("it is opened: %v", err)
		}
		return err.Error()
	}
	if text := refused(); !strings.Contains(text, "start the newer collector") || strings.Contains(text, "restore --replace") {
		t.Error(text)
	}
	// What the newer version would have left.
	folder := migrationBackups(dir, store.SchemaVersion)
	if out, code := invoke(t, "backup", "--data-dir", dir, "--min-free", "1048576", folder); code != 0 {
		t.Fatal(out)
	}
	if text := refused(); !strings.Contains(text, "restore --replace --data-dir "+dir+" "+folder) {
		t.Error(text)
	}
}
