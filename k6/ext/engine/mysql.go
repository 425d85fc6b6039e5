// The mysql engine: MySQL, MariaDB and every server that speaks their wire protocol. It uses the driver's own
// connections, without database/sql: no pool stands between a VU and its session.

package engine

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"
)

// noRows is the destination of every row. The driver decodes as many columns as the destination has; with none it
// still reads and checks each packet off the wire, but builds no values: a load generator drops them anyway.
var noRows = []driver.Value{}

var mysqlKind = Kind{
	Name:          "mysql",
	Systems:       "MySQL, MariaDB, TiDB, StarRocks and what else speaks their wire protocol",
	Authenticates: "user and password by the server's plugin (native, caching_sha2, ed25519); never in clear text",
	Prepares:      "on the server; a statement that it refuses to prepare is sent as text with escaped parameters",
	Parameters:    "bound in the binary protocol",
	Cancels:       "`KILL` of the connection, from another one",
	Drops:         "packets are read and counted, no value is decoded",
	Proved:        "MariaDB 10.11",
	Database:      "the database",
	open: func(target Target, statements []Statement) (Engine, error) {
		return newMySQL(target, statements)
	},
}

// dorisKind is the same code: Doris speaks MySQL's protocol, and what it refuses to prepare goes as text.
var dorisKind = Kind{
	Name:          "doris",
	Systems:       "Apache Doris, by the same code as `mysql`",
	Authenticates: mysqlKind.Authenticates,
	Prepares:      mysqlKind.Prepares,
	Parameters:    mysqlKind.Parameters,
	Cancels:       mysqlKind.Cancels,
	Drops:         mysqlKind.Drops,
	Proved:        "the same suite on MariaDB 10.11 under the name `doris`; Doris itself was not run",
	Database:      mysqlKind.Database,
	open:          mysqlKind.open,
}

type mysqlEngine struct {
	meter
	config     *mysql.Config
	statements []Statement
}

func newMySQL(target Target, statements []Statement) (*mysqlEngine, error) {
	config := mysql.NewConfig()
	config.User = target.Username
	config.Passwd = target.Password
	config.Net = "tcp"
	config.Addr = address(target)
	config.DBName = target.Database
	config.Timeout = connectTimeout
	config.Logger = &mysql.NopLogger{}
	config.CheckConnLiveness = false
	config.AllowAllFiles = false // no LOCAL INFILE: a server must never be able to ask for the pod's files
	config.MultiStatements = false
	config.InterpolateParams = true // only for statements that the server refuses to prepare
	secured, err := tlsConfig(target)
	if err != nil {
		return nil, err
	}
	config.TLS = secured
	return &mysqlEngine{config: config, statements: statements}, nil
}

// mysqlConn is one connection. raw is kept beside the driver's own handle because closing the socket is the one
// thing that may be done to a driver connection from another goroutine.
type mysqlConn struct {
	engine   *mysqlEngine
	conn     driver.Conn
	raw      net.Conn
	id       atomic.Uint64
	prepared []driver.Stmt
	asText   []bool
}

func (e *mysqlEngine) Connect(ctx context.Context) (Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()

	conn := &mysqlConn{
		engine:   e,
		prepared: make([]driver.Stmt, len(e.statements)),
		asText:   make([]bool, len(e.statements)),
	}
	config := e.config.Clone()
	config.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		raw, err := e.dial(ctx, network, addr)
		conn.raw = raw
		return raw, err
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, fmt.Errorf("failed to read target: %w", err)
	}
	conn.conn, err = connector.Connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("failed to connect to %s: %w", config.Addr, err)
	}
	var id int64
	if err := conn.ask(ctx, "SELECT CONNECTION_ID()", func(row []driver.Value) { id, _ = strconv.ParseInt(text(row[0]), 10, 64) }); err != nil {
		conn.Close()
		return nil, fmt.Errorf("failed to ask %s for the connection id: %w", config.Addr, err)
	}
	conn.id.Store(uint64(id))
	return conn, nil
}

