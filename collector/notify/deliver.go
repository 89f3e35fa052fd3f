package notify

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/notify/channel"
	"github.com/rollcall-itam/rollcall/collector/store"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

const (
	// firstPause and longestPause bound the time between two attempts, which doubles.
	firstPause   = 5 * time.Second
	longestPause = time.Hour
	// giveUpAfter is how long a message is tried, and refusals how often one that the
	// receiver says is wrong.
	giveUpAfter = 24 * time.Hour
	refusals    = 3
	// maxLetters is how many messages of a subscription are kept that were given up.
	maxLetters = 100
	maxError   = 400
)

// pause returns how long to wait after some attempts: between half and all of a
// time that doubles, so that many do not come back together.
func pause(attempts int32) time.Duration {
	d := min(firstPause<<min(attempts-1, 20), longestPause)
	return d/2 + rand.N(d/2+1)
}

// attempt sends the pending message if it is time to.
func (w *worker) attempt(ctx context.Context, l *storagepb.LetterRecord, sub *subscription) (time.Time, error) {
	now := w.n.o.Now()
	if next := l.GetNextAttempt().AsTime(); next.After(now) {
		return next, nil
	}
	if w.message == nil {
		var err error
		if w.message, err = w.n.remake(ctx, sub, l); err != nil {
			return time.Time{}, err
		}
		w.note(int(l.GetEvents()), w.message.Since)
	}
	err := sub.sender.Send(ctx, w.message)
	if err != nil && ctx.Err() != nil {
		return time.Time{}, ctx.Err() // it is sent again after the restart
	}
	w.n.metrics.sent(sub.kind, err)
	if err == nil {
		return w.n.o.Now(), w.taken(ctx, l, sub)
	}
	f := channel.FailureOf(err)
	l = proto.CloneOf(l)
	l.Attempts++
	l.Error = shortened(f.Error())
	now = w.n.o.Now()
	switch {
	case f.Gone:
		return time.Time{}, w.gone(ctx, l)
	case f.Refused && l.Attempts >= refusals, now.Sub(l.GetAt().AsTime()) >= giveUpAfter:
		return now, w.giveUp(ctx, l, sub)
	}
	if l.Attempts == 1 || l.Attempts%10 == 0 {
		w.n.o.Logger.Warn("message was not taken", "subscription", w.id, "attempts", l.GetAttempts(), "error", l.GetError())
	}
	next := now.Add(max(pause(l.Attempts), f.After))
	l.NextAttempt = timestamppb.New(next)
	return next, w.update(ctx, func(_ *store.Tx, s *storagepb.SubscriptionState) error {
		s.Pending = l
		return nil
	})
}

func shortened(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), maxError)], "")
}

// taken goes on behind a message that was taken.
func (w *worker) taken(ctx context.Context, l *storagepb.LetterRecord, sub *subscription) error {
	err := w.update(ctx, func(_ *store.Tx, s *storagepb.SubscriptionState) error {
		w.passed(s, l)
		w.sent(s, sub)
		return nil
	})
	if err == nil {
		w.drop()
	}
	return err
}

// passed has a state be behind a message.
func (w *worker) passed(s *storagepb.SubscriptionState, l *storagepb.LetterRecord) {
	s.Changes, s.Findings, s.Pending = l.GetChangesTo(), l.GetFindingsTo(), nil
}

// sent counts a message in a state.
func (w *worker) sent(s *storagepb.SubscriptionState, sub *subscription) {
	now := w.n.o.Now()
	s.SentAt = nil
	for _, t := range append(lastHour(times(w.state.GetSentAt()), now, sub.pace.perHour-1), now) {
		s.SentAt = append(s.SentAt, timestamppb.New(t))
	}
	s.LastSuccess = timestamppb.New(now)
	s.Sent++
}

