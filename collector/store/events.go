package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// eventLog is where events are kept of one sort of thing: the prefix of their keys.
type eventLog string

const (
	assetEvents  = eventLog(prefixEvent)
	personEvents = eventLog(prefixPersonEvent)
)

// Events are many, so their keys have an id in 16 bytes, and then a time and a
// sequence.
const (
	eventIDSize   = 16
	eventPlaceLen = 16
)

// prefix begins the keys of a thing's events. Ids are UUIDs, whose bytes stand in
// the order of their texts.
func (l eventLog) prefix(id string) ([]byte, error) {
	parsed, err := uuid.Parse(id)
	if err != nil || parsed.String() != id {
		return nil, fmt.Errorf("id %q: %w", id, ErrNotFound)
	}
	return append([]byte(l), parsed[:]...), nil
}

// subject returns the id of whose event a key is.
func (l eventLog) subject(key []byte) (string, error) {
	if len(key) != len(l)+eventIDSize+eventPlaceLen {
		return "", fmt.Errorf("event key %q has a wrong length: the database is damaged; restore a backup", key)
	}
	return uuid.UUID(key[len(l) : len(l)+eventIDSize]).String(), nil
}

// eventTime is when an event was whose key is whole.
func eventTime(key []byte) time.Time {
	return time.Unix(0, int64(binary.BigEndian.Uint64(key[len(key)-eventPlaceLen:])))
}

// eventKey orders the events of a thing by time, and those of one time by their
// number in the change log.
func eventKey(prefix []byte, at time.Time, sequence uint64) []byte {
	key := binary.BigEndian.AppendUint64(slices.Clone(prefix), uint64(at.UnixNano()))
	return binary.BigEndian.AppendUint64(key, sequence)
}

// AppendEvent stores what changed of an asset. The sequence is that of the
// change log's entry.
func (t *Tx) AppendEvent(assetID string, sequence uint64, e *storagepb.EventRecord) error {
	return assetEvents.append(t, assetID, sequence, e)
}

func (l eventLog) append(t *Tx, id string, sequence uint64, e *storagepb.EventRecord) error {
	prefix, err := l.prefix(id)
	if err != nil {
		return err
	}
	key := eventKey(prefix, e.GetAt().AsTime(), sequence)
	t.noteSingle(key)
	return t.put(key, e)
}

// Event returns the event of an asset that stands under a number of the change
// log.
func (t *Tx) Event(assetID string, at time.Time, sequence uint64) (*storagepb.EventRecord, error) {
	prefix, err := assetEvents.prefix(assetID)
	if err != nil {
		return nil, err
	}
	return read[storagepb.EventRecord](t, eventKey(prefix, at, sequence))
}

// ScanEvents calls fn with each encoded EventRecord of an asset later than
// after, oldest first. The bytes are valid only during the call.
func (t *Tx) ScanEvents(assetID string, after time.Time, fn func(at time.Time, event []byte) error) error {
	return assetEvents.scan(t, assetID, after, fn)
}

func (l eventLog) scan(t *Tx, id string, after time.Time, fn func(at time.Time, event []byte) error) error {
	prefix, err := l.prefix(id)
	if err != nil {
		return ignoreNotFound(err) // what is no id has no events
	}
	var start []byte
	if !after.IsZero() {
		start = eventKey(prefix, after.Add(1), 0)
	}
	return t.kv.Scan(prefix, start, func(k, stored []byte) error {
		if _, err := l.subject(k); err != nil {
			return err
		}
		v, err := t.unpack(k, stored)
		if err != nil {
			return err
		}
		return fn(eventTime(k), v)
	})
}

// NextAsset returns the smallest id greater than after of an asset that is there
// or has left a history; empty where there is none.
func (t *Tx) NextAsset(after string) (string, error) {
	var least string
	first := func(prefix string, start []byte, id func([]byte) (string, error)) error {
		return t.kv.Scan([]byte(prefix), start, func(k, _ []byte) error {
			found, err := id(k)
			if err == nil && (least == "" || found < least) {
				least = found
			}
			return errors.Join(err, Stop)
		})
	}
	var start, events []byte
	if after != "" {
		start = within(prefixAsset, after)
		prefix, err := assetEvents.prefix(after)
		if err != nil {
			return "", err
		}
		events = append(prefix, bytes.Repeat([]byte{0xff}, 17)...)
	}
	if err := first(prefixAsset, start, func(k []byte) (string, error) { return string(k[len(prefixAsset):]), nil }); err != nil {
		return "", err
	}
	err := first(prefixEvent, events, assetEvents.subject)
	return least, err
}

func changeLogKey(sequence uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte(prefixChange), sequence)
}

// AppendChange adds an entry to the change log.
func (t *Tx) AppendChange(sequence uint64, c *storagepb.ChangeRecord) error {
	key := changeLogKey(sequence)
	t.noteSingle(key)
	return t.put(key, c)
}

