package airsim

import (
	"strings"
	"testing"
	"time"

	"airbridged/internal/airsim/simcloud"
)

// Whatever stands on a line is taken or refused, never a panic, and what is
// taken is made of the line's own text.
func FuzzParseLine(f *testing.F) {
	for _, s := range []string{
		"AT", "at", "AT+CSQ", "AT+CSQ;+CREG?", `AT+MPUB="/a/b",1,0,"x,\22;"`, "AT+IPR=115200;&W", "ATE0V1S0=1S3?", "AT&F",
		`AT+X="`, `AT+X=""",`, "AT+", "AT;", "AT+X=,,,", `AT+X= "a" , b `, "AT+X=?", "AT+X?;", "AT*EXINFO?",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		commands, fine := parseLine(line)
		if !fine && commands != nil {
			t.Fatalf("refused, with %+v", commands)
		}
		for _, c := range commands {
			if c.verb == "" || c.verb != strings.ToUpper(c.verb) || c.op == 0 || !strings.Contains(line, c.text) {
				t.Fatalf("%q gave %+v", line, c)
			}
			for _, a := range c.args {
				if !strings.Contains(line, a.text) || a.quoted && strings.Contains(a.text, `"`) {
					t.Fatalf("%q gave the parameter %q", line, a.text)
				}
			}
		}
	})
}

// Whatever a host writes, the module does not panic, and after a reset it works.
func FuzzHost(f *testing.F) {
	for p := range Personalities() {
		f.Add(byte(p), []byte("AT\rATE0\rAT+SAPBR=1,1\r"+directConfig+"\r"+guideStart+"\rAT+MCONNECT=1,300\r"+pubOne+pubEx+"abc"+subOne))
	}
	f.Add(byte(3), []byte("AT\rAT+HTTPINIT\rAT+HTTPDATA=5,1000\rab"))
	f.Add(byte(3), []byte("AT\rAT+MPUBEX=\"a\",0,0\r\x1a\x1a"))
	f.Add(byte(2), []byte("AT+IPR=9600;&W\rAT+CFUN=1,1\rAT+CPOWD=1\r"))
	f.Fuzz(func(t *testing.T, p byte, typed []byte) {
		if len(typed) > hostBuffer {
			return
		}
		names := Personalities()
		o := Options{Personality: names[int(p)%len(names)], Latency: p&0x80 != 0, Seed: uint64(p)}
		if p&0x40 != 0 {
			o.Baud = 115200
		}
		m, err := New(simcloud.New(simcloud.GuideOptions()), o)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.begin(); err != nil {
			t.Fatal(err)
		}
		port := m.attach()
		later := func(d time.Duration) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.advance(time.Now().Add(d))
		}
		later(time.Minute)
		if _, err := port.Write(typed); err != nil {
			t.Fatal(err)
		}
		later(2 * time.Minute)
		for _, command := range []string{"clear", "baud 0", "power-off", "reset"} {
			if _, err := m.Do(command); err != nil {
				t.Fatal(err)
			}
		}
		later(4 * time.Minute)
		_ = port.SetBaud(map[bool]int{true: m.saved.rate}[m.saved.rate != 0])
		port.out = nil
		if _, err := port.Write([]byte("\rAT\r")); err != nil {
			t.Fatal(err)
		}
		later(5 * time.Minute)
		if got := string(port.out); !strings.HasSuffix(got, okay) {
			t.Fatalf("after a reset AT is answered by %q", got)
		}
	})
}

// No text makes the fault language panic, and what parses can be carried out.
func FuzzLanguage(f *testing.F) {
	for _, w := range language().Words {
		f.Add(w.Example)
	}
	f.Add(`at 5s on "<OK" count=2 every 1s inject "\x41\r"`)
	f.Fuzz(func(t *testing.T, command string) {
		a, err := language().Parse(command)
		if err != nil {
			return
		}
		if a.Text == "" {
			t.Fatalf("%q gave %+v", command, a)
		}
		if strings.Contains(command, "garbage") || strings.Contains(command, "brown-out") {
			return // may be large
		}
		m, err := New(simcloud.New(simcloud.GuideOptions()), Options{Personality: "air780ep"})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.begin(); err != nil {
			t.Fatal(err)
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		a.Do(m)
		m.advance(time.Now().Add(time.Millisecond))
	})
}
