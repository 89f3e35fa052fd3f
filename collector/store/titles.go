package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/collector/kv"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// maxCachedTitles bounds the memory of titleCache to some 100 MB; a fleet has a
// few hundred thousand titles.
const maxCachedTitles = 2 << 20

// titleCache remembers titles that are known to be stored, so that a report of
// titles that others have costs no look-ups.
type titleCache struct {
	mu    sync.RWMutex
	known map[titleID]struct{}
}

// missing calls fn for each row whose title is not known.
func (c *titleCache) missing(rows []Row, fn func(Row) error) error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, r := range rows {
		if _, ok := c.known[r.title]; ok {
			continue
		}
		if err := fn(r); err != nil {
			return err
		}
	}
	return nil
}

func (c *titleCache) add(ids []titleID) {
	if len(ids) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil || len(c.known)+len(ids) > maxCachedTitles {
		c.known = make(map[titleID]struct{}, len(ids))
	}
	for _, id := range ids {
		c.known[id] = struct{}{}
	}
}

// putTitles stores the titles of rows that are not stored yet.
func (t *Tx) putTitles(rows []Row) error {
	return t.store.titles.missing(rows, func(r Row) error {
		key := titleKey(r.title)
		held, err := t.value(key)
		switch {
		case errors.Is(err, ErrNotFound):
			err = t.setValue(key, r.body)
		case err == nil && !bytes.Equal(held, r.body) && !erasedTitle(held):
			// Keyed 56-bit ids: one chance in 10^5 for a fleet of a million titles,
			// and nobody can bring it about from outside.
			err = fmt.Errorf("two software titles share the id %x: %w", r.title, kv.ErrTooLarge)
		}
		if err == nil {
			t.newTitles = append(t.newTitles, r.title)
		}
		return err
	})
}

// Titles stored in one transaction: below what an engine takes beside a report.
const (
	titleBatch      = 2000
	titleBatchBytes = 1 << 20
)

// PrepareTitles stores the titles of rows that are new in transactions of their
// own, where they are too many for the one that files the rows. Titles that no
// row comes to use do no harm.
func (s *Store) PrepareTitles(ctx context.Context, rows []Row) error {
	var batch, unknown []Row
	bytes := 0
	_ = s.titles.missing(rows, func(r Row) error {
		unknown = append(unknown, r)
		bytes += len(r.body)
		return nil
	})
	if len(unknown) <= titleBatch && bytes <= titleBatchBytes {
		return nil
	}
	for len(unknown) > 0 {
		batch, unknown = cutBatch(unknown)
		if err := s.Update(ctx, func(tx *Tx) error { return tx.putTitles(batch) }); err != nil {
			return fmt.Errorf("store new software titles: %w", err)
		}
	}
	return nil
}

// cutBatch returns the first rows that one transaction takes, and the rest.
func cutBatch(rows []Row) (batch, rest []Row) {
	bytes := 0
	for i, r := range rows {
		if bytes += len(r.body); i > 0 && (i == titleBatch || bytes > titleBatchBytes) {
			return rows[:i], rows[i:]
		}
	}
	return rows, nil
}

func titleKey(id titleID) []byte {
	return binary.BigEndian.AppendUint64([]byte(prefixTitle), uint64(id))
}

// TitleID names a title, what a software row says apart from the device's own
// times, within one store.
type TitleID = titleID

// SoftwareMark names a state of an observation's software, so that only what
// changed since need be read. The zero mark is before any.
type SoftwareMark int

// SoftwareTitles returns the titles of an observation's software rows, one for
// each row, with the mark of that state, and ErrNotFound where it states none.
func (t *Tx) SoftwareTitles(ref Ref) ([]TitleID, SoftwareMark, error) {
	c, err := t.counts(ref)
	if err == nil && c.unstated == 1 {
		err = ErrNotFound
	}
	if err != nil {
		return nil, 0, err
	}
	rows, err := t.rows(ref, c)
	if err != nil {
		return nil, 0, err
	}
	return titlesOf(rows), c.mark(), nil
}

// TitleChange is one change of an observation's software, without times.
type TitleChange struct{ Removed, Added []TitleID }

// SoftwareStep is a change of an observation's software that led to the state
// Mark, from the one whose mark is less by one.
type SoftwareStep struct {
	TitleChange
	Mark SoftwareMark
}

// maxTitleChanges is how many changes are read one by one; reading all titles
// takes about as long as reading this many.
const maxTitleChanges = 8

// TitlesSince returns how the software of an observation came from a state to
// what it is now, in order, with the mark of that. It returns false where the way
// is long or not known, and where no software is stated: SoftwareTitles is to be
// asked then.
func (t *Tx) TitlesSince(ref Ref, since SoftwareMark) ([]TitleChange, SoftwareMark, bool, error) {
	c, err := t.counts(ref)
	if errors.Is(err, ErrNotFound) {
		return nil, 0, false, nil
	}
	if err != nil {
		return nil, 0, false, err
	}
	first := int(since) - 1
	if c.unstated == 1 || first < c.first || first > c.changes || c.changes-first > maxTitleChanges {
		return nil, 0, false, nil
	}
	changes := make([]TitleChange, 0, c.changes-first)
	for n := first; n < c.changes; n++ {
		d, _, err := t.change(ref, n)
		if err != nil {
			return nil, 0, false, err
		}
		changes = append(changes, TitleChange{Removed: titlesOf(d.removed), Added: titlesOf(d.added)})
	}
	return changes, c.mark(), true, nil
}

// mark names the state after all changes.
func (c counts) mark() SoftwareMark { return SoftwareMark(c.changes + 1) }

func titlesOf(rows []entry) []TitleID {
	ids := make([]TitleID, len(rows))
	for i, r := range rows {
		ids[i] = r.title
	}
	return ids
}

// Title returns a title as a software row without times.
func (t *Tx) Title(id TitleID) (*pb.Software, error) {
	body, err := t.value(titleKey(id))
	if err != nil {
		return nil, fmt.Errorf("software title %x: %w", id, err)
	}
	row := new(pb.Software)
	if err := proto.Unmarshal(body, row); err != nil {
		return nil, fmt.Errorf("software title %x is damaged: %w", id, err)
	}
	return row, nil
}
