// The trino engine: Trino's own protocol, JSON over HTTP/1.1, on one connection for each VU. No HTTP client of the
// standard library stands in between: it would start goroutines for each connection and hide the socket that a
// time-out has to break. trino_page.go reads the answers, trino_bind.go writes the parameters.

package engine

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

var trinoKind = Kind{
	Name:          "trino",
	Systems:       "Trino, over HTTP/1.1; answers are taken inline, not from spooling storage",
	Authenticates: "user and password (HTTP Basic) over TLS; with `disable` the user's name alone, in `X-Trino-User`: the password is never sent in the clear, and Trino would not take it. An empty password sends the name alone over TLS, too",
	Prepares:      "checked by `DESCRIBE INPUT`; a statement with parameters is sent with each `EXECUTE`, as Trino keeps none",
	Parameters:    "in `EXECUTE … USING`, as literals of the types that `DESCRIBE INPUT` tells",
	Cancels:       "`DELETE` of the query's own address, over a connection of its own",
	Drops:         "pages are scanned as they arrive and rows counted, no value is decoded",
	Proved:        "Trino 476",
	Database:      "`catalog.schema`, or `catalog` alone",
	Notes: []string{
		"An endpoint without a port is port 8080, Trino's plain HTTP. Where the plan's TLS mode is `verify` (the default) or `insecureSkipVerify`, name the port of HTTPS (`http-server.https.port`, mostly 8443). A Trino that sees TLS only at its proxy needs `http-server.process-forwarded=true`; the worker then speaks TLS to the proxy.",
		"With `tls: {mode: disable}` Trino takes the user name at its word, and only where it has no authentication or `http-server.authentication.allow-insecure-over-http=true`.",
		"A text is bound as what the statement needs there: a date, a timestamp, a decimal, a UUID, `json`, an array or a map as JSON. In a statement with parameters the whole text goes along in a header, so it must fit into `http-server.max-request-header-size`; one that does not is refused before the load.",
		"The count that an `INSERT` answers is not a row.",
	},
	open: func(target Target, statements []Statement) (Engine, error) {
		return newTrino(target, statements)
	},
}

const (
	trinoSource = "crucible"
	// nobody is a query that no server knows: to ask for it costs nothing but shows whether the user is let in.
	nobody = "/v1/query/20000101_000000_00000_aaaaa"
	// answerLimit bounds what is kept of an answer that is no page, such as an error of a proxy.
	answerLimit = 4 << 10
	trinoBuffer = 32 << 10
)

var errTrinoWantsTLS = errors.New("the server answers with TLS, the plan disables it")

type trinoEngine struct {
	meter
	target     Target
	secured    *tls.Config
	statements []Statement
	fixed      string // the headers that never change
}

func newTrino(target Target, statements []Statement) (*trinoEngine, error) {
	secured, err := tlsConfig(target)
	if err != nil {
		return nil, err
	}
	for _, word := range []string{target.Username, target.Database} {
		if strings.ContainsFunc(word, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return nil, errors.New("failed to read target: user and database must not have control characters")
		}
	}
	fixed := "Host: " + address(target) + "\r\nUser-Agent: crucible\r\nX-Trino-Source: " + trinoSource + "\r\n"
	if secured != nil && target.Password != "" {
		request := http.Request{Header: http.Header{}}
		request.SetBasicAuth(target.Username, target.Password)
		fixed += "Authorization: " + request.Header.Get("Authorization") + "\r\n"
	}
	fixed += "X-Trino-User: " + target.Username + "\r\n"
	return &trinoEngine{target: target, secured: secured, statements: statements, fixed: fixed}, nil
}

// trinoConn is one connection, and the session that Trino has its clients keep.
type trinoConn struct {
	engine *trinoEngine
	raw    net.Conn // what Sever closes
	conn   net.Conn // the same, under TLS where the plan says so
	reader *bufio.Reader
	// broken says that the connection is in no known state.
	broken bool
	// next is where the running query continues, and what a DELETE ends. Kill reads it from another goroutine.
	next     atomic.Pointer[string]
	session  trinoSession
	prepared []*trinoStatement
	request  []byte // written again and again
	body     []byte
	buffer   []byte
	page     trinoPage
}

