// The stage on which runs are played: a database in this process, and a worker that hears every line.

package ext

import (
	"bufio"
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"crucible.dev/k6/ext/engine"
)

var (
	errSevered = errors.New("severed")
	errRefused = errors.New("refused")
	errFull    = errors.New("too many connections")
)

// stallEngine is a database in this process that answers as the test says.
type stallEngine struct {
	answer     func(query int) (time.Duration, int64, error)
	seen       func(args []driver.Value) // what was bound, where a test wants to know
	refuse     func(connection int64) error
	parameters int
	version    string
	uptime     time.Duration
	opened     atomic.Int64
	killed     atomic.Int64
}

type stallConn struct {
	engine *stallEngine
	cut    chan struct{}
	once   sync.Once
	dead   atomic.Bool
}

func (e *stallEngine) Connect(ctx context.Context) (engine.Conn, error) {
	number := e.opened.Add(1)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if e.refuse != nil {
		if err := e.refuse(number); err != nil {
			return nil, err
		}
	}
	return &stallConn{engine: e, cut: make(chan struct{})}, nil
}

func (e *stallEngine) Describe(context.Context, engine.Conn) (string, map[string]string, error) {
	return "stall 1" + e.version, map[string]string{"max_connections": "7"}, nil
}

func (e *stallEngine) Uptime(context.Context, engine.Conn) (time.Duration, error) {
	return e.uptime, nil
}

func (*stallEngine) Ask(context.Context, engine.Conn, string) (string, error) {
	return "", errors.New("a stall answers nothing")
}

func (e *stallEngine) Received() uint64 { return 100 * uint64(e.opened.Load()) }

func (*stallEngine) Refusal(err error) engine.Reason {
	if errors.Is(err, errFull) {
		return engine.Overloaded
	}
	return engine.Unreachable
}

func (*stallEngine) Explain(err error) engine.Failure {
	class := engine.Other
	if errors.Is(err, errRefused) || errors.Is(err, errSevered) {
		class = engine.Connection
	}
	return engine.Failure{Class: class, Code: "stall", Message: err.Error()}
}

func (c *stallConn) Prepare(int) (int, error) { return c.engine.parameters, nil }

func (c *stallConn) Query(query int, args []driver.Value) (int64, error) {
	if c.engine.seen != nil {
		c.engine.seen(args)
	}
	wait, rows, err := c.engine.answer(query)
	select {
	case <-time.After(wait):
	case <-c.cut:
		return 0, errSevered
	}
	if errors.Is(err, errSevered) {
		c.dead.Store(true)
	}
	return rows, err
}

func (c *stallConn) Alive() bool { return !c.dead.Load() }
func (c *stallConn) Sever()      { c.once.Do(func() { c.dead.Store(true); close(c.cut) }) }
func (c *stallConn) Close()      { c.Sever() }
func (c *stallConn) Kill(context.Context) error {
	c.engine.killed.Add(1)
	return nil
}

// theatre runs one run with a test in the worker's seat and goroutines in k6's.
type theatre struct {
	t      *testing.T
	run    *run
	worker net.Conn
	lines  *bufio.Scanner
	vus    sync.WaitGroup
	heard  []heardLine
}

type heardLine struct {
	Type    string
	OK      bool
	Reason  string
	Why     string
	Message string

	ServerVersion string

	VUs         int64
	Second      int64
	LateNanos   int64
	Queries     int64
	Errors      int64
	Rows        int64
	Reconnects  int64
	Interrupted bool
	Records     []record
	Arrivals    []arrivalsOf
	Waiting     uint64
	Samples     []errorSample

	ServerStartedNanos *int64
}

func stagePlan(edit func(*plan)) *plan {
	p := &plan{
		Queries:           []query{{Name: "Q", Weight: 1}},
		Stages:            []stage{{Name: "only", DurationNanos: int64(200 * time.Millisecond), VUs: 2}},
		QueryTimeoutNanos: int64(10 * time.Second),
		DrainNanos:        int64(time.Second),
		SliceNanos:        int64(20 * time.Millisecond),
	}
	p.Run.Workers = 1
	if edit != nil {
		edit(p)
	}
	return p
}

func raise(t *testing.T, e engine.Engine, p *plan) *theatre {
	t.Helper()
	return raiseWith(t, e, p, func(*run) {})
}

func raiseWith(t *testing.T, e engine.Engine, p *plan, prepare func(*run)) *theatre {
	t.Helper()
	return raiseAll(t, []engine.Engine{e}, p, prepare)
}

// raiseAll is raiseWith for a plan of arms, which has an engine for each.
func raiseAll(t *testing.T, engines []engine.Engine, p *plan, prepare func(*run)) *theatre {
	t.Helper()
	if err := p.validate(); err != nil {
		t.Fatal(err)
	}
	r, err := newRun(p, engines, "")
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := net.Pipe()
	r.wire = &wire{conn: ours}
	prepare(r)
	ended := func(error) {}
	r.quit.Store(&ended)
	th := &theatre{t: t, run: r, worker: theirs, lines: bufio.NewScanner(theirs)}
	th.lines.Buffer(nil, 1<<24)
	go r.serve()
	for _, s := range r.sessions {
		th.vus.Go(func() {
			if !s.enter() {
				return
			}
			for s.slice(nil) {
			}
		})
	}
	t.Cleanup(func() {
		_ = theirs.Close()
		th.vus.Wait()
	})
	return th
}

func (th *theatre) next() heardLine {
	th.t.Helper()
	_ = th.worker.SetReadDeadline(time.Now().Add(10 * time.Second))
	if !th.lines.Scan() {
		th.t.Fatalf("nothing more is told after %+v: %v", th.heard, th.lines.Err())
	}
	var line heardLine
	if err := json.Unmarshal(th.lines.Bytes(), &line); err != nil {
		th.t.Fatal(err)
	}
	th.heard = append(th.heard, line)
	return line
}

func (th *theatre) until(kind string) heardLine {
	th.t.Helper()
	for {
		if line := th.next(); line.Type == kind {
			return line
		}
	}
}

func (th *theatre) say(line string) {
	th.t.Helper()
	if _, err := fmt.Fprintln(th.worker, line); err != nil {
		th.t.Fatal(err)
	}
}

func (th *theatre) start() {
	th.t.Helper()
	th.until("ready")
	th.say(`{"type":"start","inNanos":20000000}`)
}

// counts adds up what the intervals told, per stage and outcome, and checks each histogram on the way.
func (th *theatre) counts() map[string]int64 {
	th.t.Helper()
	counts := map[string]int64{}
	for _, line := range th.heard {
		for _, r := range line.Records {
			h, err := hdrhistogram.Decode([]byte(r.Histogram))
			if err != nil || uint64(h.TotalCount()) != r.Count {
				th.t.Fatalf("the histogram of %+v holds something else: %v", r, err)
			}
			counts[r.Stage+" "+r.Outcome] += int64(r.Count)
		}
	}
	return counts
}
