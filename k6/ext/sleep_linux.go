// The kernel's own sleep, for the last milliseconds before the start.

package ext

import (
	"syscall"
	"time"
)

func sleepThread(d time.Duration) {
	left := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&left, nil) // woken early by a signal: the caller waits out the rest
}
