// The plan of this worker: engine.json as the worker writes it, parsed once and refused here when it makes no
// sense, so that nothing behind this file checks it again.

package ext

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"crucible.dev/k6/ext/engine"
)

type plan struct {
	Run struct {
		ID      string `json:"id"`
		Plan    string `json:"plan"`
		Worker  int64  `json:"worker"`
		Workers int64  `json:"workers"`
	} `json:"run"`
	Socket string `json:"socket"`
	Target struct {
		Engine       string `json:"engine"`
		Host         string `json:"host"`
		Port         uint16 `json:"port"`
		Database     string `json:"database"`
		TLS          string `json:"tls"`
		UsernameFile string `json:"usernameFile"`
		PasswordFile string `json:"passwordFile"`
		// Absent where the Secret holds no authorities of its own.
		AuthoritiesFile string `json:"authoritiesFile"`
	} `json:"target"`
	Queries           []query    `json:"queries"`
	Stages            []stage    `json:"stages"`
	Arms              []arm      `json:"arms"` // of a run that compares two variants
	Open              *openModel `json:"open"` // absent in the closed model
	QueryTimeoutNanos int64      `json:"queryTimeoutNanos"`
	DrainNanos        int64      `json:"drainNanos"`
	SliceNanos        int64      `json:"sliceNanos"`
	Seed              uint64     `json:"seed"`
	RawSamples        bool       `json:"rawSamples"`
}

type query struct {
	Name     string    `json:"name"`
	SQL      string    `json:"sql"`
	Weight   uint32    `json:"weight"`
	Bindings []binding `json:"bindings"`
	// Of Cassandra alone.
	Consistency string `json:"consistency"`
	PageSize    int    `json:"pageSize"`
	ExpectRows  *struct {
		Min *int64 `json:"min"`
		Max *int64 `json:"max"`
	} `json:"expectRows"`
}

type binding struct {
	Name   string            `json:"name"`
	Kind   string            `json:"kind"`
	Min    int64             `json:"min"`
	Max    int64             `json:"max"`
	Values []json.RawMessage `json:"values"`
}

type stage struct {
	Name          string `json:"name"`
	DurationNanos int64  `json:"durationNanos"`
	VUs           int64  `json:"vus"`
	RateMillis    int64  `json:"rateMillis"` // of the open model: thousandths of an arrival per second, of the whole fleet
	Ramp          bool   `json:"ramp"`
	Measured      bool   `json:"measured"`
	Arm           int    `json:"arm"` // whom it asks, by position
}

// openModel is what only a plan of the open model has.
type openModel struct {
	Arrivals string `json:"arrivals"` // regular or poisson
	MaxVUs   int64  `json:"maxVus"`   // sessions of the whole fleet
	Seed     uint64 `json:"seed"`     // the same for every worker
}

const (
	maxQueries = 1 << 10
	maxStages  = 1 << 8
	maxVUs     = 1 << 20

	maxRateMillis = 1_000_000_000
	maxNanos      = int64(25 * time.Hour) // of all stages together
)

func readPlan(path string) (*plan, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("failed to read the engine file: %w", err)
	}
	p := &plan{}
	decoder := json.NewDecoder(bytes.NewReader(content))
	if err := decoder.Decode(p); err != nil {
		return nil, fmt.Errorf("failed to parse the engine file: %w", err)
	}
	if err := p.validate(); err != nil {
		return nil, fmt.Errorf("failed to accept the engine file: %w", err)
	}
	return p, nil
}

func (p *plan) validate() error {
	switch {
	case p.Run.Workers < 1 || p.Run.Worker < 0 || p.Run.Worker >= p.Run.Workers:
		return fmt.Errorf("worker %d of %d does not exist", p.Run.Worker, p.Run.Workers)
	case len(p.Queries) == 0 || len(p.Queries) > maxQueries:
		return fmt.Errorf("%d queries, where 1 to %d are possible", len(p.Queries), maxQueries)
	case len(p.Stages) == 0 || len(p.Stages) > maxStages:
		return fmt.Errorf("%d stages, where 1 to %d are possible", len(p.Stages), maxStages)
	case p.QueryTimeoutNanos <= 0 || p.DrainNanos < 0 || p.SliceNanos <= 0:
		return fmt.Errorf("queryTimeoutNanos and sliceNanos must be positive, drainNanos not negative")
	}
	var weights uint64
	for _, q := range p.Queries {
		weights += uint64(q.Weight)
	}
	if weights == 0 {
		return fmt.Errorf("no query has a weight")
	}
	for _, s := range p.Stages {
		if s.DurationNanos <= 0 || s.VUs < 0 || s.VUs > maxVUs {
			return fmt.Errorf("stage %q has duration %d ns and %d VUs", s.Name, s.DurationNanos, s.VUs)
		}
	}
	if err := p.validateArms(); err != nil {
		return err
	}
	return p.validateOpen()
}

func (p *plan) validateOpen() error {
	if p.Open == nil {
		return nil
	}
	if p.Open.Arrivals != arrivalsRegular && p.Open.Arrivals != arrivalsPoisson {
		return fmt.Errorf("arrivals %q are neither %s nor %s", p.Open.Arrivals, arrivalsRegular, arrivalsPoisson)
	}
	if p.Open.MaxVUs < p.Run.Workers || p.Open.MaxVUs > maxVUs {
		return fmt.Errorf("%d sessions for %d workers, where %d to %d are possible", p.Open.MaxVUs, p.Run.Workers, p.Run.Workers, maxVUs)
	}
	var length int64
	for _, s := range p.Stages {
		if s.RateMillis < 0 || s.RateMillis > maxRateMillis || s.DurationNanos > maxNanos-length {
			return fmt.Errorf("stage %q has duration %d ns and %d thousandths of an arrival per second", s.Name, s.DurationNanos, s.RateMillis)
		}
		length += s.DurationNanos
	}
	return nil
}

func (p *plan) target() (engine.Target, error) {
	username, err := readSecret(p.Target.UsernameFile)
	if err != nil {
		return engine.Target{}, fmt.Errorf("failed to read the user name: %w", err)
	}
	password, err := readSecret(p.Target.PasswordFile)
	if err != nil {
		return engine.Target{}, fmt.Errorf("failed to read the password: %w", err)
	}
	return engine.Target{
		Host: p.Target.Host, Port: p.Target.Port, Database: p.Target.Database, TLS: p.Target.TLS,
		Authorities: p.Target.AuthoritiesFile, Username: username, Password: password, QueryTimeout: time.Duration(p.QueryTimeoutNanos),
	}, nil
}

// readSecret reads a mounted Secret. One trailing line break belongs to the editor, not to the password.
func readSecret(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r"), nil
}

func (p *plan) statements() []engine.Statement {
	statements := make([]engine.Statement, len(p.Queries))
	for i, q := range p.Queries {
		statements[i] = engine.Statement{Name: q.Name, SQL: q.SQL, Consistency: q.Consistency, PageSize: q.PageSize}
	}
	return statements
}
