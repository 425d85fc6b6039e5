package ext

import (
	"bufio"
	"encoding/json"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"crucible.dev/k6/ext/engine"
)

func quick(int) (time.Duration, int64, error) { return time.Millisecond, 1, nil }

func TestLinesComeInOrderAndAddUp(t *testing.T) {
	th := raise(t, &stallEngine{answer: quick}, stagePlan(func(p *plan) {
		p.Stages = []stage{{Name: "warmup", DurationNanos: int64(300 * time.Millisecond), VUs: 1}, {Name: "steady", DurationNanos: int64(900 * time.Millisecond), VUs: 3}}
	}))
	th.start()
	last := th.until("finished")

	// Seconds may be many where the machine is busy; everything else comes exactly once and in this order.
	order := map[string]int{"preflight": 0, "ready": 1, "started": 2, "interval": 3, "stopping": 3, "finished": 4}
	times := map[string]int{}
	for i, line := range th.heard {
		times[line.Type]++
		if i > 0 && order[line.Type] < order[th.heard[i-1].Type] {
			t.Errorf("line %d, %s, came after %s", i, line.Type, th.heard[i-1].Type)
		}
	}
	if times["interval"] < 2 {
		t.Errorf("1.2 s are at least two seconds to be told: %v", times)
	}
	for _, once := range []string{"preflight", "ready", "started", "stopping", "finished"} {
		if times[once] != 1 {
			t.Errorf("%s came %d times", once, times[once])
		}
	}
	second := int64(-1)
	for _, line := range th.heard {
		if line.Type == "interval" && line.Second != second+1 {
			t.Errorf("second %d came after second %d", line.Second, second)
		}
		if line.Type == "interval" {
			second = line.Second
		}
	}
	if started := th.heard[2]; started.LateNanos < 0 || started.LateNanos > int64(time.Second) {
		t.Errorf("the first query was %s late", time.Duration(started.LateNanos))
	}
	if last.Interrupted {
		t.Errorf("a run that ends by itself is not interrupted: %+v", last)
	}
	counts := th.counts()
	if counts["warmup ok"] == 0 || counts["steady ok"] == 0 {
		t.Errorf("both stages have queries: %v", counts)
	}
	if counts["warmup ok"]+counts["steady ok"] != last.Queries || last.Rows != last.Queries || last.Errors != 0 {
		t.Errorf("the intervals told %v, the last word is %+v", counts, last)
	}
}

func TestAQueryBelongsToTheStageItBeganIn(t *testing.T) {
	first := atomic.Bool{}
	th := raise(t, &stallEngine{answer: func(int) (time.Duration, int64, error) {
		if first.CompareAndSwap(false, true) {
			return 200 * time.Millisecond, 1, nil // from the first stage far into the second
		}
		return time.Millisecond, 1, nil
	}}, stagePlan(func(p *plan) {
		p.Stages = []stage{{Name: "a", DurationNanos: int64(100 * time.Millisecond), VUs: 1}, {Name: "b", DurationNanos: int64(200 * time.Millisecond), VUs: 1}}
	}))
	th.start()
	th.until("finished")
	if counts := th.counts(); counts["a ok"] != 1 || counts["b ok"] == 0 {
		t.Errorf("stage a has the one long query, stage b what came after it: %v", counts)
	}
}

func TestStopLetsQueriesInFlightFinish(t *testing.T) {
	th := raise(t, &stallEngine{answer: func(int) (time.Duration, int64, error) { return 300 * time.Millisecond, 1, nil }},
		stagePlan(func(p *plan) { p.Stages[0].DurationNanos = int64(time.Minute) }))
	th.start()
	th.until("started")
	time.Sleep(50 * time.Millisecond)
	th.say(`{"type":"stop"}`)
	if why := th.until("stopping").Why; why != "order" {
		t.Errorf("stopping because of %q", why)
	}
	last := th.until("finished")
	if !last.Interrupted || last.Queries != 2 || last.Errors != 0 {
		t.Errorf("two VUs finish their one query each: %+v", last)
	}
}

