package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/enroll"
	"github.com/rollcall-itam/rollcall/collector/kv"
	"github.com/rollcall-itam/rollcall/collector/kv/memkv"
	"github.com/rollcall-itam/rollcall/collector/store"
	"github.com/rollcall-itam/rollcall/collector/view"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is an API over a store in memory, asked over real HTTP.
type world struct {
	t       testing.TB
	url     string
	admin   string
	service *Service
	catalog *catalog.Catalog
	tokens  *enroll.Tokens
	gate    *Gate
	disk    *fillable
}

// fillable is a store whose disk can be full.
type fillable struct {
	kv.DB
	full atomic.Bool
}

func (f *fillable) Update(ctx context.Context, fn func(kv.Tx) error) error {
	if f.full.Load() {
		return kv.ErrFull
	}
	return f.DB.Update(ctx, fn)
}

func newWorld(t testing.TB) *world {
	t.Helper()
	db := &fillable{DB: memkv.New()}
	t.Cleanup(func() { _ = db.Close() })
	st, err := store.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	log, v := slog.New(slog.DiscardHandler), view.New()
	w := &world{t: t, catalog: catalog.New(st, time.Now, log), tokens: enroll.NewTokens(st, time.Now), gate: NewGate("starting"), disk: db}
	v.Follow(w.catalog, st)
	dir := t.TempDir()
	device, err := enroll.OpenAuthority(t.Context(), st, dir, enroll.PurposeDevice, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	server, err := enroll.OpenAuthority(t.Context(), st, dir, enroll.PurposeServer, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	w.service, err = New(Options{Store: st, Catalog: w.catalog, View: v, Tokens: w.tokens, Logger: log, Now: time.Now, Engine: "memory",
		Enroller: enroll.New(st, w.tokens, device, server, 0)})
	if err != nil {
		t.Fatal(err)
	}
	scraped := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "rollcall_assets 1") })
	h, err := NewHandler(w.service, scraped, false)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(w.gate)
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		srv.Close()
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	w.gate.Open(h)
	w.url, w.admin = srv.URL, w.token("admin")
	if err := w.catalog.DeclareSource(t.Context(), &storagepb.SourceRecord{Id: "agent", Kind: "agent", Unique: true}); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) token(role string) string {
	w.t.Helper()
	r, err := w.tokens.Create(w.t.Context(), "test", &adminpb.CreateTokenRequest{Kind: "api", Name: role, Role: role})
	if err != nil {
		w.t.Fatal(err)
	}
	return r.GetToken()
}

