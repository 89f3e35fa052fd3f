// Package feed reads what other systems know, on a schedule, and hands it to
// the record as observations.
package feed

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"regexp"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rollcall-itam/rollcall/collector/feed/fetch"
	"github.com/rollcall-itam/rollcall/collector/feed/manifest"
	"github.com/rollcall-itam/rollcall/collector/feed/mapping"
	"github.com/rollcall-itam/rollcall/collector/feed/table"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// ErrRejected is wrapped by errors of a Sink that are about one observation:
// the pass goes on. Any other error ends it.
var ErrRejected = errors.New("the observation was rejected")

// Sink takes what feeds read. It may be called by many goroutines at once.
type Sink interface {
	// AcceptAll files observations and returns the error of each, nil where it was
	// filed. What is wrong with one keeps no other from being filed.
	AcceptAll(ctx context.Context, all []*pb.Observation) []error
	// Withdraw takes back what a source said under an id, if it said anything.
	Withdraw(ctx context.Context, source, sourceID string) error
	// Sweep withdraws what the source stated and keep denies. It refuses, and
	// withdraws nothing, where more than share (0 to 1) of what is held would go.
	Sweep(ctx context.Context, source string, keep func(sourceID string) bool, share float64) (withdrawn int, err error)
}

// State keeps what feeds must know after a restart.
type State interface {
	// Get returns what was put under a key, nil if nothing was.
	Get(ctx context.Context, key string) ([]byte, error)
	// Put keeps a value of up to 900 KiB durably; nil forgets the key.
	Put(ctx context.Context, key string, value []byte) error
	// Forget drops every key that begins with a text.
	Forget(ctx context.Context, begin string) error
}

// Fleet tells lookups what they can ask about.
type Fleet interface {
	// Serials yields the serial numbers of the devices of a maker that a source
	// other than the named one states. The maker is compared by its beginning,
	// whatever the case. Nothing is written while they are yielded.
	Serials(ctx context.Context, maker, except string) iter.Seq2[string, error]
}

// Config is one feed: a system, the credentials for it, and how often it is
// read.
type Config struct {
	// Name is the source under which the feed's observations are filed.
	Name     string
	Manifest *manifest.Manifest
	// Settings are the values of the manifest's settings; env: and file:
	// references have not been replaced.
	Settings map[string]string
	// Every and FullEvery outrank the manifest's, if not zero.
	Every, FullEvery time.Duration
	Paused           bool
	// Reach says how the system is reached, where Client is nil.
	Reach  fetch.ClientOptions
	Client *http.Client
}

// Options are what feeds work with.
type Options struct {
	Sink  Sink
	State State
	// Fleet may be nil where no feed looks devices up.
	Fleet  Fleet
	Logger *slog.Logger
	Now    func() time.Time
	// Wait waits, or ends early with the error of ctx.
	Wait func(ctx context.Context, d time.Duration) error
	// Getenv reads a variable that a setting refers to.
	Getenv func(string) string
	// Metrics, if not nil, gets the feeds' metrics.
	Metrics prometheus.Registerer
}

// reader reads the records of a system.
type reader interface {
	Pages(ctx context.Context, ask fetch.Ask, yield func(fetch.Page) error) error
	Join(ctx context.Context, s *manifest.Stream, records []any, choose fetch.Chooser, cache fetch.Cache) error
	Lookup(ctx context.Context, s *manifest.Stream, serials []string) ([]any, error)
}

// source is a feed made ready to read.
type source struct {
	Config
	reader   reader
	mappings []*mapping.Mapping
	// hook is nil where the system does not call.
	hook *hook
}

var validSource = regexp.MustCompile(`^[a-z0-9][a-z0-9._:-]{0,62}$`)

// open makes a feed ready. The error tells all that is wrong with it.
func open(c Config, o Options, answered func(int)) (*source, error) {
	if !validSource.MatchString(c.Name) {
		return nil, fmt.Errorf("feed %q: want a name of up to 63 lower-case letters, digits and . _ : -", c.Name)
	}
	s := &source{Config: c}
	if s.Every == 0 {
		s.Every = time.Duration(c.Manifest.Every)
	}
	if s.FullEvery == 0 {
		s.FullEvery = time.Duration(c.Manifest.FullEvery)
	}
	settings, err := fetch.NewSettings(c.Manifest, c.Settings, o.Getenv)
	errs := []error{err}
	s.hook, err = newHook(c.Manifest.Webhook, settings)
	errs = append(errs, err)
	for i := range c.Manifest.Streams {
		m, err := mapping.Compile(&c.Manifest.Streams[i], settings)
		s.mappings, errs = append(s.mappings, m), append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("feed %s: %w", c.Name, err)
	}
	if c.Manifest.Driver == "table" {
		var t *table.Table
		t, err = table.New(c.Manifest.Table, settings)
		s.reader = rows{t}
	} else {
		client := c.Client
		if client == nil {
			if client, err = fetch.NewClient(c.Reach); err != nil {
				return nil, fmt.Errorf("feed %s: %w", c.Name, err)
			}
		}
		s.reader, err = fetch.New(fetch.Options{Manifest: c.Manifest, Settings: settings, Client: client, Logger: o.Logger.With("feed", c.Name),
			Now: o.Now, Wait: o.Wait, Answered: answered})
	}
	if err != nil {
		return nil, fmt.Errorf("feed %s: %w", c.Name, err)
	}
	return s, nil
}

// Check makes a feed ready and so tells what is wrong with it, without asking
// its system.
func Check(c Config, o Options) error {
	_, err := open(c, o, nil)
	return err
}

// CheckMappings tells what is wrong with the mappings of a manifest, with line
// and column.
func CheckMappings(m *manifest.Manifest) error {
	var errs []error
	for i := range m.Streams {
		_, err := mapping.Compile(&m.Streams[i], nil)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
