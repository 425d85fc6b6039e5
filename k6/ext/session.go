// Session: one VU's side of the run, and the hot path. slice() is what one JavaScript call does.

package ext

import (
	"database/sql/driver"
	"sync"
	"sync/atomic"
	"time"

	"crucible.dev/k6/ext/engine"
)

const (
	backoffFirst = 10 * time.Millisecond
	backoffCap   = 500 * time.Millisecond
)

// Whether k6 has ever run this VU. A VU that it never ran must not be waited for.
const (
	notEntered int32 = iota
	entered
	abandoned
)

type session struct {
	run    *run
	number int64 // among this worker's VUs, from 0
	dice   dice
	args   []driver.Value
	conn   engine.Conn // nil while there is none
	side   *side       // whom it asks
	arm    int         // the position of side
	idle   []engine.Conn
	giving sync.Mutex // whether it still takes connections: an order to stop may come while they are being opened
	ring   *ring
	// drained is how much of the ring has certainly been read.
	drained uint64

	// until is when this VU has to look at the timeline again; before that it is active in stage.
	until int64
	stage uint8

	// The last finished query: for the last word, and for raw samples.
	lastQuery          int
	lastOutcome        uint8
	lastStart, lastEnd int64

	began    bool
	over     bool
	failures int

	// Of the open model; open is nil in the closed one.
	open    *openLoad
	arrival arrival // the one that this session holds, if any
	holds   bool
	late    bool
	alarm   *alarm
	rest    func(until int64) bool

	entry atomic.Int32
	// shared is conn for the watchdog's eyes.
	shared atomic.Pointer[engine.Conn]
}

func newSession(r *run, number int64) *session {
	s := &session{run: r, number: number, dice: newDice(r.plan.Seed, r.plan.Run.Worker, number), ring: r.recorder.newRing(r.open != nil), open: r.open}
	s.rest = s.restUntil
	s.side, s.idle = &r.sides[0], make([]engine.Conn, len(r.sides))
	for _, parameters := range s.side.mix.parameters {
		if len(parameters) > cap(s.args) {
			s.args = make([]driver.Value, 0, len(parameters))
		}
	}
	return s
}

func (s *session) use(conn engine.Conn) {
	s.conn = conn
	s.shared.Store(&conn)
}

func (s *session) drop() {
	s.shared.Store(nil)
	if s.conn != nil {
		s.conn.Close()
		s.conn = nil
	}
}

// enter is the VU's first step into native code; false means that the run has already given it up.
func (s *session) enter() bool {
	if s.entry.Load() == entered {
		return !s.over
	}
	if !s.entry.CompareAndSwap(notEntered, entered) {
		return false
	}
	s.run.arrived()
	return true
}

// slice waits for the start, then runs queries back to back until the slice is over, the plan or the order to stop
// ends this VU's part (false). With raw samples it returns after each query and hands it over.
func (s *session) slice(each func(finished)) (more bool) {
	if s.open != nil {
		return s.sliceOpen(each)
	}
	if s.over || !s.run.awaitStart(s.isHerald()) {
		s.end()
		return false
	}
	now := s.run.now()
	sliceEnd := now + s.run.plan.SliceNanos
	for !s.run.stopping.Load() {
		if now >= s.until {
			if !s.takeTurn() {
				break
			}
			now = s.run.now()
		}
		if now >= sliceEnd && each == nil {
			return true
		}
		before := s.lastEnd
		now = s.step()
		if each != nil && s.lastEnd != before {
			each(s.raw())
			return true
		}
	}
	s.end()
	return false
}

// isHerald tells whether this VU goes before the others of its worker, with one query: where a fleet gathers first.
func (s *session) isHerald() bool { return s.number == 0 && s.run.line.gathered > 0 }

// takeTurn sleeps until the timeline wants this VU; false when it never will again.
func (s *session) takeTurn() bool {
	for {
		now := s.run.now()
		if now >= s.run.line.end {
			return false
		}
		active, stage, until := s.run.line.turn(s.number, now)
		if active {
			gathered := s.run.line.gathered
			herald := s.isHerald() && !s.began
			if now < gathered && !herald {
				if !s.run.sleepUntil(gathered) {
					return false
				}
				continue
			}
			s.stage, s.until = stage, until
			s.face(s.run.plan.Stages[stage].Arm)
			if herald && now < gathered {
				s.until = now // one query, then it waits for the others' first ones
			}
			if !s.began {
				s.began = true
				s.run.announceFirst(now)
			}
			return true
		}
		if !s.run.sleepUntil(until) {
			return false
		}
	}
}

