package ext

import (
	"context"
	"reflect"
	"testing"
	"time"

	"github.com/grafana/sobek"
	"go.k6.io/k6/v2/js/common"
	"go.k6.io/k6/v2/js/modules"
	"go.k6.io/k6/v2/lib"
	"go.k6.io/k6/v2/metrics"
)

// stageVU is a VU as far as raw samples need one.
type stageVU struct {
	modules.VU
	ctx      context.Context
	registry *metrics.Registry
	state    *lib.State
	samples  chan metrics.SampleContainer
}

func (vu *stageVU) Context() context.Context { return vu.ctx }
func (vu *stageVU) State() *lib.State        { return vu.state }
func (vu *stageVU) Runtime() *sobek.Runtime  { return nil }
func (vu *stageVU) InitEnv() *common.InitEnvironment {
	return &common.InitEnvironment{TestPreInitState: &lib.TestPreInitState{Registry: vu.registry}}
}

func newStageVU(systemTags ...metrics.SystemTag) *stageVU {
	registry := metrics.NewRegistry()
	tags := metrics.SystemTagSet(0)
	for _, tag := range systemTags {
		tags.Add(tag)
	}
	samples := make(chan metrics.SampleContainer, 8)
	return &stageVU{ctx: context.Background(), registry: registry, samples: samples, state: &lib.State{
		Options:        lib.Options{SystemTags: &tags},
		Samples:        samples,
		Tags:           lib.NewVUStateTags(registry.RootTagSet().With("run_id", "checkout_1")),
		BuiltinMetrics: metrics.RegisterBuiltinMetrics(registry),
	}}
}

type rawSample struct {
	Name  string
	Value float64
	Tags  map[string]string
}

func TestRawSamplesOfAQuery(t *testing.T) {
	plain := map[string]string{"run_id": "checkout_1"}
	cases := map[string]struct {
		reason string
		done   finished
		tags   []metrics.SystemTag
		want   []rawSample
	}{
		"Answered": {
			reason: "a fraction of a millisecond is kept",
			done:   finished{query: 1, took: 1234567 * time.Nanosecond},
			tags:   []metrics.SystemTag{metrics.TagCheck},
			want: []rawSample{
				{"sql_duration_CountAll", 1.234567, plain},
				{"query_errors", 0, plain},
				{"checks", 1, map[string]string{"run_id": "checkout_1", "check": "CountAll"}},
			},
		},
		"Failed": {
			reason: "a failed query has its real duration and fails its check",
			done:   finished{query: 0, took: 30 * time.Second, failed: true},
			tags:   []metrics.SystemTag{metrics.TagCheck},
			want: []rawSample{
				{"sql_duration_PointLookup", 30000, plain},
				{"query_errors", 1, plain},
				{"checks", 0, map[string]string{"run_id": "checkout_1", "check": "PointLookup"}},
			},
		},
		"Untagged": {
			reason: "k6 was told to leave the name of the check out",
			done:   finished{query: 0, took: time.Millisecond},
			want:   []rawSample{{"sql_duration_PointLookup", 1, plain}, {"query_errors", 0, plain}, {"checks", 1, plain}},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			vu := newStageVU(tc.tags...)
			raw, err := newRawMetrics(vu, []query{{Name: "PointLookup"}, {Name: "CountAll"}})
			if err != nil {
				t.Fatal(err)
			}
			tc.done.at = time.Unix(1_700_000_000, 0)
			raw.push(vu, tc.done)
			var got []rawSample
			for _, sample := range (<-vu.samples).GetSamples() {
				if !sample.Time.Equal(tc.done.at) {
					t.Errorf("%s is of %s", sample.Metric.Name, sample.Time)
				}
				got = append(got, rawSample{sample.Metric.Name, sample.Value, sample.Tags.Map()})
			}
			if !reflect.DeepEqual(got, tc.want) {
				t.Errorf("%s:\n got %v\nwant %v", tc.reason, got, tc.want)
			}
		})
	}
}

func TestRawSamplesEndWithTheRun(t *testing.T) {
	vu := newStageVU()
	raw, err := newRawMetrics(vu, []query{{Name: "PointLookup"}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	vu.ctx = ctx
	cancel()
	raw.push(vu, finished{})
	if len(vu.samples) != 0 {
		t.Error("nobody reads the samples of a run that has ended")
	}
}

func TestRawMetricsHaveTheNamesOfTheQueries(t *testing.T) {
	vu := newStageVU()
	if _, err := vu.registry.NewMetric("sql_duration_PointLookup", metrics.Counter); err != nil {
		t.Fatal(err)
	}
	if _, err := newRawMetrics(vu, []query{{Name: "PointLookup"}}); err == nil {
		t.Error("a name that k6 has for something else is taken")
	}
}
