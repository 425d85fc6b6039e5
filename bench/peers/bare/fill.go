package main

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"net/url"
	"strconv"

	"github.com/apache/cassandra-gocql-driver/v2"
	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib" // pgx
	"gopkg.in/inf.v0"
)

// What -fill makes: 100,000 orders, the same for every engine. Trino has tables of its own.
const (
	fillParts = 1000
	fillEach  = 100
)

const (
	fillMySQL = `INSERT INTO bench_orders SELECT seq, 1 + (seq * 104729) % 10000, ELT(1 + seq % 5, 'Taipei', 'Paris', 'Lima', 'Oslo', 'Accra'),
		(seq * 7907 % 50000) / 100, '2026-01-01' + INTERVAL seq MINUTE FROM seq_1_to_100000`
	fillPostgres = `INSERT INTO bench_orders SELECT seq, 1 + (seq::bigint * 104729) % 10000, (ARRAY['Taipei', 'Paris', 'Lima', 'Oslo', 'Accra'])[1 + seq % 5],
		(seq::bigint * 7907 % 50000) / 100.0, timestamp '2026-01-01' + seq * interval '1 minute' FROM generate_series(1, 100000) seq`
	fillTable = "CREATE TABLE bench_orders (id INT PRIMARY KEY, customer INT NOT NULL, city VARCHAR(20) NOT NULL, amount DECIMAL(10,2) NOT NULL, placed %s NOT NULL)"
)

// fill makes the table of the plan's engine and answers the server's version.
func fill(p *plan) (string, error) {
	switch p.Target.Engine {
	case "mysql":
		return fillBySQL(p, []string{"DROP TABLE IF EXISTS bench_orders", fmt.Sprintf(fillTable, "DATETIME"), fillMySQL, "ANALYZE TABLE bench_orders", "SELECT VERSION()"})
	case "postgres":
		return fillBySQL(p, []string{"DROP TABLE IF EXISTS bench_orders", fmt.Sprintf(fillTable, "TIMESTAMP"), fillPostgres, "ANALYZE bench_orders", "SHOW server_version"})
	case "trino":
		return fillBySQL(p, []string{"SELECT node_version FROM system.runtime.nodes"})
	case "cassandra":
		return fillCassandra(p)
	default:
		return "", fmt.Errorf("failed to find engine %q", p.Target.Engine)
	}
}

// fillBySQL runs statements one after the other and answers the one value of the last.
func fillBySQL(p *plan, statements []string) (string, error) {
	db, err := openSQL(p.Target)
	if err != nil {
		return "", err
	}
	defer db.Close()
	last := len(statements) - 1
	for _, statement := range statements[:last] {
		if _, err := db.Exec(statement); err != nil {
			return "", fmt.Errorf("failed to run %q: %w", statement, err)
		}
	}
	var value string
	if err := db.QueryRow(statements[last]).Scan(&value); err != nil {
		return "", fmt.Errorf("failed to ask %q: %w", statements[last], err)
	}
	return value, nil
}

// openSQL is database/sql, which is quick enough for filling.
func openSQL(t target) (*sql.DB, error) {
	switch t.Engine {
	case "mysql":
		config := mysql.NewConfig()
		config.Net, config.Addr, config.DBName = "tcp", net.JoinHostPort(t.Host, strconv.Itoa(t.Port)), t.Database
		config.User, config.Passwd = secret(t.UsernameFile), secret(t.PasswordFile)
		return sql.Open("mysql", config.FormatDSN())
	case "postgres":
		return sql.Open("pgx", postgresSource(t))
	default:
		return sql.Open("trino", trinoSource(t))
	}
}

func postgresSource(t target) string {
	source := url.URL{
		Scheme: "postgres", User: url.UserPassword(secret(t.UsernameFile), secret(t.PasswordFile)),
		Host: net.JoinHostPort(t.Host, strconv.Itoa(t.Port)), Path: t.Database, RawQuery: "sslmode=disable",
	}
	return source.String()
}

func fillCassandra(p *plan) (string, error) {
	keyspace := p.Target.Database
	p.Target.Database = ""
	cluster := cassandraCluster(p)
	session, err := cluster.CreateSession()
	if err != nil {
		return "", fmt.Errorf("failed to connect: %w", err)
	}
	defer session.Close()
	for _, statement := range []string{
		"CREATE KEYSPACE IF NOT EXISTS " + keyspace + " WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
		"DROP TABLE IF EXISTS " + keyspace + ".bench_orders",
		"CREATE TABLE " + keyspace + ".bench_orders (part int, id int, customer int, city text, amount decimal, placed timestamp, PRIMARY KEY (part, id))",
	} {
		if err := session.Query(statement).Exec(); err != nil {
			return "", fmt.Errorf("failed to run %q: %w", statement, err)
		}
	}
	cities := []string{"Taipei", "Paris", "Lima", "Oslo", "Accra"}
	for part := range fillParts {
		batch := session.Batch(gocql.UnloggedBatch)
		for id := range fillEach {
			seq := part*fillEach + id
			batch.Query("INSERT INTO "+keyspace+".bench_orders (part, id, customer, city, amount, placed) VALUES (?, ?, ?, ?, ?, ?)",
				part, id, 1+(seq*104729)%10000, cities[seq%5], inf.NewDec(int64(seq*7907%50000), 2), int64(1767225600000+seq*60000))
		}
		if err := batch.ExecContext(context.Background()); err != nil {
			return "", fmt.Errorf("failed to fill part %d: %w", part, err)
		}
	}
	var version string
	if err := session.Query("SELECT release_version FROM system.local").Scan(&version); err != nil {
		return "", fmt.Errorf("failed to ask for the version: %w", err)
	}
	return version, nil
}
