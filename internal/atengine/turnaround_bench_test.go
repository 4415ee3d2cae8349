package atengine

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"testing"
	"time"
)

// BenchmarkTurnaround measures what the engine adds to the round trip of a
// publish: from the module's PUBACK being written into the line to the first
// byte of the next command coming out of it.
func BenchmarkTurnaround(b *testing.B) {
	b.Run("os.Pipe", func(b *testing.B) {
		hostIn, moduleOut, err := os.Pipe()
		if err != nil {
			b.Fatal(err)
		}
		moduleIn, hostOut, err := os.Pipe()
		if err != nil {
			b.Fatal(err)
		}
		turnaround(b, hostIn, hostOut, moduleIn, moduleOut)
	})
	b.Run("io.Pipe", func(b *testing.B) {
		hostIn, moduleOut := io.Pipe()
		moduleIn, hostOut := io.Pipe()
		turnaround(b, hostIn, hostOut, moduleIn, moduleOut)
	})
}

func turnaround(b *testing.B, hostIn io.Reader, hostOut io.Writer, moduleIn io.ReadCloser, moduleOut io.WriteCloser) {
	e := New(struct {
		io.Reader
		io.Writer
	}{hostIn, hostOut}, Options{Framers: testFramers(), URC: keepLines})
	ran := make(chan error, 1)
	go func() { ran <- e.Run(context.Background()) }()
	times := make(chan []time.Duration, 1)
	go func() { times <- acknowledge(moduleIn, moduleOut) }()

	publish := Command{Line: `AT+MPUB="/b1KCi45LcCP/862991419835241/update",1,0,"{\22temperature\22:23.5,\22humidity\22:41}"`}
	b.ReportAllocs()
	for b.Loop() {
		reply, err := e.Do(context.Background(), publish)
		if err != nil {
			b.Fatal(err)
		}
		if _, err = e.Await(context.Background(), reply.Mark, time.Second, "PUBACK", is("PUBACK")); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := hostOut.Write([]byte("END\r")); err != nil {
		b.Fatal(err)
	}
	took := <-times
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1e3, "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1e3, "p99-µs")
	if err := <-ran; err != nil && !errors.Is(err, io.EOF) {
		b.Error(err)
	}
}

// acknowledge is a module that answers every command with OK and PUBACK. It
// returns the time from each PUBACK to the next command's first bytes.
func acknowledge(in io.ReadCloser, out io.WriteCloser) (took []time.Duration) {
	defer func() { _ = in.Close() }()
	defer func() { _ = out.Close() }()
	buf := make([]byte, 4096)
	var written time.Time
	for {
		n, err := in.Read(buf)
		if err != nil {
			return took
		}
		if !written.IsZero() {
			took = append(took, time.Since(written))
			written = time.Time{}
		}
		if buf[n-1] != '\r' {
			continue
		}
		if string(buf[:n]) == "END\r" {
			return took
		}
		if _, err = out.Write([]byte(ok)); err != nil {
			return took
		}
		written = time.Now()
		if _, err = out.Write([]byte("\r\nPUBACK\r\n")); err != nil {
			return took
		}
	}
}
