package kvtest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-itam/rollcall/collector/kv"
)

func testOrder(t *testing.T, db kv.DB) {
	put(t, db, pair{"b", "2"}, pair{"a\x00", ""}, pair{"\xff", "4"}, pair{"a", "1"}, pair{"ab", ""}, pair{"\x00", "0"}, pair{"B", ""})
	want := []pair{{"\x00", "0"}, {"B", ""}, {"a", "1"}, {"a\x00", ""}, {"ab", ""}, {"b", "2"}, {"\xff", "4"}}
	if diff := cmp.Diff(want, contents(t, db)); diff != "" {
		t.Errorf("scan (-want +got):\n%s", diff)
	}
}

func testScanBounds(t *testing.T, db kv.DB) {
	put(t, db, pair{"a", ""}, pair{"p", "0"}, pair{"p1", "1"}, pair{"p2", "2"}, pair{"p\xff", "3"}, pair{"q", ""}, pair{"\xff\xff", "4"})
	for _, c := range []struct {
		prefix, start string
		want          []string
	}{
		{"p", "", []string{"p", "p1", "p2", "p\xff"}},
		{"p", "p1", []string{"p1", "p2", "p\xff"}},
		{"p", "p11", []string{"p2", "p\xff"}},
		{"p", "a", []string{"p", "p1", "p2", "p\xff"}},
		{"p", "q", nil},
		{"p\xff", "", []string{"p\xff"}},
		{"\xff", "", []string{"\xff\xff"}},
		{"none", "", nil},
		{"", "p2", []string{"p2", "p\xff", "q", "\xff\xff"}},
	} {
		check := func(tx kv.Tx) error {
			got, err := scan(tx, []byte(c.prefix), []byte(c.start))
			if err != nil {
				return err
			}
			var keys []string
			for _, p := range got {
				keys = append(keys, p.Key)
			}
			if diff := cmp.Diff(c.want, keys); diff != "" {
				return fmt.Errorf("scan of prefix %q from %q (-want +got):\n%s", c.prefix, c.start, diff)
			}
			return nil
		}
		view(t, db, check)
		update(t, db, check)
	}
}

func testScanOwnWrites(t *testing.T, db kv.DB) {
	put(t, db, pair{"p1", "old"}, pair{"p3", "old"}, pair{"p5", "old"})
	update(t, db, func(tx kv.Tx) error {
		err := errors.Join(
			tx.Set([]byte("p4"), []byte("new")),
			tx.Set([]byte("p0"), []byte("new")),
			tx.Set([]byte("p3"), []byte("new")),
			tx.Delete([]byte("p1")),
			tx.Delete([]byte("p9")),
			tx.Set([]byte("q"), []byte("new")),
		)
		if err != nil {
			return err
		}
		if err := wantScan(tx, pair{"p0", "new"}, pair{"p3", "new"}, pair{"p4", "new"}, pair{"p5", "old"}); err != nil {
			return err
		}
		// Later writes join an order that a scan has already asked for.
		if err := errors.Join(tx.Set([]byte("p2"), nil), tx.Delete([]byte("p4")), tx.Set([]byte("p1"), []byte("again"))); err != nil {
			return err
		}
		return wantScan(tx, pair{"p0", "new"}, pair{"p1", "again"}, pair{"p2", ""}, pair{"p3", "new"}, pair{"p5", "old"})
	})
	update(t, db, func(tx kv.Tx) error {
		return wantScan(tx, pair{"p0", "new"}, pair{"p1", "again"}, pair{"p2", ""}, pair{"p3", "new"}, pair{"p5", "old"})
	})
}

func wantScan(tx kv.Tx, want ...pair) error {
	got, err := scan(tx, []byte("p"), nil)
	if err != nil {
		return err
	}
	if diff := cmp.Diff(want, got); diff != "" {
		return fmt.Errorf("scan (-want +got):\n%s", diff)
	}
	return nil
}

func testScanEnds(t *testing.T, db kv.DB) {
	put(t, db, pair{"a", ""}, pair{"b", ""}, pair{"c", ""})
	for _, c := range []struct {
		returned, want error
	}{{kv.ErrStop, nil}, {errOwn, errOwn}} {
		view(t, db, func(tx kv.Tx) error {
			calls := 0
			err := tx.Scan(nil, nil, func(k, _ []byte) error {
				if calls++; string(k) == "b" {
					return c.returned
				}
				return nil
			})
			if !errors.Is(err, c.want) || calls != 2 {
				t.Errorf("scan ended by %v: %d calls and error %v", c.returned, calls, err)
			}
			// The transaction goes on.
			return wantGet(tx, "c", "")
		})
	}
	// Reads inside a scan do not disturb it.
	update(t, db, func(tx kv.Tx) error {
		return tx.Scan(nil, nil, func(k, _ []byte) error {
			seen := string(k)
			if err := errors.Join(wantGet(tx, "a", ""), wantMissing(tx, "zzz")); err != nil {
				return err
			}
			if string(k) != seen {
				return fmt.Errorf("key %q became %q during its call", seen, k)
			}
			return nil
		})
	})
}

// testAnyKey uses keys that engines might keep for themselves.
func testAnyKey(t *testing.T, db kv.DB) {
	keys := []string{"\x00", "!badger!txn", "!badger!", "d", "m/head", "kv", "\xff", "\xff\xff\xff\xff\xff\xff\xff\xff\xff"}
	for _, k := range keys {
		put(t, db, pair{k, "value of " + k})
	}
	view(t, db, func(tx kv.Tx) error {
		for _, k := range keys {
			if err := wantGet(tx, k, "value of "+k); err != nil {
				return err
			}
		}
		return nil
	})
	if got := contents(t, db); len(got) != len(keys) {
		t.Errorf("scan found %v, want exactly the %d keys", got, len(keys))
	}
}
