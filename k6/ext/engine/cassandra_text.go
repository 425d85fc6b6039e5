// A value of Cassandra as text. The server sends none, so it is written here as cqlsh would show it.

package engine

import (
	"encoding/hex"
	"fmt"
	"reflect"
	"time"

	"github.com/apache/cassandra-gocql-driver/v2"
)

type cassandraValue string

// UnmarshalCQL implements the driver's Unmarshaler: only here absence can be told from the zero of a type.
func (t *cassandraValue) UnmarshalCQL(info gocql.TypeInfo, data []byte) error {
	if data == nil {
		*t = "NULL"
		return nil
	}
	if info.Type() == gocql.TypeBlob {
		*t = cassandraValue("0x" + hex.EncodeToString(data))
		return nil
	}
	value := reflect.New(reflect.TypeOf(info.Zero()))
	if err := gocql.Unmarshal(info, data, value.Interface()); err != nil {
		return err
	}
	*t = cassandraValue(shownAs(info.Type(), value.Elem().Interface()))
	return nil
}

func shownAs(kind gocql.Type, value any) string {
	switch value := value.(type) {
	case time.Time:
		if kind == gocql.TypeDate {
			return value.UTC().Format(time.DateOnly)
		}
		return value.UTC().Format("2006-01-02 15:04:05.000-0700")
	case time.Duration:
		return time.Time{}.Add(value).Format("15:04:05.000000000")
	default:
		return fmt.Sprint(value)
	}
}
