// Package notify tells receivers outside what happens to findings and assets: who
// subscribes to what, when a message goes out, and what becomes of one that is not
// taken.
package notify

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/expr"
	"github.com/rollcall-itam/rollcall/collector/notify/channel"
	"github.com/rollcall-itam/rollcall/collector/store"
	"github.com/rollcall-itam/rollcall/collector/watch"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// maxSubscriptions bounds how many there are: each has a goroutine and reads the
// logs for itself.
const maxSubscriptions = 100

// Vault seals secrets for one place, elsewhere they do not open.
type Vault interface {
	Seal(place, secret string) []byte
	Open(place string, sealed []byte) (string, error)
}

// Options are what a Notifier works with.
type Options struct {
	Store   *store.Store
	Catalog *catalog.Catalog
	Changes *watch.Log
	// Title returns what a rule is about, empty for one that is not known.
	Title func(rule string) string
	Vault Vault
	// Mail is the server that takes e-mail; nil where there is none.
	Mail *channel.MailServer
	// Link is the address of this collector for people, without a slash at its end;
	// empty for none.
	Link string
	// Configured are the subscriptions of the configuration, with their secrets.
	Configured []*adminpb.Subscription
	Logger     *slog.Logger
	Now        func() time.Time
	// After returns a channel on which something comes after a time, and what ends
	// that early.
	After func(time.Duration) (<-chan time.Time, func())
	// Metrics gets the counts of messages; nil registers none.
	Metrics prometheus.Registerer
}

// Notifier tells receivers what happens. It is safe for use by several goroutines.
type Notifier struct {
	o                    Options
	assetEnv, findingEnv *expr.Env
	metrics              *metrics
	findings             signal
	// following tells whether any subscription is about findings. It is asked inside
	// of transactions, and so takes no lock.
	following atomic.Bool

	// changing lets one change of subscriptions happen at a time.
	changing sync.Mutex
	// mu guards what follows.
	mu      sync.Mutex
	workers map[string]*worker
	running map[string]running
	// start has a worker run; nil before Run and after it.
	start func(*worker) running
}

// running is a worker that runs: stop has it end, and done is closed once it has.
type running struct {
	stop func()
	done chan struct{}
}

// Open makes the subscriptions ready that there are. One that cannot run is told
// in the log and in its status, and keeps none of the others from running.
func Open(ctx context.Context, o Options) (*Notifier, error) {
	n := &Notifier{o: o, workers: make(map[string]*worker), running: make(map[string]running), findings: signal{c: make(chan struct{})}}
	n.metrics = newMetrics(n, o.Metrics)
	var err error
	if n.assetEnv, err = expr.New(); err != nil {
		return nil, err
	}
	if n.findingEnv, err = expr.NewForFindings(); err != nil {
		return nil, err
	}
	for _, d := range o.Configured {
		if n.workers[d.GetId()] != nil {
			return nil, fmt.Errorf("notifications: there are two subscriptions %q", d.GetId())
		}
		sub, err := n.compile(d, former{})
		if err != nil {
			return nil, fmt.Errorf("notifications: subscription %q: %w", d.GetId(), err)
		}
		n.workers[d.GetId()] = n.newWorker(d.GetId(), sub)
	}
	if err := n.load(ctx); err != nil {
		return nil, fmt.Errorf("load the subscriptions: %w", err)
	}
	n.count()
	return n, nil
}

func (n *Notifier) newWorker(id string, sub *subscription) *worker {
	return &worker{n: n, id: id, sub: sub, poke: make(chan struct{}, 1), retrying: make(map[string]bool)}
}

// load reads the subscriptions that were created through the API, and how far all
// have come. What is kept of subscriptions that are no more is dropped.
func (n *Notifier) load(ctx context.Context) error {
	end, err := n.end(ctx)
	if err != nil {
		return err
	}
	return n.o.Store.Update(ctx, func(tx *store.Tx) error {
		err := tx.ScanSubscriptions(func(r *storagepb.SubscriptionRecord) error {
			n.loadOne(r)
			return nil
		})
		if err != nil {
			return err
		}
		states := make(map[string]*storagepb.SubscriptionState)
		err = tx.ScanSubscriptionStates(func(s *storagepb.SubscriptionState) error {
			states[s.GetId()] = s
			return nil
		})
		if err != nil {
			return err
		}
		for id := range states {
			if n.workers[id] == nil {
				n.o.Logger.Info("subscription is no more: how far it came is forgotten", "subscription", id)
				if err := tx.DeleteSubscription(id); err != nil {
					return err
				}
			}
		}
		for id, w := range n.workers {
			if err := loadState(tx, w, states[id], end.changes); err != nil {
				return err
			}
		}
		return nil
	})
}

func (n *Notifier) loadOne(r *storagepb.SubscriptionRecord) {
	id := r.GetDefinition().GetId()
	if n.configured(id) != nil {
		n.o.Logger.Warn("subscription stands in the configuration and was created through the API too: the configuration holds", "subscription", id)
		return
	}
	sub, err := n.opened(r)
	w := n.newWorker(id, sub)
	if err != nil {
		w.problem = err.Error()
		n.o.Logger.Error("subscription cannot run", "subscription", id, "error", err)
	}
	n.workers[id] = w
}

