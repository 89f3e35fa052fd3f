package notify_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/kv"
	"github.com/rollcall-itam/rollcall/collector/kv/memkv"
	"github.com/rollcall-itam/rollcall/collector/notify"
	"github.com/rollcall-itam/rollcall/collector/store"
	"github.com/rollcall-itam/rollcall/collector/watch"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stopped is a clock that the test moves.
type stopped struct {
	mu     sync.Mutex
	change *sync.Cond
	now    time.Time
	timers map[*timer]bool
}

type timer struct {
	at time.Time
	c  chan time.Time
}

func newClock() *stopped {
	c := &stopped{now: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC), timers: make(map[*timer]bool)}
	c.change = sync.NewCond(&c.mu)
	return c
}

func (c *stopped) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *stopped) After(d time.Duration) (<-chan time.Time, func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &timer{c.now.Add(d), make(chan time.Time, 1)}
	if d <= 0 {
		t.c <- c.now
		return t.c, func() {}
	}
	c.timers[t] = true
	c.change.Broadcast()
	return t.c, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.timers, t)
	}
}

// advance moves the clock.
func (c *stopped) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.moveTo(c.now.Add(d))
}

func (c *stopped) moveTo(at time.Time) {
	c.now = at
	for t := range c.timers {
		if !t.at.After(at) {
			t.c <- at
			delete(c.timers, t)
		}
	}
}

// tick waits until somebody waits for a time, and moves the clock to the first of
// those. It returns how far that was.
func (c *stopped) tick() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	giveUp := time.AfterFunc(10*time.Second, c.change.Broadcast)
	defer giveUp.Stop()
	for began := time.Now(); len(c.timers) == 0; c.change.Wait() {
		if time.Since(began) > 9*time.Second {
			panic("nobody waits for any time")
		}
	}
	var first time.Time
	for t := range c.timers {
		if first.IsZero() || t.at.Before(first) {
			first = t.at
		}
	}
	d := first.Sub(c.now)
	c.moveTo(first)
	return d
}

// openVault seals by writing backwards, which is enough to see that it was asked.
type openVault struct{}

func (openVault) Seal(place, secret string) []byte { return []byte(place + "\x01" + reversed(secret)) }

func (openVault) Open(place string, sealed []byte) (string, error) {
	text, ok := strings.CutPrefix(string(sealed), place+"\x01")
	if !ok {
		return "", fmt.Errorf("sealed for another place than %q", place)
	}
	return reversed(text), nil
}

func reversed(s string) string {
	b := []byte(s)
	for i := range len(b) / 2 {
		b[i], b[len(b)-1-i] = b[len(b)-1-i], b[i]
	}
	return string(b)
}

// world is a collector of which only what notifications need is there.
type world struct {
	*stopped
	t        testing.TB
	db       kv.DB
	st       *store.Store
	c        *catalog.Catalog
	changes  *watch.Log
	n        *notify.Notifier
	o        notify.Options
	registry *prometheus.Registry
	end      func()
	findings uint64
}

func newWorld(t testing.TB, o notify.Options) *world {
	t.Helper()
	w := &world{t: t, stopped: newClock(), db: memkv.New()}
	t.Cleanup(func() { _ = w.db.Close() })
	var err error
	if w.st, err = store.Open(t.Context(), w.db); err != nil {
		t.Fatal(err)
	}
	w.o = o
	w.open()
	t.Cleanup(func() { w.end() })
	if err := w.c.DeclareSource(t.Context(), &storagepb.SourceRecord{Id: "mdm", Kind: "mdm", Unique: true}); err != nil {
		t.Fatal(err)
	}
	return w
}

