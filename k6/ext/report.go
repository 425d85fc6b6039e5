// Report: what the worker is told while the load runs, one line per second, and the last word.

package ext

import (
	"runtime/metrics"
	"time"
)

// hushNanos is how long the news of the first query waits. Telling it wakes other programs, the cluster's own among
// them, at the very moment when workers that share the machine still have to begin.
const hushNanos = int64(50 * time.Millisecond)

// report runs from the barrier to the last word. It alone speaks to the worker in that time, so the order of the
// lines is the order of this function.
func (r *run) report() {
	select {
	case <-r.begun:
	case <-r.stop:
		select {
		case <-r.near: // the herald may be on its way
			<-r.begun
		default:
			<-r.done
			r.conclude()
			return
		}
	}
	t := teller{run: r}
	if r.open != nil {
		t.arrivals = r.open.teller()
	}
	end := time.NewTimer(time.Duration(r.line.end - r.now()))
	defer end.Stop()
	stop := r.stop
	hush := time.NewTimer(time.Duration(hushNanos - r.now()))
	defer hush.Stop()
	var first chan int64
	for {
		boundary := time.NewTimer(time.Duration(t.boundary() - r.now()))
		select {
		case <-hush.C:
			first = r.first
		case at := <-first:
			t.started(at)
		case <-boundary.C:
			t.interval()
		case <-end.C:
			r.sayStopping(whyEnd)
		case <-stop:
			stop = nil
			r.sayStopping(r.why)
		case <-r.done:
			boundary.Stop()
			for last := r.lastSecond(); t.next <= last; {
				t.interval()
			}
			r.conclude()
			return
		}
		boundary.Stop()
	}
}

// teller tells the seconds one after the other.
type teller struct {
	run        *run
	next       uint32
	encoder    encoder
	reconnects uint64
	bytes      uint64
	gone       bool
	arrivals   *arrivalsTeller // nil in the closed model
}

func (t *teller) boundary() int64 { return (int64(t.next) + 1) * int64(time.Second) }

func (t *teller) send(message any) {
	if t.gone {
		return
	}
	if err := t.run.wire.send(message); err != nil {
		t.gone = true
		t.run.halt(whyOrder)
	}
}

func (t *teller) started(at int64) {
	takeTurns(ownTurn)
	// Late against the plan: in a ramp from nothing the first VU's turn comes after the start instant.
	t.send(startedMessage{Type: "started", FirstQueryUnixNanos: t.run.unixNanos(at), LateNanos: at - t.run.line.due})
}

// interval closes the next second and tells it, even an empty one: silence is news too.
func (t *teller) interval() {
	select {
	case at := <-t.run.first:
		t.started(at)
	default:
	}
	message := intervalMessage{Type: "interval", Second: t.next, Records: []record{}, VUs: t.run.activeDuring(t.next)}
	_ = t.run.recorder.closeSecond(t.next, func(cells []cell, rows uint64) error {
		message.Rows = rows
		for _, c := range cells {
			told, err := t.record(c)
			if err != nil {
				return err // writing to memory does not fail
			}
			message.Records = append(message.Records, told)
		}
		return nil
	})
	if t.arrivals != nil { // after the second is closed: whatever ended in it was counted as sent before
		until := min(t.boundary(), t.run.line.end, t.run.haltedAt.Load()+1)
		message.Arrivals, message.Waiting = t.arrivals.since(t.run.open, until, t.run.plan.Stages)
	}
	reconnects := t.run.reconnects.Load()
	message.Reconnects, t.reconnects = reconnects-t.reconnects, reconnects
	received := t.run.received()
	message.Bytes, t.bytes = received-t.bytes, received
	t.send(message)
	if samples := t.run.complaints.upTo(t.next); len(samples) > 0 {
		t.send(errorsMessage{Type: "errors", Samples: samples})
	}
	t.next++
}

func (t *teller) record(c cell) (record, error) {
	encoded, err := t.encoder.encode(c.histogram)
	if err != nil {
		return record{}, err
	}
	told := record{
		Query: t.run.plan.Queries[c.query].Name, Stage: t.run.plan.Stages[c.stage].Name, Outcome: string(c.outcome),
		Count: c.histogram.count, MaxMicros: c.histogram.max, Histogram: encoded,
	}
	if c.service != nil {
		if encoded, err = t.encoder.encode(c.service); err != nil {
			return record{}, err
		}
		told.Service = &service{MaxMicros: c.service.max, Histogram: encoded}
	}
	return told, nil
}

// activeDuring is this worker's number of VUs at the last instant of a second that the plan covers.
func (r *run) activeDuring(second uint32) int64 {
	from := int64(second) * int64(time.Second)
	if from >= r.line.end {
		return 0
	}
	now, _ := r.line.at(min(from+int64(time.Second), r.line.end) - 1)
	return now.share
}

// received is how many bytes the connections have read since the load began; none where it never did.
func (r *run) received() uint64 {
	before := r.before.Load()
	if before == 0 {
		return 0
	}
	return r.receivedByAll() - before
}

// collected is how much processor time garbage collection has taken since the load began; none where it never did.
func (r *run) collected() uint64 {
	select {
	case <-r.begun:
		return collectorNanos() - r.collectedBefore
	default:
		return 0
	}
}

// collectorNanos is the runtime's own estimate, which it brings up to date with each collection.
func collectorNanos() uint64 {
	sample := []metrics.Sample{{Name: "/cpu/classes/gc/total:cpu-seconds"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindFloat64 {
		return 0
	}
	return uint64(sample[0].Value.Float64() * 1e9)
}

// lastSecond is the last one worth a line: up to the last answer, and up to the end of the load.
func (r *run) lastSecond() uint32 {
	return uint32(max(r.lastAnswer(), min(r.now(), r.line.end)-1, 0) / int64(time.Second))
}

// lastAnswer is when the last query ended. Only to be asked when all VUs have left.
func (r *run) lastAnswer() int64 {
	var last int64
	for _, s := range r.sessions {
		last = max(last, s.lastEnd)
	}
	return last
}

func (r *run) unixNanos(nanos int64) int64 { return r.origin.UnixNano() + nanos }

func (r *run) sayStopping(why string) {
	r.sayOnce.Do(func() { _ = r.wire.send(stoppingMessage{Type: "stopping", Why: why}) })
}

// conclude says the last word and lets k6 go. Where k6 has VUs that it never ran, or runs iterations without end
// (raw samples), it has to be told; otherwise it ends because its VUs have.
func (r *run) conclude() {
	why := whyEnd
	select {
	case <-r.stop:
		why = r.why
	default:
	}
	r.sayStopping(why)
	sums := r.recorder.sum()
	message := finishedMessage{
		Type: "finished", Queries: sums.queries, Errors: sums.errors, Rows: sums.rows, Bytes: r.received(), ClampedLatencies: sums.clamped,
		Interrupted: why != whyEnd || r.drainCut.Load(), GCNanos: r.collected(),
	}
	if why == whyEnd {
		message.ServerStartedNanos = r.serverStarted()
	}
	if last := r.lastAnswer(); last > 0 {
		message.LastQueryUnixNanos = r.unixNanos(last)
	}
	_ = r.wire.send(message)
	if r.plan.RawSamples || r.arrivals.Load() < int64(len(r.sessions)) {
		r.leave(errEnded, 0)
	}
}
