// Package feedtest holds every feed to what the runner and the record rely on,
// against fake systems that speak the vendors' protocols.
package feedtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Record is a feed.Sink and a feed.State that keep everything in memory.
type Record struct {
	mu      sync.Mutex
	held    map[string]*pb.Observation
	state   map[string][]byte
	Accepts int
	Swept   int
	// OnAccept, if not nil, may refuse an observation.
	OnAccept func(*pb.Observation) error
}

// NewRecord returns an empty record.
func NewRecord() *Record {
	return &Record{held: make(map[string]*pb.Observation), state: make(map[string][]byte)}
}

// AcceptAll implements feed.Sink.
func (r *Record) AcceptAll(ctx context.Context, all []*pb.Observation) []error {
	errs := make([]error, len(all))
	for i, o := range all {
		errs[i] = r.accept(ctx, o)
	}
	return errs
}

func (r *Record) accept(ctx context.Context, o *pb.Observation) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.OnAccept != nil {
		if err := r.OnAccept(o); err != nil {
			return err
		}
	}
	r.Accepts++
	r.held[o.GetSource()+" "+o.GetSourceId()] = o
	return nil
}

// Withdraw implements feed.Sink.
func (r *Record) Withdraw(_ context.Context, source, id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.held, source+" "+id)
	return nil
}

// ErrTooMany is returned by Sweep where too much would go.
var ErrTooMany = errors.New("too much would be withdrawn")

// Forget implements feed.State.
func (r *Record) Forget(_ context.Context, begin string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.state, func(key string, _ []byte) bool { return strings.HasPrefix(key, begin) })
	return nil
}

// Sweep implements feed.Sink.
func (r *Record) Sweep(_ context.Context, source string, keep func(string) bool, share float64) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var gone []string
	all := 0
	for key, o := range r.held {
		if o.GetSource() != source {
			continue
		}
		if all++; !keep(o.GetSourceId()) {
			gone = append(gone, key)
		}
	}
	if float64(len(gone)) > share*float64(all) {
		return 0, fmt.Errorf("%w: %d of %d", ErrTooMany, len(gone), all)
	}
	for _, key := range gone {
		delete(r.held, key)
	}
	r.Swept += len(gone)
	return len(gone), nil
}

// Get implements feed.State.
func (r *Record) Get(_ context.Context, key string) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state[key], nil
}

// Put implements feed.State.
func (r *Record) Put(_ context.Context, key string, value []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(value) > 900<<10 {
		return fmt.Errorf("%s has %d bytes", key, len(value))
	}
	if value == nil {
		delete(r.state, key)
		return nil
	}
	r.state[key] = value
	return nil
}

// IDs returns what is held, sorted.
func (r *Record) IDs() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var ids []string
	for _, o := range r.held {
		ids = append(ids, o.GetSourceId())
	}
	slices.Sort(ids)
	return ids
}

// Observations returns what is held, by id.
func (r *Record) Observations() map[string]*pb.Observation {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make(map[string]*pb.Observation)
	for o := range maps.Values(r.held) {
		all[o.GetSourceId()] = o
	}
	return all
}

// StateSize returns the number of keys that feeds keep.
func (r *Record) StateSize() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.state)
}

// Clock is a time that passes only as it is waited for.
type Clock struct {
	mu     sync.Mutex
	now    time.Time
	waited time.Duration
}

// NewClock returns a clock that stands at a time of late 2026.
func NewClock() *Clock { return &Clock{now: time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)} }

// Now returns the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Wait lets a time pass at once.
func (c *Clock) Wait(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d > 0 {
		c.now = c.now.Add(d)
		c.waited += d
	}
	return ctx.Err()
}

// Waited returns for how long was waited in all.
func (c *Clock) Waited() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.waited
}
