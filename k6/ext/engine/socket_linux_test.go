package engine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// wired answers a connection of ours and its other end.
func wired(t *testing.T) (*meteredConn, *net.TCPConn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	near, err := new(meter).dial(context.Background(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = near.Close()
		_ = far.Close()
	})
	return near.(*meteredConn), far.(*net.TCPConn)
}

func TestWhatIsLongerThanTheKernelHasRoomForArrivesWhole(t *testing.T) {
	near, far := wired(t)
	sent := make([]byte, 16<<20)
	for i := range sent {
		sent[i] = byte(i * i >> 7)
	}
	echoed := make(chan error, 1)
	go func() {
		time.Sleep(20 * time.Millisecond) // until the kernel takes no more
		_, err := io.Copy(far, far)
		echoed <- errors.Join(err, far.CloseWrite())
	}()
	wrote := make(chan error, 1)
	go func() {
		count, err := near.Write(sent)
		if err == nil && count != len(sent) {
			err = io.ErrShortWrite
		}
		wrote <- errors.Join(err, near.Conn.(*net.TCPConn).CloseWrite())
	}()
	received, err := io.ReadAll(near)
	if err := errors.Join(err, <-wrote, <-echoed); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(received, sent) {
		t.Errorf("%d bytes came back of %d, or others", len(received), len(sent))
	}
	if counted := near.meter.Received(); counted != uint64(len(sent)) {
		t.Errorf("%d bytes are counted, %d came", counted, len(sent))
	}
}

func TestASocketFailsAsThoseOfTheStandardLibraryDo(t *testing.T) {
	piece := make([]byte, 1)
	t.Run("at its deadline", func(t *testing.T) {
		near, _ := wired(t)
		if err := near.SetDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if _, err := near.Read(piece); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("closed while it waits", func(t *testing.T) {
		near, _ := wired(t)
		time.AfterFunc(10*time.Millisecond, func() { _ = near.Close() })
		if _, err := near.Read(piece); !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v", err)
		}
		if _, err := near.Write(piece); !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("reset by its peer", func(t *testing.T) {
		near, far := wired(t)
		if err := errors.Join(far.SetLinger(0), far.Close()); err != nil {
			t.Fatal(err)
		}
		_, err := near.Read(piece)
		failure, known := networkFailure(err)
		if !errors.Is(err, syscall.ECONNRESET) || !known || failure.Class != Connection || failure.Code != "lost" {
			t.Errorf("got %v, which is %+v", err, failure)
		}
		if _, err := near.Write(piece); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("at its end", func(t *testing.T) {
		near, far := wired(t)
		if err := far.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if count, err := near.Read(nil); count != 0 || err != nil {
			t.Errorf("reading nothing: %d, %v", count, err)
		}
		if _, err := near.Read(piece); err != io.EOF {
			t.Errorf("got %v", err)
		}
	})
}

func TestACallToTheKernelCostsNoMemory(t *testing.T) {
	near, far := wired(t)
	piece := []byte("x")
	if allocated := testing.AllocsPerRun(100, func() {
		_, wrote := near.Write(piece)
		_, echoed := far.Read(piece)
		_, back := far.Write(piece)
		_, read := near.Read(piece)
		if err := errors.Join(wrote, echoed, back, read); err != nil {
			t.Error(err)
		}
	}); allocated > 0 {
		t.Errorf("%v allocations", allocated)
	}
}
