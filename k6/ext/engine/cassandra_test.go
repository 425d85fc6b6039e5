package engine

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"reflect"
	"testing"
	"time"

	"github.com/apache/cassandra-gocql-driver/v2"
	"gopkg.in/inf.v0"
)

// cassandraRefusal is an error of the server as the driver shows it.
type cassandraRefusal struct{ code int }

func (r cassandraRefusal) Code() int       { return r.code }
func (r cassandraRefusal) Message() string { return "m" }
func (r cassandraRefusal) Error() string   { return "m" }

func TestCassandraExplain(t *testing.T) {
	e := &cassandraEngine{}
	code := func(code int) error { return fmt.Errorf("wrapped: %w", cassandraRefusal{code}) }
	cases := map[string]struct {
		reason string
		err    error
		want   Class
		code   string
		refuse Reason
	}{
		"ReadTimeout":  {reason: "replicas were too slow", err: code(0x1200), want: Timeout, code: "0x1200", refuse: Unreachable},
		"WriteTimeout": {reason: "replicas were too slow", err: code(0x1100), want: Timeout, code: "0x1100", refuse: QueryInvalid},
		"Cas":          {reason: "another lightweight transaction was in the way", err: &gocql.RequestErrWriteTimeout{WriteType: "CAS"}, want: Serialization, code: "0x0000", refuse: QueryInvalid},
		"CasUnknown":   {reason: "nobody knows which transaction won", err: code(0x1700), want: Serialization, code: "0x1700", refuse: QueryInvalid},
		"Unavailable":  {reason: "too few replicas are alive", err: code(0x1000), want: Connection, code: "0x1000", refuse: Unreachable},
		"Bootstrap":    {reason: "the node is coming up", err: code(0x1002), want: Connection, code: "0x1002", refuse: Unreachable},
		"Overloaded":   {reason: "the coordinator sheds load", err: code(0x1001), want: Overload, code: "0x1001", refuse: Overloaded},
		"Syntax":       {reason: "the query is not CQL", err: code(0x2000), want: Syntax, code: "0x2000", refuse: QueryInvalid},
		"Invalid":      {reason: "there is no such table", err: code(0x2200), want: Syntax, code: "0x2200", refuse: QueryInvalid},
		"Unauthorized": {reason: "a missing right is no syntax", err: code(0x2100), want: Other, code: "0x2100", refuse: QueryInvalid},
		"Failure":      {reason: "what is not listed is other", err: code(0x1300), want: Other, code: "0x1300", refuse: QueryInvalid},
		"Password":     {reason: "a wrong password", err: code(0x0100), want: Other, code: "0x0100", refuse: AuthenticationFailed},
		"NoHosts":      {reason: "no node is up", err: gocql.ErrNoConnections, want: Connection, code: "connect", refuse: Unreachable},
		"Closed":       {reason: "the connection broke under the query", err: gocql.ErrConnectionClosed, want: Connection, code: "lost", refuse: Unreachable},
		"Severed":      {reason: "we broke it", err: errSevered, want: Connection, code: "lost", refuse: Unreachable},
		"EOF":          {reason: "the server hung up", err: io.EOF, want: Connection, code: "lost", refuse: Unreachable},
		"Refused":      {reason: "nobody listens", err: &net.OpError{Op: "dial", Err: errors.New("refused")}, want: Connection, code: "connect", refuse: Unreachable},
		"DNS":          {reason: "no such host", err: fmt.Errorf("x: %w", &net.DNSError{IsNotFound: true}), want: Connection, code: "lost", refuse: UnknownHost},
		"Streams":      {reason: "every stream of the connection is taken", err: gocql.ErrNoStreams, want: Overload, code: "streams", refuse: Unreachable},
		"Keyspace":     {reason: "no such keyspace", err: errKeyspace, want: Other, code: "driver", refuse: DatabaseMissing},
		"Word":         {reason: "no statement of CQL", err: &wordError{"SELEC"}, want: Other, code: "driver", refuse: QueryInvalid},
		"Bind":         {reason: "a text where a number must be", err: &bindError{value: "x", kind: "int", err: io.EOF}, want: Syntax, code: "bind", refuse: Unreachable},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := e.Explain(tc.err); got.Class != tc.want || got.Code != tc.code {
				t.Errorf("%s: got %s %s, want %s %s", tc.reason, got.Class, got.Code, tc.want, tc.code)
			}
			if got := e.Refusal(tc.err); got != tc.refuse {
				t.Errorf("%s: refused as %s, want %s", tc.reason, got, tc.refuse)
			}
		})
	}
}

func TestCassandraStatementsHaveTheirConsistencyAndPage(t *testing.T) {
	e, err := newCassandra(Target{TLS: "disable"}, []Statement{{SQL: "SELECT a"}, {SQL: "SELECT b", Consistency: "LOCAL_ONE", PageSize: 10}})
	if err != nil {
		t.Fatal(err)
	}
	want := []cassandraStatement{{"SELECT a", gocql.LocalQuorum, 5000}, {"SELECT b", gocql.LocalOne, 10}}
	if !reflect.DeepEqual(e.statements, want) {
		t.Errorf("%+v", e.statements)
	}
	if _, err := newCassandra(Target{TLS: "disable"}, []Statement{{Name: "A", Consistency: "most"}}); err == nil {
		t.Error("an unknown consistency must be refused")
	}
	if _, err := newCassandra(Target{TLS: "maybe"}, nil); err == nil {
		t.Error("an unknown TLS mode must be refused")
	}
}

