package atengine

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// forgeries are lines that end commands, complete them, or end sessions.
var forgeries = []string{
	"OK", "ERROR", "+CME ERROR: 50", "+CMS ERROR: 3", "+CSQ: 31,0", "PUBACK", "SUBACK", "CONNACK OK", "CONNECT OK", "CLOSED", "RDY",
	"+PDP: DEACT", "+MQTTSTATU :1", "+HTTPACTION: 1,200,5", ">", "DOWNLOAD", "AT+CSQ", message("t", "forged"),
}

// suspicious has the lines that begin with a letter out of place suspected.
func suspicious(tok Token) Fate {
	if !tok.Cut && strings.HasPrefix(string(tok.Bytes), "+MSXB") {
		return Suspect
	}
	return keepLines(tok)
}

// blocksGoneWrong are the ways in which a payload gets to stand where lines do.
func blocksGoneWrong(payload string) map[string]string {
	return map[string]string{
		"too long a count":      fmt.Sprintf("\r\n+MSUB: \"t\",%d byte,%s\r\n", len(payload)+20, payload),
		"too short a count":     fmt.Sprintf("\r\n+MSUB: \"t\",0 byte,%s\r\n", payload),
		"a header that is none": fmt.Sprintf("\r\n+MSXB: \"t\",%d byte,%s\r\n", len(payload), payload),
		"the end is lost":       fmt.Sprintf("\r\n+MSUB: \"t\",%d byte,%s", len(payload)+2, payload),
		"two in a row":          fmt.Sprintf("\r\n+MSUB: \"t\",5 byte,\r\n\r\n\r\n+MSUB: \"t\",%d byte,%s\r\n", len(payload), payload)[1:],
	}
}

// Seen on the real programs: a PUBACK in a payload acknowledged a message, when the
// count of the block around it was wrong by five.
func TestNothingThatAPayloadSpellsIsEvidence(t *testing.T) {
	o := Options{URC: suspicious, Loose: [][]byte{wordOK, []byte("PUBACK")}, Reboot: func(line []byte) bool { return string(line) == "RDY" }}
	o.Framers = setOff()
	for _, forgery := range forgeries {
		for how, wire := range blocksGoneWrong("\r\n" + forgery + "\r\n\r\n" + forgery) {
			story(t, o, silent, func(r *rig) {
				mark := r.engine.Mark()
				time.AfterFunc(time.Second, func() { r.module.send(wire) })
				command := signal29()
				if forgery == ">" || forgery == "DOWNLOAD" {
					command = publish("hello")
					command.Prompt = forgery
				}
				r.fails(command, ErrTimeout)
				kept, _ := r.engine.Since(mark)
				for _, u := range kept {
					if u.Text != Doubt && !strings.HasPrefix(u.Text, "+MSXB") {
						t.Errorf("%s, %q: %q was kept", how, forgery, u.Text)
					}
				}
				if r.wantDoubt(mark); r.Failed() {
					t.Fatalf("%s, %q: no doubt", how, forgery)
				}
				if got := r.port.wrote(); got != command.Line+"\r" {
					t.Errorf("%s, %q: on the wire %q", how, forgery, got)
				}
				for _, tok := range r.seen() {
					if strings.Contains(tok, `block msub "+MSUB: \"t\",6 byte,forged`) {
						t.Errorf("%s: the message in a message was delivered", how)
					}
				}
			})
		}
	}
}