// gone pauses a subscription whose receiver wants no more.
func (w *worker) gone(ctx context.Context, l *storagepb.LetterRecord) error {
	w.n.o.Logger.Warn("subscription is paused, since its receiver wants no more messages", "subscription", w.id, "error", l.GetError())
	return w.update(ctx, func(tx *store.Tx, s *storagepb.SubscriptionState) error {
		s.Pending, s.Paused, s.Problem = l, true, l.GetError()
		return w.n.audit(tx, "collector", "subscription.pause", w.id, l.GetError())
	})
}

// giveUp puts a message aside and goes on behind it.
func (w *worker) giveUp(ctx context.Context, l *storagepb.LetterRecord, sub *subscription) error {
	w.n.o.Logger.Error("message was given up: see rollcall subscriptions dead-letters", "subscription", w.id, "letter", l.GetId(), "events", l.GetEvents(), "error", l.GetError())
	l.GivenUpAt, l.NextAttempt = timestamppb.New(w.n.o.Now()), nil
	var lost int64
	err := w.update(ctx, func(tx *store.Tx, s *storagepb.SubscriptionState) error {
		w.passed(s, l)
		var err error
		lost, err = putLetter(tx, l)
		s.Dropped += lost
		return err
	})
	if err == nil {
		w.n.metrics.dropped.WithLabelValues(sub.kind).Add(float64(lost))
		w.drop()
	}
	return err
}

// putLetter stores a message that was given up, in the place of the oldest where
// there are too many, and returns how many events are lost with those.
func putLetter(tx *store.Tx, l *storagepb.LetterRecord) (lost int64, err error) {
	held, err := letters(tx, l.GetSubscription())
	if err != nil {
		return 0, err
	}
	for ; len(held) >= maxLetters; held = held[1:] {
		lost += held[0].GetEvents()
		if err := tx.DeleteLetter(l.GetSubscription(), held[0].GetId()); err != nil {
			return 0, err
		}
	}
	return lost, tx.PutLetter(l)
}

// letters returns the messages of a subscription that were given up, the oldest
// first.
func letters(tx *store.Tx, id string) (all []*storagepb.LetterRecord, err error) {
	err = tx.ScanLetters(id, func(l *storagepb.LetterRecord) error {
		all = append(all, l)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the dead letters of %s: %w", id, err)
	}
	slices.SortStableFunc(all, func(a, b *storagepb.LetterRecord) int {
		return a.GetGivenUpAt().AsTime().Compare(b.GetGivenUpAt().AsTime())
	})
	return all, nil
}

// resend sends once more the dead letters for which that was asked, each once.
func (w *worker) resend(ctx context.Context, sub *subscription) error {
	w.mu.Lock()
	ids := sortedKeys(w.retrying)
	w.mu.Unlock()
	if len(ids) == 0 {
		return nil
	}
	var held []*storagepb.LetterRecord
	err := w.n.o.Store.View(ctx, func(tx *store.Tx) (err error) {
		held, err = letters(tx, w.id)
		return err
	})
	if err != nil {
		return err
	}
	for _, l := range held {
		if !slices.Contains(ids, l.GetId()) {
			continue
		}
		if err := w.resendOne(ctx, proto.CloneOf(l), sub); err != nil {
			return err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		delete(w.retrying, id)
	}
	return nil
}

func (w *worker) resendOne(ctx context.Context, l *storagepb.LetterRecord, sub *subscription) error {
	m, err := w.n.remake(ctx, sub, l)
	if err != nil {
		return err
	}
	failed := sub.sender.Send(ctx, m)
	if failed != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	w.n.metrics.sent(sub.kind, failed)
	return w.update(ctx, func(tx *store.Tx, s *storagepb.SubscriptionState) error {
		if failed == nil {
			w.sent(s, sub)
			return tx.DeleteLetter(w.id, l.GetId())
		}
		l.Attempts++
		l.Retry, l.Error = false, shortened(failed.Error())
		return tx.PutLetter(l)
	})
}

// ErrNoLetter is wrapped by errors about a dead letter that there is none of.
var ErrNoLetter = errors.New("there is no such dead letter")
