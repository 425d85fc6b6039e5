// The session of a Trino connection. The server keeps none: it says in headers of its answers what a statement has
// changed, and the client says it again with each request.

package engine

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

type trinoSession struct {
	catalog, schema, transaction string
	properties                   map[string]string
	// headers is all of it, ready to be sent.
	headers string
}

func newTrinoSession(database string) trinoSession {
	s := trinoSession{transaction: "NONE", properties: map[string]string{}}
	s.catalog, s.schema, _ = strings.Cut(database, ".")
	s.write()
	return s
}

// take notes what an answer changes. It allocates nothing where that is nothing.
func (s *trinoSession) take(header http.Header) {
	changed := false
	set := func(name string, to *string) {
		if values := header[name]; len(values) > 0 {
			*to, changed = values[0], true
		}
	}
	set("X-Trino-Set-Catalog", &s.catalog)
	set("X-Trino-Set-Schema", &s.schema)
	set("X-Trino-Started-Transaction-Id", &s.transaction)
	if len(header["X-Trino-Clear-Transaction-Id"]) > 0 {
		s.transaction, changed = "NONE", true
	}
	for _, property := range header["X-Trino-Set-Session"] {
		if name, value, ok := strings.Cut(property, "="); ok {
			s.properties[name], changed = value, true
		}
	}
	for _, name := range header["X-Trino-Clear-Session"] {
		delete(s.properties, name)
		changed = true
	}
	if changed {
		s.write()
	}
}

func (s *trinoSession) write() {
	var text strings.Builder
	for _, header := range [][2]string{{"X-Trino-Catalog", s.catalog}, {"X-Trino-Schema", s.schema}, {"X-Trino-Transaction-Id", s.transaction}} {
		if header[1] != "" {
			text.WriteString(header[0] + ": " + header[1] + "\r\n")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.properties)) {
		text.WriteString("X-Trino-Session: " + name + "=" + s.properties[name] + "\r\n")
	}
	s.headers = text.String()
}
