package store

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/kv"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// steps lead from each schema version to the next. One that was released is
// never changed: its stores are out there.
var steps = []step{
	// 1 had an observation in one record, with 64-bit ids of titles and changes of
	// software within the record of their counts.
	{from: 1, passes: []pass{
		{prefixTitle, title1},
		{prefixObservation, observation1},
		{prefixMember, member1},
		{prefixSoftwareSet, software1},
		// Members by asset, under the prefix that statements have now.
		{prefixSpoken, drop},
	}},
	// 2 had connected feeds, and for a while decisions, under the prefix of
	// people's identifiers, which a rebuild drops.
	{from: 2, check: titles2, passes: []pass{{prefixPersonKey, misplaced2}}},
}

// prefixBaseline1 had a BaselineRecord for each source id of the source agent.
// People have it now; the rebuild that follows a migration drops what is left.
const prefixBaseline1 = "b/"

func drop(tx *Tx, key, _ []byte) error { return tx.remove(key) }

// title1 gives a title the first seven of its eight bytes as its id. They stand
// behind a zero, so that the new key sorts before the old one.
func title1(tx *Tx, key, stored []byte) error {
	if len(key) != len(prefixTitle)+8 {
		return errors.New("its key has a wrong length: the database is damaged; restore a backup")
	}
	id := append([]byte(prefixTitle+"\x00"), key[len(prefixTitle):len(key)-1]...)
	held, err := tx.kv.Get(id)
	switch {
	case errors.Is(err, kv.ErrNotFound):
		err = tx.kv.Set(id, stored)
	case err == nil && !bytes.Equal(held, stored):
		err = errors.New("two software titles would share an id: let agents report to an empty data folder")
	}
	if err != nil || bytes.Equal(id, key) {
		return err
	}
	return tx.kv.Delete(key)
}

// observation1 splits an observation into what it says and its head, which
// takes in the agent's baseline and when the member was first seen.
func observation1(tx *Tx, key, stored []byte) error {
	ref, err := refAt(key, prefixObservation, 0)
	if err != nil {
		return err
	}
	b, err := tx.unpack(key, stored)
	if err != nil {
		return err
	}
	o := new(pb.Observation)
	if err := proto.Unmarshal(b, o); err != nil {
		return fmt.Errorf("is damaged, restore a backup: %w", err)
	}
	head := &storagepb.HeadRecord{ObservedAt: o.GetObservedAt(), Problems: o.GetProblems(), Sections: o.GetSections(),
		FirstObserved: o.GetObservedAt(), LastObserved: o.GetObservedAt()}
	if seen, err := firstSeen1(tx, ref); err != nil {
		return err
	} else if seen != nil && seen.AsTime().Before(head.GetFirstObserved().AsTime()) {
		head.FirstObserved = seen
	}
	if ref.Source == "agent" {
		baseline := new(storagepb.BaselineRecord)
		if err := tx.get(join(prefixBaseline1, ref.ID), baseline); err == nil {
			head.Baseline = baseline
		} else if !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return errors.Join(tx.PutHead(ref, head), tx.PutContent(o))
}

// Fields of MemberRecord in version 1: first_seen was 2, shared 3.
const memberFirstSeen1 = protowire.Number(2)

func firstSeen1(tx *Tx, ref Ref) (*timestamppb.Timestamp, error) {
	b, err := tx.value(join(prefixMember, ref.Source, ref.ID))
	if err != nil {
		return nil, ignoreNotFound(err)
	}
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return nil, protowire.ParseError(n)
		}
		m := protowire.ConsumeFieldValue(num, typ, b[n:])
		if m < 0 {
			return nil, protowire.ParseError(m)
		}
		if num == memberFirstSeen1 && typ == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(b[n:])
			at := new(timestamppb.Timestamp)
			return at, proto.Unmarshal(value, at)
		}
		b = b[n+m:]
	}
	return nil, nil
}

