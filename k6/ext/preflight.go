// Preflight: is the system under test there, does it let us in, does it understand every query. The connections
// made here are the ones that the VUs use.

package ext

import (
	"context"
	"fmt"
	"time"

	"crucible.dev/k6/ext/engine"
)

const (
	connectTries   = 3
	connectPause   = time.Second
	connectAttempt = 1500 * time.Millisecond
	connectBudget  = 3500 * time.Millisecond // for all tries: a run that cannot start should say so soon
	connectAtOnce  = 16
)

// connect gives every VU its connection, one to each arm, with every statement prepared. The first VU answers for all: only when
// its connections work are the others opened, so that a wrong password is tried once and not once per VU.
func (r *run) connect() *preflightMessage {
	first := make([]engine.Conn, len(r.sides))
	for arm := range r.sides {
		conn, err := r.connectPatiently(arm)
		if err != nil {
			return r.refuse(arm, err, "")
		}
		first[arm] = conn
		r.sessions[0].keep(arm, conn)
	}
	version, settings, err := r.described(first)
	if err != nil {
		return r.refusal(r.sides[0].engine.Refusal(err), "", err.Error())
	}
	for arm, conn := range first {
		if refusal := r.prepareChecked(arm, conn); refusal != nil {
			r.sessions[0].dropAll()
			return refusal
		}
	}
	if err := r.wire.send(preflightMessage{Type: "preflight", OK: true, ServerVersion: version, Settings: settings}); err != nil {
		r.halt(whyOrder)
		return r.refusal(r.sides[0].engine.Refusal(err), "", err.Error())
	}
	return r.connectOthers()
}

// connectPatiently tries a few times: a Service may be a moment behind its pod.
func (r *run) connectPatiently(arm int) (engine.Conn, error) {
	budget, cancel := context.WithTimeout(r.connecting, connectBudget)
	defer cancel()
	for try := 1; ; try++ {
		conn, err := r.connectOnce(arm, budget)
		if err == nil {
			return conn, nil
		}
		if try == connectTries || budget.Err() != nil || r.sides[arm].engine.Refusal(err) != engine.Unreachable || r.stopping.Load() {
			return nil, err
		}
		select {
		case <-time.After(connectPause):
		case <-budget.Done():
			return nil, err
		}
	}
}

func (r *run) connectOnce(arm int, budget context.Context) (engine.Conn, error) {
	attempt, cancel := context.WithTimeout(budget, connectAttempt)
	defer cancel()
	return r.sides[arm].engine.Connect(attempt)
}

// prepareChecked compares the placeholders that the server sees with the parameters that the plan binds.
func (r *run) prepareChecked(arm int, conn engine.Conn) *preflightMessage {
	for i, q := range r.plan.Queries {
		parameters, err := conn.Prepare(i)
		if err != nil {
			return r.refuse(arm, err, q.Name)
		}
		if parameters >= 0 && parameters != len(q.Bindings) {
			return r.refusal(engine.QueryInvalid, q.Name, fmt.Sprintf("the server sees %d placeholders, the plan binds %d parameters", parameters, len(q.Bindings)))
		}
	}
	return nil
}

func (r *run) connectOthers() *preflightMessage {
	others := r.sessions[1:]
	refusals := make(chan *preflightMessage, len(others))
	slots := make(chan struct{}, connectAtOnce)
	for _, s := range others {
		go func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			refusals <- r.connectOne(s)
		}()
	}
	var refused *preflightMessage
	for range others {
		if refusal := <-refusals; refusal != nil && refused == nil {
			refused = refusal
			r.disconnect() // the rest need not try
		}
	}
	return refused
}

func (r *run) connectOne(s *session) *preflightMessage {
	for arm := range r.sides {
		conn, err := r.connectPatiently(arm)
		if err != nil {
			return r.refuse(arm, err, "")
		}
		for i, q := range r.plan.Queries {
			if _, err := conn.Prepare(i); err != nil {
				conn.Close()
				return r.refuse(arm, err, q.Name)
			}
		}
		s.keep(arm, conn)
	}
	return nil
}

func (r *run) refuse(arm int, err error, query string) *preflightMessage {
	return r.refusal(r.sides[arm].engine.Refusal(err), query, r.named(arm, err).Error())
}

func (r *run) refusal(reason engine.Reason, query, message string) *preflightMessage {
	return &preflightMessage{
		Type: "preflight", Reason: string(reason), Query: query,
		Message: shorten(r.complaints.withoutPassword(message)),
	}
}
