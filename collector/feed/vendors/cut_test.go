package vendors_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/feed"
	"github.com/rollcall-itam/rollcall/collector/feed/feedtest"
	"github.com/rollcall-itam/rollcall/collector/feed/fetch"
	"github.com/rollcall-itam/rollcall/collector/feed/manifest"
	"github.com/rollcall-itam/rollcall/collector/feed/vendors"
	"github.com/rollcall-itam/rollcall/collector/kv/memkv"
	"github.com/rollcall-itam/rollcall/collector/store"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// TestCutAnywhere cuts passes at random bytes of what the systems answer, with
// the record itself behind the feed: no asset is lost or swept, the next pass
// completes, and what is really gone goes then. By default a few systems, of
// different ways to page, are cut once each; ROLLCALL_ROUNDS=50 cuts every
// system of the suite at fifty points.
func TestCutAnywhere(t *testing.T) {
	rounds, err := strconv.Atoi(os.Getenv("ROLLCALL_ROUNDS"))
	few := err != nil
	if few {
		rounds = 1
	}
	for _, v := range everyVendor(t) {
		if few && !slices.Contains([]string{"jamf_pro/computer", "intune/device", "kandji/device", "crowdstrike/host", "okta/device"}, v.Manifest+"/"+v.Stream) {
			continue
		}
		t.Run(v.Manifest+"/"+v.Stream, func(t *testing.T) {
			for i := range rounds {
				h := fnv.New64a()
				fmt.Fprint(h, v.Manifest, v.Stream, i)
				newRecord(t, v).cutOnce(rand.New(rand.NewPCG(h.Sum64(), 1)))
			}
		})
	}
}

// cutter is what stands between a feed and its system, and breaks.
type cutter struct {
	http.Handler
	mu sync.Mutex
	// sent counts the bytes of all answers, and left those until the cut; negative
	// for never.
	sent, left int
	// mends says that only one connection breaks; stop, if not nil, ends the
	// collector where another connection would.
	mends bool
	stop  func()
}

// ServeHTTP answers as long as the line holds.
func (c *cutter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.Handler.ServeHTTP(&line{ResponseWriter: w, cutter: c}, r)
}

// line is one connection.
type line struct {
	http.ResponseWriter
	*cutter
}

// Write sends what the line carries until it is cut.
func (l *line) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left < 0 || len(b) <= l.left {
		l.sent += len(b)
		if l.left >= 0 {
			l.left -= len(b)
		}
		return l.ResponseWriter.Write(b)
	}
	part := b[:l.left]
	l.left = 0
	if l.mends {
		l.left = -1
	}
	if l.stop != nil {
		l.stop()
	}
	if _, err := l.ResponseWriter.Write(part); err != nil {
		return 0, err
	}
	if err := http.NewResponseController(l.ResponseWriter).Flush(); err != nil {
		return 0, err
	}
	panic(http.ErrAbortHandler)
}

// kept is a record of assets as the collector keeps it, and the feed that
// fills it.
type kept struct {
	*catalog.Catalog
	t        *testing.T
	store    *store.Store
	clock    *feedtest.Clock
	system   *feedtest.System
	line     *cutter
	vendor   feedtest.Vendor
	manifest *manifest.Manifest
	client   *http.Client
}

// devices is how many the system has at first, in pages of pageOf.
const devices, pageOf = 12, 4