func (e *mysqlEngine) Describe(ctx context.Context, conn Conn) (string, map[string]string, error) {
	c, ok := conn.(*mysqlConn)
	if !ok {
		return "", nil, fmt.Errorf("failed to describe the server: not a mysql connection")
	}
	var version string
	if err := c.ask(ctx, "SELECT VERSION()", func(row []driver.Value) { version = text(row[0]) }); err != nil {
		return "", nil, fmt.Errorf("failed to ask for the server version: %w", err)
	}
	settings := map[string]string{}
	// Not every server of this wire protocol knows SHOW VARIABLES; the version alone is enough then.
	_ = c.ask(ctx, "SHOW VARIABLES WHERE Variable_name IN ('max_connections','innodb_buffer_pool_size','innodb_flush_log_at_trx_commit','sync_binlog','transaction_isolation','tx_isolation','query_cache_type','thread_handling','read_only','version_comment')",
		func(row []driver.Value) {
			if len(row) > 1 {
				settings[text(row[0])] = text(row[1])
			}
		})
	return version, settings, nil
}

func (e *mysqlEngine) Uptime(ctx context.Context, conn Conn) (time.Duration, error) {
	c, ok := conn.(*mysqlConn)
	if !ok {
		return 0, fmt.Errorf("failed to ask for the uptime: not a mysql connection")
	}
	seconds := ""
	err := c.ask(ctx, "SHOW GLOBAL STATUS LIKE 'Uptime'", func(row []driver.Value) {
		if len(row) > 1 {
			seconds = text(row[1])
		}
	})
	if err != nil {
		return 0, fmt.Errorf("failed to ask for the uptime: %w", err)
	}
	return wholeSeconds(seconds)
}

func (e *mysqlEngine) Ask(ctx context.Context, conn Conn, sql string) (string, error) {
	c, ok := conn.(*mysqlConn)
	if !ok {
		return "", fmt.Errorf("failed to ask the server: not a mysql connection")
	}
	value, rows, columns := "", 0, 1
	err := c.ask(ctx, sql, func(row []driver.Value) {
		if rows, columns = rows+1, len(row); rows == 1 && columns == 1 {
			if value = text(row[0]); row[0] == nil {
				value = "NULL"
			}
		}
	})
	if err != nil {
		return "", err
	}
	return value, single(rows, columns)
}

// ask runs one small text query of our own. It is never on the hot path.
func (c *mysqlConn) ask(ctx context.Context, query string, each func(row []driver.Value)) error {
	rows, err := c.conn.(driver.QueryerContext).QueryContext(ctx, query, nil)
	if err != nil {
		return err
	}
	row := make([]driver.Value, len(rows.Columns()))
	for {
		if err := rows.Next(row); err == io.EOF {
			return rows.Close()
		} else if err != nil {
			return errors.Join(err, rows.Close())
		}
		each(row)
	}
}

func text(value driver.Value) string {
	switch v := value.(type) {
	case []byte:
		return string(v)
	case nil:
		return ""
	default:
		return fmt.Sprint(v)
	}
}

func (c *mysqlConn) Prepare(query int) (int, error) {
	stmt, err := c.conn.Prepare(c.engine.statements[query].SQL)
	if err == nil {
		c.prepared[query] = stmt
		return stmt.NumInput(), nil
	}
	if refusesToPrepare(err) {
		// The parameters are then escaped and sent as text; the driver counts the placeholders as it goes.
		c.asText[query] = true
		return -1, nil
	}
	return 0, err
}

func refusesToPrepare(err error) bool {
	var failure *mysql.MySQLError
	return errors.As(err, &failure) && (failure.Number == 1295 || failure.Number == 1047)
}

func (c *mysqlConn) Query(query int, args []driver.Value) (int64, error) {
	stmt := c.prepared[query]
	if stmt == nil {
		return c.queryUnprepared(query, args)
	}
	// The driver's Query without a context: with one it would hand every query to a second goroutine. Time-outs
	// are the watchdog's, which severs the connection.
	rows, err := stmt.Query(args) //nolint:staticcheck // deprecated for users of database/sql, which we are not
	if err != nil {
		if unknownStatement(err) {
			c.prepared[query] = nil // a proxy or a failover forgot it: prepare again at the next use
		}
		return 0, err
	}
	return drop(rows)
}

func (c *mysqlConn) queryUnprepared(query int, args []driver.Value) (int64, error) {
	if !c.asText[query] {
		if _, err := c.Prepare(query); err != nil {
			return 0, err
		}
	}
	if !c.asText[query] {
		return c.Query(query, args)
	}
	rows, err := c.conn.(driver.Queryer).Query(c.engine.statements[query].SQL, args) //nolint:staticcheck // as above
	if err != nil {
		return 0, err
	}
	return drop(rows)
}

