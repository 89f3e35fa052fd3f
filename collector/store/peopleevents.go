package store

import (
	"slices"
	"time"

	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// AppendPersonEvent stores what changed of a person; see AppendEvent.
func (t *Tx) AppendPersonEvent(personID string, sequence uint64, e *storagepb.EventRecord) error {
	return personEvents.append(t, personID, sequence, e)
}

// ScanPersonEvents does for a person what ScanEvents does for an asset.
func (t *Tx) ScanPersonEvents(personID string, after time.Time, fn func(at time.Time, event []byte) error) error {
	return personEvents.scan(t, personID, after, fn)
}

// PrunePersonEvents does for people what PruneEvents does for assets.
func (t *Tx) PrunePersonEvents(start string, before time.Time, limit int) (next string, err error) {
	return personEvents.prune(t, start, before, limit)
}

// RewritePersonEvents does for a person what RewriteEvents does for an asset.
func (t *Tx) RewritePersonEvents(personID string, fn func(*storagepb.EventRecord) (changed bool, err error)) (written int, more bool, err error) {
	return personEvents.rewrite(t, personID, fn)
}

// DeletePersonEvents removes events of a person, at most limit of them, and
// returns how many there were.
func (t *Tx) DeletePersonEvents(personID string, limit int) (int, error) {
	prefix, err := personEvents.prefix(personID)
	if err != nil {
		return 0, ignoreNotFound(err)
	}
	var keys [][]byte
	err = t.kv.Scan(prefix, nil, func(k, _ []byte) error {
		if keys = append(keys, slices.Clone(k)); len(keys) == limit {
			return Stop
		}
		return nil
	})
	for _, k := range keys {
		if err != nil {
			break
		}
		err = t.remove(k)
	}
	return len(keys), err
}
