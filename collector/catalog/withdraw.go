package catalog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rollcall-itam/rollcall/collector/identity"
	"github.com/rollcall-itam/rollcall/collector/store"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// ErrImplausible is returned by Sweep when more would be withdrawn than is
// plausible.
var ErrImplausible = errors.New("implausibly much is missing")

// Withdraw takes back what a source said about one thing, as if it had never
// said it; what was said of the assets stays in their history. The error wraps
// store.ErrNotFound where nothing is held.
func (c *Catalog) Withdraw(ctx context.Context, ref store.Ref) error {
	return c.withdraw(ctx, ref, time.Time{})
}

// withdraw does so unless the source said something after a time, zero for
// whenever.
func (c *Catalog) withdraw(ctx context.Context, ref store.Ref, at time.Time) error {
	taken := false
	_, err := c.update(ctx, ref, func(f *filing) error {
		taken = false
		if ref.Source == Parts {
			return fmt.Errorf("%w: it follows what a machine lists: withdraw the machine's record, or have it report", ErrInvalid)
		}
		p, err := f.load(ref)
		if err != nil {
			return err
		}
		if !at.IsZero() && p.head.GetObservedAt().AsTime().After(at) {
			return nil
		}
		taken = true
		if p.o.GetPerson() != nil {
			return f.withdrawPerson(p)
		}
		return f.withdraw(p)
	})
	if err != nil {
		return fmt.Errorf("withdraw observation %s: %w", ref, err)
	}
	if taken {
		c.forget(ref)
	}
	return nil
}

func (f *filing) withdraw(p part) error {
	if err := f.withdrawParts(p); err != nil {
		return err
	}
	if err := f.claim(p.claim, identity.Claim{}); err != nil {
		return err
	}
	if err := f.anchorElsewhere(p); err != nil {
		return err
	}
	if err := errors.Join(f.tx.DeleteObservation(p.ref), f.tx.DeleteMember(p.ref), f.tx.DeleteLastSeen(p.ref)); err != nil {
		return err
	}
	c := newComponent(f)
	if err := errors.Join(c.visitKeys(p.claim.Keys), c.visitSpoken(p.ref), c.visitAsset(p.member.GetAssetId())); err != nil {
		return err
	}
	if err := c.complete(); err != nil {
		return err
	}
	if err := f.assign(c); err != nil {
		return err
	}
	return f.endIfEmpty(p.member.GetAssetId(), c)
}

// endIfEmpty ends an asset that none of the records is part of any more. Where
// its last members went elsewhere they already took its id along.
func (f *filing) endIfEmpty(id string, c *component) error {
	a, err := f.tx.Asset(id)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, s := range a.GetSources() {
		if _, ok := c.parts[store.Ref{Source: s.GetSource(), ID: s.GetSourceId()}]; ok {
			return nil
		}
	}
	return f.end(id, &storagepb.EventRecord{Kind: Withdrawn})
}

// sweepMinimum is how many may be missing whatever share they are: of three
// devices one may well go.
const sweepMinimum = 5

// Sweep withdraws what a source states and keep denies, after a complete pass
// over the source. It withdraws nothing and returns an ErrImplausible where that
// is more than a share (0 to 1) of what is held: a source that suddenly knows
// half of its devices is more likely broken than right.
func (c *Catalog) Sweep(ctx context.Context, source string, keep func(sourceID string) bool, share float64) (withdrawn int, err error) {
	var gone []store.Ref
	held := 0
	err = c.store.View(ctx, func(tx *store.Tx) error {
		return tx.ScanHeads(source, func(ref store.Ref, _ *storagepb.HeadRecord) error {
			held++
			if !keep(ref.ID) {
				gone = append(gone, ref)
			}
			return ctx.Err()
		})
	})
	if err != nil {
		return 0, fmt.Errorf("sweep source %s: %w", source, err)
	}
	if len(gone) > sweepMinimum && float64(len(gone)) > share*float64(held) {
		return 0, fmt.Errorf("sweep source %s: %w: %d of %d records, and at most %.0f %% may go at once: nothing is withdrawn; if it is right, raise the share for one pass",
			source, ErrImplausible, len(gone), held, share*100)
	}
	for _, ref := range gone {
		if err := c.Withdraw(ctx, ref); err != nil && !errors.Is(err, store.ErrNotFound) {
			return withdrawn, fmt.Errorf("sweep source %s: %w", source, err)
		}
		withdrawn++
	}
	return withdrawn, nil
}
