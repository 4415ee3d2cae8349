package atengine

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// nasty is a payload of everything that must pass through untouched.
const nasty = "\r\nAT+CFUN=0\r\n\x00\x1a\x1b\xff>\"\\22\n\r"

func TestP20BytesOnTheWireEndWithCROnlyAndThePayloadIsExact(t *testing.T) {
	for _, payload := range []string{"hello", nasty, "\n", "", strings.Repeat("x", 4100)} {
		var got string
		command := publish(payload)
		command.Line = fmt.Sprintf(`AT+MPUBEX="t",1,0,%d`, len(payload))
		story(t, Options{}, func(m *module, line string) {
			switch line {
			case command.Line:
				m.send("\r\n> ")
				got = m.data(len(payload))
				m.send(ok, "\r\nPUBACK\r\n")
			default:
				m.send(ok)
			}
		}, func(r *rig) {
			start := time.Now()
			reply := r.do(command)
			r.do(Command{Line: "AT"})
			if got != payload {
				t.Errorf("the module got %q, want %q", got, payload)
			}
			if want := command.Line + "\r" + payload + "AT\r"; r.port.wrote() != want {
				t.Errorf("on the wire %q, want %q", r.port.wrote(), want)
			}
			if reply.WrittenAt.Before(start) {
				t.Errorf("written at %v, begun at %v", reply.WrittenAt, start)
			}
		})
	}
}

func TestP20WrittenAtIsWhenThePayloadWasHandedOver(t *testing.T) {
	story(t, Options{}, func(m *module, _ string) {
		time.Sleep(2 * time.Second)
		m.send("> ")
		m.data(5)
		time.Sleep(3 * time.Second)
		m.send(ok)
	}, func(r *rig) {
		start := time.Now()
		if at := r.do(publish("hello")).WrittenAt; at.Sub(start) != 2*time.Second {
			t.Errorf("written after %v, want 2 s", at.Sub(start))
		}
	})
}

func TestP21NoPromptNoPayload(t *testing.T) {
	command := publish("hello")
	command.DataPhase = 30 * time.Second
	story(t, Options{}, func(m *module, line string) {
		if line == "AT" {
			m.send(ok)
		}
	}, func(r *rig) {
		start := time.Now()
		r.fails(command, ErrTimeout)
		if took := time.Since(start); took != DefaultTimeout {
			t.Errorf("given up after %v, want %v", took, DefaultTimeout)
		}
		r.fails(Command{Line: "AT"}, ErrOutOfSync)
		r.fails(command, ErrOutOfSync)
		given := time.Now()
		r.resync()
		// Nothing at all was written until no data phase could be open any more.
		writes := r.port.writes(given)
		if len(writes) == 0 || writes[0].at.Sub(given) < command.DataPhase {
			t.Errorf("Resync wrote %v too early", writes)
		}
		if got := r.port.wrote(); got != command.Line+"\rAT\r" {
			t.Errorf("on the wire: %q", got)
		}
	})
}

func TestP21LatePromptProlongsTheSilence(t *testing.T) {
	for _, c := range []struct {
		prompt, late string
		after        time.Duration // from giving up
	}{
		{">", "\r\n>", 0},
		{">", ">", 5 * time.Second},
		{">", "\r\n> \r\n", 20 * time.Second},
		{"DOWNLOAD", "\r\nDOWNLOAD\r\n", 20 * time.Second},
	} {
		t.Run(c.prompt+" after "+c.after.String(), func(t *testing.T) {
			command := publish("hello")
			command.Prompt = c.prompt
			story(t, Options{}, func(m *module, line string) {
				if line == "AT" {
					m.send(ok)
				}
			}, func(r *rig) {
				r.fails(command, ErrTimeout)
				given := time.Now()
				time.AfterFunc(c.after, func() { r.module.send(c.late) })
				r.resync()
				writes := r.port.writes(given)
				if want := c.after + DefaultDataPhase; writes[0].at.Sub(given) < want {
					t.Errorf("AT was written %v after giving up, want %v at least", writes[0].at.Sub(given), want)
				}
				if got := r.port.wrote(); got != command.Line+"\rAT\r" {
					t.Errorf("on the wire: %q", got)
				}
				r.wantSeen()
			})
		})
	}
}

