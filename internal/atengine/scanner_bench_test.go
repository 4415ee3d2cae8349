package atengine

import (
	"strings"
	"testing"
)

// day is a realistic mix: polls with echo, publishes with the echo of a JSON
// payload, downlink messages, URCs of the network, and an HTTP answer.
func day() []byte {
	report := `{\22id\22:\22123\22,\22version\22:\221.0\22,\22params\22:{\22temperature\22:23.5,\22humidity\22:41}}`
	poll := "AT+CSQ\r\r\n+CSQ: 29,99\r\n\r\nOK\r\nAT+MQTTSTATU\r\r\n+MQTTSTATU :1\r\n\r\nOK\r\n"
	publish := `AT+MPUB="/sys/b1KCi45LcCP/862991419835241/thing/event/property/post",1,0,"` + report + "\"\r\r\nOK\r\n\r\nPUBACK\r\n"
	down := "\r\n" + message("/b1KCi45LcCP/862991419835241/get", `{"method":"thing.service.property.set","id":"1","params":{"led":1}}`) + "\r\n"
	urcs := "\r\n^MODE: 17,17\r\n\r\n+E_UTRAN Service\r\n\r\n+CGEV: ME PDN ACT 1\r\n\r\n+NITZ: 2024/07/10,08:33:44+0,0\r\n"
	http := "AT+HTTPREAD\r\r\n+HTTPREAD: 600\r\n" + strings.Repeat("0123456789{}\"'\r\n>OK,", 30) + "\r\nOK\r\n"
	return []byte(strings.Repeat(strings.Repeat(publish+down, 8)+poll, 4) + urcs + http)
}

// BenchmarkScanner scans that mix in reads of one block each.
func BenchmarkScanner(b *testing.B) {
	in := day()
	s := NewScanner(0, testFramers())
	tokens := 0
	emit := func(Token) { tokens++ }
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		for rest := in; len(rest) > 0; {
			n := min(readSize, len(rest))
			s.Feed(rest[:n], emit)
			rest = rest[n:]
		}
	}
	if s.Pending() != 0 || tokens == 0 {
		b.Fatalf("%d bytes are held back, %d tokens", s.Pending(), tokens)
	}
	b.ReportMetric(float64(tokens)/float64(b.N), "tokens/op")
}

// BenchmarkScannerBytewise is the worst chunking there is.
func BenchmarkScannerBytewise(b *testing.B) {
	in := day()
	s := NewScanner(0, testFramers())
	emit := func(Token) {}
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		for i := range in {
			s.Feed(in[i:i+1], emit)
		}
	}
}

func TestScannerDoesNotAllocate(t *testing.T) {
	in := day()
	s := NewScanner(0, testFramers())
	tokens := 0
	emit := func(Token) { tokens++ }
	for name, feed := range map[string]func(){
		"whole lines": func() { s.Feed(in, emit) },
		"cut lines": func() {
			for rest := in; len(rest) > 0; {
				n := min(100, len(rest))
				s.Feed(rest[:n], emit)
				rest = rest[n:]
			}
		},
	} {
		feed() // the buffer grows once
		if n := testing.AllocsPerRun(100, feed); n != 0 {
			t.Errorf("%s: %v allocations per run, want none", name, n)
		}
	}
	if s.Pending() != 0 || tokens == 0 {
		t.Errorf("%d bytes are held back, %d tokens", s.Pending(), tokens)
	}
}
