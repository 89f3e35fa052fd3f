package metrics

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/kv/memkv"
	"github.com/rollcall-itam/rollcall/collector/store"
	"github.com/rollcall-itam/rollcall/collector/view"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// Assets are counted by group; words that the schema does not know make no
// series of their own.
func TestScrape(t *testing.T) {
	v := view.New()
	for i, a := range []*pb.Asset{
		{Class: "laptop", Os: &pb.Os{Family: "linux"}, Stage: "deployed"}, {Class: "laptop", Os: &pb.Os{Family: "linux"}, Stage: "deployed"},
		{Class: "toaster", Os: &pb.Os{Family: "toastos"}}, {Class: "spoon", Os: &pb.Os{Family: "evil\"os"}}, {},
	} {
		v.Apply(catalog.Change{Sequence: 1, AssetID: string(rune('a' + i)), Asset: a})
	}
	db := memkv.New()
	st, err := store.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	m := New(v)
	m.CountAgents(view.NewAgents(st, time.Now))
	h := m.Count(http.NotFoundHandler())
	for _, method := range []string{"GET", "GET", "BREW"} {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(method, "/", nil))
	}
	srv := httptest.NewServer(m.Handler())
	defer srv.Close()
	resp, err := http.Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`rollcall_assets{class="laptop",os_family="linux",stage="deployed"} 2`,
		`rollcall_assets{class="other",os_family="other",stage=""} 2`,
		`rollcall_assets{class="",os_family="",stage=""} 1`,
		`rollcall_http_requests_total{code="404",method="get"} 2`,
		`rollcall_http_requests_total{code="404",method="unknown"} 1`,
		`rollcall_agents{state="active"} 0`, `rollcall_build_info{version=`, `process_resident_memory_bytes`, `go_goroutines`,
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("not there: %s", want)
		}
	}
	if n := strings.Count(string(b), "\nrollcall_assets{"); n != 3 {
		t.Errorf("%d series of assets, want 3", n)
	}
}

// A store that cannot be read takes only its own figures away.
func TestScrapeOfAClosedStore(t *testing.T) {
	db := memkv.New()
	st, err := store.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	_ = db.Close()
	m := New(view.New())
	m.CountAgents(view.NewAgents(st, time.Now))
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if body := w.Body.String(); w.Code != http.StatusOK || strings.Contains(body, "rollcall_agents{") || !strings.Contains(body, "rollcall_build_info{") {
		t.Errorf("answers %d:\n%s", w.Code, body)
	}
}