// open starts what a collector starts on its store.
func (w *world) open() {
	w.t.Helper()
	log := slog.New(slog.DiscardHandler)
	w.c = catalog.New(w.st, w.Now, log)
	if err := w.c.Load(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.changes = watch.New(w.st)
	w.changes.Follow(w.c)
	o := w.o
	w.registry = prometheus.NewRegistry()
	o.Metrics = w.registry
	o.Store, o.Catalog, o.Changes, o.Vault, o.Logger, o.Now, o.After = w.st, w.c, w.changes, openVault{}, log, w.Now, w.After
	o.Title = func(rule string) string { return map[string]string{"encrypted": "Disk encryption is on"}[rule] }
	n, err := notify.Open(w.t.Context(), o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.n = n
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- n.Run(ctx) }()
	w.end = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
}

// restart stops everything as a stop of the collector does, and starts it again.
func (w *world) restart() {
	w.t.Helper()
	w.end()
	w.open()
}

// report has an asset with a name and a department be stated, and returns its id.
func (w *world) report(name, department string) string {
	w.t.Helper()
	id, err := w.c.Accept(w.t.Context(), &pb.Observation{Source: "mdm", SourceId: "id-" + name, ObservedAt: timestamppb.New(w.Now()), Subject: &pb.Observation_Device{Device: &pb.Device{
		Name: name, Hardware: &pb.Hardware{Manufacturer: "Dell", Serial: "SER" + fmt.Sprintf("%X", name)}, Owner: &pb.Owner{Department: department}}}})
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// find logs findings as the engine does.
func (w *world) find(kind, rule, severity string, assets ...string) {
	w.t.Helper()
	at := timestamppb.New(w.Now())
	err := w.st.Update(w.t.Context(), func(tx *store.Tx) error {
		for i, id := range assets {
			if err := tx.AppendFindingChange(w.findings+uint64(i)+1, &storagepb.FindingChangeRecord{At: at, Kind: kind, AssetId: id, Rule: rule, Severity: severity}); err != nil {
				return err
			}
			f := &storagepb.FindingRecord{AssetId: id, Rule: rule, Severity: severity, OpenedAt: at, Detail: []string{"C:"}}
			if kind == "resolved" {
				f.ResolvedAt = at
			}
			if err := tx.PutFinding(f); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.findings += uint64(len(assets))
	w.n.FindingsTold()
}

func (w *world) create(d *adminpb.Subscription) string {
	w.t.Helper()
	secret, err := w.n.Create(w.t.Context(), "token:t", d)
	if err != nil {
		w.t.Fatal(err)
	}
	return secret
}

func (w *world) status(id string) *adminpb.SubscriptionStatus {
	w.t.Helper()
	s, err := w.n.Get(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return s.GetStatus()
}

// call is one call that a receiver got.
type call struct {
	header http.Header
	body   string
}

// receiver is a server that takes messages.
type receiver struct {
	*httptest.Server
	calls chan call

	mu     sync.Mutex
	answer func(http.ResponseWriter)
}

func newReceiver(t testing.TB) *receiver {
	r := &receiver{calls: make(chan call, 100)}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		b, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		r.mu.Lock()
		answer := r.answer
		r.mu.Unlock()
		r.calls <- call{req.Header, string(b)}
		if answer != nil {
			answer(w)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

// answers has the receiver answer with a code from now on.
func (r *receiver) answers(code int, headers ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = func(w http.ResponseWriter) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
	}
}

// none wants that nothing came.
func (r *receiver) none(t testing.TB) {
	t.Helper()
	select {
	case c := <-r.calls:
		t.Fatalf("a message came: %s", c.body)
	default:
	}
}

// event is a part of what webhooks tell.
type event struct {
	Type, Rule, Severity string
	Asset                struct{ ID, Name string }
	Fields               []string
}

type body struct {
	Type string
	Data struct {
		Subscription, Title string
		Total               int
		Lost                bool
		Groups              []struct {
			Type, Rule string
			Count      int
		}
		Events []event
	}
}

func (c call) read(t testing.TB) body {
	t.Helper()
	var b body
	if err := json.Unmarshal([]byte(c.body), &b); err != nil {
		t.Fatalf("%v: %s", err, c.body)
	}
	return b
}

// verify checks a call as https://www.standardwebhooks.com tells receivers to. It
// shares nothing with what signed.
func (c call) verify(t testing.TB, secret string) {
	t.Helper()
	if !c.signedBy(t, secret) {
		t.Errorf("the signature %q is not that of the secret", c.header.Get("Webhook-Signature"))
	}
}

func (c call) signedBy(t testing.TB, secret string) bool {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil || len(key) < 24 {
		t.Fatalf("secret %q: %v", secret, err)
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", c.header.Get("Webhook-Id"), c.header.Get("Webhook-Timestamp"), c.body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	for got := range strings.FieldsSeq(c.header.Get("Webhook-Signature")) {
		if hmac.Equal([]byte(got), []byte(want)) {
			return true
		}
	}
	return false
}

// until waits until a subscription's status is as wanted.
func (w *world) until(id string, what string, is func(*adminpb.SubscriptionStatus) bool) {
	w.t.Helper()
	for range 5000 {
		if is(w.status(id)) {
			return
		}
		<-time.After(time.Millisecond)
	}
	w.t.Fatalf("%s is not %s: %v", id, what, w.status(id))
}
