// Package compliance judges every asset by the rules, as it changes and as time
// passes, and keeps what they fail as findings.
package compliance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/expr"
	"github.com/rollcall-itam/rollcall/collector/policy"
	"github.com/rollcall-itam/rollcall/collector/policy/eol"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

const (
	// retention is how long resolved findings are kept.
	retention = 90 * 24 * time.Hour
	pruneHow  = 1000
	// settleFor is how long a change waits for others of the same asset, so that one
	// that changes over and over is judged a few times a second at most.
	settleFor = 200 * time.Millisecond
	// batch is how many assets one look takes on, and perWorker how many are worth
	// another processor.
	batch     = 512
	perWorker = 16
)

// Options are what an Engine works with.
type Options struct {
	Store   *store.Store
	Catalog *catalog.Catalog
	// Pack are the rules to begin with.
	Pack   *policy.Pack
	Logger *slog.Logger
	Now    func() time.Time
	// Env and Files are what Pack was made from, to which rules are added that are
	// written through the API; without Env none can be.
	Env   *expr.Env
	Files []*policy.File
	// Support knows when products end, until Outlive tells other; nil knows of none.
	Support *eol.Table
}

// Engine judges assets. It is safe for use by several goroutines.
type Engine struct {
	Options
	// wake has a token while dirty may hold something new.
	wake chan struct{}

	mu sync.Mutex
	// dirty are the assets to judge; those of restocked are to be judged where their
	// software had a part in what was said of them.
	dirty     map[string]struct{}
	restocked map[string]restock
	// changes counts what was heard of assets.
	changes int
	// backlog are the assets to judge that did not change, as after a change of the
	// rules: those that did go before.
	backlog map[string]struct{}
	// judged holds the last judgement of each asset.
	judged  map[string]judgement
	due     dues
	decided decisions
	tally   tally
	// pack, ends and advice are changed by who holds filing.
	pack   atomic.Pointer[policy.Pack]
	ends   atomic.Pointer[lifetimes]
	advice atomic.Pointer[advice]
	log    findingLog
	names  atomic.Pointer[names]
	// kept is Run's alone.
	kept keptDay

	// filing is held while what became of findings is stored, so that a decision
	// and a judgement follow each other.
	filing sync.Mutex
	// writing is held while a rule of the site is changed, trying while rules are
	// tried on the fleet.
	writing, trying sync.Mutex
}

// judgement is what the rules say of one asset.
type judgement struct {
	// results are by the place of the rule in the pack, and nil for an asset that is
	// no more. A fleet has tens of millions of them.
	results []code
	// issues are those of its identity.
	issues []string
	open   []*storagepb.FindingRecord
	// due is when to look again although nothing changed; zero for never.
	due time.Time
	// rows tells that a rule looked at rows of the software, and titles that one
	// looked at what is known of its titles.
	rows, titles bool
	// scope is the system whose advisories had a part in it, empty for none.
	scope string
	// at is when it was made or its age was last looked at, and seen when the
	// asset was last heard of by the sources that show it alive.
	at, seen time.Time
	alive    []store.Ref
	// by is what it was judged by.
	by basis
	// volume is what is to be kept of its free space; nil for nothing new.
	volume *storagepb.VolumeRecord
}

// basis is what assets are judged by.
type basis struct {
	pack   *policy.Pack
	ends   *lifetimes
	advice *advice
}

func (e *Engine) basis() basis { return basis{e.pack.Load(), e.ends.Load(), e.advice.Load()} }

// New returns an engine that knows nothing yet; Run loads it.
func New(o Options) *Engine {
	e := &Engine{Options: o, wake: make(chan struct{}, 1), dirty: make(map[string]struct{}), backlog: make(map[string]struct{}), restocked: make(map[string]restock),
		judged: make(map[string]judgement), decided: make(decisions)}
	e.pack.Store(o.Pack)
	e.ends.Store(&lifetimes{table: o.Support})
	e.names.Store(new(names))
	e.tally = newTally(enabled(o.Pack))
	return e
}

// Changed hears of a change of the catalog.
func (e *Engine) Changed(c catalog.Change) {
	if c.Kind == catalog.Software {
		e.noteRestocked(c.AssetID, c.Step)
		return
	}
	e.look(c.AssetID)
}

// Look has an asset judged soon.
func (e *Engine) Look(id string) { e.look(id) }

func (e *Engine) look(id string) {
	e.mu.Lock()
	e.dirty[id] = struct{}{}
	e.changes++
	e.mu.Unlock()
	e.waken()
}

