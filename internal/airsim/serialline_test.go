package airsim

import (
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/internal/airsim/simcloud"
)

// Upper-case AT trains the rate, lower case does not (Air AT manual section 4.7);
// once trained, lower case is a command like any other.
func TestOnlyUpperCaseTrains(t *testing.T) {
	simulate(t, simcloud.GuideOptions(), Options{Personality: "2g"}, func(r *rig) {
		r.expect("", "") // no boot banner is visible before training
		r.expect("at\r", "")
		r.expect("aT\r", "")
		r.expect("AT\r", okay)
		r.expect("at\r", "at\r"+okay)
		r.expect("aT\r", "aT\r\r\nERROR\r\n")
	})
	simulate(t, simcloud.GuideOptions(), Options{Personality: "air780e"}, func(r *rig) {
		if got := r.input.take(); !strings.HasPrefix(got, `^boot.rom'v'!\n`+"\r\nRDY\r\n\r\n^MODE: 17,17\r\n") {
			t.Errorf("the boot banner is %q", got)
		}
		r.expect("at\r", "at\r"+okay) // this one listens at one rate
	})
}

// Commands end with CR. A LF behind it is ignored between commands, but becomes
// the first byte of a data phase.
func TestLineEnds(t *testing.T) {
	simulate(t, simcloud.GuideOptions(), Options{Personality: "air780ep"}, func(r *rig) {
		r.mqttOn()
		r.expect("AT\n", "")
		r.expect("\r", okay)
		r.expect("AT\r\n", okay)
		r.expect("AT\r\n\r\n\r\n", okay)
		r.expect("AT+CSX\bQ\r", "\r\n+CSQ: 24,0\r\n"+okay) // a person at a terminal
		r.expect("AT+C\x00S\x1bQ\r", "\r\n+CSQ: 24,0\r\n"+okay)
		r.expect(pubEx+"\n", ">")
		r.expect("ab", acked)
		if got := r.c.Messages(); len(got) != 1 || string(got[0].Payload) != "\nab" {
			t.Errorf("the cloud received %q, want the stray LF in front", got)
		}
	})
}

func TestEcho(t *testing.T) {
	simulate(t, simcloud.GuideOptions(), Options{Personality: "air780ep"}, func(r *rig) {
		r.mqttOn()
		r.expect("ATE1\r", okay)
		// As it comes, not when the line is complete.
		r.expect("AT+C", "AT+C")
		r.expect("SQ\r", "SQ\r\r\n+CSQ: 24,0\r\n"+okay)
		// Data is not echoed.
		r.expect(pubEx, pubEx+">")
		r.expect("abc", acked)
	})
}

// What is written while a command is pending waits like in a UART's FIFO and is
// executed afterwards; beyond the FIFO it is lost.
func TestCommandsWaitForTheOneThatIsPending(t *testing.T) {
	simulate(t, simcloud.GuideOptions(), Options{Personality: "air780ep"}, func(r *rig) {
		r.quiet()
		r.do("late AT+CSQ 5s")
		r.expect("AT+CSQ\rAT+CREG?\r", "")
		r.wait(5 * time.Second)
		r.expect("", "\r\n+CSQ: 24,0\r\n"+okay+"\r\n+CREG: 0,1\r\n"+okay)

		r.do("late AT+CSQ 5s")
		r.ask("AT+CSQ\r")
		for range 4 {
			r.ask(strings.Repeat("x", 4000))
		}
		r.wait(5 * time.Second)
		if n := r.m.Counters().Overrun; n != 16000-uartFIFO {
			t.Errorf("%d bytes overran, want %d", n, 16000-uartFIFO)
		}
	})
}

func TestOverlongLine(t *testing.T) {
	simulate(t, simcloud.GuideOptions(), Options{Personality: "2g"}, func(r *rig) {
		r.quiet()
		r.expect("AT+WISN=\""+strings.Repeat("x", 2100)+"\"\r", "\r\nERROR\r\n")
		r.expect("AT\r", okay)
	})
}

