package airsim

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
)

// BenchmarkPacedPublish measures how near to the wire limit a host gets that
// does nothing but wait for PUBACK and write the next command: 1 less the
// reported ratio is what the simulator and the pseudo-terminal add.
func BenchmarkPacedPublish(b *testing.B) {
	for _, baud := range []int{115200, 921600} {
		b.Run(map[int]string{115200: "115200", 921600: "921600"}[baud], func(b *testing.B) {
			o := GuideOptions()
			o.ConnectsPerMinute = -1
			m, err := New(NewCloud(o), Options{Personality: "air780ep", Baud: baud})
			if err != nil {
				b.Fatal(err)
			}
			term, err := OpenTerminal(baud)
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() { done <- m.Serve(ctx, term) }()
			host, err := os.OpenFile(term.Path(), os.O_RDWR, 0)
			if err != nil {
				b.Fatal(err)
			}
			ask := func(command, until string) int {
				if _, err := host.WriteString(command); err != nil {
					b.Fatal(err)
				}
				var got []byte
				buf := make([]byte, 512)
				for !bytes.HasSuffix(got, []byte(until)) {
					n, err := host.Read(buf)
					if err != nil {
						b.Fatal(err)
					}
					got = append(got, buf[:n]...)
				}
				return len(got)
			}
			ask("AT\r", "OK\r\n")
			ask("ATE0\r", "OK\r\n")
			ask("AT+SAPBR=1,1\r", "OK\r\n")
			ask(directConfig+"\r", "OK\r\n")
			ask(guideStart+"\r", "CONNECT OK\r\n")
			ask("AT+MCONNECT=1,300\r", "CONNACK OK\r\n")
			command := `AT+MPUB="` + guideUpdate + `",1,0,"` + strings.Repeat("x", 128) + `"` + "\r"
			n := 0
			b.ResetTimer()
			for range b.N {
				n += len(command) + ask(command, "PUBACK\r\n")
			}
			b.StopTimer()
			b.ReportMetric(wireTime(n, baud).Seconds()/b.Elapsed().Seconds(), "of-wire")
			_ = host.Close()
			cancel()
			if err := <-done; err != nil {
				b.Error(err)
			}
		})
	}
}
