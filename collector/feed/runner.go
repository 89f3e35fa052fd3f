package feed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// ErrUnknown is wrapped by errors about a feed that there is not, ErrTaken by
// those about one that there is already.
var (
	ErrUnknown = errors.New("there is no feed of that name")
	ErrTaken   = errors.New("there is a feed of that name")
)

// Runner runs feeds on their schedules, each at most once at a time. Feeds may
// come and go while it runs.
type Runner struct {
	o       Options
	metrics *metrics

	mu    sync.Mutex
	feeds map[string]*scheduled
	// launch runs a feed; it is nil while Run does not run.
	launch func(*scheduled)
}

// Wish is what somebody wants of a feed's next pass.
type Wish struct {
	// Full reads everything, not only what changed.
	Full bool
	// AcceptAbsences withdraws what is no longer listed at once, however much it
	// is.
	AcceptAbsences bool
}

// scheduled is one feed of a runner.
type scheduled struct {
	source *source
	board  board

	mu     sync.Mutex
	paused bool
	wish   *Wish
	// called is when to answer a call of the system with a pass, zero for no call;
	// answered is when that was done last.
	called, answered time.Time
	// wake ends the wait for the next pass.
	wake context.CancelFunc
	// stop ends the feed's running, and ended tells that it has; both are nil for
	// one that was not launched.
	stop  context.CancelFunc
	ended chan struct{}
}

// New makes feeds ready; none runs yet. The error tells all that is wrong with
// any of them.
func New(o Options, configs []Config) (*Runner, error) {
	r := &Runner{o: o, metrics: newMetrics(o.Metrics), feeds: make(map[string]*scheduled)}
	var errs []error
	for _, c := range configs {
		errs = append(errs, r.Add(c))
	}
	return r, errors.Join(errs...)
}

// Add makes a further feed ready, and has it run if the others do.
func (r *Runner) Add(c Config) error {
	s, err := open(c, r.o, r.metrics.answered(c.Name))
	if err != nil {
		return err
	}
	f := &scheduled{source: s, paused: c.Paused}
	f.board.status = Status{Name: c.Name, Title: c.Manifest.Title, Kind: c.Manifest.Kind, Paused: c.Paused}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.feeds[c.Name] != nil {
		return fmt.Errorf("%w: %q", ErrTaken, c.Name)
	}
	r.feeds[c.Name] = f
	if r.launch != nil {
		r.launch(f)
	}
	return nil
}

