package ext

import (
	"math/rand/v2"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"
)

func TestHistogramIsWhatTheLibraryReads(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	cases := map[string]struct {
		reason string
		values func() []uint32
	}{
		"Empty":      {reason: "nothing recorded is nothing read", values: func() []uint32 { return nil }},
		"One":        {reason: "the smallest value", values: func() []uint32 { return []uint32{1} }},
		"Adjacent":   {reason: "no zeros between", values: func() []uint32 { return []uint32{1, 2, 3, 3, 3} }},
		"OneZero":    {reason: "one zero between is a zero, not a run", values: func() []uint32 { return []uint32{1, 3} }},
		"Boundaries": {reason: "where buckets begin and end", values: func() []uint32 { return []uint32{1023, 1024, 2047, 2048, 2049, 4095, 4096, 1 << 20, 1<<20 - 1} }},
		"Longest":    {reason: "an hour fits", values: func() []uint32 { return []uint32{maxMicros, 1} }},
		"Many": {reason: "counts beyond one byte, over all magnitudes", values: func() []uint32 {
			var values []uint32
			for range 200_000 {
				values = append(values, 1+uint32(dice.Uint64N(1<<dice.UintN(31))))
			}
			return values
		}},
	}
	var e encoder
	var pool chunkPool
	var ours histogram
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			theirs := hdrhistogram.New(1, maxMicros, 3)
			for _, v := range tc.values() {
				ours.record(v, &pool)
				if err := theirs.RecordValue(int64(v)); err != nil {
					t.Fatal(err)
				}
			}
			encoded, err := e.encode(&ours)
			if err != nil {
				t.Fatal(err)
			}
			read, err := hdrhistogram.Decode([]byte(encoded))
			if err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			if !read.Equals(theirs) {
				t.Errorf("%s: read %d values up to %d, want %d up to %d", tc.reason, read.TotalCount(), read.Max(), theirs.TotalCount(), theirs.Max())
			}
			ours.release(&pool)
		})
	}
}

func TestHistogramChunksAreReused(t *testing.T) {
	var pool chunkPool
	var h histogram
	for range 100 {
		for v := uint32(1); v < 1_000_000; v += 997 {
			h.record(v, &pool)
		}
		h.release(&pool)
	}
	if len(pool.free) > chunks {
		t.Errorf("one histogram at a time needs at most %d chunks, not %d", chunks, len(pool.free))
	}
}