// Several commands on one line give one final result, and the first error ends
// the line.
func TestCommandsOnOneLine(t *testing.T) {
	simulate(t, simcloud.GuideOptions(), Options{Personality: "air780ep"}, func(r *rig) {
		r.quiet()
		r.expect("AT+CSQ;+CREG?\r", "\r\n+CSQ: 24,0\r\n\r\n+CREG: 0,1\r\n"+okay)
		r.expect("AT+CSQ;+NONE;+CREG?\r", "\r\n+CSQ: 24,0\r\n\r\nERROR\r\n")
		r.expect("ATE1V1Q0;+CSQ\r", "\r\n+CSQ: 24,0\r\n"+okay)
	})
}

// HTTPDATA and MPUBEX take exactly what was announced: too little waits out the
// time, too much is read as a command.
func TestDataPhaseLengths(t *testing.T) {
	simulate(t, simcloud.GuideOptions(), Options{Personality: "air780ep"}, func(r *rig) {
		r.mqttOn()
		r.expect("AT+HTTPINIT\r", okay)
		r.expect("AT+HTTPDATA=10,20000\r", "\r\nDOWNLOAD\r\n")
		r.expect("12345", "")
		r.wait(19 * time.Second)
		r.expect("6789", "") // still short; a command would be swallowed
		r.wait(time.Second)
		r.expect("", "\r\nERROR\r\n")
		r.expect("AT\r", okay)

		r.expect("AT+HTTPDATA=3,20000\r", "\r\nDOWNLOAD\r\n")
		r.expect("abcde", okay)
		r.expect("AT+CSQ\r", "\r\nERROR\r\n") // "deAT+CSQ"
		r.expect("AT+HTTPDATA=0,20000\r", okay)
		for _, bad := range []string{"AT+HTTPDATA=3\r", "AT+HTTPDATA=3,999\r", "AT+HTTPDATA=3357,20000\r", "AT+HTTPDATA=-1,20000\r"} {
			r.expect(bad, "\r\n+CME ERROR: 50\r\n")
		}

		r.expect(pubEx, ">")
		r.expect("ab", "")
		r.wait(20 * time.Second)
		r.expect("", "\r\nERROR\r\n")
		// Without a length: until 0x1A, or until 5 s of silence.
		r.expect(`AT+MPUBEX="`+guideUpdate+`",1,0`+"\r", ">")
		r.expect("one\x1a", acked)
		r.expect(`AT+MPUBEX="`+guideUpdate+`",1,0`+"\r", ">")
		r.expect("tw", "")
		r.wait(4 * time.Second)
		r.expect("o", "")
		r.wait(5 * time.Second)
		r.expect("", acked)
		got := r.c.Messages()
		if len(got) != 2 || string(got[0].Payload) != "one" || string(got[1].Payload) != "two" {
			t.Errorf("the cloud received %q", got)
		}
		if n := r.m.Counters().DataLost; n != 2 {
			t.Errorf("%d data phases gave up, want 2", n)
		}
	})
}

// A module that listens at one rate understands no other and is not understood
// at one; one with autobaud takes any usual rate.
func TestBaudRates(t *testing.T) {
	simulate(t, simcloud.GuideOptions(), Options{Personality: "air780e", Baud: 115200}, func(r *rig) {
		set := r.port.(*serialLine).SetBaud
		r.wait(time.Second)
		r.input.take()
		_ = set(9600)
		r.ask("AT\r")
		r.wait(time.Second)
		r.expect("", "")
		r.do("inject RING")
		r.wait(time.Second)
		if got := r.input.take(); len(got) != 8 || strings.Contains(got, "RING") {
			t.Errorf("at the wrong rate the host read %q", got)
		}
		_ = set(115200)
		r.ask("AT\r")
		r.wait(time.Second)
		r.expect("", "AT\r"+okay)
	})
	for _, baud := range []int{9600, 115200, 921600} {
		simulate(t, simcloud.GuideOptions(), Options{Personality: "2g", Baud: 115200}, func(r *rig) {
			_ = r.port.(*serialLine).SetBaud(baud)
			r.ask("AT\r")
			r.wait(time.Second)
			r.expect("", okay)
		})
	}
	simulate(t, simcloud.GuideOptions(), Options{Personality: "2g"}, func(r *rig) {
		_ = r.port.(*serialLine).SetBaud(12345)
		r.expect("AT\r", "")
	})
}

