// Pace: which VU runs when. The whole timeline of this worker is computed once, before the start, as a short list
// of moments at which its number of active VUs or the stage changes. On the hot path a VU compares the clock with
// one number.

package ext

import (
	"math"
	"math/bits"
	"sort"
)

// phase is a span of the timeline in which neither the stage nor this worker's share changes.
type phase struct {
	from  int64 // nanoseconds since the start instant
	to    int64
	stage uint8
	share int64
}

type timeline struct {
	phases []phase
	end    int64
	peak   int64
	due    int64 // when this worker's first VU becomes active
	// gathered is when every VU may send. Until then a worker sends one query, by its first VU: where workers share
	// processors, those that begin first would otherwise take the time that the others need to begin.
	gathered int64
}

const (
	gatherEach = 500_000    // nanoseconds for each worker of the fleet
	gatherMost = 20_000_000 // nanoseconds for a fleet of any size
)

// share is worker i's exact part of a fleet of total VUs: the shares of all workers always add up to the total.
func share(total, worker, workers int64) int64 {
	return scale(total, worker+1, workers) - scale(total, worker, workers)
}

// scale is floor(value*by/of) without overflow; by <= of, all of them non-negative.
func scale(value, by, of int64) int64 {
	high, low := bits.Mul64(uint64(value), uint64(by))
	quotient, _ := bits.Div64(high, low, uint64(of))
	return int64(quotient)
}

func newTimeline(stages []stage, worker, workers int64) timeline {
	line := timeline{gathered: min(workers*gatherEach, gatherMost)}
	if workers == 1 {
		line.gathered = 0
	}
	var from, before int64
	for i, s := range stages {
		line.addStage(uint8(i), s, from, before, worker, workers)
		from += s.DurationNanos
		before = s.VUs
	}
	line.end = from
	for _, p := range line.phases {
		if line.peak == 0 && p.share > 0 {
			line.due = p.from
		}
		line.peak = max(line.peak, p.share)
	}
	return line
}

// timeline is when which VU of this worker is active. In the open model every one of its share is all the time: what
// it does is said by the arrivals, and nobody waits for others to begin.
func (p *plan) timeline() timeline {
	if p.Open == nil {
		return newTimeline(p.Stages, p.Run.Worker, p.Run.Workers)
	}
	stages := make([]stage, len(p.Stages))
	for i, s := range p.Stages {
		stages[i] = stage{Name: s.Name, DurationNanos: s.DurationNanos, VUs: p.Open.MaxVUs, Measured: s.Measured}
	}
	line := newTimeline(stages, p.Run.Worker, p.Run.Workers)
	line.gathered = 0
	return line
}

// addStage appends a stage's phases. A ramp is one phase per change of this worker's share; every integer total on
// the way is looked at, because a share does not always grow with the total.
func (l *timeline) addStage(index uint8, s stage, from, before, worker, workers int64) {
	steps := s.VUs - before
	if !s.Ramp || steps == 0 {
		l.phases = append(l.phases, phase{from: from, to: from + s.DurationNanos, stage: index, share: share(s.VUs, worker, workers)})
		return
	}
	direction, count := int64(1), steps
	if steps < 0 {
		direction, count = -1, -steps
	}
	current := phase{from: from, stage: index, share: share(before, worker, workers)}
	for step := int64(1); step < count; step++ {
		part := share(before+direction*step, worker, workers)
		if part == current.share {
			continue
		}
		// The first nanosecond at which floor(count*elapsed/duration) reaches step.
		current.to = from + s.DurationNanos - scale(s.DurationNanos, count-step, count)
		l.phases = append(l.phases, current)
		current = phase{from: current.to, stage: index, share: part}
	}
	current.to = from + s.DurationNanos
	l.phases = append(l.phases, current)
}

// at finds the phase of an instant; none is left after the end.
func (l *timeline) at(nanos int64) (phase, bool) {
	i := l.index(nanos)
	if i == len(l.phases) {
		return phase{}, false
	}
	return l.phases[i], true
}

func (l *timeline) index(nanos int64) int {
	return sort.Search(len(l.phases), func(i int) bool { return nanos < l.phases[i].to })
}

// turn answers for one VU at one instant: active or not, in which stage, and until when that holds. An active VU's
// turn ends with the stage, because a query belongs to the stage it began in.
func (l *timeline) turn(vu, nanos int64) (active bool, stage uint8, until int64) {
	i := l.index(nanos)
	if i == len(l.phases) {
		return false, 0, math.MaxInt64
	}
	now := l.phases[i]
	active = vu < now.share
	until = now.to
	for _, next := range l.phases[i+1:] {
		if (vu < next.share) != active || (active && next.stage != now.stage) {
			break
		}
		until = next.to
	}
	return active, now.stage, until
}
