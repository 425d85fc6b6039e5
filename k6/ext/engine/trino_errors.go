// What Trino's errors mean.

package engine

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
)

// trinoNames sorts the server's error names, trinoTypes those that are not listed by their type. What is in neither
// is Other.
var (
	trinoNames = map[string]Class{
		"EXCEEDED_TIME_LIMIT":  Timeout,
		"TRANSACTION_CONFLICT": Serialization, "ICEBERG_COMMIT_ERROR": Serialization, "HIVE_CONCURRENT_MODIFICATION_DETECTED": Serialization,
		"READ_ONLY_VIOLATION": ReadOnly,
		"SERVER_STARTING_UP":  Connection, "SERVER_SHUTTING_DOWN": Connection, "NO_NODES_AVAILABLE": Connection, "REMOTE_HOST_GONE": Connection,
		"PAGE_TRANSPORT_ERROR": Connection, "PAGE_TRANSPORT_TIMEOUT": Connection, "TOO_MANY_REQUESTS_FAILED": Connection, "ABANDONED_QUERY": Connection,
		"ABANDONED_TASK": Connection,
		"SYNTAX_ERROR":   Syntax, "TYPE_MISMATCH": Syntax, "AMBIGUOUS_NAME": Syntax, "AMBIGUOUS_FUNCTION_CALL": Syntax, "AMBIGUOUS_OBJECT": Syntax,
		"MISSING_CATALOG_NAME": Syntax, "MISSING_SCHEMA_NAME": Syntax, "MISSING_COLUMN_NAME": Syntax, "MISSING_TABLE": Syntax, "MISSING_GROUP_BY": Syntax,
		"MISSING_OVER": Syntax, "MISSING_ORDER_BY": Syntax, "DUPLICATE_COLUMN_NAME": Syntax, "COLUMN_TYPE_UNKNOWN": Syntax, "TYPE_NOT_FOUND": Syntax,
		"EXPRESSION_NOT_AGGREGATE": Syntax, "EXPRESSION_NOT_SCALAR": Syntax, "EXPRESSION_NOT_CONSTANT": Syntax, "EXPRESSION_NOT_IN_DISTINCT": Syntax,
		"INVALID_COLUMN_REFERENCE": Syntax, "INVALID_PARAMETER_USAGE": Syntax, "NESTED_AGGREGATION": Syntax, "NESTED_WINDOW": Syntax,
		"MISMATCHED_COLUMN_ALIASES": Syntax, "INVALID_LITERAL": Syntax, "INVALID_ARGUMENTS": Syntax,
	}
	trinoTypes = map[string]Class{"INSUFFICIENT_RESOURCES": Overload}
)

func trinoClass(failure *trinoFailure) Class {
	if class, known := trinoNames[failure.Name]; known {
		return class
	}
	if failure.Type == "USER_ERROR" && strings.HasSuffix(failure.Name, "_NOT_FOUND") {
		return Syntax // a table, a column, a function
	}
	if class, known := trinoTypes[failure.Type]; known {
		return class
	}
	return Other
}

func (e *trinoEngine) Explain(err error) Failure {
	var failure *trinoFailure
	if errors.As(err, &failure) {
		return Failure{Class: trinoClass(failure), Code: failure.Name, Message: failure.Message}
	}
	var refused *httpFailure
	if errors.As(err, &refused) {
		class := Other
		switch refused.Status {
		case http.StatusBadRequest:
			class = Syntax
		case http.StatusTooManyRequests, http.StatusServiceUnavailable:
			class = Overload
		case http.StatusBadGateway, http.StatusGatewayTimeout, http.StatusNotFound, http.StatusGone:
			class = Connection // a proxy that reaches nobody; a coordinator that knows nothing of the query any more
		}
		return Failure{Class: class, Code: strconv.Itoa(refused.Status), Message: refused.Error()}
	}
	if lost, ok := networkFailure(err); ok {
		return lost
	}
	if errors.Is(err, errTrinoPage) {
		return Failure{Class: Connection, Code: "lost", Message: err.Error()}
	}
	return Failure{Class: Other, Code: "driver", Message: err.Error()}
}

func (e *trinoEngine) Refusal(err error) Reason {
	var failure *trinoFailure
	if errors.As(err, &failure) {
		switch {
		case failure.Name == "CATALOG_NOT_FOUND", failure.Name == "SCHEMA_NOT_FOUND":
			return DatabaseMissing
		case trinoClass(failure) == Overload:
			return Overloaded
		case trinoClass(failure) == Connection:
			return Unreachable
		}
		return QueryInvalid
	}
	var refused *httpFailure
	if errors.As(err, &refused) {
		switch refused.Status {
		case http.StatusUnauthorized, http.StatusForbidden:
			return AuthenticationFailed
		case http.StatusBadRequest, http.StatusRequestHeaderFieldsTooLarge, http.StatusRequestEntityTooLarge:
			return QueryInvalid
		case http.StatusTooManyRequests, http.StatusServiceUnavailable:
			return Overloaded
		}
		return Unreachable
	}
	if errors.Is(err, errTrinoWantsTLS) {
		return TLSFailed
	}
	return networkRefusal(err)
}
