// Raw: k6's own metrics, one sample per query, for the outputs that want them (CSV, remote write). Only when the
// plan asks for raw samples.

package ext

import (
	"fmt"
	"time"

	"go.k6.io/k6/v2/js/modules"
	"go.k6.io/k6/v2/metrics"
)

// rawMetrics holds the names that existing readers of k6_raw files expect.
type rawMetrics struct {
	durations []*metrics.Metric
	errors    *metrics.Metric
}

func newRawMetrics(vu modules.VU, queries []query) (*rawMetrics, error) {
	registry := vu.InitEnv().Registry
	raw := &rawMetrics{}
	for _, q := range queries {
		metric, err := registry.NewMetric("sql_duration_"+q.Name, metrics.Trend, metrics.Time)
		if err != nil {
			return nil, fmt.Errorf("failed to register the duration of query %q: %w", q.Name, err)
		}
		raw.durations = append(raw.durations, metric)
	}
	var err error
	if raw.errors, err = registry.NewMetric("query_errors", metrics.Rate); err != nil {
		return nil, fmt.Errorf("failed to register query_errors: %w", err)
	}
	return raw, nil
}

// finished is one query as raw readers see it.
type finished struct {
	query  int
	at     time.Time
	took   time.Duration
	failed bool
}

// push hands one query's two samples to k6: milliseconds with their fraction, and whether it failed.
func (m *rawMetrics) push(vu modules.VU, done finished) {
	state := vu.State()
	tags := state.Tags.GetCurrentValues().Tags
	failed := 0.0
	if done.failed {
		failed = 1
	}
	metrics.PushIfNotDone(vu.Context(), state.Samples, metrics.ConnectedSamples{
		Samples: []metrics.Sample{
			{TimeSeries: metrics.TimeSeries{Metric: m.durations[done.query], Tags: tags}, Time: done.at, Value: float64(done.took) / float64(time.Millisecond)},
			{TimeSeries: metrics.TimeSeries{Metric: m.errors, Tags: tags}, Time: done.at, Value: failed},
		},
		Tags: tags, Time: done.at,
	})
}
