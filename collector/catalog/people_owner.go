package catalog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/identity"
	"github.com/rollcall-itam/rollcall/collector/merge"
	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// maxOwned is how many assets of one address are brought up to date with a
// change of the person, in the one transaction: who has more is no person, and
// the others follow with their next change.
const maxOwned = 500

// ownerAddress returns the address that an asset is assigned to in the form in
// which it is compared, empty for none.
func ownerAddress(a *pb.Asset) string {
	if a.GetOwner().GetEmail() == "" {
		return ""
	}
	k, ok := identity.PersonKey(identity.Email, "", a.GetOwner().GetEmail())
	if !ok {
		return ""
	}
	return k.Value
}

// own lets an asset say of its owner what is known of that person.
func (f *filing) own(a *pb.Asset) error {
	address := ownerAddress(a)
	if address == "" {
		return nil
	}
	p, err := f.tx.PersonByKey(identity.Key{Kind: identity.Email, Value: address}.Identifier(), identity.MaxClaimants)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("owner of asset %s: %w", a.GetId(), err)
	}
	merge.Own(a, p)
	return nil
}

// noteOwner brings up to date which assets are assigned to an address.
func (f *filing) noteOwner(assetID string, before, now *pb.Asset) error {
	was, is := ownerAddress(before), ownerAddress(now)
	if was == is {
		return nil
	}
	if was != "" {
		if err := f.tx.DeleteOwned(was, assetID); err != nil {
			return err
		}
	}
	if is == "" {
		return nil
	}
	return f.tx.PutOwned(is, assetID)
}

// sameOwner tells whether an asset says the same of both as of its owner, and
// on whose word.
func sameOwner(a, b *adminpb.Person) bool {
	if a == nil || b == nil || !proto.Equal(merge.OwnerOf(a), merge.OwnerOf(b)) {
		return false
	}
	for _, field := range []string{"name", "department", "cost_center", "manager", "title", "status"} {
		if !proto.Equal(a.GetProvenance()[field], b.GetProvenance()[field]) {
			return false
		}
	}
	return true
}

// reown merges the assets anew that are assigned to people of a crowd, if what
// an asset says of its owner may have changed.
func (f *filing) reown(c *crowd) error {
	if !f.owners {
		return nil
	}
	done := make(map[string]bool)
	for _, k := range slices.SortedFunc(maps.Keys(c.keys), func(a, b identity.Key) int { return strings.Compare(a.Value, b.Value) }) {
		if k.Kind != identity.Email {
			continue
		}
		ids, err := f.tx.Owned(k.Value, "", maxOwned)
		if err != nil {
			return err
		}
		if len(ids) == maxOwned {
			f.catalog.log.Warn("more assets are assigned to one address than follow its owner at once", "limit", maxOwned)
		}
		for _, id := range ids {
			if done[id] {
				continue
			}
			done[id] = true
			if err := f.remerge(id); err != nil {
				return err
			}
		}
	}
	return nil
}

// remerge merges the records of an asset as they are held.
func (f *filing) remerge(id string) error {
	refs, redirects, err := f.refs(id)
	if err != nil {
		return err
	}
	parts := make([]part, len(refs))
	for i, ref := range refs {
		if parts[i], err = f.load(ref); err != nil {
			return err
		}
	}
	return f.put(id, redirects, parts)
}

// ownersIndexed names the note that says that the index of owners is there.
const ownersIndexed = "catalog/owners"

// indexOwners makes the index of owners in a store from before there was one.
func (c *Catalog) indexOwners(ctx context.Context) error {
	type owned struct{ address, asset string }
	var all []owned
	err := c.store.View(ctx, func(tx *store.Tx) error {
		if done, err := tx.Note(ownersIndexed); err != nil || done != nil {
			return err
		}
		return tx.ScanAssets("", func(a *pb.Asset) error {
			if address := ownerAddress(a); address != "" {
				all = append(all, owned{address, a.GetId()})
			}
			return ctx.Err()
		})
	})
	if err != nil {
		return fmt.Errorf("index the owners of assets: %w", err)
	}
	for batch := range slices.Chunk(all, pruneBatch) {
		err := c.store.Update(ctx, func(tx *store.Tx) error {
			for _, o := range batch {
				if err := tx.PutOwned(o.address, o.asset); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("index the owners of assets: %w", err)
		}
	}
	return c.store.Update(ctx, func(tx *store.Tx) error {
		if done, err := tx.Note(ownersIndexed); err != nil || done != nil {
			return err
		}
		return tx.PutNote(ownersIndexed, []byte{1})
	})
}

// headsOf adds when the sources of provenance made their statements, where that
// is not known yet; one that withdrew since has no time.
func headsOf(tx *store.Tx, provenance map[string]*pb.Provenance, observed map[store.Ref]*timestamppb.Timestamp) error {
	for _, p := range provenance {
		ref := store.Ref{Source: p.GetSource(), ID: p.GetSourceId()}
		if _, ok := observed[ref]; ok {
			continue
		}
		h, err := tx.Head(ref)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		observed[ref] = h.GetObservedAt()
	}
	return nil
}
