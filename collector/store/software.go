package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// A device's software is a base set and every change that led to what there is
// now, each in a record of its own: a small change reads and writes little, and
// the changes are the history. A third record counts them. Once the changes that
// the base has not in it outgrow it, a new base is written.
const (
	partBase   = 0
	partCounts = 1
	partChange = 2

	// Changes of this many bytes for each row of the base, and at least foldMin,
	// make a new base.
	foldShare = 8
	foldMin   = 1 << 10
)

func softwareKey(ref Ref, part byte) []byte {
	return append(within(prefixSoftwareSet, ref.Source, ref.ID), part)
}

func changeKey(ref Ref, n int) []byte {
	return binary.BigEndian.AppendUint32(softwareKey(ref, partChange), uint32(n))
}

// ReplaceSoftware stores rows as all the software of an observation from a time
// on, and tells whether they are others than before, and by which step where
// there were some.
func (t *Tx) ReplaceSoftware(ref Ref, rows []Row, at time.Time) (changed bool, step *SoftwareStep, err error) {
	if err := t.putTitles(rows); err != nil {
		return false, nil, err
	}
	set := entries(rows)
	c, err := t.counts(ref)
	if errors.Is(err, ErrNotFound) {
		return true, nil, t.putBase(ref, counts{}, set)
	}
	if err != nil {
		return false, nil, err
	}
	held, err := t.rows(ref, c)
	if err != nil {
		return false, nil, err
	}
	d := between(held, set)
	if len(d.removed)+len(d.added) == 0 {
		if c.unstated == 1 {
			return true, nil, t.putBase(ref, c, set)
		}
		return false, nil, nil
	}
	if err := t.putChange(ref, &c, d, at); err != nil {
		return false, nil, err
	}
	step = d.step(c)
	return true, step, t.putBase(ref, c, set)
}

// step is the change to the state that c counts.
func (d delta) step(c counts) *SoftwareStep {
	return &SoftwareStep{TitleChange{Removed: titlesOf(d.removed), Added: titlesOf(d.added)}, c.mark()}
}

