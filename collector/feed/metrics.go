package feed

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics tell Prometheus how the feeds fare, by feed: there are few.
type metrics struct {
	success                           *prometheus.GaugeVec
	failures                          *prometheus.GaugeVec
	withheld                          *prometheus.GaugeVec
	passes, records, problems, answer *prometheus.CounterVec
	took                              *prometheus.HistogramVec
}

func newMetrics(to prometheus.Registerer) *metrics {
	m := &metrics{
		success:  prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "rollcall_feed_last_success_timestamp_seconds", Help: "When a feed was last read to its end."}, []string{"feed"}),
		failures: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "rollcall_feed_failures", Help: "Passes of a feed that failed since it was last read to its end."}, []string{"feed"}),
		withheld: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "rollcall_feed_withheld", Help: "1 while what is gone from a feed's system is not withdrawn, because a pass found less than is plausible."}, []string{"feed"}),
		passes:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rollcall_feed_passes_total", Help: "Passes of a feed, by kind and result."}, []string{"feed", "kind", "result"}),
		records:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rollcall_feed_records_total", Help: "Records of a feed: read, stated, skipped, withdrawn."}, []string{"feed", "what"}),
		problems: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rollcall_feed_problems_total", Help: "Values and records of a feed that could not be taken."}, []string{"feed"}),
		answer:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rollcall_feed_requests_total", Help: "Requests of a feed, by status code; 0 had no answer."}, []string{"feed", "code"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "rollcall_feed_pass_seconds", Help: "How long passes of a feed take.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 8)}, []string{"feed"}),
	}
	if to != nil {
		to.MustRegister(m.success, m.failures, m.withheld, m.passes, m.records, m.problems, m.answer, m.took)
	}
	return m
}

// answered returns what counts a feed's answers.
func (m *metrics) answered(feed string) func(code int) {
	return func(code int) { m.answer.WithLabelValues(feed, strconv.Itoa(code)).Inc() }
}

// forget drops the metrics of a feed that is no more.
func (m *metrics) forget(feed string) {
	of := prometheus.Labels{"feed": feed}
	m.success.DeletePartialMatch(of)
	m.failures.DeletePartialMatch(of)
	m.withheld.DeletePartialMatch(of)
	for _, c := range []*prometheus.CounterVec{m.passes, m.records, m.problems, m.answer} {
		c.DeletePartialMatch(of)
	}
	m.took.DeletePartialMatch(of)
}

// remembered shows what is known after a restart as well.
func (m *metrics) remembered(s Status) {
	m.failures.WithLabelValues(s.Name).Set(float64(s.Failures))
	withheld := 0.0
	if s.Withheld != "" {
		withheld = 1
	}
	m.withheld.WithLabelValues(s.Name).Set(withheld)
	if !s.LastSuccess.IsZero() {
		m.success.WithLabelValues(s.Name).Set(float64(s.LastSuccess.Unix()))
	}
}

// passed counts a pass that has ended.
func (m *metrics) passed(s Status, err error, took time.Duration) {
	kind, result := "changes", "complete"
	if s.Pass.Full {
		kind = "full"
	}
	if err != nil {
		result = "failed"
	}
	m.passes.WithLabelValues(s.Name, kind, result).Inc()
	for what, n := range map[string]int{"read": s.Pass.Records, "stated": s.Pass.Stated, "skipped": s.Pass.Skipped, "withdrawn": s.Pass.Withdrawn} {
		m.records.WithLabelValues(s.Name, what).Add(float64(n))
	}
	m.problems.WithLabelValues(s.Name).Add(float64(s.Pass.ProblemCount))
	m.took.WithLabelValues(s.Name).Observe(took.Seconds())
}
