package ext

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// openPlan is a plan of the open model with one stage.
func openPlan(rate, sessions int64, length time.Duration) *plan {
	return stagePlan(func(p *plan) {
		p.Stages = []stage{{Name: "steady", DurationNanos: int64(length), RateMillis: rate * 1000}}
		p.Open = &openModel{Arrivals: arrivalsRegular, MaxVUs: sessions}
	})
}

// virtually runs a plan on a clock that stands still while anything happens, so that what is measured is exact.
func virtually(t *testing.T, e *stallEngine, p *plan, act func(*theatre)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		th := raiseWith(t, e, p, func(r *run) { r.lastStretch = time.Sleep })
		th.start()
		if act != nil {
			act(th)
		}
		th.until("finished")
		outcome = th.outcome()
	})
}

// outcome is what the last virtual run told.
var outcome told

// told is what a run of the open model told, added up.
type told struct {
	arrivals          arrivalsOf
	response, service *hdrhistogram.Histogram
	counts            map[string]int64
	perSecond         []arrivalsOf
	waiting           []uint64
	last              heardLine
}

func (th *theatre) outcome() told {
	th.t.Helper()
	sum := told{response: hdrhistogram.New(1, maxMicros, 3), service: hdrhistogram.New(1, maxMicros, 3), counts: th.counts(), last: th.heard[len(th.heard)-1]}
	add := func(to *hdrhistogram.Histogram, encoded string) {
		decoded, err := hdrhistogram.Decode([]byte(encoded))
		if err != nil {
			th.t.Fatal(err)
		}
		to.Merge(decoded)
	}
	for _, line := range th.heard {
		for _, r := range line.Records {
			add(sum.response, r.Histogram)
			if r.Service == nil {
				th.t.Fatalf("%+v has no service time", r)
			}
			add(sum.service, r.Service.Histogram)
		}
		if line.Type != "interval" {
			continue
		}
		sum.waiting = append(sum.waiting, line.Waiting)
		for _, a := range line.Arrivals {
			sum.perSecond = append(sum.perSecond, a)
			sum.arrivals.Due += a.Due
			sum.arrivals.Sent += a.Sent
			sum.arrivals.Late += a.Late
			sum.arrivals.Behind += a.Behind
			sum.arrivals.Begun += a.Begun
		}
	}
	if uint64(sum.response.TotalCount()) != sum.arrivals.Sent || sum.service.TotalCount() != sum.response.TotalCount() || sum.last.Queries != sum.response.TotalCount() {
		th.t.Errorf("%d arrivals were sent, there are %d response and %d service times and %d queries", sum.arrivals.Sent, sum.response.TotalCount(), sum.service.TotalCount(), sum.last.Queries)
	}
	return sum
}

func millis(h *hdrhistogram.Histogram, percentile float64) float64 {
	return float64(h.ValueAtQuantile(percentile)) / 1000
}

func near(value, wanted, by float64) bool { return value >= wanted-by && value <= wanted+by }

