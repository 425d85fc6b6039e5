package main

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	_ "github.com/trinodb/trino-go-client/trino"
)

// trinoClient is the driver that Trino's makers publish, which is one of database/sql and has no prepared statements of its own:
// a statement with parameters is sent with each query.
type trinoClient struct {
	conn    *sql.Conn
	queries []string
	dest    [][]any
}

func trinoSource(t target) string {
	catalog, schema, _ := strings.Cut(t.Database, ".")
	address := url.URL{
		Scheme: "http", User: url.User(secret(t.UsernameFile)), Host: net.JoinHostPort(t.Host, strconv.Itoa(t.Port)),
		RawQuery: url.Values{"catalog": {catalog}, "schema": {schema}}.Encode(),
	}
	return address.String()
}

func connectTrino(p *plan) (client, error) {
	db, err := sql.Open("trino", trinoSource(p.Target))
	if err != nil {
		return nil, fmt.Errorf("failed to read target: %w", err)
	}
	conn, err := db.Conn(context.Background())
	if err != nil {
		return nil, fmt.Errorf("failed to connect: %w", err)
	}
	c := &trinoClient{conn: conn, dest: make([][]any, len(p.Queries))}
	for _, q := range p.Queries {
		c.queries = append(c.queries, q.SQL)
	}
	return c, nil
}

func (c *trinoClient) query(query int, args []any) (int64, error) {
	rows, err := c.conn.QueryContext(context.Background(), c.queries[query], args...)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	if c.dest[query] == nil {
		columns, err := rows.Columns()
		if err != nil {
			return 0, err
		}
		c.dest[query] = make([]any, len(columns))
		for i := range c.dest[query] {
			c.dest[query][i] = new(any)
		}
	}
	count := int64(0)
	for ; rows.Next(); count++ {
		if err := rows.Scan(c.dest[query]...); err != nil {
			return count, err
		}
	}
	return count, rows.Err()
}