// ScanChanges calls fn with each entry of the change log after a sequence, in
// order.
func (t *Tx) ScanChanges(after uint64, fn func(sequence uint64, c *storagepb.ChangeRecord) error) error {
	if after == math.MaxUint64 {
		return nil
	}
	return scan(t, prefixChange, changeLogKey(after+1), func(k []byte, c *storagepb.ChangeRecord) error {
		return fn(binary.BigEndian.Uint64(k[len(prefixChange):]), c)
	})
}

// PrunedChanges returns the sequence of the last entry that was deleted from the
// change log, 0 for none.
func (t *Tx) PrunedChanges() (uint64, error) { return t.prunedUpTo(keyPruned) }

// LastChange returns the sequence of the change log's last entry, also of one
// that was pruned since; 0 for none.
func (t *Tx) LastChange() (uint64, error) { return t.lastOf(prefixChange, keyPruned) }

// PruneChanges deletes the entries of the change log before a time, at most
// limit of them, and returns how many.
func (t *Tx) PruneChanges(before time.Time, limit int) (int, error) {
	return t.pruneLog(prefixChange, keyPruned, limit, func(value []byte) (bool, error) {
		c := new(storagepb.ChangeRecord)
		err := proto.Unmarshal(value, c)
		return c.GetAt().AsTime().Before(before), err
	})
}

// prune deletes the records under prefix from start on that old holds of, at
// most limit of them, up to the first that it does not hold of.
func (t *Tx) prune(prefix string, limit int, old func(key, value []byte) (bool, error), start []byte) (int, error) {
	var keys [][]byte
	err := t.kv.Scan([]byte(prefix), start, func(k, stored []byte) error {
		v, err := t.unpack(k, stored)
		if err != nil {
			return err
		}
		yes, err := old(k, v)
		if err != nil {
			return err
		}
		if !yes || len(keys) == limit {
			return Stop
		}
		keys = append(keys, slices.Clone(k))
		return nil
	})
	if err != nil {
		return 0, err
	}
	for _, k := range keys {
		if err := t.remove(k); err != nil {
			return 0, err
		}
	}
	return len(keys), nil
}

// PruneEvents deletes events before a time, looking at no more than limit
// events from those of the asset start on. It returns the asset to go on with,
// empty once all were looked at.
func (t *Tx) PruneEvents(start string, before time.Time, limit int) (next string, err error) {
	return assetEvents.prune(t, start, before, limit)
}

func (l eventLog) prune(t *Tx, start string, before time.Time, limit int) (next string, err error) {
	var keys [][]byte
	looked := 0
	var from []byte
	if start != "" {
		if from, err = l.prefix(start); err != nil {
			return "", err
		}
	}
	err = t.kv.Scan([]byte(l), from, func(k, _ []byte) error {
		id, err := l.subject(k)
		if err != nil {
			return err
		}
		if looked++; looked > limit && id != start {
			next = id
			return Stop
		}
		if eventTime(k).Before(before) && len(keys) < limit {
			keys = append(keys, slices.Clone(k))
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	for _, k := range keys {
		if err := t.remove(k); err != nil {
			return "", err
		}
	}
	return next, nil
}

// Bounds of what RewriteEvents writes at once.
const (
	rewriteEvents = 2000
	rewriteBytes  = 1 << 20
)

// RewriteEvents calls fn with each event of an asset, the latest first, and stores
// those that it changed, the earliest first; more tells that there are further
// ones, for which it is to be called again.
func (t *Tx) RewriteEvents(assetID string, fn func(*storagepb.EventRecord) (changed bool, err error)) (written int, more bool, err error) {
	return assetEvents.rewrite(t, assetID, fn)
}

func (l eventLog) rewrite(t *Tx, id string, fn func(*storagepb.EventRecord) (changed bool, err error)) (written int, more bool, err error) {
	prefix, err := l.prefix(id)
	if err != nil {
		return 0, false, ignoreNotFound(err)
	}
	type event struct {
		key    []byte
		record *storagepb.EventRecord
	}
	var all, changed []event
	err = scan(t, string(prefix), nil, func(k []byte, e *storagepb.EventRecord) error {
		all = append(all, event{slices.Clone(k), e})
		return nil
	})
	for _, e := range slices.Backward(all) {
		if err != nil {
			return 0, false, err
		}
		var now bool
		if now, err = fn(e.record); now {
			changed = append(changed, e)
		}
	}
	if err != nil {
		return 0, false, err
	}
	size := 0
	for _, e := range slices.Backward(changed) {
		if size += proto.Size(e.record); written > 0 && (written == rewriteEvents || size > rewriteBytes) {
			return written, true, nil
		}
		if err := t.put(e.key, e.record); err != nil {
			return written, false, err
		}
		written++
	}
	return written, false, nil
}