func TestTheLastWordTellsWhenTheServerWasStarted(t *testing.T) {
	before := raise(t, &stallEngine{answer: quick, uptime: time.Hour}, stagePlan(nil))
	before.start()
	if at := before.until("finished").ServerStartedNanos; at == nil || time.Duration(*at) > -59*time.Minute || time.Duration(*at) < -time.Hour {
		t.Errorf("a server that is up for an hour was started at %v", at)
	}
	meanwhile := raise(t, &stallEngine{answer: quick, uptime: time.Millisecond}, stagePlan(nil))
	meanwhile.start()
	if at := meanwhile.until("finished").ServerStartedNanos; at == nil || time.Duration(*at) < 100*time.Millisecond {
		t.Errorf("a server that is up for a millisecond was started at %v", at)
	}
	gone := &stallEngine{answer: quick}
	gone.refuse = func(connection int64) error {
		if connection > 2 {
			return errRefused
		}
		return nil
	}
	away := raise(t, gone, stagePlan(nil))
	away.start()
	if at := away.until("finished").ServerStartedNanos; at != nil {
		t.Errorf("a server that is away was started at %d", *at)
	}
}

func TestWhatOutlivesTheDrainIsCutOffAndCounted(t *testing.T) {
	e := &stallEngine{answer: func(int) (time.Duration, int64, error) { return time.Hour, 1, nil }}
	th := raise(t, e, stagePlan(func(p *plan) {
		p.Stages[0].DurationNanos = int64(500 * time.Millisecond)
		p.DrainNanos = int64(100 * time.Millisecond)
	}))
	th.start()
	th.until("started")
	began := time.Now()
	last := th.until("finished")
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("the end took %s", took)
	}
	if counts := th.counts(); counts["only timeout"] != 2 || !last.Interrupted || last.Errors != 2 {
		t.Errorf("both queries are time-outs: %v %+v", counts, last)
	}
	if !saysCode(th.heard, "drain") {
		t.Errorf("the error sample says that the drain cut it off: %+v", th.heard)
	}
}

func TestAQueryWithoutAnswerTimesOutAndTheVUGoesOn(t *testing.T) {
	var calls atomic.Int64
	e := &stallEngine{answer: func(int) (time.Duration, int64, error) {
		if calls.Add(1) == 2 {
			return time.Hour, 1, nil
		}
		return time.Millisecond, 1, nil
	}}
	th := raise(t, e, stagePlan(func(p *plan) {
		p.Stages[0].VUs, p.Stages[0].DurationNanos = 1, int64(800*time.Millisecond)
		p.QueryTimeoutNanos = int64(100 * time.Millisecond)
	}))
	th.start()
	th.until("finished")
	counts := th.counts()
	if counts["only timeout"] != 1 || counts["only ok"] < 2 {
		t.Errorf("one time-out, then more answers: %v", counts)
	}
	for _, line := range th.heard {
		for _, r := range line.Records {
			if r.Outcome == "timeout" && (r.MaxMicros < 100_000 || r.MaxMicros > 2_000_000) {
				t.Errorf("a time-out of 100 ms was recorded as %d us", r.MaxMicros)
			}
		}
	}
	if e.killed.Load() != 1 {
		t.Errorf("the server was asked %d times to give up, want once", e.killed.Load())
	}
	if reconnects(th.heard) != 1 {
		t.Errorf("%d reconnects, want 1", reconnects(th.heard))
	}
}

