package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/rollcall-itam/rollcall/collector/kv"
	"github.com/rollcall-itam/rollcall/collector/kv/memkv"
)

// lay returns a database that holds what is given, with its schema.
func lay(t *testing.T, version byte, records map[string]string) kv.DB {
	t.Helper()
	db := memkv.New()
	t.Cleanup(func() { _ = db.Close() })
	err := db.Update(t.Context(), func(tx kv.Tx) error {
		for k, v := range records {
			if err := tx.Set([]byte(k), []byte(v)); err != nil {
				return err
			}
		}
		return tx.Set([]byte(keySchema), []byte{version})
	})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func value(t *testing.T, db kv.DB, key string) string {
	t.Helper()
	var v []byte
	err := db.View(t.Context(), func(tx kv.Tx) (err error) {
		v, err = tx.Get([]byte(key))
		v = bytes.Clone(v)
		return ignoreNotFound(err)
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(v)
}

// What stood among people's identifiers goes to its place; those stay, and so
// does what is in the new place already.
func TestMisplacedRecordsMove(t *testing.T) {
	person := "d/email\x00\x00a@example.com\x00okta\x001"
	db := lay(t, 2, map[string]string{
		"d/jamf": "\x00feed", "d/asset\x00rule": "\x00decision", person: "\x00",
		"d/intune": "\x00old", "z/f/intune": "\x00new",
	})
	if err := Migrate(t.Context(), db, func(_, _ int64) {}); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"d/jamf": "", "z/f/jamf": "\x00feed", "d/asset\x00rule": "", "z/d/asset\x00rule": "\x00decision",
		person: "\x00", "d/intune": "", "z/f/intune": "\x00new", keyMigration: "", keyRebuild: "\x01", keySchema: string([]byte{SchemaVersion}),
	} {
		if got := value(t, db, key); got != want {
			t.Errorf("%q holds %q, want %q", key, got, want)
		}
	}
}

// Batches are bounded by records and bytes, and together pass each record once.
func TestMigrationWorksInBatches(t *testing.T) {
	records := make(map[string]string)
	for i := range 2*migrateRecords + 1 {
		records[string(join("d/", "feed", string(rune('a'+i%26)), strings.Repeat("x", i/26)))] = "\x00"
	}
	db := lay(t, 1, records)
	seen, updates := 0, 0
	one := []step{{from: 1, passes: []pass{{"d/", func(*Tx, []byte, []byte) error { seen++; return nil }}}}, {from: 2}}
	err := migrateBy(context.Background(), db, one, func(done, total int64) {
		updates++
		if total != int64(len(records)) || done > total {
			t.Errorf("%d of %d", done, total)
		}
	})
	if err != nil || seen != len(records) || updates != 3+3 { // batches, the ends of two steps, and of all
		t.Errorf("%d of %d records in %d updates, %v", seen, len(records), updates, err)
	}
}

// Records that are kept in parts weigh more in a transaction than under their
// key; and from the first transaction on, older collectors find a schema that
// they do not know.
func TestMigrationOfLargeRecords(t *testing.T) {
	const records = 6
	big := make([]byte, partSize*3/2)
	rand.NewChaCha8([32]byte{}).Read(big)
	db := lay(t, 1, nil)
	err := (&Store{db: db}).Update(t.Context(), func(tx *Tx) error { return tx.setValue([]byte("d/0"), big[:4]) })
	for i := range records {
		err = errors.Join(err, (&Store{db: db}).Update(t.Context(), func(tx *Tx) error {
			return tx.setValue(fmt.Appendf(nil, "d/big%02d", i), big)
		}))
	}
	if err != nil {
		t.Fatal(err)
	}
	copied := 0
	again := func(tx *Tx, key, stored []byte) error {
		b, err := tx.unpack(key, stored)
		if err != nil {
			return err
		}
		copied++
		return tx.setValue(append([]byte("z/f/"), key...), b)
	}
	err = migrateBy(t.Context(), db, []step{{from: 1, passes: []pass{{"d/", again}}}, {from: 2}}, func(done, _ int64) {
		if schema := value(t, db, keySchema); (done > 0) != (schema == string([]byte{SchemaVersion})) {
			t.Errorf("after %d records the schema is %q", done, schema)
		}
	})
	if err != nil || copied <= records+1 {
		t.Fatalf("%d copies of %d records, %v: want that some were tried in vain", copied, records+1, err)
	}
	for i := range records {
		err := (&Store{db: db}).View(t.Context(), func(tx *Tx) error {
			b, err := tx.value(fmt.Appendf(nil, "z/f/d/big%02d", i))
			if !bytes.Equal(b, big) {
				t.Errorf("record %d is not whole", i)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// Records that cannot be brought over stop the migration before anything is
// changed, or at that record.
func TestMigrationSaysWhatItCannotBringOver(t *testing.T) {
	for name, c := range map[string]struct {
		version byte
		records map[string]string
		want    string
	}{
		"the first hour of 2":  {2, map[string]string{"t/\xab1234567": "\x00x"}, "first hour"},
		"a cut title key":      {1, map[string]string{"t/123": "\x00x"}, "wrong length"},
		"a damaged record":     {1, map[string]string{"o/agent\x001": "\x00\xff"}, "restore a backup"},
		"a damaged set":        {1, map[string]string{"w/agent\x001\x00\x00": "\x00\xff"}, "damaged"},
		"a set without counts": {1, map[string]string{"w/agent\x001\x00\x00": "\x00\x00\x00"}, "counts"},
		"a damaged note":       {1, map[string]string{keyMigration: "\x01\xff"}, "note"},
	} {
		db := lay(t, c.version, c.records)
		err := Migrate(t.Context(), db, func(_, _ int64) {})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if s, err := ReadSchema(t.Context(), db); name != "a damaged note" && (err != nil || s.Version != int(c.version)) {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
}

// An empty database is not migrated, and a new one has nothing due.
func TestNewStoresNeedNoMigration(t *testing.T) {
	db := memkv.New()
	defer db.Close()
	if s, err := ReadSchema(t.Context(), db); err != nil || s.Due() || s.Version != 0 {
		t.Fatalf("empty: %+v, %v", s, err)
	}
	st, err := Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := ReadSchema(t.Context(), db); err != nil || s.Due() || s.Version != SchemaVersion {
		t.Errorf("new: %+v, %v", s, err)
	}
	err = st.View(t.Context(), func(tx *Tx) error {
		due, err := tx.RebuildDue()
		if due {
			t.Error("a new store wants a rebuild")
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