// What the open model is for: 1,000 arrivals a second go on arriving while the system stands still for 2 s.
func TestAStallOfTwoSecondsShowsInResponseTimesAndHidesInServiceTimes(t *testing.T) {
	const sessions = 16
	var began time.Time
	var once atomic.Bool
	e := &stallEngine{}
	e.answer = func(int) (time.Duration, int64, error) {
		if once.CompareAndSwap(false, true) {
			began = time.Now()
		}
		at := time.Since(began)
		if stall := 4 * time.Second; at >= stall && at < stall+2*time.Second {
			return stall + 2*time.Second - at + time.Millisecond, 1, nil // nobody is answered before the stall is over
		}
		return time.Millisecond, 1, nil
	}
	virtually(t, e, openPlan(1000, sessions, 10*time.Second), nil)
	got := outcome

	if got.arrivals.Due != 10_000 || got.arrivals.Sent != 10_000 {
		t.Errorf("%d of %d arrivals were sent; none is lost by a stall", got.arrivals.Sent, got.arrivals.Due)
	}
	// 2,000 arrive in the stall; 16 of them have a session, and 2,000 ms at 16,000 a second against 1,000 take 133 ms to be made up for.
	if got.arrivals.Late < 1950 || got.arrivals.Late > 2250 {
		t.Errorf("%d arrivals were late, about 2000 expected", got.arrivals.Late)
	}
	if p99 := millis(got.response, 99); !near(p99, 1900, 110) {
		t.Errorf("the response time's p99 is %.0f ms, near 2 s expected", p99)
	}
	if p99, p50 := millis(got.service, 99), millis(got.service, 50); p99 > 2 || p50 > 2 {
		t.Errorf("the service times hide the stall: p50 %.1f ms, p99 %.1f ms", p50, p99)
	}
	if longest := float64(got.service.Max()) / 1000; !near(longest, 2000, 20) {
		t.Errorf("the slowest query took %.0f ms", longest)
	}
	if !near(float64(got.waiting[4]), 1000, 20) || !near(float64(got.waiting[5]), 1985, 20) || got.waiting[6] != 0 || got.waiting[3] != 0 {
		t.Errorf("arrivals wait while the stall lasts: %v", got.waiting)
	}
	if got.arrivals.Behind != 0 {
		t.Errorf("%d arrivals began late although a session was free", got.arrivals.Behind)
	}
}

func TestWhereASessionIsFreeResponseIsServiceAndNobodyIsLate(t *testing.T) {
	for _, kind := range []string{arrivalsRegular, arrivalsPoisson} {
		p := openPlan(500, 50, 4*time.Second)
		p.Open.Arrivals, p.Open.Seed = kind, 11
		virtually(t, &stallEngine{answer: func(int) (time.Duration, int64, error) { return 5 * time.Millisecond, 1, nil }}, p, nil)
		got := outcome
		if got.arrivals.Late != 0 || got.arrivals.Sent != got.arrivals.Due || got.arrivals.Begun != got.arrivals.Due {
			t.Errorf("%s: %+v", kind, got.arrivals)
		}
		if kind == arrivalsRegular && got.arrivals.Due != 2000 {
			t.Errorf("%d arrivals, 2000 expected", got.arrivals.Due)
		}
		if slowest := millis(got.response, 100); slowest > 5.01 {
			t.Errorf("%s: the slowest response took %.3f ms", kind, slowest)
		}
	}
}

func TestASystemThatIsTooSlowLeavesArrivalsUnsentAndTheyAreCounted(t *testing.T) {
	// 4 sessions of 100 ms each answer 40 a second; 100 arrive.
	p := stagePlan(func(p *plan) {
		p.Stages = []stage{
			{Name: "peak", DurationNanos: 5 * oneSecond, RateMillis: 100_000}, {Name: "calm", DurationNanos: 5 * oneSecond, RateMillis: 20_000},
		}
		p.Open = &openModel{Arrivals: arrivalsRegular, MaxVUs: 4}
	})
	virtually(t, &stallEngine{answer: func(int) (time.Duration, int64, error) { return 100 * time.Millisecond, 1, nil }}, p, nil)
	by := map[string]arrivalsOf{}
	for _, a := range outcome.perSecond {
		sum := by[a.Stage]
		by[a.Stage] = arrivalsOf{Due: sum.Due + a.Due, Sent: sum.Sent + a.Sent, Begun: sum.Begun + a.Begun, Late: sum.Late + a.Late}
	}
	if peak := by["peak"]; peak.Due != 500 || peak.Begun != 200 || peak.Sent != 400 {
		t.Errorf("peak: 500 arrive, 200 of them begin in its time, 200 more in the calm after it: %+v", peak)
	}
	if calm := by["calm"]; calm.Due != 100 || calm.Sent != 0 || calm.Begun != 200 {
		t.Errorf("calm: its own arrivals wait behind the peak's: %+v", calm)
	}
	if waiting := outcome.waiting[9]; waiting != 200 {
		t.Errorf("%d arrivals wait at the end, 200 expected", waiting)
	}
	if slowest := millis(outcome.response, 100); !near(slowest, 6100, 120) {
		t.Errorf("the slowest response took %.0f ms: arrivals are served in their order", slowest)
	}
}

