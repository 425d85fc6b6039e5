// The cassandra engine: CQL by the Apache driver, one session for all VUs of a worker, as applications use it: a
// connection to each node, requests side by side on it, each sent to a replica that has the data. A VU's connection
// is a share of that session. cassandra_session.go opens and ends it, cassandra_bind.go writes the parameters, and
// cassandra_errors.go reads what went wrong.

package engine

import (
	"context"
	"crypto/tls"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/apache/cassandra-gocql-driver/v2"
)

var cassandraKind = Kind{
	Name:          "cassandra",
	Systems:       "Apache Cassandra and what else speaks CQL's binary protocol, versions 3 to 5",
	Authenticates: "user and password (PasswordAuthenticator); an empty user name where the cluster asks for none",
	Prepares:      "on each node that a query is sent to, by the driver; statements other than SELECT, INSERT, UPDATE, DELETE and BATCH are sent as text and take no parameters",
	Parameters:    "bound in the binary protocol, converted to the type that the server tells",
	Cancels:       "no further page is asked for; CQL has no way to call a request back, the server gives up the page in hand by its own time-outs (`read_request_timeout` and its kind)",
	Drops:         "pages are read and their rows counted, no value is decoded",
	Proved:        "Cassandra 5.0.9, one node",
	Database:      "the keyspace",
	Notes: []string{
		"A workload begins with `-- @type: cql`. `-- @consistency: LOCAL_ONE` and `-- @page-size: 500` stand in a query's block; without them it is `LOCAL_QUORUM` and 5000 rows.",
		"Each worker opens one session for all its virtual users, as an application does: one connection to each node, found through the endpoint and driven by the token of the query's partition key, and no retries. It does not grow with virtual users; what a query waits for its turn on it is in its latency.",
		"Nodes have to answer worker pods at the addresses that the ring tells, on the endpoint's port. With `verify` each of them shows a certificate for the endpoint's name.",
		"A text is bound as what the statement needs there: numbers, `timestamp` as `2026-01-31T23:59:59.123Z`, `uuid`, `duration` as `1h30m`, a list, set or map as JSON; user-defined types and tuples cannot be bound.",
		"`ReadOnly` does not exist here; `Overload` and `Serialization` (lightweight transactions) are sorted by the protocol's codes but were not brought about on a real server.",
	},
	open: func(target Target, statements []Statement) (Engine, error) {
		return newCassandra(target, statements)
	},
}

// cassandraPage is how many rows a page has where the workload does not say.
const cassandraPage = 5000

// errPrepared stops the driver behind the preparation of a statement.
var errPrepared = errors.New("prepared")

type cassandraEngine struct {
	meter
	target     Target
	secured    *tls.Config
	statements []cassandraStatement

	mutex   sync.Mutex
	session *gocql.Session
	shares  int
	opening *opening
}

type cassandraStatement struct {
	sql         string
	consistency gocql.Consistency
	page        int
}

func newCassandra(target Target, statements []Statement) (*cassandraEngine, error) {
	secured, err := tlsConfig(target)
	if err != nil {
		return nil, err
	}
	e := &cassandraEngine{target: target, secured: secured}
	for _, statement := range statements {
		own := cassandraStatement{sql: statement.SQL, consistency: gocql.LocalQuorum, page: cassandraPage}
		if statement.Consistency != "" {
			if own.consistency, err = gocql.ParseConsistencyWrapper(statement.Consistency); err != nil {
				return nil, fmt.Errorf("failed to read query %q: %w", statement.Name, err)
			}
		}
		if statement.PageSize > 0 {
			own.page = statement.PageSize
		}
		e.statements = append(e.statements, own)
	}
	return e, nil
}

// cassandraConn is a VU's share of the session. Its context is what Sever breaks: one for its whole life, so that a query
// costs no goroutine and no timer of its own.
type cassandraConn struct {
	engine  *cassandraEngine
	session *gocql.Session
	ctx     context.Context
	cancel  context.CancelFunc
	lost    bool
	closed  bool
	bound   []*boundValue
	values  []any
}

func (e *cassandraEngine) Connect(ctx context.Context) (Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	session, err := e.share(ctx)
	if err != nil {
		return nil, err
	}
	// The session may be older than the trouble: ask whether anybody is there.
	if err := session.Query("SELECT key FROM system.local").Consistency(gocql.One).ExecContext(ctx); err != nil {
		e.giveBack(session)
		return nil, fmt.Errorf("failed to reach a node: %w", err)
	}
	conn := &cassandraConn{engine: e, session: session}
	conn.ctx, conn.cancel = context.WithCancel(context.Background())
	return conn, nil
}

// cassandraSettings are those worth keeping with a result.
const cassandraSettings = "concurrent_reads concurrent_writes memtable_heap_space memtable_offheap_space commitlog_sync read_request_timeout write_request_timeout range_request_timeout num_tokens endpoint_snitch authenticator"