// Remove ends a feed, after the page that it is reading. What it remembers
// stays, for one of that name that is added later: Forget drops it.
func (r *Runner) Remove(ctx context.Context, name string) error {
	r.mu.Lock()
	f := r.feeds[name]
	if f == nil {
		r.mu.Unlock()
		return fmt.Errorf("%w: %q", ErrUnknown, name)
	}
	if f.stop == nil {
		r.drop(f)
		r.mu.Unlock()
		return nil
	}
	f.stop()
	r.mu.Unlock()
	select {
	case <-f.ended:
	case <-ctx.Done():
		return fmt.Errorf("feed %s has not ended yet: %w", name, ctx.Err())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drop(f)
	return nil
}

// drop forgets a feed that does not run.
func (r *Runner) drop(f *scheduled) {
	if name := f.source.Name; r.feeds[name] == f {
		delete(r.feeds, name)
		r.metrics.forget(name)
	}
}

// Config returns how a feed is connected.
func (r *Runner) Config(name string) (Config, error) {
	f := r.feed(name)
	if f == nil {
		return Config{}, fmt.Errorf("%w: %q", ErrUnknown, name)
	}
	return f.source.Config, nil
}

// Forget drops what a feed remembers of its passes. There must be no feed of
// that name any more.
func (r *Runner) Forget(ctx context.Context, name string) error {
	return r.o.State.Forget(ctx, keeper{r.o.State, name}.key(""))
}

// Check tells what is wrong with a feed, without asking its system.
func (r *Runner) Check(c Config) error { return Check(c, r.o) }

// Layout is the function Layout with what the runner works with.
func (r *Runner) Layout(ctx context.Context, c Config) ([]string, error) { return Layout(ctx, c, r.o) }

// Try is the function Try with what the runner works with.
func (r *Runner) Try(ctx context.Context, c Config, limit int) ([]Tried, error) {
	return Try(ctx, c, r.o, limit)
}

// Run runs the feeds until ctx ends and every pass under way has stopped at the
// end of its page.
func (r *Runner) Run(ctx context.Context) error {
	var g errgroup.Group
	r.mu.Lock()
	r.launch = func(f *scheduled) {
		var own context.Context
		own, f.stop = context.WithCancel(ctx)
		f.ended = make(chan struct{})
		g.Go(func() error {
			defer close(f.ended)
			defer f.stop()
			return r.runFeed(own, f)
		})
	}
	for _, f := range r.feeds {
		r.launch(f)
	}
	r.mu.Unlock()
	g.Go(func() error {
		<-ctx.Done()
		r.mu.Lock()
		defer r.mu.Unlock()
		r.launch = nil
		return nil
	})
	return g.Wait()
}

// runFeed runs one feed on its schedule.
func (r *Runner) runFeed(ctx context.Context, f *scheduled) error {
	keep := keeper{r.o.State, f.source.Name}
	m, err := keep.load(ctx)
	if err != nil {
		return err
	}
	r.show(f, m)
	if now := r.o.Now(); !m.Next.After(now) {
		m.Next = now.Add(spread(startSpread))
	}
	for {
		wish, err := r.await(ctx, f, m.Next)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		m.FullDue = m.FullDue || wish.Full || wish.AcceptAbsences
		if err := r.pass(ctx, f, &m, wish.AcceptAbsences); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// Once runs a feed at once, outside any schedule, and returns how it fared. It
// is not to be called while Run runs.
func (r *Runner) Once(ctx context.Context, name string, w Wish) (Status, error) {
	f := r.feed(name)
	if f == nil {
		return Status{}, fmt.Errorf("%w: %q", ErrUnknown, name)
	}
	m, err := keeper{r.o.State, name}.load(ctx)
	if err != nil {
		return Status{}, err
	}
	m.FullDue = m.FullDue || w.Full || w.AcceptAbsences
	before := m.Failures
	if err := r.pass(ctx, f, &m, w.AcceptAbsences); err != nil {
		return f.board.read(), err
	}
	s := f.board.read()
	if m.Failures > before {
		return s, fmt.Errorf("feed %s: %w", name, m.failure)
	}
	return s, nil
}

// await waits until a feed is due or wanted.
func (r *Runner) await(ctx context.Context, f *scheduled, due time.Time) (Wish, error) {
	f.board.change(func(s *Status) { s.Next = due })
	for {
		waiting, wake := context.WithCancel(ctx)
		until, wish := f.until(due, wake)
		if wish != nil {
			wake()
			return *wish, nil
		}
		wait := 24 * time.Hour
		if !until.IsZero() {
			wait = until.Sub(r.o.Now())
		}
		err := r.o.Wait(waiting, wait)
		woken := waiting.Err() != nil
		wake()
		switch {
		case ctx.Err() != nil:
			return Wish{}, ctx.Err()
		case err != nil && !woken:
			return Wish{}, fmt.Errorf("wait for feed %s: %w", f.source.Name, err)
		case !woken && !until.IsZero() && !until.After(r.o.Now()):
			f.answer(r.o.Now())
			return Wish{}, nil
		}
	}
}

// until says until when a feed waits, zero for one that is paused, or what
// somebody wants of it now. wake ends the wait.
func (f *scheduled) until(due time.Time, wake context.CancelFunc) (time.Time, *Wish) {
	failing := f.board.read().Failures > 0
	f.mu.Lock()
	defer f.mu.Unlock()
	wish := f.wish
	f.wish, f.wake = nil, wake
	switch {
	case f.paused:
		return time.Time{}, wish
	case !f.called.IsZero() && !failing && f.called.Before(due):
		return f.called, wish
	}
	return due, wish
}

// answer notes that the pass that begins answers the calls so far.
func (f *scheduled) answer(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.called.IsZero() {
		f.called, f.answered = time.Time{}, now
	}
}

// pass runs a feed once and plans the next pass.
func (r *Runner) pass(ctx context.Context, f *scheduled, m *memory, accept bool) error {
	name, started := f.source.Name, r.o.Now()
	f.board.change(func(s *Status) { s.Running = true })
	p := &pass{o: r.o, source: f.source, keep: keeper{r.o.State, name}, board: &f.board, memory: m, accept: accept}
	err := p.run(ctx)
	now := r.o.Now()
	if err == nil {
		m.Next = now.Add(around(f.source.Every))
		r.o.Logger.Info("feed is read", "feed", name, "full", f.board.read().Pass.Full, "records", f.board.read().Pass.Records,
			"took", now.Sub(started).String())
	} else if ctx.Err() == nil {
		m.Failures++
		m.Error, m.failure = err.Error(), err
		m.Next = now.Add(afterFailure(err, m.Failures, f.source.Every))
		r.o.Logger.Warn("feed could not be read", "feed", name, "error", err, "failures", m.Failures, "next", m.Next.Format(time.RFC3339))
	}
	f.board.change(func(s *Status) {
		s.Running = false
		if s.Pass.Ended.IsZero() {
			s.Pass.Ended = now
		}
	})
	r.show(f, *m)
	r.metrics.passed(f.board.read(), err, now.Sub(started))
	if ctx.Err() != nil {
		// The last page that was taken is remembered already.
		return ctx.Err()
	}
	return p.keep.save(ctx, *m)
}

func (r *Runner) show(f *scheduled, m memory) {
	f.board.change(func(s *Status) {
		s.LastSuccess, s.Next, s.Failures, s.Error = m.LastSuccess, m.Next, m.Failures, m.Error
		s.Withheld, s.WithheldSince = m.Withheld, m.WithheldSince
	})
	r.metrics.remembered(f.board.read())
}

// Start has a feed run now, or once more after the pass under way.
func (r *Runner) Start(name string, w Wish) error {
	return r.with(name, func(f *scheduled) { f.wish = &w })
}

// Pause stops a feed after the pass under way, or lets it go on.
func (r *Runner) Pause(name string, paused bool) error {
	return r.with(name, func(f *scheduled) {
		f.paused = paused
		f.board.change(func(s *Status) { s.Paused = paused })
	})
}

func (r *Runner) feed(name string) *scheduled {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.feeds[name]
}

func (r *Runner) with(name string, fn func(*scheduled)) error {
	f := r.feed(name)
	if f == nil {
		return fmt.Errorf("%w: %q", ErrUnknown, name)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	fn(f)
	if f.wake != nil {
		f.wake()
	}
	return nil
}

// Statuses returns how the feeds fare, by name.
func (r *Runner) Statuses() []Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]Status, 0, len(r.feeds))
	for _, f := range r.feeds {
		all = append(all, f.board.read())
	}
	slices.SortFunc(all, func(a, b Status) int { return strings.Compare(a.Name, b.Name) })
	return all
}
