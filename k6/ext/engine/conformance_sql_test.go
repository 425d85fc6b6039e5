//go:build integration

package engine

import "database/sql/driver"

// mysqlSubject is MariaDB, by the name of one of the engines that speak its protocol.
func mysqlSubject(engine string) subject {
	return subject{
		engine: engine,
		server: "CRUCIBLE_TEST_MYSQL",
		setUp: []string{
			"DROP TABLE IF EXISTS crucible_types",
			"CREATE TABLE crucible_types (id INT PRIMARY KEY, whole BIGINT, exact DECIMAL(20,4), fraction DOUBLE, words VARCHAR(40), day DATE, at DATETIME(3), bytes VARBINARY(8), yes BOOLEAN, nothing INT) CHARACTER SET utf8mb4",
			"INSERT INTO crucible_types VALUES (1, -9223372036854775808, 1234567890123456.7891, 1.5, 'Taipei''s 台北', '2026-01-31', '2026-01-31 23:59:59.123', 'xyz', TRUE, NULL)",
			"CREATE OR REPLACE USER crucible_busy@'%' IDENTIFIED BY 'busy' WITH MAX_USER_CONNECTIONS 1",
			"GRANT SELECT ON *.* TO crucible_busy@'%'",
		},
		one:     "SELECT 1",
		slow:    "SELECT SLEEP(60) /* crucible slow */",
		running: "SELECT id FROM information_schema.processlist WHERE info LIKE '%crucible slow%' AND info NOT LIKE '%processlist%'",
		million: "SELECT seq, REPEAT('x', 100) FROM seq_1_to_1000000",
		bad:     []string{"SELEC 1", "SELECT nothing_such FROM crucible_types", "SELECT 1 FROM crucible_no_such_table"},
		missing: "SELECT 1",
		classes: []classCase{
			{class: Timeout, statements: []string{"SET SESSION max_statement_time = 0.2", "SELECT SLEEP(5)"}},
			{class: Serialization, statements: []string{"SET SESSION innodb_lock_wait_timeout = 1", "UPDATE crucible_types SET nothing = 1 WHERE id = 1"}, meanwhile: []string{"SET SESSION autocommit = 0", "UPDATE crucible_types SET nothing = 2 WHERE id = 1"}},
			{class: ReadOnly, statements: []string{"SET SESSION TRANSACTION READ ONLY", "DELETE FROM crucible_types WHERE id = 7"}},
			{class: Syntax, statements: []string{"SELECT 1 FROM crucible_no_such_table"}},
			{class: Other, statements: []string{"INSERT INTO crucible_types (id) VALUES (1)"}},
			{class: Connection, statements: []string{"KILL CONNECTION CONNECTION_ID()"}},
			{class: Connection, edit: func(target *Target) { target.Port = 1 }},
			{class: Overload, taken: true, edit: func(target *Target) { target.Username, target.Password = "crucible_busy", "busy" }},
		},
		values: [][2]string{
			{"SELECT COUNT(*) FROM crucible_types", "1"}, {"SELECT whole FROM crucible_types", "-9223372036854775808"}, {"SELECT exact FROM crucible_types", "1234567890123456.7891"},
			{"SELECT words FROM crucible_types", "Taipei's 台北"}, {"SELECT NULL", "NULL"},
		},
		many: []string{"SELECT 1 UNION ALL SELECT 2", "SELECT 1 FROM crucible_types WHERE id = 7", "SELECT 1, 2"},
		types: []typeCase{
			{name: "WholeNumber", sql: "SELECT 1 FROM crucible_types WHERE whole = ?", value: int64(-9223372036854775808)},
			{name: "WholeNumberAsText", sql: "SELECT 1 FROM crucible_types WHERE id = ?", value: "1"},
			{name: "Decimal", sql: "SELECT 1 FROM crucible_types WHERE exact = CAST(? AS DECIMAL(20,4))", value: "1234567890123456.7891"},
			{name: "Double", sql: "SELECT 1 FROM crucible_types WHERE fraction = ?", value: 1.5},
			{name: "Text", sql: "SELECT 1 FROM crucible_types WHERE words = ?", value: "Taipei's 台北"},
			{name: "Date", sql: "SELECT 1 FROM crucible_types WHERE day = ?", value: "2026-01-31"},
			{name: "Timestamp", sql: "SELECT 1 FROM crucible_types WHERE at = ?", value: "2026-01-31 23:59:59.123"},
			{name: "Bytes", sql: "SELECT 1 FROM crucible_types WHERE bytes = ?", value: "xyz"},
			{name: "Boolean", sql: "SELECT 1 FROM crucible_types WHERE yes = ?", value: true},
			{name: "Null", sql: "SELECT 1 FROM crucible_types WHERE nothing <=> ?", value: driver.Value(nil)},
		},
	}
}

