package catalog

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rollcall-itam/rollcall/collector/store"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

const (
	flushInterval = time.Minute
	// flushBatch bounds one transaction of a flush.
	flushBatch = 1000
)

// seen holds when sources last confirmed what they said, and which of that is
// not stored yet.
type seen struct {
	mu    sync.RWMutex
	at    map[store.Ref]time.Time
	dirty map[store.Ref]time.Time
	// followers are the records of what machines list, which are seen with them.
	followers map[store.Ref]following
}

func newSeen() *seen {
	return &seen{at: make(map[store.Ref]time.Time), dirty: make(map[store.Ref]time.Time), followers: make(map[store.Ref]following)}
}

// Seen notes that a source confirmed at a time what it last said under ref. It
// costs no write of its own: Run stores such notes in bulk each minute, to the
// second, and so they are kept from the beginning: a restart changes nothing.
func (c *Catalog) Seen(ref store.Ref, at time.Time) {
	at = at.Truncate(time.Second)
	if !c.seen.note(ref, at) {
		return
	}
	c.saw(ref, at)
	for _, follower := range c.seen.confirm(ref, at) {
		c.saw(follower, at)
	}
}

// saw tells of a record that was seen.
func (c *Catalog) saw(ref store.Ref, at time.Time) {
	c.upkeep.wake(ref)
	for _, notify := range c.onSeen {
		notify(ref, at)
	}
}

// OnSeen lets fn hear of every time, to the second, that is later than what
// LastSeen returned before. It is to be called before the first Accept.
func (c *Catalog) OnSeen(fn func(store.Ref, time.Time)) { c.onSeen = append(c.onSeen, fn) }

// note keeps a time and tells whether it is later than what was known.
func (s *seen) note(ref store.Ref, at time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !at.After(s.at[ref]) {
		return false
	}
	s.at[ref] = at
	s.dirty[ref] = at
	return true
}

// LastSeen returns when a source last confirmed what it said under ref, and
// false where it did not since the collector started.
func (c *Catalog) LastSeen(ref store.Ref) (time.Time, bool) {
	c.seen.mu.RLock()
	defer c.seen.mu.RUnlock()
	at, ok := c.seen.at[ref]
	return at, ok
}

// forget drops the note of when something was last seen that is no more.
func (c *Catalog) forget(ref store.Ref) {
	c.seen.mu.Lock()
	defer c.seen.mu.Unlock()
	delete(c.seen.at, ref)
	delete(c.seen.dirty, ref)
	delete(c.seen.followers, ref)
}

// loadSeen reads when things were last seen, so that it is known after a
// restart: the stored notes, and when each observation was made, which is later
// where the collector ended before it could store a note.
func (c *Catalog) loadSeen(ctx context.Context) error {
	load := func(ref store.Ref, at time.Time) {
		c.seen.mu.Lock()
		defer c.seen.mu.Unlock()
		if at = at.Truncate(time.Second); at.After(c.seen.at[ref]) {
			c.seen.at[ref] = at
		}
	}
	err := c.store.View(ctx, func(tx *store.Tx) error {
		err := tx.ScanLastSeen(func(ref store.Ref, at time.Time) error {
			load(ref, at)
			return ctx.Err()
		})
		if err != nil {
			return err
		}
		return tx.ScanSources(func(r *storagepb.SourceRecord) error {
			return tx.ScanHeads(r.GetId(), func(ref store.Ref, h *storagepb.HeadRecord) error {
				load(ref, h.GetObservedAt().AsTime())
				if by := h.GetListedBy(); by != nil && !by.GetListed() {
					load(ref, by.GetLast().AsTime())
				}
				if len(h.GetParts()) > 0 {
					c.seen.follow([]following{followingOf(ref, h)})
				}
				return ctx.Err()
			})
		})
	})
	if err != nil {
		return fmt.Errorf("read when things were last seen: %w", err)
	}
	c.seen.catchUp()
	return nil
}

// Run stores each minute when things were last seen, and once more when ctx
// ends; and once a day it prunes the history.
func (c *Catalog) Run(ctx context.Context) error {
	tick, day := time.NewTicker(flushInterval), time.NewTicker(pruneInterval)
	defer tick.Stop()
	defer day.Stop()
	for {
		select {
		case <-day.C:
			if c.retention <= 0 {
				continue
			}
			if err := c.Prune(ctx, c.now().Add(-c.retention)); err != nil {
				c.log.Warn("prune the history", "error", err)
			}
		case <-tick.C:
			if err := c.FlushSeen(ctx); err != nil {
				c.log.Warn("store when things were last seen", "error", err)
			}
		case <-ctx.Done():
			return c.FlushSeen(context.WithoutCancel(ctx))
		}
	}
}

// FlushSeen stores when things were last seen. What could not be stored is
// tried again with the next flush.
func (c *Catalog) FlushSeen(ctx context.Context) error {
	for {
		batch := c.takeDirty()
		if len(batch) == 0 {
			return nil
		}
		err := c.store.Update(ctx, func(tx *store.Tx) error {
			for ref, at := range batch {
				if err := tx.PutLastSeen(ref, at); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			c.putBack(batch)
			return fmt.Errorf("store when %d things were last seen: %w", len(batch), err)
		}
	}
}

func (c *Catalog) takeDirty() map[store.Ref]time.Time {
	c.seen.mu.Lock()
	defer c.seen.mu.Unlock()
	batch := make(map[store.Ref]time.Time, min(flushBatch, len(c.seen.dirty)))
	for ref, at := range c.seen.dirty {
		if len(batch) == flushBatch {
			break
		}
		batch[ref] = at
		delete(c.seen.dirty, ref)
	}
	return batch
}

func (c *Catalog) putBack(batch map[store.Ref]time.Time) {
	c.seen.mu.Lock()
	defer c.seen.mu.Unlock()
	for ref, at := range batch {
		if at.After(c.seen.dirty[ref]) {
			c.seen.dirty[ref] = at
		}
	}
}
