// Package watch tells whoever follows the fleet what happens to assets, in
// order, from the catalog's change log.
package watch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/history"
	"github.com/rollcall-itam/rollcall/collector/scope"
	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// Split is the kind of an asset that came to be because records were parted
// from another one.
const Split = "split"

// Errors of a place in the log.
var (
	// ErrPruned is returned for a place before the oldest event that is kept.
	ErrPruned = errors.New("the log no longer reaches back that far")
	// ErrAhead is returned for a place after the end of the log: the store was
	// put back to an earlier state since.
	ErrAhead = errors.New("the log does not reach that far")
)

// Event is one thing that happened. It is shared and must not be modified.
type Event struct {
	// Sequence is its place in the log.
	Sequence uint64
	// Change has no cursor.
	Change *adminpb.ChangeEvent
	// Was and Is are what decides in which scopes the asset was before the event and
	// is after it; nil where it was not, or is no more.
	Was, Is *pb.Asset
}

// ringSize is how many events are held in memory, for those who are up to date.
const ringSize = 4096

// readAtOnce bounds how many entries one transaction reads.
const readAtOnce = 256

// Log is the change log with what each entry was about. It is safe for use by
// several goroutines, and costs those who wait no more than a channel.
type Log struct {
	store   *store.Store
	reports reports

	// mu guards what was read of the log. ring are the last events, in order; from
	// is the place that they follow, and to that of the last entry that was read,
	// whether it is an event or not.
	mu       sync.Mutex
	loaded   bool
	ring     []*Event
	from, to uint64

	// news guards what is known of the rest, so that nobody who files anything
	// waits for a reader. grown is closed when something happens.
	news   sync.Mutex
	grown  chan struct{}
	closed bool
	// read is the place up to which everybody could have read, and latest that of
	// the latest entry that the log has.
	read, latest uint64
}

// New returns the log of a store.
func New(st *store.Store) *Log {
	return &Log{store: st, grown: make(chan struct{}), reports: reports{all: make(map[*Reports]struct{})}}
}

// Follow has the log hear of what a catalog files. It is to be called once,
// before the first Accept.
func (l *Log) Follow(c *catalog.Catalog) {
	c.OnChange(func(change catalog.Change) { l.wake(change.Sequence) })
	c.OnSeen(l.reports.saw)
}

func (l *Log) wake(sequence uint64) {
	l.news.Lock()
	defer l.news.Unlock()
	waiting := l.latest <= l.read
	if l.latest = max(l.latest, sequence); waiting && !l.closed {
		close(l.grown)
		l.grown = make(chan struct{})
	}
}

// Close ends all waiting, and that of those who come later.
func (l *Log) Close() {
	l.news.Lock()
	defer l.news.Unlock()
	if !l.closed {
		l.closed = true
		close(l.grown)
	}
}

// Closed tells whether Close was called.
func (l *Log) Closed() bool {
	l.news.Lock()
	defer l.news.Unlock()
	return l.closed
}

// Grown returns a channel that is closed once the log may be longer than up to a
// place, or Close is called.
func (l *Log) Grown(place uint64) <-chan struct{} {
	l.news.Lock()
	defer l.news.Unlock()
	if l.latest > place && !l.closed {
		now := make(chan struct{})
		close(now)
		return now
	}
	return l.grown
}

// End returns the place of the last entry.
func (l *Log) End(ctx context.Context) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.catchUp(ctx)
	return l.to, err
}

// Oldest returns the place before the oldest entry that is kept.
func (l *Log) Oldest(ctx context.Context) (at uint64, err error) {
	err = l.store.View(ctx, func(tx *store.Tx) error {
		at, err = tx.PrunedChanges()
		return err
	})
	return at, err
}

// Read returns what happened after a place, and the place to go on from; no
// events and the same place mean that nothing did. Its error may be ErrPruned or
// ErrAhead.
func (l *Log) Read(ctx context.Context, after uint64) ([]*Event, uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.catchUp(ctx); err != nil {
		return nil, after, err
	}
	switch {
	case after > l.to:
		return nil, after, ErrAhead
	case after >= l.from:
		i, found := slices.BinarySearchFunc(l.ring, after, func(e *Event, at uint64) int {
			if e.Sequence < at {
				return -1
			}
			return min(int(e.Sequence-at), 1)
		})
		if found {
			i++
		}
		part := l.ring[i:]
		if len(part) > readAtOnce {
			part = part[:readAtOnce]
			return slices.Clone(part), part[readAtOnce-1].Sequence, nil
		}
		return slices.Clone(part), l.to, nil
	}
	// Whoever is far behind reads for himself, and holds up nobody.
	l.mu.Unlock()
	defer l.mu.Lock()
	return l.scan(ctx, after)
}

// catchUp reads what was appended since.
func (l *Log) catchUp(ctx context.Context) error {
	latest, err := l.end(ctx)
	if err != nil {
		return err
	}
	if latest-l.to > ringSize {
		// Nobody asked for long. What is too old for the ring is left to those who do.
		l.ring, l.from, l.to = nil, latest-readAtOnce, latest-readAtOnce
	}
	for l.to < latest {
		events, to, err := l.scan(ctx, l.to)
		if err != nil {
			return err
		}
		if to == l.to {
			break // it was pruned meanwhile
		}
		l.ring, l.to = append(l.ring, events...), to
		if over := len(l.ring) - ringSize; over > 0 {
			l.from = l.ring[over-1].Sequence
			l.ring = slices.Clone(l.ring[over:])
		}
	}
	l.news.Lock()
	defer l.news.Unlock()
	l.read = l.to
	return nil
}

