package catalog

import (
	"errors"
	"fmt"
	"time"

	"github.com/rollcall-itam/rollcall/collector/merge"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// hostOf is the machine that lists a thing.
func hostOf(by *storagepb.ListedBy) store.Ref {
	return store.Ref{Source: string(by.GetSource()), ID: string(by.GetSourceId())}
}

// lastListing is when a machine last listed a thing.
func (c *Catalog) lastListing(tx *store.Tx, by *storagepb.ListedBy) (time.Time, error) {
	if !by.GetListed() {
		return by.GetLast().AsTime(), nil
	}
	host := hostOf(by)
	head, err := tx.Head(host)
	if err != nil {
		return time.Time{}, fmt.Errorf("the machine %s that lists it: %w", host, err)
	}
	last := head.GetObservedAt().AsTime()
	if at, ok := c.LastSeen(host); ok && at.After(last) {
		return at, nil
	}
	return last, nil
}

// listed returns when a machine last listed a thing, and what merging needs to
// know of that.
func (f *filing) listed(by *storagepb.ListedBy) (time.Time, *merge.Listing, error) {
	last, err := f.catalog.lastListing(f.tx, by)
	if err != nil {
		return last, nil, err
	}
	member, err := f.tx.Member(hostOf(by))
	if err != nil {
		return last, nil, fmt.Errorf("the machine %s that lists it: %w", hostOf(by), err)
	}
	return last, &merge.Listing{AssetID: member.GetAssetId(), Listed: by.GetListed()}, nil
}

// declareParts makes the source known once something is filed under it.
func (f *filing) declareParts() error {
	_, err := f.tx.Source(Parts)
	if errors.Is(err, store.ErrNotFound) {
		return f.tx.PutSource(&storagepb.SourceRecord{Id: Parts, Kind: merge.KindHost, Title: "What is attached to machines"})
	}
	return err
}

// beside is a filing of another record in the same transaction, by the same cause.
func (f *filing) beside(ref store.Ref) *filing {
	g := newFiling(f.catalog, f.tx, ref)
	g.cause, g.because, g.quiet, g.redact, g.rows = f.cause, f.because, f.quiet, f.redact, -1
	return g
}

// take takes over what a filing beside this one brought about.
func (f *filing) take(g *filing, err error) error {
	f.changes, f.outlooks = append(f.changes, g.changes...), append(f.outlooks, g.outlooks...)
	f.moved, f.gone = append(f.moved, g.moved...), append(f.gone, g.gone...)
	return err
}

// withdrawParts withdraws what a machine listed together with its record.
func (f *filing) withdrawParts(host part) error {
	for _, held := range host.head.GetParts() {
		ref := partRef(held.GetId())
		g := f.beside(ref)
		p, err := g.load(ref)
		if err != nil {
			return err
		}
		if err := f.take(g, g.withdraw(p)); err != nil {
			return err
		}
		f.gone = append(f.gone, ref)
	}
	return nil
}

// reattach brings what is attached to machines up to date that became part of
// another asset.
func (f *filing) reattach() error {
	for _, host := range f.moved {
		for _, held := range host.head.GetParts() {
			member, err := f.tx.Member(partRef(held.GetId()))
			if errors.Is(err, store.ErrNotFound) {
				continue // it was withdrawn with the machine
			}
			if err == nil {
				err = f.remerge(member.GetAssetId())
			}
			if err != nil {
				return fmt.Errorf("what is attached to %s: %w", host.ref, err)
			}
		}
	}
	return nil
}

// Attached returns what is attached to a machine, or was last and to no other
// since: the assets whose attached_to it is, without the times of Date. a must
// hold its sources.
func (c *Catalog) Attached(tx *store.Tx, a *pb.Asset) ([]*pb.Asset, error) {
	var out []*pb.Asset
	seen := make(map[string]bool)
	for _, s := range a.GetSources() {
		head, err := tx.Head(store.Ref{Source: s.GetSource(), ID: s.GetSourceId()})
		if err != nil {
			return nil, fmt.Errorf("head of a source of asset %s: %w", a.GetId(), err)
		}
		for _, held := range head.GetParts() {
			member, err := tx.Member(partRef(held.GetId()))
			if err != nil {
				return nil, fmt.Errorf("what is attached to asset %s: %w", a.GetId(), err)
			}
			if seen[member.GetAssetId()] {
				continue
			}
			seen[member.GetAssetId()] = true
			thing, err := tx.Asset(member.GetAssetId())
			if err != nil {
				return nil, fmt.Errorf("what is attached to asset %s: %w", a.GetId(), err)
			}
			if thing.GetAttachedTo().GetAssetId() == a.GetId() {
				out = append(out, thing)
			}
		}
	}
	return out, nil
}
