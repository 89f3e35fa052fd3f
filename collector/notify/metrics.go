package notify

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics tell Prometheus how messages fare, by kinds of receivers, of which
// there are four.
type metrics struct {
	taken, failed, dropped *prometheus.CounterVec
	age                    *prometheus.Desc
	n                      *Notifier
}

func newMetrics(n *Notifier, to prometheus.Registerer) *metrics {
	counter := func(name, help string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"kind"})
		for _, kind := range receivers {
			c.WithLabelValues(kind)
		}
		return c
	}
	m := &metrics{n: n,
		taken:   counter("rollcall_notifications_sent_total", "Messages that receivers took, by kind of receiver."),
		failed:  counter("rollcall_notifications_failed_total", "Attempts to send a message that failed, by kind of receiver."),
		dropped: counter("rollcall_notifications_dropped_total", "Events that were never told, by kind of receiver: their message was given up and gave way to later ones."),
		age: prometheus.NewDesc("rollcall_notifications_queue_age_seconds", "How long the oldest event that is still to be told waits, by kind of receiver; paused subscriptions are left out.",
			[]string{"kind"}, nil),
	}
	if to != nil {
		to.MustRegister(m.taken, m.failed, m.dropped, m)
	}
	return m
}

// sent counts an attempt.
func (m *metrics) sent(kind string, err error) {
	if err != nil {
		m.failed.WithLabelValues(kind).Inc()
		return
	}
	m.taken.WithLabelValues(kind).Inc()
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(to chan<- *prometheus.Desc) { to <- m.age }

// Collect implements prometheus.Collector.
func (m *metrics) Collect(to chan<- prometheus.Metric) {
	oldest := make(map[string]time.Duration)
	now := m.n.o.Now()
	for _, w := range m.n.all() {
		state, sub := w.look()
		if sub == nil || state.GetPaused() || w.waiting.Load() == 0 {
			continue
		}
		oldest[sub.kind] = max(oldest[sub.kind], now.Sub(time.Unix(w.since.Load(), 0)))
	}
	for _, kind := range receivers {
		to <- prometheus.MustNewConstMetric(m.age, prometheus.GaugeValue, oldest[kind].Seconds(), kind)
	}
}