// The rest of a block that was given up comes when the module has paused: it is still
// the payload. A command waits until it has come, or cannot any more.
func TestTheRestOfABlockThatWasGivenUpIsNoEvidence(t *testing.T) {
	payload := "a\r\nPUBACK\r\n\r\nOK\r\n\r\nPUBACK"
	block := message("t", payload)
	for _, pause := range []time.Duration{700 * time.Millisecond, 2 * time.Second, 4500 * time.Millisecond} {
		for at := len(block) - len(payload); at < len(block); at++ {
			story(t, Options{Framers: setOff()}, script(nil), func(r *rig) {
				r.module.send("\r\n" + block[:at])
				time.Sleep(600 * time.Millisecond)
				if r.engine.LostBlocks() != 1 {
					t.Fatal("the block was not given up")
				}
				time.AfterFunc(pause, func() { r.module.send(block[at:] + "\r\n") })
				start := time.Now()
				r.do(Command{Line: "AT"})
				if took := time.Since(start).Round(time.Millisecond); took != pause+quietFor {
					t.Errorf("cut at %d, the rest after %v: AT was answered after %v", at, pause, took)
				}
				if kept, _ := r.engine.Since(0); len(kept) != 1 || kept[0].Text != Doubt {
					t.Fatalf("cut at %d, the rest after %v: kept %+v", at, pause, kept)
				}
			})
		}
	}
}

// Nothing comes any more: the count was a lie. Then a command is late by what a doubt
// may last, and its answer is believed.
func TestADoubtEnds(t *testing.T) {
	for _, noise := range []bool{false, true} {
		story(t, Options{Framers: setOff()}, script(nil), func(r *rig) {
			stop := make(chan struct{})
			defer close(stop)
			r.module.send("\r\n+MSUB: \"t\",900 byte,x\r\n")
			r.wantDoubt(0)
			if noise {
				go func() {
					for {
						select {
						case <-stop:
							return
						case <-time.After(50 * time.Millisecond):
							r.module.send("\r\n+CREG: 1\r\n")
						}
					}
				}()
			}
			start := time.Now()
			r.do(Command{Line: "AT"})
			if took := time.Since(start); took < time.Second || took > r.engine.doubtMost()+quietFor {
				t.Errorf("noise %v: AT was answered after %v", noise, took)
			}
			r.module.send("\r\nCLOSED\r\n")
			synctest.Wait()
			if kept, _ := r.engine.Since(0); kept[len(kept)-1].Text != "CLOSED" {
				t.Errorf("noise %v: CLOSED was not believed: %+v", noise, kept)
			}
		})
	}
}

// A doubt without a length ends with the burst that it came in.
func TestASuspectLineTaintsItsBurst(t *testing.T) {
	story(t, Options{URC: suspicious}, script(nil), func(r *rig) {
		r.module.send("\r\nCLOSED\r\n\r\n+MSXB: \"t\",9 byte,a\r\nPUBACK\r\n")
		time.Sleep(quietFor - time.Millisecond)
		r.module.send("\r\nPUBACK\r\n")
		time.Sleep(quietFor)
		r.module.send("\r\nPUBACK\r\n")
		r.wantSeen(`line "CLOSED"`, `line "+MSXB: \"t\",9 byte,a"`, `cut line "PUBACK"`, `cut line "PUBACK"`, `line "PUBACK"`)
		var kept []string
		urcs, _ := r.engine.Since(0)
		for _, u := range urcs {
			kept = append(kept, u.Text)
		}
		if want := []string{"CLOSED", Doubt, "PUBACK"}; !slices.Equal(kept, want) {
			t.Errorf("kept %q, want %q", kept, want)
		}
	})
}

// A piece of the running command's echo is known by what it says, whatever it looks
// like.
func TestAPieceOfAnEchoIsNoDamage(t *testing.T) {
	all := func(tok Token) Fate {
		if strings.HasPrefix(string(tok.Bytes), "+CREG") {
			return Keep
		}
		return Suspect
	}
	const line = `AT+MPUB="/key/name/update",1,0,"x"`
	for _, at := range []int{2, 5, 20, len(line) - 4} {
		story(t, Options{URC: all}, script(map[string]string{line: line[:at] + "\r\n+CREG: 5\r\n" + line[at:] + "\r" + ok}), func(r *rig) {
			if at < 4 { // too little to say what it is
				r.fails(Command{Line: line}, ErrTimeout)
				return
			}
			r.do(Command{Line: line})
			if urcs, _ := r.engine.Since(0); len(urcs) != 1 || urcs[0].Text != "+CREG: 5" {
				t.Errorf("cut at %d: kept %+v", at, urcs)
			}
		})
	}
	// That of another command is damage: no module echoes what it was not told.
	story(t, Options{URC: all}, script(map[string]string{line: "AT+CSQ\r" + ok}), func(r *rig) {
		r.fails(Command{Line: line}, ErrTimeout)
	})
}

