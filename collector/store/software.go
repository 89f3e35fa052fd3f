package store

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// ErrNoSuchRow is returned by ChangeSoftware when a row that is to be removed
// is not there: the delta does not fit what is held.
var ErrNoSuchRow = errors.New("the software row to remove is not held")

// A device's software is one base set and, in a second record, the deltas
// since, so that a small change writes little. Once the deltas outgrow a share
// of the base they are folded into a new one.
const (
	partBase   = 0
	partDeltas = 1

	foldShare = 2
	foldMin   = 1 << 10
)

func softwareKey(ref Ref, part byte) []byte {
	return append(within(prefixSoftwareSet, ref.Source, ref.ID), part)
}

// ReplaceSoftware stores rows as all the software of an observation.
func (t *Tx) ReplaceSoftware(ref Ref, rows []Row) error {
	if err := t.putTitles(rows); err != nil {
		return err
	}
	if err := t.remove(softwareKey(ref, partDeltas)); err != nil {
		return err
	}
	return t.setValue(softwareKey(ref, partBase), encodeBase(rows))
}

// DeleteSoftware removes all software of an observation.
func (t *Tx) DeleteSoftware(ref Ref) error {
	return errors.Join(t.remove(softwareKey(ref, partBase)), t.remove(softwareKey(ref, partDeltas)))
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
	if b := encodeDeltas(set.deltas); len(b) <= max(foldMin, len(set.base.ids)/foldShare) {
		return set.count(), t.setValue(softwareKey(ref, partDeltas), b)
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
	b, err := t.value(softwareKey(ref, partBase))
	if err != nil {
		return nil, err
	}
	set := new(softwareSet)
	if set.base, err = openBase(b); err != nil {
		return nil, fmt.Errorf("software of %s: %w", ref, err)
	}
	b, err = t.value(softwareKey(ref, partDeltas))
	if err == nil {
		set.deltas, err = decodeDeltas(b)
	}
	if err := ignoreNotFound(err); err != nil {
		return nil, fmt.Errorf("software of %s: %w", ref, err)
	}
	return set, nil
}
