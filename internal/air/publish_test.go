package air

import (
	"context"
	"errors"
	"fmt"
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
		"ERROR":            {answers: []string{"ERROR"}, want: ErrNotSent},
		"CME 767":          {answers: []string{"+CME ERROR: 767"}, want: ErrNotSent},
		"ERROR, CLOSED":    {answers: []string{"ERROR", "CLOSED"}, want: ErrNotSent},
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

// The refusal stays readable behind ErrNotSent.
func TestNotSentWrapsTheModulesAnswer(t *testing.T) {
	play(t, Options{}, script(on(`AT+MPUB="t",0,0,"x"`, "+CME ERROR: 767")), func(b *bench) {
		_, err := b.Publish(b.ctx, "t", 0, []byte("x"))
		if code, no := refusal(err); !errors.Is(err, ErrNotSent) || !no || code != 767 {
			t.Errorf("got %v", err)
		}
	})
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

// P21: no prompt, not a byte of payload; a refusal in the prompt's place is a
// message that was not sent.
func TestP21NoPromptNoPayload(t *testing.T) {
	play(t, Options{}, script(on(`AT+MPUBEX="t",1,0,1`, "+CME ERROR: 767"), on(`AT+MPUBEX="t",1,0,1`)), func(b *bench) {
		b.SetCapabilities(Best())
		if _, err := b.Publish(b.ctx, "t", 1, []byte{0}); !errors.Is(err, ErrNotSent) {
			t.Errorf("refused: %v", err)
		}
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
