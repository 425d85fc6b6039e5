// Raw: k6's own metrics, three samples per query, for the outputs that want them (CSV, remote write). Only when the
// plan asks for one of those.

package ext

import (
	"fmt"
	"time"

	"go.k6.io/k6/v2/js/modules"
	"go.k6.io/k6/v2/metrics"
)

// rawMetrics holds the names that existing readers of k6_raw files expect. iterations, iteration_duration and vus are
// k6's own work; checks is k6's own metric, filled as a script's check() would fill it.
type rawMetrics struct {
	queries   []query
	durations []*metrics.Metric
	errors    *metrics.Metric
}

func newRawMetrics(vu modules.VU, queries []query) (*rawMetrics, error) {
	registry := vu.InitEnv().Registry
	raw := &rawMetrics{queries: queries}
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

// push hands one query's samples to k6: milliseconds with their fraction, whether it failed, and the same as a check.
func (m *rawMetrics) push(vu modules.VU, done finished) {
	state := vu.State()
	tags := state.Tags.GetCurrentValues().Tags
	failed, passed := 0.0, 1.0
	if done.failed {
		failed, passed = 1, 0
	}
	checked := tags
	if state.Options.SystemTags.Has(metrics.TagCheck) {
		checked = tags.With("check", m.queries[done.query].Name)
	}
	sample := func(metric *metrics.Metric, tags *metrics.TagSet, value float64) metrics.Sample {
		return metrics.Sample{TimeSeries: metrics.TimeSeries{Metric: metric, Tags: tags}, Time: done.at, Value: value}
	}
	metrics.PushIfNotDone(vu.Context(), state.Samples, metrics.ConnectedSamples{
		Samples: []metrics.Sample{
			sample(m.durations[done.query], tags, float64(done.took)/float64(time.Millisecond)),
			sample(m.errors, tags, failed),
			sample(state.BuiltinMetrics.Checks, checked, passed),
		},
		Tags: tags, Time: done.at,
	})
}
