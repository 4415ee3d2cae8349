package session_test

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"airbridged/internal/airsim"
	"airbridged/internal/recovery"
	"airbridged/internal/session"
)

// BenchmarkLine publishes 128-byte QoS 1 messages over a line that is paced by
// the simulator and costs no time itself, with no round trip to the cloud, and
// divides the rate by what the bytes alone take on that line: what is missing to
// 1.00 is the daemon's own time between two messages.
func BenchmarkLine(b *testing.B) {
	for _, baud := range []int{115200, 921600} {
		b.Run(strconv.Itoa(baud), func(b *testing.B) {
			turnaround := &turnarounds{}
			w := newWorld(b, setup{
				module: func(o *airsim.Options) { o.Baud, o.Latency, o.RTT = baud, false, 0 },
				session: func(o *session.Options) {
					o.Modem.Baud, o.Recorder = baud, turnaround
				},
			})
			defer w.end()
			payload := strings.Repeat("x", 128)
			var last string
			const batch = 200
			var took, wire time.Duration
			w.begin()
			w.reaches(time.Minute, recovery.Online, "")
			for b.Loop() {
				w.order("puback late 100ms") // holds the first, so that the rest queue up
				for range batch {
					last = w.append(update, 1, payload)
				}
				w.settled(last)
				t, l := w.lineTime(batch-1, baud)
				took, wire = took+t, wire+l
			}
			b.ReportMetric(wire.Seconds()/took.Seconds(), "of-wire-limit")
			b.ReportMetric(float64((batch-1)*b.N)/took.Seconds(), "publishes/s")
			b.ReportMetric(float64(turnaround.percentile(50).Microseconds()), "turnaround-p50-us")
			b.ReportMetric(float64(turnaround.percentile(99).Microseconds()), "turnaround-p99-us")
		})
	}
}

// lineTime returns how long the last n publishes took, from one PUBACK to the
// last, and how long their bytes alone are on the line.
func (w *world) lineTime(n, baud int) (took, wire time.Duration) {
	entries := w.module.Transcript()
	size, acks := 0, 0
	for i, e := range slices.Backward(entries) {
		if e.Dir == airsim.DirLine && e.Text == "PUBACK" {
			if acks++; acks > n {
				return entries[len(entries)-1].At.Sub(entries[i].At), time.Duration(size) * 10 * time.Second / time.Duration(baud)
			}
		}
		switch e.Dir {
		case airsim.DirCommand:
			size += len(e.Text) + len("\r")
		case airsim.DirLine:
			size += len("\r\n") + len(e.Text) + len("\r\n")
		}
	}
	w.Fatalf("only %d of %d messages are in the transcript", acks, n)
	return 0, 0
}

// turnarounds remembers how long each next command took after a PUBACK.
type turnarounds struct {
	meter
	times sync.Mutex
	all   []time.Duration
}

func (t *turnarounds) Turnaround(d time.Duration) {
	t.times.Lock()
	defer t.times.Unlock()
	t.all = append(t.all, d)
}

func (t *turnarounds) percentile(p int) time.Duration {
	t.times.Lock()
	defer t.times.Unlock()
	if len(t.all) == 0 {
		return 0
	}
	slices.Sort(t.all)
	return t.all[(len(t.all)-1)*p/100]
}
