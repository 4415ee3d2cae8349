package airsim

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/internal/airsim/simcloud"
)

// The time that an exchange takes on a paced line is that of its bytes: the
// command up to its CR, then the answer.
func TestPacing(t *testing.T) {
	for _, baud := range []int{9600, 115200, 921600} {
		simulate(t, simcloud.GuideOptions(), Options{Personality: "air780e", Baud: baud}, func(r *rig) {
			r.wait(time.Second)
			r.ask("ATE0\r")
			r.wait(time.Second)
			r.input.take()
			command, answer := "AT+CSQ\r", "\r\n+CSQ: 24,0\r\n"+okay
			r.write(command)
			need := wireTime(len(command), baud) + wireTime(len(answer), baud)
			time.Sleep(need - time.Microsecond)
			synctest.Wait()
			if got := r.input.take(); len(got) == len(answer) {
				t.Errorf("at %d baud the answer was there too early", baud)
			} else {
				answer = answer[len(got):]
			}
			time.Sleep(2 * time.Microsecond)
			synctest.Wait()
			r.expect("", answer)
			// The average rate is exact: no rounding adds up.
			const n = 500
			begin := time.Now()
			for range n {
				r.write(command)
				time.Sleep(need)
				synctest.Wait()
				r.expect("", "\r\n+CSQ: 24,0\r\n"+okay)
			}
			if took, ideal := time.Since(begin), n*need; took != ideal {
				t.Errorf("at %d baud %d exchanges took %v, want %v", baud, n, took, ideal)
			}
		})
	}
}

// Writes that follow each other fill the wire without gaps, and the host's
// buffer is bounded.
func TestPacedInputFillsTheWire(t *testing.T) {
	simulate(t, simcloud.GuideOptions(), Options{Personality: "air780e", Baud: 9600}, func(r *rig) {
		r.wait(time.Minute)
		r.ask("ATE0\r")
		r.wait(time.Second)
		r.input.take()
		begin := time.Now()
		if _, err := r.port.Write([]byte(strings.Repeat("x", 9600) + "\r")); err != nil {
			t.Fatal(err)
		}
		// All but the last 4096 bytes have left when Write returns.
		if took, want := time.Since(begin), wireTime(9601-hostBuffer, 9600); took < want || took > want+wireTime(drain, 9600) {
			t.Errorf("the write took %v, want %v", took, want)
		}
		r.wait(time.Minute)
		if c := r.m.Transcript(); c[len(c)-2].Dir != DirCommand || c[len(c)-2].At.Sub(begin) != wireTime(9601, 9600) {
			t.Errorf("the line was complete after %v, want %v", c[len(c)-2].At.Sub(begin), wireTime(9601, 9600))
		}
	})
}

