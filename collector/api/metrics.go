package api

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"google.golang.org/grpc/status"
)

// calls counts what is asked, over REST and gRPC alike. Methods are those of
// the service and codes those of gRPC, so no caller can make time series.
type calls struct {
	total   *prometheus.CounterVec
	seconds *prometheus.HistogramVec
}

// newCalls registers the metrics with r, or with nobody where r is nil.
func newCalls(r prometheus.Registerer) calls {
	f := promauto.With(r)
	return calls{
		total: f.NewCounterVec(prometheus.CounterOpts{Name: "rollcall_api_requests_total", Help: "Calls of the API, by method and gRPC status code."}, []string{"method", "code"}),
		seconds: f.NewHistogramVec(prometheus.HistogramOpts{Name: "rollcall_api_request_seconds", Help: "Time to answer a call of the API.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10}}, []string{"method"}),
	}
}

func (c calls) answered(method string, err error, took time.Duration) {
	c.total.WithLabelValues(method, status.Code(err).String()).Inc()
	c.seconds.WithLabelValues(method).Observe(took.Seconds())
}
