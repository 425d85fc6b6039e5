// Schedule: when the arrivals of the open model are due. The fleet has one schedule, which follows from the plan alone;
// every worker walks along all of it and takes each arrival whose number is its own, so that the workers' parts
// together are the whole schedule and no arrival is in two of them.
//
// Regular arrivals are counted in whole numbers: the time integral of the rate, in units of which oneArrival make one
// arrival. An arrival comes whenever the integral reaches the next whole number, from zero on, across all stages.
// Poisson arrivals are those of a process of rate one, laid onto the same integral.

package ext

import (
	"math"
	"math/bits"
	"math/rand/v2"
)

// oneArrival is one arrival in the units of the integral: twice a thousandth of an arrival per second, for a nanosecond.
// Twice, because the integral over a ramp is half of the sum of its ends.
const oneArrival = 2_000_000_000_000

// piece is one stage of the schedule.
type piece struct {
	from, to int64 // nanoseconds since the start instant
	// The rate at both ends, in thousandths of an arrival per second.
	rate, rateAtEnd int64
	// Of regular arrivals: the number of the first one in this stage, how many there are, and how much of the integral is
	// missing for the first one when the stage begins, less than oneArrival.
	first, count int64
	lead         uint64
	// before is the integral up to here, in arrivals. Poisson arrivals go by it.
	before float64
}

type schedule struct {
	pieces          []piece
	total           float64 // the whole integral, in arrivals
	worker, workers int64
	poisson         bool
	seed            uint64
}

func newSchedule(stages []stage, open *openModel, worker, workers int64) *schedule {
	s := &schedule{worker: worker, workers: workers, poisson: open.Arrivals == arrivalsPoisson, seed: open.Seed}
	var from, before, number int64
	var lead uint64
	for _, st := range stages {
		p := piece{from: from, to: from + st.DurationNanos, rate: st.RateMillis, rateAtEnd: st.RateMillis, first: number, lead: lead, before: s.total}
		if st.Ramp {
			p.rate = before
		}
		high, low := bits.Mul64(uint64(p.rate)+uint64(p.rateAtEnd), uint64(st.DurationNanos))
		whole, rest := bits.Div64(high, low, oneArrival)
		p.count = int64(whole)
		if rest > lead {
			p.count++
			lead += oneArrival
		}
		lead -= rest
		s.pieces = append(s.pieces, p)
		s.total += float64(whole) + float64(rest)/oneArrival
		from, before, number = p.to, st.RateMillis, number+p.count
	}
	return s
}

// arrival is one query that the schedule wants.
type arrival struct {
	due   int64 // nanoseconds since the start instant
	stage uint8
}

// arrivals walks along this worker's part of a schedule. Not safe for concurrent use.
type arrivals struct {
	schedule *schedule
	piece    int
	number   int64   // of the next arrival, among those of the whole fleet
	reached  float64 // Poisson: the integral at the last arrival of the fleet
	random   *rand.Rand
}

func (s *schedule) walk() *arrivals {
	return &arrivals{schedule: s, number: s.worker, random: rand.New(rand.NewPCG(spread(s.seed), spread(^s.seed)))}
}

// next is the next arrival of this worker, in the order of time; false once there is none.
func (a *arrivals) next() (arrival, bool) {
	if a.schedule.poisson {
		return a.nextRandom()
	}
	pieces := a.schedule.pieces
	for ; a.piece < len(pieces); a.piece++ {
		p := &pieces[a.piece]
		if a.number < p.first+p.count {
			found := arrival{due: p.regular(a.number - p.first), stage: uint8(a.piece)}
			a.number += a.schedule.workers
			return found, true
		}
	}
	return arrival{}, false
}

// nextRandom draws every arrival of the fleet up to this worker's next one: that is how all workers agree on one schedule.
func (a *arrivals) nextRandom() (arrival, bool) {
	others := a.schedule.workers - 1
	if a.number == a.schedule.worker { // the first one
		others = a.schedule.worker
	}
	for range others + 1 {
		a.reached += a.random.ExpFloat64()
	}
	a.number += a.schedule.workers
	if a.reached >= a.schedule.total {
		a.reached = math.Inf(1)
		return arrival{}, false
	}
	pieces := a.schedule.pieces
	for a.piece+1 < len(pieces) && a.reached >= pieces[a.piece+1].before {
		a.piece++
	}
	p := &pieces[a.piece]
	return arrival{due: p.when((a.reached - p.before) * oneArrival), stage: uint8(a.piece)}, true
}

// regular is when the arrival of this number within the stage is due: exactly where the rate is constant, to the
// nanosecond in a ramp.
func (p *piece) regular(number int64) int64 {
	if p.rate != p.rateAtEnd {
		return p.when(float64(p.lead) + float64(number)*oneArrival)
	}
	high, low := bits.Mul64(uint64(number), oneArrival)
	low, carry := bits.Add64(low, p.lead, 0)
	elapsed, _ := bits.Div64(high+carry, low, 2*uint64(p.rate))
	return p.from + int64(elapsed)
}

// when is the instant at which the integral over this stage has grown to so much.
func (p *piece) when(integral float64) int64 {
	if integral <= 0 {
		return p.from
	}
	length := float64(p.to - p.from)
	rate, slope := float64(p.rate), float64(p.rateAtEnd-p.rate)/length
	// The root of slope*t*t + 2*rate*t = integral, in the form that does not cancel out.
	elapsed := integral / (rate + math.Sqrt(max(rate*rate+slope*integral, 0)))
	return p.from + int64(min(elapsed, length-1))
}
