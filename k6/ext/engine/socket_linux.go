// A connection as the kernel has it. Its bytes are counted, and its calls to the kernel are made without telling Go's runtime.
// They never block, so that the runtime has nothing to do about them; told of each, it would wake its monitor thread for every
// message of a connection on which there is little to say.

package engine

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// meteredConn has one reader and one writer at a time, as every driver does. Closing it is the one thing that may be done to a
// driver's connection from another goroutine.
type meteredConn struct {
	net.Conn
	meter   *meter
	raw     syscall.RawConn
	reading transfer
	writing transfer
}

func newMeteredConn(conn net.Conn, meter *meter) (*meteredConn, error) {
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return nil, errors.New("the connection is no socket")
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil, err
	}
	c := &meteredConn{Conn: conn, meter: meter, raw: raw}
	c.reading.step = func(socket uintptr) bool { return c.reading.try(unix.SYS_READ, socket) }
	c.writing.step = func(socket uintptr) bool {
		// All of it, or as much as the kernel has room for.
		for c.writing.try(unix.SYS_WRITE, socket) {
			if c.writing.errno != 0 || c.writing.moved == len(c.writing.piece) {
				return true
			}
		}
		return false
	}
	return c, nil
}

func (c *meteredConn) Read(to []byte) (int, error) {
	if len(to) == 0 {
		return 0, nil
	}
	count, err := c.reading.move(to, c.raw.Read)
	c.meter.received.Add(uint64(count))
	switch {
	case err != nil:
		return count, c.failed("read", err)
	case count == 0:
		return 0, io.EOF
	}
	return count, nil
}

func (c *meteredConn) Write(from []byte) (int, error) {
	count, err := c.writing.move(from, c.raw.Write)
	if err != nil {
		return count, c.failed("write", err)
	}
	return count, nil
}

// failed is the error that a connection of the standard library has.
func (c *meteredConn) failed(call string, err error) error {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return err // it is one: the connection was closed, or its time was up
	}
	return &net.OpError{Op: call, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: os.NewSyscallError(call, errno)}
}

// transfer is what one direction of a connection has to move.
type transfer struct {
	piece []byte
	moved int
	errno syscall.Errno
	// step is made once, because a call to the kernel should not cost memory.
	step func(socket uintptr) bool
}

// move has step done whenever the socket is ready, until it says that no more is to come.
func (t *transfer) move(piece []byte, whenReady func(func(socket uintptr) bool) error) (int, error) {
	t.piece, t.moved, t.errno = piece, 0, 0
	err := whenReady(t.step)
	t.piece = nil
	if err == nil && t.errno != 0 {
		err = t.errno
	}
	return t.moved, err
}

// try calls the kernel once; false where the socket is not ready.
func (t *transfer) try(call, socket uintptr) bool {
	for {
		rest := t.piece[t.moved:]
		count, _, errno := syscall.RawSyscall(call, socket, uintptr(unsafe.Pointer(unsafe.SliceData(rest))), uintptr(len(rest)))
		switch errno {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return false
		case 0:
			t.moved += int(count)
		default:
			t.errno = errno
		}
		return true
	}
}

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
