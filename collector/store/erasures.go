package store

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// MarkSize is the length of a mark in bytes.
const MarkSize = 16

// Mark is a keyed hash of something that identifies a person, by which it is
// known again and from which nobody learns it who has not this store's secret.
type Mark [MarkSize]byte

// Mark returns the mark of an identifier.
func (s *Store) Mark(kind, value string) Mark {
	h := hmac.New(sha256.New, s.install)
	for _, part := range []string{"erased", kind, value} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return Mark(h.Sum(nil)[:MarkSize])
}

// Erasure returns what is kept of the erasure of a person.
func (t *Tx) Erasure(id string) (*storagepb.ErasureRecord, error) {
	return read[storagepb.ErasureRecord](t, join(prefixErasure, id))
}

// PutErasure stores it.
func (t *Tx) PutErasure(r *storagepb.ErasureRecord) error {
	return t.put(join(prefixErasure, r.GetId()), r)
}

// DeleteErasure forgets it.
func (t *Tx) DeleteErasure(id string) error { return t.remove(join(prefixErasure, id)) }

// ScanErasures calls fn with each erasure whose id is greater than after, in the
// order of their ids.
func (t *Tx) ScanErasures(after string, fn func(*storagepb.ErasureRecord) error) error {
	var start []byte
	if after != "" {
		start = within(prefixErasure, after)
	}
	return scan(t, prefixErasure, start, func(_ []byte, r *storagepb.ErasureRecord) error { return fn(r) })
}

// ErasureOf returns the erasure that is in a record of a database, such as one
// that is read from a backup; nil where the record is of another kind.
func ErasureOf(key, stored []byte) (*storagepb.ErasureRecord, error) {
	if !bytes.HasPrefix(key, []byte(prefixErasure)) {
		return nil, nil
	}
	if len(stored) > 0 && stored[0] == packedParts {
		return nil, fmt.Errorf("record %q is larger than an erasure is", key)
	}
	v, err := new(Tx).unpack(key, stored)
	if err != nil {
		return nil, err
	}
	r := new(storagepb.ErasureRecord)
	if err := proto.Unmarshal(v, r); err != nil {
		return nil, fmt.Errorf("record %q is damaged: %w", key, err)
	}
	return r, nil
}

// fieldErased marks a software title of which something was erased. It is no
// field of Software, so that nobody who states software can set it.
const fieldErased = protowire.Number(1000)

// erasedTitle tells whether something of an encoded title was erased. Such a
// title keeps its id, which is that of its whole text: who states that again
// means this title, and does not bring back what was erased.
func erasedTitle(body []byte) bool {
	for len(body) > 0 {
		num, typ, n := protowire.ConsumeTag(body)
		if n < 0 {
			return false
		}
		if num == fieldErased {
			return true
		}
		m := protowire.ConsumeFieldValue(num, typ, body[n:])
		if m < 0 {
			return false
		}
		body = body[n+m:]
	}
	return false
}

// EraseTitle has fn take texts out of a software title, and tells whether it did;
// fn tells whether there were any.
func (t *Tx) EraseTitle(id TitleID, fn func(*pb.Software) bool) (bool, error) {
	row, err := t.Title(id)
	if err != nil {
		return false, err
	}
	if !fn(row) {
		return false, nil
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(row)
	if err != nil {
		return false, fmt.Errorf("encode software title %x: %w", id, err)
	}
	if !erasedTitle(b) {
		b = protowire.AppendVarint(protowire.AppendTag(b, fieldErased, protowire.VarintType), 1)
	}
	return true, t.setValue(titleKey(id), b)
}

// texts makes an empty message of each kind of records that may hold texts about
// a person and that no other rule covers.
var texts = map[string]func() proto.Message{
	prefixChange:       func() proto.Message { return new(storagepb.ChangeRecord) },
	prefixFinding:      func() proto.Message { return new(storagepb.FindingRecord) },
	prefixRule:         func() proto.Message { return new(storagepb.RuleRecord) },
	prefixDecision:     func() proto.Message { return new(storagepb.DecisionRecord) },
	prefixFeed:         func() proto.Message { return new(storagepb.FeedRecord) },
	prefixSubscription: func() proto.Message { return new(storagepb.SubscriptionRecord) },
	prefixSubState:     func() proto.Message { return new(storagepb.SubscriptionState) },
	prefixLetter:       func() proto.Message { return new(storagepb.LetterRecord) },
	prefixFindingLog:   func() proto.Message { return new(storagepb.FindingChangeRecord) },
	prefixView:         func() proto.Message { return new(storagepb.ViewRecord) },
	prefixSource:       func() proto.Message { return new(storagepb.SourceRecord) },
	prefixEnrolment:    func() proto.Message { return new(storagepb.EnrolmentRecord) },
	prefixToken:        func() proto.Message { return new(storagepb.TokenRecord) },
	prefixHead:         func() proto.Message { return new(storagepb.HeadRecord) },
}

// EraseTexts has fn take texts out of a record that a Mention of kind
// MentionTexts names, and tells whether it did; fn tells whether there were any.
func (t *Tx) EraseTexts(m Mention, fn func(proto.Message) bool) (bool, error) {
	k, prefix := kindAt(m.key)
	empty, ok := texts[prefix]
	if !ok {
		return false, fmt.Errorf("a record of %s holds no texts that could be taken out", k.name)
	}
	record := empty()
	if err := t.get(m.key, record); err != nil {
		return false, ignoreNotFound(err)
	}
	if !fn(record) {
		return false, nil
	}
	return true, t.put(m.key, record)
}

// EraseNote has fn change a note, or drop it where fn returns nil.
func (t *Tx) EraseNote(m Mention, fn func(name string, note []byte) []byte) (bool, error) {
	held, err := t.value(m.key)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	now := fn(string(m.key[len(prefixNote):]), slices.Clone(held))
	switch {
	case now == nil:
		return true, t.remove(m.key)
	case slices.Equal(held, now):
		return false, nil
	}
	return true, t.setValue(m.key, now)
}
