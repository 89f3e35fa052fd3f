package metrics

import (
	"cmp"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rollcall-itam/rollcall/collector/advisory"
	"github.com/rollcall-itam/rollcall/collector/exposure"
)

var (
	advisoryNewestDesc = prometheus.NewDesc("rollcall_advisory_data_timestamp_seconds", "When the newest of the advisories that were imported under a name was last changed, in Unix seconds.", []string{"data"}, nil)
	advisoryReadDesc   = prometheus.NewDesc("rollcall_advisory_import_timestamp_seconds", "When advisories were imported under a name, in Unix seconds.", []string{"data"}, nil)
	advisoryBrokenDesc = prometheus.NewDesc("rollcall_advisory_problems", "Files and sources of advisories that cannot be read; what was held before holds on.", nil, nil)
	vulnerableDesc     = prometheus.NewDesc("rollcall_vulnerable_assets", "Assets with a package that an advisory is said of, by the gravest severity.", []string{"severity"}, nil)
	exploitedDesc      = prometheus.NewDesc("rollcall_exploitable_assets", "Assets with a package that has a vulnerability known to be exploited.", nil, nil)
	vulnerabilityDesc  = prometheus.NewDesc("rollcall_vulnerabilities", "Advisories that are said of a package of any asset, by severity.", []string{"severity"}, nil)
	coveredDesc        = prometheus.NewDesc("rollcall_advisory_assets", "Assets for whose system there are advisories (covered), and those for whose there are none.", []string{"covered"}, nil)
)

// CountAdvisories tells how old the advisories are and how many assets they are
// about, as it was at most a minute ago.
func (m *Metrics) CountAdvisories(l *advisory.Library, e *exposure.Exposure) {
	m.MustRegister(advisories{l, e})
}

type advisories struct {
	library  *advisory.Library
	exposure *exposure.Exposure
}

// Describe implements prometheus.Collector.
func (advisories) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{advisoryNewestDesc, advisoryReadDesc, advisoryBrokenDesc, vulnerableDesc, exploitedDesc, vulnerabilityDesc, coveredDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. The number of names is that of the
// files in a folder, which the library bounds; no device can make one.
func (a advisories) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, n float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, n, labels...)
	}
	for _, info := range a.library.Infos() {
		if !info.Newest.IsZero() {
			gauge(advisoryNewestDesc, float64(info.Newest.Unix()), info.Name)
		}
		gauge(advisoryReadDesc, float64(info.ImportedAt.Unix()), info.Name)
	}
	gauge(advisoryBrokenDesc, float64(len(a.library.Problems())))
	s := a.exposure.Last()
	if s == nil {
		return
	}
	found := make(map[string]int)
	for _, f := range s.Found {
		found[f.Advisory.Severity]++
	}
	for _, severity := range advisory.Severities {
		label := cmp.Or(severity, "unknown")
		gauge(vulnerableDesc, float64(s.Assets[severity]), label)
		gauge(vulnerabilityDesc, float64(found[severity]), label)
	}
	gauge(exploitedDesc, float64(s.Exploited))
	gauge(coveredDesc, float64(s.Covered), "yes")
	gauge(coveredDesc, float64(s.NotCovered), "no")
}
