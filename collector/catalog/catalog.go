// Package catalog is the one write path: it files what sources say and keeps
// the merged record of every asset true to it.
package catalog

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rollcall-itam/rollcall/collector/expiry"
	"github.com/rollcall-itam/rollcall/collector/merge"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// Catalog files observations and merges them into assets.
type Catalog struct {
	store    *store.Store
	now      func() time.Time
	log      *slog.Logger
	seen     *seen
	sequence atomic.Uint64
	onChange []func(Change)
	onSeen   []func(store.Ref, time.Time)
	onPerson []func(PersonChange)
	// onErasure hears who was erased or taken in again, nil for nobody.
	onErasure func(r *storagepb.ErasureRecord, readmitted bool)
	// retention is how long history is kept, 0 for ever.
	retention time.Duration
	// derive fills in what follows from an asset and from what the collector knows.
	derive func(*pb.Asset)
	// table says whom to believe.
	table *merge.Table
	// expiry says when assets expire of which nothing is heard, nil for never.
	expiry *expiry.Policy
	upkeep *upkeep
	erased erasures
	// sources remembers the declared sources.
	sources sync.Map
}

// Kinds of changes, as the change log has them.
const (
	Created   = "created"
	Changed   = "changed"
	Software  = "software"
	United    = "united"
	Withdrawn = "withdrawn"
)

// Change tells that an asset came to be, changed, or is no more.
type Change struct {
	// Sequence is that of the change log. It orders the changes of one asset:
	// calls may arrive out of order, and one with a lower sequence than the last
	// seen is outdated.
	Sequence uint64
	AssetID  string
	Kind     string
	// Asset is the new record, without the times that Date fills in. It is nil
	// where the asset is no more (Withdrawn, or United with another), and where
	// only software rows changed (Software). It is shared and must not be
	// modified.
	Asset *pb.Asset
	// Ref is whose software rows changed, and Step what came and went, nil where
	// that is to be read from the store.
	Ref  store.Ref
	Step *store.SoftwareStep
}

// Ended tells whether the asset is no more.
func (c Change) Ended() bool { return c.Kind == United || c.Kind == Withdrawn }

// New returns a catalog over st. now is the clock by which assets get their
// ids and changes their times.
func New(st *store.Store, now func() time.Time, log *slog.Logger) *Catalog {
	return &Catalog{store: st, now: now, log: log, seen: newSeen(), retention: DefaultRetention,
		table: merge.DefaultTable(), upkeep: newUpkeep()}
}

// Derive lets fn fill in fields of each merged asset that follow from others. It
// may replace messages of the asset and not modify them. It is to be called
// before anything is filed.
func (c *Catalog) Derive(fn func(*pb.Asset)) { c.derive = fn }

// UseTable sets whom to believe. It is to be called before anything is filed;
// Upkeep brings the assets up to date that another table made.
func (c *Catalog) UseTable(t *merge.Table) { c.table = t }

// KeepHistory sets how long history is kept, 0 for ever. It is to be called
// before Run.
func (c *Catalog) KeepHistory(d time.Duration) { c.retention = d }

// Load reads what a catalog over a store that is not new must know. It is to be
// called before anything is filed.
func (c *Catalog) Load(ctx context.Context) error {
	err := c.store.View(ctx, func(tx *store.Tx) error {
		last, err := tx.LastChange()
		c.sequence.Store(last)
		return err
	})
	if err != nil {
		return fmt.Errorf("load the catalog: %w", err)
	}
	if err := c.loadErasures(ctx); err != nil {
		return fmt.Errorf("read who was erased: %w", err)
	}
	if err := c.indexOwners(ctx); err != nil {
		return err
	}
	return c.loadSeen(ctx)
}

// OnChange lets fn hear of every change once it is durable. It is to be called
// before the first Accept.
func (c *Catalog) OnChange(fn func(Change)) { c.onChange = append(c.onChange, fn) }

// DeclareSource makes a source known, or changes its kind and title.
func (c *Catalog) DeclareSource(ctx context.Context, r *storagepb.SourceRecord) error {
	if r.GetId() == Parts {
		return fmt.Errorf("declare source: %w: %q is the collector's own: choose another id", ErrInvalid, Parts)
	}
	if err := (store.Ref{Source: r.GetId(), ID: "-"}).Check(); err != nil {
		return fmt.Errorf("declare source: %w", err)
	}
	err := c.store.Update(ctx, func(tx *store.Tx) error { return tx.PutSource(r) })
	if err != nil {
		return fmt.Errorf("declare source %s: %w", r.GetId(), err)
	}
	c.sources.Store(r.GetId(), r)
	return nil
}

// SoftwareChange is what a statement says about software.
type SoftwareChange struct {
	// Replace makes Added all the software there is, and Drop says that none is
	// stated any more; otherwise Removed and Added change what is held, and
	// nothing in both keeps it.
	Replace, Drop  bool
	Removed, Added []store.Row
}

// Statement is what a source now says about one thing.
type Statement struct {
	// Observation holds no software rows; its source and source_id are those
	// that it is filed under.
	Observation *pb.Observation
	// SameContent says that the subject and the identifiers are those that are
	// held, so that Observation has neither.
	SameContent bool
	Software    SoftwareChange
	// Baseline is what is held of an agent's sections from now on.
	Baseline *storagepb.BaselineRecord
	// Also is another time at which the source stated the thing, for a statement
	// that came late and is not taken; zero for none. Late is what it said then.
	Also time.Time
	Late *pb.Observation
}

// Held is what is held under the name of an observation that is being filed.
type Held struct {
	// Head is nil where nothing is held.
	Head *storagepb.HeadRecord

	tx  *store.Tx
	ref store.Ref
	o   *pb.Observation
}

// Observation returns the held observation without software rows, nil where
// nothing is held. It must not be modified.
func (h *Held) Observation() (*pb.Observation, error) {
	if h.Head == nil || h.o != nil {
		return h.o, nil
	}
	var err error
	h.o, err = h.tx.ObservationUnder(h.ref, h.Head)
	return h.o, err
}
