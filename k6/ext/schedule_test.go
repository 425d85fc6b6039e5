package ext

import (
	"math"
	"slices"
	"testing"
	"time"
)

func walkAll(stages []stage, open openModel, worker, workers int64) []arrival {
	walk := newSchedule(stages, &open, worker, workers).walk()
	var all []arrival
	for {
		one, more := walk.next()
		if !more {
			return all
		}
		all = append(all, one)
	}
}

func perStage(all []arrival, stages int) []int {
	counts := make([]int, stages)
	for _, one := range all {
		counts[one.stage]++
	}
	return counts
}

const oneSecond = int64(time.Second)

func TestRegularArrivalsAreCountedExactly(t *testing.T) {
	cases := map[string]struct {
		reason string
		stages []stage
		want   []int
		dues   []int64 // the first ones
	}{
		"Constant": {
			reason: "a rate of 3 for 2 s is 6 arrivals, the first at once", stages: []stage{{DurationNanos: 2 * oneSecond, RateMillis: 3000}},
			want: []int{6}, dues: []int64{0, 333_333_333, 666_666_666, oneSecond, 1_333_333_333, 1_666_666_666},
		},
		"Slow": {
			reason: "less than one in a second is possible", stages: []stage{{DurationNanos: 25 * oneSecond, RateMillis: 100}},
			want: []int{3}, dues: []int64{0, 10 * oneSecond, 20 * oneSecond},
		},
		"Carried": {
			reason: "what a stage leaves of an arrival counts in the next", stages: []stage{{DurationNanos: oneSecond, RateMillis: 500}, {DurationNanos: oneSecond, RateMillis: 1500}},
			want: []int{1, 1}, dues: []int64{0, oneSecond + 333_333_333},
		},
		"Ramp": {
			reason: "a ramp from 0 to 10 in 2 s is 10 arrivals", stages: []stage{{DurationNanos: 2 * oneSecond, RateMillis: 10_000, Ramp: true}},
			want: []int{10}, dues: []int64{0, 632_455_532, 894_427_190, 1_095_445_115},
		},
		"RampDown": {
			reason: "a ramp goes down from the stage before", stages: []stage{{DurationNanos: oneSecond, RateMillis: 10_000}, {DurationNanos: 2 * oneSecond, RateMillis: 0, Ramp: true}},
			want: []int{10, 10},
		},
		"ADay": {
			reason: "no number overflows", stages: []stage{{DurationNanos: 86_400 * oneSecond, RateMillis: 7}, {DurationNanos: oneSecond, RateMillis: 1_000_000_000, Ramp: true}},
			want: []int{605, 500_000},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			all := walkAll(tc.stages, openModel{Arrivals: arrivalsRegular}, 0, 1)
			if got := perStage(all, len(tc.stages)); !slices.Equal(got, tc.want) {
				t.Errorf("%s: stages have %v arrivals, want %v", tc.reason, got, tc.want)
			}
			for i, due := range tc.dues {
				if all[i].due != due {
					t.Errorf("%s: arrival %d is due at %d, want %d", tc.reason, i, all[i].due, due)
				}
			}
			checkOrder(t, tc.stages, all)
		})
	}
}

// checkOrder sees that time only goes forward and that each arrival lies in its stage.
func checkOrder(t *testing.T, stages []stage, all []arrival) {
	t.Helper()
	var ends []int64
	var end int64
	for _, s := range stages {
		end += s.DurationNanos
		ends = append(ends, end)
	}
	for i, one := range all {
		begin := ends[one.stage] - stages[one.stage].DurationNanos
		if one.due < begin || one.due >= ends[one.stage] {
			t.Fatalf("arrival %d of stage %d is due at %d, the stage lasts from %d to %d", i, one.stage, one.due, begin, ends[one.stage])
		}
		if i > 0 && one.due < all[i-1].due {
			t.Fatalf("arrival %d is due before the one before it", i)
		}
	}
}

func TestTheWorkersPartsAreTheWholeSchedule(t *testing.T) {
	stages := []stage{
		{DurationNanos: 3*oneSecond + 7, RateMillis: 12_345, Ramp: true}, {DurationNanos: 2*oneSecond + 1, RateMillis: 333_001},
		{DurationNanos: oneSecond / 3, RateMillis: 10}, {DurationNanos: 4 * oneSecond, RateMillis: 50_500, Ramp: true},
	}
	for _, kind := range []string{arrivalsRegular, arrivalsPoisson} {
		open := openModel{Arrivals: kind, Seed: 17}
		whole := walkAll(stages, open, 0, 1)
		checkOrder(t, stages, whole)
		for _, workers := range []int64{1, 2, 3, 7, 97} {
			parts := make([][]arrival, workers)
			for worker := range workers {
				parts[worker] = walkAll(stages, open, worker, workers)
			}
			// Arrival n of the fleet belongs to worker n mod workers: dealt out again, the parts are the whole.
			for n, want := range whole {
				part := parts[int64(n)%workers]
				if len(part) <= n/int(workers) || part[n/int(workers)] != want {
					t.Fatalf("%s: arrival %d of %d workers is not where it has to be", kind, n, workers)
				}
			}
			var total int
			for _, part := range parts {
				total += len(part)
			}
			if total != len(whole) {
				t.Errorf("%s: %d workers have %d arrivals together, the schedule has %d", kind, workers, total, len(whole))
			}
		}
	}
}

func TestPoissonArrivalsHaveTheRateAndTheSpreadOfAPoissonProcess(t *testing.T) {
	stages := []stage{{DurationNanos: 200 * oneSecond, RateMillis: 500_000}}
	all := walkAll(stages, openModel{Arrivals: arrivalsPoisson, Seed: 3}, 0, 1)
	// 100,000 expected; the standard deviation is 316. The seed is fixed: this does not fail by chance.
	if math.Abs(float64(len(all))-100_000) > 4*316 {
		t.Errorf("%d arrivals, 100000 expected", len(all))
	}
	// Counts of tenths of a second: variance over mean is 1 for a Poisson process, 0 for regular arrivals.
	counts := make([]float64, 2000)
	for _, one := range all {
		counts[one.due*10/oneSecond]++
	}
	var sum, squares float64
	for _, c := range counts {
		sum += c
		squares += c * c
	}
	mean := sum / 2000
	if ratio := (squares/2000 - mean*mean) / mean; ratio < 0.85 || ratio > 1.15 {
		t.Errorf("variance over mean is %.3f, 1 expected", ratio)
	}
	again := walkAll(stages, openModel{Arrivals: arrivalsPoisson, Seed: 3}, 0, 1)
	other := walkAll(stages, openModel{Arrivals: arrivalsPoisson, Seed: 4}, 0, 1)
	if !slices.Equal(all, again) || slices.Equal(all, other) {
		t.Error("the same seed is the same schedule, another one another")
	}
}

func TestAPoissonRampFollowsItsRate(t *testing.T) {
	stages := []stage{{DurationNanos: 100 * oneSecond, RateMillis: 2_000_000, Ramp: true}}
	all := walkAll(stages, openModel{Arrivals: arrivalsPoisson, Seed: 9}, 0, 1)
	var half int
	for _, one := range all {
		if one.due < 50*oneSecond {
			half++
		}
	}
	// A quarter of 100,000 comes in the first half; its standard deviation is 158.
	if half < 25_000-4*158 || half > 25_000+4*158 {
		t.Errorf("%d arrivals in the first half, 25000 expected", half)
	}
}
