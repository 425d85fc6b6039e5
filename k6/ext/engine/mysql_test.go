package engine

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/go-sql-driver/mysql"
)

func testEngine(t *testing.T, tlsMode string) *mysqlEngine {
	t.Helper()
	e, err := newMySQL(Target{Host: "db", Port: 3306, Database: "shop", TLS: tlsMode, Username: "u", Password: "p@ss:w/rd"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestExplain(t *testing.T) {
	e := testEngine(t, "disable")
	number := func(n uint16) error {
		return fmt.Errorf("wrapped: %w", &mysql.MySQLError{Number: n, Message: "m"})
	}
	cases := map[string]struct {
		reason string
		err    error
		want   Class
		code   string
	}{
		"LockWait":       {reason: "another transaction was in the way", err: number(1205), want: Serialization, code: "1205"},
		"Deadlock":       {reason: "two transactions were in each other's way", err: number(1213), want: Serialization, code: "1213"},
		"TooMany":        {reason: "no connection is free", err: number(1040), want: Overload, code: "1040"},
		"TooManyForUser": {reason: "no connection is free for this user", err: number(1203), want: Overload, code: "1203"},
		"Quota":          {reason: "the user's quota is used up", err: number(1226), want: Overload, code: "1226"},
		"ReadOnlyOption": {reason: "a replica refuses to write", err: number(1290), want: ReadOnly, code: "1290"},
		"ReadOnlyMode":   {reason: "a server in read-only mode refuses to write", err: number(1836), want: ReadOnly, code: "1836"},
		"ReadOnlyTx":     {reason: "a read-only transaction refuses to write", err: number(1792), want: ReadOnly, code: "1792"},
		"Parse":          {reason: "the query is not SQL", err: number(1064), want: Syntax, code: "1064"},
		"Column":         {reason: "there is no such column", err: number(1054), want: Syntax, code: "1054"},
		"Table":          {reason: "there is no such table", err: number(1146), want: Syntax, code: "1146"},
		"MaxTimeMaria":   {reason: "MariaDB's max_statement_time", err: number(1969), want: Timeout, code: "1969"},
		"MaxTimeMySQL":   {reason: "MySQL's max_execution_time", err: number(3024), want: Timeout, code: "3024"},
		"Shutdown":       {reason: "the server is going down", err: number(1053), want: Connection, code: "1053"},
		"Killed":         {reason: "the connection was killed", err: number(1927), want: Connection, code: "1927"},
		"Duplicate":      {reason: "what is not listed is other", err: number(1062), want: Other, code: "1062"},
		"Gone":           {reason: "the driver found the connection broken", err: mysql.ErrInvalidConn, want: Connection, code: "lost"},
		"Bad":            {reason: "the driver could not even write", err: driver.ErrBadConn, want: Connection, code: "lost"},
		"EOF":            {reason: "the server hung up", err: io.ErrUnexpectedEOF, want: Connection, code: "lost"},
		"Refused":        {reason: "nobody listens", err: fmt.Errorf("dial: %w", &net.OpError{Op: "dial", Err: errors.New("refused")}), want: Connection, code: "connect"},
		"ConnectTime":    {reason: "connecting took too long", err: fmt.Errorf("connect: %w", context.DeadlineExceeded), want: Connection, code: "connect"},
		"Unknown":        {reason: "the driver's own refusals are other", err: errors.New("cannot convert type"), want: Other, code: "driver"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := e.Explain(tc.err)
			if got.Class != tc.want || got.Code != tc.code {
				t.Errorf("%s: got %s %s, want %s %s", tc.reason, got.Class, got.Code, tc.want, tc.code)
			}
		})
	}
}

func TestRefusal(t *testing.T) {
	e := testEngine(t, "disable")
	number := func(n uint16) error { return fmt.Errorf("wrapped: %w", &mysql.MySQLError{Number: n}) }
	cases := map[string]struct {
		reason string
		err    error
		want   Reason
	}{
		"Password":    {reason: "a wrong password", err: number(1045), want: AuthenticationFailed},
		"Grant":       {reason: "no right on the database", err: number(1044), want: DatabaseMissing},
		"Host":        {reason: "no log-in from here", err: number(1130), want: AuthenticationFailed},
		"Plugin":      {reason: "an authentication that the driver lacks", err: mysql.ErrUnknownPlugin, want: AuthenticationFailed},
		"Database":    {reason: "no such database", err: number(1049), want: DatabaseMissing},
		"Full":        {reason: "no connection is free", err: number(1040), want: Overloaded},
		"Table":       {reason: "a query that cannot be prepared", err: number(1146), want: QueryInvalid},
		"DNS":         {reason: "no such host", err: fmt.Errorf("dial: %w", &net.DNSError{Err: "no such host", IsNotFound: true}), want: UnknownHost},
		"DNSSilent":   {reason: "the name service is silent", err: fmt.Errorf("dial: %w", &net.DNSError{Err: "i/o timeout", IsTimeout: true}), want: Unreachable},
		"Refused":     {reason: "nobody listens", err: &net.OpError{Op: "dial", Err: errors.New("refused")}, want: Unreachable},
		"Slow":        {reason: "no answer", err: context.DeadlineExceeded, want: Unreachable},
		"NoTLS":       {reason: "the server offers no TLS", err: mysql.ErrNoTLS, want: TLSFailed},
		"Certificate": {reason: "a certificate that nobody vouches for", err: &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, want: TLSFailed},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := e.Refusal(tc.err); got != tc.want {
				t.Errorf("%s: got %s, want %s", tc.reason, got, tc.want)
			}
		})
	}
}

func TestEveryServerNumberHasAKnownClass(t *testing.T) {
	for number, class := range mysqlNumbers {
		if class == OK || Classes[Index(class)] != class {
			t.Errorf("number %d has class %q", number, class)
		}
	}
}

func TestConfigIsClosedToFilesAndToPlaintextFallback(t *testing.T) {
	verify, trusting, plain := testEngine(t, "verify").config, testEngine(t, "insecureSkipVerify").config, testEngine(t, "disable").config
	if verify.TLS == nil || verify.TLS.InsecureSkipVerify || verify.TLS.ServerName != "db" {
		t.Errorf("verify checks the certificate of db, but TLS is %+v", verify.TLS)
	}
	if trusting.TLS == nil || !trusting.TLS.InsecureSkipVerify {
		t.Error("insecureSkipVerify encrypts without checking")
	}
	if plain.TLS != nil {
		t.Error("disable does not encrypt")
	}
	for _, config := range []*mysql.Config{verify, trusting, plain} {
		if config.AllowAllFiles || config.AllowFallbackToPlaintext || config.MultiStatements || config.AllowCleartextPasswords {
			t.Errorf("too much is allowed: %+v", config)
		}
		if config.Passwd != "p@ss:w/rd" || config.Addr != "db:3306" {
			t.Error("the password is used as it is, whatever it holds")
		}
	}
	if _, err := newMySQL(Target{TLS: "maybe"}, nil); err == nil {
		t.Error("an unknown TLS mode must be refused")
	}
}
