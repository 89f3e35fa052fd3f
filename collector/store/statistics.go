package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/rollcall-itam/rollcall/collector/kv"
)

// Amount is how much there is of one kind of records.
type Amount struct {
	Records int64 `json:"records"`
	// Bytes of keys and values, as the engine gets them.
	Bytes int64 `json:"bytes"`
	// Largest is the size of the largest record, in bytes.
	Largest int64 `json:"largest_bytes"`
}

// Statistics tells of what a database holds, and nothing of what that says.
type Statistics struct {
	// Schema is the version of the layout, 0 where none is noted; Current the one
	// that this program works on.
	Schema  int `json:"schema"`
	Current int `json:"current_schema"`
	// Kinds has the amounts by the names of the kinds; "unknown" is what this
	// version does not know.
	Kinds map[string]Amount `json:"kinds"`
}

// Measure counts the records of a database, also of one that Open refuses: it
// decodes none of them.
func Measure(ctx context.Context, db kv.DB) (Statistics, error) {
	s := Statistics{Current: SchemaVersion, Kinds: make(map[string]Amount)}
	err := db.View(ctx, func(tx kv.Tx) error {
		v, err := tx.Get([]byte(keySchema))
		if err == nil && len(v) == 1 {
			s.Schema = int(v[0])
		} else if err != nil && !errors.Is(err, kv.ErrNotFound) {
			return err
		}
		return tx.Scan(nil, nil, func(key, stored []byte) error {
			k, known := kindOf(key)
			if !known {
				k.name = unknownKind
			}
			a, n := s.Kinds[k.name], int64(len(key)+len(stored))
			s.Kinds[k.name] = Amount{Records: a.Records + 1, Bytes: a.Bytes + n, Largest: max(a.Largest, n)}
			return ctx.Err()
		})
	})
	if err != nil {
		return s, fmt.Errorf("count the records: %w", err)
	}
	return s, nil
}
