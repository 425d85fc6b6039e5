// Package engine is the only place that knows a database driver. The session loop above it (package ext) sees
// the two interfaces of this file; every engine is one more file beside mysql.go and one line in Open.
package engine

import (
	"context"
	"database/sql/driver"
	"fmt"
	"strconv"
	"time"
)

// Class says whose kind of failure a query met. The words are the contract with the worker.
type Class string

// The error classes, and OK for a query that has none. Classes lists them in the order of their indices.
const (
	OK            Class = "ok"
	Timeout       Class = "timeout"
	Connection    Class = "connection"
	Overload      Class = "overload"
	Serialization Class = "serialization"
	ReadOnly      Class = "readOnly"
	WrongResult   Class = "wrongResult"
	Syntax        Class = "syntax"
	Other         Class = "other"
)

// Classes is every outcome in a fixed order, so that the hot path can carry a byte instead of a word.
var Classes = [...]Class{OK, Timeout, Connection, Overload, Serialization, ReadOnly, WrongResult, Syntax, Other}

// Index is the position of a class in Classes; an unknown class is Other.
func Index(class Class) uint8 {
	for i, known := range Classes {
		if known == class {
			return uint8(i)
		}
	}
	return Index(Other)
}

// Reason says why the preflight refused the system under test. The words are the contract with the worker.
type Reason string

// The preflight reasons.
const (
	UnknownHost          Reason = "SutUnknownHost"
	Unreachable          Reason = "SutUnreachable"
	AuthenticationFailed Reason = "SutAuthenticationFailed"
	DatabaseMissing      Reason = "SutDatabaseMissing"
	QueryInvalid         Reason = "QueryInvalid"
	TLSFailed            Reason = "SutTlsFailed"
	Overloaded           Reason = "SutOverloaded"
)

// Failure is an error as the engine understands it.
type Failure struct {
	Class   Class
	Code    string
	Message string
}

// Target is where the system under test answers.
type Target struct {
	Host     string
	Port     uint16
	Database string
	TLS      string
	// Authorities names a file of certificates that are believed besides the system's; empty for none.
	Authorities string
	Username    string
	Password    string
	// QueryTimeout is when the watchdog severs a query. No limit of a driver may come before it.
	QueryTimeout time.Duration
}

// Statement is one query of the workload with the engine's own placeholders.
type Statement struct {
	Name string
	SQL  string
	// Consistency and PageSize are Cassandra's; nothing and 0 where the workload does not say.
	Consistency string
	PageSize    int
}

// Kind is an engine as a plan names it, and what docs/engines.md says about it.
type Kind struct {
	Name          string
	Systems       string
	Authenticates string
	Prepares      string
	Parameters    string
	Cancels       string
	Drops         string
	Proved        string
	Database      string // what spec.target.database names
	Notes         []string

	open func(target Target, statements []Statement) (Engine, error)
}

// Engine opens connections and reads meaning into the driver's errors.
type Engine interface {
	// Connect opens and authenticates one connection. No statement is prepared yet.
	Connect(ctx context.Context) (Conn, error)
	// Describe asks the server for its version and for the few settings worth keeping with a result.
	Describe(ctx context.Context, conn Conn) (version string, settings map[string]string, err error)
	// Uptime is for how long the server that answers has been up: the longest that it can have been, where it tells in whole
	// seconds. Where there are several servers it is that of the one that conn has reached.
	Uptime(ctx context.Context, conn Conn) (time.Duration, error)
	// Refusal says why a failed Connect or Prepare refuses the whole run.
	Refusal(err error) Reason
	// Explain sorts an error of a running query.
	Explain(err error) Failure
	// Ask returns the one value that a query answers, off the hot path and without preparing anything: as the server writes
	// it, NULL for none. Any other number of rows or columns than one is an error.
	Ask(ctx context.Context, conn Conn, sql string) (string, error)
	// Received is how many bytes all connections together have read so far, below TLS.
	Received() uint64
}

// Conn is one connection, used by one VU at a time. Only Sever and Kill may be called from elsewhere.
type Conn interface {
	// Prepare makes a statement ready and returns how many parameters it takes.
	Prepare(query int) (parameters int, err error)
	// Query runs a statement, preparing it first where that is missing, and returns the number of rows, all of
	// which have been read and dropped.
	Query(query int, args []driver.Value) (rows int64, err error)
	// Alive tells whether the connection can be used again after an error.
	Alive() bool
	// Sever breaks the transport, so that a Query blocked in another goroutine returns at once.
	Sever()
	// Kill asks the server, through a connection of its own, to give up what this connection runs.
	Kill(ctx context.Context) error
	// Close says goodbye and frees the connection.
	Close()
}

// wholeSeconds is the longest time that so many whole seconds can stand for.
func wholeSeconds(text string) (time.Duration, error) {
	seconds, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("the server does not say for how long it has been up, but %q", text)
	}
	return time.Duration(seconds+1) * time.Second, nil
}

// single says what is wrong with an answer that is not one value.
func single(rows, columns int) error {
	if rows == 1 && columns == 1 {
		return nil
	}
	return fmt.Errorf("the answer has %d rows and %d columns, where one value is expected", rows, columns)
}

// Kinds are the engines of this k6. An engine that is not here is not in the schema of a TestPlan either; a test says so.
var Kinds = []Kind{mysqlKind, dorisKind, postgresKind, trinoKind, cassandraKind}

// Open returns the engine of that name.
func Open(name string, target Target, statements []Statement) (Engine, error) {
	for _, kind := range Kinds {
		if kind.Name == name {
			return kind.open(target, statements)
		}
	}
	return nil, fmt.Errorf("failed to open engine %q: not built into this k6", name)
}