// step runs one query, or tries once to get a connection for it. It returns the instant at which it is done.
func (s *session) step() int64 {
	query := s.side.mix.pick(&s.dice)
	if s.conn == nil {
		return s.reconnect(query)
	}
	s.args = s.side.mix.bind(&s.dice, query, s.args)
	s.makeRoom()

	start := s.run.now()
	s.ring.doing.Store(start + 1)
	rows, err := s.conn.Query(query, s.args)
	was := s.ring.doing.Swap(publishing)
	end := s.run.now()

	outcome := uint8(0)
	if err != nil || was == severed || !s.run.expected(query, rows) {
		outcome = s.fault(query, was, start, end, rows, err)
	}
	s.publish(query, outcome, start, end, rows)
	return end
}

// publish writes down a finished query. The ring says publishing since before end was read.
func (s *session) publish(query int, outcome uint8, start, end, rows int64) {
	s.ring.push(newSample(query, s.stage, outcome, start, end, rows))
	s.ring.doing.Store(idle)
	s.lastQuery, s.lastOutcome, s.lastStart, s.lastEnd = query, outcome, start, end
}

func (s *session) raw() finished {
	return finished{
		query: s.lastQuery, failed: s.lastOutcome != 0,
		at: s.run.origin.Add(time.Duration(s.lastEnd)), took: time.Duration(s.lastEnd - s.lastStart),
	}
}

func (s *session) makeRoom() {
	if s.ring.full(s.drained) {
		s.drained = s.run.recorder.drain(s.ring)
	}
}

// fault sorts what went wrong and leaves the session with a usable connection or with none.
func (s *session) fault(query int, was, start, end, rows int64, err error) uint8 {
	failure := s.run.explain(query, was == severed, end-start, rows, err)
	s.run.complaints.add(uint32(end/int64(time.Second)), s.run.plan.Queries[query].Name, failure)
	if was == severed || (err != nil && !s.conn.Alive()) {
		s.drop()
	}
	return engine.Index(failure.Class)
}

// reconnect tries once. A failed attempt is an error of the query that wanted the connection: during an outage the
// error rate has to show that nothing gets through. The pause after it grows, is capped, and is jittered, so that a
// fleet does not fall upon a server that has just come back.
func (s *session) reconnect(query int) int64 {
	start := s.run.now()
	conn, err := s.side.engine.Connect(s.run.connecting)
	if err == nil {
		s.use(conn)
		s.failures = 0
		s.run.reconnects.Add(1)
		return s.run.now()
	}
	if s.run.stopping.Load() { // the attempt was cut short by us
		return s.run.now()
	}
	s.makeRoom()
	if s.open != nil {
		s.sends(start)
	}
	s.ring.doing.Store(publishing)
	end := s.run.now()
	failure := s.side.engine.Explain(err)
	s.run.complaints.add(uint32(end/int64(time.Second)), s.run.plan.Queries[query].Name, failure)
	if s.open != nil {
		s.publishArrival(query, engine.Index(failure.Class), start, end, 0)
	} else {
		s.publish(query, engine.Index(failure.Class), start, end, 0)
	}

	s.failures++
	s.run.sleepUntil(min(end+s.backoff(), s.until))
	return s.run.now()
}

func (s *session) backoff() int64 {
	pause := uint64(backoffCap)
	if s.failures < 8 {
		pause = min(pause, uint64(backoffFirst)<<s.failures)
	}
	return int64(pause/2 + s.dice.below(pause/2+1))
}

// end is this VU's last act. It may be called again.
func (s *session) end() {
	if s.over {
		return
	}
	s.giving.Lock()
	s.over = true
	s.giving.Unlock()
	s.dropAll()
	if s.alarm != nil {
		s.alarm.close()
	}
	s.run.left()
}
