package notify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/notify/channel"
	"github.com/rollcall-itam/rollcall/collector/store"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// Secrets of a subscription that was created through the API.
const (
	secretURL    = "url"
	secretKey    = "secret"
	secretFormer = "old_secret"
)

// Bounds of how long two keys of a webhook sign.
const (
	DefaultOverlap = 24 * time.Hour
	maxOverlap     = 7 * 24 * time.Hour
)

// SecretPlace names where a secret belongs.
func SecretPlace(subscription, name string) string {
	return "subscription\x00" + subscription + "\x00" + name
}

// Reseal has each secret of each subscription opened and sealed anew, and returns
// how many there are.
func Reseal(tx *store.Tx, anew func(place string, sealed []byte) ([]byte, error)) (n int, err error) {
	var all []*storagepb.SubscriptionRecord
	err = tx.ScanSubscriptions(func(r *storagepb.SubscriptionRecord) error {
		all = append(all, r)
		return nil
	})
	if err != nil {
		return 0, err
	}
	for _, r := range all {
		for _, name := range sortedKeys(r.GetSealed()) {
			if r.Sealed[name], err = anew(SecretPlace(r.GetDefinition().GetId(), name), r.GetSealed()[name]); err != nil {
				return n, fmt.Errorf("subscription %s: %s: %w", r.GetDefinition().GetId(), name, err)
			}
			n++
		}
		if err := tx.PutSubscription(r); err != nil {
			return n, err
		}
	}
	return n, nil
}

// former is the key of a webhook that was replaced, and until when it signs.
type former struct {
	secret string
	until  time.Time
}

// opened makes a subscription ready that is stored.
func (n *Notifier) opened(r *storagepb.SubscriptionRecord) (*subscription, error) {
	d := proto.CloneOf(r.GetDefinition())
	was := former{until: r.GetOldUntil().AsTime()}
	for _, s := range []struct {
		name string
		into func(string)
	}{
		{secretURL, func(v string) { d.Receiver.Url = v }},
		{secretKey, func(v string) { d.Receiver.Secret = v }},
		{secretFormer, func(v string) { was.secret = v }},
	} {
		sealed := r.GetSealed()[s.name]
		if sealed == nil {
			continue
		}
		v, err := n.o.Vault.Open(SecretPlace(d.GetId(), s.name), sealed)
		if err != nil {
			return nil, fmt.Errorf("receiver.%s: %w; or delete the subscription and create it anew", s.name, err)
		}
		s.into(v)
	}
	return n.compile(d, was)
}

// Rotate makes a new key for a webhook, which is returned. The one before signs as
// well for a while.
func (n *Notifier) Rotate(ctx context.Context, by, id string, overlap time.Duration) (secret string, until time.Time, err error) {
	n.changing.Lock()
	defer n.changing.Unlock()
	w, err := n.worker(id)
	if err != nil {
		return "", until, err
	}
	if n.configured(id) != nil {
		return "", until, fmt.Errorf("%w: %q", ErrConfigured, id)
	}
	if overlap < 0 || overlap > maxOverlap {
		return "", until, fmt.Errorf("%w: overlap: want 0 to 7 days", ErrInvalid)
	}
	if secret, err = channel.NewSecret(); err != nil {
		return "", until, err
	}
	until = n.o.Now().Add(overlap)
	var r *storagepb.SubscriptionRecord
	err = n.o.Store.Update(ctx, func(tx *store.Tx) error {
		var err error
		if r, err = tx.Subscription(id); err != nil {
			return err
		}
		if r.GetDefinition().GetReceiver().GetKind() != webhook {
			return fmt.Errorf("%w: only webhooks have a key", ErrInvalid)
		}
		old, err := n.o.Vault.Open(SecretPlace(id, secretKey), r.GetSealed()[secretKey])
		if err != nil {
			return err
		}
		r.Sealed[secretFormer], r.OldUntil = n.o.Vault.Seal(SecretPlace(id, secretFormer), old), timestamppb.New(until)
		r.Sealed[secretKey] = n.o.Vault.Seal(SecretPlace(id, secretKey), secret)
		return errors.Join(tx.PutSubscription(r), n.audit(tx, by, "subscription.rotate_secret", id, "the key before signs until "+until.UTC().Format(time.RFC3339)))
	})
	if err != nil {
		return "", until, err
	}
	return secret, until, w.replace(n.opened(r))
}

// replace has a worker go on with a subscription that was changed, or with none
// where that is not possible.
func (w *worker) replace(sub *subscription, err error) error {
	w.mu.Lock()
	before := w.sub
	w.sub, w.problem = sub, ""
	if err != nil {
		w.problem = err.Error()
	}
	w.mu.Unlock()
	if before != nil {
		before.close()
	}
	w.n.count()
	w.wake()
	return err
}

// Reload reads the subscriptions anew that were created through the API, after
// something was taken out of what is stored.
func (n *Notifier) Reload(ctx context.Context) error {
	n.changing.Lock()
	defer n.changing.Unlock()
	var all []*storagepb.SubscriptionRecord
	err := n.o.Store.View(ctx, func(tx *store.Tx) error {
		all = nil
		return tx.ScanSubscriptions(func(r *storagepb.SubscriptionRecord) error {
			all = append(all, r)
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("load the subscriptions: %w", err)
	}
	for _, r := range all {
		w, err := n.worker(r.GetDefinition().GetId())
		if err != nil || n.configured(w.id) != nil {
			continue
		}
		if err := w.replace(n.opened(r)); err != nil {
			n.o.Logger.Error("subscription cannot run", "subscription", w.id, "error", err)
		}
	}
	return nil
}
