package catalog

import (
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/rollcall-itam/rollcall/collector/merge"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// outlook is what may change an asset although no source says anything new.
type outlook struct {
	assetID string
	// due is when to look at it, zero for never.
	due time.Time
	// begins is set where no look is planned yet, or one at a later time.
	begins bool
	// silent are records whose being heard of again may change it; others are the
	// rest of its records.
	silent, others []store.Ref
}

// outlook tells what may change a merged asset that expires at a time, or did;
// zero for never.
func (c *Catalog) outlook(a *pb.Asset, stmts []merge.Statement, expires time.Time) outlook {
	o := outlook{assetID: a.GetId()}
	if a.GetExpiredAt() == nil {
		o.due = expires
	}
	if len(stmts) < 2 && a.GetExpiredAt() == nil {
		return o
	}
	due, silent := c.table.Outlook(stmts, c.now())
	if !due.IsZero() && (o.due.IsZero() || due.Before(o.due)) {
		o.due = due
	}
	for i, s := range stmts {
		ref := store.Ref{Source: s.Observation.GetSource(), ID: s.Observation.GetSourceId()}
		if a.GetExpiredAt() != nil && merge.Repeats(s.Kind) || slices.Contains(silent, i) {
			o.silent = append(o.silent, ref)
			continue
		}
		o.others = append(o.others, ref)
	}
	return o
}

// sameOutlook tells whether the look that is planned for an asset comes in time
// for what it is now: all that is heard of puts the time off.
func sameOutlook(before, now *pb.Asset) bool {
	if len(before.GetSources()) != len(now.GetSources()) || before.GetClass() != now.GetClass() || before.GetStage() != now.GetStage() ||
		before.GetHold().GetReason() != now.GetHold().GetReason() || (before.GetExpiredAt() == nil) != (now.GetExpiredAt() == nil) {
		return false
	}
	for i, s := range now.GetSources() {
		if b := before.GetSources()[i]; b.GetSource() != s.GetSource() || b.GetSourceId() != s.GetSourceId() {
			return false
		}
	}
	return true
}

// heard returns when a source last gave a sign that what it says still holds,
// and for what a machine lists what it says of that. A management system goes on
// listing devices that are long gone: of what it says the device's own last
// check-in counts.
func (f *filing) heard(p part, kind string) (time.Time, *merge.Listing, error) {
	last := p.head.GetLastObserved().AsTime()
	switch {
	case p.head.GetListedBy() != nil:
		return f.listed(p.head.GetListedBy())
	case kind != merge.KindAgent && p.claim.Until.Before(last):
		return p.claim.Until, nil, nil
	}
	if at, ok := f.catalog.LastSeen(p.ref); ok && at.After(last) {
		return at, nil, nil
	}
	return last, nil, nil
}

// upkeep plans when to look at assets again. It is in memory only: what it
// forgets at the end of the program is planned anew at the start.
type upkeep struct {
	mu sync.Mutex
	// planned holds the assets to look at, by the hour; one may stand in several.
	planned map[int64][]uuid.UUID
	// silent are records whose being heard of makes their asset worth a look.
	silent map[store.Ref]uuid.UUID
	woken  map[uuid.UUID]struct{}
}

func newUpkeep() *upkeep {
	return &upkeep{planned: make(map[int64][]uuid.UUID), silent: make(map[store.Ref]uuid.UUID), woken: make(map[uuid.UUID]struct{})}
}

// hour is the first full hour after a time.
func hour(t time.Time) int64 { return t.Unix()/3600 + 1 }

// note takes in the outlooks of assets that were stored.
func (u *upkeep) note(all []outlook) {
	for _, o := range all {
		if !o.begins && len(o.silent)+len(o.others) == 0 {
			continue // alone and as before: most are
		}
		id, err := uuid.Parse(o.assetID)
		if err != nil {
			continue // an asset that was not made here has no upkeep
		}
		u.mu.Lock()
		if o.begins {
			u.plan(id, o.due)
		}
		for _, ref := range o.silent {
			u.silent[ref] = id
		}
		if len(u.silent) > 0 {
			for _, ref := range o.others {
				delete(u.silent, ref)
			}
		}
		u.mu.Unlock()
	}
}

// plan has an asset looked at by a time. The caller holds the lock.
func (u *upkeep) plan(id uuid.UUID, at time.Time) {
	if !at.IsZero() {
		u.planned[hour(at)] = append(u.planned[hour(at)], id)
	}
}

// spread plans a look at each of some assets over the day after a time.
func (u *upkeep) spread(ids []string, begin time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, text := range ids {
		if id, err := uuid.Parse(text); err == nil {
			// The last byte of an id is as good as drawn by lot.
			u.plan(id, begin.Add(time.Duration(id[len(id)-1])*24*time.Hour/256))
		}
	}
}

// again has assets looked at in an hour that could not be looked at now.
func (u *upkeep) again(ids []string, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, text := range ids {
		if id, err := uuid.Parse(text); err == nil {
			u.plan(id, now)
		}
	}
}

// wake has the asset of a record looked at soon that was silent until now.
func (u *upkeep) wake(ref store.Ref) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if id, ok := u.silent[ref]; ok {
		delete(u.silent, ref)
		u.woken[id] = struct{}{}
	}
}

// take returns the assets to look at by now.
func (u *upkeep) take(now time.Time) []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	ids := make(map[uuid.UUID]struct{}, len(u.woken))
	for id := range u.woken {
		ids[id] = struct{}{}
	}
	clear(u.woken)
	for h, planned := range u.planned {
		if h*3600 > now.Unix() {
			continue
		}
		for _, id := range planned {
			ids[id] = struct{}{}
		}
		delete(u.planned, h)
	}
	out := make([]string, 0, len(ids))
	for id := range ids {
		out = append(out, id.String())
	}
	return out
}