// A prompt so late that it meets the AT of Resync: that AT became payload, and
// no second one may follow it before the data phase is over.
func TestP21PromptThatMeetsTheATOfResync(t *testing.T) {
	for _, late := range []string{">", "\r\n> "} {
		story(t, Options{}, func(m *module, line string) {
			if line != "AT" {
				return
			}
			m.send(late)
			m.becomes(script(nil)) // swallowed; from now on it answers
		}, func(r *rig) {
			r.fails(publish("hello"), ErrTimeout)
			given := time.Now()
			r.resync()
			writes := r.port.writes(given)
			if len(writes) != 4 { // AT and CR, twice
				t.Fatalf("Resync wrote %v", writes)
			}
			if apart := writes[2].at.Sub(writes[0].at); apart < DefaultDataPhase {
				t.Errorf("the second AT followed after %v, want %v at least", apart, DefaultDataPhase)
			}
			r.wantSeen()
		})
	}
}

// A module that says > again and again must not keep Resync for ever.
func TestP21PromptsWithoutEnd(t *testing.T) {
	story(t, Options{}, silent, func(r *rig) {
		r.fails(publish("hello"), ErrTimeout)
		stop := make(chan struct{})
		go func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Second):
					r.module.send("\r\n>\r\n")
				}
			}
		}()
		start := time.Now()
		if err := r.engine.Resync(r.ctx); !errors.Is(err, ErrTimeout) {
			t.Errorf("Resync: %v, want ErrTimeout", err)
		}
		if took := time.Since(start); took > 2*DefaultDataPhase+resyncMost {
			t.Errorf("Resync took %v", took)
		}
		close(stop)
	})
}

func TestP21TimeoutAfterThePayloadKeepsSilenceToo(t *testing.T) {
	story(t, Options{}, func(m *module, line string) {
		if line == "AT" {
			m.send(ok)
			return
		}
		m.send("> ")
		m.data(5)
	}, func(r *rig) {
		r.fails(publish("hello"), ErrTimeout)
		given := time.Now()
		r.resync()
		if at := r.port.writes(given)[0].at.Sub(given); at < DefaultDataPhase {
			t.Errorf("AT was written after %v, want %v at least", at, DefaultDataPhase)
		}
	})
}

// A refusal may be the answer to something else, and then the module asks for the
// data all the same, or has asked already: what is written next becomes payload.
func TestP21RefusalInsteadOfThePrompt(t *testing.T) {
	for refusal, silence := range map[string]time.Duration{
		"\r\nERROR\r\n": promptGrace, "\r\n+CME ERROR: 767\r\n": promptGrace,
		"\r\n>\r\n+CME ERROR: 767\r\n": DefaultDataPhase, // asked for data and refused in one breath
		"\r\n> \r\nERROR\r\n":          DefaultDataPhase,
	} {
		for range 50 { // the two events race inside the engine
			story(t, Options{}, func(m *module, line string) {
				if line == "AT" {
					m.send(ok)
					return
				}
				m.send(refusal)
			}, func(r *rig) {
				r.fails(publish(nasty), ErrRefused)
				r.fails(Command{Line: "AT"}, ErrOutOfSync)
				refused := time.Now()
				r.resync()
				writes := r.port.writes(refused)
				if at := writes[len(writes)-1].at.Sub(refused); at < silence || at > silence+quietFor {
					t.Fatalf("%q was followed by AT after %v, want %v", refusal, at, silence)
				}
				if got := r.port.wrote(); got != publish("").Line+"\rAT\r" {
					t.Fatalf("after %q on the wire: %q", refusal, got)
				}
			})
		}
	}
}

