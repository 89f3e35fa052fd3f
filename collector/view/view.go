// Package view keeps in memory what is asked of all assets at once, so that
// nobody scans the store to count them.
package view

import (
	"context"
	"fmt"
	"sync"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Group is what assets are counted by; an empty field is not stated.
type Group struct {
	Class, OSFamily, Stage string
}

// View follows the catalog. It is safe for use by several goroutines.
type View struct {
	mu   sync.RWMutex
	rows map[string]row
	// groups holds the count of each group that has an asset; rows share its
	// strings, so that a row costs no copy of them.
	groups map[Group]*members
	size   int
}

type row struct {
	sequence uint64
	// in is nil for an asset that is no more: a change that was overtaken by
	// its end must not bring it back.
	in *members
}

type members struct {
	group Group
	count int
}

// New returns an empty view.
func New() *View {
	return &View{rows: make(map[string]row), groups: make(map[Group]*members)}
}

// Load adds the assets that are stored. Changes that Apply hears of meanwhile
// are newer and win.
func (v *View) Load(ctx context.Context, st *store.Store) error {
	err := st.View(ctx, func(tx *store.Tx) error {
		return tx.ScanAssets("", func(a *pb.Asset) error {
			v.mu.Lock()
			defer v.mu.Unlock()
			if _, known := v.rows[a.GetId()]; !known {
				v.put(a.GetId(), 0, a)
			}
			return ctx.Err()
		})
	})
	if err != nil {
		return fmt.Errorf("count the assets: %w", err)
	}
	return nil
}

// Apply takes in a change of the catalog; one that is outdated changes nothing.
func (v *View) Apply(c catalog.Change) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if c.Kind != catalog.Software && v.rows[c.AssetID].sequence < c.Sequence {
		v.put(c.AssetID, c.Sequence, c.Asset)
	}
}

func (v *View) put(id string, sequence uint64, a *pb.Asset) {
	if before := v.rows[id].in; before != nil {
		v.size--
		if before.count--; before.count == 0 {
			delete(v.groups, before.group)
		}
	}
	now := row{sequence: sequence}
	if a != nil {
		now.in = v.members(Group{Class: a.GetClass(), OSFamily: a.GetOs().GetFamily(), Stage: a.GetStage()})
		now.in.count++
		v.size++
	}
	v.rows[id] = now
}

func (v *View) members(g Group) *members {
	m, ok := v.groups[g]
	if !ok {
		m = &members{group: g}
		v.groups[g] = m
	}
	return m
}

// Len returns the number of assets.
func (v *View) Len() int {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.size
}

// Counts returns the number of assets in each group that has any.
func (v *View) Counts() map[Group]int {
	v.mu.RLock()
	defer v.mu.RUnlock()
	out := make(map[Group]int, len(v.groups))
	for g, m := range v.groups {
		out[g] = m.count
	}
	return out
}
