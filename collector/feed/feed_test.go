package feed_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/rollcall-itam/rollcall/collector/feed"
	"github.com/rollcall-itam/rollcall/collector/feed/feedtest"
	"github.com/rollcall-itam/rollcall/collector/feed/fetch"
	"github.com/rollcall-itam/rollcall/collector/feed/manifest"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const acme = `
schema: 1
name: acme
title: Acme
kind: mdm
base: ${url}
settings: {url: {type: url}}
limit: {per_second: 1000, burst: 1000}
streams:
  - name: devices
    get: /devices
    records: data
    pager: {cursor: {from: next, param: c}, total: total}
    cursor: {field: changed, query: {since: "${cursor}"}}
    skip: r.?gone.orValue(false)
    key: id
    map: {name: name}
`

// device is a record of the fake system.
type device struct {
	ID      any       `json:"id"`
	Name    any       `json:"name"`
	Gone    bool      `json:"gone,omitempty"`
	Changed time.Time `json:"changed"`
}

// world is a fake system with a record that its feed fills.
type world struct {
	*httptest.Server
	*feedtest.Record
	clock *feedtest.Clock

	mu      sync.Mutex
	devices []device
	// total, if not 0, is what the system says it has.
	total int
	// fail, if not nil, may answer request n of the system instead of it.
	fail   func(n int, w http.ResponseWriter) bool
	asked  []string
	metric *prometheus.Registry
}

const pageSize = 10

func newWorld(t *testing.T, n int) *world {
	w := &world{Record: feedtest.NewRecord(), clock: feedtest.NewClock(), metric: prometheus.NewRegistry()}
	for i := range n {
		w.devices = append(w.devices, device{ID: fmt.Sprintf("d%03d", i), Name: fmt.Sprintf("name %d", i), Changed: w.clock.Now().Add(-time.Duration(n-i) * time.Hour)})
	}
	w.Server = httptest.NewServer(w)
	t.Cleanup(w.Close)
	return w
}

func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, r.URL.RawQuery)
	if w.fail != nil && w.fail(len(w.asked), rw) {
		return
	}
	listed := w.devices
	if s := r.URL.Query().Get("since"); s != "" {
		since, err := time.Parse(time.RFC3339, s)
		if err != nil {
			http.Error(rw, "since", http.StatusBadRequest)
			return
		}
		listed = slices.DeleteFunc(slices.Clone(listed), func(d device) bool { return d.Changed.Before(since) })
	}
	from, _ := strconv.Atoi(r.URL.Query().Get("c"))
	to := min(from+pageSize, len(listed))
	answer := map[string]any{"data": listed[min(from, to):to], "total": len(listed)}
	if w.total != 0 {
		answer["total"] = w.total
	}
	if to < len(listed) {
		answer["next"] = strconv.Itoa(to)
	}
	json.NewEncoder(rw).Encode(answer)
}

// change changes the system while nobody asks it.
func (w *world) change(fn func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fn()
}

func (w *world) requests() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.asked)
}

