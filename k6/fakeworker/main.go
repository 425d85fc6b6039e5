// Command fakeworker plays the worker's side of the socket, so that k6 can be tried end to end without a cluster:
// it listens, starts k6, gives the start order once k6 is ready, optionally stops it, and sums up what it was told.
//
//	go run ./fakeworker -k6 bin/k6 -script crucible.js -engine engine.json [-paused] [-stop 3s] [-lines]
//
// The last line is JSON: queries, seconds, CPU and resident memory of k6, and the timing of the start.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

type options struct {
	k6, script, engine, address, csv, remoteWrite string
	paused, lines                                 bool
	stopAfter, startIn                            time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.k6, "k6", "bin/k6", "k6 to run")
	flag.StringVar(&o.script, "script", "crucible.js", "script to run")
	flag.StringVar(&o.engine, "engine", "engine.json", "engine file; its socket is replaced")
	flag.StringVar(&o.address, "address", "127.0.0.1:6565", "k6's REST address with -paused")
	flag.StringVar(&o.csv, "csv", "", "k6's CSV output")
	flag.StringVar(&o.remoteWrite, "remote-write", "", "where k6 sends Prometheus remote write")
	flag.BoolVar(&o.paused, "paused", false, "start k6 paused and resume it with the start order")
	flag.BoolVar(&o.lines, "lines", false, "print every line without its histograms")
	flag.DurationVar(&o.stopAfter, "stop", 0, "give the stop order this long after the start instant")
	flag.DurationVar(&o.startIn, "in", 150*time.Millisecond, "start this long after the order")
	flag.Parse()
	if err := o.run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// summary is the last line.
type summary struct {
	Queries         int64   `json:"queries"`
	Told            int64   `json:"toldQueries"`
	Errors          int64   `json:"errors"`
	Rows            int64   `json:"rows"`
	Seconds         float64 `json:"seconds"`
	CPUSeconds      float64 `json:"cpuSeconds"`
	MicrosPerQuery  float64 `json:"cpuMicrosPerQuery"`
	MaxRSSBytes     int64   `json:"maxRssBytes"`
	RSS             []int64 `json:"rssBytes"`
	ReadyMillis     float64 `json:"processToReadyMillis"`
	ReadyCPUMillis  float64 `json:"processToReadyCpuMillis"`
	LateMicros      int64   `json:"lateMicros"`
	FinishedMillis  float64 `json:"stoppingToFinishedMillis"`
	ExitMillis      float64 `json:"finishedToExitMillis"`
	ExitCode        int     `json:"exitCode"`
	Interrupted     bool    `json:"interrupted"`
	P50, P99, P9999 int64
}

func (o options) run() error {
	scratch, err := os.MkdirTemp("", "fakeworker")
	if err != nil {
		return fmt.Errorf("failed to make a scratch directory: %w", err)
	}
	defer os.RemoveAll(scratch)
	socket := filepath.Join(scratch, "k6.sock")
	engineFile, err := o.rewrite(scratch, socket)
	if err != nil {
		return err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return fmt.Errorf("failed to listen: %w", err)
	}
	command := o.command(engineFile)
	began := time.Now()
	if err := command.Start(); err != nil {
		return fmt.Errorf("failed to start k6: %w", err)
	}
	conn, err := listener.Accept()
	if err != nil {
		return fmt.Errorf("failed to accept k6: %w", err)
	}
	s, err := o.converse(conn, command, began)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	finished := time.Now()
	_ = command.Wait()
	s.ExitMillis = time.Since(finished).Seconds() * 1e3
	s.ExitCode = command.ProcessState.ExitCode()
	usage := command.ProcessState.SysUsage().(*syscall.Rusage)
	s.MaxRSSBytes = usage.Maxrss * 1024
	return json.NewEncoder(os.Stdout).Encode(s)
}

func (o options) rewrite(scratch, socket string) (string, error) {
	content, err := os.ReadFile(o.engine)
	if err != nil {
		return "", fmt.Errorf("failed to read the engine file: %w", err)
	}
	var engine map[string]any
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.UseNumber()
	if err := decoder.Decode(&engine); err != nil {
		return "", fmt.Errorf("failed to parse the engine file: %w", err)
	}
	engine["socket"] = socket
	content, err = json.Marshal(engine)
	if err != nil {
		return "", fmt.Errorf("failed to write the engine file: %w", err)
	}
	path := filepath.Join(scratch, "engine.json")
	return path, os.WriteFile(path, content, 0o600)
}

