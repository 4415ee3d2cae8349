package atengine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestP16UnknownURCsDoNotJam(t *testing.T) {
	unknown := []string{"^MODE: 17,17", "+E_UTRAN Service", "SRING: 1", "\xff\xfe\x80garbage\x01", "+", "OKOK", `"`, "^boot.rom'v\xff'!\\n"}
	story(t, Options{}, script(map[string]string{"AT+CSQ": strings.Join(unknown, "\r\n") + "\r\n+CSQ: 29,99\r\n" + ok}), func(r *rig) {
		r.wantInfo(r.do(signal29()), "+CSQ: 29,99")
		r.module.send(strings.Join(unknown, "\n")+"\n", message("t", "hi")+"\r\nCLOSED\r\n")
		var want []string
		for range 2 {
			for _, u := range unknown {
				want = append(want, fmt.Sprintf("line %q", u))
			}
		}
		r.wantSeen(append(want, fmt.Sprintf("block msub %q", message("t", "hi")), `line "CLOSED"`)...)
	})
}

func TestP17EveryMessageOnceAndInOrderInBursts(t *testing.T) {
	const total = 1000
	block := func(n int) string { return message("/numbered", fmt.Sprintf("%d\r\nOK\r\n>", n)) }
	story(t, Options{}, script(map[string]string{"AT+CSQ": "\r\n+CSQ: 29,99\r\n" + ok}), func(r *rig) {
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for n := 0; n < total; {
				burst := "" // of 1 to 17, cut wherever 4 KiB end
				for range 1 + n%17 {
					if n < total {
						burst += "\r\n" + block(n) + "\r\n"
						n++
					}
				}
				r.module.send(burst)
				time.Sleep(time.Duration(n%5) * time.Millisecond)
			}
		}()
		commands := 0
		for done := false; !done; commands++ {
			r.wantInfo(r.do(signal29()), "+CSQ: 29,99")
			time.Sleep(time.Millisecond)
			select {
			case <-sent:
				done = true
			default:
			}
		}
		if commands < 50 {
			t.Errorf("only %d commands ran among the bursts", commands)
		}
		got := r.seen()
		if len(got) != total {
			t.Fatalf("%d messages were delivered, want %d", len(got), total)
		}
		for n, g := range got {
			if want := fmt.Sprintf("block msub %q", block(n)); g != want {
				t.Fatalf("message %d is %s", n, g)
			}
		}
	})
}

func TestAwaitTakesTheFirstMatchAfterItsMark(t *testing.T) {
	story(t, Options{}, silent, func(r *rig) {
		r.module.send("PUBACK\r\nSUBACK\r\n")
		synctest.Wait()
		mark := r.engine.Mark()
		r.module.send("CLOSED\r\nPUBACK\r\n", "PUBACK\r\n")
		synctest.Wait()
		ack := func(text string) bool { return strings.HasSuffix(text, "ACK") }
		u, err := r.engine.Await(r.ctx, mark, time.Second, "PUBACK", ack)
		if err != nil || u.Mark != mark+2 || u.Text != "PUBACK" {
			t.Errorf("%+v, %v", u, err)
		}
		if u, err = r.engine.Await(r.ctx, u.Mark, time.Second, "PUBACK", ack); err != nil || u.Mark != mark+3 {
			t.Errorf("the second: %+v, %v", u, err)
		}
		if _, err = r.engine.Await(r.ctx, u.Mark, time.Second, "PUBACK", ack); !errors.Is(err, ErrTimeout) {
			t.Errorf("a third: %v", err)
		}
	})
}

func TestAwaitWaits(t *testing.T) {
	story(t, Options{}, silent, func(r *rig) {
		start := time.Now()
		time.AfterFunc(2*time.Second, func() { r.module.send("CLOSED\r\n") })
		time.AfterFunc(3*time.Second, func() { r.module.send("PUBACK\r\n") })
		u, err := r.engine.Await(r.ctx, 0, 10*time.Second, "PUBACK", is("PUBACK"))
		if err != nil || u.At.Sub(start) != 3*time.Second || time.Since(start) != 3*time.Second {
			t.Errorf("%+v, %v after %v", u, err, time.Since(start))
		}
		// What is awaited is named in the error, and the wait is bounded.
		_, err = r.engine.Await(r.ctx, u.Mark, 10*time.Second, "the acknowledgement", is("PUBACK"))
		if !errors.Is(err, ErrTimeout) || errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(err.Error(), "the acknowledgement: ") || time.Since(start) != 13*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		cause := errors.New("shutting down")
		ctx, cancel := context.WithCancelCause(r.ctx)
		time.AfterFunc(time.Second, func() { cancel(cause) })
		if _, err = r.engine.Await(ctx, u.Mark, 10*time.Second, "PUBACK", is("PUBACK")); !errors.Is(err, cause) || errors.Is(err, ErrTimeout) {
			t.Errorf("cancelled: %v", err)
		}
	})
}

