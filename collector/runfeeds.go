package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/connect"
	"github.com/rollcall-itam/rollcall/collector/feed"
	"github.com/rollcall-itam/rollcall/collector/feed/fetch"
	"github.com/rollcall-itam/rollcall/collector/feed/manifest"
	"github.com/rollcall-itam/rollcall/collector/feed/vendors"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// feedSettings connect one feed, as they stand in the configuration file.
type feedSettings struct {
	// Name is the source under which its records are filed.
	Name string `yaml:"name"`
	// Vendor names a known system; Manifest is a file that describes another.
	Vendor   string `yaml:"vendor,omitempty"`
	Manifest string `yaml:"manifest,omitempty"`
	// Settings are what the system asks for; secrets as env:NAME or file:PATH.
	Settings map[string]string `yaml:"settings,omitempty"`
	// Every and FullEvery outrank the manifest's, where they are given.
	Every     time.Duration `yaml:"every,omitempty"`
	FullEvery time.Duration `yaml:"full_every,omitempty"`
	Paused    bool          `yaml:"paused,omitempty"`
	// CAFile holds certificates to trust beside the system's, Proxy is the
	// address of an HTTP proxy or the word environment, and AllowPrivate lets the
	// feed ask addresses of private networks.
	CAFile       string `yaml:"ca_file,omitempty"`
	Proxy        string `yaml:"proxy,omitempty"`
	AllowPrivate bool   `yaml:"allow_private,omitempty"`
}

// load reads the feed's manifest.
func (f feedSettings) load() (*manifest.Manifest, error) {
	switch {
	case (f.Vendor == "") == (f.Manifest == ""):
		return nil, fmt.Errorf("feed %q: name a vendor or a manifest, and not both", f.Name)
	case f.Vendor != "":
		return vendors.Load(f.Vendor)
	}
	file, err := os.Open(f.Manifest)
	if err != nil {
		return nil, fmt.Errorf("feed %q: %w", f.Name, err)
	}
	defer file.Close()
	m, err := manifest.Parse(file)
	if err != nil {
		return nil, fmt.Errorf("feed %q: manifest %s: %w", f.Name, f.Manifest, err)
	}
	return m, nil
}

// shown returns the settings without secrets; references to where they are kept
// stay.
func (f feedSettings) shown() feedSettings {
	f.Settings = maps.Clone(f.Settings)
	m, err := f.load()
	for k, v := range f.Settings {
		if (err != nil || m.Settings[k].Secret) && !strings.HasPrefix(v, "env:") && !strings.HasPrefix(v, "file:") {
			f.Settings[k] = "(set)"
		}
	}
	return f
}

// newFeeds makes the configured feeds ready and declares their sources.
func newFeeds(ctx context.Context, all []feedSettings, c *core, log *slog.Logger, metrics prometheus.Registerer) (*feed.Runner, error) {
	var configs []feed.Config
	var errs []error
	for _, f := range all {
		m, err := f.load()
		if err != nil {
			errs = append(errs, err)
			continue
		}
		configs = append(configs, feed.Config{Name: f.Name, Manifest: m, Settings: f.Settings, Every: f.Every, FullEvery: f.FullEvery, Paused: f.Paused,
			Reach: fetch.ClientOptions{CAFile: f.CAFile, Proxy: f.Proxy, AllowPrivate: f.AllowPrivate}})
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	r, err := feed.New(feed.Options{Sink: feedSink{c.catalog}, State: feedState{c.store}, Fleet: feedFleet{c.store}, Logger: log, Now: time.Now,
		Wait: wait, Getenv: os.Getenv, Metrics: metrics}, configs)
	if err != nil {
		return nil, err
	}
	for _, conf := range configs {
		if err := c.catalog.DeclareSource(ctx, connect.SourceOf(conf)); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// openConnections has the feeds run that people connected.
func openConnections(ctx context.Context, s settings, c *core, log *slog.Logger) (*connect.Connections, error) {
	vault, err := connect.OpenVault(feedsKey(s))
	if err != nil {
		return nil, err
	}
	return connect.Open(ctx, connect.Options{Store: c.store, Catalog: c.catalog, Runner: c.feeds, Vault: vault, DataDir: s.DataDir, Logger: log, Now: time.Now})
}

// feedsKey is the file of the key that seals the feeds' secrets.
func feedsKey(s settings) string { return filepath.Join(s.DataDir, "feeds.key") }

// wait waits, or ends early with the error of ctx.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(max(d, 0))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// feedSink files what feeds read.
type feedSink struct{ *catalog.Catalog }

// AcceptAll tells what is wrong with one observation from what ends a pass.
func (s feedSink) AcceptAll(ctx context.Context, all []*pb.Observation) []error {
	errs := s.Catalog.AcceptAll(ctx, all)
	for i, err := range errs {
		switch {
		case errors.Is(err, catalog.ErrErased):
			errs[i] = nil // it is counted with the erasure; the record's name may be the person's
		case errors.Is(err, catalog.ErrInvalid) || errors.Is(err, store.ErrInvalidRow):
			errs[i] = fmt.Errorf("%w: %w", feed.ErrRejected, err)
		}
	}
	return errs
}

// Withdraw takes back what was said, if anything was.
func (s feedSink) Withdraw(ctx context.Context, source, sourceID string) error {
	err := s.Catalog.Withdraw(ctx, store.Ref{Source: source, ID: sourceID})
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// feedState keeps in the store what feeds must know after a restart.
type feedState struct{ store *store.Store }

// Get returns what was put under a key.
func (s feedState) Get(ctx context.Context, key string) (v []byte, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		held, err := tx.Note(key)
		v = slices.Clone(held)
		return err
	})
	return v, err
}

// Put keeps a value.
func (s feedState) Put(ctx context.Context, key string, value []byte) error {
	return s.store.Update(ctx, func(tx *store.Tx) error { return tx.PutNote(key, value) })
}

// Forget drops every key that begins with a text.
func (s feedState) Forget(ctx context.Context, begin string) error {
	const batch = 1000
	for n := batch; n == batch; {
		err := s.store.Update(ctx, func(tx *store.Tx) (err error) {
			n, err = tx.DropNotes(begin, batch)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// feedFleet tells lookups which devices there are.
type feedFleet struct{ store *store.Store }

// Serials yields the serial numbers of a maker's devices.
func (f feedFleet) Serials(ctx context.Context, maker, except string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		err := f.store.View(ctx, func(tx *store.Tx) error {
			return tx.ScanAssets("", func(a *pb.Asset) error {
				hw := a.GetHardware()
				if hw.GetSerial() == "" || !strings.HasPrefix(strings.ToLower(hw.GetManufacturer()), strings.ToLower(maker)) ||
					!slices.ContainsFunc(a.GetSources(), func(s *pb.AssetSource) bool { return s.GetSource() != except }) {
					return ctx.Err()
				}
				if !yield(hw.GetSerial(), nil) {
					return store.Stop
				}
				return ctx.Err()
			})
		})
		if err != nil {
			yield("", err)
		}
	}
}
