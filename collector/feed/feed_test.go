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
