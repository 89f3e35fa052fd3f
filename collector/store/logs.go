package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sort"

	"github.com/rollcall-itam/rollcall/collector/kv"
)

// What follows is common to the logs, whose keys are a prefix and a sequence
// number in 8 bytes, and which are pruned from their beginning: a key of its own
// remembers up to where.

// prunedUpTo returns the sequence of the last entry that was deleted from a log.
func (t *Tx) prunedUpTo(marker string) (uint64, error) {
	v, err := t.value([]byte(marker))
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	if err == nil && len(v) != 8 {
		err = fmt.Errorf("the record of what was pruned has %d bytes, want 8: the database is damaged; restore a backup", len(v))
	}
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(v), nil
}

// lastOf returns the sequence of a log's last entry.
func (t *Tx) lastOf(prefix, marker string) (uint64, error) {
	pruned, failed := t.prunedUpTo(marker)
	// There is no way to scan backwards: halve the space of keys.
	after := func(sequence uint64) bool {
		found := false
		err := t.kv.Scan([]byte(prefix), binary.BigEndian.AppendUint64([]byte(prefix), sequence), func(_, _ []byte) error {
			found = true
			return kv.ErrStop
		})
		failed = errors.Join(failed, err)
		return found
	}
	n := sort.Search(math.MaxInt64, func(i int) bool { return !after(uint64(i)) })
	if failed != nil {
		return 0, fmt.Errorf("find the end of the log: %w", failed)
	}
	return max(uint64(max(n-1, 0)), pruned), nil
}

// pruneLog deletes entries from the beginning of a log as long as old holds of
// them, at most limit, and returns how many.
func (t *Tx) pruneLog(prefix, marker string, limit int, old func(value []byte) (bool, error)) (int, error) {
	var last []byte
	looked := 0
	n, err := t.prune(prefix, limit, func(k, v []byte) (bool, error) {
		// Entries stand in the order of time, but for a clock that was set back.
		yes, err := old(v)
		if err != nil {
			return false, fmt.Errorf("entry of the log is damaged: %w", err)
		}
		if looked++; yes && looked <= limit {
			last = append(last[:0], k[len(prefix):]...)
		}
		return yes, nil
	}, nil)
	if err != nil || n == 0 {
		return n, err
	}
	return n, t.setValue([]byte(marker), last)
}
