package ext

import (
	"math"
	"testing"
	"time"
)

func TestShare(t *testing.T) {
	cases := map[string]struct {
		reason         string
		total, workers int64
		want           []int64
	}{
		"Even":        {reason: "an even split is even", total: 8, workers: 2, want: []int64{4, 4}},
		"Remainder":   {reason: "the remainder goes to the later workers", total: 7, workers: 2, want: []int64{3, 4}},
		"Thirds":      {reason: "no worker is more than one ahead", total: 10, workers: 3, want: []int64{3, 3, 4}},
		"FewerThan":   {reason: "with fewer VUs than workers some have none", total: 2, workers: 5, want: []int64{0, 0, 1, 0, 1}},
		"Alone":       {reason: "one worker has everything", total: 9, workers: 1, want: []int64{9}},
		"Nothing":     {reason: "nothing is shared out as nothing", total: 0, workers: 3, want: []int64{0, 0, 0}},
		"NotOverflow": {reason: "the product may exceed 64 bits", total: math.MaxInt64 / 2, workers: 4, want: []int64{1152921504606846975, 1152921504606846976, 1152921504606846976, 1152921504606846976}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			for worker, want := range tc.want {
				if got := share(tc.total, int64(worker), tc.workers); got != want {
					t.Errorf("%s: worker %d has %d, want %d", tc.reason, worker, got, want)
				}
			}
		})
	}
}

func TestSharesAlwaysAddUpToTheTotal(t *testing.T) {
	for workers := int64(1); workers <= 17; workers++ {
		for total := range int64(200) {
			var sum int64
			for worker := range workers {
				sum += share(total, worker, workers)
			}
			if sum != total {
				t.Fatalf("%d VUs over %d workers add up to %d", total, workers, sum)
			}
		}
	}
}

func TestTimeline(t *testing.T) {
	second := int64(time.Second)
	cases := map[string]struct {
		reason          string
		stages          []stage
		worker, workers int64
		want            []phase
		peak, due       int64
	}{
		"Steps": {
			reason:  "a step stage has its VUs at once",
			stages:  []stage{{DurationNanos: second, VUs: 2}, {DurationNanos: 2 * second, VUs: 5}},
			workers: 1,
			want:    []phase{{0, second, 0, 2}, {second, 3 * second, 1, 5}},
			peak:    5,
		},
		"RampUp": {
			reason:  "a ramp from nothing reaches each number in turn, the last at its end",
			stages:  []stage{{DurationNanos: 4 * second, VUs: 4, Ramp: true}, {DurationNanos: second, VUs: 4}},
			workers: 1,
			want:    []phase{{0, second, 0, 0}, {second, 2 * second, 0, 1}, {2 * second, 3 * second, 0, 2}, {3 * second, 4 * second, 0, 3}, {4 * second, 5 * second, 1, 4}},
			peak:    4,
			due:     second,
		},
		"RampDown": {
			reason:  "a ramp down starts from the previous stage's number",
			stages:  []stage{{DurationNanos: second, VUs: 2}, {DurationNanos: 2 * second, VUs: 0, Ramp: true}},
			workers: 1,
			want:    []phase{{0, second, 0, 2}, {second, 2 * second, 1, 2}, {2 * second, 3 * second, 1, 1}},
			peak:    2,
		},
		"SharedRamp": {
			reason:  "a worker's share is taken of the fleet's number at each instant",
			stages:  []stage{{DurationNanos: 4 * second, VUs: 4, Ramp: true}},
			worker:  1,
			workers: 2,
			want:    []phase{{0, second, 0, 0}, {second, 3 * second, 0, 1}, {3 * second, 4 * second, 0, 2}},
			peak:    2,
			due:     second,
		},
		"ShareCanSink": {
			reason:  "on the way up a share may sink: 2 of 5 workers' VUs are worker 2's, of 3 none",
			stages:  []stage{{DurationNanos: 4 * second, VUs: 4, Ramp: true}},
			worker:  2,
			workers: 5,
			want:    []phase{{0, 2 * second, 0, 0}, {2 * second, 3 * second, 0, 1}, {3 * second, 4 * second, 0, 0}},
			peak:    1,
			due:     2 * second,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			line := newTimeline(tc.stages, tc.worker, tc.workers)
			if len(line.phases) != len(tc.want) {
				t.Fatalf("%s: phases are %v, want %v", tc.reason, line.phases, tc.want)
			}
			for i, want := range tc.want {
				if line.phases[i] != want {
					t.Errorf("%s: phase %d is %v, want %v", tc.reason, i, line.phases[i], want)
				}
			}
			if line.peak != tc.peak || line.due != tc.due {
				t.Errorf("%s: peak is %d and due at %d, want %d at %d", tc.reason, line.peak, line.due, tc.peak, tc.due)
			}
		})
	}
}