// With round trips only: one for TCP and an acknowledgement, three for TLS, five
// for an HTTPS request. A message is at the cloud after half a one.
func TestRoundTrips(t *testing.T) {
	const rtt = 100 * time.Millisecond
	simulate(t, simcloud.GuideOptions(), Options{Personality: "air780ep", RTT: rtt}, func(r *rig) {
		r.quiet()
		took := func(command, until string) time.Duration {
			t.Helper()
			begin := time.Now()
			got := r.ask(command)
			for !strings.Contains(got, until) {
				if time.Since(begin) > time.Minute {
					t.Fatalf("%q: no %q, only %q", command, until, got)
				}
				r.wait(time.Millisecond)
				got += r.input.take()
			}
			return time.Since(begin)
		}
		want := func(command, until string, trips float64) {
			t.Helper()
			if d := took(command, until); d != time.Duration(trips*float64(rtt)) {
				t.Errorf("%s took %v, want %v round trips", command, d, trips)
			}
		}
		want("AT+SAPBR=1,1\r", "OK", 1)
		r.ask("AT+HTTPINIT\r" + `AT+HTTPPARA="URL","` + authURL + `"` + "\r" + `AT+HTTPPARA="USER_DEFINED","` + formHeader + `"` + "\r")
		r.ask("AT+HTTPDATA=112,20000\r" + guideAuth)
		want("AT+HTTPACTION=1\r", "+HTTPACTION: 1,200,128", 5)
		r.ask(directConfig + "\r")
		want(guideStart+"\r", "CONNECT OK", 3)
		want("AT+MCONNECT=1,300\r", "CONNACK OK", 1)
		want(subOne, "SUBACK", 1)
		want(pubOne, "PUBACK", 1)

		r.ask(pubOne)
		r.wait(rtt/2 - time.Millisecond)
		if n := len(r.c.Messages()); n != 1 {
			t.Errorf("%d messages before half a round trip, want 1", n)
		}
		r.wait(time.Millisecond)
		if n := len(r.c.Messages()); n != 2 {
			t.Errorf("%d messages after half a round trip, want 2", n)
		}
		// Now the module restarts: the message stays, the PUBACK never comes.
		r.do("reboot")
		r.wait(time.Second)
		if got := r.input.take(); strings.Contains(got, "PUBACK") {
			t.Errorf("a PUBACK came through a restart: %q", got)
		}

		r.quiet()
		r.ask(directConfig + "\r")
		want(strings.Replace(guideStart, "SSLM", "M", 1)+"\r", "CONNECT OK", 1)
		// A refused login shows after the round trip, instead of OK.
		r.ask(strings.Replace(directConfig, "70e7", "71e7", 1) + "\r")
		want("AT+MCONNECT=1,300\r", "ERROR", 1)
	})
}

// With latencies the waits are those of the vendor's log for the Air780EP.
func TestLatenciesOfTheVendorLog(t *testing.T) {
	simulate(t, simcloud.GuideOptions(), Options{Personality: "air780ep", Latency: true, Seed: 3}, func(r *rig) {
		r.expect("AT\r", "") // it boots
		r.wait(10 * time.Second)
		r.input.take()
		r.ask("AT\r")
		r.wait(10 * time.Millisecond)
		r.ask("ATE0\r")
		r.wait(10 * time.Millisecond)
		r.input.take()
		within := func(command, until string, least, most int) {
			t.Helper()
			begin := time.Now()
			got := r.ask(command)
			for !strings.Contains(got, until) {
				if time.Since(begin) > time.Minute {
					t.Fatalf("%q: no %q, only %q", command, until, got)
				}
				r.wait(time.Millisecond)
				got += r.input.take()
			}
			if d := time.Since(begin); d < ms(least) || d > ms(most) {
				t.Errorf("%s took %v, want %d to %d ms", command, d, least, most)
			}
		}
		within("AT+CSQ\r", "OK", 2, 6)
		within("AT+SAPBR=1,1\r", "OK", 4, 10)
		within(directConfig+"\r", "OK", 2, 6)
		within(guideStart+"\r", "CONNECT OK", 1400, 2310)
		within("AT+MCONNECT=1,120\r", "CONNACK OK", 200, 310)
		within(subOne, "SUBACK", 280, 330)
		within(pubOne, "PUBACK", 280, 330)
	})
}

// How long each family takes from power-on to attachment, so that tests know
// what to subtract.
func TestBootTimes(t *testing.T) {
	for _, p := range []string{"2g", "air724", "air780e", "air780ep"} {
		simulate(t, simcloud.GuideOptions(), Options{Personality: p, Latency: true, Seed: 1}, func(r *rig) {
			begin := time.Now()
			for got := ""; !strings.Contains(got, "+CGATT: 1"); got = r.input.take() {
				if time.Since(begin) > 15*time.Second {
					t.Fatalf("%s is not attached after 15 s", p)
				}
				r.ask("AT+CGATT?\r")
				r.wait(100 * time.Millisecond)
			}
			if time.Since(begin) < 2*time.Second {
				t.Errorf("%s was attached after %v", p, time.Since(begin))
			}
		})
	}
}

