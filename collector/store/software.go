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

// A device's software is one base set and the changes since, each in a record
// of its own, so that a small change reads and writes little; a third record
// counts them. Once the changes outgrow a share of the base they are folded into
// a new one, and their records are written over by those that follow.
const (
	partBase   = 0
	partCounts = 1
	partChange = 2

	// Changes of this many bytes for each 8 of a row of the base, and at least
	// foldMin, are folded.
	foldShare = 8
	foldMin   = 1 << 10
)

func softwareKey(ref Ref, part byte) []byte {
	return append(within(prefixSoftwareSet, ref.Source, ref.ID), part)
}

func changeKey(ref Ref, n int) []byte {
	return binary.BigEndian.AppendUint32(softwareKey(ref, partChange), uint32(n))
}

// ReplaceSoftware stores rows as all the software of an observation.
func (t *Tx) ReplaceSoftware(ref Ref, rows []Row) error {
	if err := t.putTitles(rows); err != nil {
		return err
	}
	return t.putBase(ref, entries(rows))
}

func (t *Tx) putBase(ref Ref, set []entry) error {
	if err := t.setValue(softwareKey(ref, partCounts), counts{base: len(set), now: len(set)}.encode()); err != nil {
		return err
	}
	return t.setValue(softwareKey(ref, partBase), encodeBase(set))
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

// ChangeSoftware removes and adds rows, and returns how many there were before
// and are now. A row to remove that is not held is passed over when the changes
// are folded: whoever sends changes proves by digest what they apply to.
func (t *Tx) ChangeSoftware(ref Ref, removed, added []Row) (before, now int, err error) {
	if err := t.putTitles(added); err != nil {
		return 0, 0, err
	}
	c, err := t.counts(ref)
	if err != nil {
		return 0, 0, err
	}
	before = c.now
	d := delta{removed: entries(removed), added: entries(added)}
	b := d.encode()
	if c.bytes+len(b) > max(foldMin, foldShare*c.base) || len(b) >= partSize {
		rows, err := t.rows(ref, c, d)
		if err != nil {
			return 0, 0, err
		}
		return before, len(rows), t.putBase(ref, rows)
	}
	key := changeKey(ref, c.changes)
	t.noteSingle(key) // none was ever that long
	if err := t.setValue(key, b); err != nil {
		return 0, 0, err
	}
	c.now = max(0, c.now+len(added)-len(removed))
	c.changes++
	c.bytes += len(b)
	return before, c.now, t.setValue(softwareKey(ref, partCounts), c.encode())
}

// SoftwareCount returns how many software rows an observation has, and
// ErrNotFound where it never stated any.
func (t *Tx) SoftwareCount(ref Ref) (int, error) {
	c, err := t.counts(ref)
	return c.now, err
}

// Software calls fn with each software row of an observation, in no promised
// order, and returns ErrNotFound where it never stated any.
func (t *Tx) Software(ref Ref, fn func(*pb.Software) error) error {
	c, err := t.counts(ref)
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

func (t *Tx) counts(ref Ref) (counts, error) {
	b, err := t.value(softwareKey(ref, partCounts))
	if err != nil {
		return counts{}, err
	}
	c, err := decodeCounts(b)
	if err != nil {
		return counts{}, fmt.Errorf("software of %s: %w", ref, err)
	}
	return c, nil
}

// rows returns the base of an observation's software with its changes, and
// further ones, applied, sorted.
func (t *Tx) rows(ref Ref, c counts, further ...delta) ([]entry, error) {
	b, err := t.value(softwareKey(ref, partBase))
	if err != nil {
		return nil, fmt.Errorf("software of %s: %w", ref, err)
	}
	rows, err := decodeBase(b)
	if err != nil {
		return nil, fmt.Errorf("software of %s: %w", ref, err)
	}
	deltas := make([]delta, 0, c.changes+len(further))
	for n := range c.changes {
		b, err := t.value(changeKey(ref, n))
		if err != nil {
			return nil, fmt.Errorf("change %d of the software of %s: %w", n, ref, err)
		}
		d, err := decodeDelta(b)
		if err != nil {
			return nil, fmt.Errorf("change %d of the software of %s: %w", n, ref, err)
		}
		deltas = append(deltas, d)
	}
	if deltas = append(deltas, further...); len(deltas) > 0 {
		rows = apply(rows, net(deltas))
	}
	return rows, nil
}
