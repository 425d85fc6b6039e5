package ext

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func turn(t *testing.T) time.Duration {
	t.Helper()
	attributes, err := unix.SchedGetAttr(os.Getpid(), 0)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(attributes.Runtime)
}

func TestTurnsAreShortAndThenTheKernelsOwnAgain(t *testing.T) {
	before := turn(t)
	takeTurns(shortTurn)
	short := turn(t)
	takeTurns(ownTurn)
	if after := turn(t); after != before {
		t.Errorf("turns were %s before and are %s after", before, after)
	}
	// A kernel before 6.12 says 0 and keeps its own length.
	if before != 0 && short != shortTurn {
		t.Errorf("turns of %s were asked for, and they are %s", shortTurn, short)
	}
}