func TestCassandraConfigurationLeavesTimeAndRetriesToUs(t *testing.T) {
	e, err := newCassandra(Target{Host: "db", Port: 9042, Database: "shop", TLS: "verify", Username: "u", Password: "p", QueryTimeout: 30 * time.Second}, nil)
	if err != nil {
		t.Fatal(err)
	}
	cluster := e.configure([]string{"10.0.0.1"}, &lastError{})
	if cluster.RetryPolicy != nil || cluster.Timeout != 0 || cluster.DefaultIdempotence {
		t.Error("the driver must neither repeat a query nor end one before the watchdog")
	}
	if cluster.SslOpts == nil || cluster.SslOpts.InsecureSkipVerify || cluster.SslOpts.ServerName != "db" {
		t.Error("verify checks the certificate of db")
	}
	if !reflect.DeepEqual(cluster.Authenticator, gocql.PasswordAuthenticator{Username: "u", Password: "p"}) {
		t.Error("who is the plan's")
	}
}

func TestCassandraParametersBecomeWhatTheServerWants(t *testing.T) {
	at := time.Date(2026, 1, 31, 23, 59, 59, 123_000_000, time.UTC)
	cases := []struct {
		kind  gocql.Type
		value driver.Value
		want  any
	}{
		{gocql.TypeInt, int64(5), int64(5)}, {gocql.TypeInt, "5", int64(5)}, {gocql.TypeText, int64(5), "5"}, {gocql.TypeText, 1.5, "1.5"}, {gocql.TypeText, true, "true"},
		{gocql.TypeDouble, int64(2), 2.0}, {gocql.TypeFloat, int64(2), float32(2)}, {gocql.TypeFloat, 0.25, float32(0.25)}, {gocql.TypeFloat, "0.25", float32(0.25)},
		{gocql.TypeDecimal, int64(5), *inf.NewDec(5, 0)}, {gocql.TypeDecimal, 1.5, *inf.NewDec(15, 1)}, {gocql.TypeDecimal, "1.50", *inf.NewDec(150, 2)},
		{gocql.TypeVarint, "12", *big.NewInt(12)}, {gocql.TypeBoolean, "true", true}, {gocql.TypeBoolean, false, false}, {gocql.TypeBlob, "xyz", []byte("xyz")},
		{gocql.TypeTimestamp, "2026-01-31T23:59:59.123Z", at}, {gocql.TypeTimestamp, "2026-01-31 23:59:59.123", at}, {gocql.TypeTime, "00:01:00", time.Minute},
		{gocql.TypeDate, "2026-01-31", "2026-01-31"},
		{gocql.TypeList, `[1, "a"]`, []*boundValue{{"1"}, {"a"}}},
	}
	for _, tc := range cases {
		if got, err := convert(typeOf(tc.kind), tc.value); !reflect.DeepEqual(got, tc.want) || err != nil {
			t.Errorf("%v for %v: %#v, %v", tc.value, tc.kind, got, err)
		}
	}
	for kind, text := range map[gocql.Type]string{gocql.TypeInt: "five", gocql.TypeVarint: "x", gocql.TypeDecimal: "x", gocql.TypeTimestamp: "yesterday", gocql.TypeTime: "25:00", gocql.TypeUUID: "x", gocql.TypeList: "1", gocql.TypeBoolean: "perhaps"} {
		if got, err := convert(typeOf(kind), text); err == nil {
			t.Errorf("%q for %v: %v", text, kind, got)
		}
	}
	var refused *bindError
	_, err := (&boundValue{"five"}).MarshalCQL(typeOf(gocql.TypeInt))
	if want := `failed to bind five as int: strconv.ParseInt: parsing "five": invalid syntax`; !errors.As(err, &refused) || err.Error() != want {
		t.Errorf("%v", err)
	}
	if content, err := (&boundValue{nil}).MarshalCQL(typeOf(gocql.TypeInt)); content != nil || err != nil {
		t.Errorf("null is %v, %v", content, err)
	}
}

// typeOf is a column's type that knows its number alone.
type typeOf gocql.Type

func (t typeOf) Type() gocql.Type            { return gocql.Type(t) }
func (t typeOf) Zero() any                   { return nil }
func (t typeOf) Marshal(any) ([]byte, error) { return nil, nil }
func (t typeOf) Unmarshal([]byte, any) error { return nil }

func TestCassandraParametersAreKeptToBeFilledAgain(t *testing.T) {
	c := &cassandraConn{}
	args := []driver.Value{any(int64(7)), any("Taipei")}
	c.bind(args)
	if len(c.values) != 2 || c.values[1].(*boundValue).value != "Taipei" {
		t.Errorf("%v", c.values)
	}
	if allocations := testing.AllocsPerRun(100, func() { c.bind(args) }); allocations > 0 {
		t.Errorf("binding costs %v allocations", allocations)
	}
}

func TestCassandraRunsNothingInOrderToPrepareIt(t *testing.T) {
	e, err := newCassandra(Target{TLS: "disable"}, []Statement{{SQL: "truncate t"}, {SQL: "SELEC 1"}, {SQL: "USE other"}})
	if err != nil {
		t.Fatal(err)
	}
	conn := &cassandraConn{engine: e} // without a session, so that nothing can be sent
	if parameters, err := conn.Prepare(0); parameters != 0 || err != nil {
		t.Errorf("%d, %v", parameters, err)
	}
	for _, query := range []int{1, 2} {
		if _, err := conn.Prepare(query); e.Refusal(err) != QueryInvalid {
			t.Errorf("%v", err)
		}
	}
}
