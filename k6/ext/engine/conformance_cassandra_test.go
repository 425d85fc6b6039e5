//go:build integration

package engine

import (
	"context"
	"database/sql/driver"
	"strings"
	"testing"
	"time"

	"github.com/apache/cassandra-gocql-driver/v2"
)

var cassandraSubject = subject{
	engine: "cassandra",
	server: "CRUCIBLE_TEST_CASSANDRA",
	found: func(t *testing.T, s subject, target Target) {
		target.Database = ""
		s.do(t, target, "CREATE KEYSPACE IF NOT EXISTS crucible WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")
	},
	setUp: []string{
		"DROP TABLE IF EXISTS crucible_types",
		`CREATE TABLE crucible_types (id int PRIMARY KEY, tiny tinyint, small smallint, whole bigint, huge varint, exact decimal, fraction double, single float, words text, plain ascii,
			day date, at timestamp, hour time, key uuid, moment timeuuid, bytes blob, yes boolean, address inet, span duration, numbers list<int>, names set<text>, counts map<text, int>, nothing int)`,
		"INSERT INTO crucible_types (id, whole, exact, words, day, at, hour, bytes, yes) VALUES (2, -9223372036854775808, 1234567890123456.7891, 'Taipei''s 台北', '2026-01-31', '2026-01-31T23:59:59.123+0000', '23:59:59.500', 0x00ff, true)",
		"CREATE TABLE IF NOT EXISTS crucible_million (part int, id int, words text, PRIMARY KEY (part, id)) WITH compression = {'enabled': false}",
	},
	fill:      fillCassandra,
	one:       "SELECT key FROM system.local",
	slow:      "SELECT id, words FROM crucible_million",
	slowPage:  5,
	still:     stillAsking,
	million:   "SELECT id, words FROM crucible_million ",
	bad:       []string{"SELEC 1", "SELECT nothing_such FROM crucible_types", "SELECT * FROM crucible_no_such_table", "SELECT key FROM system.local; SELECT key FROM system.local"},
	missing:   "SELECT key FROM system.local",
	parameter: "SELECT id FROM crucible_types WHERE id = ?",
	classes: []classCase{
		{class: Timeout, statements: []string{"SELECT count(*), max(words), min(words) FROM crucible_million"}},
		{class: Syntax, statements: []string{"SELECT * FROM crucible_no_such_table"}},
		{class: Other, statements: []string{"CREATE TABLE crucible_types (id int PRIMARY KEY)"}},
		{class: Connection, consistency: "three", statements: []string{"SELECT id FROM crucible_types WHERE id = 1"}},
		{class: Connection, edit: func(target *Target) { target.Port = 1 }},
	},
	values: [][2]string{
		{"SELECT COUNT(*) FROM crucible_types WHERE id = 2", "1"}, {"SELECT whole FROM crucible_types WHERE id = 2", "-9223372036854775808"},
		{"SELECT exact FROM crucible_types WHERE id = 2", "1234567890123456.7891"}, {"SELECT words FROM crucible_types WHERE id = 2", "Taipei's 台北"},
		{"SELECT day FROM crucible_types WHERE id = 2", "2026-01-31"}, {"SELECT at FROM crucible_types WHERE id = 2", "2026-01-31 23:59:59.123+0000"},
		{"SELECT hour FROM crucible_types WHERE id = 2", "23:59:59.500000000"}, {"SELECT bytes FROM crucible_types WHERE id = 2", "0x00ff"},
		{"SELECT yes FROM crucible_types WHERE id = 2", "true"}, {"SELECT nothing FROM crucible_types WHERE id = 2", "NULL"},
	},
	many: []string{"SELECT id FROM crucible_million LIMIT 3", "SELECT id FROM crucible_types WHERE id = 7", "SELECT key, release_version FROM system.local"},
	types: []typeCase{
		arrives("WholeNumber", "whole", int64(-9223372036854775808), " = -9223372036854775808"),
		arrives("WholeNumberAsText", "whole", "5", " = 5"),
		arrives("TinyNumber", "tiny", int64(-7), " = -7"),
		arrives("SmallNumber", "small", "-7", " = -7"),
		arrives("HugeNumber", "huge", "123456789012345678901234567890", " = 123456789012345678901234567890"),
		arrives("Decimal", "exact", "1234567890123456.7891", " = 1234567890123456.7891"),
		arrives("DecimalFromNumber", "exact", 1.5, " = 1.5"),
		arrives("Double", "fraction", 1.5, " = 1.5"),
		arrives("DoubleFromWhole", "fraction", int64(2), " = 2.0"),
		arrives("Single", "single", "0.25", " = 0.25"),
		arrives("Text", "words", "Taipei's 台北", " = 'Taipei''s 台北'"),
		arrives("NumberAsText", "words", int64(42), " = '42'"),
		arrives("Ascii", "plain", "Taipei", " = 'Taipei'"),
		arrives("Date", "day", "2026-01-31", " = '2026-01-31'"),
		arrives("Timestamp", "at", "2026-01-31T23:59:59.123Z", " = '2026-01-31T23:59:59.123+0000'"),
		arrives("TimestampWithoutZone", "at", "2026-01-31 23:59:59.123", " = '2026-01-31T23:59:59.123+0000'"),
		arrives("Time", "hour", "23:59:59.5", " = '23:59:59.500'"),
		arrives("UUID", "key", "6f2c9a52-0d7e-4a53-9a37-d2a4b0f6c1aa", " = 6f2c9a52-0d7e-4a53-9a37-d2a4b0f6c1aa"),
		arrives("TimeUUID", "moment", "50554d6e-29bb-11e5-b345-feff819cdc9f", " = 50554d6e-29bb-11e5-b345-feff819cdc9f"),
		arrives("Bytes", "bytes", "xyz", " = 0x78797a"),
		arrives("Boolean", "yes", true, " = true"),
		arrives("BooleanAsText", "yes", "true", " = true"),
		arrives("Address", "address", "10.0.0.1", " = '10.0.0.1'"),
		arrives("Duration", "span", "1h30m", " = 1h30m"),
		arrives("List", "numbers", "[1, 2]", " CONTAINS 2"),
		arrives("Set", "names", `["a", "b"]`, " CONTAINS 'b'"),
		arrives("Map", "counts", `{"a": 1}`, "['a'] = 1"),
		arrives("Null", "nothing", driver.Value(nil), ""),
	},
}

