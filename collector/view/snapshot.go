package view

import (
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Snapshot is the fleet at one moment. It is safe for use by several
// goroutines.
type Snapshot struct {
	table
	schema *schema
	plans  *planner
	view   *View
	// values and dictionaries are those of each column; of dictionaries only the
	// identity is used.
	values       [][]string
	dictionaries []*dictionary
	titles       []*pb.Software
	// part are the rows that may be seen, and partRows the same; nil for all.
	part     set
	partRows *roaring.Bitmap
}

// Snapshot returns the fleet as it is now. The software of assets is at most a
// second old, all else is what was filed last.
func (v *View) Snapshot() *Snapshot {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.snapshot()
}

// snapshot is Snapshot for who holds the lock.
func (v *View) snapshot() *Snapshot {
	if v.last != nil {
		return v.last
	}
	s := &Snapshot{table: v.table, schema: v.schema, plans: v.plans, view: v, dictionaries: slices.Clone(v.dictionaries)}
	s.columns = slices.Clone(v.columns)
	s.values = make([][]string, len(v.dictionaries))
	for i, d := range v.dictionaries {
		s.values[i] = d.values
	}
	v.titles.mu.RLock()
	s.titles = v.titles.rows
	v.titles.mu.RUnlock()
	v.last = s
	v.epoch++ // what is written from now on goes elsewhere
	return s
}

// all returns the rows that hold an asset that may be seen.
func (s *Snapshot) all() set {
	if s.part != nil {
		return slices.Clone(s.part)
	}
	out := newSet(s.rows)
	for first := uint32(0); first < s.rows; first += chunkRows {
		ids := s.ids.rows(first)
		if ids == nil {
			continue
		}
		for i := range uint32(min(chunkRows, s.rows-first)) {
			if ids[i] != "" {
				out.add(first + i)
			}
		}
	}
	return out
}

// addPosting adds the rows that have a title.
func (s *Snapshot) addPosting(to set, title uint32) {
	p := s.postings.get(title)
	if p == nil {
		return
	}
	var rows [512]uint32
	for it := p.rows.ManyIterator(); ; {
		n := it.NextMany(rows[:])
		if n == 0 {
			return
		}
		for _, row := range rows[:n] {
			to.add(row)
		}
	}
}

// titlesLike returns the titles whose names, in lower case, contain a text.
func (s *Snapshot) titlesLike(lower string) []uint32 {
	return s.view.titles.like(lower, len(s.titles))
}
