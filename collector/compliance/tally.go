package compliance

import (
	"slices"
	"time"

	"github.com/rollcall-itam/rollcall/collector/policy"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// AgeDays are the bounds of the ages that are counted apart, in days; what is
// older than the last makes one more.
var AgeDays = []int{1, 7, 14, 30, 45, 90}

// Ages is a count for each age: below AgeDays[i], and in the last those above.
type Ages [7]int

// Sum adds up the ages.
func (a Ages) Sum() (n int) {
	for _, x := range a {
		n += x
	}
	return n
}

// StaleAfter is the age of what is known of a device from which its passes count
// as stale: a fleet that falls silent must not look healthy.
const StaleAfter = 14 * 24 * time.Hour

// firstStale is the first age that is stale.
const firstStale = 3

// Stale adds up the ages from StaleAfter on.
func (a Ages) Stale() (n int) {
	for _, x := range a[firstStale:] {
		n += x
	}
	return n
}

// ageOf returns the place of an age among Ages.
func ageOf(d time.Duration) int {
	i := 0
	for i < len(AgeDays) && d >= time.Duration(AgeDays[i])*24*time.Hour {
		i++
	}
	return i
}

// ruleTally is what is counted of one rule.
type ruleTally struct {
	// results are by the age of what is known of the asset, findings by how long
	// they are open.
	results  [4]Ages
	findings [3]Ages
}

// tally counts what the rules say of all assets, so that nobody has to go
// through them to tell.
type tally struct {
	rules []ruleTally
	place map[string]int
	// assets counts those that were judged, by the age of what is known of them,
	// and those of them that have an open finding.
	assets, failing Ages
}

func newTally(rules []*policy.Rule) tally {
	t := tally{rules: make([]ruleTally, len(rules)), place: make(map[string]int, len(rules))}
	for i, r := range rules {
		t.place[r.ID] = i
	}
	return t
}

// results and states are the order in which they are counted.
var (
	results = [4]policy.Result{policy.Pass, policy.Fail, policy.Unknown, policy.NotApplicable}
	states  = [3]State{Open, Acknowledged, Waived}
)

// code is the place of a result among results.
type code uint8

func codeOf(r policy.Result) code { return code(slices.Index(results[:], r)) }

// add counts a judgement n times: 1 puts it in, -1 takes it out again.
func (t *tally) add(j *judgement, n int) {
	if j.results == nil {
		return
	}
	age := ageOf(j.at.Sub(j.seen))
	for i, r := range j.results {
		if i < len(t.rules) {
			t.rules[i].results[r][age] += n
		}
	}
	open := 0
	for _, f := range j.open {
		state := StateOf(f)
		if state != Waived {
			open++
		}
		if i, ok := t.place[f.GetRule()]; ok {
			t.rules[i].findings[slices.Index(states[:], state)][openFor(f, j.at)] += n
		}
	}
	if t.assets[age] += n; open > 0 {
		t.failing[age] += n
	}
}

func openFor(f *storagepb.FindingRecord, at time.Time) int {
	return ageOf(at.Sub(f.GetOpenedAt().AsTime()))
}

// replace puts one judgement in the place of another. The caller holds e.mu.
func (e *Engine) replace(id string, before, after judgement) {
	e.tally.add(&before, -1)
	if after.results == nil {
		delete(e.judged, id)
		return
	}
	e.tally.add(&after, 1)
	e.judged[id] = after
}

// live are the kinds of sources that tell that a device is alive.
var live = []string{"agent", "mdm", "edr"}

// liveSources returns the sources of an asset that tell that it is alive, and
// all where there is none.
func liveSources(a *pb.Asset) []store.Ref {
	var some, all []store.Ref
	for _, s := range a.GetSources() {
		ref := store.Ref{Source: s.GetSource(), ID: s.GetSourceId()}
		if all = append(all, ref); slices.Contains(live, s.GetKind()) {
			some = append(some, ref)
		}
	}
	if len(some) > 0 {
		return some
	}
	return all
}

// lastSeen returns when any of some sources was heard of.
func (e *Engine) lastSeen(refs []store.Ref) (latest time.Time) {
	for _, ref := range refs {
		if at, ok := e.Catalog.LastSeen(ref); ok && at.After(latest) {
			latest = at
		}
	}
	return latest
}

const (
	// ageEvery is how often the ages are looked at. A device that reports nothing
	// new changes nothing else.
	ageEvery = time.Minute
	ageBatch = 5000
)

// age counts judgements anew whose age has become another. It holds the lock
// for some assets at a time.
func (e *Engine) age() {
	e.mu.Lock()
	ids := make([]string, 0, len(e.judged))
	for id := range e.judged {
		ids = append(ids, id)
	}
	e.mu.Unlock()
	for part := range slices.Chunk(ids, ageBatch) {
		now := e.Now()
		e.mu.Lock()
		for _, id := range part {
			j := e.judged[id]
			seen := e.lastSeen(j.alive)
			moved := ageOf(now.Sub(seen)) != ageOf(j.at.Sub(j.seen))
			for _, f := range j.open {
				moved = moved || openFor(f, now) != openFor(f, j.at)
			}
			if j.results != nil && moved {
				after := j
				after.at, after.seen = now, seen
				e.replace(id, j, after)
			}
		}
		e.mu.Unlock()
	}
}