// AT+IPR answers at the old rate and then changes; AT&W keeps the new one over a
// restart.
func TestIPR(t *testing.T) {
	simulate(t, simcloud.GuideOptions(), Options{Personality: "air780e", Baud: 115200}, func(r *rig) {
		set := r.port.(*serialLine).SetBaud
		settle := func() string { r.wait(time.Second); return r.input.take() }
		_ = set(115200)
		r.ask("ATE0\r")
		settle()
		r.ask("AT+IPR=921600\r")
		if got := settle(); got != okay {
			t.Fatalf("AT+IPR: %q", got)
		}
		r.ask("AT\r")
		if got := settle(); got != "" {
			t.Errorf("at the old rate: %q", got)
		}
		_ = set(921600)
		r.ask("AT+IPR?\r")
		if got := settle(); got != "\r\n+IPR: 921600\r\n"+okay {
			t.Errorf("at the new rate: %q", got)
		}
		r.do("reset")
		_ = set(115200)
		settle()
		r.ask("ATE0\r")
		settle()
		r.ask("AT\r")
		if got := settle(); got != okay {
			t.Errorf("after a restart at 115200: %q", got)
		}
		r.ask("AT+IPR=460800;&W\r")
		settle()
		_ = set(460800)
		r.do("reset")
		r.ask("ATE0\r")
		settle()
		r.ask("AT\r")
		if got := settle(); got != okay {
			t.Errorf("after AT&W and a restart: %q", got)
		}
		r.ask("AT+IPR=12345\r")
		if got := settle(); got != "\r\n+CME ERROR: 50\r\n" {
			t.Errorf("a rate that does not exist: %q", got)
		}
	})
}

// What firmware does with AT+IPR besides what the manual says.
func TestIPRGoesWrong(t *testing.T) {
	for how, c := range map[string]struct {
		answer, atOld, atNew string // what AT+IPR gets, and then AT
	}{
		"":           {answer: okay, atNew: okay},
		"fail":       {answer: "\r\n+CME ERROR: 3\r\n", atOld: okay},
		"early":      {answer: "garbage", atNew: okay},
		"ignored":    {answer: okay, atOld: okay},
		"kept":       {answer: okay, atNew: okay},
		"late 500ms": {answer: okay, atNew: okay},
	} {
		t.Run(how, func(t *testing.T) {
			simulate(t, simcloud.GuideOptions(), Options{Personality: "air780e", Baud: 115200}, func(r *rig) {
				set := r.port.(*serialLine).SetBaud
				at := func(baud int, command string) string {
					_ = set(baud)
					r.wait(time.Second)
					r.input.take()
					r.write(command)
					r.wait(200 * time.Millisecond)
					return r.input.take()
				}
				at(115200, "ATE0\r")
				if how != "" {
					r.do("ipr " + how)
				}
				got := at(115200, "AT+IPR=921600\r")
				if got != c.answer && (c.answer != "garbage" || got == "" || got == okay) {
					t.Errorf("the answer is %q", got)
				}
				if strings.HasPrefix(how, "late") { // still at the old one
					r.write("AT\r")
					r.wait(100 * time.Millisecond)
					if got := r.input.take(); got != okay {
						t.Errorf("at once, at the old rate: %q", got)
					}
				}
				if got := at(921600, "AT\r"); got != c.atNew {
					t.Errorf("at the new rate: %q", got)
				}
				if got := at(115200, "AT\r"); got != c.atOld {
					t.Errorf("at the old rate: %q", got)
				}
				r.do("reset")
				if got := at(115200, "AT\r"); (got == "") != (how == "kept") {
					t.Errorf("at the old rate after a restart: %q", got)
				}
				if got := at(921600, "AT\r"); (got != "") != (how == "kept") {
					t.Errorf("at the new rate after a restart: %q", got)
				}
			})
		})
	}
}

