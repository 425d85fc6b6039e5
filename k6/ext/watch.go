// Watch: time-outs. One goroutine looks at every VU many times a second, which costs a query two stores; a context
// or a timer per query would cost it a second goroutine's wake-up.

package ext

import (
	"context"
	"sync"
	"time"

	"crucible.dev/k6/ext/engine"
)

const (
	watchFastest = 5 * time.Millisecond
	watchSlowest = 100 * time.Millisecond
)

func (r *run) watch() {
	var kills sync.WaitGroup
	for range 2 {
		kills.Go(r.killDoomed)
	}
	defer func() {
		close(r.doomed)
		kills.Wait()
		close(r.killed)
	}()
	every := min(max(time.Duration(r.plan.QueryTimeoutNanos/50), watchFastest), watchSlowest)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			r.severOverdue(r.now())
		case <-r.done:
			return
		}
	}
}

// severOverdue breaks the connections of queries that ran out of time. The exchange makes sure that the query seen
// is the query cut off: its start is unique, and the VU cannot begin another one without taking notice.
func (r *run) severOverdue(now int64) {
	draining := now >= r.drainDeadline.Load()
	for _, s := range r.sessions {
		doing := s.ring.doing.Load()
		if doing <= idle || (!draining && now-(doing-1) < r.plan.QueryTimeoutNanos) {
			continue
		}
		conn := s.shared.Load()
		if conn == nil || !s.ring.doing.CompareAndSwap(doing, severed) {
			continue
		}
		if draining && now-(doing-1) < r.plan.QueryTimeoutNanos {
			r.drainCut.Store(true)
		}
		(*conn).Sever()
		select {
		case r.doomed <- *conn:
		default: // too many at once: the server finds out by itself that its client is gone
		}
	}
}

// killDoomed asks the server to give up what nobody waits for any more.
func (r *run) killDoomed() {
	for conn := range r.doomed {
		r.kill(conn)
	}
}

func (r *run) kill(conn engine.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_ = conn.Kill(ctx) // best effort; the time-out itself is already recorded
}
