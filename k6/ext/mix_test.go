package ext

import (
	"database/sql/driver"
	"encoding/json"
	"math"
	"testing"
)

func TestMixFollowsWeights(t *testing.T) {
	m, err := newMix([]query{{Name: "a", Weight: 3}, {Name: "never", Weight: 0}, {Name: "b", Weight: 1}})
	if err != nil {
		t.Fatal(err)
	}
	d := newDice(7, 0, 0)
	var counts [3]int
	for range 40_000 {
		counts[m.pick(&d)]++
	}
	if counts[1] != 0 {
		t.Errorf("a query of weight 0 ran %d times", counts[1])
	}
	if counts[0] < 29_500 || counts[0] > 30_500 {
		t.Errorf("three quarters of 40000 are about 30000, not %d", counts[0])
	}
}

func TestDiceAreReproducibleAndDifferPerVU(t *testing.T) {
	same, again, other, elsewhere := newDice(1, 0, 3), newDice(1, 0, 3), newDice(1, 0, 4), newDice(1, 1, 3)
	first := same.Uint64()
	if first != again.Uint64() {
		t.Error("the same seed, worker and VU must draw the same numbers")
	}
	if first == other.Uint64() || first == elsewhere.Uint64() {
		t.Error("another VU or worker must draw other numbers")
	}
}

func TestParameter(t *testing.T) {
	cases := map[string]struct {
		reason  string
		binding binding
		check   func(driver.Value) bool
	}{
		"Range":     {reason: "both ends are possible, nothing outside is", binding: binding{Kind: "intRange", Min: -2, Max: 2}, check: func(v driver.Value) bool { n := v.(int64); return n >= -2 && n <= 2 }},
		"OneValue":  {reason: "a range of one value is that value", binding: binding{Kind: "intRange", Min: 5, Max: 5}, check: func(v driver.Value) bool { return v == int64(5) }},
		"FullRange": {reason: "all 64 bits are possible", binding: binding{Kind: "intRange", Min: math.MinInt64, Max: math.MaxInt64}, check: func(v driver.Value) bool { _, whole := v.(int64); return whole }},
		"Text":      {reason: "text is bound as text, whatever it looks like", binding: binding{Kind: "choice", Values: []json.RawMessage{[]byte(`"x'; DROP TABLE y;--"`)}}, check: func(v driver.Value) bool { return v == "x'; DROP TABLE y;--" }},
		"Whole":     {reason: "a large whole number keeps all its digits", binding: binding{Kind: "choice", Values: []json.RawMessage{[]byte(`9007199254740993`)}}, check: func(v driver.Value) bool { return v == int64(9007199254740993) }},
		"Fraction":  {reason: "a fraction is a float", binding: binding{Kind: "choice", Values: []json.RawMessage{[]byte(`0.5`)}}, check: func(v driver.Value) bool { return v == 0.5 }},
		"Null":      {reason: "null is null", binding: binding{Kind: "choice", Values: []json.RawMessage{[]byte(`null`)}}, check: func(v driver.Value) bool { return v == nil }},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p, err := newParameter(tc.binding)
			if err != nil {
				t.Fatal(err)
			}
			d := newDice(1, 2, 3)
			for range 200 {
				if v := p.draw(&d); !tc.check(v) {
					t.Fatalf("%s: drew %v", tc.reason, v)
				}
			}
		})
	}
}

func TestRangeReachesBothEnds(t *testing.T) {
	p, err := newParameter(binding{Kind: "intRange", Min: 1, Max: 3})
	if err != nil {
		t.Fatal(err)
	}
	d := newDice(1, 0, 0)
	seen := map[driver.Value]bool{}
	for range 100 {
		seen[p.draw(&d)] = true
	}
	if len(seen) != 3 {
		t.Errorf("1 to 3 drew only %v", seen)
	}
}

func TestUnusableParametersAreRefused(t *testing.T) {
	for reason, b := range map[string]binding{
		"empty range":  {Kind: "intRange", Min: 2, Max: 1},
		"no values":    {Kind: "choice"},
		"unknown kind": {Kind: "javascript"},
		"a list":       {Kind: "choice", Values: []json.RawMessage{[]byte(`[1]`)}},
	} {
		if _, err := newParameter(b); err == nil {
			t.Errorf("%s must be refused", reason)
		}
	}
}
