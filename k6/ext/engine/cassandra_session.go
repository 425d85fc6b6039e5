// The session that a worker's VUs share: opened by the first who wants it, ended with the last share, so that an outage
// ends it and the next attempt begins anew.

package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/apache/cassandra-gocql-driver/v2"
)

// cassandraConns is how many connections each node gets from each worker: one, which is what the drivers for Java, C# and Node.js
// have by themselves. The answers of several VUs then come with one call to the kernel, and wake this process once.
const cassandraConns = 1

var errKeyspace = errors.New("the keyspace does not exist, or the user has no right to it")

// opening is an attempt to open the session, for all who want it at the same time.
type opening struct {
	done chan struct{}
	err  error
}

// share answers the session, opened where there is none. All who ask while it is being opened get the same answer.
func (e *cassandraEngine) share(ctx context.Context) (*gocql.Session, error) {
	for {
		e.mutex.Lock()
		if e.session != nil {
			e.shares++
			session := e.session
			e.mutex.Unlock()
			return session, nil
		}
		attempt := e.opening
		if attempt == nil {
			attempt = &opening{done: make(chan struct{})}
			e.opening = attempt
			go e.open(attempt)
		}
		e.mutex.Unlock()
		select {
		case <-attempt.done:
			if attempt.err != nil {
				return nil, attempt.err
			}
		case <-ctx.Done():
			return nil, fmt.Errorf("failed to connect to %s: %w", address(e.target), ctx.Err())
		}
	}
}

func (e *cassandraEngine) open(attempt *opening) {
	session, err := e.create()
	if err != nil {
		attempt.err = fmt.Errorf("failed to connect to %s: %w", address(e.target), err)
	}
	e.mutex.Lock()
	e.session, e.shares, e.opening = session, 0, nil
	e.mutex.Unlock()
	close(attempt.done)
}

// giveBack ends the session with its last share.
func (e *cassandraEngine) giveBack(session *gocql.Session) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if e.shares--; e.shares == 0 && e.session == session {
		e.session = nil
		go session.Close()
	}
}

func (e *cassandraEngine) create() (*gocql.Session, error) {
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	// Looked up here: the driver says of a failure only that it was one.
	hosts, err := net.DefaultResolver.LookupHost(ctx, e.target.Host)
	if err != nil {
		return nil, err
	}
	last := &lastError{}
	dialer := e.dialer()
	cluster := e.configure(hosts, last)
	cluster.Dialer = dialer
	// What the driver asks of its own once it is let in has no time-out: a node that hangs then would be waited for without end.
	impatience := time.AfterFunc(e.patience(), dialer.giveUp)
	session, err := cluster.CreateSession()
	impatience.Stop()
	if inTime := dialer.opened(); err == nil && !inTime {
		session.Close()
		return nil, errHangs
	}
	if err == nil {
		return session, nil
	}
	if cause := last.get(); cause != nil {
		return nil, cause // the driver's own error is this one's text
	}
	if errors.Is(err, gocql.ErrNoConnectionsStarted) {
		return nil, errKeyspace // let in, and stopped at the only statement that a new connection sends
	}
	return nil, err
}

// configure is done for each session: the driver's policies cannot be shared by two.
func (e *cassandraEngine) configure(hosts []string, last *lastError) *gocql.ClusterConfig {
	cluster := gocql.NewCluster(hosts...)
	cluster.Port, cluster.Keyspace = int(e.target.Port), e.target.Database
	if e.target.Username != "" {
		cluster.Authenticator = gocql.PasswordAuthenticator{Username: e.target.Username, Password: e.target.Password}
	}
	if e.secured != nil {
		// One name for all nodes, that of the endpoint: their certificates have it in common where they have anything.
		cluster.SslOpts = &gocql.SslOptions{Config: e.secured}
	}
	cluster.ConnectTimeout = connectTimeout
	// Time-outs are the watchdog's, and the kernel's for what the watchdog does not see. One of the driver's own would cost
	// every request a timer that it makes, waits for once and throws away.
	cluster.Timeout, cluster.WriteTimeout = 0, 0
	cluster.NumConns = cassandraConns
	cluster.PoolConfig.HostSelectionPolicy = gocql.TokenAwareHostPolicy(gocql.RoundRobinHostPolicy())
	cluster.ReconnectionPolicy = &gocql.ConstantReconnectionPolicy{MaxRetries: 1, Interval: time.Millisecond}
	cluster.ReconnectInterval = time.Second
	cluster.WriteCoalesceWaitTime = 0 // nodeConn joins requests without a timer: their latency is what is measured
	cluster.MaxPreparedStmts = max(1000, 2*len(e.statements))
	cluster.ConnectObserver = last
	cluster.Logger = silence{}
	return cluster
}

// patience is how long nothing may come of what nobody else watches: longer than any query takes that the watchdog lets go on.
func (e *cassandraEngine) patience() time.Duration { return 2*e.target.QueryTimeout + 10*time.Second }

// meteredDialer opens the connections of one session, counts what is read from them, and can give the session up while it is
// being opened.
type meteredDialer struct {
	meter  *meter
	dialer net.Dialer

	mutex  sync.Mutex
	begun  []net.Conn // those of a session that is being opened
	open   bool
	gaveUp bool
}

func (e *cassandraEngine) dialer() *meteredDialer {
	return &meteredDialer{meter: &e.meter, dialer: net.Dialer{Control: givesUpAfter(e.patience())}}
}

var errHangs = errors.New("a node let the worker in and then answered no more")

func (d *meteredDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	metered, err := d.meter.dialBy(ctx, &d.dialer, network, address)
	if err != nil {
		return nil, err
	}
	conn := &nodeConn{Conn: metered}
	d.mutex.Lock()
	defer d.mutex.Unlock()
	switch {
	case d.gaveUp:
		_ = conn.Close()
		return nil, errHangs
	case !d.open:
		d.begun = append(d.begun, conn)
	}
	return conn, nil
}

// giveUp ends every connection and opens no other. It does nothing once the session is open.
func (d *meteredDialer) giveUp() {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.gaveUp = !d.open
	for _, conn := range d.begun {
		_ = conn.Close()
	}
	d.begun = nil
}

// opened ends the opening, however it went, and answers whether it was not given up before.
func (d *meteredDialer) opened() bool {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.open, d.begun = true, nil
	return !d.gaveUp
}

// lastError keeps how the last attempt to connect ended; the driver passes on no more than its text.
type lastError struct {
	mutex sync.Mutex
	err   error
}

func (l *lastError) ObserveConnect(observed gocql.ObservedConnect) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.err = observed.Err
}

func (l *lastError) get() error {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.err
}

// silence is the driver's log: what matters of it comes back as errors.
type silence struct{}

func (silence) Error(string, ...gocql.LogField)   {}
func (silence) Warning(string, ...gocql.LogField) {}
func (silence) Info(string, ...gocql.LogField)    {}
func (silence) Debug(string, ...gocql.LogField)   {}
