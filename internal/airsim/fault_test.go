package airsim

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"airbridged/internal/airsim/simcloud"
)

const (
	okay    = "\r\nOK\r\n"
	acked   = okay + "\r\nPUBACK\r\n"
	pubOne  = `AT+MPUB="` + guideUpdate + `",1,0,"one"` + "\r"
	subOne  = `AT+MSUB="` + guideGet + `",0` + "\r"
	pubEx   = `AT+MPUBEX="` + guideUpdate + `",1,0,3` + "\r"
	guideID = simcloud.GuideDeviceName
)

// faultCase shows on the wire what one word of the language does. The module is
// an Air780EP, online, echo off.
type faultCase struct {
	personality string // other than air780ep
	offline     bool   // do not go online first
	show        func(r *rig)
}

func on(show func(r *rig)) faultCase { return faultCase{show: show} }

func off(show func(r *rig)) faultCase { return faultCase{offline: true, show: show} }

// Every word of the language, and what it looks like from outside. A word that
// has no case here fails the test.
func TestEveryFaultShowsOnTheWire(t *testing.T) {
	cases := map[string]faultCase{}
	for _, more := range []map[string]faultCase{wireCases(), commandCases(), powerCases(), networkCases(), httpCases(), mqttCases(), cloudCases()} {
		for name, c := range more {
			cases[name] = c
		}
	}
	for _, w := range language().Words {
		c, found := cases[w.Name]
		if !found {
			t.Errorf("no case shows what %q does", w.Name)
			continue
		}
		delete(cases, w.Name)
		t.Run(w.Name, func(t *testing.T) {
			if _, err := language().Parse(w.Example); err != nil {
				t.Errorf("its own example %q: %v", w.Example, err)
			}
			p := c.personality
			if p == "" {
				p = "air780ep"
			}
			simulate(t, simcloud.GuideOptions(), Options{Personality: p, Seed: 7}, func(r *rig) {
				if c.offline {
					r.quiet()
				} else {
					r.mqttOn()
				}
				c.show(r)
			})
		})
	}
	for name := range cases {
		t.Errorf("a case for %q, which is no word of the language", name)
	}
}

func wireCases() map[string]faultCase {
	return map[string]faultCase{
		"drop": on(func(r *rig) {
			r.do("drop PUBACK")
			r.expect(pubOne, okay)
			r.expect(pubOne, acked)
		}),
		"delay": on(func(r *rig) {
			r.do("delay PUBACK 2s")
			r.expect(pubOne, okay)
			r.expect("AT\r", okay)
			r.wait(2 * time.Second)
			r.expect("", "\r\nPUBACK\r\n")
		}),
		"dup": on(func(r *rig) {
			r.do("dup PUBACK")
			r.expect(pubOne, acked+"\r\nPUBACK\r\n")
		}),
		"corrupt": on(func(r *rig) {
			r.do("corrupt +CSQ")
			got := r.ask("AT+CSQ\r")
			if want := "\r\n+CSQ: 24,0\r\n" + okay; got == want || len(got) != len(want) {
				r.t.Errorf("got %q, want one bit of the first line flipped", got)
			}
			r.expect("AT+CSQ\r", "\r\n+CSQ: 24,0\r\n"+okay)
		}),
		"split": on(func(r *rig) {
			r.do("split +CSQ 200ms")
			first := r.ask("AT+CSQ\r")
			r.wait(200 * time.Millisecond)
			rest := r.input.take()
			if first == "" || rest == "" || first+rest != "\r\n+CSQ: 24,0\r\n"+okay {
				r.t.Errorf("got %q, then %q", first, rest)
			}
		}),
		"strip": on(func(r *rig) {
			r.do("strip PUBACK")
			r.expect(pubOne, okay+"PUBACK")
		}),
		"shorten": on(func(r *rig) {
			r.do("shorten +CSQ 6")
			r.write("AT+CSQ\r")
			got := r.input.take()
			if want := "\r\n+CSQ: 24,0\r\n" + okay; len(got) != len(want)-6 || !strings.HasSuffix(got, okay) {
				r.t.Errorf("got %q", got)
			}
		}),
		"lose": on(func(r *rig) {
			r.do("lose 4")
			r.expect("AT+CSQ\r", "SQ: 24,0\r\n"+okay)
		}),
		"lose-in": on(func(r *rig) {
			r.do("lose-in 1")
			r.expect("AT+CSQ\r", "\r\nERROR\r\n")
			r.expect("AT\r", okay)
		}),
		"garbage": on(func(r *rig) {
			r.do("garbage 16")
			if got := r.input.take(); len(got) != 16 {
				r.t.Errorf("got %q, want 16 bytes", got)
			}
		}),
		"inject": on(func(r *rig) {
			r.do(`inject "+CREG: 2,1"`)
			r.expect("", "\r\n+CREG: 2,1\r\n")
		}),
		"inject-raw": on(func(r *rig) {
			r.do(`inject-raw "^boot.rom'v'!\\n"`)
			r.expect("", `^boot.rom'v'!\n`)
		}),
		"echo-cut": on(func(r *rig) {
			r.write("ATE1\r")
			r.input.take()
			r.do(`echo-cut RING`)
			r.expect("AT+CSQ\r", "AT+\r\nRING\r\nCSQ\r"+"\r\n+CSQ: 24,0\r\n"+okay)
		}),
		"line-ends": on(func(r *rig) {
			for ends, want := range map[string]string{"lf": "\nOK\n", "cr": "\rOK\r", "crcrlf": "\r\r\nOK\r\r\n", "crlf": okay} {
				r.do("line-ends " + ends)
				r.expect("AT\r", want)
			}
		}),
		"echo": on(func(r *rig) {
			r.do("echo on")
			r.expect("AT\r", "AT\r"+okay)
			r.do("echo off")
			r.expect("AT\r", okay)
		}),
		"echo-rejected": on(func(r *rig) {
			r.do("echo-rejected")
			r.expect("AT+CSQ\r", "\r\n+CSQ: 24,0\r\n"+okay)
			r.expect("AT+NONE\r", "AT+NONE\r\r\nERROR\r\n")
			r.expect("AT+NONE\r", "\r\nERROR\r\n")
		}),
		"noise": on(func(r *rig) {
			r.do("noise on every=2s")
			r.wait(20 * time.Second)
			if n := len(lines(r.input.take())); n != 10 {
				r.t.Errorf("%d lines of noise in 20 s, want 10", n)
			}
			r.do("noise off")
			r.wait(20 * time.Second)
			r.expect("", "")
		}),
	}
}