// drop reads every row of every result off the wire and counts them.
func drop(rows driver.Rows) (int64, error) {
	var count int64
	for {
		err := rows.Next(noRows)
		if err == nil {
			count++
			continue
		}
		if err != io.EOF {
			_ = rows.Close()
			return count, err
		}
		more, ok := rows.(driver.RowsNextResultSet)
		if !ok || !more.HasNextResultSet() {
			return count, rows.Close()
		}
		if err := more.NextResultSet(); err != nil && err != io.EOF {
			_ = rows.Close()
			return count, err
		}
	}
}

func unknownStatement(err error) bool {
	var failure *mysql.MySQLError
	return errors.As(err, &failure) && failure.Number == 1243
}

func (c *mysqlConn) Alive() bool { return c.conn.(driver.Validator).IsValid() }

func (c *mysqlConn) Sever() { _ = c.raw.Close() }

func (c *mysqlConn) Close() { _ = c.conn.Close() }

func (c *mysqlConn) Kill(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	connector, err := mysql.NewConnector(c.engine.config)
	if err != nil {
		return fmt.Errorf("failed to read target: %w", err)
	}
	side, err := connector.Connect(ctx)
	if err != nil {
		return fmt.Errorf("failed to connect for a kill: %w", err)
	}
	defer side.Close()
	// KILL of the whole connection, not of its query: the client's end is already gone.
	_, err = side.(driver.ExecerContext).ExecContext(ctx, "KILL "+strconv.FormatUint(c.id.Load(), 10), nil)
	var failure *mysql.MySQLError
	if errors.As(err, &failure) && failure.Number == 1094 { // no such thread: it has ended by itself
		return nil
	}
	if err != nil {
		return fmt.Errorf("failed to kill connection %d: %w", c.id.Load(), err)
	}
	return nil
}

// mysqlNumbers sorts the server's error numbers. What is not listed is Other.
var mysqlNumbers = map[uint16]Class{
	1040: Overload, 1203: Overload, 1226: Overload, 1461: Overload, 1037: Overload, 1041: Overload, 1129: Overload,
	1205: Serialization, 1213: Serialization, 1020: Serialization, 3572: Serialization,
	1290: ReadOnly, 1836: ReadOnly, 1792: ReadOnly, 1874: ReadOnly, 3906: ReadOnly,
	1064: Syntax, 1054: Syntax, 1146: Syntax, 1149: Syntax, 1049: Syntax, 1052: Syntax, 1109: Syntax, 1136: Syntax, 1305: Syntax, 1327: Syntax, 1210: Syntax,
	2006: Connection, 2013: Connection, 1053: Connection, 1077: Connection, 1152: Connection, 1158: Connection, 1159: Connection, 1160: Connection, 1161: Connection, 1184: Connection, 1927: Connection, 1047: Connection,
	1969: Timeout, 3024: Timeout,
}

func (e *mysqlEngine) Explain(err error) Failure {
	var failure *mysql.MySQLError
	if errors.As(err, &failure) {
		class, known := mysqlNumbers[failure.Number]
		if !known {
			class = Other
		}
		return Failure{Class: class, Code: strconv.Itoa(int(failure.Number)), Message: failure.Message}
	}
	if lost, ok := networkFailure(err); ok {
		return lost
	}
	switch {
	case errors.Is(err, mysql.ErrInvalidConn), errors.Is(err, driver.ErrBadConn), errors.Is(err, mysql.ErrMalformPkt),
		errors.Is(err, mysql.ErrPktSync), errors.Is(err, mysql.ErrPktSyncMul), errors.Is(err, mysql.ErrBusyBuffer):
		return Failure{Class: Connection, Code: "lost", Message: err.Error()}
	}
	return Failure{Class: Other, Code: "driver", Message: err.Error()}
}

func (e *mysqlEngine) Refusal(err error) Reason {
	var failure *mysql.MySQLError
	if errors.As(err, &failure) {
		switch failure.Number {
		case 1045, 1698, 1251, 1275, 1862, 1820, 4151, 3118:
			return AuthenticationFailed
		case 1049, 1044:
			return DatabaseMissing
		case 1040, 1203, 1226, 1129, 1461:
			return Overloaded
		case 1130:
			return AuthenticationFailed // this host may not log in
		case 3159:
			return TLSFailed
		}
		return QueryInvalid
	}
	if errors.Is(err, mysql.ErrNoTLS) {
		return TLSFailed
	}
	if errors.Is(err, mysql.ErrNativePassword) || errors.Is(err, mysql.ErrCleartextPassword) || errors.Is(err, mysql.ErrOldPassword) || errors.Is(err, mysql.ErrUnknownPlugin) {
		return AuthenticationFailed
	}
	return networkRefusal(err)
}
