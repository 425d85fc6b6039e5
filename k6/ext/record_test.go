package ext

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"crucible.dev/k6/ext/engine"
)

func TestRecorderCountsExactlyWhileSecondsClose(t *testing.T) {
	const vus, each = 4, 50_000
	r := newRecorder(3, 2)
	origin := time.Now()
	now := func() int64 { return int64(time.Since(origin)) }
	// Seconds are shortened to milliseconds, so that many of them close while the VUs write.
	const second = int64(time.Millisecond)

	var writers sync.WaitGroup
	for vu := range vus {
		ring := r.newRing(false)
		writers.Go(func() {
			var drained uint64
			for i := range each {
				if ring.full(drained) {
					drained = r.drain(ring)
				}
				ring.doing.Store(now() + 1)
				ring.doing.Swap(publishing)
				end := now()
				ring.push(sample{second: uint32(end / second), micros: uint32(1 + i), rows: 1, query: uint16(vu % 3), stage: uint8(i % 2), outcome: uint8(i % 5)})
				ring.doing.Store(idle)
				if i%1000 == 0 {
					runtime.Gosched()
				}
			}
		})
	}
	finished := make(chan struct{})
	go func() { writers.Wait(); close(finished) }()

	var total, rows uint64
	byOutcome := map[engine.Class]uint64{}
	take := func(cells []cell, read uint64) error {
		rows += read
		for _, c := range cells {
			total += c.histogram.count
			byOutcome[c.outcome] += c.histogram.count
		}
		return nil
	}
	next := uint32(0)
	for done := false; !done; {
		select {
		case <-finished:
			done = true
		default:
		}
		for limit := uint32(now() / second); next < limit; next++ {
			if err := r.closeSecond(next, take); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := r.closeSecond(next, take); err != nil {
		t.Fatal(err)
	}
	if total != vus*each || rows != vus*each {
		t.Errorf("%d queries with %d rows were told, want %d", total, rows, vus*each)
	}
	for _, class := range []engine.Class{engine.OK, engine.Timeout, engine.Connection, engine.Overload, engine.Serialization} {
		if byOutcome[class] != vus*each/5 {
			t.Errorf("%d of %s, want %d", byOutcome[class], class, vus*each/5)
		}
	}
	if len(r.open) != 0 {
		t.Errorf("%d seconds stayed open: a sample came after its second had been told", len(r.open))
	}
	if sums := r.sum(); sums.queries != vus*each || sums.errors != vus*each*4/5 {
		t.Errorf("the totals are %+v", sums)
	}
}

func TestClosingASecondWaitsForASampleOnItsWay(t *testing.T) {
	r := newRecorder(1, 1)
	ring := r.newRing(false)
	ring.doing.Store(publishing)
	go func() {
		time.Sleep(20 * time.Millisecond)
		ring.push(sample{second: 0, micros: 5})
		ring.doing.Store(idle)
	}()
	var told uint64
	_ = r.closeSecond(0, func(cells []cell, _ uint64) error {
		for _, c := range cells {
			told += c.histogram.count
		}
		return nil
	})
	if told != 1 {
		t.Error("the second was closed before the sample that belongs to it")
	}
}

func TestRecorderKeepsItsMemory(t *testing.T) {
	r := newRecorder(1, 1)
	ring := r.newRing(false)
	for second := range uint32(1000) {
		ring.push(sample{second: second, micros: 1 + second})
		_ = r.closeSecond(second, func([]cell, uint64) error { return nil })
	}
	if len(r.spare) != 1 || len(r.pool.free) > 2 {
		t.Errorf("a thousand seconds one after the other left %d seconds and %d chunks", len(r.spare), len(r.pool.free))
	}
}

func TestNewSampleClamps(t *testing.T) {
	hour := int64(time.Hour)
	cases := map[string]struct {
		reason     string
		start, end int64
		rows       int64
		want       sample
	}{
		"Fast":    {reason: "under a microsecond counts as one", start: 0, end: 300, want: sample{micros: 1}},
		"Usual":   {reason: "the second is that of the end", start: 999_000_000, end: 1_000_500_000, rows: 3, want: sample{second: 1, micros: 1500, rows: 3}},
		"TooLong": {reason: "over an hour counts as an hour", start: 0, end: 2 * hour, want: sample{second: 7200, micros: maxMicros}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := newSample(0, 0, 0, tc.start, tc.end, tc.rows); got != tc.want {
				t.Errorf("%s: got %+v, want %+v", tc.reason, got, tc.want)
			}
		})
	}
}
