package feedtest

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rollcall-itam/rollcall/collector/feed"
	"github.com/rollcall-itam/rollcall/collector/feed/fetch"
	"github.com/rollcall-itam/rollcall/collector/feed/manifest"
	"github.com/rollcall-itam/rollcall/collector/feed/vendors"
)

// bench is one feed, its fake system and the record that it fills.
type bench struct {
	*System
	*Record
	t        *testing.T
	clock    *Clock
	manifest *manifest.Manifest
	client   *http.Client
	vendor   Vendor
}

// newBench connects a feed to a system of n devices.
func newBench(t *testing.T, v Vendor, n, limit int) *bench {
	t.Helper()
	m, err := vendors.Load(v.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	m.Streams = []manifest.Stream{*m.Stream(v.Stream)}
	m.Limit.PerSecond, m.Limit.Burst = 1e9, 1000 // time passes at once here
	client, err := fetch.NewClient(fetch.ClientOptions{AllowPrivate: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	return &bench{System: NewSystem(t, v, n, limit), Record: NewRecord(), t: t, clock: NewClock(), manifest: m, client: client, vendor: v}
}

// pass reads everything once.
func (b *bench) pass() (feed.Status, error) {
	b.t.Helper()
	r, err := feed.New(feed.Options{Sink: b, State: b, Logger: slog.New(slog.DiscardHandler), Now: b.clock.Now, Wait: b.clock.Wait, Getenv: os.Getenv},
		[]feed.Config{{Name: "under-test", Manifest: b.manifest, Settings: b.vendor.Settings(b.URL), Client: b.client}})
	if err != nil {
		b.t.Fatal(err)
	}
	return r.Once(b.t.Context(), "under-test", feed.Wish{Full: true})
}

// reads expects a pass that ends well with n devices held.
func (b *bench) reads(n int) feed.Status {
	b.t.Helper()
	s, err := b.pass()
	if err != nil {
		b.t.Errorf("%v", err)
	}
	if got := len(b.IDs()); got != n {
		b.t.Errorf("%d devices held, want %d; pass %+v", got, n, s.Pass)
	}
	return s
}

// fails expects a pass that fails in a way, says why, and loses nothing.
func (b *bench) fails(kind fetch.Kind, says string) {
	b.t.Helper()
	before := b.IDs()
	s, err := b.pass()
	if err == nil || fetch.KindOf(err) != kind || !strings.Contains(err.Error(), says) {
		b.t.Errorf("got %v (kind %d), want kind %d and %q", err, fetch.KindOf(err), kind, says)
	}
	for _, id := range before {
		if !slices.Contains(b.IDs(), id) {
			b.t.Errorf("%s was lost", id)
		}
	}
	if s.Failures == 0 || s.Pass.Withdrawn != 0 {
		b.t.Errorf("the status does not say so: %+v", s)
	}
}

// always answers every request for the list from the nth on.
func always(from int, code int, body string) func(int, http.ResponseWriter, *http.Request) bool {
	return func(n int, w http.ResponseWriter, _ *http.Request) bool {
		if n < from {
			return false
		}
		w.WriteHeader(code)
		fmt.Fprint(w, body)
		return true
	}
}

// once answers the nth request for the list only.
func once(at int, code int, body string, header ...string) func(int, http.ResponseWriter, *http.Request) bool {
	return func(n int, w http.ResponseWriter, _ *http.Request) bool {
		if n != at {
			return false
		}
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		fmt.Fprint(w, body)
		return true
	}
}

// suite are the cases that every system is held to.
var suite = []struct {
	name string
	test func(t *testing.T, v Vendor)
}{
	{"paging to the end", func(t *testing.T, v Vendor) { newBench(t, v, 7, 3).reads(7) }},
	{"empty", func(t *testing.T, v Vendor) { newBench(t, v, 0, 3).reads(0) }},
	{"one page", func(t *testing.T, v Vendor) { newBench(t, v, 2, 3).reads(2) }},
	{"full page", func(t *testing.T, v Vendor) { newBench(t, v, 3, 3).reads(3) }},
	{"token ends", tokenEnds},
	{"denied", denied},
	{"busy", busy},
	{"fails once", failsOnce},
	{"fails for ever", down},
	{"broken answers", brokenAnswers},
	{"records without id", lacking},
	{"duplicates", duplicates},
	{"a page that repeats", repeats},
	{"cut off", cutOff},
	{"values change their type", flips},
	{"many", many},
}

// many reads a list of more pages than any other case: of 300 devices, or of as
// many as ROLLCALL_MANY says (100000).
func many(t *testing.T, v Vendor) {
	devices, err := strconv.Atoi(os.Getenv("ROLLCALL_MANY"))
	if err != nil {
		devices = 300
	}
	newBench(t, v, devices, max(devices/50, 80)).reads(devices)
}

// Cases returns how many cases a system is held to: that of a token that ends
// is none where there are no tokens.
func Cases(v Vendor) int {
	if v.SignIn == nil {
		return len(suite) - 1
	}
	return len(suite)
}

// Run holds a vendor's manifest to the suite.
func Run(t *testing.T, v Vendor) {
	for _, c := range suite {
		t.Run(c.name, func(t *testing.T) { c.test(t, v) })
	}
}
