//go:build integration

// What every engine has to show on a real server, one suite for all: TestConformance/ENGINE/NAME, for each name in
// Conformance. The servers are named by environment variables; `cargo xtask engines up` starts them and says which. A
// server that is not named fails its tests.

package engine

import (
	"cmp"
	"context"
	"database/sql/driver"
	"net"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

// subject is one engine's side of the suite: what to ask it to see what.
type subject struct {
	engine string
	// server names the environment variable with the server's address; `_STOP` and `_START` behind it, with the shell
	// commands that kill the server and start it again.
	server string
	// found brings the database itself into being, where there is none at first.
	found func(t *testing.T, s subject, target Target)
	// setUp brings tables into being. Its statements may run again and again.
	setUp []string
	// fill brings rows into being where statements are too slow.
	fill func(t *testing.T, target Target)
	one  string // a statement with one row
	slow string // one that runs for more than ten seconds
	// slowPage is how many rows a page of the slow one has, where only asking for pages can take that long.
	slowPage int
	// running answers a row for each slow statement that the server still runs; where no statement can say that,
	// still is asked instead.
	running string
	still   func(t *testing.T, target Target) bool
	million string // a million rows, more than 100 MB
	bad     []string
	missing string // a statement that needs the database
	// parameter is a statement with one parameter; the first of types where there is none.
	parameter string
	classes   []classCase
	types     []typeCase
	// values are statements of one value, with that value as text.
	values [][2]string
	many   []string // statements of several rows, of none, and of several columns
}

// classCase brings the server to an error with the last of its statements, on one connection.
type classCase struct {
	class      Class
	statements []string
	// meanwhile runs first, on another connection that stays open.
	meanwhile []string
	// edit changes who connects, and where; taken has him connect once before, and stay.
	edit  func(*Target)
	taken bool
	// consistency is that of the statements.
	consistency string
}

// typeCase binds a value. The statement has one row where the value arrived as what it is; where it only writes the value,
// then has that row.
type typeCase struct {
	name  string
	sql   string
	value driver.Value
	then  string
}

var subjects = []subject{mysqlSubject("mysql"), mysqlSubject("doris"), postgresSubject, trinoSubject, cassandraSubject}

func TestConformance(t *testing.T) {
	tests := map[string]func(*testing.T, subject){
		"Connect": connects, "WrongPassword": refusesAWrongPassword, "MissingDatabase": namesAMissingDatabase, "TLS": keepsTLSModes,
		"BadQuery": refusesBadQueries, "TimeOut": cancels, "MillionRows": dropsRows, "ErrorClasses": sortsErrors,
		"ParameterTypes": bindsTypes, "OneValue": answersOneValue, "GoneAndBack": survives,
	}
	if len(tests) != len(Conformance) {
		t.Errorf("%d tests are documented, there are %d", len(Conformance), len(tests))
	}
	for _, s := range subjects {
		t.Run(s.engine, func(t *testing.T) {
			target := s.target(t)
			if s.found != nil {
				s.found(t, s, target)
			}
			for i := range s.setUp {
				s.do(t, target, s.setUp[i:i+1]...)
			}
			if s.fill != nil {
				s.fill(t, target)
			}
			for _, shown := range Conformance {
				t.Run(shown.Name, func(t *testing.T) { tests[shown.Name](t, s) })
			}
		})
	}
}

// target reads where the server is: a DSN of the driver for what speaks MySQL's protocol, otherwise a URL.
func (s subject) target(t *testing.T) Target {
	t.Helper()
	text := os.Getenv(s.server)
	if text == "" {
		t.Fatalf("%s is not set: there is no server to show anything on", s.server)
	}
	target := Target{TLS: "disable", QueryTimeout: 30 * time.Second}
	var host string
	if strings.Contains(text, "@tcp(") {
		config, err := mysql.ParseDSN(text)
		if err != nil {
			t.Fatal(err)
		}
		host, target.Username, target.Password, target.Database = config.Addr, config.User, config.Passwd, config.DBName
	} else {
		parsed, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		host, target.Username, target.Database = parsed.Host, parsed.User.Username(), strings.TrimPrefix(parsed.Path, "/")
		target.Password, _ = parsed.User.Password()
		if mode := parsed.Query().Get("tls"); mode != "" {
			target.TLS = mode
		}
	}
	host, port, err := net.SplitHostPort(host)
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	target.Host, target.Port = host, uint16(number)
	return target
}

func (s subject) open(t *testing.T, target Target, statements ...string) Engine {
	t.Helper()
	queries := make([]Statement, len(statements))
	for i, sql := range statements {
		queries[i] = Statement{Name: "Q" + strconv.Itoa(i), SQL: sql}
		if sql == s.slow {
			queries[i].PageSize = s.slowPage
		}
	}
	return s.openQueries(t, target, queries)
}

func (s subject) openQueries(t *testing.T, target Target, queries []Statement) Engine {
	t.Helper()
	e, err := Open(s.engine, target, queries)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func (s subject) connect(t *testing.T, target Target, statements ...string) (Engine, Conn) {
	t.Helper()
	e := s.open(t, target, statements...)
	conn, err := e.Connect(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return e, conn
}

// do runs statements one after the other and answers the rows of the last one.
func (s subject) do(t *testing.T, target Target, statements ...string) int64 {
	t.Helper()
	_, conn := s.connect(t, target, statements...)
	var rows int64
	for i := range statements {
		var err error
		if rows, err = conn.Query(i, nil); err != nil {
			t.Fatalf("%s: %v", statements[i], err)
		}
	}
	return rows
}

func connects(t *testing.T, s subject) {
	e, conn := s.connect(t, s.target(t), s.one)
	version, settings, err := e.Describe(context.Background(), conn)
	if err != nil || version == "" || len(settings) == 0 {
		t.Errorf("version %q, settings %v, %v", version, settings, err)
	}
	t.Logf("%s: version %s, %v", s.engine, version, settings)
	if parameters, err := conn.Prepare(0); parameters != 0 || err != nil {
		t.Errorf("%d parameters, %v", parameters, err)
	}
	for range 3 {
		before := e.Received()
		if rows, err := conn.Query(0, nil); rows != 1 || err != nil {
			t.Errorf("%d rows, %v", rows, err)
		}
		if e.Received() <= before {
			t.Error("an answer has bytes")
		}
	}
	if !conn.Alive() {
		t.Error("the connection is alive")
	}
}

func refusesAWrongPassword(t *testing.T, s subject) {
	target := s.target(t)
	if s.engine == "trino" {
		target.TLS = "insecureSkipVerify" // in the clear there is no password to be wrong
	}
	if _, err := s.open(t, target, s.one).Connect(context.Background()); err != nil {
		t.Fatalf("the right one: %v", err)
	}
	target.Password = "wrong-" + target.Password
	e := s.open(t, target, s.one)
	_, err := e.Connect(context.Background())
	if err == nil {
		t.Fatal("it was let in")
	}
	if reason := e.Refusal(err); reason != AuthenticationFailed {
		t.Errorf("%s: %v", reason, err)
	}
	if strings.Contains(err.Error(), target.Password) || strings.Contains(e.Explain(err).Message, target.Password) {
		t.Errorf("the password is in %v", err)
	}
}

func namesAMissingDatabase(t *testing.T, s subject) {
	target := s.target(t)
	target.Database = "crucible_nowhere"
	if s.engine == "trino" {
		target.Database = "memory.crucible_nowhere"
	}
	e := s.open(t, target, s.missing)
	conn, err := e.Connect(context.Background())
	if err == nil {
		defer conn.Close()
		_, err = conn.Prepare(0)
	}
	if err == nil || e.Refusal(err) != DatabaseMissing {
		t.Errorf("%v", err)
	}
}

func keepsTLSModes(t *testing.T, s subject) {
	cases := map[string]struct {
		mode, host string
		refused    bool
	}{
		"Verify":     {mode: "verify", host: "localhost"},
		"WrongHost":  {mode: "verify", host: "127.0.0.1", refused: true},
		"SkipVerify": {mode: "insecureSkipVerify", host: "127.0.0.1"},
		"Disable":    {mode: "disable", host: "127.0.0.1"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			target := s.target(t)
			target.TLS, target.Host = tc.mode, tc.host
			if s.engine == "trino" && tc.mode == "disable" {
				target.Port = plainPort(t)
			}
			e := s.open(t, target, s.one)
			conn, err := e.Connect(context.Background())
			if tc.refused {
				if err == nil || e.Refusal(err) != TLSFailed {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if rows, err := conn.Query(0, nil); rows != 1 || err != nil {
				t.Errorf("%d rows, %v", rows, err)
			}
		})
	}
}

func answersOneValue(t *testing.T, s subject) {
	e := s.open(t, s.target(t), s.one)
	conn, err := e.Connect(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for _, value := range s.values {
		if got, err := e.Ask(ctx, conn, value[0]); got != value[1] || err != nil {
			t.Errorf("%s: %q, %v; want %q", value[0], got, err, value[1])
		}
	}
	for _, sql := range append(s.many, s.bad[0]) {
		if got, err := e.Ask(ctx, conn, sql); err == nil {
			t.Errorf("%s: %q, which is not one value", sql, got)
		}
	}
	if got, err := e.Ask(ctx, conn, s.values[0][0]); got != s.values[0][1] || err != nil {
		t.Errorf("after all of that: %q, %v", got, err)
	}
}

func plainPort(t *testing.T) uint16 {
	t.Helper()
	number, err := strconv.ParseUint(os.Getenv("CRUCIBLE_TEST_TRINO_PLAIN"), 10, 16)
	if err != nil {
		t.Fatalf("CRUCIBLE_TEST_TRINO_PLAIN is no port: %v", err)
	}
	return uint16(number)
}

func refusesBadQueries(t *testing.T, s subject) {
	for _, bad := range s.bad {
		e, conn := s.connect(t, s.target(t), bad)
		_, err := conn.Prepare(0)
		if err == nil || e.Refusal(err) != QueryInvalid {
			t.Errorf("%s: %v", bad, err)
		}
	}
	sql := cmp.Or(s.parameter, s.types[0].sql)
	_, conn := s.connect(t, s.target(t), sql)
	if parameters, err := conn.Prepare(0); parameters != 1 || err != nil {
		t.Errorf("%s: %d parameters, %v", sql, parameters, err)
	}
}

// cancels does what the watchdog does.
func cancels(t *testing.T, s subject) {
	target := s.target(t)
	_, conn := s.connect(t, target, s.slow)
	if _, err := conn.Prepare(0); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { _, err := conn.Query(0, nil); done <- err }()
	if s.running != "" {
		eventually(t, 10*time.Second, "the statement runs", func() bool { return s.do(t, target, s.running) == 1 })
	} else {
		time.Sleep(500 * time.Millisecond)
	}
	select {
	case err := <-done:
		t.Fatalf("it is not slow: %v", err)
	default:
	}
	start := time.Now()
	conn.Sever()
	if err := conn.Kill(context.Background()); err != nil {
		t.Errorf("%v", err)
	}
	select {
	case err := <-done:
		if err == nil || conn.Alive() {
			t.Errorf("alive is %t, %v", conn.Alive(), err)
		}
	case <-time.After(2 * time.Second):
		t.Fatal("it did not return")
	}
	t.Logf("%s: returned after %s", s.engine, time.Since(start))
	eventually(t, 10*time.Second, "the server no longer runs it", func() bool {
		if s.running != "" {
			return s.do(t, target, s.running) == 0
		}
		return !s.still(t, target)
	})
	t.Logf("%s: gone from the server after %s", s.engine, time.Since(start))
}

func eventually(t *testing.T, within time.Duration, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("not within %s: %s", within, what)
}

func dropsRows(t *testing.T, s subject) {
	e, conn := s.connect(t, s.target(t), s.million)
	if _, err := conn.Prepare(0); err != nil {
		t.Fatal(err)
	}
	received := e.Received()
	runtime.GC()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	before, highest := memory.HeapAlloc, uint64(0)
	type answer struct {
		rows int64
		err  error
	}
	start := time.Now()
	done := make(chan answer, 1)
	go func() { rows, err := conn.Query(0, nil); done <- answer{rows, err} }()
	for {
		select {
		case got := <-done:
			if got.rows != 1_000_000 || got.err != nil {
				t.Fatalf("%d rows, %v", got.rows, got.err)
			}
			received = e.Received() - received
			t.Logf("%s: %d bytes in %s, heap grew by at most %d KiB", s.engine, received, time.Since(start), (max(highest, before)-before)>>10)
			if received < 100_000_000 {
				t.Errorf("%d bytes are not worth the name", received)
			}
			if highest > before+24<<20 {
				t.Errorf("the heap grew by %d MiB", (highest-before)>>20)
			}
			return
		case <-time.After(5 * time.Millisecond):
			runtime.ReadMemStats(&memory)
			highest = max(highest, memory.HeapAlloc)
		}
	}
}

func sortsErrors(t *testing.T, s subject) {
	for _, tc := range s.classes {
		t.Run(string(tc.class)+"/"+firstWords(tc.statements), func(t *testing.T) {
			target := s.target(t)
			if len(tc.meanwhile) > 0 {
				_, other := s.connect(t, target, tc.meanwhile...)
				for i := range tc.meanwhile {
					if _, err := other.Query(i, nil); err != nil {
						t.Fatal(err)
					}
				}
			}
			if tc.edit != nil {
				tc.edit(&target)
			}
			if tc.taken {
				s.connect(t, target)
			}
			queries := make([]Statement, len(tc.statements))
			for i, sql := range tc.statements {
				queries[i] = Statement{Name: "Q" + strconv.Itoa(i), SQL: sql, Consistency: tc.consistency}
			}
			e := s.openQueries(t, target, queries)
			conn, err := e.Connect(context.Background())
			if err == nil {
				defer conn.Close()
				for i := range tc.statements {
					if _, err = conn.Query(i, nil); err != nil && i < len(tc.statements)-1 {
						t.Fatalf("%s: %v", tc.statements[i], err)
					}
				}
			}
			if err == nil {
				t.Fatal("there was no error")
			}
			failure := e.Explain(err)
			t.Logf("%s: %s %s: %s", s.engine, failure.Class, failure.Code, failure.Message)
			if failure.Class != tc.class || failure.Code == "" || failure.Message == "" {
				t.Errorf("%+v, want %s", failure, tc.class)
			}
		})
	}
}

func firstWords(statements []string) string {
	if len(statements) == 0 {
		return "connecting"
	}
	words := strings.Fields(statements[len(statements)-1])
	return strings.Join(words[:min(3, len(words))], " ")
}

// bindsTypes has all of them on one connection: an engine may take long to open one.
func bindsTypes(t *testing.T, s subject) {
	statements := make([]string, 2*len(s.types))
	for i, tc := range s.types {
		statements[2*i], statements[2*i+1] = tc.sql, tc.then
	}
	_, conn := s.connect(t, s.target(t), statements...)
	for i, tc := range s.types {
		t.Run(tc.name, func(t *testing.T) {
			expected := int64(1)
			if tc.then != "" {
				expected = 0
			}
			for range 2 { // prepared, then used again
				if rows, err := conn.Query(2*i, []driver.Value{tc.value}); rows != expected || err != nil {
					t.Errorf("%v: %d rows, %v", tc.value, rows, err)
				}
			}
			if tc.then == "" {
				return
			}
			if rows, err := conn.Query(2*i+1, nil); rows != 1 || err != nil {
				t.Errorf("%v: %d rows for %s, %v", tc.value, rows, tc.then, err)
			}
		})
	}
}

func survives(t *testing.T, s subject) {
	target := s.target(t)
	e, conn := s.connect(t, target, s.slow, s.one)
	if _, err := conn.Query(1, nil); err != nil {
		t.Fatal(err)
	}
	if uptime, err := e.Uptime(context.Background(), conn); uptime <= 0 || uptime > time.Hour || err != nil {
		t.Errorf("up for %s, %v", uptime, err)
	}
	stopped := time.Now()
	done := make(chan error, 1)
	go func() { _, err := conn.Query(0, nil); done <- err }()
	time.Sleep(500 * time.Millisecond)
	shell(t, os.Getenv(s.server+"_STOP"))
	select {
	case err := <-done:
		if err == nil || e.Explain(err).Class != Connection || conn.Alive() {
			t.Errorf("alive is %t, %v", conn.Alive(), err)
		} else {
			t.Logf("%s: mid-query: %s: %v", s.engine, e.Explain(err).Code, err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nobody noticed")
	}
	conn.Close()
	_, err := e.Connect(context.Background())
	if err == nil || e.Explain(err).Class != Connection || e.Refusal(err) != Unreachable {
		t.Errorf("while it is away: %v", err)
	}
	shell(t, os.Getenv(s.server+"_START"))
	var again Conn
	eventually(t, 3*time.Minute, "it is back", func() bool {
		var err error
		again, err = e.Connect(context.Background())
		return err == nil
	})
	defer again.Close()
	eventually(t, time.Minute, "it answers", func() bool {
		rows, err := again.Query(1, nil)
		return rows == 1 && err == nil
	})
	if uptime, err := e.Uptime(context.Background(), again); uptime <= 0 || uptime > time.Since(stopped)+time.Second || err != nil {
		t.Errorf("%s after it was stopped it has been up for %s, %v", time.Since(stopped), uptime, err)
	}
	if !again.Alive() {
		t.Error("the connection can be used after the question")
	}
}

func shell(t *testing.T, command string) {
	t.Helper()
	if command == "" {
		t.Fatal("there is no command to stop and to start the server with")
	}
	if said, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", command, err, said)
	}
}
