// Package metrics tells Prometheus what the collector knows and how it fares.
package metrics

import (
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/rollcall-itam/rollcall/collector/view"
	"github.com/rollcall-itam/rollcall/pkg/buildinfo"
)

// Metrics is a registry of its own with what every collector has.
type Metrics struct {
	*prometheus.Registry
	requests *prometheus.CounterVec
}

// New returns the metrics of a collector whose assets v counts.
func New(v *view.View) *Metrics {
	m := &Metrics{Registry: prometheus.NewRegistry(), requests: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rollcall_http_requests_total", Help: "HTTP requests, by method and status code."}, []string{"method", "code"})}
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "rollcall_build_info", Help: "1, labelled with the version."}, []string{"version"})
	build.WithLabelValues(buildinfo.Version()).Set(1)
	m.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), build, m.requests, assets{v})
	return m
}

// Handler answers with all metrics of the registry.
func (m *Metrics) Handler() http.Handler {
	// A count that cannot be made (the store is closing) takes no other with it.
	return promhttp.HandlerFor(m.Registry, promhttp.HandlerOpts{Registry: m.Registry, MaxRequestsInFlight: 4, ErrorHandling: promhttp.ContinueOnError})
}

// Count counts the requests that next answers.
func (m *Metrics) Count(next http.Handler) http.Handler {
	return promhttp.InstrumentHandlerCounter(m.requests, next)
}

var assetsDesc = prometheus.NewDesc("rollcall_assets", "Assets, by class, operating system and stage; empty is not stated.", []string{"class", "os_family", "stage"}, nil)

// assets counts assets when asked.
type assets struct{ view *view.View }

// Describe implements prometheus.Collector.
func (assets) Describe(ch chan<- *prometheus.Desc) { ch <- assetsDesc }

// Collect implements prometheus.Collector.
func (a assets) Collect(ch chan<- prometheus.Metric) {
	bounded := make(map[view.Group]int)
	for g, n := range a.view.Counts() {
		bounded[view.Group{Class: known(g.Class, classes), OSFamily: known(g.OSFamily, families), Stage: known(g.Stage, stages)}] += n
	}
	for g, n := range bounded {
		ch <- prometheus.MustNewConstMetric(assetsDesc, prometheus.GaugeValue, float64(n), g.Class, g.OSFamily, g.Stage)
	}
}

// The words of the schema. What devices say beyond them counts as other, so
// that no device can make time series.
var (
	classes = []string{"laptop", "desktop", "workstation", "server", "virtual_machine", "cloud_instance", "phone", "tablet", "network", "printer",
		"display", "peripheral", "point_of_sale", "conference_room", "iot", "other"}
	families = []string{"linux", "windows", "macos", "ios", "ipados", "android", "chromeos", "tvos", "watchos", "visionos",
		"freebsd", "openbsd", "netbsd", "solaris", "aix", "other"}
	stages = []string{"requested", "approved", "ordered", "received", "in_stock", "deployed", "in_repair", "retired", "disposed", "missing", "other"}
)

func known(word string, words []string) string {
	if word == "" || slices.Contains(words, word) {
		return word
	}
	return "other"
}
