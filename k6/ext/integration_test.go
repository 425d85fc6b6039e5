//go:build integration

// The whole path but k6 itself, against a real server. CRUCIBLE_TEST_MYSQL names it as the driver's DSN,
// user:password@tcp(host:port)/database; the user may create tables there. Without it this ring fails rather than
// passes: it is asked for by the build tag.

package ext

import (
	"context"
	"database/sql"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"crucible.dev/k6/ext/engine"
)

const rowsInTable = 1000

func mysqlTarget(t *testing.T) (engine.Target, *sql.DB) {
	t.Helper()
	dsn := os.Getenv("CRUCIBLE_TEST_MYSQL")
	if dsn == "" {
		t.Fatal("CRUCIBLE_TEST_MYSQL is not set")
	}
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	host, port, err := net.SplitHostPort(config.Addr)
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := db.Exec("DROP TABLE IF EXISTS crucible_k6_orders"); err != nil {
			t.Error(err)
		}
		_ = db.Close()
	})
	for _, statement := range []string{
		"DROP TABLE IF EXISTS crucible_k6_orders",
		"CREATE TABLE crucible_k6_orders (id INT PRIMARY KEY, city VARCHAR(32) NOT NULL, paid DATETIME NULL)",
	} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	for id := 1; id <= rowsInTable; id++ {
		if _, err := db.Exec("INSERT INTO crucible_k6_orders VALUES (?, ?, NULL)", id, []string{"Taipei", "Paris"}[id%2]); err != nil {
			t.Fatal(err)
		}
	}
	return engine.Target{Host: host, Port: uint16(number), Database: config.DBName, TLS: "disable", Username: config.User, Password: config.Passwd}, db
}

