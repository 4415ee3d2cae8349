package atengine

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func TestP31ShutdownAfterATimeoutEndsAtOnce(t *testing.T) {
	story(t, Options{}, silent, func(r *rig) {
		r.fails(Command{Line: "AT"}, ErrTimeout)
		start := time.Now()
		r.cancel()
		r.port.in.close(io.EOF) // as the owner of the port does
		if err := <-r.ran; err != nil {
			t.Errorf("Run: %v, want nil after its context", err)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("Run ended after %v", took)
		}
		r.ran <- nil // for close
	})
}

func TestP39TimeoutIsNoDeadlineExceededAndDoesNotEndRun(t *testing.T) {
	for _, c := range []Command{{Line: "AT", Timeout: time.Second}, publish("hello"), {Line: "AT+CSQ"}} {
		story(t, Options{}, silent, func(r *rig) {
			start := time.Now()
			err := r.fails(c, ErrTimeout)
			if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
				t.Errorf("%v looks like the end of a context", err)
			}
			want := c.Timeout
			if want == 0 {
				want = DefaultTimeout
			}
			if took := time.Since(start); took != want {
				t.Errorf("%s timed out after %v, want %v", c.Line, took, want)
			}
			synctest.Wait()
			select {
			case err := <-r.ran:
				t.Fatalf("Run ended: %v", err)
			default:
			}
		})
	}
}

func TestCancelMidCommandPoisonsAndCarriesTheCause(t *testing.T) {
	cause := errors.New("the operator said stop")
	for name, command := range map[string]Command{
		"waiting for the answer": signal29(),
		"waiting for the prompt": publish("hello"),
	} {
		t.Run(name, func(t *testing.T) {
			story(t, Options{}, silent, func(r *rig) {
				ctx, cancel := context.WithCancelCause(r.ctx)
				time.AfterFunc(time.Second, func() { cancel(cause) })
				start := time.Now()
				_, err := r.engine.Do(ctx, command)
				if !errors.Is(err, cause) || errors.Is(err, ErrTimeout) || time.Since(start) != time.Second {
					t.Errorf("%v after %v", err, time.Since(start))
				}
				if err := r.fails(Command{Line: "AT"}, ErrOutOfSync); !errors.Is(err, cause) {
					t.Errorf("%v does not say why", err)
				}
				if strings.Contains(r.port.wrote(), "hello") {
					t.Error("the payload was written without a prompt")
				}
			})
		})
	}
	t.Run("waiting for the answer to the payload", func(t *testing.T) {
		story(t, Options{}, func(m *module, _ string) { m.send("> ") }, func(r *rig) {
			ctx, cancel := context.WithTimeoutCause(r.ctx, time.Second, cause)
			defer cancel()
			if _, err := r.engine.Do(ctx, publish("hello")); !errors.Is(err, cause) {
				t.Error(err)
			}
			r.fails(Command{Line: "AT"}, ErrOutOfSync)
		})
	})
}

func TestCancelBeforeTheFirstByteDoesNotPoison(t *testing.T) {
	story(t, Options{}, script(nil), func(r *rig) {
		cause := errors.New("too late")
		ctx, cancel := context.WithCancelCause(r.ctx)
		cancel(cause)
		if _, err := r.engine.Do(ctx, Command{Line: "AT+CSQ"}); !errors.Is(err, cause) {
			t.Errorf("%v, want the cause", err)
		}
		if got := r.port.wrote(); got != "" {
			t.Errorf("on the wire: %q", got)
		}
		r.do(Command{Line: "AT"})
	})
}

func TestPortErrorAnswersEveryWaiterOnce(t *testing.T) {
	story(t, Options{}, silent, func(r *rig) {
		results := make(chan error, 100)
		var all sync.WaitGroup
		all.Go(func() {
			_, err := r.engine.Do(r.ctx, Command{Line: "AT+CSQ", Timeout: time.Hour})
			results <- err
			_, err = r.engine.Do(r.ctx, Command{Line: "AT+CSQ", Timeout: time.Hour})
			results <- err
		})
		for range 10 {
			all.Go(func() {
				_, err := r.engine.Await(r.ctx, 0, time.Hour, "PUBACK", is("PUBACK"))
				results <- err
			})
		}
		synctest.Wait()
		time.Sleep(time.Second)
		start := time.Now()
		r.port.in.close(errUnplugged)
		all.Wait()
		close(results)
		n := 0
		for err := range results {
			n++
			if !errors.Is(err, ErrClosed) || errors.Is(err, ErrTimeout) {
				t.Errorf("%v, want ErrClosed", err)
			}
		}
		if n != 12 || time.Since(start) != 0 {
			t.Errorf("%d results after %v", n, time.Since(start))
		}
		if got := r.port.wrote(); got != "AT+CSQ\r" {
			t.Errorf("on the wire: %q", got)
		}
		if err := <-r.ran; !errors.Is(err, errUnplugged) {
			t.Errorf("Run: %v, want the port's error", err)
		}
		_, err := r.engine.Do(r.ctx, Command{Line: "AT"})
		if !errors.Is(err, errUnplugged) {
			t.Errorf("%v does not carry the port's error", err)
		}
		r.ran <- nil
	})
}

// The last bytes before the port goes are still an answer.
func TestAnswerWithThePortsLastBreath(t *testing.T) {
	story(t, Options{}, func(m *module, _ string) {
		m.send("\r\n+CSQ: 29,99\r\n" + ok)
		m.port.in.close(errUnplugged)
	}, func(r *rig) {
		r.wantInfo(r.do(signal29()), "+CSQ: 29,99")
	})
}