// Seen on the real programs: one ERROR in front of the prompt, and the cloud received
// "AT+MQTTSTATU" as a message. The first bytes behind a refusal are an AT, alone,
// because no payload is so short; and where one is, nothing at all for the whole data
// phase.
func TestP21RefusalBeforeAPromptThatComes(t *testing.T) {
	for _, size := range []int{1, 3, 4, 10, 13, 40} {
		for _, late := range []time.Duration{0, 30 * time.Millisecond, promptGrace - time.Millisecond, promptGrace + 100*time.Millisecond, 5 * time.Second, -1} {
			var taken string
			over := make(chan struct{})
			command := Command{Line: fmt.Sprintf(`AT+MPUBEX="t",1,0,%d`, size), Prompt: ">", Data: []byte(strings.Repeat("x", size))}
			story(t, Options{}, func(m *module, line string) {
				if line == "AT" {
					m.send(ok)
					return
				}
				m.send("\r\nERROR\r\n")
				if late >= 0 {
					time.Sleep(late)
					m.send("\r\n> ")
				}
				time.Sleep(20 * time.Second) // and then the module gives up
				taken = string(m.rest) + m.port.out.take()
				m.rest = nil
				m.send("\r\nERROR\r\n")
				close(over)
			}, func(r *rig) {
				mark := r.engine.Mark()
				r.fails(command, ErrRefused)
				r.resync()
				<-over
				if len(taken) >= size || taken != "" && taken != "AT\r" {
					t.Errorf("of %d bytes, prompt after %v: the module took %q for them", size, late, taken)
				}
				if late >= 0 {
					r.wantDoubt(mark)
				}
			})
		}
	}
}

// The same when the command is not yet waiting, and when there is something
// slow to be told between the prompt and the refusal.
func TestP21RefusalBehindThePromptIsSeenFirst(t *testing.T) {
	for range 50 {
		story(t, Options{}, silent, func(r *rig) {
			r.port.onWrite = func(text string) {
				if text == "\r" {
					r.module.send("\r\n> \r\nERROR\r\n")
					synctest.Wait()
				}
			}
			r.fails(publish(nasty), ErrRefused)
			if got := r.port.wrote(); got != publish("").Line+"\r" {
				t.Fatalf("on the wire: %q", got)
			}
		})
	}
	slow := Options{URC: func(Token) Fate { time.Sleep(time.Second); return Drop }}
	story(t, slow, func(m *module, _ string) { m.send("\r\n> \r\nCLOSED\r\n\r\nERROR\r\n") }, func(r *rig) {
		r.fails(publish(nasty), ErrRefused)
		if got := r.port.wrote(); got != publish("").Line+"\r" {
			t.Fatalf("on the wire: %q", got)
		}
	})
}

func TestP21OKBeforeThePromptIsNotItsAnswer(t *testing.T) {
	story(t, Options{}, func(m *module, _ string) {
		m.send(ok)
		time.Sleep(time.Second)
		m.send("> ")
		m.data(5)
		m.send(ok)
	}, func(r *rig) {
		start := time.Now()
		r.do(publish("hello"))
		if time.Since(start) != time.Second {
			t.Error("the first OK ended the command")
		}
	})
}

// Success in the same breath as the prompt, before a byte of the payload was
// written, is not the success of this publish.
func TestP21OKBehindThePromptIsNotItsAnswer(t *testing.T) {
	for range 50 { // the two events race inside the engine
		got := ""
		story(t, Options{}, func(m *module, _ string) {
			m.send("\r\n> " + ok)
			got = m.data(5)
			time.Sleep(time.Second)
			m.send(ok)
		}, func(r *rig) {
			start := time.Now()
			r.do(publish("hello"))
			if got != "hello" || time.Since(start) != time.Second {
				t.Fatalf("OK after %v, when the module had got %q", time.Since(start), got)
			}
		})
	}
}