// trinoStatement is a statement that the server has accepted.
type trinoStatement struct {
	types  []string // of its parameters, as the server names them
	header string   // that sends it along, where it has parameters
}

func (e *trinoEngine) Connect(ctx context.Context) (Conn, error) {
	conn, err := e.open(ctx)
	if err != nil {
		return nil, err
	}
	if err := conn.letIn(); err != nil {
		conn.Close()
		return nil, fmt.Errorf("failed to connect to %s: %w", address(e.target), err)
	}
	return conn, conn.raw.SetDeadline(time.Time{})
}

// open dials. Until the deadline is lifted, everything on the connection has to be over in connectTimeout.
func (e *trinoEngine) open(ctx context.Context) (*trinoConn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	raw, err := e.dial(ctx, "tcp", address(e.target))
	if err != nil {
		return nil, fmt.Errorf("failed to connect to %s: %w", address(e.target), err)
	}
	conn := raw
	if e.secured != nil {
		over := tls.Client(raw, e.secured)
		if err := over.HandshakeContext(ctx); err != nil {
			_ = raw.Close()
			return nil, fmt.Errorf("failed to secure the connection to %s: %w", address(e.target), err)
		}
		conn = over
	}
	deadline, _ := ctx.Deadline()
	if err := raw.SetDeadline(deadline); err != nil {
		return nil, err
	}
	return &trinoConn{
		engine: e, raw: raw, conn: conn, reader: bufio.NewReaderSize(conn, trinoBuffer), buffer: make([]byte, trinoBuffer),
		session: newTrinoSession(e.target.Database), prepared: make([]*trinoStatement, len(e.statements)),
	}, nil
}

// letIn asks for something that only those get an answer to who are let in.
func (c *trinoConn) letIn() error {
	response, err := c.exchange("GET", nobody, "", nil)
	if err != nil {
		return err
	}
	said, err := io.ReadAll(io.LimitReader(response.Body, answerLimit))
	if err != nil {
		return err
	}
	switch response.StatusCode {
	case http.StatusGone, http.StatusNotFound, http.StatusOK:
		return nil
	}
	return &httpFailure{Status: response.StatusCode, Said: strings.TrimSpace(string(said))}
}

// httpFailure is an answer that is no page of a query.
type httpFailure struct {
	Status int
	Said   string
}

func (f *httpFailure) Error() string {
	said, _, _ := strings.Cut(f.Said, "\n")
	return strings.TrimSpace("HTTP " + strconv.Itoa(f.Status) + " " + http.StatusText(f.Status) + ": " + said)
}

// exchange sends one request and reads the answer's head.
func (c *trinoConn) exchange(method, path, more string, body []byte) (*http.Response, error) {
	r := append(c.request[:0], method...)
	r = append(append(append(r, ' '), path...), " HTTP/1.1\r\n"...)
	r = append(append(append(r, c.engine.fixed...), c.session.headers...), more...)
	if method == "POST" {
		r = append(strconv.AppendInt(append(r, "Content-Length: "...), int64(len(body)), 10), "\r\n"...)
	}
	c.request = append(append(r, "\r\n"...), body...)
	c.broken = true // until the answer has been read to its end
	if _, err := c.conn.Write(c.request); err != nil {
		return nil, err
	}
	if first, err := c.reader.Peek(1); err == nil && first[0] == 0x15 {
		return nil, errTrinoWantsTLS
	}
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return nil, err
	}
	response.Body = &toTheEnd{Reader: response.Body, conn: c, last: response.Close}
	return response, nil
}

// toTheEnd notices the end of an answer: only then can the connection be used again.
type toTheEnd struct {
	io.Reader
	conn *trinoConn
	last bool
}

func (b *toTheEnd) Read(to []byte) (int, error) {
	count, err := b.Reader.Read(to)
	if err == io.EOF {
		b.conn.broken = b.last
	}
	return count, err
}

