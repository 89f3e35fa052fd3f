package notify

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/notify/channel"
	"github.com/rollcall-itam/rollcall/collector/store"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

const (
	// saveEvery and saveAfter are how often and after how many entries of the logs a
	// place is stored to which nothing was to be told.
	saveEvery = time.Minute
	saveAfter = 10_000
	// again is when something is tried again that failed here and not at the
	// receiver.
	again = 10 * time.Second
)

// worker tells one receiver. Nothing that it does holds up another one: it reads
// the logs for itself and has a goroutine of its own.
type worker struct {
	n  *Notifier
	id string
	// poke has a token where something was asked of the worker.
	poke chan struct{}

	// mu guards what others look at. state is what is stored and is replaced, not
	// modified; sub is nil while the subscription cannot run, which problem explains.
	mu       sync.Mutex
	state    *storagepb.SubscriptionState
	sub      *subscription
	problem  string
	retrying map[string]bool

	waiting, since atomic.Int64

	// What follows is run's alone: up to where the logs were read and how often that
	// of findings had grown, what of that is to be told, when the place was stored, and the message that is being sent, nil
	// after a restart.
	at      place
	heard   uint64
	batch   *batch
	saved   time.Time
	message *channel.Message
}

func (w *worker) run(ctx context.Context) {
	for {
		next, err := w.step(ctx)
		if ctx.Err() != nil || w.n.o.Changes.Closed() {
			return
		}
		if err != nil {
			w.n.o.Logger.Warn("subscription waits, since something failed", "subscription", w.id, "error", err)
			w.drop()
			next = w.n.o.Now().Add(again)
		}
		if !w.wait(ctx, next) {
			return
		}
	}
}

// wait waits until a time, none for zero, or something to do. It returns false
// once ctx has ended.
func (w *worker) wait(ctx context.Context, next time.Time) bool {
	var timer <-chan time.Time
	if !next.IsZero() {
		c, stop := w.n.o.After(next.Sub(w.n.o.Now()))
		defer stop()
		timer = c
	}
	var changes, findings <-chan struct{}
	if state, sub := w.look(); sub != nil && w.listens(state) {
		if sub.assets != nil {
			changes = w.n.o.Changes.Grown(w.at.changes)
		}
		if sub.findings != nil {
			findings = w.n.findings.after(w.heard)
		}
	}
	select {
	case <-ctx.Done():
		return false
	case <-timer:
	case <-changes:
	case <-findings:
	case <-w.poke:
	}
	return true
}

// listens tells whether news are of interest now.
func (w *worker) listens(state *storagepb.SubscriptionState) bool {
	return !state.GetPaused() && state.GetPending() == nil && (w.batch == nil || !w.batch.full())
}

// look returns how things stand; sub is nil where the subscription cannot run.
func (w *worker) look() (*storagepb.SubscriptionState, *subscription) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state, w.sub
}

// drop forgets what was read, to be read again.
func (w *worker) drop() {
	state, _ := w.look()
	w.batch, w.message = nil, nil
	w.at = place{state.GetChanges(), state.GetFindings()}
	w.waiting.Store(0)
}

// step does what can be done now, and returns when there is more to do without
// news; the zero time for never.
func (w *worker) step(ctx context.Context) (time.Time, error) {
	state, sub := w.look()
	if sub == nil || state.GetPaused() {
		w.drop()
		return time.Time{}, nil
	}
	if state.GetPending() != nil {
		return w.attempt(ctx, state.GetPending(), sub)
	}
	if err := w.resend(ctx, sub); err != nil {
		return time.Time{}, err
	}
	if w.batch == nil {
		w.drop()
		w.batch = newBatch(sub.kind == webhook)
	}
	if err := w.read(ctx, sub); err != nil {
		return time.Time{}, err
	}
	if w.batch.total == 0 {
		return w.save(ctx)
	}
	now := w.n.o.Now()
	due := now
	if sent := times(state.GetSentAt()); !w.batch.full() {
		due = sub.pace.due(w.batch.since, now, sent)
	} else {
		due = sub.pace.due(now.Add(-maxWindow), now, sent)
	}
	if due.After(now) {
		return due, nil
	}
	if err := w.compose(ctx, state, sub); err != nil {
		return time.Time{}, err
	}
	return now, nil
}

