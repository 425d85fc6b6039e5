// Arms: two variants that one run compares with each other. They take turns by the stages of the plan, and every session
// holds a connection to each of them from before the start, so that a switch costs no more than looking at another one.

package ext

import (
	"context"
	"fmt"
	"strings"

	"crucible.dev/k6/ext/engine"
)

// arm is one variant as the plan has it: where its queries go, and what is bound to them.
type arm struct {
	Name     string      `json:"name"`
	Host     string      `json:"host"`
	Port     uint16      `json:"port"`
	Database string      `json:"database"`
	Bindings [][]binding `json:"bindings"` // of each query
}

// side is whom a session asks, and what. A run without arms has one.
type side struct {
	name   string // of the arm; empty where there are none
	engine engine.Engine
	mix    *mix
}

const armsOfRun = 2

func (p *plan) validateArms() error {
	if len(p.Arms) != 0 && len(p.Arms) != armsOfRun {
		return fmt.Errorf("%d arms, where none or %d are possible", len(p.Arms), armsOfRun)
	}
	for _, a := range p.Arms {
		if len(a.Bindings) != len(p.Queries) {
			return fmt.Errorf("arm %q binds parameters of %d queries, where there are %d", a.Name, len(a.Bindings), len(p.Queries))
		}
		for i, bindings := range a.Bindings {
			if len(bindings) != len(p.Queries[i].Bindings) {
				return fmt.Errorf("arm %q binds %d parameters of query %q, where it has %d", a.Name, len(bindings), p.Queries[i].Name, len(p.Queries[i].Bindings))
			}
		}
	}
	for _, s := range p.Stages {
		if s.Arm < 0 || s.Arm >= max(len(p.Arms), 1) {
			return fmt.Errorf("stage %q asks arm %d of %d", s.Name, s.Arm, len(p.Arms))
		}
	}
	return nil
}

// targets is where each side answers: the plan's own target, or those of its arms.
func (p *plan) targets() ([]engine.Target, error) {
	target, err := p.target()
	if err != nil || len(p.Arms) == 0 {
		return []engine.Target{target}, err
	}
	targets := make([]engine.Target, len(p.Arms))
	for i, a := range p.Arms {
		targets[i] = target
		targets[i].Host, targets[i].Port, targets[i].Database = a.Host, a.Port, a.Database
	}
	return targets, nil
}

// sides brings the arms and their engines together.
func (p *plan) sides(engines []engine.Engine) ([]side, error) {
	if len(p.Arms) == 0 {
		m, err := newMix(p.Queries)
		return []side{{engine: engines[0], mix: m}}, err
	}
	sides := make([]side, len(p.Arms))
	for i, a := range p.Arms {
		queries := append([]query(nil), p.Queries...)
		for j := range queries {
			queries[j].Bindings = a.Bindings[j]
		}
		m, err := newMix(queries)
		if err != nil {
			return nil, fmt.Errorf("failed to read arm %q: %w", a.Name, err)
		}
		sides[i] = side{name: a.Name, engine: engines[i], mix: m}
	}
	return sides, nil
}

// face turns the session to an arm. The connection to the other one is kept.
func (s *session) face(arm int) {
	if arm == s.arm {
		return
	}
	s.idle[s.arm] = s.conn
	s.arm, s.side = arm, &s.run.sides[arm]
	conn := s.idle[arm]
	s.idle[arm] = nil
	s.failures = 0
	s.conn = nil
	s.shared.Store(nil)
	if conn != nil {
		s.use(conn)
	}
}

// keep gives the session a connection to an arm, before the start. A session that has ended meanwhile wants none any more.
func (s *session) keep(arm int, conn engine.Conn) {
	s.giving.Lock()
	defer s.giving.Unlock()
	if s.over {
		conn.Close()
		return
	}
	if arm == s.arm {
		s.use(conn)
	} else {
		s.idle[arm] = conn
	}
}

// dropAll says goodbye to every arm.
func (s *session) dropAll() {
	s.giving.Lock()
	defer s.giving.Unlock()
	s.drop()
	for i, conn := range s.idle {
		if conn != nil {
			conn.Close()
			s.idle[i] = nil
		}
	}
}

// receivedByAll is how many bytes the connections to all sides have read.
func (r *run) receivedByAll() uint64 {
	var sum uint64
	for i := range r.sides {
		sum += r.sides[i].engine.Received()
	}
	return sum
}

// described is the version and the settings of every side: in one word where all have the same version, otherwise each with the
// name of its arm.
func (r *run) described(conns []engine.Conn) (version string, settings map[string]string, err error) {
	versions := make([]string, len(conns))
	same := true
	for i, conn := range conns {
		var its map[string]string
		if versions[i], its, err = r.sides[i].engine.Describe(r.connecting, conn); err != nil {
			return "", nil, r.named(i, err)
		}
		if i == 0 {
			settings = its
		}
		same = same && versions[i] == versions[0]
	}
	if same {
		return versions[0], settings, nil
	}
	for i := range versions {
		versions[i] += " (" + r.sides[i].name + ")"
	}
	return strings.Join(versions, ", "), settings, nil
}

// named says which arm an error is about, where there are several.
func (r *run) named(side int, err error) error {
	if r.sides[side].name == "" {
		return err
	}
	return fmt.Errorf("arm %s: %w", r.sides[side].name, err)
}

// serverStarted is when the server that answers now was started, on the run's clock; of several the one that was started last, since
// that one matters. It is nil where one of them does not tell.
func (r *run) serverStarted() *int64 {
	var last *int64
	for i := range r.sides {
		at := r.startedOf(r.sides[i].engine)
		if at == nil {
			return nil
		}
		if last == nil || *at > *last {
			last = at
		}
	}
	return last
}

func (r *run) startedOf(e engine.Engine) *int64 {
	ctx, cancel := context.WithTimeout(context.Background(), connectAttempt)
	defer cancel()
	conn, err := e.Connect(ctx)
	if err != nil {
		return nil
	}
	defer conn.Close()
	// Not every driver looks at the context while it waits for the server.
	defer context.AfterFunc(ctx, conn.Sever)()
	uptime, err := e.Uptime(ctx, conn)
	if err != nil {
		return nil
	}
	at := r.now() - int64(uptime)
	return &at
}
