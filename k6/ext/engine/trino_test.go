package engine

import (
	"bufio"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// trinoStub is an engine whose server is ours.
func trinoStub(t *testing.T, tls, password string, handle http.HandlerFunc) *trinoEngine {
	t.Helper()
	server := httptest.NewUnstartedServer(handle)
	if tls == "disable" {
		server.Start()
	} else {
		server.StartTLS()
	}
	t.Cleanup(server.Close)
	at := server.Listener.Addr().(*net.TCPAddr)
	target := Target{Host: at.IP.String(), Port: uint16(at.Port), Database: "hive.shop", TLS: tls, Username: "u", Password: password}
	e, err := newTrino(target, []Statement{{Name: "A", SQL: "SELECT 1"}, {Name: "B", SQL: "SELECT ?"}})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestTrinoSendsAPasswordOverTLSOnly(t *testing.T) {
	cases := map[string]struct{ tls, password, user, authorization string }{
		"TLS":         {tls: "insecureSkipVerify", password: "p", user: "u", authorization: "Basic dTpw"},
		"NoPassword":  {tls: "insecureSkipVerify", password: "", user: "u", authorization: ""},
		"InTheClear":  {tls: "disable", password: "p", user: "u", authorization: ""},
		"NothingSaid": {tls: "disable", password: "", user: "u", authorization: ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			e := trinoStub(t, tc.tls, tc.password, func(w http.ResponseWriter, r *http.Request) {
				if user, authorization := r.Header.Get("X-Trino-User"), r.Header.Get("Authorization"); user != tc.user || authorization != tc.authorization {
					t.Errorf("user %q, authorization %q", user, authorization)
				}
				w.WriteHeader(http.StatusGone)
			})
			conn, err := e.Connect(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			conn.Close()
		})
	}
}

func TestTrinoRefusesWhatWouldBeAHeaderOfItsOwn(t *testing.T) {
	for _, target := range []Target{{TLS: "disable", Username: "u\r\nX-Trino-Role: admin"}, {TLS: "disable", Database: "hive\nshop"}, {TLS: "maybe"}} {
		if _, err := newTrino(target, nil); err == nil {
			t.Errorf("%+v was accepted", target)
		}
	}
}

func TestTrinoFollowsAQueryToItsEnd(t *testing.T) {
	asking := make(chan string, 16)
	e := trinoStub(t, "disable", "", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asking <- strings.TrimSpace(r.Method + " " + r.URL.RequestURI() + " " + string(body))
		switch r.URL.Path {
		case nobody:
			w.WriteHeader(http.StatusGone)
		case "/v1/statement":
			if strings.HasPrefix(string(body), "DESCRIBE") {
				_, _ = io.WriteString(w, `{"id":"q","data":[[0,"bigint"]],"stats":{}}`)
				return
			}
			if got := r.Header.Get("X-Trino-Prepared-Statement"); got != "crucible=SELECT+%3F" {
				t.Errorf("the statement is sent along: %q", got)
			}
			_, _ = io.WriteString(w, `{"id":"q","nextUri":"https://elsewhere.example/v1/statement/executing/q/x/1?a=b","stats":{"state":"QUEUED"}}`)
		default:
			_, _ = io.WriteString(w, `{"id":"q","columns":[{"name":"a"}],"data":[[[1],"]}"],[[2],"\"["]],"stats":{}}`)
		}
	})
	conn, err := e.Connect(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	rows, err := conn.Query(1, []driver.Value{int64(7)})
	if rows != 2 || err != nil || !conn.Alive() {
		t.Errorf("%d rows, %v", rows, err)
	}
	want := []string{"GET " + nobody, "POST /v1/statement DESCRIBE INPUT crucible", "POST /v1/statement EXECUTE crucible USING 7", "GET /v1/statement/executing/q/x/1?a=b"}
	var asked []string
	for len(asking) > 0 {
		asked = append(asked, <-asking)
	}
	if !slices.Equal(asked, want) {
		t.Errorf("asked %q", asked)
	}
	if e.Received() == 0 {
		t.Error("bytes are counted")
	}
}

func TestTrinoKeepsTheSessionThatTheServerTells(t *testing.T) {
	s := newTrinoSession("hive.shop")
	if want := "X-Trino-Catalog: hive\r\nX-Trino-Schema: shop\r\nX-Trino-Transaction-Id: NONE\r\n"; s.headers != want {
		t.Errorf("%q", s.headers)
	}
	s.take(http.Header{"X-Trino-Set-Session": {"b=2", "a=1"}, "X-Trino-Set-Schema": {"other"}, "X-Trino-Started-Transaction-Id": {"t1"}})
	if want := "X-Trino-Catalog: hive\r\nX-Trino-Schema: other\r\nX-Trino-Transaction-Id: t1\r\nX-Trino-Session: a=1\r\nX-Trino-Session: b=2\r\n"; s.headers != want {
		t.Errorf("%q", s.headers)
	}
	s.take(http.Header{"X-Trino-Clear-Session": {"a"}, "X-Trino-Clear-Transaction-Id": {"true"}})
	if want := "X-Trino-Catalog: hive\r\nX-Trino-Schema: other\r\nX-Trino-Transaction-Id: NONE\r\nX-Trino-Session: b=2\r\n"; s.headers != want {
		t.Errorf("%q", s.headers)
	}
	if catalog := newTrinoSession("hive"); catalog.headers != "X-Trino-Catalog: hive\r\nX-Trino-Transaction-Id: NONE\r\n" {
		t.Errorf("%q", catalog.headers)
	}
}

func TestTrinoKillAsksForTheQuerysEnd(t *testing.T) {
	released, deleted := make(chan struct{}), make(chan string, 1)
	e := trinoStub(t, "disable", "", func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == "DELETE":
			deleted <- r.URL.Path
			w.WriteHeader(http.StatusNoContent)
		case r.URL.Path == nobody:
			w.WriteHeader(http.StatusGone)
		case r.Method == "POST":
			_, _ = io.WriteString(w, `{"nextUri":"http://x/v1/statement/executing/q/x/1"}`)
		default:
			<-released
		}
	})
	defer close(released)
	conn, err := e.Connect(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	conn.(*trinoConn).prepared[0] = &trinoStatement{}
	done := make(chan error, 1)
	go func() { _, err := conn.Query(0, nil); done <- err }()
	for end := time.Now().Add(5 * time.Second); conn.(*trinoConn).next.Load() == nil && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	conn.Sever()
	if err := <-done; err == nil || conn.Alive() || e.Explain(err).Class != Connection {
		t.Errorf("alive is %t, %v", conn.Alive(), err)
	}
	if err := conn.Kill(context.Background()); err != nil {
		t.Error(err)
	}
	if path := <-deleted; path != "/v1/statement/executing/q/x/1" {
		t.Errorf("deleted %s", path)
	}
}

func TestTrinoExplain(t *testing.T) {
	e := &trinoEngine{}
	named := func(name, kind string) error {
		return fmt.Errorf("wrapped: %w", &trinoFailure{Name: name, Type: kind, Message: "m"})
	}
	cases := map[string]struct {
		reason string
		err    error
		want   Class
		code   string
		refuse Reason
	}{
		"Time":        {reason: "the server's own limit of time", err: named("EXCEEDED_TIME_LIMIT", "INSUFFICIENT_RESOURCES"), want: Timeout, code: "EXCEEDED_TIME_LIMIT", refuse: QueryInvalid},
		"Memory":      {reason: "the query needs more memory than it gets", err: named("EXCEEDED_GLOBAL_MEMORY_LIMIT", "INSUFFICIENT_RESOURCES"), want: Overload, code: "EXCEEDED_GLOBAL_MEMORY_LIMIT", refuse: Overloaded},
		"Queue":       {reason: "too many queries wait", err: named("QUERY_QUEUE_FULL", "INSUFFICIENT_RESOURCES"), want: Overload, code: "QUERY_QUEUE_FULL", refuse: Overloaded},
		"Conflict":    {reason: "another transaction was in the way", err: named("TRANSACTION_CONFLICT", "USER_ERROR"), want: Serialization, code: "TRANSACTION_CONFLICT", refuse: QueryInvalid},
		"Commit":      {reason: "two writers of one Iceberg table", err: named("ICEBERG_COMMIT_ERROR", "EXTERNAL"), want: Serialization, code: "ICEBERG_COMMIT_ERROR", refuse: QueryInvalid},
		"ReadOnly":    {reason: "a read-only transaction refuses to write", err: named("READ_ONLY_VIOLATION", "USER_ERROR"), want: ReadOnly, code: "READ_ONLY_VIOLATION", refuse: QueryInvalid},
		"Parse":       {reason: "the query is not SQL", err: named("SYNTAX_ERROR", "USER_ERROR"), want: Syntax, code: "SYNTAX_ERROR", refuse: QueryInvalid},
		"Function":    {reason: "there is no such function", err: named("FUNCTION_NOT_FOUND", "USER_ERROR"), want: Syntax, code: "FUNCTION_NOT_FOUND", refuse: QueryInvalid},
		"Catalog":     {reason: "there is no such catalog", err: named("CATALOG_NOT_FOUND", "USER_ERROR"), want: Syntax, code: "CATALOG_NOT_FOUND", refuse: DatabaseMissing},
		"Schema":      {reason: "there is no such schema", err: named("SCHEMA_NOT_FOUND", "USER_ERROR"), want: Syntax, code: "SCHEMA_NOT_FOUND", refuse: DatabaseMissing},
		"Starting":    {reason: "the server is coming up", err: named("SERVER_STARTING_UP", "INTERNAL_ERROR"), want: Connection, code: "SERVER_STARTING_UP", refuse: Unreachable},
		"WorkerGone":  {reason: "a worker node is gone", err: named("REMOTE_HOST_GONE", "INTERNAL_ERROR"), want: Connection, code: "REMOTE_HOST_GONE", refuse: Unreachable},
		"Division":    {reason: "what is not listed is other", err: named("DIVISION_BY_ZERO", "USER_ERROR"), want: Other, code: "DIVISION_BY_ZERO", refuse: QueryInvalid},
		"Unheard":     {reason: "an error of a later version", err: named("NEW_ONE", "INTERNAL_ERROR"), want: Other, code: "NEW_ONE", refuse: QueryInvalid},
		"Password":    {reason: "a wrong password", err: &httpFailure{Status: 401}, want: Other, code: "401", refuse: AuthenticationFailed},
		"NoPasswords": {reason: "no log-in without TLS", err: &httpFailure{Status: 403}, want: Other, code: "403", refuse: AuthenticationFailed},
		"BadRequest":  {reason: "a prepared statement that is no SQL", err: &httpFailure{Status: 400}, want: Syntax, code: "400", refuse: QueryInvalid},
		"TooLong":     {reason: "a statement too long to be prepared", err: &httpFailure{Status: 431}, want: Other, code: "431", refuse: QueryInvalid},
		"TooMany":     {reason: "the server asks for patience", err: &httpFailure{Status: 429}, want: Overload, code: "429", refuse: Overloaded},
		"Unavailable": {reason: "a proxy has nobody to ask", err: &httpFailure{Status: 503}, want: Overload, code: "503", refuse: Overloaded},
		"BadGateway":  {reason: "a proxy reaches nobody", err: &httpFailure{Status: 502}, want: Connection, code: "502", refuse: Unreachable},
		"Forgotten":   {reason: "a coordinator that has started anew", err: &httpFailure{Status: 404}, want: Connection, code: "404", refuse: Unreachable},
		"EOF":         {reason: "the server hung up", err: io.ErrUnexpectedEOF, want: Connection, code: "lost", refuse: Unreachable},
		"Middle":      {reason: "an answer that ends in the middle", err: errTrinoPage, want: Connection, code: "lost", refuse: Unreachable},
		"Refused":     {reason: "nobody listens", err: &net.OpError{Op: "dial", Err: errors.New("refused")}, want: Connection, code: "connect", refuse: Unreachable},
		"TLS":         {reason: "the server speaks TLS only", err: errTrinoWantsTLS, want: Other, code: "driver", refuse: TLSFailed},
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

func TestTrinoNoticesAServerThatSpeaksTLS(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			_, _ = bufio.NewReader(conn).ReadByte()
			_, _ = conn.Write([]byte{0x15, 0x03, 0x03, 0, 2, 2, 40}) // a TLS alert
			_ = conn.Close()
		}
	}()
	e, err := newTrino(Target{Host: "127.0.0.1", Port: uint16(listener.Addr().(*net.TCPAddr).Port), TLS: "disable"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = e.Connect(context.Background()); e.Refusal(err) != TLSFailed {
		t.Errorf("%v", err)
	}
}

func TestTrinoUptimeIsTheLongestThatItCanBe(t *testing.T) {
	for text, expected := range map[string]time.Duration{"3.05m": 183600 * time.Millisecond, "0.00s": 10 * time.Millisecond, "2.50h": 2*time.Hour + 30*time.Minute + 36*time.Second, "12.00d": 288*time.Hour + 864*time.Second} {
		if got, err := trinoUptime(text); got != expected || err != nil {
			t.Errorf("%s is %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "m", "3.05", "3.05 m", "-1.00s", "1e9d", "NaNs", "3.05y"} {
		if got, err := trinoUptime(text); err == nil {
			t.Errorf("%q is %s", text, got)
		}
	}
}
