// What Cassandra's errors mean.

package engine

import (
	"errors"
	"fmt"

	"github.com/apache/cassandra-gocql-driver/v2"
)

var errSevered = errors.New("the connection was severed")

// cassandraCodes sorts the error codes of the protocol. What is not listed is Other.
var cassandraCodes = map[int]Class{
	gocql.ErrCodeWriteTimeout: Timeout, gocql.ErrCodeReadTimeout: Timeout,
	gocql.ErrCodeUnavailable: Connection, gocql.ErrCodeBootstrapping: Connection,
	gocql.ErrCodeOverloaded:      Overload,
	gocql.ErrCodeCASWriteUnknown: Serialization,
	gocql.ErrCodeSyntax:          Syntax, gocql.ErrCodeInvalid: Syntax,
}

func (e *cassandraEngine) Explain(err error) Failure {
	var refused gocql.RequestError
	if errors.As(err, &refused) {
		class, known := cassandraCodes[refused.Code()]
		if !known {
			class = Other
		}
		var late *gocql.RequestErrWriteTimeout
		if errors.As(err, &late) && late.WriteType == "CAS" {
			class = Serialization // another lightweight transaction was in the way
		}
		return Failure{Class: class, Code: fmt.Sprintf("0x%04X", refused.Code()), Message: refused.Message()}
	}
	var bound *bindError
	switch {
	case errors.As(err, &bound):
		return Failure{Class: Syntax, Code: "bind", Message: err.Error()}
	case errors.Is(err, gocql.ErrNoConnections), errors.Is(err, gocql.ErrNoConnectionsStarted):
		return Failure{Class: Connection, Code: "connect", Message: err.Error()}
	case errors.Is(err, gocql.ErrConnectionClosed), errors.Is(err, gocql.ErrSessionClosed), errors.Is(err, errSevered),
		errors.Is(err, gocql.ErrTimeoutNoResponse), errors.Is(err, gocql.ErrTooManyTimeouts):
		return Failure{Class: Connection, Code: "lost", Message: err.Error()}
	case errors.Is(err, gocql.ErrNoStreams):
		return Failure{Class: Overload, Code: "streams", Message: err.Error()}
	}
	if lost, ok := networkFailure(err); ok {
		return lost
	}
	return Failure{Class: Other, Code: "driver", Message: err.Error()}
}

func (e *cassandraEngine) Refusal(err error) Reason {
	if errors.Is(err, errKeyspace) {
		return DatabaseMissing
	}
	var refused gocql.RequestError
	if errors.As(err, &refused) {
		switch refused.Code() {
		case gocql.ErrCodeCredentials:
			return AuthenticationFailed
		case gocql.ErrCodeOverloaded:
			return Overloaded
		case gocql.ErrCodeUnavailable, gocql.ErrCodeBootstrapping, gocql.ErrCodeReadTimeout:
			return Unreachable
		}
		return QueryInvalid
	}
	var word *wordError
	if errors.As(err, &word) {
		return QueryInvalid
	}
	return networkRefusal(err)
}
