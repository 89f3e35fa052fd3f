package catalog_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/kv"
	"github.com/rollcall-itam/rollcall/collector/kv/memkv"
	"github.com/rollcall-itam/rollcall/collector/store"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// copied is a fixture over a copy of another's store, as a restored backup is.
func (f *fixture) copied(t testing.TB) *fixture {
	t.Helper()
	db := memkv.New()
	t.Cleanup(func() { _ = db.Close() })
	err := f.db.View(t.Context(), func(from kv.Tx) error {
		return db.Update(t.Context(), func(to kv.Tx) error {
			return from.Scan(nil, nil, func(k, v []byte) error { return to.Set(slices.Clone(k), slices.Clone(v)) })
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	c := catalog.New(st, func() time.Time { return epoch.Add(time.Hour) }, slog.New(slog.DiscardHandler))
	if err := c.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return &fixture{db: db, st: st, c: c}
}

func (f *fixture) eraseAgain(t testing.TB, r *storagepb.ErasureRecord) bool {
	t.Helper()
	found, err := f.c.EraseAgain(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.c.FinishErasures(context.Background()); err != nil {
		t.Fatal(err)
	}
	return found
}

func TestWhoWasErasedAfterABackupIsErasedFromWhatItRestores(t *testing.T) {
	f := setupPeople(t)
	id, _ := zelda(t, f)
	backup := f.copied(t)
	var heard *storagepb.ErasureRecord
	f.c.OnErasure(func(r *storagepb.ErasureRecord, readmitted bool) {
		if !readmitted {
			heard = proto.CloneOf(r)
		}
	})
	if _, err := f.c.Erase(t.Context(), erasing(f, t, id)); err != nil {
		t.Fatal(err)
	}
	// No more is known of her than what the erasure keeps.
	heard.Subject = nil
	if len(leftovers(t, backup.db)) < 10 {
		t.Fatal("there is little to erase")
	}
	if !backup.eraseAgain(t, heard) {
		t.Error("she is not found")
	}
	for _, left := range leftovers(t, backup.db) {
		t.Error(left)
	}
	backup.sound(t)
	if backup.c.ErasedBy("zelda@example.com") != heard.GetId() {
		t.Error("she would be taken in again")
	}
	// Once more changes nothing.
	before := backup.picture(t)
	if backup.eraseAgain(t, heard) || !slices.Equal(before, backup.picture(t)) {
		t.Error("erased a third time, the store is another")
	}
}

func TestWhoIsOnlyInThePastIsErasedAgainToo(t *testing.T) {
	f := setupPeople(t)
	id, _ := zelda(t, f)
	backup := f.copied(t)
	r, err := f.c.Erase(t.Context(), erasing(f, t, id))
	if err != nil {
		t.Fatal(err)
	}
	// In the backup the directory had forgotten her, and history had not.
	for _, ref := range []store.Ref{{Source: "okta", ID: "zelda@example.com"}, {Source: "hr", ID: "4711"}} {
		if err := backup.c.Withdraw(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
	}
	if !backup.eraseAgain(t, r) {
		t.Error("she is not found")
	}
	// Her name by itself has no mark, and is nobody's to know any more: what is left
	// must not have an address or an account of hers.
	for _, left := range leftovers(t, backup.db) {
		for _, trace := range []string{"zelda@", "zquack", "z.quack@"} {
			if containsFold(left, trace) {
				t.Error(left)
			}
		}
	}
	backup.sound(t)
}

func TestWhoIsNotInTheBackupStaysErased(t *testing.T) {
	f := setupPeople(t)
	backup := f.copied(t)
	id, _ := zelda(t, f)
	r, err := f.c.Erase(t.Context(), erasing(f, t, id))
	if err != nil {
		t.Fatal(err)
	}
	if backup.eraseAgain(t, r) {
		t.Error("somebody was found")
	}
	if backup.c.ErasedBy(`corp\zquack`) != r.GetId() {
		t.Error("she would be taken in again")
	}
}

func containsFold(s, word string) bool { return strings.Contains(strings.ToLower(s), word) }