// loadState gives a worker its state, or one that begins now. Of a log in which a
// subscription has no interest it is at the end, should it have one later.
func loadState(tx *store.Tx, w *worker, held *storagepb.SubscriptionState, changes uint64) error {
	findings, err := tx.LastFindingChange()
	if err != nil {
		return err
	}
	now := &storagepb.SubscriptionState{Id: w.id, Changes: changes, Findings: findings}
	if held != nil {
		now = proto.CloneOf(held)
		if w.sub != nil && w.sub.assets == nil && now.GetPending() == nil {
			now.Changes = changes
		}
		if w.sub != nil && w.sub.findings == nil && now.GetPending() == nil {
			now.Findings = findings
		}
	}
	w.state = now
	waiting, err := letters(tx, w.id)
	for _, l := range waiting {
		if l.GetRetry() {
			w.retrying[l.GetId()] = true
		}
	}
	if err != nil || proto.Equal(held, now) {
		return err
	}
	return tx.PutSubscriptionState(now)
}

// configured returns a subscription of the configuration, nil for none.
func (n *Notifier) configured(id string) *adminpb.Subscription {
	i := slices.IndexFunc(n.o.Configured, func(d *adminpb.Subscription) bool { return d.GetId() == id })
	if i < 0 {
		return nil
	}
	return n.o.Configured[i]
}

// Run tells the receivers what happens until ctx ends.
func (n *Notifier) Run(ctx context.Context) error {
	var all sync.WaitGroup
	n.mu.Lock()
	n.start = func(w *worker) running {
		ctx, stop := context.WithCancel(ctx)
		done := make(chan struct{})
		all.Go(func() {
			defer close(done)
			defer stop()
			w.run(ctx)
		})
		return running{stop, done}
	}
	for id, w := range n.workers {
		n.running[id] = n.start(w)
	}
	n.mu.Unlock()
	<-ctx.Done()
	n.mu.Lock()
	n.start = nil
	n.mu.Unlock()
	all.Wait()
	for _, w := range n.all() {
		if _, sub := w.look(); sub != nil {
			sub.close()
		}
	}
	return nil
}

// add has a worker run among the others.
func (n *Notifier) add(w *worker) {
	defer n.count()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.workers[w.id] = w
	if n.start != nil {
		n.running[w.id] = n.start(w)
	}
}

// remove ends a worker, and returns once it has.
func (n *Notifier) remove(id string) {
	n.mu.Lock()
	w, r := n.workers[id], n.running[id]
	delete(n.workers, id)
	delete(n.running, id)
	n.mu.Unlock()
	if r.stop != nil {
		r.stop()
		<-r.done
	}
	n.count()
	if w == nil {
		return
	}
	if _, sub := w.look(); sub != nil {
		sub.close()
	}
}

// all returns the workers.
func (n *Notifier) all() []*worker {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := make([]*worker, 0, len(n.workers))
	for _, id := range sortedKeys(n.workers) {
		out = append(out, n.workers[id])
	}
	return out
}

// FollowsFindings tells whether any subscription is about findings.
func (n *Notifier) FollowsFindings() bool { return n.following.Load() }

// count looks whether any subscription is about findings; of one that cannot run
// that is not known.
func (n *Notifier) count() {
	n.following.Store(slices.ContainsFunc(n.all(), func(w *worker) bool {
		_, sub := w.look()
		return sub == nil || sub.findings != nil
	}))
}

// FindingsTold hears that the log of findings has grown.
func (n *Notifier) FindingsTold() { n.findings.raise() }

// end returns the ends of the logs; that of findings is found by reading it.
func (n *Notifier) end(ctx context.Context) (place, error) {
	changes, err := n.o.Changes.End(ctx)
	return place{changes, math.MaxUint64 - 1}, err
}

func (n *Notifier) audit(tx *store.Tx, by, action, id, detail string) error {
	return tx.AppendAudit(&storagepb.AuditRecord{At: timestamppb.New(n.o.Now()), Actor: by, Action: action, Target: id, Detail: detail})
}

// newID makes the id of a message.
func newID() (string, error) {
	b := make([]byte, 15)
	if _, err := rand.Read(b); err != nil {
		return "", fmt.Errorf("make the id of a message: %w", err)
	}
	return "msg_" + strings.ToLower(base32.StdEncoding.EncodeToString(b)), nil
}

// signal tells those who wait that something has happened.
type signal struct {
	mu    sync.Mutex
	count uint64
	c     chan struct{}
}

func (s *signal) raise() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	close(s.c)
	s.c = make(chan struct{})
}

// now returns how often it was raised.
func (s *signal) now() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

// after returns a channel that is closed once it is raised more often.
func (s *signal) after(count uint64) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count > count {
		now := make(chan struct{})
		close(now)
		return now
	}
	return s.c
}

// Errors about a subscription that is asked for.
var (
	ErrUnknown = errors.New("there is no such subscription")
	// ErrTaken is wrapped where there is one of that id already.
	ErrTaken = errors.New("there is a subscription of this id already")
	// ErrConfigured is wrapped by errors about subscriptions of the configuration.
	ErrConfigured = errors.New("this subscription stands in the collector's configuration: change it there, under notifications, and restart the collector")
)
