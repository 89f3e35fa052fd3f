package view

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/rollcall-itam/rollcall/collector/expr"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// unread is how the software of a row changed: by steps that were told of, in
// any order, or in a way that the store is to be asked for.
type unread struct {
	steps []store.SoftwareStep
	ask   bool
}

// maxSteps is how many steps of a row are kept; to ask the store is as well then.
const maxSteps = 16

// staleSoftware notes that the software of a row is to be read again.
func (v *View) staleSoftware(row uint32) { v.stepSoftware(row, nil) }

// stepSoftware notes a change of the software of a row.
func (v *View) stepSoftware(row uint32, step *store.SoftwareStep) {
	u := v.stale[row]
	if u.ask = u.ask || step == nil || len(u.steps) == maxSteps; u.ask {
		u.steps = nil
	} else {
		u.steps = append(u.steps, *step)
	}
	v.stale[row] = u
	select {
	case v.changed <- struct{}{}:
	default: // Run will look anyway
	}
}

// setTitles sets the software of a row.
func (v *View) setTitles(row uint32, packed string) {
	before := v.software.get(row)
	if before == packed {
		return
	}
	v.change()
	v.software.set(row, packed, v.epoch)
	compareTitles(before, packed,
		func(gone uint32) { v.posting(gone).Remove(row) },
		func(come uint32) { v.posting(come).Add(row) })
}

// posting returns the rows of a title, to be changed.
func (v *View) posting(title uint32) *roaring.Bitmap {
	p := v.postings.get(title)
	switch {
	case p == nil:
		p = &posting{epoch: v.epoch, rows: roaring.New()}
	case p.epoch != v.epoch:
		p = &posting{epoch: v.epoch, rows: p.rows.Clone()}
	default:
		return p.rows
	}
	v.postings.set(title, p, v.epoch)
	return p.rows
}

// Sizes of what is read of software at once.
const (
	refreshBatch = 256
	// refreshNow is how many rows a question waits for; more come by themselves.
	refreshNow = 64
)

// retryAfter is when software that could not be read is tried again.
const retryAfter = time.Second

// Run reads the software of assets where it changed, until ctx ends.
func (v *View) Run(ctx context.Context, log *slog.Logger) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-v.changed:
		}
		if err := v.refresh(ctx); err != nil && ctx.Err() == nil {
			log.Warn("read the software of assets into memory", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(retryAfter):
			}
		}
	}
}

// refresh reads all software that is stale.
func (v *View) refresh(ctx context.Context) error {
	for {
		more, err := v.refreshSome(ctx, refreshBatch)
		if err != nil || !more {
			return err
		}
	}
}

// refreshSome reads the software of some stale rows, and tells whether there
// are more.
func (v *View) refreshSome(ctx context.Context, limit int) (more bool, err error) {
	if v.store == nil {
		return false, nil
	}
	v.refreshing.Lock() // so that nothing older is written over what is newer
	defer v.refreshing.Unlock()
	rows := v.takeStale(limit)
	if len(rows) == 0 {
		return false, nil
	}
	err = v.store.View(ctx, func(tx *store.Tx) error {
		for i := range rows {
			if err := v.readTitles(tx, &rows[i]); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, r := range rows {
		id := v.ids.get(r.row)
		switch at := v.assets[id]; {
		case !at.here || at.row != r.row:
		case err != nil, at.held != r.before:
			v.staleSoftware(r.row)
		default:
			at.held = r.after
			v.assets[id] = at
			v.setTitles(r.row, r.packed)
		}
	}
	if err != nil {
		return false, fmt.Errorf("read software into memory: %w", err)
	}
	return len(v.stale) > 0, nil
}

// held says which software the titles of a row are: whose, and in which state.
type held struct {
	ref  store.Ref
	mark store.SoftwareMark
}

// staleRow is a row whose software is read again.
type staleRow struct {
	row           uint32
	before, after held
	packed        string
	unread        unread
}

func (v *View) takeStale(limit int) []staleRow {
	v.mu.Lock()
	defer v.mu.Unlock()
	out := make([]staleRow, 0, min(limit, len(v.stale)))
	for row, u := range v.stale {
		if len(out) == limit {
			break
		}
		delete(v.stale, row)
		out = append(out, staleRow{row: row, before: v.assets[v.ids.get(row)].held, packed: v.software.get(row), unread: u})
	}
	return out
}

// readTitles reads what became of the software of a row.
func (v *View) readTitles(tx *store.Tx, r *staleRow) error {
	if changes, mark, ok := r.unread.since(r.before.mark); ok {
		packed, all, err := v.changeTitles(tx, r.packed, changes)
		if err != nil || all {
			r.packed, r.after = packed, held{r.before.ref, mark}
			return err
		}
	}
	if r.before.mark != 0 {
		changes, mark, known, err := tx.TitlesSince(r.before.ref, r.before.mark)
		if err != nil {
			return err
		}
		if known {
			packed, all, err := v.changeTitles(tx, r.packed, changes)
			if err != nil || all {
				r.packed, r.after = packed, held{r.before.ref, mark}
				return err
			}
		}
	}
	ids, mark, err := tx.SoftwareTitles(r.before.ref)
	r.packed, r.after = "", held{r.before.ref, mark}
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	numbers, err := v.titles.numbered(tx, ids)
	r.packed = packTitles(numbers)
	return err
}

// since returns the steps from a state on, in order, and where they lead; false
// where they are not known without a gap.
func (u unread) since(mark store.SoftwareMark) ([]store.TitleChange, store.SoftwareMark, bool) {
	if u.ask || mark == 0 {
		return nil, 0, false
	}
	slices.SortFunc(u.steps, func(a, b store.SoftwareStep) int { return cmp.Compare(a.Mark, b.Mark) })
	var changes []store.TitleChange
	for _, s := range u.steps {
		if s.Mark <= mark {
			continue // read with those before
		}
		if s.Mark != mark+1 {
			return nil, 0, false
		}
		mark, changes = s.Mark, append(changes, s.TitleChange)
	}
	return changes, mark, true
}

// changeTitles returns packed titles after changes, and false where they do not
// have all that was removed.
func (v *View) changeTitles(tx *store.Tx, packed string, changes []store.TitleChange) (string, bool, error) {
	numbers := unpackTitles(packed)
	for _, c := range changes {
		removed, err := v.titles.numbered(tx, c.Removed)
		if err != nil {
			return "", false, err
		}
		added, err := v.titles.numbered(tx, c.Added)
		if err != nil {
			return "", false, err
		}
		slices.Sort(removed)
		numbers = slices.DeleteFunc(numbers, func(n uint32) bool {
			found := len(removed) > 0 && removed[0] == n
			if found {
				removed = removed[1:]
			}
			return found
		})
		if len(removed) > 0 {
			return "", false, nil
		}
		numbers = append(numbers, added...)
		slices.Sort(numbers)
	}
	return packTitles(numbers), true, nil
}

// softwareOf returns whose software rows count for an asset; none for one that
// is no more or has none.
func (v *View) softwareOf(id string) store.Ref {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.assets[id].held.ref
}

// readSoftware returns the software rows of an observation with their times,
// nil where it states none.
func (v *View) readSoftware(ctx context.Context, ref store.Ref) (expr.Software, error) {
	rows := expr.Rows{}
	err := v.store.View(ctx, func(tx *store.Tx) error {
		return tx.Software(ref, func(row *pb.Software) error {
			rows = append(rows, row)
			return nil
		})
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the software of %s: %w", ref, err)
	}
	return rows, nil
}
