package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/api"
	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/enroll"
	"github.com/rollcall-itam/rollcall/collector/kv/memkv"
	"github.com/rollcall-itam/rollcall/collector/store"
	"github.com/rollcall-itam/rollcall/collector/view"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

func TestMain(m *testing.M) {
	if os.Getenv(selfEnv) != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

// noon is when everything was observed; the commands run three hours later.
var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// world is the API of a collector, over HTTP, and somebody who asks it.
type world struct {
	t       *testing.T
	url     string
	store   *store.Store
	catalog *catalog.Catalog
	tokens  *enroll.Tokens
	service *api.Service
	env     map[string]string
	config  string
	screen  screen
	stdin   string
	open    func(string) error
	// asked counts the requests.
	asked int
}

// newWorld starts a collector; change may add to what its API works with.
func newWorld(t *testing.T, change ...func(url string, o *api.Options)) *world {
	t.Helper()
	db := memkv.New()
	t.Cleanup(func() { _ = db.Close() })
	st, err := store.Open(t.Context(), db)
	must(t, err)
	now := func() time.Time { return noon }
	log, v := slog.New(slog.DiscardHandler), view.New()
	w := &world{t: t, store: st, catalog: catalog.New(st, now, log), tokens: enroll.NewTokens(st, now), config: t.TempDir()}
	v.Follow(w.catalog, st)
	dir := t.TempDir()
	device, err := enroll.OpenAuthority(t.Context(), st, dir, enroll.PurposeDevice, noon)
	must(t, err)
	server, err := enroll.OpenAuthority(t.Context(), st, dir, enroll.PurposeServer, noon)
	must(t, err)
	gate := api.NewGate("starting")
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.asked++
		gate.ServeHTTP(rw, r)
	}))
	w.url = srv.URL
	o := api.Options{Store: st, Catalog: w.catalog, View: v, Tokens: w.tokens, Logger: log, Now: now, Engine: "memory", CAPin: "sha256:" + strings.Repeat("a", 64),
		Enroller: enroll.New(st, w.tokens, device, server, 0)}
	for _, fn := range change {
		fn(w.url, &o)
	}
	s, err := api.New(o)
	must(t, err)
	w.service = s
	h, err := api.NewHandler(s, http.NotFoundHandler(), false)
	must(t, err)
	gate.Open(h)
	t.Cleanup(func() {
		srv.Close()
		must(t, h.Close())
	})
	must(t, w.catalog.DeclareSource(t.Context(), &storagepb.SourceRecord{Id: "agent", Kind: "agent", Unique: true}))
	w.env = map[string]string{"ROLLCALL_URL": w.url, "ROLLCALL_TOKEN": w.token("admin")}
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// token returns a new API token with a role.
func (w *world) token(role string) string {
	w.t.Helper()
	r, err := w.tokens.Create(w.t.Context(), "test", &adminpb.CreateTokenRequest{Kind: "api", Name: role, Role: role})
	must(w.t, err)
	return r.GetToken()
}

// report files what an agent says about a device and returns its asset's id.
func (w *world) report(name string, d *pb.Device) string {
	w.t.Helper()
	d.Name = name
	id, err := w.catalog.Accept(w.t.Context(), &pb.Observation{Source: "agent", SourceId: fmt.Sprintf("%x", name+d.GetHardware().GetSerial()), ObservedAt: timestamppb.New(noon),
		Sections: []*pb.SectionStatus{{Name: "os", State: "complete"}, {Name: "hardware", State: "partial", Reason: "needs root"}},
		Problems: []*pb.Problem{{Section: "hardware", Fact: "smbios", Error: "permission denied"}},
		Subject:  &pb.Observation_Device{Device: d}})
	must(w.t, err)
	return id
}

// call runs the program.
func (w *world) call(args ...string) (out, errs string, code int) {
	w.t.Helper()
	return w.callIn(w.t.Context(), args...)
}

func (w *world) callIn(ctx context.Context, args ...string) (out, errs string, code int) {
	var o, e bytes.Buffer
	code = execute(ctx, args, outside{stdin: strings.NewReader(w.stdin), stdout: &o, stderr: &e,
		getenv: func(k string) string { return w.env[k] }, configDir: func() (string, error) { return w.config, nil },
		now: func() time.Time { return noon.Add(3 * time.Hour) }, screen: w.screen, open: w.open})
	return o.String(), e.String(), code
}

// ok runs the program, which has to succeed, and returns what it prints.
func (w *world) ok(args ...string) string {
	w.t.Helper()
	out, errs, code := w.call(args...)
	if code != 0 {
		w.t.Fatalf("rollcall %v exits with %d: %s", args, code, errs)
	}
	return out
}