func (b *toTheEnd) Close() error { return nil }

func (c *trinoConn) Query(query int, args []driver.Value) (int64, error) {
	statement := c.prepared[query]
	if statement == nil {
		if _, err := c.Prepare(query); err != nil {
			return 0, err
		}
		statement = c.prepared[query]
	}
	sql := c.engine.statements[query].SQL
	if len(statement.types) == 0 {
		c.body = append(c.body[:0], sql...)
	} else {
		c.body = appendExecute(c.body[:0], statement.types, args)
	}
	return c.run(statement.header, c.body, c.drop)
}

// run follows a query to its end, giving each page to take.
func (c *trinoConn) run(more string, body []byte, take func(io.Reader) error) (int64, error) {
	c.page = trinoPage{text: c.page.text[:0]}
	c.next.Store(nil)
	method, path := "POST", "/v1/statement"
	for {
		response, err := c.exchange(method, path, more, body)
		if err != nil {
			return c.page.rows, err
		}
		if response.StatusCode != http.StatusOK {
			said, _ := io.ReadAll(io.LimitReader(response.Body, answerLimit))
			return c.page.rows, &httpFailure{Status: response.StatusCode, Said: strings.TrimSpace(string(said))}
		}
		c.page.begin()
		if err := take(response.Body); err != nil {
			return c.page.rows, err
		}
		c.session.take(response.Header)
		next, err := c.page.next()
		if failure := c.page.failure(); failure != nil || err != nil || next == "" {
			c.next.Store(nil)
			return c.page.answered(), errors.Join(failure, err)
		}
		c.next.Store(&next)
		method, path, body = "GET", next, nil
	}
}

// drop scans a page as it comes off the wire.
func (c *trinoConn) drop(body io.Reader) error {
	for {
		count, err := body.Read(c.buffer)
		c.page.scan(c.buffer[:count])
		if err == io.EOF {
			return c.page.complete()
		}
		if err != nil {
			return err
		}
	}
}

// ask runs a small query of our own. It is never on the hot path.
func (c *trinoConn) ask(more, sql string, each func(row []any)) error {
	_, err := c.run(more, []byte(sql), func(body io.Reader) error {
		content, err := io.ReadAll(body)
		if err != nil {
			return err
		}
		c.page.scan(content)
		var page struct{ Data [][]any }
		numbers := json.NewDecoder(bytes.NewReader(content))
		numbers.UseNumber() // as they are written
		if err := numbers.Decode(&page); err != nil {
			return fmt.Errorf("failed to read an answer: %w", err)
		}
		for _, row := range page.Data {
			each(row)
		}
		return c.page.complete()
	})
	return err
}

func (c *trinoConn) Prepare(query int) (int, error) {
	sql := c.engine.statements[query].SQL
	statement := &trinoStatement{header: "X-Trino-Prepared-Statement: crucible=" + url.QueryEscape(sql) + "\r\n"}
	err := c.ask(statement.header, "DESCRIBE INPUT crucible", func(row []any) {
		if len(row) == 2 {
			statement.types = append(statement.types, fmt.Sprint(row[1]))
		}
	})
	if err != nil {
		return 0, err
	}
	if len(statement.types) == 0 {
		statement.header = ""
	}
	c.prepared[query] = statement
	return len(statement.types), nil
}

// trinoSettings are the session properties worth keeping with a result.
const trinoSettings = "query_max_memory query_max_run_time query_max_execution_time join_distribution_type task_concurrency retry_policy"

func (e *trinoEngine) Describe(ctx context.Context, conn Conn) (string, map[string]string, error) {
	c, ok := conn.(*trinoConn)
	if !ok {
		return "", nil, errors.New("failed to describe the server: not a trino connection")
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = c.raw.SetDeadline(deadline)
		defer func() { _ = c.raw.SetDeadline(time.Time{}) }()
	}
	version, nodes := "", 0
	err := c.ask("", "SELECT node_version FROM system.runtime.nodes WHERE state = 'active' ORDER BY coordinator", func(row []any) {
		version, nodes = fmt.Sprint(row[0]), nodes+1
	})
	if err != nil {
		return "", nil, fmt.Errorf("failed to ask for the server version: %w", err)
	}
	settings := map[string]string{"nodes": strconv.Itoa(nodes)}
	// The version alone is enough where session properties may not be seen.
	_ = c.ask("", "SHOW SESSION", func(row []any) {
		if name := fmt.Sprint(row[0]); len(row) > 1 && strings.Contains(" "+trinoSettings+" ", " "+name+" ") {
			settings[name] = fmt.Sprint(row[1])
		}
	})
	return version, settings, nil
}

