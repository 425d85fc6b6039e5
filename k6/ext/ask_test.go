package ext

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"crucible.dev/k6/ext/engine"
)

// askedEngine answers each question as the test says.
type askedEngine struct {
	stallEngine
	values map[string]string
}

func (e *askedEngine) Ask(ctx context.Context, conn engine.Conn, sql string) (string, error) {
	switch sql {
	case "hang":
		<-conn.(*stallConn).cut
		return "", errSevered
	case "secret":
		return "", errors.New("denied to s3cret")
	}
	if value, known := e.values[sql]; known {
		return value, nil
	}
	return "", errors.New("no such table")
}

func ask(e engine.Engine, questions ...question) []answer {
	a := &asker{engine: e, timeout: 50 * time.Millisecond, complaints: newComplaints("s3cret")}
	defer a.leave()
	return a.all(questions)
}

func TestEveryQuestionHasItsOwnAnswer(t *testing.T) {
	seven, long := "7", strings.Repeat("x", 2000)
	e := &askedEngine{values: map[string]string{"seven": seven, "long": long}}
	kept := long[:1100]
	got := ask(e, question{"a", "seven"}, question{"b", "missing"}, question{"c", "hang"}, question{"d", "secret"}, question{"e", "long"})
	want := []answer{
		{Name: "a", Value: &seven}, {Name: "b", Error: "no such table"}, {Name: "c", Error: "no answer within 50ms"},
		{Name: "d", Error: "denied to ***"}, {Name: "e", Value: &kept},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	if opened := e.opened.Load(); opened != 4 {
		t.Errorf("%d connections; each failure is followed by a new one", opened)
	}
}

func TestASystemThatComesBackIsWaitedFor(t *testing.T) {
	seven := "7"
	e := &askedEngine{values: map[string]string{"seven": seven}}
	e.refuse = func(connection int64) error {
		if connection < 3 {
			return errRefused
		}
		return nil
	}
	if got := ask(e, question{"a", "seven"}); !reflect.DeepEqual(got, []answer{{Name: "a", Value: &seven}}) {
		t.Errorf("got %+v", got)
	}
	full := &askedEngine{}
	full.refuse = func(int64) error { return errFull }
	if got := ask(full, question{"a", "seven"}); got[0].Error != "too many connections" || full.opened.Load() != 1 {
		t.Errorf("what is refused for another reason is not tried again: %+v", got)
	}
}

func TestAskingWithoutAnEngineFileAnswersEveryQuestionWithTheReason(t *testing.T) {
	var out strings.Builder
	code := Ask(filepath.Join(t.TempDir(), "engine.json"), strings.NewReader(`[{"name":"a","sql":"x"},{"name":"b","sql":"y"}]`), &out)
	var got []answer
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil || code != 0 || len(got) != 2 {
		t.Fatalf("code %d, %q: %v", code, out.String(), err)
	}
	if got[1].Name != "b" || got[1].Value != nil || !strings.Contains(got[1].Error, "engine file") {
		t.Errorf("got %+v", got[1])
	}
	if code := Ask("", strings.NewReader("x"), &out); code != 1 {
		t.Errorf("what cannot be read has no answers, code %d", code)
	}
}
