package ext

import (
	"fmt"
	"strings"
	"testing"

	"crucible.dev/k6/ext/engine"
)

func TestComplaintsAreCountedPerSecondAndHandedOutOnce(t *testing.T) {
	c := newComplaints("")
	for range 3 {
		c.add(1, "Q", engine.Failure{Class: engine.Timeout, Code: "1969", Message: "first"})
	}
	c.add(1, "Q", engine.Failure{Class: engine.Timeout, Code: "1969", Message: "second"})
	c.add(2, "Q", engine.Failure{Class: engine.Timeout, Code: "1969", Message: "third"})
	got := c.upTo(1)
	if len(got) != 1 || got[0].Count != 4 || got[0].Message != "first" || got[0].Second != 1 {
		t.Errorf("second 1 has %+v", got)
	}
	if got := c.upTo(2); len(got) != 1 || got[0].Count != 1 || got[0].Message != "first" {
		t.Errorf("second 2 has %+v", got)
	}
	if got := c.upTo(9); got != nil {
		t.Errorf("nothing is left, yet there is %+v", got)
	}
}

func TestComplaintsAreBounded(t *testing.T) {
	c := newComplaints("")
	for i := range 1000 {
		c.add(0, "Q", engine.Failure{Class: engine.Other, Code: fmt.Sprint(i), Message: strings.Repeat("ü", 400)})
	}
	got := c.upTo(0)
	if len(got) != maxComplaints {
		t.Errorf("%d distinct samples, want %d", len(got), maxComplaints)
	}
	for _, s := range got {
		if len(s.Message) > maxMessageLength || !strings.HasPrefix(s.Message, "ü") || strings.ContainsRune(s.Message, '\uFFFD') {
			t.Fatalf("message of %d bytes: %q", len(s.Message), s.Message)
		}
	}
}

func TestComplaintsNeverHoldThePassword(t *testing.T) {
	c := newComplaints("hunter2")
	c.add(0, "Q", engine.Failure{Class: engine.Other, Message: "login as shop:hunter2@db failed"})
	if got := c.upTo(0)[0].Message; got != "login as shop:***@db failed" {
		t.Errorf("the message is %q", got)
	}
}
