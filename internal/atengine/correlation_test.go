package atengine

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestP09LateReplyDoesNotAnswerTheNextCommand(t *testing.T) {
	const late = "\r\n+CSQ: 1,1\r\n\r\nOK\r\n"
	other := Command{Line: "AT+CGATT?", Info: func([]byte) bool { return true }}
	answers := script(map[string]string{"AT+CGATT?": "\r\n+CGATT: 1\r\n" + ok, "AT+CSQ": ""})
	for _, c := range []struct {
		name  string
		after time.Duration // from the time-out to the late reply
	}{
		{"before anything else", 0},
		{"while draining", quietFor / 2},
		{"with the AT of Resync", quietFor},
		{"behind the AT of Resync", quietFor + time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			story(t, Options{}, answers, func(r *rig) {
				r.fails(signal29(), ErrTimeout)
				time.AfterFunc(c.after, func() { r.module.send(late) })
				before := r.port.wrote()
				r.fails(other, ErrOutOfSync)
				time.Sleep(c.after)
				r.fails(other, ErrOutOfSync)
				if now := r.port.wrote(); now != before {
					t.Fatalf("written while out of step: %q", now[len(before):])
				}
			})
			story(t, Options{}, answers, func(r *rig) {
				r.fails(signal29(), ErrTimeout)
				time.AfterFunc(c.after, func() { r.module.send(late) })
				r.resync()
				reply := r.do(other)
				r.wantInfo(reply, "+CGATT: 1")
				r.wantSeen(`line "+CSQ: 1,1"`)
			})
		})
	}
}

func TestP09ReplyOfACancelledCommandIsNobodys(t *testing.T) {
	story(t, Options{}, script(map[string]string{"AT+CSQ": ""}), func(r *rig) {
		r.fails(Command{Line: "AT+CSQ", Timeout: time.Second}, ErrTimeout)
		r.module.send("\r\nOK\r\n\r\nERROR\r\n\r\n+CME ERROR: 3\r\n\r\nPUBACK\r\n")
		// Finals without a command are no URCs.
		r.wantSeen(`line "PUBACK"`)
		r.resync()
		r.do(Command{Line: "AT"})
	})
}

