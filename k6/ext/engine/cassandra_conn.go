// A connection to a node, which many VUs share: requests that are made at the same time go out with one call to the kernel.

package engine

import (
	"net"
	"runtime"
	"sync"
)

// requestsTogether is how many requests wait for each other at most. Where that many are ready they go at once, so that a
// request of a busy worker waits for three turns of other VUs, and one of an idle worker for nobody.
const requestsTogether = 4

// nodeConn sends what is written to it a moment later. Whoever writes hears of a failure with the next request; the
// connection is closed then, so that those who wait for answers hear of it too.
type nodeConn struct {
	net.Conn

	mutex    sync.Mutex
	waiting  []byte // requests that nobody has begun to send
	requests int    // how many they are
	sent     []byte // what was sent last, to be written over
	sending  bool
	failed   error
}

func (c *nodeConn) Write(request []byte) (int, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.failed != nil {
		return 0, c.failed
	}
	c.waiting = append(c.waiting, request...)
	c.requests++
	switch {
	case c.sending: // whoever does takes this one along
	case c.requests == 1:
		go c.sendSoon()
	case c.requests == requestsTogether:
		c.send()
	}
	return len(request), nil
}

// sendSoon lets those VUs have their turn first that could have it now.
func (c *nodeConn) sendSoon() {
	runtime.Gosched()
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if !c.sending {
		c.send()
	}
}

// send goes on until nothing waits. The mutex is held before and after, not while the kernel is called.
func (c *nodeConn) send() {
	c.sending = true
	for len(c.waiting) > 0 && c.failed == nil {
		requests := c.waiting
		c.waiting, c.requests = c.sent[:0], 0
		c.mutex.Unlock()
		_, err := c.Conn.Write(requests)
		c.mutex.Lock()
		c.sent = requests
		if err != nil {
			c.failed = err
			_ = c.Close()
		}
	}
	c.sending = false
}
