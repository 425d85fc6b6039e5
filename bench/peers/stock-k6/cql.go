package main

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/apache/cassandra-gocql-driver/v2"
	"go.k6.io/k6/js/modules"
)

func init() { modules.Register("k6/x/cql", new(cql)) }

// cql is Cassandra for scripts, as xk6-sql is for databases of SQL: rows become objects.
type cql struct{}

type cqlDatabase struct{ session *gocql.Session }

var cqlSessions = struct {
	sync.Mutex
	open map[string]*gocql.Session
}{open: map[string]*gocql.Session{}}

// Open connects once for all virtual users, as the driver is meant to be used.
func (*cql) Open(source string) (*cqlDatabase, error) {
	cqlSessions.Lock()
	defer cqlSessions.Unlock()
	if session := cqlSessions.open[source]; session != nil {
		return &cqlDatabase{session}, nil
	}
	address, err := url.Parse(source)
	if err != nil {
		return nil, fmt.Errorf("failed to read the source: %w", err)
	}
	cluster := gocql.NewCluster(address.Hostname())
	if cluster.Port, err = strconv.Atoi(address.Port()); err != nil {
		return nil, fmt.Errorf("failed to read the port: %w", err)
	}
	password, _ := address.User.Password()
	cluster.Keyspace = strings.TrimPrefix(address.Path, "/")
	cluster.Authenticator = gocql.PasswordAuthenticator{Username: address.User.Username(), Password: password}
	session, err := cluster.CreateSession()
	if err != nil {
		return nil, fmt.Errorf("failed to connect: %w", err)
	}
	cqlSessions.open[source] = session
	return &cqlDatabase{session}, nil
}

// Query answers all rows.
func (d *cqlDatabase) Query(statement string, args ...any) ([]map[string]any, error) {
	return d.session.Query(statement, args...).Consistency(gocql.LocalOne).Iter().SliceMap()
}
