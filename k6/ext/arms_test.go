package ext

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"crucible.dev/k6/ext/engine"
)

// armsPlan has four stages in the order A B B A. The query binds 1 in arm a and 2 in arm b.
func armsPlan(edit func(*plan)) *plan {
	return stagePlan(func(p *plan) {
		bound := func(value string) []binding {
			return []binding{{Name: "id", Kind: "choice", Values: []json.RawMessage{json.RawMessage(value)}}}
		}
		p.Queries[0].Bindings = bound("1")
		p.Arms = []arm{{Name: "a", Bindings: [][]binding{bound("1")}}, {Name: "b", Bindings: [][]binding{bound("2")}}}
		p.Stages = nil
		for i, of := range []int{0, 1, 1, 0} {
			p.Stages = append(p.Stages, stage{Name: fmt.Sprintf("s#%d", i+1), DurationNanos: int64(150 * time.Millisecond), VUs: 3, Arm: of})
		}
		if edit != nil {
			edit(p)
		}
	})
}

// tally is an engine that keeps what was bound, by value.
type tally struct {
	mutex sync.Mutex
	bound map[any]int64
}

func (c *tally) see(args []driver.Value) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.bound == nil {
		c.bound = map[any]int64{}
	}
	c.bound[args[0]]++
}

func TestEveryVUAsksTheArmOfItsStage(t *testing.T) {
	table := map[string]struct {
		reason string
		edit   func(*plan)
	}{
		"closed": {reason: "a VU looks at the timeline at the end of each stage"},
		"open": {reason: "an arrival belongs to the stage in which it was due", edit: func(p *plan) {
			p.Open = &openModel{Arrivals: arrivalsRegular, MaxVUs: 3, Seed: 7}
			for i := range p.Stages {
				p.Stages[i].VUs, p.Stages[i].RateMillis = 0, 200_000
			}
		}},
	}
	for name, c := range table {
		t.Run(name, func(t *testing.T) {
			var tallies [2]tally
			engines := make([]engine.Engine, 2)
			stalls := make([]*stallEngine, 2)
			for i := range engines {
				stalls[i] = &stallEngine{answer: quick, parameters: 1, seen: tallies[i].see}
				engines[i] = stalls[i]
			}
			th := raiseAll(t, engines, armsPlan(c.edit), func(*run) {})
			th.until("ready")
			for i, e := range stalls {
				if opened := e.opened.Load(); opened != 3 {
					t.Errorf("%d connections to arm %d before the start, where each of 3 VUs has one", opened, i)
				}
			}
			th.say(`{"type":"start","inNanos":20000000}`)
			last := th.until("finished")
			counts := th.counts()
			ofA, ofB := counts["s#1 ok"]+counts["s#4 ok"], counts["s#2 ok"]+counts["s#3 ok"]
			if ofA == 0 || ofB == 0 || ofA+ofB != last.Queries || last.Errors != 0 {
				t.Fatalf("%s: told %v, the last word is %+v", c.reason, counts, last)
			}
			// Values are whole numbers, each arm's own.
			if got := tallies[0].bound; len(got) != 1 || got[int64(1)] != ofA {
				t.Errorf("%s: arm a was asked %v, its stages tell %d", c.reason, got, ofA)
			}
			if got := tallies[1].bound; len(got) != 1 || got[int64(2)] != ofB {
				t.Errorf("%s: arm b was asked %v, its stages tell %d", c.reason, got, ofB)
			}
			for _, line := range th.heard {
				if line.Reconnects != 0 {
					t.Errorf("a switch costs no connection: %+v", line)
				}
			}
		})
	}
}

