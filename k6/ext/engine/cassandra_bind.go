// Parameters of CQL. The plan knows texts and numbers only; the server has said what each of them is to be, and the
// driver asks here for the bytes.

package engine

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"
	"time"

	"github.com/apache/cassandra-gocql-driver/v2"
	"gopkg.in/inf.v0"
)

// boundValue is one parameter, kept to be filled again. The driver asks it for its bytes once it knows the type.
type boundValue struct{ value driver.Value }

// bindError is a value that cannot be what the server wants.
type bindError struct {
	value driver.Value
	kind  string
	err   error
}

func (e *bindError) Error() string {
	return fmt.Sprintf("failed to bind %v as %s: %v", e.value, e.kind, e.err)
}

func (e *bindError) Unwrap() error { return e.err }

// bind makes args the parameters of the next query. Once a connection has had as many it allocates nothing.
func (c *cassandraConn) bind(args []driver.Value) {
	for len(c.bound) < len(args) {
		c.bound = append(c.bound, &boundValue{})
		c.values = append(c.values[:len(c.bound)-1], c.bound[len(c.bound)-1])
	}
	for i, arg := range args {
		c.bound[i].value = arg
	}
}

// MarshalCQL is what the driver calls.
func (b *boundValue) MarshalCQL(info gocql.TypeInfo) ([]byte, error) {
	if b.value == nil {
		return nil, nil
	}
	converted, err := convert(info, b.value)
	if err == nil {
		var content []byte
		if content, err = info.Marshal(converted); err == nil {
			return content, nil
		}
	}
	kind, known := cassandraTypes[info.Type()]
	if !known {
		kind = fmt.Sprintf("type 0x%04X", int(info.Type()))
	}
	return nil, &bindError{value: b.value, kind: kind, err: err}
}

// cassandraTypes are the types by their names in CQL, for messages.
var cassandraTypes = map[gocql.Type]string{
	gocql.TypeAscii: "ascii", gocql.TypeBigInt: "bigint", gocql.TypeBlob: "blob", gocql.TypeBoolean: "boolean", gocql.TypeCounter: "counter",
	gocql.TypeDecimal: "decimal", gocql.TypeDouble: "double", gocql.TypeFloat: "float", gocql.TypeInt: "int", gocql.TypeText: "text",
	gocql.TypeTimestamp: "timestamp", gocql.TypeUUID: "uuid", gocql.TypeVarchar: "text", gocql.TypeVarint: "varint", gocql.TypeTimeUUID: "timeuuid",
	gocql.TypeInet: "inet", gocql.TypeDate: "date", gocql.TypeTime: "time", gocql.TypeSmallInt: "smallint", gocql.TypeTinyInt: "tinyint",
	gocql.TypeDuration: "duration", gocql.TypeList: "list", gocql.TypeMap: "map", gocql.TypeSet: "set", gocql.TypeUDT: "a user-defined type", gocql.TypeTuple: "tuple",
}

// convert makes of a value one that the driver takes for this type.
func convert(info gocql.TypeInfo, value driver.Value) (any, error) {
	switch v := value.(type) {
	case int64:
		return convertWhole(info.Type(), v), nil
	case float64:
		return convertFraction(info.Type(), v), nil
	case bool:
		if isText(info.Type()) {
			return strconv.FormatBool(v), nil
		}
		return v, nil
	case string:
		return convertText(info, v)
	default:
		return value, nil
	}
}

func isText(kind gocql.Type) bool {
	return kind == gocql.TypeVarchar || kind == gocql.TypeText || kind == gocql.TypeAscii
}

func convertWhole(kind gocql.Type, value int64) any {
	switch kind {
	case gocql.TypeVarchar, gocql.TypeText, gocql.TypeAscii:
		return strconv.FormatInt(value, 10)
	case gocql.TypeDouble:
		return float64(value)
	case gocql.TypeFloat:
		return float32(value)
	case gocql.TypeDecimal:
		return *inf.NewDec(value, 0)
	default:
		return value
	}
}

func convertFraction(kind gocql.Type, value float64) any {
	switch kind {
	case gocql.TypeVarchar, gocql.TypeText, gocql.TypeAscii:
		return strconv.FormatFloat(value, 'g', -1, 64)
	case gocql.TypeFloat:
		return float32(value)
	case gocql.TypeDecimal:
		if exact, ok := new(inf.Dec).SetString(strconv.FormatFloat(value, 'f', -1, 64)); ok {
			return *exact
		}
	}
	return value
}

func convertText(info gocql.TypeInfo, text string) (any, error) {
	switch info.Type() {
	case gocql.TypeBigInt, gocql.TypeInt, gocql.TypeSmallInt, gocql.TypeTinyInt, gocql.TypeCounter:
		return strconv.ParseInt(text, 10, 64)
	case gocql.TypeVarint:
		if whole, ok := new(big.Int).SetString(text, 10); ok {
			return *whole, nil
		}
		return nil, strconv.ErrSyntax
	case gocql.TypeDouble:
		return strconv.ParseFloat(text, 64)
	case gocql.TypeFloat:
		single, err := strconv.ParseFloat(text, 32)
		return float32(single), err
	case gocql.TypeDecimal:
		if exact, ok := new(inf.Dec).SetString(text); ok {
			return *exact, nil
		}
		return nil, strconv.ErrSyntax
	case gocql.TypeBoolean:
		return strconv.ParseBool(text)
	case gocql.TypeTimestamp:
		return instant(text)
	case gocql.TypeTime:
		at, err := time.Parse("15:04:05.999999999", text)
		return at.Sub(at.Truncate(24 * time.Hour)), err
	case gocql.TypeUUID, gocql.TypeTimeUUID:
		return gocql.ParseUUID(text)
	case gocql.TypeBlob:
		return []byte(text), nil
	case gocql.TypeList, gocql.TypeSet, gocql.TypeMap:
		return members(text)
	default:
		return text, nil
	}
}

// instant reads a time with its zone, or one in UTC.
func instant(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999", time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time such as 2026-01-31T23:59:59.123Z", text)
}

// members reads a list, a set or a map from JSON. Its members are converted when the driver asks for each.
func members(text string) (any, error) {
	var list []json.RawMessage
	if err := json.Unmarshal([]byte(text), &list); err == nil {
		values := make([]*boundValue, len(list))
		for i, raw := range list {
			values[i] = member(raw)
		}
		return values, nil
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		return nil, fmt.Errorf("%q is no JSON list or object", text)
	}
	values := make(map[*boundValue]*boundValue, len(object))
	for key, raw := range object {
		values[&boundValue{key}] = member(raw)
	}
	return values, nil
}

// member keeps what is no text as it is written: its type says what it is.
func member(raw json.RawMessage) *boundValue {
	var text string
	if err := json.Unmarshal(raw, &text); err == nil {
		return &boundValue{text}
	}
	return &boundValue{string(raw)}
}
