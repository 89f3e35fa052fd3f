package store

import (
	"encoding/binary"
	"math"
	"time"

	"google.golang.org/protobuf/proto"

	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// Subscription returns a subscription that was created through the API. The
// error wraps ErrNotFound where there is none.
func (t *Tx) Subscription(id string) (*storagepb.SubscriptionRecord, error) {
	return read[storagepb.SubscriptionRecord](t, join(prefixSubscription, id))
}

// PutSubscription stores a subscription.
func (t *Tx) PutSubscription(r *storagepb.SubscriptionRecord) error {
	return t.put(join(prefixSubscription, r.GetDefinition().GetId()), r)
}

// ScanSubscriptions calls fn with every subscription that was created through
// the API.
func (t *Tx) ScanSubscriptions(fn func(*storagepb.SubscriptionRecord) error) error {
	return scan(t, prefixSubscription, nil, func(_ []byte, r *storagepb.SubscriptionRecord) error { return fn(r) })
}

// DeleteSubscription forgets a subscription with how far it came and its dead
// letters.
func (t *Tx) DeleteSubscription(id string) error {
	keys := [][]byte{join(prefixSubscription, id), join(prefixSubState, id)}
	err := t.ScanLetters(id, func(l *storagepb.LetterRecord) error {
		keys = append(keys, join(prefixLetter, id, l.GetId()))
		return nil
	})
	for _, k := range keys {
		if err == nil {
			err = t.remove(k)
		}
	}
	return err
}

// SubscriptionState returns how far a subscription has come.
func (t *Tx) SubscriptionState(id string) (*storagepb.SubscriptionState, error) {
	return read[storagepb.SubscriptionState](t, join(prefixSubState, id))
}

// PutSubscriptionState stores how far a subscription has come.
func (t *Tx) PutSubscriptionState(s *storagepb.SubscriptionState) error {
	return t.put(join(prefixSubState, s.GetId()), s)
}

// ScanSubscriptionStates calls fn with how far each subscription has come.
func (t *Tx) ScanSubscriptionStates(fn func(*storagepb.SubscriptionState) error) error {
	return scan(t, prefixSubState, nil, func(_ []byte, s *storagepb.SubscriptionState) error { return fn(s) })
}

// PutLetter stores a message that was given up.
func (t *Tx) PutLetter(l *storagepb.LetterRecord) error {
	return t.put(join(prefixLetter, l.GetSubscription(), l.GetId()), l)
}

// DeleteLetter forgets a message that was given up.
func (t *Tx) DeleteLetter(subscription, id string) error {
	return t.remove(join(prefixLetter, subscription, id))
}

// ScanLetters calls fn with the messages of a subscription that were given up, in
// the order of their ids.
func (t *Tx) ScanLetters(subscription string, fn func(*storagepb.LetterRecord) error) error {
	return scan(t, string(within(prefixLetter, subscription)), nil, func(_ []byte, l *storagepb.LetterRecord) error { return fn(l) })
}

func findingChangeKey(sequence uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte(prefixFindingLog), sequence)
}

// AppendFindingChange adds an entry to the log of findings.
func (t *Tx) AppendFindingChange(sequence uint64, c *storagepb.FindingChangeRecord) error {
	key := findingChangeKey(sequence)
	t.noteSingle(key)
	return t.put(key, c)
}

// ScanFindingChanges calls fn with each entry of the log of findings after a
// sequence, in order.
func (t *Tx) ScanFindingChanges(after uint64, fn func(sequence uint64, c *storagepb.FindingChangeRecord) error) error {
	if after == math.MaxUint64 {
		return nil
	}
	return scan(t, prefixFindingLog, findingChangeKey(after+1), func(k []byte, c *storagepb.FindingChangeRecord) error {
		return fn(binary.BigEndian.Uint64(k[len(prefixFindingLog):]), c)
	})
}

// PrunedFindingChanges returns the sequence of the last entry that was deleted
// from the log of findings, 0 for none.
func (t *Tx) PrunedFindingChanges() (uint64, error) { return t.prunedUpTo(keyPrunedFindings) }

// LastFindingChange returns the sequence of the last entry of the log of
// findings, also of one that was pruned since; 0 for none.
func (t *Tx) LastFindingChange() (uint64, error) {
	return t.lastOf(prefixFindingLog, keyPrunedFindings)
}

// PruneFindingChanges deletes the entries of the log of findings before a time,
// at most limit of them, and returns how many.
func (t *Tx) PruneFindingChanges(before time.Time, limit int) (int, error) {
	return t.pruneLog(prefixFindingLog, keyPrunedFindings, limit, func(value []byte) (bool, error) {
		c := new(storagepb.FindingChangeRecord)
		err := proto.Unmarshal(value, c)
		return c.GetAt().AsTime().Before(before), err
	})
}