func TestWriteErrorIsToldAtOnce(t *testing.T) {
	for _, failing := range []string{"AT+MPUBEX=\"t\",1,0,5", "\r", "hello"} {
		story(t, Options{}, func(m *module, _ string) { m.send("> ") }, func(r *rig) {
			r.port.onWrite = func(text string) {
				// The write before the failing one arms the failure.
				before := map[string]string{"\r": "AT+MPUBEX=\"t\",1,0,5", "hello": "\r"}[failing]
				if text == before {
					r.port.mu.Lock()
					r.port.writeErr = errUnplugged
					r.port.mu.Unlock()
				}
			}
			if !strings.ContainsAny(failing, "\rh") {
				r.port.writeErr = errUnplugged
			}
			start := time.Now()
			err := r.fails(publish("hello"), ErrClosed)
			if !errors.Is(err, errUnplugged) || time.Since(start) != 0 {
				t.Errorf("failing at %q: %v after %v", failing, err, time.Since(start))
			}
			r.fails(Command{Line: "AT"}, ErrOutOfSync)
			// Nor does Resync try a port again that cannot be written.
			if err := r.engine.Resync(r.ctx); !errors.Is(err, errUnplugged) || time.Since(start) != DefaultDataPhase+quietFor {
				t.Errorf("Resync: %v after %v", err, time.Since(start))
			}
		})
	}
}

// A port whose read returns nothing and no error would make the engine spin.
func TestRunEndsWhenReadsMakeNoProgress(t *testing.T) {
	e := New(struct {
		io.Reader
		io.Writer
	}{readNothing{}, io.Discard}, Options{})
	if err := e.Run(t.Context()); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("Run: %v", err)
	}
	if _, err := e.Do(t.Context(), Command{Line: "AT"}); !errors.Is(err, ErrClosed) {
		t.Errorf("Do: %v", err)
	}
	if err := e.Resync(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("Resync: %v", err)
	}
}

type readNothing struct{}

func (readNothing) Read([]byte) (int, error) { return 0, nil }

// tally is a Recorder that remembers.
type tally struct {
	mu       sync.Mutex
	commands []string
	took     []time.Duration
	tx, rx   int
	resyncs  []string
}

func (r *tally) Command(verb, result string, d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.commands = append(r.commands, verb+" "+result)
	r.took = append(r.took, d)
}

func (r *tally) Bytes(direction string, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if direction == "tx" {
		r.tx += n
	} else {
		r.rx += n
	}
}

func (r *tally) Resync(result string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.resyncs = append(r.resyncs, result)
}

func TestEveryOutcomeIsRecordedAndNothingSecretIs(t *testing.T) {
	const secret = "425656f625b64560a4bff2a0f16946a3"
	arguments := `="me","you","` + secret + `"`
	core, logs := observer.New(zapcore.DebugLevel)
	rec := &tally{}
	o := Options{Recorder: rec, Log: zap.New(core), Reboot: named("RDY")}
	sent := 0
	story(t, o, func(m *module, command string) {
		answer := map[string]string{
			"AT": ok, "AT+MCONFIG" + arguments: command + "\r" + ok, "AT+A" + arguments: command + "\r\nERROR\r\n",
			"AT+B" + arguments: "\r\n+CME ERROR: 3\r\n", "AT*E" + arguments: "\r\nRDY\r\n",
		}[command]
		sent += len(answer)
		m.send(answer)
	}, func(r *rig) {
		errs := []error{}
		run := func(ctx context.Context, line string) {
			_, err := r.engine.Do(ctx, Command{Line: line + arguments, Timeout: 2 * time.Second})
			errs = append(errs, err)
		}
		run(r.ctx, "AT+MCONFIG")
		run(r.ctx, "AT+A")
		run(r.ctx, "AT+B")
		run(r.ctx, "AT+C")
		run(r.ctx, "AT+OUTOFSTEP")
		r.resync()
		ctx, cancel := context.WithTimeout(r.ctx, time.Second)
		defer cancel()
		run(ctx, "AT+D")
		r.resync()
		run(r.ctx, "AT*E")
		r.resync()
		r.module.becomes(silent)
		r.port.mu.Lock()
		r.port.writeErr = errUnplugged
		r.port.mu.Unlock()
		run(r.ctx, "AT&F")
		errs = append(errs, r.engine.Resync(r.ctx))
		run(r.ctx, "AT+X\r")
		run(r.ctx, `AT+Y"`)
		want := "MCONFIG ok,A error,B cme,C timeout,D cancelled,E rebooted,F port"
		if got := strings.Join(rec.commands, ","); got != want {
			t.Errorf("recorded %s,\nwant %s", got, want)
		}
		if rec.took[3] != 2*time.Second || rec.took[4] != time.Second {
			t.Errorf("took %v", rec.took)
		}
		if got := strings.Join(rec.resyncs, ","); got != "ok,ok,ok,failed" {
			t.Errorf("resyncs %s", got)
		}
		if rec.rx != sent || rec.tx != len(r.port.wrote()) {
			t.Errorf("%d received, %d sent; want %d and %d", rec.rx, rec.tx, sent, len(r.port.wrote()))
		}
		for _, err := range errs[1:] {
			if err == nil || strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "you") {
				t.Errorf("error %v", err)
			}
		}
		if logs.Len() == 0 {
			t.Error("nothing was logged")
		}
		for _, entry := range logs.All() {
			text, err := zapcore.NewJSONEncoder(zapcore.EncoderConfig{MessageKey: "m"}).EncodeEntry(entry.Entry, entry.Context)
			if err != nil || strings.Contains(text.String(), secret) || strings.Contains(text.String(), "you") {
				t.Errorf("logged %s, %v", text, err)
			}
		}
	})
}
