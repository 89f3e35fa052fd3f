package catalog

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"

	"github.com/rollcall-itam/rollcall/collector/store"
)

// Verify reads everything that the store holds in one state of it, and calls
// report for each record that cannot be decoded, that refers to one which is
// not there, or that is not what a rebuild would make; of people only the records
// and references are looked at. It changes nothing.
func (c *Catalog) Verify(ctx context.Context, report func(store.Problem)) (store.Counts, error) {
	var counts store.Counts
	err := c.store.View(ctx, func(tx *store.Tx) (err error) {
		if counts, err = tx.Check(ctx, report); err != nil {
			return err
		}
		return c.verifyDerived(ctx, tx, report)
	})
	if err != nil {
		return counts, fmt.Errorf("verify the store: %w", err)
	}
	return counts, nil
}

// derived compares what is derived with what it would be made to.
type derived struct {
	filing *filing
	report func(store.Problem)
	// claims holds what the identifier index should have, as hashes: there are
	// millions.
	claims map[uint64]struct{}
	seed   maphash.Seed
}

func (c *Catalog) verifyDerived(ctx context.Context, tx *store.Tx, report func(store.Problem)) error {
	members, redirects, err := grouped(tx)
	if err != nil {
		report(store.Problem{Record: "assets", Kind: "assets", What: "they cannot be compared with what sources said: " + err.Error()})
		return ctx.Err()
	}
	d := derived{filing: newFiling(c, tx, store.Ref{}), report: report, claims: make(map[uint64]struct{}), seed: maphash.MakeSeed()}
	for id, refs := range members {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := d.asset(id, refs, formerIDs(id, redirects)); err != nil {
			d.say("assets", "asset "+id, "it cannot be made from what its sources said: "+err.Error(), false)
		}
	}
	err = tx.ScanAssetIDs(func(id string) error {
		if _, ok := members[id]; !ok {
			d.say("assets", "asset "+id, "no source says anything about it", true)
		}
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	return tx.ScanClaims(func(key []byte) error {
		if _, ok := d.claims[maphash.Bytes(d.seed, key)]; !ok {
			d.say("identifiers", fmt.Sprintf("identifier %q", key), "the index lists it, and no observation states it", true)
		}
		return ctx.Err()
	})
}

func (d *derived) say(kind, record, what string, derived bool) {
	d.report(store.Problem{Record: record, Kind: kind, What: what, Derived: derived})
}

// asset compares one asset and its entries in the index. The error is of what
// it is made from.
func (d *derived) asset(id string, refs []store.Ref, redirects []string) error {
	var parts []part
	for _, ref := range refs {
		p, err := d.filing.load(ref)
		if err != nil {
			return err
		}
		parts = append(parts, p)
		for _, k := range slices.Concat(p.claim.Keys, p.claim.Weak) {
			key, listed, err := d.filing.tx.Claims(k.Identifier(), ref)
			if err != nil {
				return err
			}
			d.claims[maphash.Bytes(d.seed, key)] = struct{}{}
			if !listed {
				d.say("identifiers", fmt.Sprintf("identifier %q", key), "an observation states it, and the index does not list it", true)
			}
		}
	}
	a, outlook, err := d.filing.merged(id, redirects, parts)
	if err != nil {
		return err
	}
	same, err := d.filing.tx.SameAsset(a)
	// Whose word counts may depend on who was heard of lately: such an asset is
	// looked at again on its own, and may be behind for a while.
	waits := len(outlook.silent) > 0 || !outlook.due.IsZero()
	if err != nil || (!same && !waits) {
		d.say("assets", "asset "+id, "it is not what its sources say", true)
	}
	return nil
}
