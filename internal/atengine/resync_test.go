package atengine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// resyncMost is the bound that Resync promises, data phase aside.
const resyncMost = resyncTries * (2*quietMost + resyncTimeout)

// outOfStep is a rig whose engine was left without an answer.
func outOfStep(t *testing.T, answer func(m *module, command string), tell func(r *rig)) {
	t.Helper()
	story(t, Options{}, answer, func(r *rig) {
		script := r.module.becomes(silent)
		r.fails(Command{Line: "AT+CSQ", Timeout: time.Second}, ErrTimeout)
		if r.engine.InSync() {
			t.Fatal("in step after a time-out")
		}
		r.module.becomes(script)
		tell(r)
	})
}

func TestResyncWithAModuleThatAnswers(t *testing.T) {
	outOfStep(t, script(nil), func(r *rig) {
		start := time.Now()
		r.resync()
		if took := time.Since(start); took > 2*quietFor {
			t.Errorf("Resync took %v", took)
		}
		if got := r.port.wrote(); got != "AT+CSQ\rAT\r" {
			t.Errorf("on the wire: %q", got)
		}
		r.do(Command{Line: "AT"})
		r.wantSeen()
	})
}

func TestResyncIsNotFooledByTwoOKs(t *testing.T) {
	for _, between := range []time.Duration{0, quietFor - time.Millisecond} {
		times := 0
		outOfStep(t, func(m *module, _ string) {
			times++
			m.send(ok)
			if times <= 2 {
				time.Sleep(between)
				m.send(ok) // the answer of the command that was given up, at last
			}
		}, func(r *rig) {
			r.resync()
			if times != 3 {
				t.Errorf("%d ATs were sent, want 3: the first two were answered twice", times)
			}
			r.do(Command{Line: "AT"})
		})
	}
}

func TestResyncWithAStrayLateReply(t *testing.T) {
	for _, late := range []string{"\r\n+CSQ: 1,1\r\n\r\nOK\r\n", "\r\nERROR\r\n", "\r\n+CME ERROR: 3\r\n", "\r\nOK\r\n", "AT+CSQ\r\r\n+CSQ: 1,1\r\n\r\nOK\r\n"} {
		// Until Resync ends; what comes later was overtaken by the answer to AT.
		for after := time.Duration(0); after < 2*quietFor; after += 20 * time.Millisecond {
			outOfStep(t, func(m *module, command string) {
				if command == "AT" {
					m.send("AT\r" + ok)
					return
				}
				m.send("\r\n+CGATT: 1\r\n" + ok)
			}, func(r *rig) {
				time.AfterFunc(after, func() { r.module.send(late) })
				r.resync()
				r.wantInfo(r.do(Command{Line: "AT+CGATT?", Info: named("+")}), "+CGATT: 1")
				if r.Failed() {
					r.Fatalf("%q came after %v", late, after)
				}
			})
		}
	}
}

func TestResyncInAStreamOfURCsWithoutEnd(t *testing.T) {
	outOfStep(t, script(nil), func(r *rig) {
		stop := make(chan struct{})
		go func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				case <-time.After(50 * time.Millisecond):
					r.module.send("\r\n" + message("t", fmt.Sprint(n)) + "\r\n")
				}
			}
		}()
		start := time.Now()
		r.resync()
		if took := time.Since(start); took > 2*quietMost+resyncTimeout {
			t.Errorf("Resync took %v", took)
		}
		if got := r.seen(); len(got) < 100 {
			t.Errorf("only %d messages were delivered meanwhile", len(got))
		}
		close(stop)
	})
}

func TestResyncWithADeadModuleIsBounded(t *testing.T) {
	outOfStep(t, silent, func(r *rig) {
		start := time.Now()
		err := r.engine.Resync(r.ctx)
		if !errors.Is(err, ErrTimeout) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Resync: %v, want ErrTimeout", err)
		}
		if took := time.Since(start); took != 6*time.Second {
			t.Errorf("Resync took %v", took)
		}
		r.fails(Command{Line: "AT"}, ErrOutOfSync)
		if got, want := r.port.wrote(), "AT+CSQ\r"+strings.Repeat("AT\r", resyncTries); got != want {
			t.Errorf("on the wire %q, want %q", got, want)
		}
		// It comes back: the next Resync finds it.
		r.module.becomes(script(nil))
		r.resync()
	})
}

func TestResyncWithAModuleThatTalksNonsenseIsBounded(t *testing.T) {
	for name, answer := range map[string]string{
		"errors": "\r\nERROR\r\n", "two OKs for ever": ok + ok, "other lines": "\r\nCONNECT OK\r\n", "echo only": "AT\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			outOfStep(t, script(map[string]string{"AT": answer}), func(r *rig) {
				start := time.Now()
				if err := r.engine.Resync(r.ctx); err == nil || r.engine.InSync() {
					t.Errorf("Resync: %v", err)
				}
				if took := time.Since(start); took > resyncMost {
					t.Errorf("Resync took %v", took)
				}
			})
		})
	}
}

func TestResyncOfAnEngineInStepIsAPing(t *testing.T) {
	story(t, Options{}, script(nil), func(r *rig) {
		r.resync()
		if got := r.port.wrote(); got != "AT\r" {
			t.Errorf("on the wire: %q", got)
		}
	})
}