func TestAnOutageIsCountedAndSurvived(t *testing.T) {
	var origin atomic.Int64
	origin.Store(time.Now().Add(time.Hour).UnixNano())
	out := func() bool {
		since := time.Duration(time.Now().UnixNano() - origin.Load())
		return since > 100*time.Millisecond && since < 300*time.Millisecond
	}
	e := &stallEngine{
		answer: func(int) (time.Duration, int64, error) {
			if out() {
				return 0, 0, errSevered
			}
			return time.Millisecond, 1, nil
		},
		refuse: func(int64) error {
			if out() {
				return errRefused
			}
			return nil
		},
	}
	th := raise(t, e, stagePlan(func(p *plan) { p.Stages[0].DurationNanos = int64(1500 * time.Millisecond) }))
	th.start()
	th.until("started")
	origin.Store(time.Now().UnixNano())
	last := th.until("finished")
	counts := th.counts()
	if counts["only connection"] < 4 || counts["only connection"] > 60 {
		t.Errorf("an outage of 200 ms shows as some errors of class connection, not as a storm: %v", counts)
	}
	if reconnects(th.heard) != 2 || last.Errors != counts["only connection"] {
		t.Errorf("both VUs come back once: %d reconnects, %+v", reconnects(th.heard), last)
	}
	if counts["only ok"] < 10 {
		t.Errorf("the load goes on after the outage: %v", counts)
	}
}

func TestAWrongNumberOfRowsIsAnError(t *testing.T) {
	one := int64(1)
	th := raise(t, &stallEngine{answer: func(int) (time.Duration, int64, error) { return time.Millisecond, 0, nil }}, stagePlan(func(p *plan) {
		p.Queries[0].ExpectRows = &struct {
			Min *int64 `json:"min"`
			Max *int64 `json:"max"`
		}{Min: &one}
	}))
	th.start()
	last := th.until("finished")
	if counts := th.counts(); counts["only wrongResult"] != last.Queries || counts["only ok"] != 0 {
		t.Errorf("every query is a wrong result: %v", counts)
	}
}

func TestStopBeforeTheStartEndsTheRun(t *testing.T) {
	th := raise(t, &stallEngine{answer: quick}, stagePlan(nil))
	th.until("ready")
	th.say(`{"type":"stop"}`)
	if why := th.until("stopping").Why; why != "order" {
		t.Errorf("stopping because of %q", why)
	}
	if last := th.until("finished"); last.Queries != 0 || !last.Interrupted {
		t.Errorf("nothing has run: %+v", last)
	}
}

func TestAWorkerThatIsGoneStopsTheLoad(t *testing.T) {
	th := raise(t, &stallEngine{answer: quick}, stagePlan(func(p *plan) { p.Stages[0].DurationNanos = int64(time.Hour) }))
	th.start()
	th.until("started")
	_ = th.worker.Close()
	select {
	case <-th.run.finished:
	case <-time.After(5 * time.Second):
		t.Fatal("the load goes on with nobody to stop it")
	}
}

func TestPreflight(t *testing.T) {
	cases := map[string]struct {
		reason   string
		engine   *stallEngine
		bindings int
		want     engine.Reason
		tries    int64
	}{
		"Unreachable":   {reason: "an unreachable server is tried three times", engine: &stallEngine{refuse: func(int64) error { return errRefused }}, want: engine.Unreachable, tries: 3},
		"FullAtOnce":    {reason: "a full server is not pestered", engine: &stallEngine{refuse: func(int64) error { return errFull }}, want: engine.Overloaded, tries: 1},
		"FullLater":     {reason: "a server that fills up before every VU is in is overloaded", engine: &stallEngine{refuse: afterFirst(errFull)}, want: engine.Overloaded},
		"TooFewBound":   {reason: "a placeholder without a parameter is found before the load", engine: &stallEngine{parameters: 2}, bindings: 1, want: engine.QueryInvalid, tries: 1},
		"TooManyBound":  {reason: "a parameter without a placeholder too", engine: &stallEngine{parameters: 0}, bindings: 1, want: engine.QueryInvalid, tries: 1},
		"ComesUpInTime": {reason: "a server that is a moment late is no failure", engine: &stallEngine{refuse: onlyFirst(errRefused)}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.engine.answer = quick
			th := raise(t, tc.engine, stagePlan(func(p *plan) {
				for range tc.bindings {
					p.Queries[0].Bindings = append(p.Queries[0].Bindings, binding{Name: "b", Kind: "intRange", Min: 1, Max: 2})
				}
			}))
			defer th.run.halt(whyContext)
			line := th.next()
			if line.Type == "preflight" && line.OK {
				line = th.next()
			}
			if tc.want == "" {
				if line.Type != "ready" || line.VUs != 2 {
					t.Errorf("%s: told %+v", tc.reason, line)
				}
				return
			}
			if line.Type != "preflight" || line.OK || line.Reason != string(tc.want) {
				t.Errorf("%s: told %+v", tc.reason, line)
			}
			if tc.tries > 0 && tc.engine.opened.Load() != tc.tries {
				t.Errorf("%s: tried %d times, want %d", tc.reason, tc.engine.opened.Load(), tc.tries)
			}
		})
	}
}

