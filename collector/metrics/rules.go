package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rollcall-itam/rollcall/collector/compliance"
	"github.com/rollcall-itam/rollcall/collector/policy"
)

var (
	ruleDesc = prometheus.NewDesc("rollcall_rule_assets", "Assets by what a rule says of them: pass, fail, unknown or not_applicable.",
		[]string{"rule", "severity", "result"}, nil)
	findingsDesc = prometheus.NewDesc("rollcall_findings_open", "Assets that fail a rule.", []string{"rule", "severity"}, nil)
)

// CountRules tells of the rules that an engine judges assets by.
func (m *Metrics) CountRules(e *compliance.Engine) { m.MustRegister(rules{e}) }

// rules counts when asked.
type rules struct{ engine *compliance.Engine }

// Describe implements prometheus.Collector.
func (rules) Describe(ch chan<- *prometheus.Desc) {
	ch <- ruleDesc
	ch <- findingsDesc
}

// Collect implements prometheus.Collector.
func (r rules) Collect(ch chan<- prometheus.Metric) {
	for _, c := range r.engine.Counts() {
		ch <- prometheus.MustNewConstMetric(ruleDesc, prometheus.GaugeValue, float64(c.Assets), c.Rule.ID, string(c.Rule.Severity), string(c.Result))
		if c.Result == policy.Fail {
			ch <- prometheus.MustNewConstMetric(findingsDesc, prometheus.GaugeValue, float64(c.Assets), c.Rule.ID, string(c.Rule.Severity))
		}
	}
}
