package main

import (
	"context"
	"database/sql/driver"
	"fmt"
	"io"
	"net"
	"strconv"

	"github.com/go-sql-driver/mysql"
)

type mysqlClient struct {
	statements []driver.Stmt
	columns    []int
	args       []driver.Value
	dest       []driver.Value
	skip       bool
}

func connectMySQL(p *plan, skip bool) (client, error) {
	config := mysql.NewConfig()
	config.Net, config.Addr = "tcp", net.JoinHostPort(p.Target.Host, strconv.Itoa(p.Target.Port))
	config.DBName = p.Target.Database
	config.User, config.Passwd = secret(p.Target.UsernameFile), secret(p.Target.PasswordFile)
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, fmt.Errorf("failed to read target: %w", err)
	}
	conn, err := connector.Connect(context.Background())
	if err != nil {
		return nil, fmt.Errorf("failed to connect: %w", err)
	}
	c := &mysqlClient{skip: skip}
	for _, q := range p.Queries {
		statement, err := conn.Prepare(q.SQL)
		if err != nil {
			return nil, fmt.Errorf("failed to prepare %q: %w", q.SQL, err)
		}
		c.statements = append(c.statements, statement)
		c.columns = append(c.columns, -1)
	}
	return c, nil
}

func (c *mysqlClient) query(query int, args []any) (int64, error) {
	c.args = c.args[:0]
	for _, arg := range args {
		c.args = append(c.args, arg)
	}
	rows, err := c.statements[query].Query(c.args) //nolint:staticcheck // without a context, which would cost a goroutine's wake-up
	if err != nil {
		return 0, err
	}
	if !c.skip {
		if c.columns[query] < 0 { // asked once: Columns builds the names anew every time
			c.columns[query] = len(rows.Columns())
		}
		if c.columns[query] > cap(c.dest) {
			c.dest = make([]driver.Value, c.columns[query])
		}
		c.dest = c.dest[:c.columns[query]]
	}
	for count := int64(0); ; count++ {
		err := rows.Next(c.dest)
		if err == io.EOF {
			return count, rows.Close()
		}
		if err != nil {
			return count, err
		}
	}
}
