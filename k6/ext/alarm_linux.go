// Alarm: a timer of the kernel that is waited for as a connection is. The runtime's own timers may be a millisecond
// late in a process that is mostly idle, and sleeping in the kernel would cost a thread for each session.

package ext

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

type alarm struct {
	fd   int
	file *os.File
}

func newAlarm() (*alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("failed to get a timer of the kernel: %w", err)
	}
	return &alarm{fd: fd, file: os.NewFile(uintptr(fd), "alarm")}, nil
}

// rest sleeps; false when it was woken before the time.
func (a *alarm) rest(d time.Duration) bool {
	once := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(max(d, 1)))}
	if err := unix.TimerfdSettime(a.fd, 0, &once, nil); err != nil {
		return false
	}
	var expirations [8]byte
	_, err := a.file.Read(expirations[:])
	return err == nil
}

// wake ends a rest before its time, and every later one.
func (a *alarm) wake() { _ = a.file.SetReadDeadline(time.Unix(1, 0)) }

func (a *alarm) close() { _ = a.file.Close() }
