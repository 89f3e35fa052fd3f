package compliance

import (
	"container/heap"
	"time"
)

// due is an asset and when to look at it again.
type due struct {
	at time.Time
	id string
}

// dues says when to look at assets again: each stands in it once, with a time at
// or before the one that holds.
type dues struct {
	queue  dueQueue
	queued map[string]time.Time
}

// add has an asset looked at by a time; not at all for the zero time.
func (d *dues) add(id string, at time.Time) {
	if earlier, ok := d.queued[id]; at.IsZero() || ok && !earlier.After(at) {
		return
	}
	if d.queued == nil {
		d.queued = make(map[string]time.Time)
	}
	d.queued[id] = at
	heap.Push(&d.queue, due{at, id})
}

// next returns the earliest time.
func (d *dues) next() (time.Time, bool) {
	if len(d.queue) == 0 {
		return time.Time{}, false
	}
	return d.queue[0].at, true
}

// until takes out the assets whose time has come.
func (d *dues) until(now time.Time) []string {
	var ids []string
	for len(d.queue) > 0 && !d.queue[0].at.After(now) {
		next := heap.Pop(&d.queue).(due)
		if d.queued[next.id].Equal(next.at) {
			delete(d.queued, next.id)
			ids = append(ids, next.id)
		}
	}
	return ids
}

type dueQueue []due

func (q dueQueue) Len() int           { return len(q) }
func (q dueQueue) Less(i, j int) bool { return q[i].at.Before(q[j].at) }
func (q dueQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }

// Push implements heap.Interface.
func (q *dueQueue) Push(x any) { *q = append(*q, x.(due)) }

// Pop implements heap.Interface.
func (q *dueQueue) Pop() any {
	last := len(*q) - 1
	x := (*q)[last]
	*q = (*q)[:last]
	return x
}