var postgresSubject = subject{
	engine: "postgres",
	server: "CRUCIBLE_TEST_POSTGRES",
	setUp: []string{
		"DROP TABLE IF EXISTS crucible_types",
		"CREATE TABLE crucible_types (id INT PRIMARY KEY, small SMALLINT, whole BIGINT, exact NUMERIC(20,4), fraction DOUBLE PRECISION, single REAL, words TEXT, day DATE, at TIMESTAMPTZ, key UUID, bytes BYTEA, yes BOOLEAN, tree JSONB, list INT[], nothing INT)",
		"INSERT INTO crucible_types VALUES (1, -7, -9223372036854775808, 1234567890123456.7891, 1.5, 0.25, 'Taipei''s 台北', '2026-01-31', '2026-01-31 23:59:59.123Z', '6f2c9a52-0d7e-4a53-9a37-d2a4b0f6c1aa', '\\x00ff', TRUE, '{\"a\": 1}', '{1,2}', NULL)",
		"DROP ROLE IF EXISTS crucible_busy",
		"CREATE ROLE crucible_busy LOGIN PASSWORD 'busy' CONNECTION LIMIT 0",
	},
	one:     "SELECT 1",
	slow:    "SELECT pg_sleep(60) /* crucible slow */",
	running: "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%crucible slow%' AND pid <> pg_backend_pid()",
	million: "SELECT i, repeat('x', 100) FROM generate_series(1, 1000000) i",
	bad:     []string{"SELEC 1", "SELECT nothing_such FROM crucible_types", "SELECT 1 FROM crucible_no_such_table", "SELECT 1; SELECT 2", "COPY crucible_types FROM STDIN"},
	missing: "SELECT 1",
	classes: []classCase{
		{class: Timeout, statements: []string{"SET statement_timeout = 200", "SELECT pg_sleep(5)"}},
		{class: Serialization, statements: []string{"SET lock_timeout = 200", "UPDATE crucible_types SET nothing = 1 WHERE id = 1"}, meanwhile: []string{"BEGIN", "UPDATE crucible_types SET nothing = 2 WHERE id = 1"}},
		{class: ReadOnly, statements: []string{"SET default_transaction_read_only = on", "DELETE FROM crucible_types WHERE id = 7"}},
		{class: Syntax, statements: []string{"SELECT 1 FROM crucible_no_such_table"}},
		{class: Other, statements: []string{"INSERT INTO crucible_types (id) VALUES (1)"}},
		{class: Other, statements: []string{"SELECT 1 / (SELECT 0)"}},
		{class: Connection, statements: []string{"SELECT pg_terminate_backend(pg_backend_pid())"}},
		{class: Connection, edit: func(target *Target) { target.Port = 1 }},
		{class: Overload, edit: func(target *Target) { target.Username, target.Password = "crucible_busy", "busy" }},
	},
	values: [][2]string{
		{"SELECT COUNT(*) FROM crucible_types", "1"}, {"SELECT whole FROM crucible_types", "-9223372036854775808"}, {"SELECT exact FROM crucible_types", "1234567890123456.7891"},
		{"SELECT words FROM crucible_types", "Taipei's 台北"}, {"SELECT NULL::int", "NULL"},
	},
	many: []string{"SELECT 1 UNION ALL SELECT 2", "SELECT 1 FROM crucible_types WHERE id = 7", "SELECT 1, 2"},
	types: []typeCase{
		{name: "WholeNumber", sql: "SELECT 1 FROM crucible_types WHERE whole = $1", value: int64(-9223372036854775808)},
		{name: "WholeNumberAsText", sql: "SELECT 1 FROM crucible_types WHERE id = $1", value: "1"},
		{name: "SmallNumber", sql: "SELECT 1 FROM crucible_types WHERE small = $1", value: int64(-7)},
		{name: "Decimal", sql: "SELECT 1 FROM crucible_types WHERE exact = $1", value: "1234567890123456.7891"},
		{name: "Double", sql: "SELECT 1 FROM crucible_types WHERE fraction = $1", value: 1.5},
		{name: "Single", sql: "SELECT 1 FROM crucible_types WHERE single = $1", value: "0.25"},
		{name: "Text", sql: "SELECT 1 FROM crucible_types WHERE words = $1", value: "Taipei's 台北"},
		{name: "NumberAsText", sql: "SELECT 1 WHERE $1::text = '42'", value: int64(42)},
		{name: "Date", sql: "SELECT 1 FROM crucible_types WHERE day = $1", value: "2026-01-31"},
		{name: "Timestamp", sql: "SELECT 1 FROM crucible_types WHERE at = $1", value: "2026-01-31T23:59:59.123Z"},
		{name: "UUID", sql: "SELECT 1 FROM crucible_types WHERE key = $1", value: "6f2c9a52-0d7e-4a53-9a37-d2a4b0f6c1aa"},
		{name: "Bytes", sql: "SELECT 1 FROM crucible_types WHERE bytes = $1", value: `\x00ff`},
		{name: "Boolean", sql: "SELECT 1 FROM crucible_types WHERE yes = $1", value: true},
		{name: "JSON", sql: "SELECT 1 FROM crucible_types WHERE tree = $1", value: `{"a":1}`},
		{name: "Array", sql: "SELECT 1 FROM crucible_types WHERE list = $1", value: "{1,2}"},
		{name: "Null", sql: "SELECT 1 WHERE $1::int IS NULL", value: driver.Value(nil)},
		{name: "Limit", sql: "SELECT generate_series(1, 10) LIMIT $1", value: int64(1)},
	},
}
