package notify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/notify/channel"
	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// Origins of subscriptions.
const (
	fromConfiguration = "configuration"
	fromAPI           = "api"
)

// List tells of all subscriptions and how they fare, without their secrets.
func (n *Notifier) List(ctx context.Context) ([]*adminpb.Subscription, error) {
	var out []*adminpb.Subscription
	for _, w := range n.all() {
		one, err := n.Get(ctx, w.id)
		if errors.Is(err, ErrUnknown) {
			continue // it was deleted a moment ago
		}
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

// worker returns that of a subscription.
func (n *Notifier) worker(id string) (*worker, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if w := n.workers[id]; w != nil {
		return w, nil
	}
	return nil, fmt.Errorf("%w: %.70q", ErrUnknown, id)
}

// Get tells of one subscription and how it fares, without its secrets.
func (n *Notifier) Get(ctx context.Context, id string) (*adminpb.Subscription, error) {
	w, err := n.worker(id)
	if err != nil {
		return nil, err
	}
	var held []*storagepb.LetterRecord
	r := new(storagepb.SubscriptionRecord)
	err = n.o.Store.View(ctx, func(tx *store.Tx) error {
		var err error
		if n.configured(id) == nil {
			if r, err = tx.Subscription(id); errors.Is(err, store.ErrNotFound) {
				return fmt.Errorf("%w: %.70q", ErrUnknown, id)
			}
		}
		if err == nil {
			held, err = letters(tx, id)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	var out *adminpb.Subscription
	if d := n.configured(id); d != nil {
		out = shown(d)
		out.Origin = fromConfiguration
	} else {
		d := proto.CloneOf(r.GetDefinition())
		// Without its key it is told as far as it can be.
		if address, err := n.o.Vault.Open(SecretPlace(id, secretURL), r.GetSealed()[secretURL]); err == nil && d.GetReceiver() != nil {
			d.Receiver.Url = address
		}
		out = shown(d)
		out.Origin = fromAPI
	}
	w.tell(out, len(held))
	return out, nil
}

// tell says how a subscription fares.
func (w *worker) tell(out *adminpb.Subscription, dead int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s, p := w.state, w.state.GetPending()
	out.Paused = s.GetPaused()
	out.Status = &adminpb.SubscriptionStatus{LastSuccess: s.GetLastSuccess(), Sent: s.GetSent(), Dropped: s.GetDropped(), Failures: p.GetAttempts(), Error: p.GetError(),
		DeadLetters: int32(dead), Problem: s.GetProblem()}
	if w.problem != "" {
		out.Status.Problem = w.problem
	}
	if p.GetAttempts() > 0 {
		out.Status.NextAttempt = p.GetNextAttempt()
	}
	out.Status.Waiting = max(w.waiting.Load(), p.GetEvents())
	if n := w.waiting.Load(); n > 0 {
		out.Status.WaitingSince = timestamppb.New(time.Unix(w.since.Load(), 0))
	} else if p != nil {
		out.Status.WaitingSince = p.GetAt()
	}
}

// Create has a receiver told of what happens from now on. Where it is a webhook
// for which no key is given, one is made and returned.
func (n *Notifier) Create(ctx context.Context, by string, d *adminpb.Subscription) (made string, err error) {
	n.changing.Lock()
	defer n.changing.Unlock()
	d = proto.CloneOf(d)
	d.Origin, d.Status, d.CreatedAt, d.CreatedBy = "", nil, timestamppb.New(n.o.Now()), by
	if r := d.GetReceiver(); r.GetKind() == webhook && r.GetSecret() == "" {
		if made, err = channel.NewSecret(); err != nil {
			return "", err
		}
		r.Secret = made
	}
	sub, err := n.compile(d, former{})
	if err != nil {
		return "", err
	}
	if n.configured(d.GetId()) != nil {
		return "", fmt.Errorf("%w: %q", ErrConfigured, d.GetId())
	}
	if _, err := n.worker(d.GetId()); err == nil {
		return "", fmt.Errorf("%w: %q: delete it, or choose another id", ErrTaken, d.GetId())
	}
	if len(n.all()) >= maxSubscriptions {
		return "", fmt.Errorf("%w: there are %d already, which is the most: delete one", ErrInvalid, maxSubscriptions)
	}
	w := n.newWorker(d.GetId(), sub)
	if err := n.begin(ctx, w, d, by); err != nil {
		sub.close()
		n.count()
		return "", err
	}
	return made, nil
}

// begin stores a new subscription and has it run.
func (n *Notifier) begin(ctx context.Context, w *worker, d *adminpb.Subscription, by string) error {
	r := &storagepb.SubscriptionRecord{Definition: proto.CloneOf(d), Sealed: make(map[string][]byte)}
	for name, secret := range map[string]string{secretURL: d.GetReceiver().GetUrl(), secretKey: d.GetReceiver().GetSecret()} {
		if secret != "" {
			r.Sealed[name] = n.o.Vault.Seal(SecretPlace(w.id, name), secret)
		}
	}
	r.Definition.Receiver.Url, r.Definition.Receiver.Secret, r.Definition.Paused = "", "", false
	if w.sub.findings != nil {
		n.following.Store(true) // what is found from here on is logged; its place is looked up after that
	}
	changes, err := n.o.Changes.End(ctx)
	if err != nil {
		return err
	}
	err = n.o.Store.Update(ctx, func(tx *store.Tx) error {
		findings, err := tx.LastFindingChange()
		if err != nil {
			return err
		}
		w.state = &storagepb.SubscriptionState{Id: w.id, Changes: changes, Findings: findings, Paused: d.GetPaused()}
		return errors.Join(tx.PutSubscription(r), tx.PutSubscriptionState(w.state), n.audit(tx, by, "subscription.create", w.id, summary(d)))
	})
	if err != nil {
		return fmt.Errorf("store subscription %s: %w", w.id, err)
	}
	n.add(w)
	return nil
}

// Delete ends a subscription; what it has not told yet, and its dead letters, are
// forgotten.
func (n *Notifier) Delete(ctx context.Context, by, id string) error {
	n.changing.Lock()
	defer n.changing.Unlock()
	if n.configured(id) != nil {
		return fmt.Errorf("%w: %q", ErrConfigured, id)
	}
	w, err := n.worker(id)
	if err != nil {
		return err
	}
	n.remove(id)
	err = n.o.Store.Update(ctx, func(tx *store.Tx) error {
		return errors.Join(tx.DeleteSubscription(id), n.audit(tx, by, "subscription.delete", id, ""))
	})
	if err != nil {
		n.add(w) // what is stored still holds
		return fmt.Errorf("delete subscription %s: %w", id, err)
	}
	return nil
}

// Pause has a subscription wait, or go on with what happened since.
func (n *Notifier) Pause(ctx context.Context, by, id string, paused bool) error {
	w, err := n.worker(id)
	if err != nil {
		return err
	}
	action := map[bool]string{true: "subscription.pause", false: "subscription.resume"}[paused]
	err = w.update(ctx, func(tx *store.Tx, s *storagepb.SubscriptionState) error {
		s.Paused, s.Problem = paused, ""
		if p := s.GetPending(); p != nil && !paused {
			// Whoever has it go on wants to see what comes of it.
			p.NextAttempt = timestamppb.New(n.o.Now())
		}
		return n.audit(tx, by, action, id, "")
	})
	if err == nil {
		w.wake()
	}
	return err
}

// Test sends a message that says that it is a test, at once. The error wraps
// ErrUnknown, or tells why the receiver did not take it.
func (n *Notifier) Test(ctx context.Context, id string) error {
	w, err := n.worker(id)
	if err != nil {
		return err
	}
	_, sub := w.look()
	if sub == nil {
		return errors.New(w.problem)
	}
	msg, err := newID()
	if err != nil {
		return err
	}
	err = sub.sender.Send(ctx, &channel.Message{ID: msg, Subscription: id, At: n.o.Now(), Title: "test of subscription " + id, Test: true, Link: n.o.Link})
	n.metrics.sent(sub.kind, err)
	return err
}

// Letters returns the messages that were given up, the oldest first.
func (n *Notifier) Letters(ctx context.Context, id string) (all []*storagepb.LetterRecord, err error) {
	if _, err := n.worker(id); err != nil {
		return nil, err
	}
	err = n.o.Store.View(ctx, func(tx *store.Tx) error {
		all, err = letters(tx, id)
		return err
	})
	return all, err
}

// Retry has messages that were given up sent again, all where none is named, and
// returns how many.
func (n *Notifier) Retry(ctx context.Context, by, id string, ids []string) (int, error) {
	w, err := n.worker(id)
	if err != nil {
		return 0, err
	}
	var again []string
	err = n.o.Store.Update(ctx, func(tx *store.Tx) error {
		again = nil
		held, err := letters(tx, id)
		if err != nil {
			return err
		}
		for _, l := range held {
			if len(ids) > 0 && !slices.Contains(ids, l.GetId()) {
				continue
			}
			l.Retry = true
			again = append(again, l.GetId())
			if err := tx.PutLetter(l); err != nil {
				return err
			}
		}
		for _, want := range ids {
			if !slices.Contains(again, want) {
				return fmt.Errorf("%w: %.70q", ErrNoLetter, want)
			}
		}
		return n.audit(tx, by, "subscription.retry", id, fmt.Sprintf("%d messages", len(again)))
	})
	if err != nil {
		return 0, err
	}
	w.mu.Lock()
	for _, l := range again {
		w.retrying[l] = true
	}
	w.mu.Unlock()
	w.wake()
	return len(again), nil
}
