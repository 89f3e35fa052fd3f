package badgerkv

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"github.com/rollcall-itam/rollcall/collector/kv"
)

// group is the writes of several updates that are committed and synced at once.
//
// There are at most two with writes: the open one, which updates join, and the
// one before it, which is being committed meanwhile. Updates in the open group
// see, from above: their own writes, the group's, those of the group before,
// and a snapshot of Badger taken before that one's commit.
type group struct {
	writes *overlay
	arena  arena
	bytes  int
	before *group
	snap   *badger.Txn

	// done is closed once the group is durable or err says why it is not.
	done chan struct{}
	err  error
}

// groupBytes closes a group to further updates. Badger's bound is 15 % of the
// memtable; below it there is room for one more update of any allowed size,
// and for Badger's own overhead, so a transaction never turns out too big.
const groupBytes = memTableSize*15/100 - kv.MaxTxSize - 64<<10

// Badger takes maxBatchSize/88 entries in a transaction, 57,000 here.
const groupWrites = 30_000

func (d *DB) newGroup(before *group) *group {
	return &group{
		writes: newOverlay(),
		before: before,
		snap:   d.badger.NewTransaction(false),
		done:   make(chan struct{}),
	}
}

func (g *group) full() bool {
	return g.bytes >= groupBytes || len(g.writes.writes) >= groupWrites
}

// absorb takes over the writes of an update that succeeded.
func (g *group) absorb(own *overlay) {
	for _, w := range own.writes {
		g.writes.put(w)
		g.bytes += cost(w.key, w.value)
	}
}

// awaited returns the group whose commit makes durable what an update in g has
// read or written, or nil.
func (g *group) awaited() *group {
	if len(g.writes.writes) > 0 {
		return g
	}
	return g.before
}

// Update runs fn after those of all earlier updates and returns when the group
// that they form together is synced. fn runs in the caller's goroutine, so its
// panic is the caller's alone.
func (d *DB) Update(ctx context.Context, fn func(kv.Tx) error) error {
	if err := d.begin(ctx); err != nil {
		return err
	}
	defer d.running.Done()
	if err := d.writable(); err != nil {
		return err
	}
	select {
	case <-d.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	awaited, err := d.join(ctx, fn)
	if awaited != nil {
		<-awaited.done
		if awaited.err != nil {
			return awaited.err
		}
	}
	return err
}

// join runs fn in the open group. The caller holds the turn, which join passes
// on, also when fn panics. An update that failed waits like one that did not:
// its error may rest on what it read.
func (d *DB) join(ctx context.Context, fn func(kv.Tx) error) (awaited *group, err error) {
	g := d.open
	defer d.passTurn(g)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d.own.reset()
	above := [3]*overlay{d.own, g.writes}
	t := tx{snap: g.snap, above: above[:2], own: d.own, arena: &g.arena}
	if g.before != nil {
		above[2] = g.before.writes
		t.above = above[:3]
	}
	err = fn(&t)
	if err == nil {
		err = t.failed
	}
	if err == nil && len(d.own.writes) > 0 {
		first := len(g.writes.writes) == 0
		g.absorb(d.own)
		if first {
			d.wake <- struct{}{}
		}
	}
	return g.awaited(), err
}

// passTurn lets the next update run, or only the committer where the group is full.
func (d *DB) passTurn(g *group) {
	if g.full() {
		d.full <- struct{}{}
		return
	}
	d.turn <- struct{}{}
}

// commitGroups commits one group after another until Close. wake holds one
// token for the open group if that has writes.
func (d *DB) commitGroups() {
	defer close(d.committed)
	for range d.wake {
		select {
		case <-d.turn:
		case <-d.full:
		}
		g := d.open
		// Nobody reads through the group any more, and what was before it is
		// in Badger.
		g.snap.Discard()
		g.before = nil
		d.open = d.newGroup(g)
		prev := d.open.snap.ReadTs()
		d.turn <- struct{}{}

		g.err = d.commit(g, prev)
		close(g.done)
	}
}

// commit makes the group durable; prev is the version of the commit before it.
func (d *DB) commit(g *group, prev uint64) error {
	if err := d.failure(); err != nil {
		return err
	}
	next := head{store: d.head.store, seq: d.head.seq + 1, prev: prev, prevDigest: d.head.digest}
	txn := d.badger.NewTransaction(true)
	defer txn.Discard()
	if err := fill(txn, g, &next); err != nil {
		return d.fail(fmt.Errorf("gather a commit: %w", err))
	}
	if err := txn.Commit(); err != nil {
		return d.fail(fmt.Errorf("commit to badger: %w", err))
	}
	d.head = next
	if err := d.mark.write(next); err != nil {
		return d.fail(err)
	}
	d.space.spent(g.bytes)
	return nil
}

// fill puts the group's writes and the head that describes them into txn.
func fill(txn *badger.Txn, g *group, h *head) error {
	sum := sha256.New()
	sum.Write(h.prevDigest[:])
	var n [17]byte
	binary.BigEndian.PutUint64(n[:], h.seq)
	sum.Write(n[:8])
	for _, w := range g.writes.writes {
		binary.BigEndian.PutUint64(n[:], uint64(len(w.key)))
		binary.BigEndian.PutUint64(n[8:], uint64(len(w.value)))
		n[16] = 0
		if w.deleted {
			n[16] = 1
		}
		sum.Write(n[:])
		sum.Write(w.key)
		sum.Write(w.value)
		var err error
		if w.deleted {
			err = txn.Delete(w.key)
		} else {
			err = txn.Set(w.key, w.value)
		}
		if err != nil {
			return err
		}
	}
	sum.Sum(h.digest[:0])
	return txn.Set(headKey, h.encode())
}
