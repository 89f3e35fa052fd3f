// Package connect keeps the feeds that people connect while the collector
// runs, with their secrets sealed.
package connect

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/feed"
	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

var (
	// ErrInvalid is wrapped by errors that tell what is wrong with what was asked.
	ErrInvalid = errors.New("the feed cannot be connected like this")
	// ErrConfigured is wrapped by errors about feeds that stand in the collector's
	// configuration.
	ErrConfigured = errors.New("this feed stands in the collector's configuration: change it there, under feeds, and restart the collector")
)

// Options are what Connections work with.
type Options struct {
	Store   *store.Store
	Catalog *catalog.Catalog
	// Runner has the configured feeds already.
	Runner *feed.Runner
	Vault  *Vault
	// DataDir is the collector's data folder: of all files, feeds that are
	// connected here reach only those in its folders secrets and import.
	DataDir string
	Logger  *slog.Logger
	Now     func() time.Time
}

// Connections are the feeds that people connect, change and disconnect.
type Connections struct {
	o Options
	// configured are the feeds of the configuration.
	configured map[string]bool

	// mu lets one change happen at a time.
	mu sync.Mutex
	// broken says why feeds do not run, by name.
	broken sync.Map
}

// Open connects the feeds that were connected before. One that can no longer be
// is told in the log and by Broken, and keeps none of the others from running.
func Open(ctx context.Context, o Options) (*Connections, error) {
	c := &Connections{o: o, configured: make(map[string]bool)}
	for _, s := range o.Runner.Statuses() {
		c.configured[s.Name] = true
	}
	var held []*storagepb.FeedRecord
	err := o.Store.View(ctx, func(tx *store.Tx) error {
		held = nil
		return tx.ScanFeeds(func(r *storagepb.FeedRecord) error {
			held = append(held, r)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("load the feeds: %w", err)
	}
	for _, r := range held {
		err := c.start(ctx, r)
		switch {
		case c.configured[r.GetId()]:
			o.Logger.Warn("feed stands in the configuration and was created through the API too: the configuration holds", "feed", r.GetId())
		case err != nil:
			c.broken.Store(r.GetId(), err.Error())
			o.Logger.Error("feed cannot run", "feed", r.GetId(), "error", err)
		}
	}
	return c, nil
}

// start has a feed run.
func (c *Connections) start(ctx context.Context, r *storagepb.FeedRecord) error {
	if r.GetEnding() {
		return errors.New("it is being deleted: repeat that until it is gone")
	}
	conf, err := c.config(r)
	if err != nil {
		return err
	}
	if err := c.o.Runner.Add(conf); err != nil {
		return err
	}
	return c.declare(ctx, conf)
}

func (c *Connections) declare(ctx context.Context, conf feed.Config) error {
	return c.o.Catalog.DeclareSource(ctx, SourceOf(conf))
}

// SourceOf declares the source of a feed.
func SourceOf(c feed.Config) *storagepb.SourceRecord {
	return &storagepb.SourceRecord{Id: c.Name, Kind: c.Manifest.Kind, Unique: c.Manifest.Unique, Title: c.Manifest.Title}
}

// Broken tells of the feeds that were connected and do not run: why, by name.
func (c *Connections) Broken() map[string]string {
	all := make(map[string]string)
	c.broken.Range(func(id, why any) bool {
		all[fmt.Sprint(id)] = fmt.Sprint(why)
		return true
	})
	return all
}

// Connection tells how a feed is connected, without its secrets; nil for one of
// the configuration.
func (c *Connections) Connection(ctx context.Context, id string) (*adminpb.FeedConnection, error) {
	if c.configured[id] {
		return nil, nil
	}
	r, err := c.record(ctx, id)
	if err != nil {
		return nil, err
	}
	return shown(r), nil
}

// record returns a feed that was connected here.
func (c *Connections) record(ctx context.Context, id string) (r *storagepb.FeedRecord, err error) {
	if c.configured[id] {
		return nil, ErrConfigured
	}
	err = c.o.Store.View(ctx, func(tx *store.Tx) (err error) {
		r, err = tx.Feed(id)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("%w: %q", feed.ErrUnknown, id)
	}
	return r, err
}

// Create connects a system under a name that is not taken.
func (c *Connections) Create(ctx context.Context, by, id string, conn *adminpb.FeedConnection, paused bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch _, err := c.record(ctx, id); {
	case err == nil:
		return fmt.Errorf("%w: %q: change it, or choose another name", feed.ErrTaken, id)
	case !errors.Is(err, feed.ErrUnknown):
		return err
	}
	r := &storagepb.FeedRecord{Id: id, Paused: paused, CreatedAt: timestamppb.New(c.o.Now()), CreatedBy: by}
	changed, err := c.change(r, conn, nil)
	if err != nil {
		return err
	}
	return c.replace(ctx, r, by, "feed.create", changed)
}

// replace stores a feed, and has it run in the place of the one before.
func (c *Connections) replace(ctx context.Context, r *storagepb.FeedRecord, by, action string, changed string) error {
	conf, err := c.config(r)
	if err == nil {
		err = c.o.Runner.Check(conf)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := c.o.Runner.Remove(ctx, r.GetId()); err != nil && !errors.Is(err, feed.ErrUnknown) {
		return err
	}
	err = c.o.Store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.PutFeed(r); err != nil {
			return err
		}
		return c.audit(tx, by, action, r.GetId(), changed)
	})
	if err != nil {
		// What was stored before still holds.
		return errors.Join(fmt.Errorf("store feed %s: %w", r.GetId(), err), c.restore(ctx, r.GetId()))
	}
	c.broken.Delete(r.GetId())
	if err := c.start(ctx, r); err != nil {
		c.broken.Store(r.GetId(), err.Error())
		return err
	}
	if r.GetPaused() {
		return nil
	}
	// Whoever changed it wants to see what comes of it.
	return c.o.Runner.Start(r.GetId(), feed.Wish{Full: true})
}

// restore has a feed run as it is stored, if it is.
func (c *Connections) restore(ctx context.Context, id string) error {
	r, err := c.record(context.WithoutCancel(ctx), id)
	if errors.Is(err, feed.ErrUnknown) {
		return nil
	}
	if err == nil {
		err = c.start(context.WithoutCancel(ctx), r)
	}
	if err != nil {
		c.broken.Store(id, err.Error())
	}
	return err
}

func (c *Connections) audit(tx *store.Tx, by, action, id, detail string) error {
	return tx.AppendAudit(&storagepb.AuditRecord{At: timestamppb.New(c.o.Now()), Actor: by, Action: action, Target: id, Detail: detail})
}

// Change is what becomes of a feed.
type Change struct {
	// Connection holds what takes the place of what there was; Fields names fields
	// of it that are set even where it holds nothing.
	Connection *adminpb.FeedConnection
	Fields     []string
	// Paused stops the feed or lets it go on; nil leaves it.
	Paused *bool
}

// Update changes how a feed is connected.
func (c *Connections) Update(ctx context.Context, by, id string, to Change) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, err := c.record(ctx, id)
	if err != nil {
		return err
	}
	changed, err := c.change(r, to.Connection, to.Fields)
	if err != nil {
		return err
	}
	if to.Paused != nil {
		r.Paused = *to.Paused
	}
	return c.replace(ctx, r, by, "feed.update", changed)
}

// Pause stops a feed after the pass under way, or lets it go on. Of one that was
// connected here this holds over a restart.
func (c *Connections) Pause(ctx context.Context, by, id string, paused bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.configured[id] {
		return c.o.Runner.Pause(id, paused)
	}
	r, err := c.record(ctx, id)
	if err != nil {
		return err
	}
	r.Paused = paused
	action := map[bool]string{true: "feed.pause", false: "feed.resume"}[paused]
	err = c.o.Store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.PutFeed(r); err != nil {
			return err
		}
		return c.audit(tx, by, action, id, "")
	})
	if err != nil {
		return fmt.Errorf("store feed %s: %w", id, err)
	}
	return c.o.Runner.Pause(id, paused)
}