func TestVUsThatK6NeverRanAreNotWaitedFor(t *testing.T) {
	r, err := newRun(stagePlan(nil), []engine.Engine{&stallEngine{answer: quick}}, "")
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := net.Pipe()
	defer theirs.Close()
	r.wire = &wire{conn: ours}
	left := make(chan struct{})
	quit := func(error) { close(left) }
	r.quit.Store(&quit)
	go r.serve()
	lines := bufio.NewScanner(theirs)
	lines.Scan() // preflight
	r.halt(whyContext)
	for lines.Scan() {
		var line heardLine
		_ = json.Unmarshal(lines.Bytes(), &line)
		if line.Type == "finished" {
			break
		}
	}
	select {
	case <-left:
	case <-time.After(5 * time.Second):
		t.Fatal("k6 was not told to end")
	}
}

func TestUnusablePlansAreRefused(t *testing.T) {
	for reason, edit := range map[string]func(*plan){
		"no such worker":    func(p *plan) { p.Run.Worker = 1 },
		"no queries":        func(p *plan) { p.Queries = nil },
		"no weight":         func(p *plan) { p.Queries[0].Weight = 0 },
		"no stages":         func(p *plan) { p.Stages = nil },
		"an endless stage":  func(p *plan) { p.Stages[0].DurationNanos = -1 },
		"negative VUs":      func(p *plan) { p.Stages[0].VUs = -1 },
		"no query time-out": func(p *plan) { p.QueryTimeoutNanos = 0 },
	} {
		if err := stagePlan(edit).validate(); err == nil {
			t.Errorf("a plan with %s must be refused", reason)
		}
	}
}

func onlyFirst(err error) func(int64) error {
	return func(connection int64) error {
		if connection > 1 {
			return nil
		}
		return err
	}
}

func afterFirst(err error) func(int64) error {
	return func(connection int64) error {
		if connection > 1 {
			return err
		}
		return nil
	}
}

func saysCode(lines []heardLine, code string) bool {
	for _, line := range lines {
		for _, s := range line.Samples {
			if s.Code == code {
				return true
			}
		}
	}
	return false
}

func reconnects(lines []heardLine) int64 {
	var sum int64
	for _, line := range lines {
		sum += line.Reconnects
	}
	return sum
}

func TestAWorkerOfAFleetSendsOneQueryUntilTheOthersHaveBegun(t *testing.T) {
	var mu sync.Mutex
	var sent []time.Time
	e := &stallEngine{answer: func(int) (time.Duration, int64, error) {
		mu.Lock()
		defer mu.Unlock()
		sent = append(sent, time.Now())
		return 100 * time.Microsecond, 1, nil
	}}
	th := raise(t, e, stagePlan(func(p *plan) {
		p.Run.Workers = 32
		p.Stages[0].VUs = 96
	}))
	th.start()
	th.until("finished")

	mu.Lock()
	defer mu.Unlock()
	early := 0
	for _, at := range sent {
		if at.Sub(th.run.origin) < 16*time.Millisecond {
			early++
		}
	}
	if early != 1 {
		t.Errorf("%d queries went out in the 16 ms that a fleet of 32 needs to begin, want 1", early)
	}
	if len(sent) < 100 {
		t.Errorf("only %d queries were sent in all: the load did not go on afterwards", len(sent))
	}
}
