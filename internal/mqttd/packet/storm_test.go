package packet

import (
	"bytes"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"
)

// TestStorm throws changed packets at reader and decoder: bytes flipped, cut, doubled
// and spliced from what real clients send. DECODE_STORM says how many; 200,000 else.
// Nothing panics, and what is taken can be written and read again.
func TestStorm(t *testing.T) {
	executions := 200_000
	if s := os.Getenv("DECODE_STORM"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		executions = n
	}
	var seeds [][]byte
	for _, c := range wire {
		seeds = append(seeds, unhex(t, c.bytes))
	}
	begin := time.Now()
	var all sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 15))
			var in []byte
			for range executions / workers {
				in = mutate(r, seeds, in[:0])
				storm(t, in, Level31+byte(r.IntN(3)))
			}
		})
	}
	all.Wait()
	t.Logf("%d executions in %v", executions, time.Since(begin).Round(time.Second))
}

// mutate makes a packet out of others.
func mutate(r *rand.Rand, seeds [][]byte, in []byte) []byte {
	in = append(in, seeds[r.IntN(len(seeds))]...)
	for range r.IntN(4) {
		i := r.IntN(len(in))
		switch r.IntN(5) {
		case 0:
			in[i] = byte(r.Uint32())
		case 1:
			in[i] ^= 1 << r.IntN(8)
		case 2:
			in = in[:i+1]
		case 3:
			in = append(in, in[i:]...)
		case 4:
			other := seeds[r.IntN(len(seeds))]
			in = append(in[:i+1], other[r.IntN(len(other)):]...)
		}
	}
	if r.IntN(2) == 0 && len(in) > 2 && len(in) < 128 {
		in[1] = byte(len(in) - 2) // a length that is right lets more through
	}
	return in
}

func storm(t *testing.T, in []byte, level byte) {
	const limit = 64 << 10
	taken := 0
	reader := NewReader(bytes.NewReader(in), limit)
	reader.Account = func(more int) error {
		if taken += more; taken > limit {
			t.Errorf("%d bytes taken for %x", taken, in)
		}
		return nil
	}
	first, body, err := reader.Next()
	if err != nil {
		return
	}
	p, err := Decode(first, body, level)
	if err != nil {
		return
	}
	if c, ok := p.(*Connect); ok {
		level = c.Level
	}
	raw := Append(nil, p, level)
	again, body, err := NewReader(bytes.NewReader(raw), len(raw)).Next()
	if err != nil {
		t.Errorf("%x was read, and %x written, which cannot be read: %v", in, raw, err)
		return
	}
	if q, err := Decode(again, body, level); err != nil || !same(p, q) {
		t.Errorf("%x was read, written as %x and read as something else: %v", in, raw, err)
	}
}
