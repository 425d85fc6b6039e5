package engine

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

func testPostgres(t *testing.T, tlsMode string) *postgresEngine {
	t.Helper()
	e, err := newPostgres(Target{Host: "db", Port: 5432, Database: "shop", TLS: tlsMode, Username: "u", Password: "p@ss:w/rd"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestPostgresExplain(t *testing.T) {
	e := testPostgres(t, "disable")
	state := func(code string) error { return fmt.Errorf("wrapped: %w", &pgconn.PgError{Code: code, Message: "m"}) }
	cases := map[string]struct {
		reason string
		err    error
		want   Class
		code   string
	}{
		"Serialization": {reason: "a transaction saw another's writes", err: state("40001"), want: Serialization, code: "40001"},
		"Deadlock":      {reason: "two transactions were in each other's way", err: state("40P01"), want: Serialization, code: "40P01"},
		"LockTimeout":   {reason: "another transaction was in the way", err: state("55P03"), want: Serialization, code: "55P03"},
		"TooMany":       {reason: "no connection is free", err: state("53300"), want: Overload, code: "53300"},
		"OutOfMemory":   {reason: "the server is out of something", err: state("53200"), want: Overload, code: "53200"},
		"ReadOnly":      {reason: "a replica refuses to write", err: state("25006"), want: ReadOnly, code: "25006"},
		"Parse":         {reason: "the query is not SQL", err: state("42601"), want: Syntax, code: "42601"},
		"Table":         {reason: "there is no such table", err: state("42P01"), want: Syntax, code: "42P01"},
		"Privilege":     {reason: "a missing privilege is no syntax", err: state("42501"), want: Other, code: "42501"},
		"Statement":     {reason: "statement_timeout", err: state("57014"), want: Timeout, code: "57014"},
		"Shutdown":      {reason: "the server is going down", err: state("57P01"), want: Connection, code: "57P01"},
		"Starting":      {reason: "the server is coming up", err: state("57P03"), want: Connection, code: "57P03"},
		"Duplicate":     {reason: "what is not listed is other", err: state("23505"), want: Other, code: "23505"},
		"Odd":           {reason: "an empty code is other", err: state(""), want: Other, code: ""},
		"Closed":        {reason: "the driver found the connection broken", err: fmt.Errorf("x: %w", pgconn.ErrConnClosed), want: Connection, code: "lost"},
		"EOF":           {reason: "the server hung up", err: io.ErrUnexpectedEOF, want: Connection, code: "lost"},
		"Refused":       {reason: "nobody listens", err: &net.OpError{Op: "dial", Err: errors.New("refused")}, want: Connection, code: "connect"},
		"Slow":          {reason: "connecting took too long", err: context.DeadlineExceeded, want: Connection, code: "connect"},
		"Unknown":       {reason: "the driver's own refusals are other", err: errors.New("odd"), want: Other, code: "driver"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := e.Explain(tc.err); got.Class != tc.want || got.Code != tc.code {
				t.Errorf("%s: got %s %s, want %s %s", tc.reason, got.Class, got.Code, tc.want, tc.code)
			}
		})
	}
}

func TestPostgresConfigTakesNothingFromTheEnvironment(t *testing.T) {
	t.Setenv("PGHOST", "elsewhere")
	t.Setenv("PGUSER", "somebody")
	t.Setenv("PGDATABASE", "theirs")
	t.Setenv("PGOPTIONS", "-c statement_timeout=1")
	t.Setenv("PGTARGETSESSIONATTRS", "read-write")
	t.Setenv("PGCHANNELBINDING", "require")
	verify, plain := testPostgres(t, "verify").config, testPostgres(t, "disable").config
	if verify.TLSConfig == nil || verify.TLSConfig.InsecureSkipVerify || verify.TLSConfig.ServerName != "db" || plain.TLSConfig != nil {
		t.Error("TLS is not as the plan says")
	}
	for _, config := range []*pgconn.Config{verify, plain} {
		if config.Host != "db" || config.User != "u" || config.Database != "shop" || config.Password != "p@ss:w/rd" {
			t.Error("who and where is the plan's")
		}
		if len(config.Fallbacks) != 0 || config.ValidateConnect != nil || len(config.RuntimeParams) != 1 || config.ChannelBinding != "prefer" {
			t.Errorf("the environment changed %v, %d fallbacks, channel binding %s", config.RuntimeParams, len(config.Fallbacks), config.ChannelBinding)
		}
	}
	if plain.RequireAuth != "!password" || testPostgres(t, "insecureSkipVerify").config.RequireAuth != "!password" || verify.RequireAuth != "" {
		t.Error("a password goes in clear text only to a server that is known")
	}
	if _, err := newPostgres(Target{TLS: "maybe"}, nil); err == nil {
		t.Error("an unknown TLS mode must be refused")
	}
}

func TestPostgresParametersAreText(t *testing.T) {
	c := &postgresConn{}
	for range 2 { // the second time in used memory
		c.bind([]driver.Value{int64(-5), nil, "it's", 1.5, true, ""})
		want := [][]byte{[]byte("-5"), nil, []byte("it's"), []byte("1.5"), []byte("true"), {}}
		if !reflect.DeepEqual(c.values, want) {
			t.Errorf("bound %q, want %q", c.values, want)
		}
	}
	args := []driver.Value{any(int64(7)), any("Taipei")}
	if allocations := testing.AllocsPerRun(100, func() { c.bind(args) }); allocations > 0 {
		t.Errorf("binding costs %v allocations", allocations)
	}
}
