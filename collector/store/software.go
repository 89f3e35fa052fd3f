package store

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// A device's software is one base set and, in a second record, how many rows
// there are now and the deltas since, so that a small change reads and writes
// little. Once the deltas outgrow a share of the base they are folded into a
// new one.
const (
	partBase    = 0
	partChanges = 1

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
	return t.putBase(ref, entries(rows))
}

func (t *Tx) putBase(ref Ref, set []entry) error {
	if err := t.setValue(softwareKey(ref, partChanges), changes{base: len(set), now: len(set)}.encode()); err != nil {
		return err
	}
	return t.setValue(softwareKey(ref, partBase), encodeBase(set))
}

// DeleteSoftware removes all software of an observation.
func (t *Tx) DeleteSoftware(ref Ref) error {
	return errors.Join(t.remove(softwareKey(ref, partBase)), t.remove(softwareKey(ref, partChanges)))
}

// ChangeSoftware removes and adds rows, and returns how many there are now. A
// row to remove that is not held is passed over when the deltas are folded:
// whoever sends deltas proves by digest what they apply to.
func (t *Tx) ChangeSoftware(ref Ref, removed, added []Row) (int, error) {
	if err := t.putTitles(added); err != nil {
		return 0, err
	}
	c, err := t.changes(ref)
	if err != nil {
		return 0, err
	}
	c.deltas = append(c.deltas, delta{removed: entries(removed), added: entries(added)})
	c.now = max(0, c.now+len(added)-len(removed))
	if b := c.encode(); len(b) <= max(foldMin, 8*c.base/foldShare) {
		return c.now, t.setValue(softwareKey(ref, partChanges), b)
	}
	rows, err := t.rows(ref, c)
	if err != nil {
		return 0, err
	}
	return len(rows), t.putBase(ref, rows)
}

// SoftwareCount returns how many software rows an observation has, and
// ErrNotFound where it never stated any.
func (t *Tx) SoftwareCount(ref Ref) (int, error) {
	c, err := t.changes(ref)
	return c.now, err
}

// Software calls fn with each software row of an observation, in no promised
// order, and returns ErrNotFound where it never stated any.
func (t *Tx) Software(ref Ref, fn func(*pb.Software) error) error {
	c, err := t.changes(ref)
	if err != nil {
		return err
	}
	rows, err := t.rows(ref, c)
	if err != nil {
		return err
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

func (t *Tx) changes(ref Ref) (changes, error) {
	b, err := t.value(softwareKey(ref, partChanges))
	if err != nil {
		return changes{}, err
	}
	c, err := decodeChanges(b)
	if err != nil {
		return changes{}, fmt.Errorf("software of %s: %w", ref, err)
	}
	return c, nil
}

// rows returns the base of an observation's software with its changes applied,
// sorted.
func (t *Tx) rows(ref Ref, c changes) ([]entry, error) {
	b, err := t.value(softwareKey(ref, partBase))
	if err != nil {
		return nil, fmt.Errorf("software of %s: %w", ref, err)
	}
	rows, err := decodeBase(b)
	if err != nil {
		return nil, fmt.Errorf("software of %s: %w", ref, err)
	}
	if len(c.deltas) > 0 {
		rows = apply(rows, net(c.deltas))
	}
	return rows, nil
}