func (e *cassandraEngine) Describe(ctx context.Context, conn Conn) (string, map[string]string, error) {
	c, ok := conn.(*cassandraConn)
	if !ok {
		return "", nil, errors.New("failed to describe the server: not a cassandra connection")
	}
	var version, partitioner string
	if err := c.session.Query("SELECT release_version, partitioner FROM system.local").ScanContext(ctx, &version, &partitioner); err != nil {
		return "", nil, fmt.Errorf("failed to ask for the server version: %w", err)
	}
	settings := map[string]string{"partitioner": partitioner[strings.LastIndexByte(partitioner, '.')+1:], "nodes": strconv.Itoa(len(c.session.GetHosts()))}
	// Not every server of this protocol has this table, and not every user may read it; the version alone is enough then.
	rows := c.session.Query("SELECT name, value FROM system_views.settings").IterContext(ctx)
	var name, value string
	for rows.Scan(&name, &value) {
		if strings.Contains(" "+cassandraSettings+" ", " "+name+" ") {
			settings[name] = value
		}
	}
	_ = rows.Close()
	return version, settings, nil
}

func (e *cassandraEngine) Uptime(ctx context.Context, conn Conn) (time.Duration, error) {
	c, ok := conn.(*cassandraConn)
	if !ok {
		return 0, errors.New("failed to ask for the uptime: not a cassandra connection")
	}
	// A node takes the second in which it starts as its generation.
	var generation int
	var now time.Time
	if err := c.session.Query("SELECT gossip_generation, toTimestamp(now()) FROM system.local").ScanContext(ctx, &generation, &now); err != nil {
		return 0, fmt.Errorf("failed to ask for the uptime: %w", err)
	}
	return now.Sub(time.Unix(int64(generation), 0)), nil
}

// The driver prepares statements that begin with one of cassandraPrepared and sends all others as text.
var (
	cassandraPrepared = []string{"SELECT", "INSERT", "UPDATE", "DELETE", "BEGIN"}
	cassandraText     = []string{"CREATE", "ALTER", "DROP", "TRUNCATE", "LIST", "DESCRIBE", "GRANT", "REVOKE"}
)

// wordError is a statement that begins with no word of CQL that a workload could use.
type wordError struct{ word string }

func (e *wordError) Error() string {
	return fmt.Sprintf("%q begins no statement that can be run", e.word)
}

func firstWord(sql string) string {
	words := strings.Fields(sql)
	if len(words) == 0 {
		return ""
	}
	return strings.ToUpper(words[0])
}

func (c *cassandraConn) Prepare(query int) (int, error) {
	sql := c.engine.statements[query].sql
	if word := firstWord(sql); slices.Contains(cassandraText, word) {
		return 0, nil // to try it would be to run it
	} else if !slices.Contains(cassandraPrepared, word) {
		return 0, &wordError{word}
	}
	parameters := 0
	err := c.session.Bind(sql, func(info *gocql.QueryInfo) ([]any, error) {
		parameters = len(info.Args)
		return nil, errPrepared
	}).ExecContext(c.ctx)
	if errors.Is(err, errPrepared) {
		return parameters, nil
	}
	return 0, err
}

func (c *cassandraConn) Query(query int, args []driver.Value) (int64, error) {
	statement := &c.engine.statements[query]
	c.bind(args)
	var rows int64
	var from []byte
	for {
		// With a page to begin at, even an empty one, the driver asks for no further pages behind our back.
		asked := c.session.Query(statement.sql, c.values[:len(args)]...).Consistency(statement.consistency).PageSize(statement.page).PageState(from)
		page := asked.IterContext(c.ctx)
		rows += int64(page.NumRows())
		from = page.PageState()
		if err := page.Close(); err != nil {
			return rows, c.failed(err)
		}
		if len(from) == 0 {
			return rows, nil
		}
	}
}

func (e *cassandraEngine) Ask(ctx context.Context, conn Conn, sql string) (string, error) {
	c, ok := conn.(*cassandraConn)
	if !ok {
		return "", errors.New("failed to ask the server: not a cassandra connection")
	}
	// The first page tells one row from more. With a page to begin at the driver asks for no other behind our back.
	page := c.session.Query(sql).PageSize(2).PageState([]byte{}).IterContext(ctx)
	rows, columns := page.NumRows(), len(page.Columns())
	var value cassandraValue
	if rows == 1 && columns == 1 {
		page.Scan(&value)
	}
	if err := page.Close(); err != nil {
		return "", c.failed(err)
	}
	return string(value), single(rows, columns)
}

func (c *cassandraConn) failed(err error) error {
	if c.ctx.Err() != nil {
		c.lost = true
		return errSevered
	}
	c.lost = c.engine.Explain(err).Class == Connection
	return err
}

func (c *cassandraConn) Alive() bool { return !c.lost }

func (c *cassandraConn) Sever() { c.cancel() }

// Kill has nothing to say to the server: CQL has no words for it. Sever has ended the asking for pages.
func (c *cassandraConn) Kill(context.Context) error { return nil }

func (c *cassandraConn) Close() {
	if !c.closed {
		c.closed = true
		c.cancel()
		c.engine.giveBack(c.session)
	}
}
