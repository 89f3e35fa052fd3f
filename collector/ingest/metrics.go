package ingest

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// metrics count what agents do; no label names a device.
type metrics struct {
	reports, checkIns, rejects, enrolments, sections, updates *prometheus.CounterVec
	payload                                                   prometheus.Counter
	seconds                                                   prometheus.Histogram
}

func newMetrics(r prometheus.Registerer) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		r.MustRegister(c)
		return c
	}
	m := &metrics{
		reports:    counter("rollcall_ingest_reports_total", "Reports of agents, by result.", "result"),
		checkIns:   counter("rollcall_ingest_checkins_total", "Check-ins of agents, by whether anything had changed.", "result"),
		rejects:    counter("rollcall_ingest_rejected_total", "Calls of agents that were refused, by reason.", "reason"),
		enrolments: counter("rollcall_enrolments_total", "Enrolments and renewals of agents, by result.", "result"),
		sections:   counter("rollcall_ingest_sections_total", "Sections in reports, by name and state.", "section", "state"),
		updates:    counter("rollcall_agent_updates_total", "Versions of the agent that were handed out, by result.", "result"),
		payload:    prometheus.NewCounter(prometheus.CounterOpts{Name: "rollcall_ingest_payload_bytes_total", Help: "Compressed payload of accepted reports."}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "rollcall_ingest_report_seconds", Help: "Time from the first message of a report to its answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10}}),
	}
	r.MustRegister(m.payload, m.seconds)
	return m
}

// seconds is a time as Prometheus has it, 0 for none.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.Unix())
}

func (m *metrics) enrolled(result string) { m.enrolments.WithLabelValues(result).Inc() }
func (m *metrics) rejected(reason string) { m.rejects.WithLabelValues(reason).Inc() }

func (m *metrics) checkedIn(changed bool) {
	result := "unchanged"
	if changed {
		result = "changed"
	}
	m.checkIns.WithLabelValues(result).Inc()
}

func (m *metrics) reported(resp *pb.ReportResponse, err error, took time.Duration) {
	result := "accepted"
	switch {
	case err != nil:
		result = "rejected"
		m.rejected(reason(err))
	case resp.GetSendAll():
		result = "send_all"
	}
	m.reports.WithLabelValues(result).Inc()
	m.seconds.Observe(took.Seconds())
}

func (m *metrics) received(payload int, sections []received) {
	m.payload.Add(float64(payload))
	for _, r := range sections {
		name, state := r.head.GetName(), r.head.GetState()
		if !r.known {
			// Whatever a newer agent says, the labels stay bounded.
			name, state = "unknown", "unknown"
		}
		m.sections.WithLabelValues(name, state).Inc()
	}
}
