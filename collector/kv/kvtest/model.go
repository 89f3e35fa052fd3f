package kvtest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rollcall-itam/rollcall/collector/kv"
)

// testModel compares the engine with a map over random updates, of which some
// fail, and checks every read inside them.
func testModel(t *testing.T, db kv.DB) {
	keys := rapid.StringMatching(`[ab\x00\xff]{1,4}`)
	rapid.Check(t, func(r *rapid.T) {
		clearAll(t, db)
		model := map[string]string{}
		r.Repeat(map[string]func(*rapid.T){
			"": func(r *rapid.T) {
				if err := db.View(t.Context(), func(tx kv.Tx) error { return sameAsModel(tx, model, "", "") }); err != nil {
					r.Fatal(err)
				}
			},
			"update": func(r *rapid.T) {
				next := maps.Clone(model)
				fails := rapid.Bool().Draw(r, "fails")
				err := db.Update(t.Context(), func(tx kv.Tx) error {
					if err := randomSteps(r, tx, keys, next); err != nil {
						return err
					}
					if fails {
						return errOwn
					}
					return nil
				})
				switch {
				case fails && errors.Is(err, errOwn):
				case !fails && err == nil:
					model = next
				default:
					r.Fatalf("update: %v", err)
				}
			},
		})
	})
}

func clearAll(t *testing.T, db kv.DB) {
	update(t, db, func(tx kv.Tx) error {
		all, err := scan(tx, nil, nil)
		if err != nil {
			return err
		}
		for _, p := range all {
			if err := tx.Delete([]byte(p.Key)); err != nil {
				return err
			}
		}
		return nil
	})
}

func randomSteps(r *rapid.T, tx kv.Tx, keys *rapid.Generator[string], model map[string]string) error {
	for range rapid.IntRange(0, 8).Draw(r, "steps") {
		key := keys.Draw(r, "key")
		var err error
		switch rapid.SampledFrom([]string{"set", "set", "delete", "get", "scan"}).Draw(r, "step") {
		case "set":
			model[key] = rapid.StringN(0, 3, -1).Draw(r, "value")
			err = tx.Set([]byte(key), []byte(model[key]))
		case "delete":
			delete(model, key)
			err = tx.Delete([]byte(key))
		case "get":
			if want, ok := model[key]; ok {
				err = wantGet(tx, key, want)
			} else {
				err = wantMissing(tx, key)
			}
		case "scan":
			err = sameAsModel(tx, model, key[:1], keys.Draw(r, "start"))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func sameAsModel(tx kv.Tx, model map[string]string, prefix, start string) error {
	got, err := scan(tx, []byte(prefix), []byte(start))
	if err != nil {
		return err
	}
	var want []pair
	for _, k := range slices.Sorted(maps.Keys(model)) {
		if strings.HasPrefix(k, prefix) && k >= start {
			want = append(want, pair{k, model[k]})
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		return fmt.Errorf("scan of prefix %q from %q (-model +engine):\n%s", prefix, start, diff)
	}
	return nil
}