// Forget drops the events that are held in memory: what they tell is read anew.
func (l *Log) Forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ring, l.from = nil, l.to
}

// end returns the place of the log's last entry.
func (l *Log) end(ctx context.Context) (uint64, error) {
	if !l.loaded {
		err := l.store.View(ctx, func(tx *store.Tx) (err error) {
			l.to, err = tx.LastChange()
			return err
		})
		if err != nil {
			return 0, fmt.Errorf("find the end of the change log: %w", err)
		}
		l.from, l.loaded = l.to, true
	}
	l.news.Lock()
	defer l.news.Unlock()
	l.latest = max(l.latest, l.to)
	return l.latest, nil
}

// scan reads events after a place from the store.
func (l *Log) scan(ctx context.Context, after uint64) (events []*Event, to uint64, err error) {
	to = after
	err = l.store.View(ctx, func(tx *store.Tx) error {
		events, to = nil, after
		pruned, err := tx.PrunedChanges()
		if err != nil {
			return err
		}
		if after < pruned {
			return ErrPruned
		}
		n := 0
		return tx.ScanChanges(after, func(sequence uint64, c *storagepb.ChangeRecord) error {
			if n++; n > readAtOnce {
				return store.Stop
			}
			to = sequence
			e, err := describe(tx, sequence, c)
			if e != nil && !e.dull() {
				events = append(events, e)
			}
			return errors.Join(err, ctx.Err())
		})
	})
	if err != nil && !errors.Is(err, ErrPruned) {
		err = fmt.Errorf("read the change log: %w", err)
	}
	return events, to, err
}

// describe makes an entry of the log an event.
func describe(tx *store.Tx, sequence uint64, c *storagepb.ChangeRecord) (*Event, error) {
	e := &Event{Sequence: sequence, Change: &adminpb.ChangeEvent{At: c.GetAt(), Kind: c.GetKind(), AssetId: c.GetAssetId(), Source: c.GetSource(), SourceId: c.GetSourceId()}}
	now, err := tx.Asset(c.GetAssetId())
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	if now != nil {
		e.Change.AssetName = now.GetName()
		e.Was, e.Is = scope.Part(now), scope.Part(now)
	}
	if c.GetKind() == catalog.Software {
		return e, nil
	}
	record, err := tx.Event(c.GetAssetId(), c.GetAt().AsTime(), sequence)
	if errors.Is(err, store.ErrNotFound) {
		return e, nil // the history is kept for a shorter time than the log
	}
	if err != nil {
		return nil, err
	}
	if err := e.detail(record); err != nil {
		return nil, err
	}
	return e, e.place(tx, now, record)
}

func (e *Event) detail(record *storagepb.EventRecord) error {
	out := e.Change
	out.Source, out.SourceId, out.Into, out.From = record.GetSource(), record.GetSourceId(), record.GetInto(), record.GetFrom()
	if out.Kind = KindOf(record); out.Kind == catalog.Created || out.Kind == Split {
		return nil
	}
	for _, f := range record.GetChanges() {
		if f.GetField() == "name" && out.AssetName == "" {
			before := new(pb.Asset)
			if err := proto.Unmarshal(f.GetOld(), before); err != nil {
				return fmt.Errorf("event of asset %s is damaged: %w", out.GetAssetId(), err)
			}
			out.AssetName = before.GetName()
		}
		if out.Kind == catalog.Changed && !history.Bookkeeping(f.GetField()) {
			out.Fields = append(out.Fields, f.GetField())
		}
	}
	return nil
}

// dull tells whether nothing happened that anybody would want to hear of: only
// where an asset's fields come from changed.
func (e *Event) dull() bool {
	return e.Change.GetKind() == catalog.Changed && len(e.Change.GetFields()) == 0
}

// KindOf returns the kind of an event as users see it.
func KindOf(record *storagepb.EventRecord) string {
	if record.GetKind() == catalog.Created && record.GetFrom() != "" {
		return Split
	}
	return record.GetKind()
}

// reports are those who listen to every contact of a source.
type reports struct {
	mu  sync.Mutex
	all map[*Reports]struct{}
}

// Report tells that a source was heard of.
type Report struct {
	Ref store.Ref
	At  time.Time
	// Missed is how many reports before it were left out.
	Missed int64
}

// reportBuffer is how many reports wait for one listener.
const reportBuffer = 256

// Reports is one who listens.
type Reports struct {
	C      chan Report
	missed int64
}

// Listen returns a listener, which must be handed to Leave.
func (l *Log) Listen() *Reports {
	r := &Reports{C: make(chan Report, reportBuffer)}
	l.reports.mu.Lock()
	defer l.reports.mu.Unlock()
	l.reports.all[r] = struct{}{}
	return r
}

// Leave ends listening.
func (l *Log) Leave(r *Reports) {
	l.reports.mu.Lock()
	defer l.reports.mu.Unlock()
	delete(l.reports.all, r)
}

// saw hands a report on to those who have room for it.
func (x *reports) saw(ref store.Ref, at time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for r := range x.all {
		select {
		case r.C <- Report{Ref: ref, At: at, Missed: r.missed}:
			r.missed = 0
		default:
			r.missed++
		}
	}
}
