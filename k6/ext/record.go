// Record: from finished queries to exact counts per query, stage, outcome and second. Every VU writes into a small
// ring of its own without a lock; the recorder empties the rings into histograms, and a second is handed out only
// when nothing can be added to it any more. Memory depends on neither time nor load.

package ext

import (
	"runtime"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"crucible.dev/k6/ext/engine"
)

// sample is one finished query in 16 bytes.
type sample struct {
	second  uint32
	micros  uint32
	rows    uint32
	query   uint16
	stage   uint8
	outcome uint8
}

const ringSize = 512 // 8 KiB per VU

// What a VU is doing right now, as seen by the watchdog and by the recorder. A positive value is the instant at
// which its query began (nanoseconds since the start instant, plus one).
const (
	idle       int64 = 0
	publishing int64 = -1
	severed    int64 = -2
)

// ring is written by one VU and read by whoever holds the recorder's lock.
type ring struct {
	doing   atomic.Int64
	written atomic.Uint64
	read    uint64
	samples [ringSize]sample
	// services are the samples' service times in microseconds; nil in the closed model, where the samples have them.
	services *[ringSize]uint32
}

// full is asked by the VU before it writes.
func (r *ring) full(drained uint64) bool { return r.written.Load()-drained >= ringSize }

// push publishes a sample; the VU has announced it by the state publishing before it read the clock.
func (r *ring) push(s sample) {
	at := r.written.Load()
	r.samples[at%ringSize] = s
	r.written.Store(at + 1)
}

// pushWithService publishes a sample of the open model.
func (r *ring) pushWithService(s sample, service uint32) {
	r.services[r.written.Load()%ringSize] = service
	r.push(s)
}

// recorder owns the open seconds. In a healthy run these are one or two.
type recorder struct {
	queries, stages int

	mutex  sync.Mutex
	rings  []*ring
	open   map[uint32]*second
	spare  []*second
	pool   chunkPool
	totals totals
}

type totals struct {
	queries, errors, rows uint64
	clamped               uint64
}

// second holds the cells that have counts, and the list of them.
type second struct {
	cells    []*histogram // by query, stage and outcome
	services []*histogram // the same in the open model: how long the system under test took
	used     []int
	rows     uint64
}

func newRecorder(queries, stages int) *recorder {
	return &recorder{queries: queries, stages: stages, open: map[uint32]*second{}}
}

func (r *recorder) newRing(open bool) *ring {
	added := &ring{}
	if open {
		added.services = new([ringSize]uint32)
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.rings = append(r.rings, added)
	return added
}

// drain empties one ring. A VU calls it when its ring is full, the recorder when it closes a second.
func (r *recorder) drain(from *ring) (drained uint64) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.drainLocked(from)
	return from.read
}

func (r *recorder) drainLocked(from *ring) {
	if from.services != nil {
		r.drainWithServices(from)
		return
	}
	for written := from.written.Load(); from.read < written; from.read++ {
		r.count(from.samples[from.read%ringSize])
	}
}

func (r *recorder) drainWithServices(from *ring) {
	for written := from.written.Load(); from.read < written; from.read++ {
		at := from.read % ringSize
		r.count(from.samples[at])
		r.countService(from.samples[at], from.services[at])
	}
}

// countService adds the service time of a sample that was just counted.
func (r *recorder) countService(s sample, micros uint32) {
	into := r.open[s.second]
	if into.services == nil {
		into.services = make([]*histogram, len(into.cells))
	}
	at := (int(s.query)*r.stages+int(s.stage))*len(engine.Classes) + int(s.outcome)
	if into.services[at] == nil {
		into.services[at] = &histogram{}
	}
	into.services[at].record(micros, &r.pool)
}

func (r *recorder) count(s sample) {
	into := r.open[s.second]
	if into == nil {
		into = r.openSecond()
		r.open[s.second] = into
	}
	at := (int(s.query)*r.stages+int(s.stage))*len(engine.Classes) + int(s.outcome)
	cell := into.cells[at]
	if cell == nil {
		cell = &histogram{}
		into.cells[at] = cell
	}
	if cell.count == 0 {
		into.used = append(into.used, at)
	}
	cell.record(s.micros, &r.pool)
	into.rows += uint64(s.rows)
	r.totals.queries++
	r.totals.rows += uint64(s.rows)
	if s.outcome != 0 {
		r.totals.errors++
	}
	if s.micros == maxMicros {
		r.totals.clamped++
	}
}

func (r *recorder) openSecond() *second {
	if last := len(r.spare) - 1; last >= 0 {
		s := r.spare[last]
		r.spare = r.spare[:last]
		return s
	}
	return &second{cells: make([]*histogram, r.queries*r.stages*len(engine.Classes))}
}

// cell is one non-empty histogram of a closed second.
type cell struct {
	query, stage int
	outcome      engine.Class
	histogram    *histogram
	service      *histogram // nil in the closed model
}

// closeSecond takes a second out for good. It may be called once the clock has passed the second's end: a VU that
// is between reading the clock and publishing its sample is waited for, anyone later can only belong to a later
// second. visit sees the cells in a fixed order; they are emptied afterwards.
func (r *recorder) closeSecond(number uint32, visit func([]cell, uint64) error) error {
	r.mutex.Lock()
	rings := r.rings
	r.mutex.Unlock()
	for _, ring := range rings {
		for ring.doing.Load() == publishing {
			runtime.Gosched()
			if ring.doing.Load() == publishing {
				time.Sleep(20 * time.Microsecond)
			}
		}
		r.drain(ring)
	}

	r.mutex.Lock()
	closed := r.open[number]
	delete(r.open, number)
	r.mutex.Unlock()
	if closed == nil {
		return visit(nil, 0)
	}
	err := visit(closed.list(r.stages), closed.rows)

	r.mutex.Lock()
	defer r.mutex.Unlock()
	for _, at := range closed.used {
		closed.cells[at].release(&r.pool)
		if closed.services != nil {
			closed.services[at].release(&r.pool)
		}
	}
	closed.used, closed.rows = closed.used[:0], 0
	r.spare = append(r.spare, closed)
	return err
}

func (s *second) list(stages int) []cell {
	sort.Ints(s.used)
	cells := make([]cell, len(s.used))
	for i, at := range s.used {
		outcome := at % len(engine.Classes)
		rest := at / len(engine.Classes)
		cells[i] = cell{query: rest / stages, stage: rest % stages, outcome: engine.Classes[outcome], histogram: s.cells[at]}
		if s.services != nil {
			cells[i].service = s.services[at]
		}
	}
	return cells
}

// sum is the whole run's totals so far.
func (r *recorder) sum() totals {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.totals
}

// newSample clamps what does not fit: below a microsecond counts as one, above an hour as an hour.
func newSample(query int, stage uint8, outcome uint8, start, end, rows int64) sample {
	micros := (end - start) / 1000
	return sample{
		second:  uint32(max(end, 0) / int64(time.Second)),
		micros:  uint32(min(max(micros, 1), maxMicros)),
		rows:    uint32(min(rows, 1<<32-1)),
		query:   uint16(query),
		stage:   stage,
		outcome: outcome,
	}
}
