// Ceiling: how many queries this program could send from this machine to a system that answers at once. What is measured
// is the load generator alone: pacing, parameters, timing and recording, without a driver, a network or k6's own start.
// A worker that is asked for more than a good part of it measures itself.

package ext

import (
	"bufio"
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"crucible.dev/k6/ext/engine"
)

// CeilingCommand is the only argument that makes this program measure itself instead of running k6.
const CeilingCommand = "crucible-ceiling"

const ceilingLength = 3 * time.Second

type ceiling struct {
	Model             string  `json:"model"`
	Processors        int     `json:"processors"`
	Sessions          int64   `json:"sessions"`
	QueriesPerSecond  float64 `json:"queriesPerSecond"`
	CPUMicrosPerQuery float64 `json:"cpuMicrosPerQuery"`
}

// Ceiling writes one JSON line for each model.
func Ceiling(out io.Writer) int {
	for _, model := range []string{"closed", "open"} {
		measured, err := measureCeiling(model, ceilingLength)
		if err == nil {
			err = json.NewEncoder(out).Encode(measured)
		}
		if err != nil {
			_, _ = fmt.Fprintf(os.Stderr, "failed to measure the ceiling of the %s model: %v\n", model, err)
			return 1
		}
	}
	return 0
}

func measureCeiling(model string, length time.Duration) (ceiling, error) {
	sessions := int64(2 * runtime.GOMAXPROCS(0))
	p := &plan{
		Queries:           []query{{Name: "Nothing", Weight: 1, Bindings: []binding{{Name: "id", Kind: "intRange", Min: 1, Max: 1_000_000}}}},
		Stages:            []stage{{Name: "steady", DurationNanos: int64(length), VUs: sessions, Measured: true}},
		QueryTimeoutNanos: int64(10 * time.Second), DrainNanos: int64(time.Second), SliceNanos: int64(100 * time.Millisecond), Seed: 1,
	}
	p.Run.Workers = 1
	if model == "open" { // more than any machine sends: the next arrival is always due
		p.Stages[0].VUs, p.Stages[0].RateMillis = 0, maxRateMillis
		p.Open = &openModel{Arrivals: arrivalsRegular, MaxVUs: sessions}
	}
	r, err := newRun(p, []engine.Engine{nothing{}}, "")
	if err != nil {
		return ceiling{}, err
	}
	if err := r.wind(); err != nil {
		return ceiling{}, err
	}
	before := processorTime()
	queries, err := r.alone()
	if err != nil {
		return ceiling{}, err
	}
	spent := processorTime() - before
	if queries == 0 {
		return ceiling{}, fmt.Errorf("no query was sent")
	}
	return ceiling{
		Model: model, Processors: runtime.GOMAXPROCS(0), Sessions: sessions,
		QueriesPerSecond:  float64(queries) / length.Seconds(),
		CPUMicrosPerQuery: float64(spent.Microseconds()) / float64(queries),
	}, nil
}

// alone carries the run out with goroutines in k6's place and itself in the worker's.
func (r *run) alone() (queries uint64, err error) {
	ours, theirs := net.Pipe()
	r.wire = &wire{conn: ours}
	ended := func(error) {}
	r.quit.Store(&ended)
	go r.serve()
	var vus sync.WaitGroup
	for _, s := range r.sessions {
		vus.Go(func() {
			if s.enter() {
				for s.slice(nil) {
				}
			}
		})
	}
	defer func() {
		_ = theirs.Close()
		vus.Wait()
	}()
	lines := bufio.NewScanner(theirs)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var line struct {
			Type    string `json:"type"`
			Queries uint64 `json:"queries"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return 0, fmt.Errorf("failed to understand a line: %w", err)
		}
		switch line.Type {
		case "ready":
			if _, err := io.WriteString(theirs, "{\"type\":\"start\",\"inNanos\":50000000}\n"); err != nil {
				return 0, fmt.Errorf("failed to start: %w", err)
			}
		case "finished":
			return line.Queries, nil
		}
	}
	return 0, fmt.Errorf("the run ended without a last word: %w", io.ErrUnexpectedEOF)
}

func processorTime() time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// nothing is a system that answers every query at once with one row.
type nothing struct{}

func (nothing) Connect(context.Context) (engine.Conn, error) { return nothing{}, nil }

func (nothing) Describe(context.Context, engine.Conn) (string, map[string]string, error) {
	return "none", nil, nil
}

func (nothing) Uptime(context.Context, engine.Conn) (time.Duration, error) { return time.Hour, nil }

func (nothing) Refusal(error) engine.Reason { return engine.Unreachable }

func (nothing) Explain(err error) engine.Failure {
	return engine.Failure{Class: engine.Other, Message: err.Error()}
}

func (nothing) Received() uint64 { return 0 }

func (nothing) Ask(context.Context, engine.Conn, string) (string, error) { return "", nil }

func (nothing) Prepare(int) (int, error) { return 1, nil }

func (nothing) Query(int, []driver.Value) (int64, error) { return 1, nil }

func (nothing) Alive() bool { return true }

func (nothing) Sever() {}

func (nothing) Kill(context.Context) error { return nil }

func (nothing) Close() {}
