// Register: what k6 sees of us. The JavaScript module k6/x/crucible with two functions, and the output "crucible",
// through which k6 tells us that it ends and through which we can tell k6 to.

package ext

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/grafana/sobek"
	"go.k6.io/k6/v2/errext"
	"go.k6.io/k6/v2/errext/exitcodes"
	"go.k6.io/k6/v2/js/common"
	"go.k6.io/k6/v2/js/modules"
	"go.k6.io/k6/v2/metrics"
	"go.k6.io/k6/v2/output"

	"crucible.dev/k6/ext/engine"
)

// engineFile is where the worker says what to run.
const engineFile = "CRUCIBLE_ENGINE"

// exitRefused is k6's own code for a configuration that cannot run; the typed reason is in the preflight line.
const exitRefused = int(exitcodes.InvalidConfig)

// idleTail is how long k6 allows on top of the plan: the wait at the barrier and the drain are inside its duration.
const idleTail = 24 * time.Hour

var errEnded = errors.New("the plan has been carried out")

// current is the process's one run, or why there is none. Both are written before k6 starts.
var (
	current *run
	refused = fmt.Errorf("%s is not set", engineFile)
)

func init() {
	modules.Register("k6/x/crucible", &module{})
	output.RegisterExtension("crucible", func(output.Params) (output.Output, error) { return &lifecycle{}, nil })
}

// Begin reads the plan and starts connecting at once, while k6 is still finding its feet. Without a plan it does
// nothing, so that `k6 version` works.
func Begin() {
	path, given := os.LookupEnv(engineFile)
	if !given {
		return
	}
	current, refused = load(path)
	if refused == nil {
		go current.serve()
	}
}

func load(path string) (*run, error) {
	p, err := readPlan(path)
	if err != nil {
		return nil, err
	}
	wire, err := dial(p.Socket)
	if err != nil {
		return nil, err
	}
	targets, err := p.targets()
	if err != nil {
		return nil, tellRefusal(wire, engine.AuthenticationFailed, err)
	}
	engines := make([]engine.Engine, len(targets))
	for i, target := range targets {
		if engines[i], err = engine.Open(p.Target.Engine, target, p.statements()); err != nil {
			return nil, tellRefusal(wire, engine.QueryInvalid, err)
		}
	}
	r, err := newRun(p, engines, targets[0].Password)
	if err != nil {
		return nil, tellRefusal(wire, engine.QueryInvalid, err)
	}
	if err := r.wind(); err != nil {
		return nil, tellRefusal(wire, engine.Overloaded, err)
	}
	r.wire = wire
	return r, nil
}

func tellRefusal(w *wire, reason engine.Reason, err error) error {
	_ = w.send(preflightMessage{Type: "preflight", Reason: string(reason), Message: shorten(err.Error())})
	return err
}

type module struct{}

// NewModuleInstance is called once per VU that imports the module.
func (*module) NewModuleInstance(vu modules.VU) modules.Instance { return &instance{vu: vu} }

type instance struct{ vu modules.VU }

// Exports are options() and session(), both for the init context.
func (i *instance) Exports() modules.Exports {
	return modules.Exports{Default: map[string]any{"options": i.options, "session": i.session}}
}

// options is the script's k6 options. Native runs give each VU one iteration, which lasts as long as the plan, so
// that k6 ends when its VUs do. Raw samples want one query per iteration, any number of them.
func (i *instance) options() (map[string]any, error) {
	if refused != nil {
		return nil, refused
	}
	limit := (time.Duration(current.line.end+current.plan.DrainNanos) + idleTail).String()
	scenario := map[string]any{"executor": "per-vu-iterations", "vus": current.vus(), "iterations": 1, "maxDuration": limit, "gracefulStop": "0s"}
	if current.plan.RawSamples {
		scenario = map[string]any{"executor": "constant-vus", "vus": current.vus(), "duration": limit, "gracefulStop": "0s"}
	}
	return map[string]any{"scenarios": map[string]any{"crucible": scenario}, "noSetup": true, "noTeardown": true}, nil
}

// session is what the script calls run() on.
func (i *instance) session() (*sobek.Object, error) {
	if refused != nil {
		return nil, refused
	}
	if i.vu.InitEnv() == nil {
		return nil, fmt.Errorf("session() belongs to the init context")
	}
	var raw *rawMetrics
	if current.plan.RawSamples {
		var err error
		if raw, err = newRawMetrics(i.vu, current.plan.Queries); err != nil {
			return nil, err
		}
	}
	current.instance()
	runtime := i.vu.Runtime()
	object := runtime.NewObject()
	var mine *session
	err := object.Set("run", func() bool {
		if mine == nil {
			number := i.vu.State().VUID - 1
			if number >= uint64(len(current.sessions)) {
				common.Throw(runtime, fmt.Errorf("VU %d is not in the plan", number+1))
			}
			mine = current.sessions[number]
		}
		return mine.iterate(i.vu, raw)
	})
	return object, err
}

// iterate is one JavaScript call. With raw samples it always returns false after one query, because then one query
// is one iteration; a VU whose part is over waits for k6 to end instead of spinning.
func (s *session) iterate(vu modules.VU, raw *rawMetrics) bool {
	ctx := vu.Context()
	// k6 cancels this context at the end of every iteration, and in the middle of one only when the run is aborted.
	unwatch := context.AfterFunc(ctx, func() { s.run.halt(whyContext) })
	defer unwatch()
	if !s.enter() {
		<-ctx.Done()
		return false
	}
	if raw == nil {
		return s.slice(nil)
	}
	if !s.slice(func(done finished) { raw.push(vu, done) }) {
		<-ctx.Done()
	}
	return false
}

// lifecycle is the output. It wants no samples: the histograms have everything already.
type lifecycle struct{}

func (*lifecycle) Description() string { return "crucible" }

func (*lifecycle) Start() error { return nil }

func (*lifecycle) AddMetricSamples([]metrics.SampleContainer) {}

// SetTestRunStopCallback is how k6 hands us the way to end it.
func (*lifecycle) SetTestRunStopCallback(stop func(error)) {
	if current != nil {
		current.quit.Store(&stop)
	}
}

// Stop is called when all executors have ended. It returns when the worker has been told everything.
func (*lifecycle) Stop() error {
	if current == nil {
		return nil
	}
	current.halt(whyContext)
	select {
	case <-current.finished:
		return nil
	case <-time.After(writeTimeout + time.Duration(current.plan.DrainNanos)):
		return fmt.Errorf("failed to tell the worker that the run has ended")
	}
}

// leave ends k6 from inside, with an exit code of our choice.
func (r *run) leave(err error, code int) {
	stop := r.quit.Load()
	if stop == nil { // k6 has not come as far as its outputs
		fmt.Fprintln(os.Stderr, err)
		os.Exit(code)
	}
	(*stop)(errext.WithExitCodeIfNone(err, exitcodes.ExitCode(code)))
}
