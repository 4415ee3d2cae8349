package session_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"airbridged/internal/airsim"
	"airbridged/internal/batch"
	"airbridged/internal/outbox"
	"airbridged/internal/recovery"
	"airbridged/internal/session"
)

// drifting makes readings as a meter sends them: one every ten seconds, each value a
// little beside the one before.
func drifting(n int, seed uint64) (list []string) {
	r := rand.New(rand.NewPCG(seed, 1))
	temperature, humidity := 21.5, 48.0
	for i := range n {
		temperature += float64(r.IntN(5)-2) / 10
		humidity += float64(r.IntN(5)-2) / 10
		list = append(list, fmt.Sprintf(`{"t":%d,"n":%d,"temp":%.1f,"hum":%.1f}`, 1796000000+10*i, 48213+i, temperature, humidity))
	}
	return list
}

// BenchmarkReadings drains a backlog of readings over a line that is paced by the
// simulator, with a round trip of 60 ms to the cloud. bytes/reading is what the account
// books on the air, TLS and TCP included.
func BenchmarkReadings(b *testing.B) {
	deflated := batch.Form{Envelope: batch.NDJSON, Compress: batch.Deflate, Dictionary: []byte(drifting(1, 9)[0])}
	for _, c := range []struct {
		name    string
		baud    int
		backlog int
		rules   batch.Rules
	}{
		{"alone/921600", 921600, 100, nil},
		{"plain/921600", 921600, 2000, batch.Rules{{Form: lines}}},
		{"deflate/921600", 921600, 2000, batch.Rules{{Form: deflated}}},
		{"alone/115200", 115200, 100, nil},
		{"plain/115200", 115200, 2000, batch.Rules{{Form: lines}}},
		{"deflate/115200", 115200, 2000, batch.Rules{{Form: deflated}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			w := newWorld(b, setup{
				module: func(o *airsim.Options) { o.Baud, o.Latency, o.RTT = c.baud, false, 60*time.Millisecond },
				session: func(o *session.Options) {
					o.Modem.Baud = c.baud
					for i := range c.rules {
						c.rules[i].Topic, c.rules[i].MaxMessages = update, 100
					}
					o.Limits.Batch(func(string) batch.Rules { return c.rules })
				},
			})
			defer w.end()
			w.begin()
			w.reaches(time.Minute, recovery.Online, "")
			readings := drifting(c.backlog, 2)
			var took time.Duration
			before := w.meter.cost()["payload"]
			for b.Loop() {
				hold := w.append(get, 1, "hold")
				var last string
				for _, reading := range readings {
					last = w.append(update, 1, reading)
				}
				w.settled(hold)
				begun := time.Now()
				if m := w.settled(last); m.State != outbox.Acked {
					b.Fatalf("the last reading ended as %s", m.State)
				}
				took += time.Since(begun)
			}
			n := float64(c.backlog * b.N)
			b.ReportMetric(n/took.Seconds(), "readings/s")
			b.ReportMetric(float64(w.meter.cost()["payload"]-before)/n, "bytes/reading")
		})
	}
}
