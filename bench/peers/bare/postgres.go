package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
)

type postgresClient struct {
	conn  *pgx.Conn
	names []string
	skip  bool
}

func connectPostgres(p *plan, skip bool) (client, error) {
	conn, err := pgx.Connect(context.Background(), postgresSource(p.Target))
	if err != nil {
		return nil, fmt.Errorf("failed to connect: %w", err)
	}
	c := &postgresClient{conn: conn, skip: skip}
	for i, q := range p.Queries {
		name := "q" + strconv.Itoa(i)
		if _, err := conn.Prepare(context.Background(), name, q.SQL); err != nil {
			return nil, fmt.Errorf("failed to prepare %q: %w", q.SQL, err)
		}
		c.names = append(c.names, name)
	}
	return c, nil
}

func (c *postgresClient) query(query int, args []any) (int64, error) {
	rows, err := c.conn.Query(context.Background(), c.names[query], args...)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	count := int64(0)
	for ; rows.Next(); count++ {
		if c.skip {
			continue
		}
		if _, err := rows.Values(); err != nil {
			return count, err
		}
	}
	return count, rows.Err()
}