// read gathers what the logs have beyond where they were read.
func (w *worker) read(ctx context.Context, sub *subscription) error {
	w.heard = w.n.findings.now()
	end, err := w.n.end(ctx)
	if err != nil {
		return err
	}
	if w.at.changes > end.changes {
		// The store was put back to an earlier state: what is new comes after its end.
		w.n.o.Logger.Warn("subscription goes on from the end of the changes, which lies before where it was", "subscription", w.id)
		w.at.changes, w.batch.lost = end.changes, true
	}
	w.at, err = w.n.gather(ctx, sub, w.batch, w.at, end)
	if err != nil {
		return err
	}
	w.note(w.batch.total, w.batch.since)
	return nil
}

// note says to those who ask how many events wait, and since when.
func (w *worker) note(events int, since time.Time) {
	w.waiting.Store(int64(events))
	w.since.Store(since.Unix())
}

// save stores now and then up to where nothing was to be told, so that a restart
// does not read all of it again.
func (w *worker) save(ctx context.Context) (time.Time, error) {
	state, _ := w.look()
	moved := w.at.changes - state.GetChanges() + w.at.findings - state.GetFindings() // of a log that was put back, a great many
	now := w.n.o.Now()
	switch {
	case moved == 0:
		return time.Time{}, nil
	case moved < saveAfter && now.Before(w.saved.Add(saveEvery)):
		return w.saved.Add(saveEvery), nil
	}
	w.saved = now
	at := w.at
	return time.Time{}, w.update(ctx, func(_ *store.Tx, s *storagepb.SubscriptionState) error {
		s.Changes, s.Findings = at.changes, at.findings
		return nil
	})
}

// compose makes a message of what was gathered, and has it stored what it tells
// before it goes out: it keeps its id over a restart.
func (w *worker) compose(ctx context.Context, state *storagepb.SubscriptionState, sub *subscription) error {
	id, err := newID()
	if err != nil {
		return err
	}
	now := w.n.o.Now()
	m := w.batch.message(id, w.id, w.n.o.Link, now)
	letter := &storagepb.LetterRecord{Id: id, Subscription: w.id, At: timestamppb.New(now), ChangesFrom: state.GetChanges(), ChangesTo: w.at.changes,
		FindingsFrom: state.GetFindings(), FindingsTo: w.at.findings, Events: int64(w.batch.total), NextAttempt: timestamppb.New(now), Title: titleKept(m)}
	err = w.update(ctx, func(_ *store.Tx, s *storagepb.SubscriptionState) error {
		s.Pending = letter
		return nil
	})
	if err == nil {
		w.message = m
	}
	return err
}

// titleKept is what a list of dead letters shows: no names of assets, which may be
// those of people.
func titleKept(m *channel.Message) string {
	bare := *m
	bare.Groups = make([]channel.Group, len(m.Groups))
	for i, g := range m.Groups {
		g.Names = nil
		bare.Groups[i] = g
	}
	return titleOf(&bare)
}

// remake makes the message of a letter anew from the logs.
func (n *Notifier) remake(ctx context.Context, s *subscription, l *storagepb.LetterRecord) (*channel.Message, error) {
	b := newBatch(s.kind == webhook)
	to := place{l.GetChangesTo(), l.GetFindingsTo()}
	if _, err := n.gather(ctx, s, b, place{l.GetChangesFrom(), l.GetFindingsFrom()}, to); err != nil {
		return nil, err
	}
	if b.total == 0 {
		b.lost = true
	}
	return b.message(l.GetId(), l.GetSubscription(), n.o.Link, l.GetAt().AsTime()), nil
}

// update changes and stores the state. fn is given a copy, and may be called more
// than once.
func (w *worker) update(ctx context.Context, fn func(*store.Tx, *storagepb.SubscriptionState) error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var now *storagepb.SubscriptionState
	err := w.n.o.Store.Update(ctx, func(tx *store.Tx) error {
		now = proto.CloneOf(w.state)
		return errors.Join(fn(tx, now), tx.PutSubscriptionState(now))
	})
	if err != nil {
		return fmt.Errorf("store how far subscription %s came: %w", w.id, err)
	}
	w.state = now
	return nil
}

// wake has the worker look around.
func (w *worker) wake() {
	select {
	case w.poke <- struct{}{}:
	default:
	}
}

func times(all []*timestamppb.Timestamp) []time.Time {
	out := make([]time.Time, len(all))
	for i, t := range all {
		out[i] = t.AsTime()
	}
	return out
}
