// Ask: a few questions to the system under test when the load is over, each with one value as its answer. It is a call
// of this program of its own, because k6 has ended by then.

package ext

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"crucible.dev/k6/ext/engine"
)

// AskCommand is the one argument before the engine file that makes this program ask instead of running k6.
const AskCommand = "crucible-ask"

const (
	askPatience = 20 * time.Second // for a system that is still coming back
	askPause    = 500 * time.Millisecond

	maxValueLength = 1100 // more than any answer that a plan can expect
)

type question struct {
	Name string `json:"name"`
	SQL  string `json:"sql"`
}

type answer struct {
	Name  string  `json:"name"`
	Value *string `json:"value,omitempty"`
	Error string  `json:"error,omitempty"`
}

// Ask reads questions from in, asks them of the engine file's target over one connection, and writes one answer for
// each, in their order. The exit code tells only whether there are answers.
func Ask(path string, in io.Reader, out io.Writer) int {
	var questions []question
	if err := json.NewDecoder(in).Decode(&questions); err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "failed to read the questions: %v\n", err)
		return 1
	}
	if err := json.NewEncoder(out).Encode(answers(path, questions)); err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "failed to write the answers: %v\n", err)
		return 1
	}
	return 0
}

func answers(path string, questions []question) []answer {
	p, err := readPlan(path)
	if err != nil {
		return unanswered(questions, err.Error())
	}
	target, err := p.target()
	if err != nil {
		return unanswered(questions, err.Error())
	}
	e, err := engine.Open(p.Target.Engine, target, nil)
	if err != nil {
		return unanswered(questions, err.Error())
	}
	asker := &asker{engine: e, timeout: target.QueryTimeout, complaints: newComplaints(target.Password)}
	defer asker.leave()
	return asker.all(questions)
}

func unanswered(questions []question, why string) []answer {
	all := make([]answer, len(questions))
	for i, q := range questions {
		all[i] = answer{Name: q.Name, Error: shorten(why)}
	}
	return all
}

// asker holds the one connection, or none where the last question has broken it.
type asker struct {
	engine     engine.Engine
	timeout    time.Duration
	complaints *complaints
	conn       engine.Conn
}

func (a *asker) all(questions []question) []answer {
	all := make([]answer, len(questions))
	deadline := time.Now().Add(askPatience)
	for i, q := range questions {
		all[i] = answer{Name: q.Name}
		value, err := a.one(q.SQL, deadline)
		if err != nil {
			all[i].Error = shorten(a.complaints.withoutPassword(err.Error()))
			continue
		}
		value = cut(value, maxValueLength)
		all[i].Value = &value
	}
	return all
}

func (a *asker) one(sql string, deadline time.Time) (string, error) {
	if err := a.connect(deadline); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), a.timeout)
	defer cancel()
	// Not every driver looks at the context while it waits for the server.
	severed := context.AfterFunc(ctx, a.conn.Sever)
	value, err := a.engine.Ask(ctx, a.conn, sql)
	if late := !severed(); err != nil && late {
		err = fmt.Errorf("no answer within %s", a.timeout)
	}
	if err != nil {
		a.leave() // an answer that was read in part would be taken for the next one's
	}
	return value, err
}

// connect waits for a system that cannot be reached, and for no other reason.
func (a *asker) connect(deadline time.Time) error {
	for a.conn == nil {
		ctx, cancel := context.WithTimeout(context.Background(), connectAttempt)
		conn, err := a.engine.Connect(ctx)
		cancel()
		switch {
		case err == nil:
			a.conn = conn
		case a.engine.Refusal(err) != engine.Unreachable || time.Now().Add(askPause).After(deadline):
			return err
		default:
			time.Sleep(askPause)
		}
	}
	return nil
}

func (a *asker) leave() {
	if a.conn != nil {
		a.conn.Close()
		a.conn = nil
	}
}