func TestWorkersTimelinesAddUpToTheFleetAtEveryInstant(t *testing.T) {
	stages := []stage{
		{DurationNanos: 997, VUs: 23, Ramp: true}, {DurationNanos: 100, VUs: 40}, {DurationNanos: 1009, VUs: 3, Ramp: true}, {DurationNanos: 500, VUs: 0},
	}
	const workers = 7
	var lines []timeline
	for worker := range int64(workers) {
		lines = append(lines, newTimeline(stages, worker, workers))
	}
	for now := range lines[0].end {
		var fleet int64
		switch {
		case now < 997:
			fleet = 23 * now / 997
		case now < 1097:
			fleet = 40
		case now < 2106:
			fleet = 40 - 37*(now-1097)/1009
		}
		var sum int64
		for worker := range lines {
			p, found := lines[worker].at(now)
			if !found {
				t.Fatalf("worker %d has no phase at %d", worker, now)
			}
			sum += p.share
		}
		if sum != fleet {
			t.Fatalf("at %d the shares add up to %d, want %d", now, sum, fleet)
		}
	}
}

func TestTurn(t *testing.T) {
	second := int64(time.Second)
	line := newTimeline([]stage{
		{DurationNanos: second, VUs: 1}, {DurationNanos: 2 * second, VUs: 3, Ramp: true}, {DurationNanos: second, VUs: 0}, {DurationNanos: second, VUs: 2},
	}, 0, 1)
	cases := map[string]struct {
		reason  string
		vu, now int64
		active  bool
		stage   uint8
		until   int64
	}{
		"FirstActive":    {reason: "an active VU looks again when the stage ends", vu: 0, now: 0, active: true, stage: 0, until: second},
		"NextStage":      {reason: "in a ramp it goes on to the ramp's end", vu: 0, now: second, active: true, stage: 1, until: 3 * second},
		"SecondSleeps":   {reason: "a VU whose turn comes in the ramp sleeps through what is before", vu: 1, now: 0, active: false, stage: 0, until: 2 * second},
		"SecondJoins":    {reason: "it joins half way", vu: 1, now: 2 * second, active: true, stage: 1, until: 3 * second},
		"ThirdNever":     {reason: "a VU that is only needed at the ramp's very end is never active", vu: 2, now: 0, active: false, stage: 0, until: 5 * second},
		"PauseAndReturn": {reason: "a VU sleeps through an empty stage", vu: 0, now: 3 * second, active: false, stage: 2, until: 4 * second},
		"After":          {reason: "after the end nobody is active any more", vu: 0, now: 5 * second, active: false, stage: 0, until: math.MaxInt64},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			active, stage, until := line.turn(tc.vu, tc.now)
			if active != tc.active || stage != tc.stage || until != tc.until {
				t.Errorf("%s: got %v in stage %d until %d, want %v in stage %d until %d", tc.reason, active, stage, until, tc.active, tc.stage, tc.until)
			}
		})
	}
}
