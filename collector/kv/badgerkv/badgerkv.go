// Package badgerkv keeps the ordered map of kv in a Badger store that commits
// in groups, notices lost data and does not run into a full disk.
package badgerkv

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"github.com/rollcall-itam/rollcall/collector/kv"
)

// Options say where the store is and how it looks after its disk.
type Options struct {
	// Dir is the data folder; it is made if it is not there. The store keeps
	// the folder Dir/badger and the file Dir/mark. They are copied together,
	// and only while the store is closed.
	Dir string
	// Witness is a file outside Dir that remembers the newest commit as well, so
	// that an older copy of all of Dir is noticed; it is written each second and
	// on Close. Empty means none. One that is not there yet is made.
	Witness string
	// Logger gets what an operator should know; nil discards it.
	Logger *slog.Logger
	// MinFree is the free space, in bytes, below which updates are refused
	// with kv.ErrFull. Open needs half of it. 0 means DefaultMinFree.
	MinFree uint64
	// CheckEvery is how often the free space is looked at and the mark is
	// synced. 0 means a second.
	CheckEvery time.Duration
	// Free returns the free space of a folder's file system in bytes; nil asks
	// the operating system.
	Free func(dir string) (uint64, error)
	// Verifier checks a store before it is opened; nil means Verify in this
	// process. Programs set VerifyInChild.
	Verifier func(ctx context.Context, dir string) error
}

// DefaultMinFree has room for all memtables and for a compaction of the two
// largest levels that overlap.
const DefaultMinFree = 1 << 30

// A memtable costs its size in memory up to four times; this one is the
// smallest that takes an update of kv.MaxTxSize, with room for others beside it.
const (
	memTableSize = 32 << 20
	blockSize    = 4 << 10
	badgerFolder = "badger"
)

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.MinFree == 0 {
		o.MinFree = DefaultMinFree
	}
	if o.CheckEvery == 0 {
		o.CheckEvery = time.Second
	}
	if o.Free == nil {
		o.Free = diskFree
	}
	if o.Verifier == nil {
		o.Verifier = func(_ context.Context, dir string) error { return Verify(dir) }
	}
	return o
}

func badgerOptions(dir string, logger *slog.Logger) badger.Options {
	return badger.DefaultOptions(dir).
		WithLogger(badgerLog{logger}).
		WithSyncWrites(true).
		// One committer at a time: nothing can conflict.
		WithDetectConflicts(false).
		// Values stay in the tables, so that the value log, its garbage
		// collection and their faults play no part.
		WithValueThreshold(kv.MaxValueSize + 1).
		WithValueLogFileSize(16 << 20).
		WithMemTableSize(memTableSize).
		WithNumMemtables(3).
		WithNumLevelZeroTables(3).
		WithNumLevelZeroTablesStall(8).
		WithNumCompactors(2).
		WithBaseTableSize(8 << 20).
		WithBaseLevelSize(64 << 20).
		WithBlockSize(blockSize).
		WithBlockCacheSize(32 << 20).
		WithIndexCacheSize(32 << 20).
		// ZSTD makes tables smaller but costs a quarter more CPU for each update.
		WithCompression(options.Snappy).
		WithChecksumVerificationMode(options.OnBlockRead).
		WithMetricsEnabled(false)
}

// DB is an open store; it implements kv.DB.
type DB struct {
	badger *badger.DB
	mark   *mark
	// witness is nil where there is none.
	witness *witness
	space   *space
	logger  *slog.Logger

	// turn and full carry one token between them: whoever holds it may use
	// open and own. Updates take it from turn; the committer from either.
	turn chan struct{}
	full chan struct{}
	open *group
	own  *overlay

	// wake has a token while open has writes that the committer has not seen.
	wake      chan struct{}
	committed chan struct{}
	// head is the newest commit; it belongs to the committer.
	head head
	// store is the store's identity.
	store [16]byte

	failed  atomic.Pointer[error]
	broken  chan struct{}
	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup
	stop    chan struct{}
	watched chan struct{}
}

// Open verifies the store in opts.Dir and opens it, or makes a new one. The
// error is an ErrDamaged when data is missing.
func Open(ctx context.Context, opts Options) (*DB, error) {
	opts = opts.withDefaults()
	if err := prepareFolder(opts.Dir); err != nil {
		return nil, err
	}
	s := &space{dir: opts.Dir, minimum: opts.MinFree, free: opts.Free, logger: opts.Logger}
	if err := s.checkOpen(); err != nil {
		return nil, err
	}
	if err := CheckUnused(opts.Dir); err != nil {
		return nil, err
	}
	if err := opts.Verifier(ctx, opts.Dir); err != nil {
		// A collector that started meanwhile looks like a damage.
		if used := CheckUnused(opts.Dir); used != nil {
			return nil, used
		}
		return nil, fmt.Errorf("data folder %s: %w", opts.Dir, err)
	}
	return openVerified(opts, s)
}