func (e *trinoEngine) Uptime(ctx context.Context, conn Conn) (time.Duration, error) {
	c, ok := conn.(*trinoConn)
	if !ok {
		return 0, errors.New("failed to ask for the uptime: not a trino connection")
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = c.raw.SetDeadline(deadline)
		defer func() { _ = c.raw.SetDeadline(time.Time{}) }()
	}
	response, err := c.exchange("GET", "/v1/info", "", nil)
	if err != nil {
		return 0, fmt.Errorf("failed to ask for the uptime: %w", err)
	}
	said, err := io.ReadAll(io.LimitReader(response.Body, answerLimit))
	if err != nil {
		return 0, fmt.Errorf("failed to ask for the uptime: %w", err)
	}
	var info struct{ Uptime string }
	if err := json.Unmarshal(said, &info); err != nil {
		return 0, fmt.Errorf("the server does not say for how long it has been up: %w", err)
	}
	return trinoUptime(info.Uptime)
}

// trinoUptime reads two digits after the point and a unit, for example 3.05m, and adds what was rounded off.
func trinoUptime(text string) (time.Duration, error) {
	number := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyz")
	units := map[string]time.Duration{"ns": time.Nanosecond, "us": time.Microsecond, "ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}
	unit, known := units[text[len(number):]]
	value, err := strconv.ParseFloat(number, 64)
	if err != nil || !known || !(value >= 0 && value < 1e5) {
		return 0, fmt.Errorf("the server does not say for how long it has been up, but %q", text)
	}
	return time.Duration(math.Round((value + 0.01) * float64(unit))), nil
}

func (e *trinoEngine) Ask(_ context.Context, conn Conn, sql string) (string, error) {
	c, ok := conn.(*trinoConn)
	if !ok {
		return "", errors.New("failed to ask the server: not a trino connection")
	}
	value, rows, columns := "", 0, 1
	var failed error
	err := c.ask("", sql, func(row []any) {
		if rows, columns = rows+1, len(row); rows == 1 && columns == 1 {
			value, failed = trinoText(row[0])
		}
	})
	if err := errors.Join(err, failed); err != nil {
		return "", err
	}
	return value, single(rows, columns)
}

// trinoText is a value as the server writes it; what is made of several values stays JSON.
func trinoText(value any) (string, error) {
	switch value := value.(type) {
	case nil:
		return "NULL", nil
	case string:
		return value, nil
	default:
		text, err := json.Marshal(value)
		return string(text), err
	}
}

func (c *trinoConn) Alive() bool { return !c.broken }

func (c *trinoConn) Sever() { _ = c.raw.Close() }

func (c *trinoConn) Close() { _ = c.raw.Close() }

// Kill ends the query where the server has told its address. One that has none yet is not begun before it is asked
// for, which nobody will do.
func (c *trinoConn) Kill(ctx context.Context) error {
	next := c.next.Load()
	if next == nil {
		return nil
	}
	side, err := c.engine.open(ctx)
	if err != nil {
		return fmt.Errorf("failed to connect for a kill: %w", err)
	}
	defer side.Close()
	response, err := side.exchange("DELETE", *next, "", nil)
	if err != nil {
		return fmt.Errorf("failed to cancel a query: %w", err)
	}
	switch response.StatusCode {
	case http.StatusNoContent, http.StatusOK, http.StatusNotFound, http.StatusGone:
		return nil
	}
	return fmt.Errorf("failed to cancel a query: %w", &httpFailure{Status: response.StatusCode})
}
