//go:build integration

package engine

import "database/sql/driver"

var trinoSubject = subject{
	engine: "trino",
	server: "CRUCIBLE_TEST_TRINO",
	setUp: []string{
		"DROP TABLE IF EXISTS crucible_types",
		`CREATE TABLE crucible_types AS SELECT 1 AS id, CAST(-7 AS smallint) AS small, BIGINT '-9223372036854775808' AS whole,
			DECIMAL '1234567890123456.7891' AS exact, 1.5E0 AS fraction, REAL '0.25' AS single, 'Taipei''s 台北' AS words,
			CAST('ab' AS char(4)) AS padded, DATE '2026-01-31' AS day, TIMESTAMP '2026-01-31 23:59:59.123' AS at,
			TIMESTAMP '2026-01-31 23:59:59.123 UTC' AS at_zone, TIME '23:59:59' AS hour, UUID '6f2c9a52-0d7e-4a53-9a37-d2a4b0f6c1aa' AS key,
			CAST('xyz' AS varbinary) AS bytes, true AS yes, ARRAY[1, 2] AS list, CAST(NULL AS integer) AS nothing`,
	},
	one:     "SELECT 1",
	slow:    "SELECT count(*) FROM tpch.sf10000.lineitem /* crucible slow */",
	running: "SELECT query_id FROM system.runtime.queries WHERE state NOT IN ('FAILED', 'FINISHED') AND query LIKE '%crucible slow%' AND query NOT LIKE '%system.runtime%'",
	million: "SELECT a, b, rpad('', 100, 'x') FROM UNNEST(sequence(1, 1000)) AS t (a), UNNEST(sequence(1, 1000)) AS u (b)",
	bad:     []string{"SELEC 1", "SELECT nothing_such FROM crucible_types", "SELECT 1 FROM crucible_no_such_table", "SELECT 1; SELECT 2"},
	missing: "SELECT 1 FROM anything",
	classes: []classCase{
		{class: Timeout, statements: []string{"SET SESSION query_max_run_time = '1s'", "SELECT count(*) FROM tpch.sf10000.lineitem"}},
		{class: Overload, statements: []string{"SET SESSION query_max_memory = '1MB'", "SELECT count(DISTINCT comment) FROM tpch.sf1.lineitem"}},
		{class: ReadOnly, statements: []string{"START TRANSACTION READ ONLY", "DROP TABLE crucible_types"}},
		{class: Syntax, statements: []string{"SELECT 1 FROM crucible_no_such_table"}},
		{class: Other, statements: []string{"SELECT 1 / (SELECT 0)"}},
		{class: Connection, edit: func(target *Target) { target.Port = 1 }},
	},
	values: [][2]string{
		{"SELECT COUNT(*) FROM crucible_types", "1"}, {"SELECT whole FROM crucible_types", "-9223372036854775808"}, {"SELECT exact FROM crucible_types", "1234567890123456.7891"},
		{"SELECT words FROM crucible_types", "Taipei's 台北"}, {"SELECT CAST(NULL AS integer)", "NULL"},
		{"SELECT list FROM crucible_types", "[1,2]"}, {"SELECT yes FROM crucible_types", "true"},
	},
	many: []string{"SELECT 1 UNION ALL SELECT 2", "SELECT 1 FROM crucible_types WHERE id = 7", "SELECT 1, 2"},
	types: []typeCase{
		{name: "WholeNumber", sql: "SELECT 1 FROM crucible_types WHERE whole = ?", value: int64(-9223372036854775808)},
		{name: "WholeNumberAsText", sql: "SELECT 1 FROM crucible_types WHERE id = ?", value: "1"},
		{name: "SmallNumber", sql: "SELECT 1 FROM crucible_types WHERE small = ?", value: int64(-7)},
		{name: "Decimal", sql: "SELECT 1 FROM crucible_types WHERE exact = ?", value: "1234567890123456.7891"},
		{name: "Double", sql: "SELECT 1 FROM crucible_types WHERE fraction = ?", value: 1.5},
		{name: "Single", sql: "SELECT 1 FROM crucible_types WHERE single = ?", value: "0.25"},
		{name: "Text", sql: "SELECT 1 FROM crucible_types WHERE words = ?", value: "Taipei's 台北"},
		{name: "NumberAsText", sql: "SELECT 1 WHERE CAST(? AS varchar) = '42'", value: int64(42)},
		{name: "NumberForText", sql: "SELECT 1 FROM crucible_types WHERE words <> ?", value: int64(42)},
		{name: "Padded", sql: "SELECT 1 FROM crucible_types WHERE padded = ?", value: "ab"},
		{name: "Date", sql: "SELECT 1 FROM crucible_types WHERE day = ?", value: "2026-01-31"},
		{name: "Timestamp", sql: "SELECT 1 FROM crucible_types WHERE at = ?", value: "2026-01-31 23:59:59.123"},
		{name: "TimestampWithZone", sql: "SELECT 1 FROM crucible_types WHERE at_zone = ?", value: "2026-02-01 00:59:59.123 +01:00"},
		{name: "Time", sql: "SELECT 1 FROM crucible_types WHERE hour = ?", value: "23:59:59"},
		{name: "UUID", sql: "SELECT 1 FROM crucible_types WHERE key = ?", value: "6f2c9a52-0d7e-4a53-9a37-d2a4b0f6c1aa"},
		{name: "Bytes", sql: "SELECT 1 FROM crucible_types WHERE bytes = ?", value: "xyz"},
		{name: "Boolean", sql: "SELECT 1 FROM crucible_types WHERE yes = ?", value: true},
		{name: "BooleanAsText", sql: "SELECT 1 FROM crucible_types WHERE yes = ?", value: "true"},
		{name: "Array", sql: "SELECT 1 FROM crucible_types WHERE list = ?", value: "[1,2]"},
		{name: "Null", sql: "SELECT 1 WHERE ? IS NULL", value: driver.Value(nil)},
		{name: "Limit", sql: "SELECT n FROM UNNEST(sequence(1, 10)) AS t (n) LIMIT ?", value: int64(1)},
	},
}