func commandCases() map[string]faultCase {
	return map[string]faultCase{
		"error": on(func(r *rig) {
			r.do("error AT+CGATT 100")
			r.do("error AT+CSQ")
			r.expect("AT+CGATT?\r", "\r\n+CME ERROR: 100\r\n")
			r.expect("AT+CGATT?\r", "\r\n+CGATT: 1\r\n"+okay)
			r.expect("AT+CSQ\r", "\r\nERROR\r\n")
		}),
		"mute": on(func(r *rig) {
			r.do("mute AT+CSQ")
			r.expect("AT+CSQ\r", "")
			r.expect("AT\r", okay)
		}),
		"late": on(func(r *rig) {
			r.do("late AT+CSQ 12s")
			r.expect("AT+CSQ\r", "")
			r.expect("AT\r", "") // waits behind it
			r.wait(12 * time.Second)
			r.expect("", "\r\n+CSQ: 24,0\r\n"+okay+okay)
		}),
		"ipr": on(func(r *rig) {
			r.do("ipr fail")
			r.expect("AT+IPR=921600\r", "\r\n+CME ERROR: 3\r\n")
			r.expect("AT+IPR=921600\r", okay)
		}),
		"faults": on(func(r *rig) {
			r.do("drop PUBACK count=2")
			r.do("puback never")
			r.do("on <RDY closed")
			if got := r.do("faults"); got != "drop PUBACK (2 left)\non <RDY closed\npuback never (1 left)" {
				r.t.Errorf("got %q", got)
			}
		}),
		"clear": on(func(r *rig) {
			r.do("drop PUBACK count=all")
			r.do("every 1s inject RING")
			r.do("clear")
			r.expect(pubOne, acked)
			r.wait(5 * time.Second)
			r.expect("", "")
		}),
		"at": on(func(r *rig) {
			r.do("at 5s inject RING")
			r.wait(4 * time.Second)
			r.expect("", "")
			r.wait(2 * time.Second)
			r.expect("", "\r\nRING\r\n")
		}),
		"every": on(func(r *rig) {
			r.do("every 2s inject RING")
			r.wait(5 * time.Second)
			r.expect("", "\r\nRING\r\n\r\nRING\r\n")
		}),
		"on": on(func(r *rig) {
			r.do("on >AT+CSQ skip=1 inject RING")
			if got := r.ask("AT+CSQ\r"); strings.Contains(got, "RING") {
				r.t.Errorf("the first one was to pass: %q", got)
			}
			if got := r.ask("AT+CSQ\r"); !strings.Contains(got, "\r\nRING\r\n") {
				r.t.Errorf("the second one was to ring: %q", got)
			}
		}),
		"counters": on(func(r *rig) {
			if got := r.do("counters"); !strings.Contains(got, `"connects":1`) || !strings.Contains(got, `"commands":`) {
				r.t.Errorf("got %s", got)
			}
		}),
		"help": on(func(r *rig) {
			got := r.do("help")
			for _, w := range language().Words {
				if !strings.Contains(got, "\n"+w.Name) && !strings.HasPrefix(got, w.Name) {
					r.t.Errorf("help does not tell of %s", w.Name)
				}
			}
		}),
	}
}