func (e *Engine) waken() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// Run judges all assets, and then those that change or whose time has come,
// until ctx ends.
func (e *Engine) Run(ctx context.Context) error {
	if err := e.load(ctx); err != nil {
		return stopped(ctx, err)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	day, minute := time.NewTicker(24*time.Hour), time.NewTicker(ageEvery)
	defer day.Stop()
	defer minute.Stop()
	for {
		begun := time.Now()
		for more := true; more; {
			var err error
			if more, err = e.turn(ctx); err != nil {
				if ctx.Err() != nil {
					return nil
				}
				e.Logger.Warn("judge assets by the rules", "error", err)
				break
			}
		}
		round := time.Since(begun)
		timer.Reset(e.untilDue())
		select {
		case <-ctx.Done():
			return nil
		case <-e.wake:
			if !e.settle(ctx, timer, round) {
				return nil
			}
		case <-timer.C:
		case <-minute.C:
			e.age()
			if err := e.keepDay(ctx); err != nil && ctx.Err() == nil {
				e.Logger.Warn("keep how the fleet stands", "error", err)
			}
		case <-day.C:
			if err := e.prune(ctx); err != nil && ctx.Err() == nil {
				e.Logger.Warn("prune resolved findings", "error", err)
			}
		}
	}
}

// turn judges some of the assets that are to be judged now, and returns false
// where there were none. What could not be judged is to be judged again.
func (e *Engine) turn(ctx context.Context) (more bool, err error) {
	if err := e.sift(ctx); err != nil {
		return false, err
	}
	jobs := e.take()
	if len(jobs) == 0 {
		return false, nil
	}
	if err := e.judgeAll(ctx, jobs); err != nil {
		e.again(jobs)
		return false, err
	}
	return true, nil
}

func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// load reads the findings that are open and has every asset judged.
func (e *Engine) load(ctx context.Context) error {
	open := make(map[string][]*storagepb.FindingRecord)
	var decided decisions
	err := e.Store.View(ctx, func(tx *store.Tx) (err error) {
		if decided, err = loadDecisions(tx); err != nil {
			return err
		}
		if e.log.last, err = tx.LastFindingChange(); err != nil {
			return err
		}
		err = tx.ScanFindings("", func(f *storagepb.FindingRecord) error {
			if f.GetResolvedAt() == nil {
				open[f.GetAssetId()] = append(open[f.GetAssetId()], f)
			}
			return ctx.Err()
		})
		if err != nil {
			return err
		}
		return tx.ScanAssets("", func(a *pb.Asset) error {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.backlog[a.GetId()] = struct{}{}
			return ctx.Err()
		})
	})
	if err != nil {
		return fmt.Errorf("load the findings: %w", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.decided = decided
	for id, findings := range open {
		e.judged[id] = judgement{open: findings}
		e.backlog[id] = struct{}{} // it may have ended since
	}
	return nil
}

// longest is how long the engine sleeps at most, so that a clock that is set
// forward is noticed.
const longest = 10 * time.Minute

func (e *Engine) untilDue() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.dirty)+len(e.backlog) > 0 {
		return time.Minute // the store took nothing: try again
	}
	next, ok := e.due.next()
	if !ok {
		return longest
	}
	return min(max(next.Sub(e.Now()), 10*time.Millisecond), longest)
}

// sourceKinds returns the kinds of the sources that there are.
func sourceKinds(tx *store.Tx) ([]string, error) {
	kinds := []string{}
	err := tx.ScanSources(func(s *storagepb.SourceRecord) error {
		if !slices.Contains(kinds, s.GetKind()) {
			kinds = append(kinds, s.GetKind())
		}
		return nil
	})
	slices.Sort(kinds)
	return kinds, err
}

// judge returns what the rules say of an asset; nothing of one that is no more.
func (e *Engine) judge(tx *store.Tx, of job, kinds []string) (judgement, error) {
	a, err := tx.Asset(of.id)
	if errors.Is(err, store.ErrNotFound) {
		return judgement{}, nil
	}
	if err != nil {
		return judgement{}, err
	}
	by := e.basis()
	in, software, err := e.input(tx, a, of.issues, by)
	if err != nil {
		return judgement{}, err
	}
	full, volume, err := e.volume(tx, a)
	if err != nil {
		return judgement{}, err
	}
	in.Record.DiskFullAt, in.Kinds = full, kinds
	j := judgement{results: make([]code, 0, len(by.pack.Rules())), issues: in.Record.IdentityIssues, at: in.Now, alive: liveSources(a), by: by, volume: volume}
	by.pack.Decide(in, func(v *policy.Verdict) { j.hear(a.GetId(), v, in.Now) })
	if software != nil && software.err != nil {
		return judgement{}, software.err
	}
	if software != nil {
		j.rows, j.titles, j.scope = software.read, software.lifetimes != nil || software.weaknesses != nil, software.scope
	}
	j.seen = e.lastSeen(j.alive)
	// What is due at once would be due for ever.
	if soonest := in.Now.Add(time.Second); !j.due.IsZero() && j.due.Before(soonest) {
		j.due = soonest
	}
	return j, nil
}

// hear takes in what a rule says of an asset.
func (j *judgement) hear(id string, v *policy.Verdict, now time.Time) {
	j.results = append(j.results, codeOf(v.Result))
	j.due = sooner(j.due, v.Due)
	if v.Result == policy.Fail {
		j.open = append(j.open, &storagepb.FindingRecord{AssetId: id, Rule: v.Rule.ID, RuleVersion: int32(v.Rule.Version), Severity: string(v.Rule.Severity),
			OpenedAt: timestamppb.New(now), Detail: few(v.Detail)})
	}
}
