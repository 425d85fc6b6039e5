// Run: the course of one execution, from the preflight to the last line told to the worker.
//
//	Begin -> connect -> ready -> start order -> (VUs run, seconds are reported) -> stop or end -> drained -> finished
//
// There is one run per process, because there is one plan per k6.

package ext

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"crucible.dev/k6/ext/engine"
)

// Why a run stopped.
const (
	whyOrder   = "order"
	whyEnd     = "end"
	whyContext = "context"
)

type run struct {
	plan       *plan
	sides      []side // by arm
	line       timeline
	recorder   *recorder
	complaints *complaints
	wire       *wire
	sessions   []*session

	// The start: origin is written before near is closed. Then the herald waits for the instant by itself; begun is
	// closed when everybody may send: at the instant, or as soon after it as the fleet has gathered.
	origin    time.Time
	near      chan struct{}
	begun     chan struct{}
	startOnce sync.Once
	first     chan int64
	firstOnce sync.Once

	// Readiness: connected once every VU has its connection; initialised once k6 has made every VU.
	connected   chan struct{}
	initialised chan struct{}
	instances   atomic.Int64
	arrivals    atomic.Int64
	initOnce    sync.Once

	// The end.
	stopping      atomic.Bool
	stop          chan struct{}
	haltOnce      sync.Once
	why           string
	drainDeadline atomic.Int64
	drainCut      atomic.Bool
	present       atomic.Int64
	done          chan struct{}
	finished      chan struct{}
	sayOnce       sync.Once
	quit          atomic.Pointer[func(error)] // k6's way to be ended; nil before it has one

	connecting context.Context
	disconnect context.CancelFunc
	reconnects atomic.Uint64
	before     atomic.Uint64 // bytes that the engine had received before the load
	doomed     chan engine.Conn
	killed     chan struct{} // closed when nothing is left to be killed

	// lastStretch is how the last moments before the start are slept.
	lastStretch func(time.Duration)
	// collectedBefore is what garbage collection had taken before the load. It is written before near is closed.
	collectedBefore uint64
	open            *openLoad    // nil in the closed model
	haltedAt        atomic.Int64 // an instant of the run's clock, far away while it goes on
}

// newRun takes an engine for each arm, or the one of a plan without arms.
func newRun(p *plan, engines []engine.Engine, password string) (*run, error) {
	sides, err := p.sides(engines)
	if err != nil {
		return nil, err
	}
	r := &run{
		plan:        p,
		sides:       sides,
		line:        p.timeline(),
		recorder:    newRecorder(len(p.Queries), len(p.Stages)),
		complaints:  newComplaints(password),
		near:        make(chan struct{}),
		begun:       make(chan struct{}),
		first:       make(chan int64, 1),
		connected:   make(chan struct{}),
		initialised: make(chan struct{}),
		stop:        make(chan struct{}),
		done:        make(chan struct{}),
		finished:    make(chan struct{}),
		doomed:      make(chan engine.Conn, 64),
		killed:      make(chan struct{}),
		lastStretch: sleepThread,
	}
	if p.Open != nil {
		r.open = newOpenLoad(p)
		if first, any := r.open.schedule.walk().next(); any {
			r.line.due = first.due
		}
	}
	r.haltedAt.Store(math.MaxInt64 - 1)
	r.drainDeadline.Store(math.MaxInt64)
	r.connecting, r.disconnect = context.WithCancel(context.Background())
	for number := range r.vus() {
		r.sessions = append(r.sessions, newSession(r, number))
	}
	r.present.Store(int64(len(r.sessions)))
	return r, nil
}

// wind gives every session of the open model its alarm.
func (r *run) wind() error {
	for _, s := range r.sessions {
		if s.open == nil {
			return nil
		}
		var err error
		if s.alarm, err = newAlarm(); err != nil {
			return err
		}
	}
	return nil
}

// vus is how many VUs k6 has to make. k6 refuses to run none, so a worker without a share keeps one that sleeps.
func (r *run) vus() int64 { return max(r.line.peak, 1) }

// now is nanoseconds since the start instant.
func (r *run) now() int64 { return int64(time.Since(r.origin)) }

// serve tells the worker the whole story; it returns when nothing follows any more.
func (r *run) serve() {
	defer close(r.finished)
	go r.hear()
	if !r.prepare() {
		return
	}
	r.report()
	select {
	case <-r.begun:
		<-r.killed
	default: // nothing ran
	}
}

// hear obeys the worker. A worker that is gone is an order to stop: nobody is left to stop the load otherwise.
func (r *run) hear() {
	_ = r.wire.orders(func(o order) {
		switch o.Type {
		case "start":
			origin := o.instant(time.Now())
			r.startOnce.Do(func() { go r.startAt(origin) })
		case "stop":
			r.halt(whyOrder)
		}
	})
	r.halt(whyOrder)
}

// startAt opens the barrier at the agreed instant. The runtime's timers may be a millisecond late, so the last
// stretch is slept by the kernel on a thread of its own, and by the herald on its own thread: nobody has to wake it.
// Nothing is waited out in a loop: where many workers share a processor, the time that one of them burns is the time by
// which another one is late. For the same reason everything that can be done before the instant is.
func (r *run) startAt(origin time.Time) {
	r.origin = origin
	const stretch = 5 * time.Millisecond
	select {
	case <-time.After(time.Until(origin) - stretch):
	case <-r.stop:
		return
	}
	takeTurns(shortTurn) // until the first query is under way
	r.before.Store(r.receivedByAll())
	r.collectedBefore = collectorNanos()
	r.drainBy(r.line.end + r.plan.DrainNanos)
	close(r.near)
	r.sleepTo(origin.Add(time.Duration(r.line.gathered)))
	close(r.begun)
	go r.watch()
	if r.stopping.Load() { // the order to stop came before begun was closed
		r.drainBy(r.now() + r.plan.DrainNanos)
	}
}

