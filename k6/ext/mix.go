// Mix: which query a VU runs next and with which parameters. Seeded per VU, so that a run can be repeated.

package ext

import (
	"bytes"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"math/bits"
	"math/rand/v2"
)

// mix is shared by all VUs and never written after it is built.
type mix struct {
	cumulative []uint64
	total      uint64
	parameters [][]parameter
}

// parameter draws one value. choices are boxed once, here, so that drawing one of them allocates nothing.
type parameter struct {
	min     int64
	span    uint64 // 0 stands for all 2^64 values
	choices []driver.Value
}

func newMix(queries []query) (*mix, error) {
	m := &mix{parameters: make([][]parameter, len(queries))}
	for i, q := range queries {
		m.total += uint64(q.Weight)
		m.cumulative = append(m.cumulative, m.total)
		for _, b := range q.Bindings {
			p, err := newParameter(b)
			if err != nil {
				return nil, fmt.Errorf("failed to read parameter %q of query %q: %w", b.Name, q.Name, err)
			}
			m.parameters[i] = append(m.parameters[i], p)
		}
	}
	return m, nil
}

func newParameter(b binding) (parameter, error) {
	switch b.Kind {
	case "intRange":
		if b.Max < b.Min {
			return parameter{}, fmt.Errorf("range %d to %d is empty", b.Min, b.Max)
		}
		return parameter{min: b.Min, span: uint64(b.Max) - uint64(b.Min) + 1}, nil
	case "choice":
		if len(b.Values) == 0 {
			return parameter{}, fmt.Errorf("no values to choose from")
		}
		var p parameter
		for _, raw := range b.Values {
			value, err := scalar(raw)
			if err != nil {
				return parameter{}, err
			}
			p.choices = append(p.choices, value)
		}
		return p, nil
	default:
		return parameter{}, fmt.Errorf("kind %q is neither intRange nor choice", b.Kind)
	}
}

// scalar keeps whole numbers whole: a key sent as a float would be compared as one.
func scalar(raw json.RawMessage) (driver.Value, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	switch v := value.(type) {
	case nil, string, bool:
		return v, nil
	case json.Number:
		if whole, err := v.Int64(); err == nil {
			return whole, nil
		}
		return v.Float64()
	default:
		return nil, fmt.Errorf("value %s is neither text, number, boolean nor null", raw)
	}
}

// dice is one VU's random source.
type dice struct{ rand.PCG }

func newDice(seed uint64, worker, vu int64) dice {
	// Consecutive workers and VUs must not get related streams, so their numbers are spread over all bits first.
	return dice{*rand.NewPCG(spread(seed), spread(uint64(worker)<<32|uint64(vu)))}
}

// spread is SplitMix64's finaliser.
func spread(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// below draws from [0, n). The bias of multiply-and-shift is under n/2^64, far below what any load could show.
func (d *dice) below(n uint64) uint64 {
	high, _ := bits.Mul64(d.Uint64(), n)
	return high
}

// pick draws a query. Mixes are short: a walk beats a search.
func (m *mix) pick(d *dice) int {
	if len(m.cumulative) == 1 {
		return 0
	}
	at := d.below(m.total)
	for i, limit := range m.cumulative {
		if at < limit {
			return i
		}
	}
	return len(m.cumulative) - 1
}

// bind fills args with fresh parameters of a query.
func (m *mix) bind(d *dice, query int, args []driver.Value) []driver.Value {
	args = args[:0]
	for i := range m.parameters[query] {
		args = append(args, m.parameters[query][i].draw(d))
	}
	return args
}

func (p *parameter) draw(d *dice) driver.Value {
	if p.choices != nil {
		return p.choices[d.below(uint64(len(p.choices)))]
	}
	if p.span == 0 {
		return int64(d.Uint64())
	}
	return p.min + int64(d.below(p.span))
}