// Delete disconnects a feed, and with withdraw takes back what it said. One that
// is cut off is to be repeated and goes on; until then the feed does not run.
func (c *Connections) Delete(ctx context.Context, by, id string, withdraw bool) (withdrawn int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, err := c.record(ctx, id)
	if err != nil {
		return 0, err
	}
	if err := c.o.Runner.Remove(ctx, id); err != nil && !errors.Is(err, feed.ErrUnknown) {
		return 0, err
	}
	detail := map[bool]string{true: "what it said is withdrawn", false: "what it said stays"}[withdraw]
	r.Ending = true
	err = c.o.Store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.PutFeed(r); err != nil {
			return err
		}
		return c.audit(tx, by, "feed.delete", id, detail)
	})
	if err != nil {
		return 0, errors.Join(fmt.Errorf("delete feed %s: %w", id, err), c.restore(ctx, id))
	}
	c.broken.Store(id, "it is being deleted: repeat that until it is gone")
	if withdraw {
		withdrawn, err = c.o.Catalog.Sweep(ctx, id, func(string) bool { return false }, 1)
		if err != nil {
			return withdrawn, fmt.Errorf("withdraw what feed %s said: %w", id, err)
		}
	}
	if err := c.o.Runner.Forget(ctx, id); err != nil {
		return withdrawn, fmt.Errorf("forget feed %s: %w", id, err)
	}
	if err := c.o.Store.Update(ctx, func(tx *store.Tx) error { return tx.DeleteFeed(id) }); err != nil {
		return withdrawn, fmt.Errorf("delete feed %s: %w", id, err)
	}
	c.broken.Delete(id)
	return withdrawn, nil
}

