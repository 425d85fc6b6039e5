package engine

import (
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// givesUpAfter has the kernel end a connection whose peer has not acknowledged what was sent for so long (tcp(7),
// TCP_USER_TIMEOUT): a network that swallows everything is noticed without a timer for each request.
func givesUpAfter(limit time.Duration) func(network, address string, raw syscall.RawConn) error {
	return func(_, _ string, raw syscall.RawConn) error {
		var err error
		if failed := raw.Control(func(socket uintptr) {
			err = unix.SetsockoptInt(int(socket), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(limit.Milliseconds()))
		}); failed != nil {
			err = failed
		}
		if err != nil {
			return fmt.Errorf("failed to limit the wait for the peer: %w", err)
		}
		return nil
	}
}