func TestResyncEndsWithItsContext(t *testing.T) {
	cause := errors.New("shutting down")
	waits := map[string]func(r *rig){
		"in the data phase": func(r *rig) { r.fails(publish("hello"), ErrTimeout) },
		"while draining or asking": func(r *rig) {
			r.fails(Command{Line: "AT+CSQ"}, ErrTimeout)
		},
	}
	for name, spoil := range waits {
		for after := time.Duration(0); after < 6*time.Second; after += 100 * time.Millisecond {
			story(t, Options{}, silent, func(r *rig) {
				spoil(r)
				ctx, cancel := context.WithCancelCause(r.ctx)
				time.AfterFunc(after, func() { cancel(cause) })
				start := time.Now()
				err := r.engine.Resync(ctx)
				if !errors.Is(err, cause) || errors.Is(err, ErrTimeout) || time.Since(start) > after {
					t.Errorf("%s: cancelled after %v, ended after %v with %v", name, after, time.Since(start), err)
				}
				r.fails(Command{Line: "AT"}, ErrOutOfSync)
			})
		}
	}
}

func TestResyncEndsWithThePort(t *testing.T) {
	for after := time.Duration(0); after <= 2*time.Second; after += 100 * time.Millisecond {
		story(t, Options{}, silent, func(r *rig) {
			r.fails(Command{Line: "AT+CSQ"}, ErrTimeout)
			time.AfterFunc(after, func() { r.port.in.close(errUnplugged) })
			start := time.Now()
			err := r.engine.Resync(r.ctx)
			if !errors.Is(err, ErrClosed) || !errors.Is(err, errUnplugged) || time.Since(start) > after {
				t.Errorf("unplugged after %v, ended after %v with %v", after, time.Since(start), err)
			}
			if err := r.engine.Resync(r.ctx); !errors.Is(err, ErrClosed) {
				t.Errorf("once more: %v", err)
			}
		})
	}
	story(t, Options{}, silent, func(r *rig) {
		r.fails(publish("hello"), ErrTimeout)
		time.AfterFunc(time.Second, func() { r.port.in.close(io.EOF) })
		start := time.Now()
		if err := r.engine.Resync(r.ctx); !errors.Is(err, ErrClosed) || time.Since(start) > time.Second {
			t.Errorf("in the data phase: %v after %v", err, time.Since(start))
		}
	})
	// Seen in the simulation: the port went away while a prompt was late, came back,
	// and the cloud got the ATs of the next attempt as a message.
	story(t, Options{}, silent, func(r *rig) {
		time.AfterFunc(time.Second, func() { r.port.in.close(errUnplugged) })
		r.fails(publish("hello"), ErrClosed)
		if d := r.engine.DeafFor(); d < 15*time.Second {
			t.Errorf("unplugged before the prompt, the module may be written to in %v", d)
		}
	})
}

func TestP37RebootBannerFailsTheCommandAtOnce(t *testing.T) {
	banner := Options{Reboot: func(line []byte) bool { return string(line) == "RDY" }}
	t.Run("under a command", func(t *testing.T) {
		story(t, banner, func(m *module, command string) {
			if command == "AT" {
				m.send(ok)
				return
			}
			time.Sleep(time.Second)
			m.send("\r\n+CSQ: 29,99\r\n\r\nRDY\r\n", ok)
		}, func(r *rig) {
			start := time.Now()
			r.fails(signal29(), ErrRebooted)
			if took := time.Since(start); took != time.Second {
				t.Errorf("it took %v to be told, want 1 s", took)
			}
			err := r.fails(Command{Line: "AT"}, ErrOutOfSync)
			if !errors.Is(err, ErrRebooted) {
				t.Errorf("%v does not say why", err)
			}
			r.wantSeen(`line "RDY"`)
			r.resync()
			r.do(Command{Line: "AT"})
		})
	})
	t.Run("before the prompt", func(t *testing.T) {
		story(t, banner, func(m *module, _ string) { m.send("\r\nRDY\r\n>") }, func(r *rig) {
			r.fails(publish("hello"), ErrRebooted)
			if got := r.port.wrote(); got != publish("").Line+"\r" {
				t.Errorf("on the wire: %q", got)
			}
			// Seen in the simulation: half a boot banner, of noise, stood before the
			// prompt. The module had not restarted, and took the ATs of the next
			// attempt for the payload.
			if d := r.engine.DeafFor(); d < 15*time.Second {
				t.Errorf("after the prompt the module may be written to in %v", d)
			}
		})
	})
	t.Run("without a command", func(t *testing.T) {
		story(t, banner, script(nil), func(r *rig) {
			r.module.send("\r\nRDY\r\n")
			synctest.Wait()
			r.fails(Command{Line: "AT"}, ErrOutOfSync)
			r.resync()
		})
	})
	t.Run("under Resync", func(t *testing.T) {
		story(t, banner, func(m *module, _ string) {
			m.send(ok)
			time.Sleep(quietFor / 2)
			m.send("\r\nRDY\r\n")
			m.becomes(script(nil))
		}, func(r *rig) {
			r.resync()
			if got := r.port.wrote(); got != "AT\rAT\r" {
				t.Errorf("on the wire %q: the first AT was answered by the module before", got)
			}
		})
	})
	t.Run("not inside a message", func(t *testing.T) {
		story(t, banner, script(nil), func(r *rig) {
			r.module.send(message("t", "\r\nRDY\r\n") + "\r\n")
			r.do(Command{Line: "AT"})
		})
	})
}
