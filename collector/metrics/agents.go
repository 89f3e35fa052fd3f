package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rollcall-itam/rollcall/collector/view"
)

// countTimeout bounds how long a scrape waits for the count of agents.
const countTimeout = 5 * time.Second

var agentsDesc = prometheus.NewDesc("rollcall_agents", "Enrolled agents, by state, as they were at most a minute ago.", []string{"state"}, nil)

// agents counts agents when asked.
type agents struct{ view *view.Agents }

// CountAgents adds the enrolled agents, which are known once the store is open.
func (m *Metrics) CountAgents(a *view.Agents) { m.MustRegister(agents{a}) }

// Describe implements prometheus.Collector.
func (agents) Describe(ch chan<- *prometheus.Desc) { ch <- agentsDesc }

// Collect implements prometheus.Collector.
func (a agents) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), countTimeout)
	defer cancel()
	counts, err := a.view.Counts(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(agentsDesc, err)
		return
	}
	for state, n := range counts {
		ch <- prometheus.MustNewConstMetric(agentsDesc, prometheus.GaugeValue, float64(n), state)
	}
}
