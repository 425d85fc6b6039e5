// Turns: how long a thread that has a processor keeps it while others wait. Where many workers share one, the last of
// them waits at the start for as many turns as there are workers before it; with short turns that wait is short.

package ext

import (
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// shortTurn is the shortest that the kernel grants (Linux 6.12 and later; an older one keeps its own length).
	shortTurn = 100 * time.Microsecond
	// ownTurn asks for the kernel's own length.
	ownTurn = time.Duration(0)
)

// takeTurns asks for turns of this length for every thread of this process; threads to come take after those that
// make them. It is a wish that a kernel or a sandbox may refuse: then the start is as exact as it is without.
func takeTurns(length time.Duration) {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return
	}
	for _, task := range tasks {
		id, err := strconv.Atoi(task.Name())
		if err != nil {
			continue
		}
		attributes, err := unix.SchedGetAttr(id, 0)
		if err != nil || attributes.Policy != unix.SCHED_NORMAL {
			continue // gone meanwhile, or somebody chose another policy for it
		}
		attributes.Runtime = uint64(length)
		_ = unix.SchedSetAttr(id, attributes, 0)
	}
}