func (o options) command(engineFile string) *exec.Cmd {
	args := []string{"run"}
	if o.paused {
		args = append(args, "--paused", "--address", o.address)
	}
	args = append(args, "--summary-mode=disabled", "--no-thresholds", "--no-usage-report", "--no-color", "--quiet",
		"--out", "crucible", "--tag", "run_id=fake", "--tag", "plan=fake", "--tag", "segment=0:1")
	if o.csv != "" {
		args = append(args, "--out", "csv="+o.csv)
	}
	environment := append(os.Environ(), "CRUCIBLE_ENGINE="+engineFile, "K6_AUTO_EXTENSION_RESOLUTION=false")
	if o.remoteWrite != "" {
		args = append(args, "--out", "experimental-prometheus-rw")
		environment = append(environment, "K6_PROMETHEUS_RW_SERVER_URL="+o.remoteWrite, "K6_PROMETHEUS_RW_TREND_STATS=count,min,max,avg,med,p(90),p(95),p(99)")
	}
	command := exec.Command(o.k6, append(args, o.script)...)
	command.Env = environment
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	return command
}

// heard is any line of k6, with the fields that are looked at here.
type heard struct {
	Type                string
	OK                  bool
	LateNanos           int64
	FirstQueryUnixNanos int64
	LastQueryUnixNanos  int64
	Queries             int64
	Errors              int64
	Rows                int64
	Second              int64
	Interrupted         bool
	Records             []struct {
		Outcome, Histogram string
		Count              int64
	}
}

func (o options) converse(conn net.Conn, command *exec.Cmd, began time.Time) (summary, error) {
	var s summary
	var cpu, started float64
	var first int64
	var stopping time.Time
	last := int64(-1)
	merged := hdrhistogram.New(1, 3_600_000_000, 3)
	lines := bufio.NewScanner(conn)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var line heard
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return s, fmt.Errorf("failed to understand %q: %w", lines.Text(), err)
		}
		if o.lines {
			fmt.Println(time.Since(began).Round(time.Millisecond), withoutHistograms(lines.Bytes()))
		}
		switch line.Type {
		case "preflight":
			if !line.OK {
				return s, fmt.Errorf("preflight: %s", lines.Text())
			}
		case "ready":
			s.ReadyMillis = time.Since(began).Seconds() * 1e3
			started = processCPU(command.Process.Pid)
			s.ReadyCPUMillis = started * 1e3
			if err := o.start(conn); err != nil {
				return s, err
			}
		case "started":
			s.LateMicros, first = line.LateNanos/1000, line.FirstQueryUnixNanos
		case "interval":
			if line.Second <= last {
				return s, fmt.Errorf("second %d came after second %d", line.Second, last)
			}
			last = line.Second
			s.RSS = append(s.RSS, resident(command.Process.Pid))
			for _, r := range line.Records {
				h, err := hdrhistogram.Decode([]byte(r.Histogram))
				if err != nil || h.TotalCount() != r.Count {
					return s, fmt.Errorf("a histogram of second %d does not hold its %d values: %w", line.Second, r.Count, err)
				}
				merged.Merge(h)
				s.Told += r.Count
			}
		case "stopping":
			stopping = time.Now()
		case "finished":
			s.FinishedMillis = time.Since(stopping).Seconds() * 1e3
			cpu = processCPU(command.Process.Pid)
			s.Queries, s.Errors, s.Rows, s.Interrupted = line.Queries, line.Errors, line.Rows, line.Interrupted
			s.Seconds = float64(line.LastQueryUnixNanos-first) / 1e9
			s.CPUSeconds = cpu - started
			s.MicrosPerQuery = s.CPUSeconds / float64(max(s.Queries, 1)) * 1e6
			s.P50, s.P99, s.P9999 = merged.ValueAtQuantile(50), merged.ValueAtQuantile(99), merged.ValueAtQuantile(99.99)
		}
	}
	return s, lines.Err()
}

func (o options) start(conn net.Conn) error {
	if _, err := fmt.Fprintf(conn, `{"type":"start","inNanos":%d}`+"\n", o.startIn.Nanoseconds()); err != nil {
		return fmt.Errorf("failed to give the start order: %w", err)
	}
	if o.stopAfter != 0 {
		time.AfterFunc(o.startIn+o.stopAfter, func() { fmt.Fprintln(conn, `{"type":"stop"}`) })
	}
	if !o.paused {
		return nil
	}
	body := `{"data":{"type":"status","id":"default","attributes":{"paused":false}}}`
	request, err := http.NewRequest(http.MethodPatch, "http://"+o.address+"/v1/status", strings.NewReader(body))
	if err != nil {
		return fmt.Errorf("failed to resume k6: %w", err)
	}
	before := time.Now()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("failed to resume k6: %w", err)
	}
	fmt.Fprintln(os.Stderr, "PATCH /v1/status:", response.Status, time.Since(before))
	return response.Body.Close()
}

func withoutHistograms(line []byte) string {
	var value map[string]any
	if json.Unmarshal(line, &value) != nil {
		return string(line)
	}
	if records, ok := value["records"].([]any); ok {
		for _, r := range records {
			delete(r.(map[string]any), "histogram")
		}
	}
	out, _ := json.Marshal(value)
	return string(out)
}

// processCPU reads user and system time in seconds; the kernel counts in hundredths.
func processCPU(pid int) float64 {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(content[bytes.LastIndexByte(content, ')')+2:]))
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
