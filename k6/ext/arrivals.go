// Arrivals: the open model. Sessions take arrivals in the order of the schedule, each waits until its own is due, and
// one that is due already when a session comes to it was late. So a due arrival waits only while every session has an
// earlier one, nothing is ever left out of the order, and nobody has to hand arrivals out.

package ext

import (
	"sync"
	"time"
)

const (
	arrivalsRegular = "regular"
	arrivalsPoisson = "poisson"
)

// behindNanos is how long after its instant an arrival with a free session may begin. Beyond it the load generator had
// no room for it.
const behindNanos = int64(10 * time.Millisecond)

// stageTally is what became of the arrivals of one stage.
type stageTally struct {
	due    uint64 // by the schedule, so far
	sent   uint64 // whose query was sent, whenever that was
	late   uint64 // that found no free session
	behind uint64 // that had one and began late all the same
	begun  uint64 // queries that were sent while this stage lasted, whichever stage's arrivals they were
}

// openLoad is what the sessions of the open model share.
type openLoad struct {
	schedule *schedule

	mutex  sync.Mutex
	queue  *arrivals
	stages []stageTally
}

func newOpenLoad(p *plan) *openLoad {
	s := newSchedule(p.Stages, p.Open, p.Run.Worker, p.Run.Workers)
	return &openLoad{schedule: s, queue: s.walk(), stages: make([]stageTally, len(p.Stages))}
}

func (o *openLoad) take() (arrival, bool) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.queue.next()
}

// began counts an arrival whose query is sent at this instant, in the time of stage during.
func (o *openLoad) began(a arrival, late bool, now int64, during uint8) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	of := &o.stages[a.stage]
	of.sent++
	switch {
	case late:
		of.late++
	case now-a.due > behindNanos:
		of.behind++
	}
	o.stages[during].begun++
}

func (o *openLoad) tallies(into []stageTally) []stageTally {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return append(into[:0], o.stages...)
}

// sliceOpen is slice for the open model. The first arrival is taken before the start, so that whoever waits at the
// barrier is free when it comes.
func (s *session) sliceOpen(each func(finished)) (more bool) {
	if !s.holds && !s.over && !s.began {
		s.take(false)
	}
	if s.over || !s.run.awaitStart(false) {
		s.end()
		return false
	}
	s.until = s.run.line.end
	sliceEnd := s.run.now() + s.run.plan.SliceNanos
	for s.awaitArrival() {
		before := s.lastEnd
		s.serve()
		s.take(true)
		if each != nil && s.lastEnd != before {
			each(s.raw())
			return true
		}
		if each == nil && s.run.now() >= sliceEnd {
			return true
		}
	}
	s.end()
	return false
}

// take holds the next arrival, if there is one.
func (s *session) take(begun bool) {
	s.arrival, s.holds = s.open.take()
	s.late = begun && s.holds && s.run.now() > s.arrival.due
}

// awaitArrival sleeps until the arrival that this session holds is due; false when the load is over for it. What is
// still held then has not been sent, and the numbers say so.
func (s *session) awaitArrival() bool {
	due := s.run.line.end
	if s.holds {
		due = s.arrival.due
	}
	if s.run.now() < due && !s.rest(due) {
		return false
	}
	return s.holds && !s.run.stopping.Load() && s.run.now() < s.run.line.end
}

// serve sends the query of the arrival that this session holds, over a new connection where it has none.
func (s *session) serve() {
	s.stage = s.arrival.stage
	s.face(s.run.plan.Stages[s.stage].Arm)
	query := s.side.mix.pick(&s.dice)
	if s.conn == nil {
		s.reconnect(query)
	}
	if s.conn != nil && !s.run.stopping.Load() {
		s.send(query)
	}
}

// send is step for the open model, with a connection at hand. The two are kept apart because nothing may be asked twice
// on the way of a query.
func (s *session) send(query int) {
	s.args = s.side.mix.bind(&s.dice, query, s.args)
	s.makeRoom()

	start := s.run.now()
	s.sends(start)
	s.ring.doing.Store(start + 1)
	rows, err := s.conn.Query(query, s.args)
	was := s.ring.doing.Swap(publishing)
	end := s.run.now()

	outcome := uint8(0)
	if err != nil || was == severed || !s.run.expected(query, rows) {
		outcome = s.fault(query, was, start, end, rows, err)
	}
	s.publishArrival(query, outcome, start, end, rows)
}

// publishArrival writes down a finished query with its response time, and its service time beside it.
func (s *session) publishArrival(query int, outcome uint8, start, end, rows int64) {
	service := newSample(query, s.stage, outcome, start, end, rows).micros
	s.ring.pushWithService(newSample(query, s.stage, outcome, s.arrival.due, end, rows), service)
	s.ring.doing.Store(idle)
	s.lastQuery, s.lastOutcome, s.lastStart, s.lastEnd = query, outcome, start, end
}

// sends is told right before a query is sent, or has failed for want of a connection.
func (s *session) sends(now int64) {
	during := s.arrival.stage
	if at, on := s.run.line.at(now); on {
		during = at.stage
	}
	s.open.began(s.arrival, s.late, now, during)
	if !s.began {
		s.began = true
		s.run.announceFirst(now)
	}
}

// restUntil sleeps by the kernel's own timer, which is on time where the runtime's may be a millisecond late; by the
// runtime's where there is none. False when the run was stopped meanwhile.
func (s *session) restUntil(due int64) bool {
	if s.alarm == nil {
		return s.run.sleepUntil(due)
	}
	for now := s.run.now(); now < due; now = s.run.now() {
		if s.run.stopping.Load() || !s.alarm.rest(time.Duration(due-now)) {
			return false
		}
	}
	return true
}

// arrivalsTeller tells what became of the arrivals since it was asked last.
type arrivalsTeller struct {
	schedule *arrivals
	ahead    arrival // the first one that was not due when last asked
	more     bool
	due      []uint64
	told     []stageTally
	now      []stageTally
}

func (o *openLoad) teller() *arrivalsTeller {
	t := &arrivalsTeller{schedule: o.schedule.walk(), due: make([]uint64, len(o.stages)), told: make([]stageTally, len(o.stages))}
	t.ahead, t.more = t.schedule.next()
	return t
}

// since is what is new at this instant, stage by stage, and how many arrivals wait for a session then.
func (t *arrivalsTeller) since(o *openLoad, instant int64, names []stage) (news []arrivalsOf, waiting uint64) {
	for t.more && t.ahead.due < instant {
		t.due[t.ahead.stage]++
		t.ahead, t.more = t.schedule.next()
	}
	t.now = o.tallies(t.now)
	for i := range t.now {
		t.now[i].due = t.due[i]
		was, is := t.told[i], t.now[i]
		if is != was {
			news = append(news, arrivalsOf{
				Stage: names[i].Name, Due: is.due - was.due, Sent: is.sent - was.sent, Late: is.late - was.late,
				Behind: is.behind - was.behind, Begun: is.begun - was.begun,
			})
		}
		if is.due > is.sent {
			waiting += is.due - is.sent
		}
	}
	t.told, t.now = t.now, t.told
	return news, waiting
}