func TestAnOutageIsErrorsOfTheArrivalsThatMetItAndDelayOfTheOthers(t *testing.T) {
	down := atomic.Bool{}
	e := &stallEngine{refuse: func(int64) error {
		if down.Load() {
			return errRefused
		}
		return nil
	}}
	e.answer = func(int) (time.Duration, int64, error) {
		if down.Load() {
			return time.Millisecond, 0, errSevered
		}
		return time.Millisecond, 1, nil
	}
	virtually(t, e, openPlan(200, 4, 6*time.Second), func(th *theatre) {
		time.Sleep(2 * time.Second)
		down.Store(true)
		time.Sleep(time.Second)
		down.Store(false)
	})
	got := outcome
	if got.arrivals.Due != 1200 || got.arrivals.Sent != 1200 {
		t.Errorf("every arrival is sent in the end: %+v", got.arrivals)
	}
	if failed := got.counts["steady connection"]; failed < 8 || failed > 60 || got.last.Errors != failed {
		t.Errorf("%d of 200 arrivals failed: a few per session, which is not free while it waits to connect again", failed)
	}
	if got.counts["steady ok"]+got.counts["steady connection"] != 1200 || got.arrivals.Late < 100 {
		t.Errorf("the others were late, not lost: %v, %+v", got.counts, got.arrivals)
	}
}

func TestAStopLeavesTheRestOfTheScheduleUnsaid(t *testing.T) {
	virtually(t, &stallEngine{answer: quick}, openPlan(10, 3, time.Hour), func(th *theatre) {
		th.until("started")
		time.Sleep(2550*time.Millisecond - time.Since(th.run.origin))
		th.say(`{"type":"stop"}`)
	})
	if got := outcome; got.arrivals.Due != 26 || got.arrivals.Sent != 26 || !got.last.Interrupted {
		t.Errorf("what was due up to the stop counts, nothing after it: %+v", got.arrivals)
	}
}

func TestAWorkerWithoutArrivalsLastsAsLongAsTheOthers(t *testing.T) {
	p := openPlan(1, 4, 2*time.Second) // 2 arrivals for 3 workers
	p.Run.Worker, p.Run.Workers = 2, 3
	virtually(t, &stallEngine{answer: quick}, p, nil)
	if len(outcome.waiting) != 2 || outcome.last.Queries != 0 || outcome.last.Interrupted {
		t.Errorf("two empty seconds are told: %+v", outcome)
	}
}

func TestTheKernelsTimerIsNotEarlyAndCanBeWoken(t *testing.T) {
	a, err := newAlarm()
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	began := time.Now()
	if !a.rest(20*time.Millisecond) || time.Since(began) < 20*time.Millisecond {
		t.Errorf("it rested for %s", time.Since(began))
	}
	woken := make(chan bool)
	go func() { woken <- a.rest(time.Hour) }()
	time.Sleep(10 * time.Millisecond)
	a.wake()
	if <-woken || a.rest(time.Hour) {
		t.Error("who is woken did not rest to the end, then or later")
	}
}

// On the real clock, with the kernel's timers: every arrival is due, and none is sent twice. How many a machine gets round to before the load ends is
// its own affair; that all are sent where there is time for it is shown on the virtual clock.
func TestTheOpenModelOnTheRealClock(t *testing.T) {
	p := openPlan(400, 8, 500*time.Millisecond)
	th := raiseWith(t, &stallEngine{answer: quick}, p, func(r *run) {
		if err := r.wind(); err != nil {
			t.Fatal(err)
		}
	})
	th.start()
	th.until("finished")
	if got := th.outcome(); got.arrivals.Due != 200 || got.arrivals.Sent > 200 || got.arrivals.Sent == 0 {
		t.Errorf("%+v", got.arrivals)
	}
}
