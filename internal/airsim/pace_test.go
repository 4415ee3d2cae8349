package airsim

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"airbridged/internal/airsim/simcloud"
)

// BenchmarkPacedPublish measures how near to the wire limit a host gets that
// does nothing but wait for PUBACK and write the next command: what is missing
// to 1 is what the simulator, the scheduler and the pseudo-terminal add.
func BenchmarkPacedPublish(b *testing.B) {
	for _, baud := range []int{115200, 921600} {
		for _, kind := range []string{"memory", "pty"} {
			b.Run(fmt.Sprintf("%s/%d", kind, baud), func(b *testing.B) { benchmarkPublish(b, kind, baud) })
		}
	}
}

// BenchmarkUnpacedPublish is the simulator's own time for one exchange.
func BenchmarkUnpacedPublish(b *testing.B) {
	for _, kind := range []string{"memory", "pty"} {
		b.Run(kind, func(b *testing.B) { benchmarkPublish(b, kind, 0) })
	}
}

func benchmarkPublish(b *testing.B, kind string, baud int) {
	m, err := New(simcloud.New(simcloud.GuideOptions()), Options{Personality: "air780ep", Baud: baud})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	var port io.ReadWriteCloser
	if kind == "memory" {
		port = m.Open()
		go func() { done <- m.Run(ctx) }()
	} else {
		term, err := OpenTerminal(baud)
		if err != nil {
			b.Fatal(err)
		}
		go func() { done <- m.Serve(ctx, term) }()
		if port, err = os.OpenFile(term.Path(), os.O_RDWR, 0); err != nil {
			b.Fatal(err)
		}
	}
	ask := func(command, until string) int {
		if _, err := io.WriteString(port, command); err != nil {
			b.Fatal(err)
		}
		var got []byte
		buf := make([]byte, 512)
		for !bytes.HasSuffix(got, []byte(until)) {
			n, err := port.Read(buf)
			if err != nil {
				b.Fatal(err)
			}
			got = append(got, buf[:n]...)
		}
		return len(got)
	}
	ask("AT\r", okay)
	ask("ATE0\r", okay)
	ask("AT+SAPBR=1,1\r", okay)
	ask(directConfig+"\r", okay)
	ask(guideStart+"\r", "CONNECT OK\r\n")
	ask("AT+MCONNECT=1,300\r", "CONNACK OK\r\n")
	command := `AT+MPUB="` + guideUpdate + `",1,0,"` + strings.Repeat("x", 128) + `"` + "\r"
	n := 0
	b.ResetTimer()
	for range b.N {
		n += len(command) + ask(command, "PUBACK\r\n")
	}
	b.StopTimer()
	if baud != 0 {
		b.ReportMetric(wireTime(n, baud).Seconds()/b.Elapsed().Seconds(), "of-wire")
	}
	_ = port.Close()
	cancel()
	if err := <-done; err != nil {
		b.Error(err)
	}
}
