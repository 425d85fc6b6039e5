// The postgres engine: PostgreSQL and every server that speaks its wire protocol. It uses the driver's lowest layer,
// pgconn: the extended protocol with prepared statements, and rows that are read and counted without building values.

package engine

import (
	"context"
	"crypto/tls"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

var postgresKind = Kind{
	Name:          "postgres",
	Systems:       "PostgreSQL and what else speaks its wire protocol",
	Authenticates: "user and password by SCRAM-SHA-256 or MD5; in clear text only where TLS verifies the server",
	Prepares:      "on the server (Parse and Describe), by name",
	Parameters:    "bound as text; the server takes their types from the statement",
	Cancels:       "a cancel request over a connection of its own",
	Drops:         "messages are read and counted, no value is decoded",
	Proved:        "PostgreSQL 15",
	Database:      "the database",
	open: func(target Target, statements []Statement) (Engine, error) {
		return newPostgres(target, statements)
	},
}

var errCopy = errors.New("COPY is no query: it moves a whole table through this connection in a protocol of its own")

type postgresEngine struct {
	meter
	config     *pgconn.Config
	statements []Statement
}

func newPostgres(target Target, statements []Statement) (*postgresEngine, error) {
	// The driver insists on parsing, which also reads the environment, password and service files. What could come
	// from there is set or cleared below.
	config, err := pgconn.ParseConfig("host=localhost user=nobody sslmode=disable")
	if err != nil {
		return nil, fmt.Errorf("failed to read target: %w", err)
	}
	secured, err := tlsConfig(target)
	if err != nil {
		return nil, err
	}
	e := &postgresEngine{config: config, statements: statements}
	config.Host, config.Port, config.Database = target.Host, target.Port, target.Database
	config.User, config.Password = target.Username, target.Password
	config.TLSConfig, config.SSLNegotiation, config.SSLCertMode = secured, "postgres", "disable"
	config.ChannelBinding, config.OAuthTokenProvider = "prefer", nil
	config.MinProtocolVersion, config.MaxProtocolVersion = "3.0", "3.0"
	config.KerberosSrvName, config.KerberosSpn = "", ""
	config.RequireAuth = "!password"
	if target.TLS == "verify" {
		config.RequireAuth = ""
	}
	config.Fallbacks = nil
	config.ValidateConnect, config.AfterConnect = nil, nil
	config.ConnectTimeout = connectTimeout
	config.RuntimeParams = map[string]string{"application_name": "crucible"}
	config.DialFunc = e.dial
	return e, nil
}

// postgresConn is one connection. raw is kept beside the driver's own handle to be closed from another goroutine.
type postgresConn struct {
	engine   *postgresEngine
	conn     *pgconn.PgConn
	raw      net.Conn
	prepared []*pgconn.StatementDescription
	// values and text are one statement's parameters, kept to be filled again.
	values [][]byte
	text   []byte
}

func (e *postgresEngine) Connect(ctx context.Context) (Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()

	conn := &postgresConn{engine: e, prepared: make([]*pgconn.StatementDescription, len(e.statements))}
	config := e.config.Copy()
	config.AfterNetConnect = func(_ context.Context, _ *pgconn.Config, to net.Conn) (net.Conn, error) {
		conn.raw = to
		if secured, ok := to.(*tls.Conn); ok {
			conn.raw = secured.NetConn()
		}
		return to, nil
	}
	var err error
	if conn.conn, err = pgconn.ConnectConfig(ctx, config); err != nil {
		return nil, err // it names user, database and address itself
	}
	return conn, nil
}

func (e *postgresEngine) Describe(ctx context.Context, conn Conn) (string, map[string]string, error) {
	c, ok := conn.(*postgresConn)
	if !ok {
		return "", nil, fmt.Errorf("failed to describe the server: not a postgres connection")
	}
	settings := map[string]string{}
	results, err := c.conn.Exec(ctx, "SELECT name, setting FROM pg_settings WHERE name IN ('max_connections', 'shared_buffers', 'work_mem', 'effective_cache_size', 'synchronous_commit', 'fsync', 'full_page_writes', 'default_transaction_isolation', 'default_transaction_read_only', 'max_parallel_workers_per_gather', 'jit')").ReadAll()
	if err != nil {
		// Not every server of this wire protocol has pg_settings; the version alone is enough then.
		return c.conn.ParameterStatus("server_version"), settings, nil
	}
	for _, result := range results {
		for _, row := range result.Rows {
			settings[string(row[0])] = string(row[1])
		}
	}
	return c.conn.ParameterStatus("server_version"), settings, nil
}

func (e *postgresEngine) Uptime(ctx context.Context, conn Conn) (time.Duration, error) {
	// A server that crashed and recovered by itself keeps the start of its postmaster; that of other processes is not for everybody to see.
	seconds, err := e.Ask(ctx, conn, "SELECT CEIL(EXTRACT(EPOCH FROM CLOCK_TIMESTAMP() - PG_POSTMASTER_START_TIME()))::bigint::text")
	if err != nil {
		return 0, fmt.Errorf("failed to ask for the uptime: %w", err)
	}
	return wholeSeconds(seconds)
}

func (e *postgresEngine) Ask(ctx context.Context, conn Conn, sql string) (string, error) {
	c, ok := conn.(*postgresConn)
	if !ok {
		return "", fmt.Errorf("failed to ask the server: not a postgres connection")
	}
	// Without parameters and with the text format, by the extended protocol: it takes exactly one statement.
	reader := c.conn.ExecParams(ctx, sql, nil, nil, nil, nil)
	value, rows, columns := "", 0, len(reader.FieldDescriptions())
	for reader.NextRow() {
		row := reader.Values()
		if rows, columns = rows+1, len(row); rows == 1 && columns == 1 {
			if value = string(row[0]); row[0] == nil {
				value = "NULL"
			}
		}
	}
	if _, err := reader.Close(); err != nil {
		return "", err
	}
	return value, single(rows, columns)
}

func (c *postgresConn) Prepare(query int) (int, error) {
	statement := c.engine.statements[query]
	if first := strings.Fields(statement.SQL); len(first) > 0 && strings.EqualFold(first[0], "COPY") {
		return 0, errCopy
	}
	prepared, err := c.conn.Prepare(context.Background(), preparedName(query), statement.SQL, nil)
	if err != nil {
		return 0, err
	}
	c.prepared[query] = prepared
	return len(prepared.ParamOIDs), nil
}

func preparedName(query int) string { return "crucible_" + strconv.Itoa(query) }

func (c *postgresConn) Query(query int, args []driver.Value) (int64, error) {
	if c.prepared[query] == nil {
		if _, err := c.Prepare(query); err != nil {
			return 0, err
		}
	}
	c.bind(args)
	// Without a context that could end, the driver starts no goroutine. Time-outs are the watchdog's, which severs.
	reader := c.conn.ExecStatement(context.Background(), c.prepared[query], c.values, nil, nil)
	var rows int64
	for reader.NextRow() {
		rows++
	}
	_, err := reader.Close()
	if err != nil && c.mustPrepareAgain(err) {
		_ = c.conn.Deallocate(context.Background(), preparedName(query))
		c.prepared[query] = nil
	}
	return rows, err
}

// mustPrepareAgain: a proxy or a failover forgot the statement, or its table was altered.
func (c *postgresConn) mustPrepareAgain(err error) bool {
	var failure *pgconn.PgError
	return errors.As(err, &failure) && (failure.Code == "26000" || failure.Code == "0A000") && c.Alive()
}

// bind writes the parameters as the text that the server reads them from.
func (c *postgresConn) bind(args []driver.Value) {
	c.values, c.text = c.values[:0], c.text[:0]
	for _, arg := range args {
		start := len(c.text)
		switch v := arg.(type) {
		case nil:
			c.values = append(c.values, nil)
			continue
		case int64:
			c.text = strconv.AppendInt(c.text, v, 10)
		case float64:
			c.text = strconv.AppendFloat(c.text, v, 'g', -1, 64)
		case bool:
			c.text = strconv.AppendBool(c.text, v)
		case string:
			c.text = append(c.text, v...)
		default:
			c.text = fmt.Append(c.text, v)
		}
		// Where the text has moved while it grew, earlier values keep the memory that they were written to.
		c.values = append(c.values, c.text[start:len(c.text):len(c.text)])
	}
}

// Alive is false also in a transaction that has failed: it would refuse every query from now on.
func (c *postgresConn) Alive() bool { return !c.conn.IsClosed() && c.conn.TxStatus() != 'E' }

func (c *postgresConn) Sever() { _ = c.raw.Close() }

func (c *postgresConn) Close() {
	_ = c.raw.SetDeadline(time.Now().Add(time.Second)) // for the goodbye
	_ = c.conn.Close(context.Background())
}

func (c *postgresConn) Kill(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if err := c.conn.CancelRequest(ctx); err != nil {
		return fmt.Errorf("failed to cancel what backend %d runs: %w", c.conn.PID(), err)
	}
	return nil
}

// postgresStates sorts the server's SQLSTATEs, postgresClasses those that are not listed by their first two characters.
// What is in neither is Other.
var (
	postgresStates = map[string]Class{
		"57014": Timeout, "25P04": Timeout,
		"57P01": Connection, "57P02": Connection, "57P03": Connection, "57P04": Connection, "57P05": Connection, "25P03": Connection,
		"25006": ReadOnly,
		"55P03": Serialization,
		"42501": Other, "42P05": Other, "42939": Other,
	}
	postgresClasses = map[string]Class{
		"08": Connection, "40": Serialization, "53": Overload, "42": Syntax, "3D": Syntax, "3F": Syntax,
	}
)

func (e *postgresEngine) Explain(err error) Failure {
	var failure *pgconn.PgError
	if errors.As(err, &failure) {
		class, known := postgresStates[failure.Code]
		if !known && len(failure.Code) == 5 {
			class, known = postgresClasses[failure.Code[:2]]
		}
		if !known {
			class = Other
		}
		return Failure{Class: class, Code: failure.Code, Message: failure.Message}
	}
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) {
		return Failure{Class: Connection, Code: "connect", Message: err.Error()}
	}
	if errors.Is(err, pgconn.ErrConnClosed) {
		return Failure{Class: Connection, Code: "lost", Message: err.Error()}
	}
	if lost, ok := networkFailure(err); ok {
		return lost
	}
	return Failure{Class: Other, Code: "driver", Message: err.Error()}
}

func (e *postgresEngine) Refusal(err error) Reason {
	var connect *pgconn.ConnectError
	connecting := errors.As(err, &connect)
	var failure *pgconn.PgError
	if errors.As(err, &failure) {
		switch {
		case strings.HasPrefix(failure.Code, "28"):
			return AuthenticationFailed
		case failure.Code == "3D000", connecting && failure.Code == "42501":
			return DatabaseMissing
		case strings.HasPrefix(failure.Code, "53"):
			return Overloaded
		case connecting, strings.HasPrefix(failure.Code, "57P"), strings.HasPrefix(failure.Code, "08"):
			return Unreachable
		}
		return QueryInvalid
	}
	if errors.Is(err, errCopy) {
		return QueryInvalid
	}
	if connecting {
		// These errors of the driver have no type.
		switch said := err.Error(); {
		case strings.Contains(said, "require_auth check failed"), strings.Contains(said, "failed SASL auth"):
			return AuthenticationFailed
		case strings.Contains(said, "server refused TLS connection"):
			return TLSFailed
		}
	}
	return networkRefusal(err)
}