func openVerified(opts Options, s *space) (*DB, error) {
	marked, err := loadMark(opts.Dir)
	if err != nil {
		return nil, err
	}
	if err := dropHollow(opts.Dir, opts.Logger); err != nil {
		return nil, err
	}
	b, err := badger.Open(badgerOptions(badgerDir(opts.Dir), opts.Logger))
	if err != nil {
		return nil, openError(opts.Dir, err)
	}
	d := &DB{
		badger: b, space: s, logger: opts.Logger, own: newOverlay(),
		turn: make(chan struct{}, 1), full: make(chan struct{}, 1), wake: make(chan struct{}, 1),
		committed: make(chan struct{}), stop: make(chan struct{}), watched: make(chan struct{}),
		broken: make(chan struct{}),
	}
	if err := d.loadHead(marked); err != nil {
		return nil, errors.Join(fmt.Errorf("data folder %s: %w", opts.Dir, err), b.Close())
	}
	if d.mark, err = openMark(markPath(opts.Dir)); err != nil {
		return nil, errors.Join(fmt.Errorf("open the mark file: %w", err), b.Close())
	}
	if d.witness, err = openWitness(opts, d.head); err != nil {
		return nil, errors.Join(fmt.Errorf("data folder %s: %w", opts.Dir, err), d.mark.close(), b.Close())
	}
	d.space.check()
	d.open = d.newGroup(nil)
	d.turn <- struct{}{}
	go d.commitGroups()
	go d.watch(opts.CheckEvery)
	return d, nil
}

// loadMark returns the mark, and makes one with a new identity where there is none.
func loadMark(dir string) (head, error) {
	h, err := readMark(markPath(dir))
	if err == nil || errors.Is(err, ErrDamaged) {
		return h, err
	}
	rand.Read(h.store[:])
	if err := createMark(markPath(dir), h); err != nil {
		return h, fmt.Errorf("make the mark file in %s: %w", dir, err)
	}
	return h, nil
}

// loadHead reads the newest commit as Badger sees it, which must be one that
// the verification would have let pass.
func (d *DB) loadHead(marked head) error {
	txn := d.badger.NewTransaction(false)
	defer txn.Discard()
	h, err := headAt(txn)
	if err != nil {
		return err
	}
	if h.seq == 0 {
		h.store = marked.store
	}
	d.head, d.store = h, marked.store
	return compareMark(h, marked)
}

// View runs fn on a snapshot of what is committed.
func (d *DB) View(ctx context.Context, fn func(kv.Tx) error) error {
	if err := d.begin(ctx); err != nil {
		return err
	}
	defer d.running.Done()
	txn := d.badger.NewTransaction(false)
	defer txn.Discard()
	return fn(&tx{snap: txn})
}

// ViewMarked runs fn on a snapshot of what is committed, and names it.
func (d *DB) ViewMarked(ctx context.Context, fn func(kv.Tx, kv.Mark) error) error {
	if err := d.begin(ctx); err != nil {
		return err
	}
	defer d.running.Done()
	txn := d.badger.NewTransaction(false)
	defer txn.Discard()
	h, err := headAt(txn)
	if err != nil {
		return err
	}
	h.store = d.store
	return fn(&tx{snap: txn}, h.mark())
}

// begin admits a transaction, unless ctx is done or the store is closed.
func (d *DB) begin(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return kv.ErrClosed
	}
	d.running.Add(1)
	return nil
}

func (d *DB) writable() error {
	if err := d.failure(); err != nil {
		return err
	}
	return d.space.admit()
}

// fail ends all updates: after a failed write nobody knows what is on the
// disk, and only opening the store again finds out.
func (d *DB) fail(err error) error {
	err = fmt.Errorf("the store takes no more updates until the collector is restarted: %w", err)
	if d.failed.CompareAndSwap(nil, &err) {
		d.logger.Error("store failed, updates are refused until a restart", "error", err)
		close(d.broken)
	}
	return err
}

// Failed is closed once a write failed, after which only opening the store again
// helps.
func (d *DB) Failed() <-chan struct{} { return d.broken }

func (d *DB) failure() error {
	if err := d.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// watch looks at the free space and syncs the mark at an interval.
func (d *DB) watch(every time.Duration) {
	defer close(d.watched)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-d.stop:
			return
		case <-ticker.C:
			d.space.check()
			if err := errors.Join(d.mark.sync(), d.witness.follow(d.mark)); err != nil {
				_ = d.fail(err)
			}
		}
	}
}

// Close waits for what is running and closes the store.
func (d *DB) Close() error {
	d.mu.Lock()
	closed := d.closed
	d.closed = true
	d.mu.Unlock()
	if closed {
		return kv.ErrClosed
	}
	d.running.Wait()
	close(d.wake)
	<-d.committed
	close(d.stop)
	<-d.watched
	d.open.snap.Discard()
	if err := errors.Join(d.witness.follow(d.mark), d.witness.close(), d.mark.close(), d.badger.Close()); err != nil {
		return fmt.Errorf("close the store: %w", err)
	}
	return nil
}