// Equal seeds and equal input give the same dialogue to the nanosecond, another
// seed another one.
func TestASeedDecidesEverything(t *testing.T) {
	day := func(seed uint64) (out []string) {
		co := simcloud.GuideOptions()
		co.Seed = seed
		o := Options{Personality: "air724", Baud: 115200, RTT: 80 * time.Millisecond, Latency: true, Seed: seed}
		simulate(t, co, o, func(r *rig) {
			begin := time.Now()
			r.do("corrupt OK prob=0.1 count=all")
			r.do("lose 3")
			r.do("noise on every=7s")
			r.do("every 90s reboot")
			for i := range 200 {
				r.ask("AT\r")
				r.wait(time.Duration(100+i) * time.Millisecond)
				r.ask("AT+CSQ\r")
				r.wait(time.Second)
				switch i % 10 {
				case 1:
					r.ask("AT+SAPBR=1,1\r" + directConfig + "\r")
				case 2:
					r.ask(guideStart + "\r")
				case 5:
					r.ask("AT+MCONNECT=1,300\r")
				case 7, 8, 9:
					r.ask(pubOne)
				}
			}
			for _, e := range r.m.Transcript() {
				out = append(out, fmt.Sprint(e.At.Sub(begin), e.Dir, e.Text))
			}
		})
		return out
	}
	a, b, c := day(5), day(5), day(6)
	if len(a) < 400 {
		t.Fatalf("only %d entries", len(a))
	}
	if !reflect.DeepEqual(a, b) {
		for i := range a {
			if i >= len(b) || a[i] != b[i] {
				t.Fatalf("entry %d differs: %s and %s", i, a[i], b[i])
			}
		}
		t.Fatal("the second run is longer")
	}
	if reflect.DeepEqual(a, c) {
		t.Error("another seed gave the same day")
	}
}

// Being woken late is the simulator's fault and is made good: the host's answer
// is taken to have started that much earlier. A host that reads late is not
// given anything.
func TestTheWireClockMakesGoodWhatTheSimulatorWasLate(t *testing.T) {
	simulate(t, simcloud.GuideOptions(), Options{Personality: "air780e", Baud: 9600}, func(r *rig) {
		r.wait(time.Second)
		r.ask("ATE0\r")
		r.wait(time.Second)
		_ = r.port.Close()
		port := r.m.Open()
		defer func() { _ = port.Close() }()
		last := func() time.Time {
			t.Helper()
			synctest.Wait()
			r.m.mu.Lock()
			defer r.m.mu.Unlock()
			return r.m.in.arriving[0].start
		}
		buf := make([]byte, 64)
		exchange := func() {
			t.Helper()
			if _, err := port.Write([]byte("AT\r")); err != nil {
				t.Fatal(err)
			}
			r.wait(wireTime(3+len(okay), 9600) + 20*time.Millisecond)
			if n, err := port.Read(buf); err != nil || string(buf[:n]) != okay {
				t.Fatalf("%q %v", buf[:n], err)
			}
		}
		exchange() // the host read 20 ms late
		begin := time.Now()
		if _, err := port.Write([]byte("AT\r")); err != nil {
			t.Fatal(err)
		}
		if got := last(); !got.Equal(begin) {
			t.Errorf("a host that read late was given %v", begin.Sub(got))
		}
		r.wait(time.Second)
		if _, err := port.Read(buf); err != nil {
			t.Fatal(err)
		}
		r.m.mu.Lock()
		r.m.port.handed = r.m.out.last.Add(3 * time.Millisecond) // as if woken so late
		r.m.mu.Unlock()
		begin = time.Now()
		if _, err := port.Write([]byte("AT\r")); err != nil {
			t.Fatal(err)
		}
		if got := begin.Sub(last()); got != 3*time.Millisecond {
			t.Errorf("%v were made good, want 3ms", got)
		}
	})
}
