// Wire: one JSON object per line over a unix socket, between this process and the worker that supervises it. The
// worker listens; both directions are listed here and nowhere else.

package ext

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"sync"
	"time"
)

// From here to the worker.
type (
	preflightMessage struct {
		Type          string            `json:"type"`
		OK            bool              `json:"ok"`
		ServerVersion string            `json:"serverVersion,omitempty"`
		Settings      map[string]string `json:"settings,omitempty"`
		Reason        string            `json:"reason,omitempty"`
		Query         string            `json:"query,omitempty"`
		Message       string            `json:"message,omitempty"`
	}
	readyMessage struct {
		Type string `json:"type"`
		VUs  int64  `json:"vus"`
	}
	startedMessage struct {
		Type                string `json:"type"`
		FirstQueryUnixNanos int64  `json:"firstQueryUnixNanos"`
		LateNanos           int64  `json:"lateNanos"`
	}
	intervalMessage struct {
		Type       string   `json:"type"`
		Second     uint32   `json:"second"`
		Records    []record `json:"records"`
		VUs        int64    `json:"vus"`
		Reconnects uint64   `json:"reconnects"`
		Rows       uint64   `json:"rows"`
		Bytes      uint64   `json:"bytes"`
		// Of the open model.
		Arrivals []arrivalsOf `json:"arrivals,omitempty"`
		Waiting  uint64       `json:"waiting,omitempty"` // arrivals without a session at the end of the second
	}
	// arrivalsOf is what is new of one stage's arrivals. Begun counts the queries that were sent while the stage lasted; all
	// others count the stage's own arrivals, whenever they were sent.
	arrivalsOf struct {
		Stage  string `json:"stage"`
		Due    uint64 `json:"due"`
		Sent   uint64 `json:"sent"`
		Late   uint64 `json:"late"`
		Behind uint64 `json:"behind"`
		Begun  uint64 `json:"begun"`
	}
	record struct {
		Query     string `json:"query"`
		Stage     string `json:"stage"`
		Outcome   string `json:"outcome"`
		Count     uint64 `json:"count"`
		MaxMicros uint32 `json:"maxMicros"`
		Histogram string `json:"histogram"`
		// Service is, in the open model, how long the system under test took; the histogram above is then from the
		// instant at which the arrival was due.
		Service *service `json:"service,omitempty"`
	}
	service struct {
		MaxMicros uint32 `json:"maxMicros"`
		Histogram string `json:"histogram"`
	}
	errorsMessage struct {
		Type    string        `json:"type"`
		Samples []errorSample `json:"samples"`
	}
	stoppingMessage struct {
		Type string `json:"type"`
		Why  string `json:"why"`
	}
	finishedMessage struct {
		Type               string `json:"type"`
		Queries            uint64 `json:"queries"`
		Errors             uint64 `json:"errors"`
		Rows               uint64 `json:"rows"`
		Bytes              uint64 `json:"bytes"`
		LastQueryUnixNanos int64  `json:"lastQueryUnixNanos"`
		Interrupted        bool   `json:"interrupted"`
		ClampedLatencies   uint64 `json:"clampedLatencies"`
		GCNanos            uint64 `json:"gcNanos"` // processor time of garbage collection since the start instant
		// ServerStartedNanos is when the server that answers after the load was started, counted from the start instant: below
		// zero where it was up before. It is missing where that cannot be told, and where the load was ended by an order.
		ServerStartedNanos *int64 `json:"serverStartedNanos,omitempty"`
	}
)

// order is what the worker says.
type order struct {
	Type        string `json:"type"`
	InNanos     int64  `json:"inNanos"`
	AtUnixNanos int64  `json:"atUnixNanos"` // the same instant by the machine's clock; 0 where only the countdown is told
}

// clocksTrusted is how far the two words for one instant may be apart: by more, somebody has set the clock.
const clocksTrusted = 250 * time.Millisecond

// instant is when the load starts, for an order that was read now. A countdown is late by the time that it lay in the
// socket; the clock is not.
func (o order) instant(now time.Time) time.Time {
	counted := now.Add(time.Duration(o.InNanos))
	told := now.Add(time.Unix(0, o.AtUnixNanos).Sub(now.Round(0)))
	if o.AtUnixNanos == 0 || told.Sub(counted).Abs() > clocksTrusted {
		return counted
	}
	return told
}

// writeTimeout is how long the worker may not read before it counts as gone. It also bounds how many closed seconds
// can wait here.
const writeTimeout = 5 * time.Second

type wire struct {
	conn  net.Conn
	mutex sync.Mutex
}

func dial(socket string) (*wire, error) {
	conn, err := net.DialTimeout("unix", socket, writeTimeout)
	if err != nil {
		return nil, fmt.Errorf("failed to reach the worker: %w", err)
	}
	return &wire{conn: conn}, nil
}

func (w *wire) send(message any) error {
	line, err := json.Marshal(message)
	if err != nil {
		return fmt.Errorf("failed to encode a message: %w", err)
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if err := w.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return fmt.Errorf("failed to tell the worker: %w", err)
	}
	if _, err := w.conn.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("failed to tell the worker: %w", err)
	}
	return nil
}

// orders reads until the worker hangs up; it returns the reason, never nil.
func (w *wire) orders(obey func(order)) error {
	lines := bufio.NewScanner(w.conn)
	for lines.Scan() {
		var o order
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			return fmt.Errorf("failed to understand the worker: %w", err)
		}
		obey(o)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("failed to hear the worker: %w", err)
	}
	return fmt.Errorf("the worker hung up")
}
