package ext

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"testing"
	"time"

	"crucible.dev/k6/ext/engine"
)

// instantConn answers at once, so that only our own work is left.
type instantConn struct{}

func (instantConn) Prepare(int) (int, error)                 { return 1, nil }
func (instantConn) Query(int, []driver.Value) (int64, error) { return 1, nil }
func (instantConn) Alive() bool                              { return true }
func (instantConn) Sever()                                   {}
func (instantConn) Close()                                   {}
func (instantConn) Kill(context.Context) error               { return nil }

func hotSession(tb testing.TB) *session {
	tb.Helper()
	p := stagePlan(func(p *plan) {
		p.Stages[0].DurationNanos = int64(time.Hour)
		for range 2 {
			p.Queries = append(p.Queries, p.Queries[0])
		}
		for i := range p.Queries {
			p.Queries[i].Bindings = []binding{{Kind: "choice", Values: []json.RawMessage{[]byte("1"), []byte(`"two"`)}}}
		}
	})
	r, err := newRun(p, []engine.Engine{nil}, "")
	if err != nil {
		tb.Fatal(err)
	}
	r.origin = time.Now()
	s := r.sessions[0]
	s.use(engine.Conn(instantConn{}))
	if !s.takeTurn() {
		tb.Fatal("the VU is active")
	}
	return s
}

func TestTheHotPathAllocatesNothingOfItsOwn(t *testing.T) {
	s := hotSession(t)
	for range 2 * ringSize {
		s.step() // the histograms' first chunks
	}
	if allocations := testing.AllocsPerRun(10_000, func() { s.step() }); allocations > 0.01 {
		t.Errorf("a query costs %v allocations", allocations)
	}
}

// BenchmarkStep is what a query costs beside the driver.
func BenchmarkStep(b *testing.B) {
	s := hotSession(b)
	for b.Loop() {
		s.step()
	}
}

// closing is a connection that knows whether it was closed.
type closing struct {
	engine.Conn
	closed bool
}

func (c *closing) Close() { c.closed = true }

func TestASessionThatHasEndedTakesNoConnection(t *testing.T) {
	r, err := newRun(stagePlan(nil), []engine.Engine{&stallEngine{answer: quick}}, "")
	if err != nil {
		t.Fatal(err)
	}
	s := r.sessions[0]
	s.end()
	late := &closing{}
	s.keep(0, late)
	if !late.closed || s.conn != nil {
		t.Error("the connection came after the order to stop, and nobody closed it")
	}
}