func newRecord(t *testing.T, v feedtest.Vendor) *kept {
	t.Helper()
	k := &kept{t: t, vendor: v, clock: feedtest.NewClock(), system: feedtest.NewSystem(t, v, devices, pageOf)}
	k.line = &cutter{Handler: k.system.Config.Handler, left: -1}
	k.system.Config.Handler = k.line
	k.system.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	var err error
	if k.manifest, err = vendors.Load(v.Manifest); err != nil {
		t.Fatal(err)
	}
	k.manifest.Streams = []manifest.Stream{*k.manifest.Stream(v.Stream)}
	k.manifest.Limit.PerSecond, k.manifest.Limit.Burst = 1e9, 1000 // time passes at once here
	if k.client, err = fetch.NewClient(fetch.ClientOptions{AllowPrivate: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.client.CloseIdleConnections)
	if k.store, err = store.Open(t.Context(), memkv.New()); err != nil {
		t.Fatal(err)
	}
	k.Catalog = catalog.New(k.store, k.clock.Now, slog.New(slog.DiscardHandler))
	if err := k.DeclareSource(t.Context(), &storagepb.SourceRecord{Id: "under-test", Kind: k.manifest.Kind, Unique: k.manifest.Unique}); err != nil {
		t.Fatal(err)
	}
	return k
}

// AcceptAll implements feed.Sink.
func (k *kept) AcceptAll(ctx context.Context, all []*pb.Observation) []error {
	errs := k.Catalog.AcceptAll(ctx, all)
	for i, err := range errs {
		if errors.Is(err, catalog.ErrInvalid) {
			errs[i] = fmt.Errorf("%w: %w", feed.ErrRejected, err)
		}
	}
	return errs
}

// Withdraw implements feed.Sink.
func (k *kept) Withdraw(ctx context.Context, source, id string) error {
	err := k.Catalog.Withdraw(ctx, store.Ref{Source: source, ID: id})
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// Get implements feed.State.
func (k *kept) Get(ctx context.Context, key string) (v []byte, err error) {
	err = k.store.View(ctx, func(tx *store.Tx) error {
		held, err := tx.Note(key)
		v = slices.Clone(held)
		return err
	})
	return v, err
}

// Put implements feed.State.
func (k *kept) Put(ctx context.Context, key string, value []byte) error {
	return k.store.Update(ctx, func(tx *store.Tx) error { return tx.PutNote(key, value) })
}

// Forget implements feed.State.
func (k *kept) Forget(context.Context, string) error { return errors.ErrUnsupported }

// pass reads everything with a runner that was just started.
func (k *kept) pass(ctx context.Context) (feed.Status, error) {
	k.t.Helper()
	r, err := feed.New(feed.Options{Sink: k, State: k, Logger: slog.New(slog.DiscardHandler), Now: k.clock.Now, Wait: k.clock.Wait, Getenv: os.Getenv},
		[]feed.Config{{Name: "under-test", Manifest: k.manifest, Settings: k.vendor.Settings(k.system.URL), Client: k.client}})
	if err != nil {
		k.t.Fatal(err)
	}
	return r.Once(ctx, "under-test", feed.Wish{Full: true})
}

// completes expects a pass that ends well.
func (k *kept) completes(when string) {
	k.t.Helper()
	if s, err := k.pass(k.t.Context()); err != nil {
		k.t.Fatalf("%s: %v; %+v", when, err, s.Pass)
	}
}

// assets returns which asset each record of the system is of. What the system
// said of it must be there too.
func (k *kept) assets() map[string]string {
	k.t.Helper()
	of, said := make(map[string]string), 0
	err := k.store.View(k.t.Context(), func(tx *store.Tx) error {
		err := tx.ScanAssets("", func(a *pb.Asset) error {
			for _, s := range a.GetSources() {
				of[s.GetSourceId()] = a.GetId()
			}
			return nil
		})
		return errors.Join(err, tx.ScanHeads("under-test", func(ref store.Ref, _ *storagepb.HeadRecord) error {
			if said++; of[ref.ID] == "" {
				k.t.Errorf("%s is of no asset", ref.ID)
			}
			return nil
		}))
	})
	if err != nil || said != len(of) {
		k.t.Fatalf("%d records of %d sources: %v", said, len(of), err)
	}
	return of
}

// cutOnce cuts a pass somewhere, between a change of the system and the next
// passes.
func (k *kept) cutOnce(random *rand.Rand) {
	t := k.t
	t.Helper()
	k.completes("first pass")
	k.line.sent = 0
	k.completes("second pass")
	before := k.assets()
	if len(before) != devices {
		t.Fatalf("%d devices are held, want %d", len(before), devices)
	}
	k.system.Change(func(records []any) []any {
		return append(slices.Delete(slices.Clone(records), 5, 7), k.vendor.Device(devices), k.vendor.Device(devices+1))
	})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	k.line.left, k.line.mends = random.IntN(k.line.sent), random.IntN(3) == 0
	if !k.line.mends && random.IntN(2) == 0 {
		k.line.stop = stop
	}
	at := fmt.Sprintf("cut after %d of %d bytes (one connection: %v, collector stopped: %v)", k.line.left, k.line.sent, k.line.mends, k.line.stop != nil)
	s, err := k.pass(ctx)
	if k.line.mends != (err == nil) || s.Pass.Withdrawn != 0 {
		t.Errorf("%s: %v; %+v", at, err, s.Pass)
	}
	k.nothingIsLost(at, before)

	k.line.left, k.line.stop = -1, nil
	later := time.Duration(1+random.IntN(600)) * time.Minute
	if err := k.clock.Wait(t.Context(), later); err != nil {
		t.Fatal(err)
	}
	k.completes(at + ", the next pass")
	k.nothingIsLost(at+", the next pass", before)
	if got := len(k.assets()); got != devices+2 && (!k.line.mends || got != devices) {
		t.Errorf("%s: %d devices are held after the next pass", at, got)
	}
	k.completes(at + ", the pass after it")
	want := devices
	if k.manifest.Absent.Keep {
		want += 2
	}
	if got := k.assets(); len(got) != want {
		t.Errorf("%s: %d devices are held in the end, want %d: %s", at, len(got), want, strings.Join(slices.Sorted(maps.Keys(got)), " "))
	}
}

// nothingIsLost expects every device that was held, as the same asset.
func (k *kept) nothingIsLost(when string, before map[string]string) {
	k.t.Helper()
	now := k.assets()
	maps.DeleteFunc(now, func(id string, _ string) bool { return before[id] == "" })
	if k.line.mends && len(now) == len(before)-2 {
		return // the pass that was cut completed, and so did the next
	}
	if diff := cmp.Diff(before, now); diff != "" {
		k.t.Errorf("%s: what is held differs: %s", when, diff)
	}
}
