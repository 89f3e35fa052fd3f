package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

const (
	// upkeepInterval is how often what is due is looked at.
	upkeepInterval = time.Minute
	// upkeepBatch is how many assets one transaction reads.
	upkeepBatch = 200
	// settle is how long after a start nothing is looked at: what was only not
	// heard because nobody listened speaks first.
	settle = time.Hour
)

// Reasons for changes that no source brought about.
const (
	becauseTime  = "time passed and nothing newer was heard"
	becauseTable = "the table of precedence changed"
	becauseKnown = "what is known of products changed"
)

// noteTable is under which name the store keeps which table made the assets.
const noteTable = "catalog precedence"

// Upkeep keeps the assets true while time passes, until ctx ends. It begins by
// making those anew that another table of precedence made.
func (c *Catalog) Upkeep(ctx context.Context) error {
	if err := c.arrange(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	tick := time.NewTicker(upkeepInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := c.Expire(ctx); err != nil && ctx.Err() == nil {
				c.log.Warn("look at assets whose time has come", "error", err)
			}
		}
	}
}

// Expire makes the assets anew whose time has come, or of whose silent sources
// something was heard, and stores those that are not what they were.
func (c *Catalog) Expire(ctx context.Context) error {
	ids := c.upkeep.take(c.now())
	if _, err := c.lookAt(ctx, ids, becauseTime); err != nil {
		c.upkeep.again(ids, c.now())
		return fmt.Errorf("bring %d assets up to date: %w", len(ids), err)
	}
	return nil
}

// Rederive makes the assets anew of which Derive's function says something else by
// now, and stores those.
func (c *Catalog) Rederive(ctx context.Context) error {
	return c.eachBatch(ctx, func(ids []string) error {
		_, err := c.lookAt(ctx, ids, becauseKnown)
		return err
	})
}

// arrange plans a look at each asset after a start, over one day: none of them
// is due before, unless the collector was not there. Where the assets were made
// by another table it looks at all of them at once.
func (c *Catalog) arrange(ctx context.Context) error {
	var made []byte
	err := c.store.View(ctx, func(tx *store.Tx) (err error) {
		made, err = tx.Note(noteTable)
		return err
	})
	if err != nil {
		return fmt.Errorf("plan the upkeep of assets: %w", err)
	}
	anew := string(made) != c.table.Digest()
	looked, changed := 0, 0
	begin := c.now().Add(settle)
	err = c.eachBatch(ctx, func(ids []string) error {
		if !anew {
			c.upkeep.spread(ids, begin)
			return nil
		}
		n, err := c.lookAt(ctx, ids, becauseTable)
		looked, changed = looked+len(ids), changed+n
		return err
	})
	if err != nil || !anew {
		return err
	}
	if looked > 0 {
		c.log.Info("assets were made anew by another table of precedence", "assets", looked, "changed", changed)
	}
	err = c.store.Update(ctx, func(tx *store.Tx) error { return tx.PutNote(noteTable, []byte(c.table.Digest())) })
	if err != nil {
		return fmt.Errorf("note which table of precedence made the assets: %w", err)
	}
	return nil
}

// eachBatch calls fn with the ids of all assets, some at a time and outside of
// any transaction.
func (c *Catalog) eachBatch(ctx context.Context, fn func(ids []string) error) error {
	for after := ""; ; {
		var ids []string
		err := c.store.View(ctx, func(tx *store.Tx) error {
			ids = nil
			return tx.ScanAssets(after, func(a *pb.Asset) error {
				if len(ids) == upkeepBatch {
					return store.Stop
				}
				ids = append(ids, a.GetId())
				return ctx.Err()
			})
		})
		if err != nil {
			return fmt.Errorf("list the assets: %w", err)
		}
		if len(ids) == 0 {
			return nil
		}
		if err := fn(ids); err != nil {
			return err
		}
		after = ids[len(ids)-1]
	}
}

// lookAt makes assets anew and stores those that are not what they were, each in
// a transaction of its own. It returns how many those are.
func (c *Catalog) lookAt(ctx context.Context, ids []string, because string) (changed int, err error) {
	for batch := range slices.Chunk(ids, upkeepBatch) {
		differ, err := c.compare(ctx, batch)
		if err != nil {
			return changed, err
		}
		for _, id := range differ {
			if err := c.renew(ctx, id, because); err != nil {
				return changed, err
			}
			changed++
		}
	}
	return changed, nil
}

// compare returns the assets that would not be what they are if they were made
// anew, and plans the next look at the others.
func (c *Catalog) compare(ctx context.Context, ids []string) (differ []string, err error) {
	var outlooks []outlook
	err = c.store.View(ctx, func(tx *store.Tx) error {
		differ, outlooks = nil, nil
		for _, id := range ids {
			before, after, o, err := newFiling(c, tx, store.Ref{}).anew(id)
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			if !proto.Equal(before, after) {
				differ = append(differ, id)
				continue
			}
			o.begins = true
			outlooks = append(outlooks, o)
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("compare assets with what their sources say: %w", err)
	}
	c.upkeep.note(outlooks)
	return differ, nil
}

// anew returns an asset as it is stored and as it would be made now.
func (f *filing) anew(id string) (before, after *pb.Asset, o outlook, err error) {
	if before, err = f.tx.Asset(id); err != nil {
		return nil, nil, o, err
	}
	parts, err := f.partsOf(before)
	if err != nil {
		return nil, nil, o, err
	}
	after, o, err = f.merged(id, before.GetRedirects(), parts)
	return before, after, o, err
}

// partsOf loads the records that an asset is made of.
func (f *filing) partsOf(a *pb.Asset) ([]part, error) {
	parts := make([]part, 0, len(a.GetSources()))
	for _, s := range a.GetSources() {
		p, err := f.load(store.Ref{Source: s.GetSource(), ID: s.GetSourceId()})
		if err != nil {
			return nil, fmt.Errorf("asset %s: %w", a.GetId(), err)
		}
		parts = append(parts, p)
	}
	return parts, nil
}

// renew makes an asset anew and stores it.
func (c *Catalog) renew(ctx context.Context, id, because string) error {
	f, err := c.update(ctx, store.Ref{}, func(f *filing) error {
		f.because = because
		before, err := f.tx.Asset(id)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		parts, err := f.partsOf(before)
		if err != nil {
			return err
		}
		return f.put(id, before.GetRedirects(), parts)
	})
	if err != nil {
		return fmt.Errorf("make asset %s anew: %w", id, err)
	}
	// The look that was planned is this one.
	for i := range f.outlooks {
		f.outlooks[i].begins = true
	}
	c.upkeep.note(f.outlooks)
	return nil
}
