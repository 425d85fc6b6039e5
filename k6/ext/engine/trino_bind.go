// Parameters of Trino: literals behind EXECUTE … USING. The plan knows texts and numbers only; the server has said
// what each of them is to be.

package engine

import (
	"database/sql/driver"
	"fmt"
	"strconv"
	"strings"
)

func appendExecute(to []byte, types []string, args []driver.Value) []byte {
	to = append(to, "EXECUTE crucible USING "...)
	for i, arg := range args {
		if i > 0 {
			to = append(to, ',')
		}
		kind := "unknown"
		if i < len(types) {
			kind = types[i]
		}
		to = appendTrino(to, kind, arg)
	}
	return to
}

// appendTrino writes a value as a literal of a type. Where the server does not know the type it takes the literal's own.
func appendTrino(to []byte, kind string, value driver.Value) []byte {
	base, _, _ := strings.Cut(kind, "(")
	switch v := value.(type) {
	case nil:
		return append(to, "NULL"...)
	case bool:
		if base == "boolean" || base == "unknown" {
			return strconv.AppendBool(to, v)
		}
		return appendCast(to, kind, strconv.FormatBool(v))
	case int64:
		switch base {
		case "bigint", "integer", "smallint", "tinyint", "decimal", "double", "real", "unknown":
			return strconv.AppendInt(to, v, 10)
		}
		return appendCast(to, kind, strconv.FormatInt(v, 10))
	case float64:
		if base == "double" || base == "unknown" {
			return strconv.AppendFloat(to, v, 'E', -1, 64)
		}
		return appendCast(to, kind, strconv.FormatFloat(v, 'g', -1, 64))
	case string:
		switch base {
		case "varchar", "unknown":
			return appendText(to, v)
		case "json":
			return append(appendText(append(to, "json_parse("...), v), ')')
		case "array", "map", "row":
			to = appendText(append(to, "CAST(json_parse("...), v)
			return append(append(append(to, ") AS "...), kind...), ')')
		}
		return appendCast(to, kind, v)
	default:
		return appendText(to, fmt.Sprint(v))
	}
}

func appendCast(to []byte, kind, text string) []byte {
	to = appendText(append(to, "CAST("...), text)
	return append(append(append(to, " AS "...), kind...), ')')
}

func appendText(to []byte, text string) []byte {
	to = append(to, '\'')
	for i := 0; i < len(text); i++ {
		if text[i] == '\'' {
			to = append(to, '\'')
		}
		to = append(to, text[i])
	}
	return append(to, '\'')
}
