package view

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/rollcall-itam/rollcall/collector/expr"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// staleSoftware notes that the software of a row is to be read again.
func (v *View) staleSoftware(row uint32) {
	v.stale[row] = struct{}{}
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
	gone := make(map[uint32]bool)
	eachTitle(before, func(t uint32) { gone[t] = true })
	eachTitle(packed, func(t uint32) {
		if gone[t] {
			delete(gone, t)
			return
		}
		v.posting(t).Add(row)
	})
	for t := range gone {
		v.posting(t).Remove(row)
	}
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
	refs := v.takeStale(limit)
	if len(refs) == 0 {
		return false, nil
	}
	packed := make(map[uint32]string, len(refs))
	err = v.store.View(ctx, func(tx *store.Tx) error {
		for row, ref := range refs {
			var err error
			if packed[row], err = v.readTitles(tx, ref); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	v.mu.Lock()
	defer v.mu.Unlock()
	for row, ref := range refs {
		switch at := v.assets[v.ids.get(row)]; {
		case !at.here || at.row != row || at.software != ref:
		case err != nil:
			v.staleSoftware(row)
		default:
			v.setTitles(row, packed[row])
		}
	}
	if err != nil {
		return false, fmt.Errorf("read software into memory: %w", err)
	}
	return len(v.stale) > 0, nil
}

func (v *View) takeStale(limit int) map[uint32]store.Ref {
	v.mu.Lock()
	defer v.mu.Unlock()
	out := make(map[uint32]store.Ref, min(limit, len(v.stale)))
	for row := range v.stale {
		if len(out) == limit {
			break
		}
		delete(v.stale, row)
		out[row] = v.assets[v.ids.get(row)].software
	}
	return out
}

// readTitles returns the packed titles of an observation's software.
func (v *View) readTitles(tx *store.Tx, ref store.Ref) (string, error) {
	ids, err := tx.SoftwareTitles(ref)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	numbers := make([]uint32, len(ids))
	for i, id := range ids {
		if numbers[i], err = v.titles.number(tx, id); err != nil {
			return "", err
		}
	}
	return packTitles(numbers), nil
}

// softwareOf returns whose software rows count for an asset; none for one that
// is no more or has none.
func (v *View) softwareOf(id string) store.Ref {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.assets[id].software
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