func openMySQL(t *testing.T, target engine.Target, p *plan) engine.Engine {
	t.Helper()
	e, err := engine.Open("mysql", target, p.statements())
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestMySQLRunIsCountedExactly(t *testing.T) {
	target, _ := mysqlTarget(t)
	one, fifty := int64(1), int64(50)
	p := stagePlan(func(p *plan) {
		p.Stages = []stage{{Name: "only", DurationNanos: int64(time.Second), VUs: 4}}
		p.Queries = []query{
			{Name: "Point", Weight: 1, SQL: "SELECT id, city, paid FROM crucible_k6_orders WHERE id = ?", Bindings: []binding{{Name: "id", Kind: "intRange", Min: 1, Max: rowsInTable}}},
			{Name: "Range", Weight: 1, SQL: "SELECT id, city, paid FROM crucible_k6_orders WHERE id > ? ORDER BY id LIMIT 50", Bindings: []binding{{Name: "id", Kind: "intRange", Min: 0, Max: rowsInTable - 50}}},
			{Name: "Write", Weight: 1, SQL: "UPDATE crucible_k6_orders SET paid = NOW() WHERE id = ?", Bindings: []binding{{Name: "id", Kind: "intRange", Min: 1, Max: rowsInTable}}},
		}
		for i, rows := range []*int64{&one, &fifty} {
			p.Queries[i].ExpectRows = &struct {
				Min *int64 `json:"min"`
				Max *int64 `json:"max"`
			}{Min: rows, Max: rows}
		}
	})
	th := raise(t, openMySQL(t, target, p), p)
	th.start()
	last := th.until("finished")
	counts := th.counts()
	if last.Errors != 0 || last.Queries < 100 || counts["only ok"] != last.Queries {
		t.Fatalf("every query is answered with the rows expected: %v %+v", counts, last)
	}
	var points, ranges int64
	for _, line := range th.heard {
		for _, r := range line.Records {
			switch r.Query {
			case "Point":
				points += int64(r.Count)
			case "Range":
				ranges += int64(r.Count)
			}
		}
	}
	if want := points + 50*ranges; last.Rows != want {
		t.Errorf("%d rows were read, want %d", last.Rows, want)
	}
}

func TestMySQLTimeOutLeavesNothingRunning(t *testing.T) {
	target, db := mysqlTarget(t)
	p := stagePlan(func(p *plan) {
		p.Stages[0] = stage{Name: "only", DurationNanos: int64(500 * time.Millisecond), VUs: 1}
		p.Queries[0].SQL = "SELECT SLEEP(30) /* crucible time-out */"
		p.QueryTimeoutNanos = int64(200 * time.Millisecond)
	})
	th := raise(t, openMySQL(t, target, p), p)
	th.start()
	th.until("finished")
	if counts := th.counts(); counts["only timeout"] < 2 || counts["only ok"] != 0 {
		t.Errorf("each try times out: %v", counts)
	}
	<-th.run.finished
	running := -1
	for range 40 {
		if err := db.QueryRow("SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE '%crucible time-out%' AND info NOT LIKE '%processlist%'").Scan(&running); err != nil {
			t.Fatal(err)
		}
		if running == 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("%d queries still run on the server", running)
}

func TestMySQLSurvivesKilledConnections(t *testing.T) {
	target, _ := mysqlTarget(t)
	p := stagePlan(func(p *plan) {
		p.Stages[0] = stage{Name: "only", DurationNanos: int64(time.Second), VUs: 3}
		p.Queries[0].SQL = "SELECT id FROM crucible_k6_orders WHERE id = 7"
	})
	th := raise(t, openMySQL(t, target, p), p)
	th.start()
	th.until("started")
	time.Sleep(200 * time.Millisecond)
	for _, s := range th.run.sessions {
		if conn := s.shared.Load(); conn != nil {
			if err := (*conn).Kill(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
	}
	last := th.until("finished")
	counts := th.counts()
	if counts["only connection"] < 1 || counts["only connection"] > 3 || reconnects(th.heard) != 3 {
		t.Errorf("three killed connections are at most three errors and three reconnects: %v, %d reconnects", counts, reconnects(th.heard))
	}
	if counts["only ok"]+counts["only connection"] != last.Queries {
		t.Errorf("there are other errors: %v", counts)
	}
}

func TestMySQLRefusals(t *testing.T) {
	target, _ := mysqlTarget(t)
	cases := map[string]struct {
		reason string
		edit   func(*engine.Target, *plan)
		want   engine.Reason
	}{
		"Password": {reason: "a wrong password is no broken server", edit: func(target *engine.Target, _ *plan) { target.Password = "wrong-" + target.Password }, want: engine.AuthenticationFailed},
		"Host":     {reason: "a host that does not exist is named", edit: func(target *engine.Target, _ *plan) { target.Host = "no-such-host.invalid" }, want: engine.UnknownHost},
		"Port":     {reason: "nobody listens there", edit: func(target *engine.Target, _ *plan) { target.Host, target.Port = "127.0.0.1", 1 }, want: engine.Unreachable},
		"TLS":      {reason: "a server without a trusted certificate is not spoken to", edit: func(target *engine.Target, _ *plan) { target.TLS = "verify" }, want: engine.TLSFailed},
		"SQL":      {reason: "a query that cannot be prepared is named", edit: func(_ *engine.Target, p *plan) { p.Queries[0].SQL = "SELEC 1" }, want: engine.QueryInvalid},
		"Table":    {reason: "so is one on a table that does not exist", edit: func(_ *engine.Target, p *plan) { p.Queries[0].SQL = "SELECT 1 FROM crucible_no_such_table" }, want: engine.QueryInvalid},
		"Unbound":  {reason: "so is one with a placeholder too many", edit: func(_ *engine.Target, p *plan) { p.Queries[0].SQL = "SELECT ?" }, want: engine.QueryInvalid},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			target := target
			p := stagePlan(func(p *plan) { p.Queries[0].SQL = "SELECT 1" })
			tc.edit(&target, p)
			th := raise(t, openMySQL(t, target, p), p)
			defer th.run.halt(whyContext)
			line := th.until("preflight")
			if line.OK || line.Reason != string(tc.want) {
				t.Errorf("%s: told %+v", tc.reason, line)
			}
			if strings.Contains(th.lines.Text(), target.Password) {
				t.Errorf("the password is in %s", th.lines.Text())
			}
		})
	}
}

func TestMySQLFallsBackToTextForWhatCannotBePrepared(t *testing.T) {
	target, _ := mysqlTarget(t)
	p := stagePlan(func(p *plan) {
		p.Queries = []query{{Name: "Lock", Weight: 1, SQL: "LOCK TABLES crucible_k6_orders READ"}, {Name: "Unlock", Weight: 1, SQL: "UNLOCK TABLES"}, {Name: "Help", Weight: 1, SQL: "HELP 'contents'"}}
	})
	th := raise(t, openMySQL(t, target, p), p)
	th.start()
	if last := th.until("finished"); last.Errors != 0 || last.Queries == 0 {
		t.Errorf("told %+v: %+v", last, th.heard)
	}
}

func TestMySQLServerGetsNoFileFromUs(t *testing.T) {
	target, db := mysqlTarget(t)
	_, _ = db.Exec("SET GLOBAL local_infile = 1") // where we may; many servers have it on anyway
	p := stagePlan(func(p *plan) {
		p.Queries[0].SQL = "LOAD DATA LOCAL INFILE '/etc/hostname' IGNORE INTO TABLE crucible_k6_orders (city)"
	})
	th := raise(t, openMySQL(t, target, p), p)
	defer th.run.halt(whyContext)
	line := th.until("preflight")
	if !line.OK {
		return // refused before it ran
	}
	th.start()
	if last := th.until("finished"); last.Errors != last.Queries || last.Queries == 0 {
		t.Errorf("a file was read: %+v", last)
	}
}