// A completion that comes with the port's last breath, or with the time-out,
// was received.
func TestAwaitPrefersTheURCToTheEnd(t *testing.T) {
	for range 100 { // the two events race inside Await
		story(t, Options{}, silent, func(r *rig) {
			time.AfterFunc(time.Second, func() {
				r.module.send("PUBACK\r\n")
				r.port.in.close(errUnplugged)
			})
			if _, err := r.engine.Await(r.ctx, 0, time.Minute, "PUBACK", is("PUBACK")); err != nil {
				t.Fatalf("with the port's end: %v", err)
			}
		})
		story(t, Options{}, silent, func(r *rig) {
			time.AfterFunc(time.Second-1, func() { r.module.send("PUBACK\r\n") })
			ctx, cancel := context.WithCancel(r.ctx)
			hold := func(text string) bool { // the time-out passes while the log is looked through
				time.Sleep(time.Second)
				cancel()
				return text == "PUBACK"
			}
			r.module.send("CLOSED\r\n")
			synctest.Wait()
			if _, err := r.engine.Await(ctx, 0, time.Second, "PUBACK", hold); err != nil {
				t.Fatalf("with the time-out: %v", err)
			}
		})
	}
}

func TestAwaitByMany(t *testing.T) {
	story(t, Options{}, silent, func(r *rig) {
		var all sync.WaitGroup
		for n := range 20 {
			all.Go(func() {
				want := fmt.Sprintf("+DONE: %d", n)
				if _, err := r.engine.Await(r.ctx, 0, time.Minute, want, is(want)); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		for n := range 20 {
			r.module.send(fmt.Sprintf("+DONE: %d\r\n", n))
		}
		all.Wait()
	})
}

func TestSinceAndChanged(t *testing.T) {
	only := func(tok Token) Fate {
		if tok.Kind == Line && string(tok.Bytes) != "+NOISE" {
			return Keep
		}
		return Drop
	}
	story(t, Options{URC: only}, silent, func(r *rig) {
		if got, now := r.engine.Since(0); len(got) != 0 || now != 0 || now != r.engine.Mark() {
			t.Fatalf("at first: %v, %d", got, now)
		}
		r.module.send("+NOISE\r\n" + message("t", "x") + "\r\n")
		synctest.Wait()
		select {
		case <-r.engine.Changed():
			t.Error("woken by what is not kept")
		default:
		}
		r.module.send("+A\r\n", "+NOISE\r\n", "+B\r\n")
		synctest.Wait()
		<-r.engine.Changed()
		select {
		case <-r.engine.Changed():
			t.Error("woken twice: wake-ups coalesce")
		default:
		}
		got, now := r.engine.Since(0)
		texts := []string{}
		for _, u := range got {
			texts = append(texts, u.Text)
		}
		if !slices.Equal(texts, []string{"+A", "+B"}) || now != got[1].Mark || got[0].Mark >= got[1].Mark {
			t.Errorf("kept %v, mark %d", got, now)
		}
		got[0].Text = "spoilt" // the caller's own
		if again, _ := r.engine.Since(0); again[0].Text != "+A" {
			t.Error("the log was changed through a result")
		}
		if rest, _ := r.engine.Since(got[0].Mark); len(rest) != 1 || rest[0].Text != "+B" {
			t.Errorf("after the first: %v", rest)
		}
		if rest, same := r.engine.Since(now); len(rest) != 0 || same != now {
			t.Errorf("after all: %v, %d", rest, same)
		}
	})
}

func TestLogOverflowKeepsTheNewest(t *testing.T) {
	const extra = 44
	story(t, Options{}, silent, func(r *rig) {
		for n := range keptURCs + extra {
			r.module.send(fmt.Sprintf("+N: %d\r\n", n))
		}
		synctest.Wait()
		got, now := r.engine.Since(0)
		if len(got) != keptURCs || got[0].Text != fmt.Sprintf("+N: %d", extra) || now != keptURCs+extra {
			t.Fatalf("%d kept, first %q, mark %d", len(got), got[0].Text, now)
		}
		for i, u := range got {
			if u.Mark != Mark(extra+i+1) {
				t.Fatalf("mark %d at place %d", u.Mark, i)
			}
		}
		if _, err := r.engine.Await(r.ctx, 0, time.Second, "+N: 0", is("+N: 0")); !errors.Is(err, ErrTimeout) {
			t.Errorf("the overwritten one: %v", err)
		}
		if _, err := r.engine.Await(r.ctx, 0, time.Second, "the oldest kept", is(got[0].Text)); err != nil {
			t.Error(err)
		}
	})
}

// A burst of messages cannot push a completion out: they are not kept.
func TestMessagesDoNotPushACompletionOut(t *testing.T) {
	story(t, Options{}, silent, func(r *rig) {
		r.module.send("PUBACK\r\n", strings.Repeat(message("t", "x")+"\r\n", 2*keptURCs))
		synctest.Wait()
		if _, err := r.engine.Await(r.ctx, 0, time.Second, "PUBACK", is("PUBACK")); err != nil {
			t.Error(err)
		}
	})
}

func TestLastByte(t *testing.T) {
	story(t, Options{}, silent, func(r *rig) {
		if at := r.engine.LastByte(); !at.IsZero() {
			t.Errorf("before the first byte: %v", at)
		}
		time.Sleep(time.Hour)
		r.module.send("\x00")
		synctest.Wait()
		sent := time.Now()
		time.Sleep(time.Hour)
		if at := r.engine.LastByte(); at.Sub(sent).Abs() > time.Microsecond {
			t.Errorf("last byte at %v, sent at %v", at, sent)
		}
	})
}