func TestP10StaleCompletionIsToldFromAFreshOne(t *testing.T) {
	dial := Command{Line: `AT+MIPSTART="h",1883`}
	table := map[string]string{dial.Line: ok}
	t.Run("came before the command", func(t *testing.T) {
		story(t, Options{}, script(table), func(r *rig) {
			r.module.send("\r\nCONNECT OK\r\n")
			synctest.Wait()
			reply := r.do(dial)
			if _, err := r.engine.Await(r.ctx, reply.Mark, time.Minute, "CONNECT OK", is("CONNECT OK")); !errors.Is(err, ErrTimeout) {
				t.Fatalf("a stale completion was taken: %v", err)
			}
			r.module.send("\r\nCONNECT OK\r\n")
			fresh, err := r.engine.Await(r.ctx, reply.Mark, time.Minute, "CONNECT OK", is("CONNECT OK"))
			if err != nil || fresh.Mark <= reply.Mark || fresh.At.Before(reply.WrittenAt) {
				t.Fatalf("the fresh one: %+v, %v", fresh, err)
			}
		})
	})
	t.Run("came while the command was written", func(t *testing.T) {
		story(t, Options{}, script(table), func(r *rig) {
			r.port.onWrite = func(text string) {
				if text == dial.Line {
					r.module.send("\r\nCONNECT OK\r\n")
					synctest.Wait()
				}
			}
			reply := r.do(dial)
			if got, now := r.engine.Since(reply.Mark); len(got) != 0 || now != reply.Mark {
				t.Errorf("after the command: %v", got)
			}
			r.wantSeen(`line "CONNECT OK"`)
		})
	})
	t.Run("came between OK and Await", func(t *testing.T) {
		story(t, Options{}, script(map[string]string{dial.Line: ok + "\r\nCONNECT OK\r\n"}), func(r *rig) {
			reply := r.do(dial)
			time.Sleep(time.Hour)
			if _, err := r.engine.Await(r.ctx, reply.Mark, time.Second, "CONNECT OK", is("CONNECT OK")); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("is no final result", func(t *testing.T) {
		words := "\r\nCONNECT OK\r\n\r\nCONNACK OK\r\n\r\nSEND OK\r\n\r\nSHUT OK\r\n\r\nOKAY\r\n\r\nERROR: 7\r\n\r\nTCP ERROR:3\r\n\r\n+CME ERROR\r\n"
		story(t, Options{}, script(map[string]string{dial.Line: words}), func(r *rig) {
			r.fails(dial, ErrTimeout)
			r.wantSeen(`line "CONNECT OK"`, `line "CONNACK OK"`, `line "SEND OK"`, `line "SHUT OK"`, `line "OKAY"`, `line "ERROR: 7"`, `line "TCP ERROR:3"`, `line "+CME ERROR"`)
		})
	})
}

func TestP11ResultIsSetOnce(t *testing.T) {
	for _, c := range []struct{ answer, final string }{
		{"\r\n+CSQ: 29,99\r\n\r\nOK\r\n\r\n+CSQ: 0,0\r\n\r\nERROR\r\n\r\nOK\r\n", "OK"},
		{"\r\n+CSQ: 29,99\r\n\r\nSHUT OK\r\n\r\nOK\r\n+CSQ: 0,0\r\n", "SHUT OK"},
	} {
		story(t, Options{}, script(map[string]string{"AT+CSQ": c.answer}), func(r *rig) {
			command := signal29()
			command.Final = func(line []byte) bool { return string(line) == "SHUT OK" }
			reply := r.do(command)
			synctest.Wait()
			r.wantInfo(reply, "+CSQ: 29,99")
			if reply.Final != c.final {
				t.Errorf("final %q, want %q", reply.Final, c.final)
			}
			r.wantSeen(`line "+CSQ: 0,0"`)
		})
	}
}

// An answer that is looked at while the command is given up is too late.
func TestP11AnswerInTheMomentOfTheTimeout(t *testing.T) {
	command := signal29()
	command.Final = func([]byte) bool {
		time.Sleep(DefaultTimeout + time.Second)
		return true
	}
	story(t, Options{}, script(map[string]string{"AT+CSQ": "\r\nSHUT OK\r\n"}), func(r *rig) {
		r.fails(command, ErrTimeout)
		r.resync()
		r.do(Command{Line: "AT"})
	})
}

func TestP12WhatCameWhileSendingIsNoAnswer(t *testing.T) {
	for _, early := range []string{"\r\n+CSQ: 1,1\r\n", "\r\n+CSQ: 1,1\r\n\r\nOK\r\n", "\r\nOK\r\n\r\n+CSQ: 1,1\r\n\r\nERROR\r\n", "\r\n+CSQ: 1,1\r\nSHUT OK\r\n"} {
		story(t, Options{}, script(map[string]string{"AT+CSQ": "\r\n+CSQ: 29,99\r\n" + ok}), func(r *rig) {
			r.port.onWrite = func(text string) {
				if text == "AT+CSQ" {
					r.module.send(early)
					synctest.Wait() // it was read and scanned before the CR is written
				}
			}
			command := signal29()
			command.Final = func(line []byte) bool { return string(line) == "SHUT OK" }
			r.wantInfo(r.do(command), "+CSQ: 29,99")
			if got := r.seen(); len(got) == 0 || got[0] != `line "+CSQ: 1,1"` {
				t.Errorf("early %q: the URC hook saw %v", early, got)
			}
		})
	}
}

func TestP12UnsolicitedLineInsideAnAnswer(t *testing.T) {
	story(t, Options{}, script(map[string]string{"AT+CGMI": "\r\n+CEREG: 1\r\nAT+CGMI\r\r\n+CEREG: 2\r\nAirM2M\r\n\r\n+CEREG: 5\r\n" + ok}), func(r *rig) {
		r.wantInfo(r.do(Command{Line: "AT+CGMI", Info: named("Air")}), "AirM2M")
		r.wantSeen(`line "+CEREG: 1"`, `line "+CEREG: 2"`, `line "+CEREG: 5"`)
	})
}

func TestP13SameNameTwoMeanings(t *testing.T) {
	// The answer has two numbers, the URC one; or the other way round a quote.
	answerShape := func(line []byte) bool {
		return bytes.HasPrefix(line, []byte("+CEREG: ")) && bytes.Count(line, []byte(",")) == 1 && !bytes.ContainsRune(line, '"')
	}
	const urcs = "\r\n+CEREG: 5\r\n\r\n+CEREG: 1,\"01a2\",\"c315\",7\r\n"
	story(t, Options{}, script(map[string]string{"AT+CEREG?": urcs + "\r\n+CEREG: 0,1\r\n" + urcs + ok}), func(r *rig) {
		r.wantInfo(r.do(Command{Line: "AT+CEREG?", Info: answerShape}), "+CEREG: 0,1")
		one, two := `line "+CEREG: 5"`, `line "+CEREG: 1,\"01a2\",\"c315\",7"`
		r.wantSeen(one, two, one, two)
	})
}

func TestP14EchoOnOffChangingAndInTheMiddle(t *testing.T) {
	body := "\r\n+CSQ: 29,99\r\n" + ok
	for _, c := range []struct {
		name, answer string
		urcs         []string
	}{
		{"off", body, nil},
		{"on", "AT+CSQ\r" + body, nil},
		{"with both line ends", "AT+CSQ\r\n" + body, nil},
		{"late", "\r\n+CSQ: 29,99\r\nAT+CSQ\r" + ok, nil},
		{"a message before it", message("t", "AT+CSQ\r") + "\r\nAT+CSQ\r" + body, []string{fmt.Sprintf("block msub %q", message("t", "AT+CSQ\r"))}},
		{"a word in the middle of it", "AT+CCLOSED\r\nSQ\r" + body, []string{`line "AT+CCLOSED"`, `line "SQ"`}},
		{"a line end in the middle of it", "AT+\r\nCLOSED\r\nCSQ\r" + body, []string{`line "AT+"`, `line "CLOSED"`, `line "CSQ"`}},
		{"twice", "AT+CSQ\rAT+CSQ\r" + body, []string{`line "AT+CSQ"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			story(t, Options{}, script(map[string]string{"AT+CSQ": c.answer}), func(r *rig) {
				r.wantInfo(r.do(signal29()), "+CSQ: 29,99")
				r.wantSeen(c.urcs...)
			})
		})
	}
	t.Run("changing", func(t *testing.T) {
		echo := true
		story(t, Options{}, func(m *module, command string) {
			if echo {
				m.send(command + "\r")
			}
			switch command {
			case "ATE0":
				echo = false
			case "ATE1":
				echo = true
			}
			m.send(ok)
		}, func(r *rig) {
			// Echoes tells how it was for the last command.
			for _, c := range []struct {
				line   string
				echoed bool
			}{{"AT", true}, {"ATE0", true}, {"AT", false}, {"ATE1", false}, {"AT", true}, {"ATE1", true}} {
				reply := r.do(Command{Line: c.line, Info: func([]byte) bool { return true }})
				r.wantInfo(reply)
				if got := r.engine.Echoes(); got != c.echoed {
					t.Errorf("%s: echoes %v", c.line, got)
				}
			}
			r.wantSeen()
		})
	})
	t.Run("of the longest publish", func(t *testing.T) {
		line := `AT+MPUB="t",0,0,"` + strings.Repeat(`\22`, 4100) + `"`
		story(t, Options{}, func(m *module, command string) { m.send(command+"\r", ok) }, func(r *rig) {
			r.do(Command{Line: line})
			r.wantSeen()
		})
	})
}

func TestP15InformationIsKeptAndTheFinalIsNoneOfIt(t *testing.T) {
	numbers := func(line []byte) bool { return line[0] == '+' || line[0] >= '0' && line[0] <= '9' }
	for _, c := range []struct {
		name, answer string
		info         []string
	}{
		{"none", ok, nil},
		{"one", "\r\n862991419835241\r\n" + ok, []string{"862991419835241"}},
		{"many", "\r\n+A: 1\r\n+A: 2\r\n\r\n+A: 3\r\n" + ok, []string{"+A: 1", "+A: 2", "+A: 3"}},
		{"with others between", "\r\n+A: 1\r\n\r\n^MODE: 17,17\r\n+A: 2\r\nCLOSED\r\n" + ok, []string{"+A: 1", "+A: 2"}},
		{"a block", "\r\n+HTTPREAD: 6\r\n\r\nOK\r\n\nOK\r\n", []string{"+HTTPREAD: 6\r\n\r\nOK\r\n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			story(t, Options{}, script(map[string]string{"AT+A?": c.answer, "AT+B": strings.Repeat("#", 100) + ok}), func(r *rig) {
				reply := r.do(Command{Line: "AT+A?", Info: numbers})
				r.do(Command{Line: "AT+B"}) // reads over the buffers
				r.wantInfo(reply, c.info...)
				if reply.Final != "OK" {
					t.Errorf("final %q", reply.Final)
				}
			})
		})
	}
	t.Run("no matcher", func(t *testing.T) {
		story(t, Options{}, script(map[string]string{"AT+A?": "\r\n+A: 1\r\n" + ok}), func(r *rig) {
			r.wantInfo(r.do(Command{Line: "AT+A?"}))
			r.wantSeen(`line "+A: 1"`)
		})
	})
}

func TestRefusalsCarryTheModulesNumber(t *testing.T) {
	for answer, code := range map[string]int{
		"ERROR": PlainError, "+CME ERROR: 767": 767, "+CME ERROR:3": 3, "+CMS ERROR: 500 ": 500, "+CME ERROR: 0": 0,
		"+CME ERROR: SIM not inserted": 10, "+CME ERROR: sim busy": 14, "+CME ERROR: operation failed": PlainError, "+CME ERROR: -7": PlainError, "+CME ERROR: 99999999999999999999": PlainError, "+CME ERROR:": PlainError,
	} {
		story(t, Options{}, script(map[string]string{"AT+MCONNECT=1,300": "\r\n" + answer + "\r\n"}), func(r *rig) {
			err := r.fails(Command{Line: "AT+MCONNECT=1,300"}, ErrRefused)
			var refused *Error
			if !errors.As(err, &refused) || refused.Code != code || refused.Verb != "AT+MCONNECT" {
				t.Errorf("%s: %#v, want code %d", answer, err, code)
			}
			if text := err.Error(); !strings.HasPrefix(text, "AT+MCONNECT: the module answered ") {
				t.Errorf("%s: text %q", answer, text)
			}
			// A refusal is an answer: the engine is in step.
			r.do(Command{Line: "AT"})
		})
	}
}

func TestOneCommandAtATime(t *testing.T) {
	story(t, Options{}, func(m *module, _ string) {
		time.Sleep(time.Second)
		m.send("\r\n+CSQ: 29,99\r\n" + ok)
	}, func(r *rig) {
		first := make(chan Reply)
		go func() {
			reply, err := r.engine.Do(r.ctx, signal29())
			if err != nil {
				t.Error(err)
			}
			first <- reply
		}()
		synctest.Wait()
		if _, err := r.engine.Do(r.ctx, Command{Line: "AT"}); err == nil {
			t.Error("a second command was let in")
		}
		r.wantInfo(<-first, "+CSQ: 29,99")
		if got := r.port.wrote(); got != "AT+CSQ\r" {
			t.Errorf("on the wire: %q", got)
		}
	})
}
