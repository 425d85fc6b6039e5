package main

import (
	"fmt"
	"sync"

	"github.com/apache/cassandra-gocql-driver/v2"
)

// cassandraSession is shared by all loops, as the driver is meant to be used: it has its own connections, prepares each statement
// once, and multiplexes.
var cassandraSession = struct {
	once    sync.Once
	session *gocql.Session
	err     error
}{}

type cassandraClient struct {
	session *gocql.Session
	queries []string
	skip    bool
}

func cassandraCluster(p *plan) *gocql.ClusterConfig {
	cluster := gocql.NewCluster(p.Target.Host)
	cluster.Port, cluster.Keyspace = p.Target.Port, p.Target.Database
	cluster.Authenticator = gocql.PasswordAuthenticator{Username: secret(p.Target.UsernameFile), Password: secret(p.Target.PasswordFile)}
	return cluster
}

func connectCassandra(p *plan, skip bool) (client, error) {
	shared := &cassandraSession
	shared.once.Do(func() {
		shared.session, shared.err = cassandraCluster(p).CreateSession()
	})
	if shared.err != nil {
		return nil, fmt.Errorf("failed to connect: %w", shared.err)
	}
	c := &cassandraClient{session: shared.session, skip: skip}
	for _, q := range p.Queries {
		c.queries = append(c.queries, q.SQL)
	}
	return c, nil
}

func (c *cassandraClient) query(query int, args []any) (int64, error) {
	rows := c.session.Query(c.queries[query], args...).Consistency(gocql.LocalOne).Iter()
	count := int64(rows.NumRows())
	if c.skip {
		return count, rows.Close()
	}
	data, err := rows.RowData()
	if err != nil {
		return 0, err
	}
	for rows.Scan(data.Values...) {
	}
	return count, rows.Close()
}