// runner makes a runner anew, as after a restart.
func (w *world) runner(t *testing.T, yaml string) *feed.Runner {
	t.Helper()
	m, err := manifest.Parse(strings.NewReader(yaml))
	if err != nil {
		t.Fatal(err)
	}
	client, err := fetch.NewClient(fetch.ClientOptions{AllowPrivate: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	settings := map[string]string{}
	if _, ok := m.Settings["url"]; ok {
		settings["url"] = w.URL
	}
	registry := prometheus.NewRegistry()
	w.metric = registry
	r, err := feed.New(feed.Options{Sink: w, State: w, Logger: slog.New(slog.DiscardHandler), Now: w.clock.Now, Wait: w.clock.Wait, Getenv: os.Getenv, Metrics: registry},
		[]feed.Config{{Name: "acme", Manifest: m, Settings: settings, Client: client}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// pass runs the feed once and expects that it ends well.
func (w *world) pass(t *testing.T, wish feed.Wish) feed.Status {
	t.Helper()
	s, err := w.runner(t, acme).Once(t.Context(), "acme", wish)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var full = feed.Wish{Full: true}

func TestFullThenIncremental(t *testing.T) {
	w := newWorld(t, 25)
	s := w.pass(t, feed.Wish{})
	if !s.Pass.Full || s.Pass.Records != 25 || s.Pass.Pages != 3 || s.Pass.Total != 25 || len(w.IDs()) != 25 || w.IDs()[0] != "devices/d000" {
		t.Errorf("%+v %v", s.Pass, w.IDs())
	}
	w.clock.Wait(t.Context(), 15*time.Minute)
	w.change(func() { w.devices[3].Name, w.devices[3].Changed = "renamed", w.clock.Now() })
	s = w.pass(t, feed.Wish{})
	// The device that changed last is asked for again, for the overlap.
	if s.Pass.Full || s.Pass.Records != 2 || w.Observations()["devices/d003"].GetDevice().GetName() != "renamed" {
		t.Errorf("%+v", s.Pass)
	}
	w.clock.Wait(t.Context(), 25*time.Hour)
	if s = w.pass(t, feed.Wish{}); !s.Pass.Full || s.Pass.Records != 25 {
		t.Errorf("a day later: %+v", s.Pass)
	}
	if got := gauge(t, w, "rollcall_feed_last_success_timestamp_seconds"); got != float64(w.clock.Now().Unix()) {
		t.Errorf("metric says %v", got)
	}
}

// gauge reads the one series of a metric.
func gauge(t *testing.T, w *world, name string) float64 {
	t.Helper()
	families, err := w.metric.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

func TestWhatIsGoneIsWithdrawnAfterTwoCompletePasses(t *testing.T) {
	w := newWorld(t, 25)
	w.pass(t, full)
	w.change(func() { w.devices = slices.Delete(w.devices, 4, 6) })
	if s := w.pass(t, full); s.Pass.Withdrawn != 0 || len(w.IDs()) != 25 {
		t.Errorf("one pass withdrew %d", s.Pass.Withdrawn)
	}
	// The next pass is over everything although only changes are due.
	w.clock.Wait(t.Context(), time.Minute)
	s := w.pass(t, feed.Wish{})
	if !s.Pass.Full || s.Pass.Withdrawn != 2 || len(w.IDs()) != 23 || slices.Contains(w.IDs(), "devices/d004") {
		t.Errorf("%+v, %d held", s.Pass, len(w.IDs()))
	}
	if s := w.pass(t, feed.Wish{}); s.Pass.Full {
		t.Error("passes go on over everything")
	}
}

func TestSkippedRecordsAreWithdrawnAtOnce(t *testing.T) {
	w := newWorld(t, 5)
	w.pass(t, full)
	w.change(func() { w.devices[1].Gone, w.devices[1].Changed = true, w.clock.Now() })
	if s := w.pass(t, feed.Wish{}); s.Pass.Skipped != 1 || slices.Contains(w.IDs(), "devices/d001") {
		t.Errorf("%+v %v", s.Pass, w.IDs())
	}
}

func TestImplausiblePassesWithdrawNothing(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*world)
		note   string
	}{
		"says more than it gives": {func(w *world) { w.devices, w.total = w.devices[:23], 30 }, "30 records by its own count and gave 23"},
		"half is gone":            {func(w *world) { w.devices = w.devices[:12] }, "gave 12 records, 25 the time before"},
		"everything is gone":      {func(w *world) { w.devices = nil }, "gave 0 records, 25 the time before"},
		"ids cannot be told":      {func(w *world) { w.devices[7].ID = nil }, "1 records could not be told apart, 0 the time before"},
		"an id changed its form":  {func(w *world) { w.devices[7].ID = []string{"d007"} }, "1 records could not be told apart"},
		"only one is gone":        {func(w *world) { w.devices = slices.Delete(w.devices, 0, 1) }, ""},
	} {
		w := newWorld(t, 25)
		w.pass(t, full)
		w.change(func() { c.change(w) })
		for range 2 {
			s := w.pass(t, full)
			if c.note != "" && (len(s.Pass.Notes) != 1 && name != "ids cannot be told" && name != "an id changed its form") {
				t.Errorf("%s: notes %q", name, s.Pass.Notes)
			}
			if c.note != "" && len(s.Pass.Notes) > 0 && !strings.Contains(s.Pass.Notes[0], c.note) {
				t.Errorf("%s: notes %q, want %q", name, s.Pass.Notes, c.note)
			}
			if c.note != "" && s.Pass.Withdrawn != 0 {
				t.Errorf("%s: withdrew %d", name, s.Pass.Withdrawn)
			}
		}
		if want := 24; c.note == "" && len(w.IDs()) != want {
			t.Errorf("%s: %d held", name, len(w.IDs()))
		}
	}
}

func TestAbsencesAreAcceptedWhenSomebodySaysSo(t *testing.T) {
	w := newWorld(t, 25)
	w.pass(t, full)
	w.change(func() { w.devices = w.devices[:5] })
	if s := w.pass(t, feed.Wish{AcceptAbsences: true}); s.Pass.Withdrawn != 20 || len(w.IDs()) != 5 {
		t.Errorf("%+v", s.Pass)
	}
}

// TestDisconnections cuts a pass at each of its requests: nothing is lost or
// swept, and the next pass completes from where it was.
func TestDisconnections(t *testing.T) {
	for cut := 1; cut <= 10; cut++ {
		for _, later := range []time.Duration{time.Minute, time.Hour} {
			w := newWorld(t, 100)
			w.pass(t, full)
			w.change(func() {
				w.devices = slices.Delete(w.devices, 50, 52)
				w.asked = nil
				w.fail = func(n int, rw http.ResponseWriter) bool {
					if n < cut {
						return false
					}
					panic(http.ErrAbortHandler)
				}
			})
			if _, err := w.runner(t, acme).Once(t.Context(), "acme", full); fetch.KindOf(err) != fetch.Down {
				t.Fatalf("cut at %d: %v", cut, err)
			}
			if len(w.IDs()) != 100 || w.Swept != 0 {
				t.Errorf("cut at %d: %d held, %d swept", cut, len(w.IDs()), w.Swept)
			}
			w.change(func() { w.fail, w.asked = nil, nil })
			w.clock.Wait(t.Context(), later)
			s := w.pass(t, feed.Wish{})
			want := 10
			if later == time.Minute && cut > 1 {
				want = 10 - cut + 1
			}
			if !s.Pass.Full || len(w.asked) != want || len(w.IDs()) != 100 {
				t.Errorf("cut at %d, %v later: asked %d times, want %d; full %v; %d held", cut, later, len(w.asked), want, s.Pass.Full, len(w.IDs()))
			}
			if s = w.pass(t, feed.Wish{}); s.Pass.Withdrawn != 2 || len(w.IDs()) != 98 {
				t.Errorf("cut at %d, %v later: the second complete pass withdrew %d", cut, later, s.Pass.Withdrawn)
			}
		}
	}
}

func TestStateDoesNotGrow(t *testing.T) {
	w := newWorld(t, 45)
	w.pass(t, full)
	w.pass(t, full)
	size := w.StateSize()
	for range 5 {
		w.pass(t, full)
		w.pass(t, feed.Wish{})
	}
	if got := w.StateSize(); got > size {
		t.Errorf("%d keys, %d before", got, size)
	}
}

func TestRejectedObservationsHarmNoOther(t *testing.T) {
	w := newWorld(t, 25)
	w.OnAccept = func(o *pb.Observation) error {
		if o.GetSourceId() == "devices/d003" {
			return fmt.Errorf("%w: no", feed.ErrRejected)
		}
		return nil
	}
	s := w.pass(t, full)
	if s.Pass.Stated != 24 || s.Pass.ProblemCount != 1 || s.Pass.Problems[0].SourceID != "devices/d003" {
		t.Errorf("%+v", s.Pass)
	}
	full := errors.New("the disk is full")
	w.OnAccept = func(*pb.Observation) error { return full }
	if _, err := w.runner(t, acme).Once(t.Context(), "acme", feed.Wish{Full: true}); !errors.Is(err, full) {
		t.Errorf("a store that takes nothing does not end the pass: %v", err)
	}
}

func TestDuplicatesAndCircles(t *testing.T) {
	w := newWorld(t, 25)
	w.change(func() { w.devices = append(w.devices, w.devices[0], w.devices[1]) })
	if s := w.pass(t, full); len(w.IDs()) != 25 || s.Pass.ProblemCount != 0 {
		t.Errorf("%+v", s.Pass)
	}
	circle := newWorld(t, 10)
	circle.change(func() {
		circle.fail = func(n int, rw http.ResponseWriter) bool {
			json.NewEncoder(rw).Encode(map[string]any{"data": circle.devices, "next": strconv.Itoa(n)})
			return true
		}
	})
	if _, err := circle.runner(t, acme).Once(t.Context(), "acme", full); err == nil || !strings.Contains(err.Error(), "goes round in circles") || circle.requests() > 5 {
		t.Errorf("%v after %d requests", err, circle.requests())
	}
}

func TestLookup(t *testing.T) {
	const warranty = `
schema: 1
name: maker
title: Maker
kind: warranty
base: ${url}
settings: {url: {type: url}}
limit: {per_second: 1000, burst: 1000}
streams:
  - name: assets
    get: /warranty
    query: {tags: "${serials}"}
    lookup: {manufacturers: [Dell], size: 2, ttl: 24h, daily: 3}
    key: {path: tag, as: upper}
    skip: r.?invalid.orValue(false)
    map: {hardware.serial: tag, warranty.end: end}
`
	w := newWorld(t, 0)
	var mu sync.Mutex
	var asked []string
	w.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		tags := r.URL.Query().Get("tags")
		asked = append(asked, tags)
		var all []any
		for _, tag := range strings.Split(tags, ",") {
			all = append(all, map[string]any{"tag": strings.ToLower(tag), "end": "2027-01-02", "invalid": tag == "BAD"})
		}
		json.NewEncoder(rw).Encode(all)
	})
	fleet := serials{"abc1", "ABC2", "BAD", "a,b", "ABC4", "ABC5", "ABC6", "ABC7"}
	run := func() feed.Status {
		m, err := manifest.Parse(strings.NewReader(warranty))
		if err != nil {
			t.Fatal(err)
		}
		r, err := feed.New(feed.Options{Sink: w, State: w, Fleet: fleet, Logger: slog.New(slog.DiscardHandler), Now: w.clock.Now, Wait: w.clock.Wait},
			[]feed.Config{{Name: "dell", Manifest: m, Settings: map[string]string{"url": w.URL}, Client: w.Client()}})
		if err != nil {
			t.Fatal(err)
		}
		s, err := r.Once(t.Context(), "dell", feed.Wish{Full: true})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	run()
	if diff := cmp.Diff([]string{"ABC1,ABC2", "BAD,ABC4", "ABC5,ABC6"}, asked); diff != "" {
		t.Error("bounded by size and by day: ", diff)
	}
	if diff := cmp.Diff([]string{"assets/ABC1", "assets/ABC2", "assets/ABC4", "assets/ABC5", "assets/ABC6"}, w.IDs()); diff != "" {
		t.Error(diff)
	}
	w.clock.Wait(t.Context(), 20*time.Hour)
	asked = nil
	if run(); len(asked) != 1 || asked[0] != "ABC7" {
		t.Errorf("the day after: %v", asked)
	}
	fleet = fleet[1:]
	run()
	run()
	if slices.Contains(w.IDs(), "assets/ABC1") || len(w.IDs()) != 5 {
		t.Errorf("what nobody states any more is still looked up: %v", w.IDs())
	}
}

type serials []string

// Serials implements feed.Fleet.
func (s serials) Serials(context.Context, string, string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, one := range s {
			if !yield(one, nil) {
				return
			}
		}
	}
}

func TestTable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "po.csv")
	content := "\ufeffSerial;Preis;Datum;Rechnung\rC02A;1.299,00;23.1.2026;R-1\rC02B;899;1.2.2026;R-1\r6.37702E+15;5;2.2.2026;R-2\r"
	write := func(s string) {
		if err := os.WriteFile(file, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const yaml = `
schema: 1
name: orders
title: Orders
kind: purchasing
driver: table
settings: {file: {type: file}}
absent: {after: 1}
table:
  file: ${file}
  columns: {serial: [Seriennummer], price: [Preis], day: [Datum], order: [Rechnung]}
  dates: [day]
  numbers: [price]
streams:
  - name: rows
    key: {path: serial, as: serial}
    map:
      hardware.serial: serial
      purchase.price: {path: price, currency: EUR}
      purchase.ordered_at: day
      purchase.order_number: order
`
	w := newWorld(t, 0)
	run := func() feed.Status {
		m, err := manifest.Parse(strings.NewReader(yaml))
		if err != nil {
			t.Fatal(err)
		}
		r, err := feed.New(feed.Options{Sink: w, State: w, Logger: slog.New(slog.DiscardHandler), Now: w.clock.Now, Wait: w.clock.Wait},
			[]feed.Config{{Name: "csv:po", Manifest: m, Settings: map[string]string{"file": file}}})
		if err != nil {
			t.Fatal(err)
		}
		s, err := r.Once(t.Context(), "csv:po", feed.Wish{Full: true})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	write(content)
	s := run()
	got := w.Observations()["rows/C02A"].GetDevice().GetPurchase()
	if got.GetPrice().GetAmount() != "1299.00" || got.GetPrice().GetCurrency() != "EUR" || got.GetOrderedAt() != "2026-01-23" || s.Pass.ProblemCount != 1 || !strings.Contains(s.Pass.Problems[0].Text, "a spreadsheet rounded") {
		t.Errorf("%v %+v", got, s.Pass)
	}
	write(strings.ReplaceAll(content, "899", "799"))
	run()
	if got := w.Observations()["rows/C02B"].GetDevice().GetPurchase().GetPrice().GetAmount(); got != "799" {
		t.Errorf("a corrected file does not correct: %s", got)
	}
}