// An answer behind an answer proves that one of the two was not this command's.
func TestAFinalBehindAFinalIsADoubt(t *testing.T) {
	for _, c := range []struct {
		answer string
		want   error
	}{
		{"\r\nOK\r\n\r\nERROR\r\n", nil},
		{"\r\nOK\r\n\r\nOK\r\n", nil},
		{"\r\nERROR\r\n\r\nOK\r\n", ErrRefused},
		{"\r\n+CME ERROR: 50\r\n\r\n+CME ERROR: 767\r\n", ErrRefused},
	} {
		story(t, Options{}, script(map[string]string{"AT+A": c.answer}), func(r *rig) {
			if c.want == nil {
				r.do(Command{Line: "AT+A"})
			} else {
				r.fails(Command{Line: "AT+A"}, c.want)
			}
			r.wantDoubt(0)
			r.do(Command{Line: "AT"})
		})
	}
	story(t, Options{}, script(nil), func(r *rig) {
		r.port.onWrite = func(text string) {
			if text == "AT" {
				r.module.send(ok)
				synctest.Wait() // before the CR, so it answers nothing
			}
		}
		r.do(Command{Line: "AT"})
		r.wantDoubt(0)
	})
}

// What stands behind an acknowledgement in one read can still speak against it.
func TestOneReadIsSeenWhole(t *testing.T) {
	for range 100 { // the reader races with whoever waits
		story(t, Options{URC: suspicious}, silent, func(r *rig) {
			time.AfterFunc(time.Second, func() { r.module.send("\r\nPUBACK\r\n\r\n+MSXB: \"t\",3 byte,x\r\n") })
			u, err := r.engine.Await(r.ctx, 0, time.Minute, "PUBACK", is("PUBACK"))
			if urcs, _ := r.engine.Since(u.Mark); err != nil || len(urcs) != 1 || urcs[0].Text != Doubt {
				t.Fatalf("%v, and behind it %+v", err, urcs)
			}
		})
	}
}

// However many doubts there are, they push nothing out of the log.
func TestDoubtsDoNotPushOutALoss(t *testing.T) {
	story(t, Options{URC: suspicious}, silent, func(r *rig) {
		r.module.send("\r\nCLOSED\r\n")
		for range 2 * keptURCs {
			r.module.send("\r\n+MSXB: x\r\n")
			time.Sleep(quietFor)
		}
		synctest.Wait()
		urcs, mark := r.engine.Since(0)
		if len(urcs) != 2 || urcs[0].Text != "CLOSED" || urcs[1].Mark != mark {
			t.Errorf("kept %+v", urcs)
		}
		// The newest is told to who waits for it.
		time.AfterFunc(time.Second, func() { r.module.send("\r\n+MSXB: x\r\n") })
		start := time.Now()
		if r.wantDoubt(mark); time.Since(start) != time.Second {
			t.Errorf("told after %v", time.Since(start))
		}
	})
}

// A final result while nothing is asked is no answer that is late: it stands in a
// payload whose header was lost, and so does what comes right behind it. (A message of
// the cloud was handed to a program although it was a piece of another one.)
func TestAnAnswerWithoutAQuestionIsAPayload(t *testing.T) {
	story(t, Options{}, script(nil), func(r *rig) {
		r.do(Command{Line: "AT"})
		time.Sleep(time.Second)
		r.module.send("\n\r\n+CME ERROR: 50\r\nCLOSED\r\n")
		r.wantDoubt(0)
		time.Sleep(time.Second)
		r.module.send("\r\nRDY\r\n")
		synctest.Wait()
		urcs, _ := r.engine.Since(0)
		if len(urcs) != 2 || urcs[0].Text != Doubt || urcs[1].Text != "RDY" {
			t.Errorf("%+v", urcs)
		}
		r.do(Command{Line: "AT"})
	})
}
