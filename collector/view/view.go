// Package view keeps in memory what is asked of all assets at once, so that
// nobody scans the store to count, filter, sort or find them.
package view

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/expr"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// View follows the catalog. It is safe for use by several goroutines.
//
// Assets are rows of columns, one for each field; a column holds numbers of the
// distinct values of its field. Who asks gets a snapshot, for which the columns
// are copied where they change afterwards, a chunk at a time: a question that
// takes long keeps nobody waiting and sees one state.
type View struct {
	schema  *schema
	store   *store.Store
	catalog *catalog.Catalog
	plans   *planner
	// findings makes plans of filters on findings.
	findings *planner

	mu sync.Mutex
	// epoch grows with each snapshot that is taken.
	epoch uint64
	last  *Snapshot
	table
	dictionaries []*dictionary
	// encoded and values are reused from one asset to the next.
	encoded []byte
	values  [][]byte

	assets map[string]place
	free   []uint32
	refs   map[store.Ref]sourceAt
	groups map[Group]int

	owners owners
	people *people
	titles titles
	// stale are the rows whose software is to be brought up to date.
	stale      map[uint32]unread
	changed    chan struct{}
	refreshing sync.Mutex
}

// table is what a snapshot has a part in.
type table struct {
	// rows is the number of rows, with those that hold no asset.
	rows    uint32
	size    int
	columns []cow[uint32]
	ids     cow[string]
	// text is what the search looks into, and sketches what that may contain.
	text     cow[string]
	sketches cow[sketch]
	// seen holds when each source of a row was last heard of, in Unix seconds,
	// and latest the last of those.
	seen   cow[[]int64]
	latest cow[int64]
	// software holds the titles of a row, packed.
	software cow[string]
	// postings holds the rows of each title.
	postings cow[*posting]
}

// place is where an asset is.
type place struct {
	sequence uint64
	row      uint32
	// here is false for an asset that is no more: a change that was overtaken by
	// its end must not bring it back.
	here bool
	// group is what it is counted in.
	group Group
	// held says whose software rows count, and which of them the row has.
	held    held
	sources []store.Ref
}

// sourceAt is one source of a row.
type sourceAt struct {
	row   uint32
	index int
}

// New returns an empty view.
func New() *View {
	s := newSchema()
	v := &View{people: newPeople(), schema: s, plans: &planner{schema: s, environment: expr.New}, findings: &planner{schema: s, environment: expr.NewForFindings},
		assets: make(map[string]place), refs: make(map[store.Ref]sourceAt), groups: make(map[Group]int),
		stale: make(map[uint32]unread), changed: make(chan struct{}, 1), titles: newTitles(), values: make([][]byte, len(s.columns)), epoch: 1}
	v.columns = make([]cow[uint32], len(s.columns))
	for range s.columns {
		v.dictionaries = append(v.dictionaries, newDictionary())
	}
	return v
}

// Follow has the view hear of what a catalog files in a store. It is to be
// called once, before the first Accept; Load then adds what is stored already.
func (v *View) Follow(c *catalog.Catalog, st *store.Store) {
	v.catalog, v.store = c, st
	c.OnChange(v.Apply)
	c.OnSeen(v.saw)
	c.OnPersonChange(v.people.apply)
}

// Load adds the assets that are stored. Changes that Apply hears of meanwhile
// are newer and win.
func (v *View) Load(ctx context.Context, st *store.Store) error {
	err := st.View(ctx, func(tx *store.Tx) error {
		return tx.ScanAssets("", func(a *pb.Asset) error {
			v.mu.Lock()
			_, known := v.assets[a.GetId()]
			if !known {
				v.put(a.GetId(), 0, a)
			}
			v.mu.Unlock()
			return ctx.Err()
		})
	})
	if err != nil {
		return fmt.Errorf("load the assets into memory: %w", err)
	}
	if err := v.people.load(ctx, st); err != nil {
		return err
	}
	return v.refresh(ctx)
}

// Apply takes in a change of the catalog; one that is outdated changes nothing.
func (v *View) Apply(c catalog.Change) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if c.Kind == catalog.Software {
		if at, ok := v.refs[c.Ref]; ok && v.assets[v.ids.get(at.row)].held.ref == c.Ref {
			v.stepSoftware(at.row, c.Step)
		}
		return
	}
	if v.assets[c.AssetID].sequence < c.Sequence {
		v.put(c.AssetID, c.Sequence, c.Asset)
	}
}

// saw takes in that a source was heard of.
func (v *View) saw(ref store.Ref, at time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	where, ok := v.refs[ref]
	if !ok {
		return
	}
	times := v.seen.get(where.row)
	if where.index < len(times) && at.Unix() > times[where.index] {
		times = append([]int64(nil), times...)
		times[where.index] = at.Unix()
		v.see(where.row, times)
	}
}

// see sets when the sources of a row were heard of.
func (v *View) see(row uint32, times []int64) {
	var latest int64
	for _, t := range times {
		latest = max(latest, t)
	}
	v.change()
	v.seen.set(row, times, v.epoch)
	if v.latest.get(row) != latest {
		v.latest.set(row, latest, v.epoch)
	}
}

// change notes that what is held is no longer what the last snapshot shows.
func (v *View) change() { v.last = nil }

// Len returns the number of assets.
func (v *View) Len() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.size
}

// Group is what assets are counted by; an empty field is not stated.
type Group struct {
	Class, OSFamily, Stage string
}

// Counts returns the number of assets in each group that has any. It costs the
// same however many assets there are.
func (v *View) Counts() map[Group]int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return maps.Clone(v.groups)
}
