package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"airbridged/client"
)

// BenchmarkWire sends QoS 1 messages of 128 bytes as fast as the module takes
// them, and divides the rate by what the serial line could carry if daemon and
// module took no time at all: the time of the very bytes that went over it, both
// ways, at its speed. 1.00 is the wire.
func BenchmarkWire(b *testing.B) {
	for _, baud := range []int{115200, 921600} {
		b.Run(strconv.Itoa(baud), func(b *testing.B) {
			sim := newSimulator(b, "--personality", "air780ep", "--baud", strconv.Itoa(baud))
			g := newGateway(b, sim.device, fmt.Sprintf("[modem]\nbaud = %d\n[log]\nlevel = \"info\"\n", baud))
			g.reaches("online", "")
			payload := bytes.Repeat([]byte("x"), 128)
			var wire, took time.Duration
			for b.Loop() {
				last := fill(b, sim, g, payload, 500)
				d, w := drain(b, sim, g, last, baud)
				took, wire = took+d, wire+w
			}
			b.ReportMetric(wire.Seconds()/took.Seconds(), "of-wire-limit")
			b.ReportMetric(float64(500*b.N)/took.Seconds(), "publishes/s")
		})
	}
}

// fill queues n messages while the cloud holds back the first PUBACK, so that
// nothing moves yet, and returns the id of the last one.
func fill(tb testing.TB, sim *simulator, g *gateway, payload []byte, n int) string {
	tb.Helper()
	sim.do("puback late 3s")
	var last string
	for range n {
		m, err := g.client.Publish(tb.Context(), update, payload, client.PublishOptions{})
		if err != nil {
			tb.Fatal(err)
		}
		last = m.ID
	}
	return last
}

// drain waits for the last message, and returns how long all but the first took
// and how long their bytes were on the wire.
func drain(tb testing.TB, sim *simulator, g *gateway, last string, baud int) (took, wire time.Duration) {
	tb.Helper()
	eventually(tb, "the queue to drain", func() error {
		m, err := g.client.Message(tb.Context(), last)
		if err == nil && m.State != client.Acked {
			err = fmt.Errorf("the last message is %s", m.State)
		}
		return err
	})
	entries := sim.transcript(tb)
	first, n := -1, 0
	for i := len(entries) - 1; i >= 0 && n < 499; i-- {
		if strings.HasPrefix(entries[i].Text, "AT+MPUB=") {
			first, n = i, n+1
		}
	}
	bytes := 0
	for _, e := range entries[first:] {
		bytes += len(e.Text)
		if e.Dir == ">" {
			bytes++ // CR
		} else {
			bytes += 4 // CR LF before and behind
		}
	}
	return entries[len(entries)-1].At.Sub(entries[first-1].At), time.Duration(bytes) * 10 * time.Second / time.Duration(baud)
}

// BenchmarkStart measures the time from exec to a socket that answers, beside
// the time that the same binary needs to print its version.
func BenchmarkStart(b *testing.B) {
	var ready, bare time.Duration
	for b.Loop() {
		g := prepareGateway(b, "/dev/nonexistent", "")
		begin := time.Now()
		g.program = start(b, "airbridged", "--config", g.config)
		for {
			if err := g.client.Healthy(b.Context()); err == nil {
				break
			}
		}
		ready += time.Since(begin)
		g.stop()
		begin = time.Now()
		if err := exec.Command(filepath.Join(bin, "airbridged"), "--version").Run(); err != nil {
			b.Fatal(err)
		}
		bare += time.Since(begin)
	}
	b.ReportMetric(float64(ready.Microseconds())/float64(b.N)/1000, "ms-to-ready")
	b.ReportMetric(ready.Seconds()/bare.Seconds(), "x-of-version")
}

// BenchmarkIdle measures the resident memory of a daemon that is online and has
// nothing to do.
func BenchmarkIdle(b *testing.B) {
	sim := newSimulator(b, "--personality", "air780ep")
	g := newGateway(b, sim.device, "[log]\nlevel = \"info\"\n")
	g.reaches("online", "")
	for b.Loop() {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.cmd.Process.Pid))
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(field(b, string(status), "VmRSS:"))/1024, "MiB-resident")
		b.ReportMetric(float64(field(b, string(status), "RssAnon:"))/1024, "MiB-anonymous")
	}
}

func field(tb testing.TB, text, name string) int {
	tb.Helper()
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			n, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				tb.Fatal(err)
			}
			return n
		}
	}
	tb.Fatalf("no %s in\n%s", name, text)
	return 0
}

// BenchmarkSize builds the programs as they are shipped and reports their size.
func BenchmarkSize(b *testing.B) {
	for _, target := range []struct{ name, arch, arm string }{{"amd64", "amd64", ""}, {"armv7", "arm", "7"}} {
		b.Run(target.name, func(b *testing.B) {
			dir := b.TempDir()
			ctx, cancel := context.WithTimeout(b.Context(), 10*time.Minute)
			defer cancel()
			for b.Loop() {
				build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", dir, "airbridged/cmd/...")
				build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH="+target.arch, "GOARM="+target.arm)
				if out, err := build.CombinedOutput(); err != nil {
					b.Fatalf("%v\n%s", err, out)
				}
			}
			for _, name := range []string{"airbridged", "airbridgectl", "airsim"} {
				info, err := os.Stat(filepath.Join(dir, name))
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(info.Size())/(1<<20), name+"-MiB")
			}
		})
	}
}