func networkCases() map[string]faultCase {
	return map[string]faultCase{
		"csq": on(func(r *rig) {
			r.do("csq 99")
			r.expect("AT+CSQ\r", "\r\n+CSQ: 99,0\r\n"+okay)
		}),
		"network-time": on(func(r *rig) {
			tells := func() time.Time {
				var text string
				answer := r.ask("AT+CCLK?\r")
				if _, err := fmt.Sscanf(answer, "\r\n+CCLK: %q\r\n", &text); err != nil {
					r.t.Fatalf("%q: %v", answer, err)
				}
				at, err := time.Parse("06/01/02,15:04:05-07", text[:len(text)-2]+"08") // 32 quarters
				if err != nil {
					r.t.Fatalf("%q: %v", text, err)
				}
				return at
			}
			if d := time.Since(tells()); d < 0 || d > time.Second {
				r.t.Errorf("the module's clock is %v behind", d)
			}
			r.do("network-time -90m")
			if d := time.Since(tells()); d < 90*time.Minute || d > 90*time.Minute+time.Second {
				r.t.Errorf("the module's clock is %v behind", d)
			}
			r.do("network-time unset")
			r.expect("AT+CCLK?\r", "\r\n+CCLK: \"70/01/01,08:00:00+32\"\r\n"+okay)
		}),
		"sim": on(func(r *rig) {
			r.do("sim removed")
			r.expect("", "\r\n+CPIN: SIM REMOVED 0\r\n")
			r.expect("AT+CPIN?\r", "\r\n+CME ERROR: 10\r\n")
			r.do("sim inserted")
			r.expect("", "\r\n+CPIN: READY 0\r\n\r\nCLOSED\r\n")
			r.expect("AT+CPIN?\r", "\r\n+CPIN: READY\r\n"+okay)
			r.do("sim pin")
			r.expect("AT+CPIN?\r", "\r\n+CPIN: SIM PIN\r\n"+okay)
			r.do("sim puk")
			r.expect("AT+CPIN?\r", "\r\n+CPIN: SIM PUK\r\n"+okay)
			r.do("sim unlocked")
			r.expect("AT+CPIN?\r", "\r\n+CPIN: READY\r\n"+okay)
		}),
		"imei": on(func(r *rig) {
			r.do("imei 000000000000000")
			r.expect("AT+CGSN\r", "\r\n000000000000000\r\n"+okay)
			r.expect("AT+CGSN=1\r", "\r\n+CGSN: \"000000000000000\"\r\n"+okay)
			r.do("imei nothing plain")
			r.expect("AT+CGSN\r", okay)
			r.expect("AT+CGSN=1\r", "\r\n+CGSN: \"862991419835241\"\r\n"+okay)
			r.do("imei refused")
			r.expect("AT+CGSN\r", "\r\n+CME ERROR: 100\r\n")
		}),
		"network-says": on(func(r *rig) {
			r.do("network-says 6 works")
			r.expect("AT+CEREG?\r", "\r\n+CGREG: 0,6\r\n"+okay)
			r.expect("AT+CGATT?\r", "\r\n+CGATT: 1\r\n"+okay)
			r.do("network-says 3 15")
			r.expect("AT+CREG?\r", "\r\n+CREG: 3,3,,,,0,15\r\n"+okay)
			r.expect("AT+CGATT?\r", "\r\n+CGATT: 0\r\n"+okay)
			r.expect("AT+CSQ\r", "\r\n+CSQ: 24,0\r\n"+okay)
			r.do("network-says 5")
			r.expect("", "\r\nCLOSED\r\n")
			r.expect("AT+CREG?\r", "\r\n+CREG: 0,5\r\n"+okay)
			r.expect("AT+CGATT?\r", "\r\n+CGATT: 1\r\n"+okay)
		}),
		"sim-stuck": on(func(r *rig) {
			r.do("sim-stuck 13")
			r.expect("AT+CPIN?\r", "\r\n+CME ERROR: 13\r\n")
			r.expect("AT+CFUN=1\r", okay)
			r.expect("AT+CPIN?\r", "\r\n+CME ERROR: 13\r\n")
			r.expect("AT+CFUN=0\r", "\r\nCLOSED\r\n"+okay)
			r.expect("AT+CFUN=1\r", okay)
			r.expect("AT+CPIN?\r", "\r\n+CPIN: READY\r\n"+okay)
			r.do("sim-stuck 15 reset")
			r.expect("AT+CFUN=0\r", okay)
			r.expect("AT+CFUN=1\r", okay)
			r.expect("AT+CPIN?\r", "\r\n+CME ERROR: 15\r\n")
		}),
		"service": on(func(r *rig) {
			r.do("service lost")
			r.expect("", "\r\n^MODE: 0,0\r\n\r\n+NO Service\r\n")
			r.expect("AT+CREG?\r", "\r\n+CREG: 0,2\r\n"+okay)
			r.expect("AT+CGATT?\r", "\r\n+CGATT: 0\r\n"+okay)
			r.do("service back")
			r.expect("", "\r\n^MODE: 17,17\r\n\r\n+E_UTRAN Service\r\n\r\nCLOSED\r\n")
			r.expect("AT+CGATT?\r", "\r\n+CGATT: 1\r\n"+okay)
		}),
		"dns": on(func(r *rig) {
			r.do("dns lost")
			r.expect(pubOne, acked) // who is connected needs no name
			r.ask("AT+MDISCONNECT\rAT+MIPCLOSE\r")
			r.expect(guideStart+"\r", okay+"\r\nSTATE: IP INITIAL\r\n\r\nCONNECT FAIL\r\n")
			if got := r.post(authURL, guideAuth); !strings.Contains(got, "+HTTPACTION: 1,603,0") {
				r.t.Errorf("got %q, want 603", got)
			}
			r.do("dns back")
			r.expect(guideStart+"\r", okay+"\r\nCONNECT OK\r\n")
		}),
		"attach": off(func(r *rig) {
			r.do("attach never")
			r.ask("AT+CFUN=0\rAT+CFUN=1\r")
			r.expect("AT+CGATT?\r", "\r\n+CGATT: 0\r\n"+okay)
			r.ask("AT+CFUN=0\rAT+CFUN=1\r")
			r.expect("AT+CGATT?\r", "\r\n+CGATT: 1\r\n"+okay)
		}),
		"detach": on(func(r *rig) {
			r.do("detach")
			r.expect("", "\r\nCLOSED\r\n")
			r.expect("AT+CGATT?\r", "\r\n+CGATT: 0\r\n"+okay)
		}),
		"pdp-deact": on(func(r *rig) {
			for spelling, text := range map[string]string{"colon": "+PDP: DEACT", "plain": "+PDP DEACT", "cgev": "+CGEV: NW PDN DEACT 1"} {
				r.do("pdp-deact " + spelling)
				r.expect("", "\r\n"+text+"\r\n")
				r.expect(pubOne, "\r\n+CME ERROR: 767\r\n")
				r.expect("AT+SAPBR=1,1\r", okay)
			}
			r.do("pdp-deact plain stuck")
			r.input.take()
			r.expect("AT+SAPBR=1,1\r", "\r\n+CME ERROR: 3\r\n")
			r.ask("AT+CFUN=0\rAT+CFUN=1\r")
			r.expect("AT+SAPBR=1,1\r", okay)
		}),
		"sapbr-deact": on(func(r *rig) {
			r.do("sapbr-deact")
			r.expect("", "\r\n+SAPBR 1: DEACT\r\n")
			r.expect("AT+SAPBR=2,1\r", "\r\n"+`+SAPBR: 1,3,"0.0.0.0"`+"\r\n"+okay)
			r.expect(pubOne, acked) // the default context is another one
		}),
		"bearer": off(func(r *rig) {
			r.do("bearer fail")
			r.expect("AT+SAPBR=1,1\r", "\r\n+CME ERROR: 148\r\n")
			r.do("bearer never")
			r.expect("AT+SAPBR=1,1\r", "")
			r.wait(time.Hour)
			r.expect("AT\r", "") // waits behind it for ever
			r.do("reset")
			r.input.take()
			r.expect("AT\r", okay)
		}),
	}
}
