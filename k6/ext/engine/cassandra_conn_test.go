package engine

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// slowWire is a kernel that takes each call when it is told to.
type slowWire struct {
	net.Conn
	calls  chan string
	taken  chan error
	closed chan struct{}
}

func newSlowWire() *slowWire {
	return &slowWire{calls: make(chan string), taken: make(chan error), closed: make(chan struct{}, 1)}
}

func (w *slowWire) Write(piece []byte) (int, error) {
	w.calls <- string(piece)
	return len(piece), <-w.taken
}

func (w *slowWire) Close() error {
	w.closed <- struct{}{}
	return nil
}

func writeAll(t *testing.T, conn *nodeConn, requests ...string) {
	t.Helper()
	for _, request := range requests {
		if count, err := conn.Write([]byte(request)); err != nil || count != len(request) {
			t.Fatalf("writing %q: %d, %v", request, count, err)
		}
	}
}

func TestARequestGoesOutByItself(t *testing.T) {
	wire := newSlowWire()
	conn := &nodeConn{Conn: wire}
	for _, request := range []string{"one", "two"} {
		writeAll(t, conn, request)
		if sent := <-wire.calls; sent != request {
			t.Errorf("%q was sent, not %q", sent, request)
		}
		wire.taken <- nil
	}
}

func TestRequestsMadeMeanwhileGoOutTogetherAndInOrder(t *testing.T) {
	wire := newSlowWire()
	conn := &nodeConn{Conn: wire}
	writeAll(t, conn, "first")
	first := <-wire.calls
	// The kernel has not answered, and nobody who writes waits for it: not even more of them than go out together.
	writeAll(t, conn, "a", "b", "c", "d", "e", "f")
	wire.taken <- nil
	if rest := <-wire.calls; first != "first" || rest != "abcdef" {
		t.Errorf("%q and then %q were sent", first, rest)
	}
	wire.taken <- nil
}

func TestEnoughRequestsWaitForNobody(t *testing.T) {
	wire := newSlowWire()
	conn := &nodeConn{Conn: wire, waiting: []byte("abc"), requests: requestsTogether - 1}
	done := make(chan struct{})
	go func() {
		defer close(done)
		writeAll(t, conn, "d")
	}()
	if sent := <-wire.calls; sent != "abcd" {
		t.Errorf("%q were sent", sent)
	}
	select {
	case <-done:
		t.Error("who completes the number sends it, and nobody else")
	default:
	}
	wire.taken <- nil
	<-done
}

func TestAFailureClosesTheConnectionAndIsToldToTheNext(t *testing.T) {
	wire := newSlowWire()
	conn := &nodeConn{Conn: wire}
	broken := errors.New("broken pipe")
	writeAll(t, conn, "lost")
	<-wire.calls
	wire.taken <- broken
	<-wire.closed
	if count, err := conn.Write([]byte("too late")); count != 0 || !errors.Is(err, broken) {
		t.Errorf("writing to a broken connection: %d, %v", count, err)
	}
}

func TestNoRequestOfManyWritersIsLostOrTorn(t *testing.T) {
	near, far := net.Pipe()
	conn := &nodeConn{Conn: near}
	const writers, each = 8, 500
	var all sync.WaitGroup
	for writer := range writers {
		all.Go(func() {
			request := strings.Repeat(string(rune('a'+writer)), 7) + "."
			for range each {
				if _, err := conn.Write([]byte(request)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	found := map[string]int{}
	received, buffer := "", make([]byte, 4096)
	for missing := writers * each * 8; missing > 0; {
		count, err := far.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		missing -= count
		received += string(buffer[:count])
	}
	all.Wait()
	for request := range strings.SplitSeq(strings.TrimSuffix(received, "."), ".") {
		found[request]++
	}
	if len(found) != writers {
		t.Errorf("%d different requests arrived, not %d", len(found), writers)
	}
	for request, count := range found {
		if count != each || request != strings.Repeat(request[:1], 7) {
			t.Errorf("%q arrived %d times", request, count)
		}
	}
}

func TestASessionThatIsNotOpenedInTimeIsGivenUp(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	e := &cassandraEngine{target: Target{QueryTimeout: time.Second}}
	dial := func(d *meteredDialer) (net.Conn, error) {
		return d.DialContext(context.Background(), "tcp", listener.Addr().String())
	}
	hanging, healthy := e.dialer(), e.dialer()
	begun, err := dial(hanging)
	if err != nil {
		t.Fatal(err)
	}
	limit := 0
	_ = begun.(*nodeConn).Conn.(*meteredConn).raw.Control(func(socket uintptr) {
		limit, err = unix.GetsockoptInt(int(socket), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
	})
	if err != nil || limit != 12_000 {
		t.Errorf("the kernel gives up after %d ms, %v", limit, err)
	}
	hanging.giveUp()
	if _, err := begun.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a connection of a session that is given up: %v", err)
	}
	if _, err := dial(hanging); !errors.Is(err, errHangs) {
		t.Errorf("another one: %v", err)
	}
	kept, err := dial(healthy)
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	if hanging.opened() || !healthy.opened() {
		t.Error("one was given up, the other was not")
	}
	healthy.giveUp() // too late
	if err := kept.SetDeadline(time.Time{}); err != nil {
		t.Errorf("a connection of a session that is open: %v", err)
	}
	later, err := dial(healthy)
	if err != nil {
		t.Fatal(err)
	}
	_ = later.Close()
}