// member1 keeps which asset an observation is of. What shared means has become
// more; to say yes costs its next report a look, and no is what must be right.
func member1(tx *Tx, key, stored []byte) error {
	b, err := tx.unpack(key, stored)
	if err != nil {
		return err
	}
	m := new(storagepb.MemberRecord)
	if err := proto.Unmarshal(b, m); err != nil {
		return fmt.Errorf("is damaged, restore a backup: %w", err)
	}
	return tx.put(key, &storagepb.MemberRecord{AssetId: m.GetAssetId(), Shared: true})
}

// Parts of a software set in version 1.
const (
	partBase1    = 0
	partChanges1 = 1
)

// software1 writes a base that has all changes in it; the base of an
// observation comes first and takes its changes along.
func software1(tx *Tx, key, stored []byte) error {
	end := len(key) - 1
	if key[end] != partBase1 {
		return nil
	}
	ref, err := refAt(key[:end-1], prefixSoftwareSet, 0)
	if err != nil {
		return err
	}
	b, err := tx.unpack(key, stored)
	if err != nil {
		return err
	}
	rows, err := decodeBase1(b)
	if err != nil {
		return err
	}
	if b, err = tx.value(append(bytes.Clone(key[:end]), partChanges1)); err != nil {
		return fmt.Errorf("its counts: %w", err)
	}
	deltas, err := decodeChanges1(b)
	if err != nil {
		return err
	}
	for _, d := range deltas {
		rows = apply(rows, d)
	}
	return tx.putBase(ref, counts{}, rows)
}

func (r *reader) title1() titleID {
	if len(r.b) < 8 {
		r.bad, r.b = true, nil
		return 0
	}
	first := r.title()
	r.b = r.b[8-titleSize:]
	return first
}

func decodeBase1(b []byte) ([]entry, error) {
	r := reader{b: b}
	n := r.uvarint()
	if n > uint64(len(r.b)/8) {
		return nil, errDamagedSet
	}
	rows := make([]entry, n)
	for i := range rows {
		rows[i].title = r.title1()
	}
	if n = r.uvarint(); n > uint64(len(r.b)) {
		return nil, errDamagedSet
	}
	times := make([]int64, n)
	var last int64
	for i := range times {
		last += int64(r.uvarint())
		times[i] = last
	}
	for i := range rows {
		rows[i].installed = r.pick(times)
	}
	for i := range rows {
		rows[i].lastUsed = r.pick(times)
	}
	slices.SortFunc(rows, compareEntries)
	return rows, r.err()
}

func decodeChanges1(b []byte) ([]delta, error) {
	r := reader{b: b}
	r.uvarint() // rows of the base, and now
	r.uvarint()
	var deltas []delta
	for len(r.b) > 0 {
		var d delta
		for _, rows := range []*[]entry{&d.removed, &d.added} {
			n := r.uvarint()
			if n > uint64(len(r.b)/10) {
				return nil, errDamagedSet
			}
			*rows = make([]entry, n)
			for i := range *rows {
				(*rows)[i] = entry{title: r.title1(), installed: int64(r.uvarint()), lastUsed: int64(r.uvarint())}
			}
			slices.SortFunc(*rows, compareEntries)
		}
		deltas = append(deltas, d)
	}
	return deltas, r.err()
}

// titles2 refuses stores of the first hour of version 2, whose software was
// packed in a way that nothing tells from the present one.
func titles2(tx kv.Tx) error {
	return tx.Scan([]byte(prefixTitle), []byte(prefixTitle+"\x01"), func(_, _ []byte) error {
		return errors.New("it was written by a preview of the first hour of schema version 2, whose software lists cannot be read: start on an empty data folder, and the agents report again")
	})
}

// misplaced2 moves what is no identifier of a person: those have five parts.
func misplaced2(tx *Tx, key, stored []byte) error {
	name := key[len(prefixPersonKey):]
	var prefix string
	switch bytes.Count(name, []byte{0}) {
	case 0:
		prefix = prefixFeed
	case 1:
		prefix = prefixDecision
	default:
		return nil
	}
	value, err := tx.unpack(key, stored)
	if err != nil {
		return err
	}
	to := append([]byte(prefix), name...)
	// One that was written since, by a preview that knew the new place, holds.
	if _, err := tx.kv.Get(to); errors.Is(err, kv.ErrNotFound) {
		err = tx.setValue(to, bytes.Clone(value))
		if err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	return tx.remove(key)
}
