package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rollcall-itam/rollcall/collector/compliance"
	"github.com/rollcall-itam/rollcall/collector/policy"
)

// maxRules is how many rules have series of their own, in order of their ids;
// the others are counted together as rule "other".
const maxRules = 150

// ageNames name the ages that are counted apart.
var ageNames = [7]string{"0d-1d", "1d-7d", "7d-14d", "14d-30d", "30d-45d", "45d-90d", "90d+"}

// stale is the result of an asset that would pass, were it heard of.
const stale policy.Result = "stale"

var (
	ruleDesc = prometheus.NewDesc("rollcall_rule_assets", "Assets by what a rule says of them: pass, fail, unknown, not_applicable, or stale, "+
		"which is a pass of a device that was not heard of for 14 days.", []string{"rule", "severity", "result"}, nil)
	resultsDesc = prometheus.NewDesc("rollcall_rule_results", "What all rules together say of all assets: pass, fail or unknown, by the age of what is known of the asset. "+
		"Of a fleet that falls silent the results stay, and grow old.", []string{"result", "age"}, nil)
	openDesc     = prometheus.NewDesc("rollcall_findings_open", "Assets that fail a rule without a waiver.", []string{"rule", "severity"}, nil)
	waivedDesc   = prometheus.NewDesc("rollcall_findings_waived", "Assets that fail a rule and may, until the waiver lapses.", []string{"rule", "severity"}, nil)
	findingsDesc = prometheus.NewDesc("rollcall_findings", "Assets that fail a rule, by state (open, acknowledged, waived) and by how long they do.",
		[]string{"severity", "state", "age"}, nil)
	scoreDesc   = prometheus.NewDesc("rollcall_compliance_score_ratio", "The share of answers that pass and are fresh, weighted by severity, of those that pass or fail without a waiver.", nil, nil)
	judgedDesc  = prometheus.NewDesc("rollcall_assets_judged", "Assets that the rules were applied to, by the age of what is known of them.", []string{"age"}, nil)
	failingDesc = prometheus.NewDesc("rollcall_assets_failing", "Those of rollcall_assets_judged that fail a rule without a waiver.", []string{"age"}, nil)
)

// CountRules tells of the rules that an engine judges assets by.
func (m *Metrics) CountRules(e *compliance.Engine) { m.MustRegister(rules{e}) }

// rules counts when asked.
type rules struct{ engine *compliance.Engine }

// Describe implements prometheus.Collector.
func (rules) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{ruleDesc, resultsDesc, openDesc, waivedDesc, findingsDesc, scoreDesc, judgedDesc, failingDesc} {
		ch <- d
	}
}

// ruleName is what a rule is counted as.
type ruleName struct{ id, severity string }

// sums are what is told of some rules.
type sums struct {
	results      map[policy.Result]int
	open, waived int
}

// Collect implements prometheus.Collector.
func (r rules) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, n int, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n), labels...)
	}
	names := make(map[ruleName]*sums)
	total := make(map[policy.Result]compliance.Ages)
	findings := make(map[policy.Severity]map[compliance.State]compliance.Ages)
	for i, c := range r.engine.Counts() {
		name := ruleName{c.Rule.ID, string(c.Rule.Severity)}
		if i >= maxRules {
			name = ruleName{"other", ""}
		}
		if names[name] == nil {
			names[name] = &sums{results: make(map[policy.Result]int)}
		}
		names[name].add(c)
		for _, result := range []policy.Result{policy.Pass, policy.Fail, policy.Unknown} {
			total[result] = plus(total[result], c.Results[result])
		}
		if findings[c.Rule.Severity] == nil {
			findings[c.Rule.Severity] = make(map[compliance.State]compliance.Ages)
		}
		for state, ages := range c.Findings {
			findings[c.Rule.Severity][state] = plus(findings[c.Rule.Severity][state], ages)
		}
	}
	for name, s := range names {
		for result, n := range s.results {
			gauge(ruleDesc, n, name.id, name.severity, string(result))
		}
		gauge(openDesc, s.open, name.id, name.severity)
		gauge(waivedDesc, s.waived, name.id, name.severity)
	}
	for result, ages := range total {
		each(ages, func(age string, n int) { gauge(resultsDesc, n, string(result), age) })
	}
	for severity, byState := range findings {
		for state, ages := range byState {
			each(ages, func(age string, n int) { gauge(findingsDesc, n, string(severity), string(state), age) })
		}
	}
	if score := r.engine.Today().Score; score != nil {
		ch <- prometheus.MustNewConstMetric(scoreDesc, prometheus.GaugeValue, *score/100)
	}
	judged, failing := r.engine.Fleet()
	each(judged, func(age string, n int) { gauge(judgedDesc, n, age) })
	each(failing, func(age string, n int) { gauge(failingDesc, n, age) })
}

// add counts one rule.
func (s *sums) add(c compliance.RuleCount) {
	for _, result := range []policy.Result{policy.Fail, policy.Unknown, policy.NotApplicable} {
		s.results[result] += c.Results[result].Sum()
	}
	old := c.Results[policy.Pass].Stale()
	s.results[policy.Pass] += c.Results[policy.Pass].Sum() - old
	s.results[stale] += old
	s.open += c.Findings[compliance.Open].Sum() + c.Findings[compliance.Acknowledged].Sum()
	s.waived += c.Findings[compliance.Waived].Sum()
}

func plus(a, b compliance.Ages) compliance.Ages {
	for i, n := range b {
		a[i] += n
	}
	return a
}

func each(ages compliance.Ages, fn func(age string, n int)) {
	for i, n := range ages {
		fn(ageNames[i], n)
	}
}

// CountSupport tells how old the end-of-life data is, and whether the file of it
// that the site named cannot be used.
func (m *Metrics) CountSupport(state func() (asOf time.Time, broken bool)) {
	date := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "rollcall_eol_data_timestamp_seconds", Help: "The day as of which the end-of-life data is, in Unix seconds."}, func() float64 {
		asOf, _ := state()
		return float64(asOf.Unix())
	})
	bad := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "rollcall_eol_file_broken", Help: "1 if eol_file cannot be used and what held before holds on."}, func() float64 {
		if _, broken := state(); broken {
			return 1
		}
		return 0
	})
	m.MustRegister(date, bad)
}