// Config returns what a connection comes to, to try it, under a name that a
// feed may or may not have.
func (c *Connections) Config(id string, conn *adminpb.FeedConnection) (feed.Config, error) {
	r := &storagepb.FeedRecord{Id: id}
	if _, err := c.change(r, conn, nil); err != nil {
		return feed.Config{}, err
	}
	conf, err := c.config(r)
	if err != nil {
		return conf, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return conf, nil
}

// Reseal has secrets in the store, which are not of feeds, opened and sealed anew,
// and returns how many there are.
type Reseal func(tx *store.Tx, anew func(place string, sealed []byte) ([]byte, error)) (int, error)

// Rotate seals all secrets with a new key and drops the old one: those of feeds,
// and those that others know of. It may be cut off at any point and repeated; the
// collector must not run.
func Rotate(ctx context.Context, st *store.Store, v *Vault, others ...Reseal) (secrets int, err error) {
	if err := v.renew(); err != nil {
		return 0, err
	}
	anew := func(place string, sealed []byte) ([]byte, error) {
		secret, err := v.Open(place, sealed)
		if err != nil {
			return nil, err
		}
		return v.Seal(place, secret), nil
	}
	err = st.Update(ctx, func(tx *store.Tx) error {
		secrets = 0
		for _, reseal := range append([]Reseal{resealFeeds}, others...) {
			n, err := reseal(tx, anew)
			if err != nil {
				return err
			}
			secrets += n
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("seal the secrets anew: %w", err)
	}
	return secrets, v.retire()
}

// resealFeeds does so for feeds.
func resealFeeds(tx *store.Tx, anew func(place string, sealed []byte) ([]byte, error)) (n int, err error) {
	var all []*storagepb.FeedRecord
	err = tx.ScanFeeds(func(r *storagepb.FeedRecord) error {
		all = append(all, r)
		return nil
	})
	if err != nil {
		return 0, err
	}
	for _, r := range all {
		for _, name := range sortedKeys(r.GetSealed()) {
			if r.Sealed[name], err = anew(place(r.GetId(), name), r.GetSealed()[name]); err != nil {
				return n, fmt.Errorf("feed %s: setting %q: %w", r.GetId(), name, err)
			}
			n++
		}
		if err := tx.PutFeed(r); err != nil {
			return n, err
		}
	}
	return n, nil
}

// place names where a secret belongs.
func place(feed, setting string) string { return "feed\x00" + feed + "\x00" + setting }

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
