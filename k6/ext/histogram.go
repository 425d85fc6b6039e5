// The histogram of one query, stage and outcome in one second: HdrHistogram's layout (1 microsecond to 1 hour, 3
// significant digits) and its V2 wire format, which any HDR tool reads. It is our own rather than the library's
// because a worker closes many of them every second: counts live in chunks that go back to a pool, and one deflate
// writer serves them all (the library makes a new one of over 1 MB for each). The library checks it in the tests.

package ext

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
)

const (
	maxMicros  = 3_600_000_000
	halfBucket = 1024 // 3 significant digits need 2048 linear steps per bucket, of which the upper half is new
	chunks     = 23   // the lower half of the first bucket, then one upper half for each of the 22 buckets
)

type chunk [halfBucket]uint32

type histogram struct {
	chunks [chunks]*chunk
	count  uint64
	max    uint32 // maxMicros fits
}

// chunkPool is a plain free list: one goroutine at a time uses it, and sync.Pool would give memory back and forth.
type chunkPool struct{ free []*chunk }

func (p *chunkPool) get() *chunk {
	if last := len(p.free) - 1; last >= 0 {
		c := p.free[last]
		p.free = p.free[:last]
		return c
	}
	return new(chunk)
}

func (h *histogram) record(micros uint32, pool *chunkPool) {
	half, step := place(micros)
	c := h.chunks[half]
	if c == nil {
		c = pool.get()
		h.chunks[half] = c
	}
	c[step]++
	h.count++
	h.max = max(h.max, micros)
}

// place finds a value's counter: HDR's counts index, split into chunk and offset.
func place(micros uint32) (half, step uint32) {
	bucket := uint32(bits.Len32(micros|(2*halfBucket-1))) - 11
	index := (bucket+1)*halfBucket + (micros >> bucket) - halfBucket
	return index / halfBucket, index % halfBucket
}

// release empties the histogram into the pool.
func (h *histogram) release(pool *chunkPool) {
	for i, c := range h.chunks {
		if c != nil {
			*c = chunk{}
			pool.free = append(pool.free, c)
			h.chunks[i] = nil
		}
	}
	h.count, h.max = 0, 0
}

// encoder turns histograms into base64 of the V2 compressed format. Not safe for concurrent use.
type encoder struct {
	counts     []byte
	compressed bytes.Buffer
	deflate    *zlib.Writer
}

const (
	cookie           = 0x1c849303 | 0x10
	compressedCookie = 0x1c849304 | 0x10
	headerSize       = 40
)

func (e *encoder) encode(h *histogram) (string, error) {
	e.counts = append(e.counts[:0], make([]byte, headerSize)...)
	header := e.counts
	e.counts = h.appendCounts(e.counts)
	binary.BigEndian.PutUint32(header[0:], cookie)
	binary.BigEndian.PutUint32(header[4:], uint32(len(e.counts)-headerSize))
	binary.BigEndian.PutUint32(header[8:], 0) // normalising index offset
	binary.BigEndian.PutUint32(header[12:], 3)
	binary.BigEndian.PutUint64(header[16:], 1)
	binary.BigEndian.PutUint64(header[24:], maxMicros)
	binary.BigEndian.PutUint64(header[32:], math.Float64bits(1))
	copy(e.counts, header[:headerSize])

	e.compressed.Reset()
	e.compressed.Write(make([]byte, 8))
	if e.deflate == nil {
		e.deflate, _ = zlib.NewWriterLevel(&e.compressed, zlib.BestSpeed) // fails for unknown levels only
	} else {
		e.deflate.Reset(&e.compressed)
	}
	if _, err := e.deflate.Write(e.counts); err != nil {
		return "", fmt.Errorf("failed to compress a histogram: %w", err)
	}
	if err := e.deflate.Close(); err != nil {
		return "", fmt.Errorf("failed to compress a histogram: %w", err)
	}
	out := e.compressed.Bytes()
	binary.BigEndian.PutUint32(out[0:], compressedCookie)
	binary.BigEndian.PutUint32(out[4:], uint32(len(out)-8))
	return base64.StdEncoding.EncodeToString(out), nil
}

// appendCounts writes the counters up to the largest value: ZigZag LEB128, a negative number for a run of zeros.
func (h *histogram) appendCounts(to []byte) []byte {
	if h.count == 0 {
		return to
	}
	half, step := place(h.max)
	last := half*halfBucket + step
	zeros := int64(0)
	for index := uint32(0); index <= last; index++ {
		c := h.chunks[index/halfBucket]
		if c == nil { // a whole chunk of zeros
			zeros += halfBucket
			index += halfBucket - 1
			continue
		}
		count := c[index%halfBucket]
		if count == 0 {
			zeros++
			continue
		}
		to = appendZeros(to, zeros)
		zeros = 0
		to = binary.AppendVarint(to, int64(count))
	}
	return to
}

func appendZeros(to []byte, zeros int64) []byte {
	switch zeros {
	case 0:
		return to
	case 1:
		return binary.AppendVarint(to, 0)
	default:
		return binary.AppendVarint(to, -zeros)
	}
}