func TestAnArmThatIsAwayCostsTheOtherNothing(t *testing.T) {
	var gone atomic.Bool
	b := &stallEngine{parameters: 1, answer: func(int) (time.Duration, int64, error) {
		gone.Store(true)
		return time.Millisecond, 0, errSevered
	}, refuse: func(int64) error {
		if gone.Load() {
			return errRefused
		}
		return nil
	}}
	a := &stallEngine{answer: quick, parameters: 1}
	th := raiseAll(t, []engine.Engine{a, b}, armsPlan(nil), func(*run) {})
	th.start()
	th.until("finished")
	counts := th.counts()
	if counts["s#1 ok"] == 0 || counts["s#4 ok"] == 0 || counts["s#1 connection"]+counts["s#4 connection"] != 0 {
		t.Errorf("arm a answers as before: %v", counts)
	}
	if counts["s#2 ok"]+counts["s#3 ok"] != 0 || counts["s#2 connection"] == 0 || counts["s#3 connection"] == 0 {
		t.Errorf("arm b fails in both of its stages: %v", counts)
	}
	if opened := a.opened.Load(); opened != 3+1 { // one more is asked for its uptime
		t.Errorf("arm a was connected to %d times", opened)
	}
}

func TestVersionsAreToldByArmWhereTheyDiffer(t *testing.T) {
	th := raiseAll(t, []engine.Engine{&stallEngine{answer: quick, parameters: 1}, &stallEngine{answer: quick, parameters: 1, version: ".5"}}, armsPlan(nil), func(*run) {})
	if version := th.until("preflight").ServerVersion; version != "stall 1 (a), stall 1.5 (b)" {
		t.Errorf("the version is told as %q", version)
	}
	th.until("ready")
	th = raiseAll(t, []engine.Engine{&stallEngine{answer: quick, parameters: 1}, &stallEngine{answer: quick, parameters: 1}}, armsPlan(nil), func(*run) {})
	if version := th.until("preflight").ServerVersion; version != "stall 1" {
		t.Errorf("the version is told as %q", version)
	}
	th.until("ready")
}

func TestARefusalNamesItsArm(t *testing.T) {
	b := &stallEngine{answer: quick, parameters: 1, refuse: func(int64) error { return errFull }}
	th := raiseAll(t, []engine.Engine{&stallEngine{answer: quick, parameters: 1}, b}, armsPlan(nil), func(*run) {})
	refusal := th.until("preflight")
	if refusal.OK || refusal.Reason != string(engine.Overloaded) || refusal.Message != "arm b: too many connections" {
		t.Errorf("refused by %+v", refusal)
	}
}

func TestArmsThatMakeNoSenseAreRefused(t *testing.T) {
	table := map[string]struct {
		edit func(*plan)
		want string
	}{
		"one":      {edit: func(p *plan) { p.Arms = p.Arms[:1] }, want: "1 arms, where none or 2 are possible"},
		"queries":  {edit: func(p *plan) { p.Arms[1].Bindings = nil }, want: `arm "b" binds parameters of 0 queries, where there are 1`},
		"bindings": {edit: func(p *plan) { p.Arms[1].Bindings[0] = nil }, want: `arm "b" binds 0 parameters of query "Q", where it has 1`},
		"stage":    {edit: func(p *plan) { p.Stages[2].Arm = 2 }, want: `stage "s#3" asks arm 2 of 2`},
		"no arms":  {edit: func(p *plan) { p.Arms = nil }, want: `stage "s#2" asks arm 1 of 0`},
	}
	for name, c := range table {
		t.Run(name, func(t *testing.T) {
			if err := armsPlan(c.edit).validate(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("validate() = %v, want %q", err, c.want)
			}
		})
	}
}

func TestEveryArmHasATargetOfItsOwn(t *testing.T) {
	p := armsPlan(func(p *plan) {
		p.Target.Host, p.Target.Port, p.Target.Database, p.Target.TLS = "one", 3306, "shop", "verify"
		p.Arms[0].Host, p.Arms[0].Port, p.Arms[0].Database = "one", 3306, "shop"
		p.Arms[1].Host, p.Arms[1].Port, p.Arms[1].Database = "other", 3307, "shop2"
	})
	targets, err := p.targets()
	if err != nil || len(targets) != 2 {
		t.Fatalf("targets() = %v, %v", targets, err)
	}
	if b := targets[1]; b.Host != "other" || b.Port != 3307 || b.Database != "shop2" || b.TLS != "verify" || targets[0].Host != "one" {
		t.Errorf("targets() = %+v", targets)
	}
}
