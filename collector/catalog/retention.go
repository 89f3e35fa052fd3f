package catalog

import (
	"context"
	"fmt"
	"time"

	"github.com/rollcall-itam/rollcall/collector/store"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

const (
	// DefaultRetention is how long history is kept.
	DefaultRetention = 400 * 24 * time.Hour
	// logRetention is how long the change log is kept: those who follow it come
	// back sooner, or read everything anew.
	logRetention  = 30 * 24 * time.Hour
	pruneInterval = 24 * time.Hour
	// pruneBatch bounds one transaction of a pruning.
	pruneBatch = 1000
)

// Prune deletes the history from before a time, in transactions of bounded
// size: events of assets and people, changes of software, and entries of the change log,
// which is kept for a month at most.
func (c *Catalog) Prune(ctx context.Context, before time.Time) error {
	for _, prune := range []func(context.Context, time.Time) error{c.pruneChanges, c.pruneEvents((*store.Tx).PruneEvents), c.pruneEvents((*store.Tx).PrunePersonEvents), c.pruneSoftware} {
		if err := prune(ctx, before); err != nil {
			return fmt.Errorf("prune the history from before %s: %w", before.Format(time.DateOnly), err)
		}
	}
	return nil
}

func (c *Catalog) pruneChanges(ctx context.Context, before time.Time) error {
	if oldest := c.now().Add(-logRetention); before.Before(oldest) {
		before = oldest
	}
	for n := pruneBatch; n == pruneBatch; {
		err := c.store.Update(ctx, func(tx *store.Tx) (err error) {
			n, err = tx.PruneChanges(before, pruneBatch)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// pruneEvents returns what prunes one kind of events.
func (c *Catalog) pruneEvents(prune func(tx *store.Tx, start string, before time.Time, limit int) (string, error)) func(context.Context, time.Time) error {
	return func(ctx context.Context, before time.Time) error {
		for next, begun := "", false; next != "" || !begun; begun = true {
			err := c.store.Update(ctx, func(tx *store.Tx) error {
				after, err := prune(tx, next, before, pruneBatch)
				next = after
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	}
}

func (c *Catalog) pruneSoftware(ctx context.Context, before time.Time) error {
	var refs []store.Ref
	err := c.store.View(ctx, func(tx *store.Tx) error {
		return tx.ScanMembers(func(ref store.Ref, _ *storagepb.MemberRecord) error {
			refs = append(refs, ref)
			return ctx.Err()
		})
	})
	if err != nil {
		return err
	}
	for _, ref := range refs {
		old := false
		err := c.store.View(ctx, func(tx *store.Tx) (err error) {
			old, err = tx.HasSoftwareBefore(ref, before)
			return err
		})
		for n := pruneBatch; err == nil && old && n == pruneBatch; {
			err = c.store.Update(ctx, func(tx *store.Tx) (err error) {
				n, err = tx.PruneSoftware(ref, before, pruneBatch)
				return err
			})
		}
		if err != nil {
			return err
		}
	}
	return nil
}
