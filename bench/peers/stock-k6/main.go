// Command stock-k6 is the other yardstick: k6 v1 as published with xk6-sql as published, driving the same SQL from
// JavaScript. Started with -engine it runs itself as k6 with stock.js, watches that process from outside and prints
// one JSON line; started any other way it simply is k6.
//
// xk6-sql's own driver modules only name the driver; RegisterModule below is all that they add. For Trino there is no such
// module, so its driver of database/sql is named in the same way; for Cassandra there is no such driver either, and cql.go is the module
// that a k6 user would write.
package main

import (
	"bufio"
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"
	_ "github.com/grafana/xk6-sql" // registers k6/x/sql
	"github.com/grafana/xk6-sql/sql"
	_ "github.com/lib/pq"                        // postgres
	_ "github.com/trinodb/trino-go-client/trino" // trino
	"go.k6.io/k6/cmd"
)

//go:embed stock.js
var script string

// The script logs these two lines before its first and after its last query.
const (
	loadBegins = "LOAD BEGINS"
	loadEnds   = "LOAD ENDS"
)

func init() {
	for _, driver := range []string{"mysql", "postgres", "trino"} {
		sql.RegisterModule(driver)
	}
}

func main() {
	if len(os.Args) < 2 || os.Args[1] != "-engine" {
		cmd.Execute()
		return
	}
	engineFile := flag.String("engine", "engine.json", "what to run; stages are run as one, with the VUs of the last")
	flag.Parse()
	if err := run(*engineFile); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type answer struct {
	Peer           string  `json:"peer"`
	Queries        int64   `json:"queries"`
	Seconds        float64 `json:"seconds"`
	CPUSeconds     float64 `json:"cpuSeconds"`
	MicrosPerQuery float64 `json:"cpuMicrosPerQuery"`
	MaxRSSBytes    int64   `json:"maxRssBytes"`
	RSS            []int64 `json:"rssBytes"`
}

func run(engineFile string) error {
	scratch, err := os.MkdirTemp("", "stock-k6")
	if err != nil {
		return fmt.Errorf("failed to make a scratch directory: %w", err)
	}
	defer os.RemoveAll(scratch)
	if engineFile, err = filepath.Abs(engineFile); err != nil { // k6 opens files beside the script
		return fmt.Errorf("failed to find the engine file: %w", err)
	}
	driver, name, err := dataSource(engineFile)
	if err != nil {
		return err
	}
	scriptFile, counts := filepath.Join(scratch, "stock.js"), filepath.Join(scratch, "counts.json")
	if err := os.WriteFile(scriptFile, []byte(script), 0o600); err != nil {
		return fmt.Errorf("failed to write the script: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("failed to find this program: %w", err)
	}
	k6 := exec.Command(self, "run", "--quiet", "--no-usage-report", "--no-color", scriptFile)
	k6.Env = append(os.Environ(), "PEER_ENGINE="+engineFile, "PEER_DRIVER="+driver, "PEER_SOURCE="+name, "PEER_COUNTS="+counts, "K6_AUTO_EXTENSION_RESOLUTION=false")
	stderr, err := k6.StderrPipe()
	if err != nil {
		return fmt.Errorf("failed to listen to k6: %w", err)
	}
	if err := k6.Start(); err != nil {
		return fmt.Errorf("failed to start k6: %w", err)
	}
	a := watch(k6.Process.Pid, stderr)
	if err := k6.Wait(); err != nil {
		return fmt.Errorf("failed to run k6: %w", err)
	}
	a.MaxRSSBytes = k6.ProcessState.SysUsage().(*syscall.Rusage).Maxrss * 1024
	content, err := os.ReadFile(counts)
	if err != nil {
		return fmt.Errorf("failed to read how many queries there were: %w", err)
	}
	if a.Queries, err = strconv.ParseInt(strings.TrimSpace(string(content)), 10, 64); err != nil {
		return fmt.Errorf("failed to read how many queries there were: %w", err)
	}
	a.MicrosPerQuery = a.CPUSeconds / float64(a.Queries) * 1e6
	return json.NewEncoder(os.Stdout).Encode(a)
}

type target struct {
	Engine, Host, Database, UsernameFile, PasswordFile string
	Port                                               int
}

// dataSource answers the driver and what it is to connect to. Where a driver can, it puts parameters into the statement itself: one
// round trip per query, which is the best that xk6-sql, having no prepared statements, can be made to do.
func dataSource(engineFile string) (string, string, error) {
	content, err := os.ReadFile(engineFile)
	if err != nil {
		return "", "", fmt.Errorf("failed to read the engine file: %w", err)
	}
	var p struct{ Target target }
	if err := json.Unmarshal(content, &p); err != nil {
		return "", "", fmt.Errorf("failed to parse the engine file: %w", err)
	}
	t := p.Target
	user, password, address := secret(t.UsernameFile), secret(t.PasswordFile), net.JoinHostPort(t.Host, strconv.Itoa(t.Port))
	switch t.Engine {
	case "mysql":
		config := mysql.NewConfig()
		config.Net, config.Addr, config.DBName, config.InterpolateParams = "tcp", address, t.Database, true
		config.User, config.Passwd = user, password
		return "mysql", config.FormatDSN(), nil
	case "postgres":
		source := url.URL{Scheme: "postgres", User: url.UserPassword(user, password), Host: address, Path: t.Database, RawQuery: "sslmode=disable&binary_parameters=yes"}
		return "postgres", source.String(), nil
	case "trino":
		catalog, schema, _ := strings.Cut(t.Database, ".")
		source := url.URL{Scheme: "http", User: url.User(user), Host: address, RawQuery: url.Values{"catalog": {catalog}, "schema": {schema}}.Encode()}
		return "trino", source.String(), nil
	case "cassandra":
		source := url.URL{Scheme: "cassandra", User: url.UserPassword(user, password), Host: address, Path: t.Database}
		return "cql", source.String(), nil
	default:
		return "", "", fmt.Errorf("failed to find engine %q", t.Engine)
	}
}

func secret(path string) string {
	content, _ := os.ReadFile(path)
	return strings.TrimSpace(string(content))
}

// watch reads k6's log: between the script's two marks it samples memory every second.
func watch(pid int, log io.Reader) answer {
	a := answer{Peer: "stock-k6"}
	var began time.Time
	var before float64
	ended := make(chan struct{})
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		switch {
		case strings.Contains(lines.Text(), loadBegins):
			began, before = time.Now(), cpuSeconds(pid)
			go func() {
				for ticker := time.NewTicker(time.Second); ; {
					select {
					case <-ticker.C:
						a.RSS = append(a.RSS, resident(pid))
					case <-ended:
						return
					}
				}
			}()
		case strings.Contains(lines.Text(), loadEnds):
			a.Seconds, a.CPUSeconds = time.Since(began).Seconds(), cpuSeconds(pid)-before
			ended <- struct{}{}
		default:
			fmt.Fprintln(os.Stderr, lines.Text())
		}
	}
	return a
}

func cpuSeconds(pid int) float64 {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(content[strings.LastIndexByte(string(content), ')')+2:]))
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	return (user + system) / 100
}

func resident(pid int) int64 {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	pages, _ := strconv.ParseInt(strings.Fields(string(content))[1], 10, 64)
	return pages * int64(os.Getpagesize())
}
