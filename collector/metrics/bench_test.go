package metrics

import (
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/compliance"
	"github.com/rollcall-itam/rollcall/collector/expr"
	"github.com/rollcall-itam/rollcall/collector/kv/memkv"
	"github.com/rollcall-itam/rollcall/collector/policy"
	"github.com/rollcall-itam/rollcall/collector/store"
	"github.com/rollcall-itam/rollcall/collector/view"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// fleet returns the metrics of n assets, which the built-in rules judge.
func fleet(b testing.TB, n int) (*Metrics, *view.View) {
	b.Helper()
	env, err := expr.New()
	if err != nil {
		b.Fatal(err)
	}
	files, err := policy.Builtin()
	if err != nil {
		b.Fatal(err)
	}
	pack, problems := policy.Build(env, files...)
	if len(problems) > 0 {
		b.Fatal(problems[0])
	}
	db := memkv.New()
	b.Cleanup(func() { _ = db.Close() })
	st, err := store.Open(b.Context(), db)
	if err != nil {
		b.Fatal(err)
	}
	v := view.New()
	for i := range n {
		v.Apply(change(i, 1))
	}
	c := catalog.New(st, time.Now, slog.New(slog.DiscardHandler))
	m := New(v)
	m.CountRules(compliance.New(compliance.Options{Store: st, Catalog: c, Pack: pack, Logger: slog.New(slog.DiscardHandler), Now: time.Now}))
	m.CountAgents(view.NewAgents(st, time.Now))
	return m, v
}

func change(i int, sequence uint64) catalog.Change {
	return catalog.Change{Sequence: sequence, AssetID: fmt.Sprint("asset-", i), Asset: &pb.Asset{Id: fmt.Sprint("asset-", i), Class: classes[i%len(classes)],
		Stage: stages[i%len(stages)], Os: &pb.Os{Family: families[i%len(families)], Version: fmt.Sprint(i%50, ".", sequence)}}}
}

func scrapeOnce(m *Metrics) string {
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

// A scrape has a bounded number of series, whatever the fleet says of itself.
func TestSeriesAreBounded(t *testing.T) {
	m, _ := fleet(t, 5000)
	body := scrapeOnce(m)
	series := 0
	for line := range strings.Lines(body) {
		if !strings.HasPrefix(line, "#") {
			series++
		}
	}
	if series > 2000 || series < 500 {
		t.Errorf("%d series", series)
	}
}

// BenchmarkScrape scrapes a collector of 100,000 assets, of which one changes
// before each scrape.
func BenchmarkScrape(b *testing.B) {
	m, v := fleet(b, 100_000)
	b.ResetTimer()
	for i := 0; b.Loop(); i++ {
		v.Apply(change(i%100_000, uint64(i+2)))
		scrapeOnce(m)
	}
}