// sleepTo sleeps on a thread of its own, as exactly as the kernel can.
func (r *run) sleepTo(instant time.Time) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for rest := time.Until(instant); rest > 0; rest = time.Until(instant) {
		r.lastStretch(rest)
	}
}

// drainBy brings the deadline for queries in flight forward.
func (r *run) drainBy(deadline int64) {
	for {
		current := r.drainDeadline.Load()
		if current <= deadline || r.drainDeadline.CompareAndSwap(current, deadline) {
			return
		}
	}
}

// prepare brings every VU to the barrier, or tells why the system under test refuses.
func (r *run) prepare() bool {
	if refusal := r.connect(); refusal != nil {
		if r.stopping.Load() {
			r.conclude()
			return false
		}
		_ = r.wire.send(refusal)
		r.leave(fmt.Errorf("the system under test refused the preflight: %s", refusal.Reason), exitRefused)
		return false
	}
	close(r.connected)
	select {
	case <-r.initialised:
	case <-r.stop:
		r.conclude()
		return false
	}
	return r.wire.send(readyMessage{Type: "ready", VUs: r.line.peak}) == nil || r.fail()
}

func (r *run) fail() bool {
	r.halt(whyOrder)
	return true // the run is told to the end even if nobody listens
}

// instance counts the VUs that k6 has initialised. k6 makes one instance more, to read the options.
func (r *run) instance() {
	if r.instances.Add(1) == int64(len(r.sessions))+1 {
		r.initOnce.Do(func() { close(r.initialised) })
	}
}

// arrived counts the VUs that wait at the barrier: the same news, where k6 was not paused.
func (r *run) arrived() {
	if r.arrivals.Add(1) == int64(len(r.sessions)) {
		r.initOnce.Do(func() { close(r.initialised) })
	}
}

// awaitStart is the barrier. It also waits for the connections: with a start order that came before they were
// there, late is what has to be reported, not a crash. The herald of a fleet goes first, to the instant itself.
func (r *run) awaitStart(herald bool) bool {
	select {
	case <-r.begun: // the usual case, without a lock on two channels
		return true
	default:
	}
	opened := r.begun
	if herald {
		opened = r.near
	}
	for _, gate := range []chan struct{}{r.connected, opened} {
		select {
		case <-gate:
		case <-r.stop:
			return false
		}
	}
	if herald {
		r.sleepTo(r.origin)
	}
	return true
}

// sleepUntil sleeps to an instant of the run's clock; false when the run was stopped meanwhile.
func (r *run) sleepUntil(nanos int64) bool {
	timer := time.NewTimer(time.Duration(nanos - r.now()))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.stop:
		return false
	}
}

func (r *run) announceFirst(now int64) {
	r.firstOnce.Do(func() { r.first <- now })
}

// halt ends the load before its time: no new query from now on, and what is in flight has drainNanos left.
func (r *run) halt(why string) {
	r.haltOnce.Do(func() {
		r.why = why
		r.stopping.Store(true)
		select {
		case <-r.begun:
			if r.now() >= r.line.end { // nothing is left to cut short
				r.why = whyEnd
			}
			r.haltedAt.Store(r.now())
			r.drainBy(r.now() + r.plan.DrainNanos)
		default:
		}
		r.disconnect()
		close(r.stop)
		for _, s := range r.sessions {
			if s.alarm != nil {
				s.alarm.wake()
			}
		}
		r.abandon()
	})
}

// abandon gives up the VUs that k6 has not entered, which it may never do once it is paused or cancelled.
func (r *run) abandon() {
	for _, s := range r.sessions {
		if s.entry.CompareAndSwap(notEntered, abandoned) {
			r.left()
		}
	}
}

// left counts the VUs down; the last one opens the way to the final report.
func (r *run) left() {
	if r.present.Add(-1) == 0 {
		close(r.done)
	}
}

// expected compares a result with what the plan says of it.
func (r *run) expected(query int, rows int64) bool {
	limits := r.plan.Queries[query].ExpectRows
	if limits == nil {
		return true
	}
	return (limits.Min == nil || rows >= *limits.Min) && (limits.Max == nil || rows <= *limits.Max)
}

func (r *run) explain(query int, wasSevered bool, took, rows int64, err error) engine.Failure {
	switch {
	case wasSevered && took >= r.plan.QueryTimeoutNanos:
		return engine.Failure{Class: engine.Timeout, Code: "queryTimeout", Message: fmt.Sprintf("no answer within %s", time.Duration(r.plan.QueryTimeoutNanos))}
	case wasSevered:
		return engine.Failure{Class: engine.Timeout, Code: "drain", Message: fmt.Sprintf("cut off %s after the end of the load", time.Duration(r.plan.DrainNanos))}
	case err != nil:
		return r.sides[0].engine.Explain(err) // the arms have one kind of engine
	default:
		return engine.Failure{Class: engine.WrongResult, Code: "rows", Message: fmt.Sprintf("the result had %d rows", rows)}
	}
}
