package catalog

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/rollcall-itam/rollcall/collector/store"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// RebuildStats tells what a rebuild found.
type RebuildStats struct {
	Observations, Assets, People int
}

// rebuildBatch bounds the deletions of one transaction, and rebuildWriters is
// how many assets are made at once, so that the engine has groups to commit.
const (
	rebuildBatch   = 2000
	rebuildWriters = 64
)

// Rebuild recreates everything that is derived from what sources said: it
// gives the same bytes as were there before, unless they were damaged. No other
// use of the store may be made meanwhile. One that is interrupted leaves a note:
// the collector does it again when it starts.
func (c *Catalog) Rebuild(ctx context.Context) (RebuildStats, error) {
	var stats RebuildStats
	for done := false; !done; {
		err := c.store.Update(ctx, func(tx *store.Tx) (err error) {
			done, err = tx.DropDerived(rebuildBatch)
			return errors.Join(err, tx.RebuildBegins())
		})
		if err != nil {
			return stats, fmt.Errorf("rebuild: drop what is derived: %w", err)
		}
	}
	var members map[string][]store.Ref
	var redirects map[string][]string
	err := c.store.View(ctx, func(tx *store.Tx) (err error) {
		members, redirects, err = grouped(tx)
		return err
	})
	if err != nil {
		return stats, fmt.Errorf("rebuild: read what is true: %w", err)
	}
	for _, refs := range members {
		stats.Observations += len(refs)
	}
	// People come first: assets tell of their owners what is known of them.
	n, err := c.rebuildPeople(ctx, redirects, &stats)
	if err != nil {
		return stats, fmt.Errorf("rebuild: %w", err)
	}
	stats.People = n
	stats.Assets = len(members)
	g, each := errgroup.WithContext(ctx)
	g.SetLimit(max(rebuildWriters, runtime.GOMAXPROCS(0)))
	for id, refs := range members {
		g.Go(func() error { return c.rebuildAsset(each, id, refs, formerIDs(id, redirects)) })
	}
	if err := g.Wait(); err != nil {
		return stats, fmt.Errorf("rebuild: %w", err)
	}
	if err := c.store.Update(ctx, func(tx *store.Tx) error { return tx.Rebuilt() }); err != nil {
		return stats, fmt.Errorf("rebuild: %w", err)
	}
	return stats, nil
}

// grouped returns the observations of each asset, and the ids that lead to each.
func grouped(tx *store.Tx) (members map[string][]store.Ref, redirects map[string][]string, err error) {
	members, redirects = make(map[string][]store.Ref), make(map[string][]string)
	err = tx.ScanMembers(func(ref store.Ref, m *storagepb.MemberRecord) error {
		members[m.GetAssetId()] = append(members[m.GetAssetId()], ref)
		return nil
	})
	return members, redirects, errors.Join(err, tx.ScanRedirects(func(from, to string) error {
		redirects[to] = append(redirects[to], from)
		return nil
	}))
}

// formerIDs returns all ids that lead to id, over any number of redirects.
func formerIDs(id string, redirects map[string][]string) []string {
	var ids []string
	for queue := []string{id}; len(queue) > 0; queue = queue[1:] {
		for _, from := range redirects[queue[0]] {
			if from != id && !slices.Contains(ids, from) {
				ids = append(ids, from)
				queue = append(queue, from)
			}
		}
	}
	slices.Sort(ids)
	return ids
}

func (c *Catalog) rebuildAsset(ctx context.Context, id string, refs []store.Ref, redirects []string) error {
	err := c.store.Update(ctx, func(tx *store.Tx) error {
		f := newFiling(c, tx, store.Ref{})
		f.quiet = true
		var parts []part
		for _, ref := range refs {
			p, err := f.load(ref)
			if err != nil {
				return err
			}
			for _, k := range slices.Concat(p.claim.Keys, p.claim.Weak) {
				if err := tx.Claim(k.Identifier(), ref); err != nil {
					return err
				}
			}
			parts = append(parts, p)
		}
		return f.put(id, redirects, parts)
	})
	if err != nil {
		return fmt.Errorf("asset %s: %w", id, err)
	}
	return nil
}