// report files a device, as its agent would, and returns its asset's id.
func (w *world) report(name string, software ...*pb.Software) string {
	w.t.Helper()
	id, err := w.catalog.Accept(w.t.Context(), &pb.Observation{Source: "agent", SourceId: name, ObservedAt: timestamppb.New(time.Unix(1_700_000_000, 0)),
		Sections: []*pb.SectionStatus{{Name: "os", State: "complete"}}, Problems: []*pb.Problem{{Section: "hardware", Fact: "smbios", Error: "needs root"}},
		Subject: &pb.Observation_Device{Device: &pb.Device{Name: name, Class: "server", Software: software,
			Hardware: &pb.Hardware{Serial: "SERIAL-" + name, Manufacturer: "Dell Inc."}, Os: &pb.Os{Family: "linux", Name: "Debian"}}}})
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

func (w *world) ask(token, method, path, body string) (int, http.Header, []byte) {
	w.t.Helper()
	return w.askWith(token, method, path, body, "", "")
}

// askWith asks with one more header.
func (w *world) askWith(token, method, path, body, header, value string) (int, http.Header, []byte) {
	w.t.Helper()
	req, err := http.NewRequest(method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if header != "" {
		req.Header.Set(header, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, b
}

func (w *world) get(path string, into any) {
	w.t.Helper()
	if code, _, b := w.ask(w.admin, "GET", path, ""); code != http.StatusOK || json.Unmarshal(b, into) != nil {
		w.t.Fatalf("GET %s answers %d: %s", path, code, b)
	}
}

type assetsPage struct {
	Assets        []map[string]any
	NextPageToken string `json:"next_page_token"`
	TotalSize     int    `json:"total_size"`
}

// Pages hold every asset that was there all the time exactly once, whatever
// comes meanwhile.
func TestPagesAreStableWhileTheFleetChanges(t *testing.T) {
	w := newWorld(t)
	want := make(map[string]bool)
	for i := range 23 {
		want[w.report(fmt.Sprint("host", i))] = true
	}
	var got []string
	for page, n := "", 0; ; n++ {
		var p assetsPage
		w.get("/v1/assets?fields=id&page_size=5&page_token="+page, &p)
		for _, a := range p.Assets {
			got = append(got, a["id"].(string))
		}
		if p.TotalSize != 23+n {
			t.Errorf("page %d: total_size %d, want %d", n, p.TotalSize, 23+n)
		}
		if page = p.NextPageToken; page == "" {
			break
		}
		w.report(fmt.Sprint("late", n))
	}
	if !slices.IsSorted(got) {
		t.Errorf("ids are not in order: %v", got)
	}
	seen := make(map[string]int)
	for _, id := range got {
		seen[id]++
	}
	for id := range want {
		if seen[id] != 1 {
			t.Errorf("asset %s is there %d times", id, seen[id])
		}
	}
}

func TestGetAsset(t *testing.T) {
	w := newWorld(t)
	id := w.report("web1")
	seen := time.Unix(1_800_000_000, 0).UTC()
	w.catalog.Seen(store.Ref{Source: "agent", ID: "web1"}, seen)
	var a struct {
		Name     string
		LastSeen time.Time `json:"last_seen"`
		Sources  []struct {
			LastSeen time.Time `json:"last_seen"`
		}
		Provenance map[string]struct{ Source string }
	}
	w.get("/v1/assets/"+id, &a)
	if a.Name != "web1" || !a.LastSeen.Equal(seen) || len(a.Sources) != 1 || !a.Sources[0].LastSeen.Equal(seen) {
		t.Errorf("asset: %+v", a)
	}
	for _, field := range []string{"hardware.serial", "hardware.manufacturer", "os.family"} {
		if a.Provenance[field].Source != "agent" {
			t.Errorf("provenance of %s: %+v", field, a.Provenance)
		}
	}
	var masked map[string]any
	w.get("/v1/assets/"+id+"?fields=name,hardware.serial,provenance.os.family,sources.source_id", &masked)
	want := map[string]any{"name": "web1", "hardware": map[string]any{"serial": "SERIAL-web1"}, "sources": []any{map[string]any{"source_id": "web1"}},
		"provenance": map[string]any{"os.family": map[string]any{"source": "agent", "source_id": "web1", "observed_at": "2023-11-14T22:13:20Z"}}}
	if diff := cmp.Diff(want, masked); diff != "" {
		t.Errorf("masked (-want +got):\n%s", diff)
	}
	var states struct {
		Sources []struct {
			SourceID string `json:"source_id"`
			Sections []struct{ Name, State string }
			Problems []struct{ Fact, Error string }
		}
	}
	w.get("/v1/assets/"+id+":sources", &states)
	if len(states.Sources) != 1 || states.Sources[0].Sections[0].State != "complete" || states.Sources[0].Problems[0].Error != "needs root" {
		t.Errorf("source states: %+v", states)
	}
}

// An asset that was united with another answers under its former id too.
func TestFormerIDsAnswer(t *testing.T) {
	w := newWorld(t)
	id := w.report("web1")
	if err := w.service.Store.Update(t.Context(), func(tx *store.Tx) error { return tx.PutRedirect("former", id) }); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/v1/assets/former?fields=name", "/v1/assets/former/software", "/v1/assets/former:sources"} {
		if code, _, b := w.ask(w.admin, "GET", path, ""); code != http.StatusOK {
			t.Errorf("GET %s answers %d: %s", path, code, b)
		}
	}
}

func TestSoftwareInPages(t *testing.T) {
	w := newWorld(t)
	long := strings.Repeat("x", 3000)
	rows := []*pb.Software{{Kind: "deb", Name: "zlib", Version: "1"}, {Kind: "deb", Name: "bash", Version: "5.2", Architecture: "arm64"},
		{Kind: "deb", Name: "bash", Version: "5.2", Architecture: "amd64"}, {Kind: "app", Name: "same"}, {Kind: "app", Name: "same"}, {Kind: "app", Name: "same"},
		{Kind: "app", Name: long, Version: "1"}, {Kind: "app", Name: long, Version: "2"}}
	id := w.report("web1", rows...)
	for size := 1; size <= len(rows)+1; size++ {
		var names []string
		for page := ""; ; {
			var p struct {
				Software      []struct{ Name, Version, Architecture string }
				NextPageToken string `json:"next_page_token"`
				TotalSize     int    `json:"total_size"`
			}
			w.get(fmt.Sprintf("/v1/assets/%s/software?page_size=%d&page_token=%s", id, size, page), &p)
			for _, s := range p.Software {
				names = append(names, fmt.Sprintf("%.5s %s", s.Name, s.Architecture))
			}
			if p.TotalSize != len(rows) || len(p.Software) > size {
				t.Errorf("page_size %d: %d rows, total_size %d", size, len(p.Software), p.TotalSize)
			}
			if page = p.NextPageToken; page == "" {
				break
			}
		}
		want := []string{"bash amd64", "bash arm64", "same ", "same ", "same ", "xxxxx ", "xxxxx ", "zlib "}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("page_size %d (-want +got):\n%s", size, diff)
		}
	}
}

// Whatever is wrong is told as a google.rpc.Status that says what to do.
func TestErrorsSayWhatToDo(t *testing.T) {
	w := newWorld(t)
	id := w.report("web1")
	otherList := nextPage("tokens", "x")
	for name, tc := range map[string]struct {
		method, path, body string
		code               int
		want               string
	}{
		"no such asset":       {"GET", "/v1/assets/nope", "", 404, "/v1/assets"},
		"page_size negative":  {"GET", "/v1/tokens?page_size=-1", "", 400, "1 to 1000"},
		"page_size no number": {"GET", "/v1/assets?page_size=many", "", 400, "page_size"},
		"page_token garbage":  {"GET", "/v1/assets?page_token=garbage", "", 400, "next_page_token"},
		"page_token of other": {"GET", "/v1/assets?page_token=" + otherList, "", 400, "next_page_token"},
		"unknown field":       {"GET", "/v1/assets?fields=name,hardware.seriel", "", 400, "\"hardware.seriel\", which Asset does not have; meant is perhaps hardware.serial"},
		"field below a value": {"GET", "/v1/assets/" + id + "?fields=name.first", "", 400, "name.first"},
		"field of elsewhere":  {"GET", "/v1/assets?fields=hardware.family", "", 400, "meant is perhaps os.family"},
		"unknown parameter":   {"GET", "/v1/assets?fliter=x", "", 400, "fields, filter, order_by, page_size, page_token"},
		"unknown key":         {"POST", "/v1/tokens", `{"knd":"api"}`, 400, "knd"},
		"not JSON":            {"POST", "/v1/tokens", `{`, 400, ""},
		"wrong role":          {"POST", "/v1/tokens", `{"kind":"api","role":"root"}`, 400, "viewer"},
		"body too large":      {"POST", "/v1/tokens", `{"name":"` + strings.Repeat("x", maxBody) + `"}`, 413, "1048576"},
		"no such token":       {"DELETE", "/v1/tokens/nope", "", 404, "/v1/tokens"},
		"no such agent":       {"POST", "/v1/agents/nope:revoke", "{}", 404, "/v1/agents"},
		"no such path":        {"GET", "/v1/asset", "", 404, "/openapi.json"},
		"outside of /v1":      {"GET", "/admin", "", 404, "/openapi.json"},
		"wrong method":        {"PUT", "/v1/assets", "", 501, "/openapi.json"},
	} {
		t.Run(name, func(t *testing.T) {
			code, header, b := w.ask(w.admin, tc.method, tc.path, tc.body)
			var st struct {
				Code    int
				Message string
			}
			if err := json.Unmarshal(b, &st); err != nil || st.Code == 0 {
				t.Fatalf("answers %d, no status: %s", code, b)
			}
			if tc.code == 501 && code == 405 {
				code = 501 // both say that the method is not there
			}
			if code != tc.code || !strings.Contains(st.Message, tc.want) || header.Get("Content-Type") != "application/json" {
				t.Errorf("answers %d, want %d and %q: %s", code, tc.code, tc.want, b)
			}
		})
	}
}

// What comes in pieces without a length is bounded as well.
func TestBodyOfUnknownLengthIsBounded(t *testing.T) {
	w := newWorld(t)
	req, err := http.NewRequest("POST", w.url+"/v1/tokens", io.MultiReader(strings.NewReader(`{"name":"`), bytes.NewReader(bytes.Repeat([]byte{'x'}, 2*maxBody))))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.admin)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("answers %s", resp.Status)
	}
}
