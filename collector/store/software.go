package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// ErrNoSuchRow is returned by ChangeSoftware when a row that is to be removed
// is not there: the delta does not fit what is held.
var ErrNoSuchRow = errors.New("the software row to remove is not held")

// A device's software is one base set and the deltas since, so that a small
// change writes little. After maxDeltas they are folded into a new base.
const (
	maxDeltas = 24

	partBase  = 0
	partDelta = 1
)

func softwareKey(ref Ref, part byte, n uint32) []byte {
	key := append(within(prefixSoftwareSet, ref.Source, ref.ID), part)
	if part == partDelta {
		key = binary.BigEndian.AppendUint32(key, n)
	}
	return key
}

// ReplaceSoftware stores rows as all the software of an observation.
func (t *Tx) ReplaceSoftware(ref Ref, rows []Row) error {
	if err := t.putTitles(rows); err != nil {
		return err
	}
	if err := t.DeleteSoftware(ref); err != nil {
		return err
	}
	return t.setValue(softwareKey(ref, partBase, 0), encodeBase(rows))
}

// DeleteSoftware removes all software of an observation.
func (t *Tx) DeleteSoftware(ref Ref) error {
	var keys [][]byte
	err := t.kv.Scan(within(prefixSoftwareSet, ref.Source, ref.ID), nil, func(k, _ []byte) error {
		keys = append(keys, slices.Clone(k))
		return nil
	})
	for _, k := range keys {
		err = errors.Join(err, t.remove(k))
	}
	return err
}

// ChangeSoftware removes and adds rows, and returns how many there are now.
func (t *Tx) ChangeSoftware(ref Ref, removed, added []Row) (int, error) {
	if err := t.putTitles(added); err != nil {
		return 0, err
	}
	set, err := t.softwareSet(ref)
	if err != nil {
		return 0, err
	}
	for _, r := range removed {
		if !set.holds(r.title) {
			return 0, ErrNoSuchRow
		}
	}
	set.deltas = append(set.deltas, delta{removed: removed, added: added})
	if len(set.deltas) <= maxDeltas {
		n := set.count()
		return n, t.setValue(softwareKey(ref, partDelta, uint32(len(set.deltas))), encodeDelta(set.deltas[len(set.deltas)-1]))
	}
	rows, err := set.rows()
	if err != nil {
		return 0, err
	}
	return len(rows), t.ReplaceSoftware(ref, rows)
}

// SoftwareCount returns how many software rows an observation has, and
// ErrNotFound where it never stated any.
func (t *Tx) SoftwareCount(ref Ref) (int, error) {
	set, err := t.softwareSet(ref)
	if err != nil {
		return 0, err
	}
	return set.count(), nil
}

// Software calls fn with each software row of an observation, in no promised
// order, and returns ErrNotFound where it never stated any.
func (t *Tx) Software(ref Ref, fn func(*pb.Software) error) error {
	set, err := t.softwareSet(ref)
	if err != nil {
		return err
	}
	rows, err := set.rows()
	if err != nil {
		return fmt.Errorf("software of %s: %w", ref, err)
	}
	for _, r := range rows {
		body, err := t.value(titleKey(r.title))
		if err != nil {
			return fmt.Errorf("software title %x of %s: %w", r.title, ref, err)
		}
		row := new(pb.Software)
		if err := proto.Unmarshal(body, row); err != nil {
			return fmt.Errorf("software title %x of %s is damaged: %w", r.title, ref, err)
		}
		row.InstalledAt, row.LastUsedAt = timestamp(r.installed), timestamp(r.lastUsed)
		if err := fn(row); err != nil {
			return err
		}
	}
	return nil
}

func timestamp(seconds int64) *timestamppb.Timestamp {
	if seconds == 0 {
		return nil
	}
	return &timestamppb.Timestamp{Seconds: seconds}
}

func (t *Tx) softwareSet(ref Ref) (*softwareSet, error) {
	base, err := t.value(softwareKey(ref, partBase, 0))
	if err != nil {
		return nil, err
	}
	set := &softwareSet{}
	if set.base, err = openBase(base); err != nil {
		return nil, fmt.Errorf("software of %s: %w", ref, err)
	}
	prefix := append(within(prefixSoftwareSet, ref.Source, ref.ID), partDelta)
	err = t.kv.Scan(prefix, nil, func(k, v []byte) error {
		b, err := t.unpack(k, v)
		if err != nil {
			return err
		}
		d, err := decodeDelta(b)
		set.deltas = append(set.deltas, d)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("software of %s: %w", ref, err)
	}
	return set, nil
}