// arrives writes a value as a parameter; that it has arrived as what it is, the server says when asked in its own words.
func arrives(name, column string, value driver.Value, condition string) typeCase {
	then := "SELECT id FROM crucible_types WHERE id = 1"
	if condition != "" {
		then += " AND " + column + condition + " ALLOW FILTERING"
	}
	return typeCase{name: name, sql: "INSERT INTO crucible_types (id, " + column + ") VALUES (1, ?)", value: value, then: then}
}

// fillCassandra writes a million rows in batches of one partition each, which a server takes for one write.
func fillCassandra(t *testing.T, target Target) {
	t.Helper()
	cluster := gocql.NewCluster(target.Host)
	cluster.Port, cluster.Keyspace, cluster.Logger, cluster.Timeout = int(target.Port), target.Database, silence{}, 30*time.Second
	cluster.Authenticator = gocql.PasswordAuthenticator{Username: target.Username, Password: target.Password}
	session, err := cluster.CreateSession()
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	words := strings.Repeat("x", 100)
	for part := range 500 {
		batch := session.Batch(gocql.UnloggedBatch)
		for id := range 2000 {
			batch.Query("INSERT INTO crucible_million (part, id, words) VALUES (?, ?, ?)", part, id, words)
		}
		if err := batch.Exec(); err != nil {
			t.Fatal(err)
		}
	}
}

// stillAsking counts the requests of all clients twice: somebody who asks for pages asks hundreds of times a second.
func stillAsking(t *testing.T, target Target) bool {
	t.Helper()
	e, err := newCassandra(target, nil)
	if err != nil {
		t.Fatal(err)
	}
	session, err := e.share(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer e.giveBack(session)
	count := func() (requests int64) {
		rows := session.Query("SELECT request_count FROM system_views.clients").Iter()
		var of int64
		for rows.Scan(&of) {
			requests += of
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
		return requests
	}
	before := count()
	time.Sleep(300 * time.Millisecond)
	return count()-before > 20
}
