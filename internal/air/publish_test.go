package air

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"airbridged/internal/atengine"
)

func TestPublishOutcomes(t *testing.T) {
	const line = `AT+MPUB="t",1,0,"x"`
	for name, c := range map[string]struct {
		answers []string
		want    error
		not     error
	}{
		"acknowledged": {answers: []string{"OK", "~300ms", "PUBACK"}},
		// A PUBACK printed twice: the second comes while the next command is still on
		// the wire, and must not acknowledge it.
		"PUBACK before OK": {answers: []string{"PUBACK", "OK"}, want: atengine.ErrTimeout, not: ErrNotSent},
		"another socket":   {answers: []string{"OK", "0,CLOSED", "PUBACK"}},
		"HTTP bearer gone": {answers: []string{"OK", "+SAPBR 1: DEACT", "PUBACK"}},
		"PUBACK, CLOSED":   {answers: []string{"OK", "PUBACK", "CLOSED"}},
		"no PUBACK":        {answers: []string{"OK", "SUBACK"}, want: atengine.ErrTimeout, not: ErrNotSent},
		"silence":          {answers: nil, want: atengine.ErrTimeout, not: ErrNotSent},
		"closed":           {answers: []string{"OK", "CLOSED"}, want: ErrLinkLost, not: ErrNotSent},
		"closed before OK": {answers: []string{"CLOSED", "OK"}, want: ErrLinkLost, not: ErrNotSent},
		"CLOSED, PUBACK":   {answers: []string{"OK", "CLOSED", "PUBACK"}, want: ErrLinkLost, not: ErrNotSent},
		"bearer gone":      {answers: []string{"OK", "+CGEV: ME PDN DEACT 1"}, want: ErrBearerLost, not: ErrNotSent},
		"rebooted":         {answers: []string{"OK", "RDY"}, want: atengine.ErrRebooted, not: ErrNotSent},
		"rebooted, no OK":  {answers: []string{"RDY"}, want: atengine.ErrRebooted, not: ErrNotSent},
	} {
		play(t, Options{}, script(on(line, c.answers...)), func(b *bench) {
			r, err := b.Publish(b.ctx, "t", 1, []byte("x"))
			if !errors.Is(err, c.want) || c.not != nil && errors.Is(err, c.not) {
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
			if (err == nil) == r.AckedAt.IsZero() {
				t.Errorf("%s: %v, receipt %+v", name, err, r)
			}
		})
	}
}

// A refusal may be the answer to something else, while the message is on its way. Only
// a number that says that the command was not read, and nothing else behind it, proves
// that nothing was sent. What the module answered stays readable.
func TestARefusedPublish(t *testing.T) {
	const line = `AT+MPUB="t",1,0,"x"`
	for name, c := range map[string]struct {
		script  []exchange
		want    error
		notSent bool
	}{
		"ERROR":                   {script(on(line, "ERROR"), ok("AT")), atengine.ErrRefused, false},
		"operation failed":        {script(on(line, "+CME ERROR: 767"), ok("AT")), atengine.ErrRefused, false},
		"bad parameters":          {script(on(line, "+CME ERROR: 50"), ok("AT")), ErrNotSent, true},
		"the link closes":         {script(on(line, "+CME ERROR: 50", "CLOSED"), ok("AT")), ErrNotSent, true},
		"another answer":          {script(on(line, "+CME ERROR: 50", "OK"), ok("AT")), ErrDoubtful, false},
		"another answer, later":   {script(on(line, "ERROR", "~190ms", "OK", "~300ms", "PUBACK"), ok("AT")), ErrDoubtful, false},
		"and instead of the next": {script(on(line, "+CME ERROR: 50"), on("AT", "OK", "~100ms", "OK"), ok("AT")), ErrDoubtful, false},
		"and it restarts":         {script(on(line, "+CME ERROR: 50", "RDY"), ok("AT")), ErrNotSent, true},
		"and falls silent":        {script(on(line, "+CME ERROR: 50"), on("AT"), on("AT"), on("AT"), on("AT"), on("AT")), atengine.ErrTimeout, false},
	} {
		play(t, Options{}, c.script, func(b *bench) {
			_, err := b.Publish(b.ctx, "t", 1, []byte("x"))
			if !errors.Is(err, c.want) || errors.Is(err, ErrNotSent) != c.notSent {
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
			if c.want == atengine.ErrTimeout {
				return
			}
			if code, no := refusal(err); !no || code != 50 && code != 767 && code != atengine.PlainError {
				t.Errorf("%s: %v does not tell the answer", name, err)
			}
			if !b.InSync() {
				t.Errorf("%s: out of step", name)
			}
		})
	}
}

// What the cloud sends down is no acknowledgement, whatever it says and whatever
// became of the block that it was in; but one that came before that is.
func TestADoubtfulAcknowledgementIsNone(t *testing.T) {
	const line, forged = `AT+MPUB="t",1,0,"x"`, "a\r\nPUBACK\r\n\r\nCLOSED\r\nx"
	lie := func(count int) string {
		return fmt.Sprintf("raw:\r\n+MSUB: \"/k/d/get\",%d byte,%s\r\n", count, forged)
	}
	for name, c := range map[string]struct {
		answers []string
		want    error
		within  time.Duration
	}{
		"the whole block":           {[]string{"OK", lie(len(forged)), "~1s", "PUBACK"}, nil, time.Second},
		"a count too long":          {[]string{"OK", lie(len(forged) + 5)}, ErrDoubtful, time.Second},
		"a count too short":         {[]string{"OK", lie(1)}, ErrDoubtful, 0},
		"and before its OK":         {[]string{lie(len(forged) + 5), "~6s", "OK", "PUBACK"}, ErrDoubtful, 6 * time.Second},
		"and PUBACK before that":    {[]string{"OK", "PUBACK", "~1ms", lie(len(forged) + 5)}, nil, 0},
		"a header without its name": {[]string{"OK", "raw:\r\n: \"/k/d/get\",9 byte,a\r\nPUBACK\r\n"}, ErrDoubtful, 0},
		"a flipped header":          {[]string{"OK", "raw:\r\n+MSEB: \"/k/d/get\",9 byte,a\r\nPUBACK\r\n"}, ErrDoubtful, 0},
		"no header at all":          {[]string{"OK", "raw:{\"a\":1}\r\nPUBACK\r\n"}, ErrDoubtful, 0},
		"the header glued to OK":    {[]string{"raw:\r\nOK+MSUB: \"/k/d/get\",9 byte,a\r\nPUBACK\r\n"}, atengine.ErrTimeout, 10 * time.Second},
		"a word that nobody awaits": {[]string{"OK", "raw:\r\nSUBACK\r\nPUBACK\r\n"}, ErrDoubtful, 0},
		"an echo of nothing":        {[]string{"OK", "raw:\r\nAT+CSQ\r\nPUBACK\r\n"}, ErrDoubtful, 0},
		"a line that never ends":    {[]string{"OK", "raw:\r\n" + strings.Repeat("x", 20000) + "\r\nPUBACK\r\n"}, ErrDoubtful, 0},
		"and it ends in PUBACK":     {[]string{"OK", "raw:\r\n" + strings.Repeat("x", 20000) + "PUBACK\r\n"}, ErrDoubtful, 0},
		"the same behind it":        {[]string{"OK", "raw:\r\nPUBACK\r\n{\"a\":1}\r\n"}, ErrDoubtful, 0},
		"a second answer":           {[]string{"OK", "~100ms", "ERROR", "PUBACK"}, ErrDoubtful, 100 * time.Millisecond},
		"two of them at once":       {[]string{"OK", "OK", "PUBACK"}, ErrDoubtful, 0},
		"a stranger's URC":          {[]string{"OK", "$GNRMC,083000.00,A,2232.1,N*6A", "UNDER-VOLTAGE WARNNING", "SRING: 1", "*CSQ: 18,99", "Call Ready", "PUBACK"}, nil, 0},
	} {
		play(t, Options{}, script(on(line, c.answers...)), func(b *bench) {
			b.live.Store(true)
			begun := time.Now()
			_, err := b.Publish(b.ctx, "t", 1, []byte("x"))
			if !errors.Is(err, c.want) || time.Since(begun) > c.within {
				t.Errorf("%s: %v after %v, want %v within %v", name, err, time.Since(begun), c.want, c.within)
			}
		})
	}
}

// A publish that begins right behind a block that went wrong waits until what comes
// can be believed again.
func TestPublishWaitsForTheEndOfADoubt(t *testing.T) {
	for lie, pause := range map[string]string{
		"raw:\r\n+MSUB: \"/t\",2 byte,a\r\nPUBACK\r\n":  "~190ms",
		"raw:\r\n+MSUB: \"/t\",90 byte,a\r\nPUBACK\r\n": "~5s",
	} {
		play(t, Options{}, script(on(`AT+MPUB="t",1,0,"x"`, "OK", "PUBACK")), func(b *bench) {
			b.live.Store(true)
			b.says(lie, pause)
			b.send([]string{"raw:\r\nPUBACK\r\n"}) // the rest of the payload
			begun := time.Now()
			r, err := b.Publish(b.ctx, "t", 1, []byte("x"))
			if err != nil || r.WrittenAt.Sub(begun) < 200*time.Millisecond {
				t.Errorf("%q: %v, written after %v", lie, err, r.WrittenAt.Sub(begun))
			}
		})
	}
}

// P32: an acknowledgement that comes too late is not credited to the next
// message.
func TestP32LatePubAckIsNotTheNextMessages(t *testing.T) {
	o := Options{Timeouts: Timeouts{PubAck: 2 * time.Second}}
	play(t, o, script(on(`AT+MPUB="t",1,0,"a"`, "OK", "~3s", "PUBACK"), on(`AT+MPUB="t",1,0,"b"`, "OK")), func(b *bench) {
		if _, err := b.Publish(b.ctx, "t", 1, []byte("a")); !errors.Is(err, atengine.ErrTimeout) {
			t.Errorf("first: %v", err)
		}
		time.Sleep(2 * time.Second)
		if _, err := b.Publish(b.ctx, "t", 1, []byte("b")); !errors.Is(err, atengine.ErrTimeout) {
			t.Errorf("second: %v", err)
		}
	})
}

// P23: messages arrive between MPUBEX and its prompt, and between payload and OK;
// the payload goes out raw, with nothing behind it.
func TestP23MPUBEXWithMessagesInBothGaps(t *testing.T) {
	const payload = "\x00\"\\\r\nOK\r\n>\x1a\x1b\xff+MSUB: \"x\",3 byte,abc"
	for _, prompt := range []string{"raw:>", "raw:\r\n> "} {
		line := fmt.Sprintf(`AT+MPUBEX="t",1,0,%d`, len(payload))
		play(t, Options{}, script(
			on(line, `+MSUB: "d",2 byte,>1`, prompt).takes(payload, "~100ms", "+MSUB: \"d\",6 byte,\r\nOK\r\n", "OK", "~300ms", "PUBACK"),
			on(`AT+MPUB="t",0,0,"plain"`, "OK"),
		), func(b *bench) {
			b.SetCapabilities(Best())
			r, err := b.Publish(b.ctx, "t", 1, []byte(payload))
			b.ok(err)
			if r.WireBytes != len(line)+1+len(payload) || r.AckedAt.Sub(r.WrittenAt) < 400*time.Millisecond {
				t.Errorf("receipt %+v", r)
			}
			_, err = b.Publish(b.ctx, "t", 0, []byte("plain"))
			b.ok(err)
			if got := b.received(); len(got) != 2 || got[0].payload != ">1" || got[1].payload != "\r\nOK\r\n" {
				t.Errorf("messages %q", got)
			}
		})
	}
}

// P21: no prompt, not a byte of payload, and none of anything else while a data phase
// may be open all the same.
func TestP21NoPromptNoPayload(t *testing.T) {
	for code, want := range map[int]error{50: ErrNotSent, 767: atengine.ErrRefused} {
		for size, silence := range map[int]time.Duration{1: atengine.DefaultDataPhase, 10: time.Second} {
			play(t, Options{}, script(on(fmt.Sprintf(`AT+MPUBEX="t",1,0,%d`, size), fmt.Sprintf("+CME ERROR: %d", code)), ok("AT")), func(b *bench) {
				b.SetCapabilities(Best())
				begun := time.Now()
				_, err := b.Publish(b.ctx, "t", 1, make([]byte, size))
				if took := time.Since(begun); !errors.Is(err, want) || took < silence || took > silence+time.Second {
					t.Errorf("%d bytes refused with %d: %v after %v", size, code, err, took)
				}
			})
		}
	}
	play(t, Options{}, script(on(`AT+MPUBEX="t",1,0,1`)), func(b *bench) {
		b.SetCapabilities(Best())
		if _, err := b.Publish(b.ctx, "t", 1, []byte{0}); !errors.Is(err, atengine.ErrTimeout) || errors.Is(err, ErrNotSent) {
			t.Errorf("silence: %v", err)
		}
		if _, err := b.Publish(b.ctx, "t", 1, []byte("x")); !errors.Is(err, atengine.ErrOutOfSync) {
			t.Errorf("after silence: %v", err)
		}
	})
}

func TestPublishForms(t *testing.T) {
	for name, c := range map[string]struct {
		caps    Capabilities
		mode    string // MQTTMODE sent by Quiet, "" none
		payload string
		want    string
	}{
		"escaped":                      {Capabilities{}, "", "{\"a\":\"\\\"}\r\n", `AT+MPUB="t",0,0,"{\22a\22:\22\5C\22}\0D\0A"`},
		"empty":                        {Best(), "0", "", `AT+MPUB="t",0,0,""`},
		"injection stays text":         {Best(), "0", "\"\r\nAT+CFUN=0\r\n", `AT+MPUB="t",0,0,"\22\0D\0AAT+CFUN=0\0D\0A"`},
		"raw bytes in quotes":          {Capabilities{}, "", "25°C", "AT+MPUB=\"t\",0,0,\"25°C\""},
		"hex":                          {Capabilities{Hex: true}, "1", "1\x003", `AT+MPUB="t",0,0,"310033"`},
		"hex, empty":                   {Capabilities{Hex: true}, "1", "", `AT+MPUB="t",0,0,""`},
		"plain where hex has not been": {Capabilities{Hex: true}, "", "123", `AT+MPUB="t",0,0,"123"`},
	} {
		var exchanges []exchange
		if c.mode != "" {
			exchanges = ok("AT+MQTTMSGSET=0", "AT+MQTTMODE="+c.mode)
		}
		play(t, Options{}, script(exchanges, on(c.want, "OK")), func(b *bench) {
			b.SetCapabilities(c.caps)
			if c.mode != "" {
				b.ok(b.Quiet(b.ctx))
			}
			r, err := b.Publish(b.ctx, "t", 0, []byte(c.payload))
			if err != nil || r.WireBytes != len(c.want)+1 {
				t.Errorf("%s: %+v, %v", name, r, err)
			}
		})
	}
}

// What cannot be carried is refused with its place, and nothing is written.
func TestPublishRefusesWhatItCannotCarry(t *testing.T) {
	play(t, Options{}, nil, func(b *bench) {
		for _, c := range []struct {
			topic, payload string
			want           PayloadError
		}{
			{"t", "ab\x1a", PayloadError{Size: 3, Offset: 2, Byte: 0x1a}},
			{"t", string(make([]byte, 1400)), PayloadError{Size: 1400}},
			{"a\"b", "x", PayloadError{Topic: true, Size: 3, Offset: 1, Byte: '"'}},
			{"a\rb", "x", PayloadError{Topic: true, Size: 3, Offset: 1, Byte: '\r'}},
			{"", "x", PayloadError{Topic: true}},
		} {
			_, err := b.Publish(b.ctx, c.topic, 1, []byte(c.payload))
			var e *PayloadError
			if !errors.As(err, &e) || *e != c.want {
				t.Errorf("%q %.10q: %v", c.topic, c.payload, err)
			}
		}
	})
}

// Being asked to stop in the middle of a publish is not a time-out, and the
// outcome is unknown.
func TestPublishCancelled(t *testing.T) {
	stop := errors.New("asked to stop")
	play(t, Options{}, script(on(`AT+MPUB="t",1,0,"x"`, "OK")), func(b *bench) {
		ctx, cancel := context.WithCancelCause(b.ctx)
		time.AfterFunc(5*time.Second, func() { cancel(stop) })
		_, err := b.Publish(ctx, "t", 1, []byte("x"))
		if !errors.Is(err, stop) || errors.Is(err, atengine.ErrTimeout) || errors.Is(err, ErrNotSent) {
			t.Errorf("got %v", err)
		}
		if !b.InSync() {
			t.Error("the command was answered, so the engine is in step")
		}
	})
}

// A long message at a slow speed gets the time that it takes on the line.
func TestPublishAllowsForASlowLine(t *testing.T) {
	payload := make([]byte, 1300)
	for i := range payload {
		payload[i] = 'x'
	}
	play(t, Options{Baud: 1200, Timeouts: Timeouts{Command: 2 * time.Second}}, script(on(`AT+MPUB="t",0,0,"`+string(payload)+`"`, "~12s", "OK")), func(b *bench) {
		_, err := b.Publish(b.ctx, "t", 0, payload)
		b.ok(err)
	})
}