// DropSoftware notes that an observation states no software from a time on, and
// tells whether it did before.
func (t *Tx) DropSoftware(ref Ref, at time.Time) (changed bool, err error) {
	c, err := t.counts(ref)
	if errors.Is(err, ErrNotFound) || err == nil && c.unstated == 1 {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	held, err := t.rows(ref, c)
	if err != nil {
		return false, err
	}
	if err := t.putChange(ref, &c, delta{removed: held}, at); err != nil {
		return false, err
	}
	c.base, c.now, c.folded, c.bytes, c.unstated = 0, 0, c.changes, 0, 1
	return true, t.putSet(ref, c, nil)
}

// putChange stores a change as the next.
func (t *Tx) putChange(ref Ref, c *counts, d delta, at time.Time) error {
	b := d.encode(at.Unix())
	key := changeKey(ref, c.changes)
	t.noteSingle(key) // no two changes have one number
	c.changes++
	c.bytes += len(b)
	return t.setValue(key, b)
}

// putBase stores a base that has all changes in it.
func (t *Tx) putBase(ref Ref, c counts, set []entry) error {
	c.base, c.now, c.folded, c.bytes, c.unstated = len(set), len(set), c.changes, 0, 0
	return t.putSet(ref, c, set)
}

func (t *Tx) putSet(ref Ref, c counts, set []entry) error {
	if err := t.setValue(softwareKey(ref, partCounts), c.encode()); err != nil {
		return err
	}
	return t.setValue(softwareKey(ref, partBase), encodeBase(set))
}

// DeleteSoftware removes all software of an observation, and its history.
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

// ChangedSoftware is what a change of an observation's software came to.
type ChangedSoftware struct {
	// Before and Now are how many rows there were and are.
	Before, Now int
	Step        *SoftwareStep
}

// ChangeSoftware removes and adds rows at a time. A row to remove that is not
// held is passed over when the changes are folded: whoever sends changes proves
// by digest what they apply to.
func (t *Tx) ChangeSoftware(ref Ref, removed, added []Row, at time.Time) (out ChangedSoftware, err error) {
	if err := t.putTitles(added); err != nil {
		return out, err
	}
	c, err := t.counts(ref)
	if err != nil {
		return out, err
	}
	d := delta{removed: entries(removed), added: entries(added)}
	out.Before = c.now
	c.now = max(0, c.now+len(added)-len(removed))
	if err := t.putChange(ref, &c, d, at); err != nil {
		return out, err
	}
	out.Now, out.Step = c.now, d.step(c)
	if c.bytes <= max(foldMin, foldShare*c.base) {
		return out, t.setValue(softwareKey(ref, partCounts), c.encode())
	}
	rows, err := t.rows(ref, c)
	if err != nil {
		return out, err
	}
	out.Now = len(rows)
	return out, t.putBase(ref, c, rows)
}

// SoftwareCount returns how many software rows an observation has, and
// ErrNotFound where it states none.
func (t *Tx) SoftwareCount(ref Ref) (int, error) {
	c, err := t.counts(ref)
	if err == nil && c.unstated == 1 {
		err = ErrNotFound
	}
	return c.now, err
}

// Software calls fn with each software row of an observation, in no promised
// order, and returns ErrNotFound where it states none.
func (t *Tx) Software(ref Ref, fn func(*pb.Software) error) error {
	c, err := t.counts(ref)
	if err == nil && c.unstated == 1 {
		err = ErrNotFound
	}
	if err != nil {
		return err
	}
	rows, err := t.rows(ref, c)
	if err != nil {
		return err
	}
	return t.expand(ref, rows, fn)
}

// SoftwareRow is one row of an observation's software: which title, and the
// device's own times, zero where they are not known.
type SoftwareRow struct {
	Title           TitleID
	Installed, Used time.Time
}

// ScanSoftware is Software for who knows most of the titles already.
func (t *Tx) ScanSoftware(ref Ref, fn func(SoftwareRow) error) error {
	c, err := t.counts(ref)
	if err == nil && c.unstated == 1 {
		err = ErrNotFound
	}
	if err != nil {
		return err
	}
	rows, err := t.rows(ref, c)
	if err != nil {
		return err
	}
	at := func(seconds int64) time.Time {
		if seconds == 0 {
			return time.Time{}
		}
		return time.Unix(seconds, 0)
	}
	for _, r := range rows {
		if err := fn(SoftwareRow{Title: r.title, Installed: at(r.installed), Used: at(r.lastUsed)}); err != nil {
			return err
		}
	}
	return nil
}

// SoftwareAt does what Software does for the rows that there were at a time, as
// far back as changes are kept.
func (t *Tx) SoftwareAt(ref Ref, at time.Time, fn func(*pb.Software) error) error {
	c, err := t.counts(ref)
	if err != nil {
		return err
	}
	rows, err := t.rows(ref, c)
	if err != nil {
		return err
	}
	for n := c.changes - 1; n >= c.first; n-- {
		d, when, err := t.change(ref, n)
		if err != nil {
			return err
		}
		if !time.Unix(when, 0).After(at) {
			break
		}
		rows = apply(rows, delta{removed: d.added, added: d.removed})
	}
	return t.expand(ref, rows, fn)
}

// SoftwareTimes returns the number of the first change of an observation's
// software that is kept, and when each from that on was stated; none where it
// never stated any.
func (t *Tx) SoftwareTimes(ref Ref) (first int, at []time.Time, err error) {
	c, err := t.counts(ref)
	if err != nil {
		return 0, nil, ignoreNotFound(err)
	}
	for n := c.first; n < c.changes; n++ {
		_, when, err := t.change(ref, n)
		if err != nil {
			return 0, nil, err
		}
		at = append(at, time.Unix(when, 0))
	}
	return c.first, at, nil
}

// SoftwareChange returns the rows that one change of an observation's software
// removed and added.
func (t *Tx) SoftwareChange(ref Ref, n int) (removed, added []*pb.Software, err error) {
	d, _, err := t.change(ref, n)
	if err != nil {
		return nil, nil, err
	}
	gather := func(to *[]*pb.Software) func(*pb.Software) error {
		return func(s *pb.Software) error {
			*to = append(*to, s)
			return nil
		}
	}
	if err := t.expand(ref, d.removed, gather(&removed)); err != nil {
		return nil, nil, err
	}
	err = t.expand(ref, d.added, gather(&added))
	return removed, added, err
}

// expand calls fn with the rows that entries stand for.
func (t *Tx) expand(ref Ref, rows []entry, fn func(*pb.Software) error) error {
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

func (t *Tx) change(ref Ref, n int) (delta, int64, error) {
	b, err := t.value(changeKey(ref, n))
	if err != nil {
		return delta{}, 0, fmt.Errorf("change %d of the software of %s: %w", n, ref, err)
	}
	d, at, err := decodeDelta(b)
	if err != nil {
		return delta{}, 0, fmt.Errorf("change %d of the software of %s: %w", n, ref, err)
	}
	return d, at, nil
}

// rows returns the base of an observation's software with the changes since
// applied, sorted.
func (t *Tx) rows(ref Ref, c counts) ([]entry, error) {
	b, err := t.value(softwareKey(ref, partBase))
	if err != nil {
		return nil, fmt.Errorf("software of %s: %w", ref, err)
	}
	rows, err := decodeBase(b)
	if err != nil {
		return nil, fmt.Errorf("software of %s: %w", ref, err)
	}
	var deltas []delta
	for n := c.folded; n < c.changes; n++ {
		d, _, err := t.change(ref, n)
		if err != nil {
			return nil, err
		}
		deltas = append(deltas, d)
	}
	if len(deltas) > 0 {
		rows = apply(rows, net(deltas))
	}
	return rows, nil
}
