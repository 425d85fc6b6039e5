// Command bare is the yardstick: the fastest straightforward loop over the drivers that Crucible's k6 uses, or, for Trino, over the
// one that its makers publish. As many connections and goroutines as VUs, prepared statements, no database/sql where there is another
// way, no time-outs, no counting beyond one number per goroutine. It reads the same engine.json and prints one JSON line.
//
// Rows are decoded, as any program would that uses the driver as it is meant to be used. With -skip they are read off the wire but
// not decoded where the driver can do that, which is what Crucible's session does.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

type target struct {
	Engine, Host, Database, UsernameFile, PasswordFile string
	Port                                               int
}

type plan struct {
	Target  target
	Queries []struct {
		SQL      string
		Weight   uint64
		Bindings []struct {
			Kind     string
			Min, Max int64
			Values   []any
		}
	}
	Stages []struct{ DurationNanos, VUs int64 }
	Seed   uint64
}

// client is one connection with its statements prepared.
type client interface {
	// query answers how many rows there were.
	query(query int, args []any) (int64, error)
}

// connect opens a client of the plan's engine.
func connect(p *plan, skip bool) (client, error) {
	switch p.Target.Engine {
	case "mysql":
		return connectMySQL(p, skip)
	case "postgres":
		return connectPostgres(p, skip)
	case "trino":
		return connectTrino(p)
	case "cassandra":
		return connectCassandra(p, skip)
	default:
		return nil, fmt.Errorf("failed to find engine %q", p.Target.Engine)
	}
}

type answer struct {
	Peer           string  `json:"peer"`
	Queries        int64   `json:"queries"`
	Rows           int64   `json:"rows"`
	Seconds        float64 `json:"seconds"`
	CPUSeconds     float64 `json:"cpuSeconds"`
	MicrosPerQuery float64 `json:"cpuMicrosPerQuery"`
	MaxRSSBytes    int64   `json:"maxRssBytes"`
	RSS            []int64 `json:"rssBytes"`
	P99Micros      int64   `json:"p99Micros,omitempty"`
}

func main() {
	engineFile := flag.String("engine", "engine.json", "what to run; stages are run as one, with the VUs of the last")
	skip := flag.Bool("skip", false, "do not decode rows")
	histogram := flag.Bool("histogram", false, "record every latency in a histogram per goroutine")
	filling := flag.Bool("fill", false, "make the table that is asked for, print the server's version, and do nothing else")
	flag.Parse()
	work := func() error { return run(*engineFile, *skip, *histogram) }
	if *filling {
		work = func() error { return prepare(*engineFile) }
	}
	if err := work(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func read(engineFile string) (*plan, error) {
	content, err := os.ReadFile(engineFile)
	if err != nil {
		return nil, fmt.Errorf("failed to read the engine file: %w", err)
	}
	p := &plan{}
	if err := json.Unmarshal(content, p); err != nil {
		return nil, fmt.Errorf("failed to parse the engine file: %w", err)
	}
	return p, nil
}

func prepare(engineFile string) error {
	p, err := read(engineFile)
	if err != nil {
		return err
	}
	version, err := fill(p)
	if err != nil {
		return err
	}
	fmt.Println(version)
	return nil
}

func run(engineFile string, skip, histogram bool) error {
	p, err := read(engineFile)
	if err != nil {
		return err
	}
	var total time.Duration
	for _, s := range p.Stages {
		total += time.Duration(s.DurationNanos)
	}
	loops := make([]*loop, p.Stages[len(p.Stages)-1].VUs)
	for i := range loops {
		if loops[i], err = newLoop(p, uint64(i), skip, histogram); err != nil {
			return err
		}
	}

	var stop atomic.Bool
	var all sync.WaitGroup
	errs := make(chan error, len(loops))
	began, before := time.Now(), cpuSeconds()
	for _, l := range loops {
		all.Go(func() { errs <- l.run(&stop) })
	}
	a := answer{Peer: "bare"}
	for end := began.Add(total); time.Now().Before(end); {
		time.Sleep(min(time.Second, time.Until(end)))
		a.RSS = append(a.RSS, resident())
	}
	stop.Store(true)
	all.Wait()
	a.Seconds, a.CPUSeconds = time.Since(began).Seconds(), cpuSeconds()-before
	for range loops {
		if err := <-errs; err != nil {
			return err
		}
	}
	var merged *hdrhistogram.Histogram
	for _, l := range loops {
		a.Queries += l.queries
		a.Rows += l.rows
		if l.latencies != nil {
			if merged == nil {
				merged = hdrhistogram.New(1, 3_600_000_000, 3)
			}
			merged.Merge(l.latencies)
		}
	}
	if merged != nil {
		a.P99Micros = merged.ValueAtQuantile(99)
	}
	a.MicrosPerQuery = a.CPUSeconds / float64(a.Queries) * 1e6
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	a.MaxRSSBytes = usage.Maxrss * 1024
	return json.NewEncoder(os.Stdout).Encode(a)
}

type loop struct {
	plan      *plan
	client    client
	total     uint64
	dice      *rand.PCG
	latencies *hdrhistogram.Histogram

	queries, rows int64
}

func newLoop(p *plan, number uint64, skip, histogram bool) (*loop, error) {
	c, err := connect(p, skip)
	if err != nil {
		return nil, err
	}
	l := &loop{plan: p, client: c, dice: rand.NewPCG(p.Seed, number)}
	if histogram {
		l.latencies = hdrhistogram.New(1, 3_600_000_000, 3)
	}
	for _, q := range p.Queries {
		l.total += q.Weight
	}
	return l, nil
}

func (l *loop) run(stop *atomic.Bool) error {
	var args []any
	dice := rand.New(l.dice)
	for !stop.Load() {
		query := l.pick(dice)
		args = args[:0]
		for _, b := range l.plan.Queries[query].Bindings {
			if b.Kind == "choice" {
				args = append(args, b.Values[dice.IntN(len(b.Values))])
				continue
			}
			args = append(args, b.Min+dice.Int64N(b.Max-b.Min+1))
		}
		var began time.Time
		if l.latencies != nil {
			began = time.Now()
		}
		rows, err := l.client.query(query, args)
		if err != nil {
			return fmt.Errorf("failed to query: %w", err)
		}
		l.rows += rows
		if l.latencies != nil {
			_ = l.latencies.RecordValue(max(1, time.Since(began).Microseconds()))
		}
		l.queries++
	}
	return nil
}

func (l *loop) pick(dice *rand.Rand) int {
	at := dice.Uint64N(l.total)
	for i, q := range l.plan.Queries {
		if at < q.Weight {
			return i
		}
		at -= q.Weight
	}
	return 0
}

func secret(path string) string {
	content, _ := os.ReadFile(path)
	return strings.TrimSpace(string(content))
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

func resident() int64 {
	content, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	pages, _ := strconv.ParseInt(strings.Fields(string(content))[1], 10, 64)
	return pages * int64(os.Getpagesize())
}