// A cable that is too long for the rate damages bytes above it and none below.
func TestGarbleAbove(t *testing.T) {
	simulate(t, simcloud.GuideOptions(), Options{Personality: "air780ep", Baud: 115200}, func(r *rig) {
		set := r.port.(*serialLine).SetBaud
		r.do("garble-above 460800 prob=0.2")
		good := func(baud int) (n int) {
			_ = set(baud)
			for range 50 {
				r.input.take()
				r.write("AT\r")
				r.wait(20 * time.Millisecond)
				if strings.HasSuffix(r.input.take(), okay) {
					n++
				}
			}
			return n
		}
		if n := good(460800); n != 50 {
			t.Errorf("at 460800 %d of 50 commands were answered", n)
		}
		if n := good(921600); n == 0 || n == 50 {
			t.Errorf("at 921600 %d of 50 commands were answered", n)
		}
	})
}

// The in-memory port behaves like a tty.
func TestThePortInMemory(t *testing.T) {
	simulate(t, simcloud.GuideOptions(), Options{Personality: "air780ep"}, func(r *rig) {
		r.quiet()
		old, was := r.port, r.input
		r.open()
		synctest.Wait()
		if was.failure() == nil {
			t.Error("the old end still works")
		}
		if _, err := old.Write([]byte("AT\r")); err == nil {
			t.Error("the old end can be written to")
		}
		r.expect("AT\r", okay)
		if err := r.port.Close(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if err := r.input.failure(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("a read of a closed end failed with %v", err)
		}
		if _, err := r.port.Write([]byte("AT\r")); !errors.Is(err, os.ErrClosed) {
			t.Errorf("a write to a closed end failed with %v", err)
		}
		// What is printed meanwhile is lost; the module goes on.
		r.do("inject RING")
		r.open()
		r.expect("AT\r", okay)
	})
}

// A host that does not read loses what is beyond the buffer, and nothing blocks.
func TestUnreadOutputIsLostBeyondTheBuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, simcloud.GuideOptions(), Options{Personality: "air780e"})
		defer r.stop()
		line := r.m.Open().(*serialLine)
		for range 100 {
			if _, err := r.m.Do("garbage 1000"); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if n := r.m.Counters().Unread; n != 100_000-readBuffer {
			t.Errorf("%d bytes unread, want %d", n, 100_000-readBuffer)
		}
		_ = line.Close()
	})
}

func TestSecondRunIsRefused(t *testing.T) {
	simulate(t, simcloud.GuideOptions(), Options{Personality: "2g"}, func(r *rig) {
		if err := r.m.Run(t.Context()); !errors.Is(err, ErrRunning) {
			t.Errorf("the second Run: %v", err)
		}
	})
}

// Run may end and go on: the module is not switched off in between.
func TestRunGoesOnWhereItStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, simcloud.GuideOptions(), Options{Personality: "air780ep"})
		r.mqttOn()
		r.stop()
		r.resume()
		r.expect(pubOne, acked)
		r.stop()
	})
}

func TestNewRefuses(t *testing.T) {
	for name, o := range map[string]Options{
		"no personality":  {Personality: "air9000"},
		"a rate":          {Personality: "2g", Baud: 12345},
		"a short ICCID":   {Personality: "2g", ICCID: "123"},
		"a strong signal": {Personality: "2g", CSQ: 32},
	} {
		if _, err := New(simcloud.New(simcloud.Options{}), o); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if _, err := New(nil, Options{Personality: "2g"}); err == nil {
		t.Error("a module without a cloud was made")
	}
}