func TestP22PromptVariants(t *testing.T) {
	for _, c := range []struct{ prompt, sent string }{
		{">", ">"},
		{">", "> "},
		{">", "\r\n>"},
		{">", "\r\n> "},
		{">", "\r\n>\r\n"},
		{">", "\n>"},
		{">", "\x00>"},
		{">", `AT+MPUBEX="t",1,0,5` + "\r>"},
		{">", `AT+MPUBEX="t",1,0,5` + "\r\r\n> "},
		{">", "a > b\r\n+X: >\r\n>"},
		{"DOWNLOAD", "\r\nDOWNLOAD\r\n"},
		{"DOWNLOAD", "DOWNLOAD\n"},
		{"DOWNLOAD", "DOWNLOADS\r\nDOWNLOAD\r\n"},
	} {
		for i := range len(c.sent) {
			command := publish(">\r\n>")
			command.Prompt = c.prompt
			got := ""
			story(t, Options{}, func(m *module, _ string) {
				m.send(c.sent[:i], c.sent[i:])
				got = m.data(5 - 1)
				m.send(">\r\n>", ok) // echoes it
			}, func(r *rig) {
				r.do(command)
				if got != ">\r\n>" {
					t.Errorf("prompt %q cut at %d: the module got %q", c.sent, i, got)
				}
			})
		}
	}
}

// A > is a prompt only for the command that asked for one.
func TestP22NoPromptWasAskedFor(t *testing.T) {
	story(t, Options{}, script(map[string]string{"AT+CSQ": "\r\n>\r\n+CSQ: 29,99\r\n" + ok}), func(r *rig) {
		r.module.send(">\r\n")
		r.wantInfo(r.do(signal29()), "+CSQ: 29,99")
		r.wantSeen(`line ">"`, `line ">"`)
	})
	story(t, Options{}, func(m *module, _ string) {
		m.send("\r\n>\r\n")
		m.send("\r\nDOWNLOAD\r\n")
		m.data(5)
		m.send(ok)
	}, func(r *rig) {
		r.do(Command{Line: "AT+HTTPDATA=5,20000", Prompt: "DOWNLOAD", Data: []byte("hello")})
		r.wantSeen(`line ">"`)
	})
	// A > that came while the command was written asks for nothing.
	story(t, Options{}, silent, func(r *rig) {
		r.port.onWrite = func(text string) {
			if text == publish("").Line {
				r.module.send("\r\n>\r\n")
				synctest.Wait()
			}
		}
		r.fails(publish("hello"), ErrTimeout)
		if got := r.port.wrote(); got != publish("").Line+"\r" {
			t.Errorf("on the wire: %q", got)
		}
		r.wantSeen(`line ">"`)
	})
	// Nor does one that comes when the engine is back in step.
	story(t, Options{}, script(map[string]string{publish("").Line: ""}), func(r *rig) {
		r.fails(publish("hello"), ErrTimeout)
		r.resync()
		r.module.send("\r\n>\r\n")
		r.wantSeen(`line ">"`)
		start := time.Now()
		r.resync()
		if took := time.Since(start); took > time.Second {
			t.Errorf("a > that means nothing cost %v", took)
		}
	})
}

func TestP23MessageBeforeThePromptAndBeforeTheAnswer(t *testing.T) {
	first, second := message("t", "\r\n>\r\nOK\r\n"), message("t", "\r\n+CME ERROR: 3\r\n> ")
	for _, ends := range []string{"\r\n", ""} {
		got := ""
		story(t, Options{}, func(m *module, _ string) {
			m.send("\r\n" + first + ends)
			time.Sleep(time.Second)
			m.send("\r\n> ")
			got = m.data(5)
			m.send("\r\n" + second + ends)
			time.Sleep(time.Second)
			m.send(ok)
		}, func(r *rig) {
			start := time.Now()
			r.do(publish("hello"))
			if got != "hello" || time.Since(start) != 2*time.Second {
				t.Errorf("the module got %q, and OK after %v", got, time.Since(start))
			}
			r.wantSeen(fmt.Sprintf("block msub %q", first), fmt.Sprintf("block msub %q", second))
		})
	}
}

// A > in what a lying message left behind may be payload: if it were believed, the
// data of this command would be written where the module takes commands.
func TestP23PromptBehindAMessageThatLies(t *testing.T) {
	story(t, Options{}, func(m *module, command string) {
		if command == "AT" {
			m.send(ok)
			return
		}
		m.send("\r\n+MSUB: \"t\",99 byte,short\r\n\r\n>")
	}, func(r *rig) {
		r.fails(publish("hello"), ErrTimeout)
		r.resync()
		if got := r.port.wrote(); got != publish("").Line+"\rAT\r" {
			t.Errorf("on the wire: %q", got)
		}
	})
}
