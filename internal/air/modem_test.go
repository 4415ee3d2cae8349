package air

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/internal/atengine"
)

// P02: messages that look like protocol arrive byte-exact while a command is out,
// and the command still gets its own answer.
func TestP02MessagesDuringACommand(t *testing.T) {
	payloads := []string{"\r\nOK\r\n", "\r\n+CME ERROR: 3\r\n", "\r\nERROR\r\n", ">", `"`, ",", "\x00", "\xff", `+MSUB: "x",3 byte,abc`, "", "\r\nCLOSED\r\n", "\r\nRDY\r\n", "+CSQ: 1,1"}
	var answers []string
	for i, p := range payloads {
		answers = append(answers, fmt.Sprintf("+MSUB: \"/t/%d\",%d byte,%s", i, len(p), p))
	}
	play(t, Options{}, script(on("AT+CSQ", append(answers, "+CSQ: 29,99", "OK")...)), func(b *bench) {
		dbm, err := b.Signal(b.ctx)
		if err != nil || dbm == nil || *dbm != -55 {
			t.Errorf("signal %v, %v", dbm, err)
		}
		got := b.received()
		if len(got) != len(payloads) {
			t.Fatalf("%d messages of %d", len(got), len(payloads))
		}
		for i, p := range payloads {
			if got[i] != (message{fmt.Sprintf("/t/%d", i), p}) {
				t.Errorf("message %d is %q, want %q", i, got[i], p)
			}
		}
		if events, _ := b.Since(0); len(events) != 0 {
			t.Errorf("payloads were taken for events: %v", events)
		}
	})
}

// P17: once, in order, all, in bursts.
func TestP17MessagesOnceInOrder(t *testing.T) {
	play(t, Options{}, nil, func(b *bench) {
		for burst := range 10 {
			var raw strings.Builder
			for i := range 100 {
				n := fmt.Sprint(burst*100 + i)
				fmt.Fprintf(&raw, "\r\n+MSUB: \"t\",%d byte,%s\r\n", len(n), n)
			}
			b.says("raw:" + raw.String())
		}
		got := b.received()
		if len(got) != 1000 || b.counted(Downlink) != 1000 {
			t.Fatalf("%d messages, %d counted", len(got), b.counted(Downlink))
		}
		for i, m := range got {
			if m.payload != fmt.Sprint(i) {
				t.Fatalf("message %d is %q", i, m.payload)
			}
		}
	})
}

// P03, P04: bad headers and blocks that do not parse are counted, and nothing is
// handed on.
func TestP03BadMessagesAreCounted(t *testing.T) {
	play(t, Options{}, nil, func(b *bench) {
		b.encoding(true)
		b.says("+MSUB: 0", `+MSUB: "t",-1 byte,x`, "~1s", "raw:\r\n+MSUB: \"t\",3 byte,4142\r\n\r\n", "~1s", "PUBACK")
		b.says("raw:\r\n+MSUB: \"t\",20 byte,4142434445464748\r\n", "~10s", "PUBACK") // the block never fills
		if got := b.received(); len(got) != 0 {
			t.Errorf("handed on %q", got)
		}
		for kind, want := range map[EventKind]int{Unknown: 1, DownlinkCached: 1, DownlinkBad: 1, PubAck: 2, Downlink: 0} {
			if kind == Unknown {
				if b.counted(kind) == 0 {
					t.Error("no unknown line was counted")
				}
				continue
			}
			if got := b.counted(kind); got != want {
				t.Errorf("%s: %d, want %d", kind, got, want)
			}
		}
	})
}

// A module that an earlier run left in MQTTMODE=1 still has its session: until
// Quiet has settled the encoding, both are understood.
func TestMessagesBeforeQuiet(t *testing.T) {
	play(t, Options{}, ok("AT+MQTTMSGSET=0"), func(b *bench) {
		b.says(`+MSUB: "t",14 byte,7B22636D64223A2022313233227D`, `+MSUB: "t",14 byte,{"cmd": "123"}`)
		b.ok(b.Quiet(b.ctx))
		b.says(`+MSUB: "t",4 byte,4142`, `+MSUB: "t",14 byte,{"cmd": "123"}`)
		want := []message{{"t", `{"cmd": "123"}`}, {"t", `{"cmd": "123"}`}, {"t", "4142"}, {"t", `{"cmd": "123"}`}}
		if got := b.received(); !slices.Equal(got, want) {
			t.Errorf("got %q", got)
		}
	})
}

// P14: the echo is on, goes off, and is on again after a restart that printed no
// banner; answers are the same, and the echo tells the restart.
func TestP14Echo(t *testing.T) {
	play(t, Options{}, script(
		on("AT", "raw:AT\r\r\nOK\r\n"),
		on("ATE0", "raw:ATE0\r\r\nOK\r\n"),
		ok("AT+CMEE=1")[0],
		on("AT+CGMR", "AirM2M_V5664_AT_S_SSL", "OK"),
		on("AT+CGSN", "862991419835241", "OK"),
		on("AT+CCID", "89860449111880331234", "OK"),
		on("AT+CSQ", "raw:AT+CSQ\r\r\n+CSQ: 29,99\r\n\r\nOK\r\n"),
	), func(b *bench) {
		b.ok(b.Train(b.ctx, 1, time.Second))
		_, err := b.Identify(b.ctx)
		b.ok(err)
		if b.Echoes() {
			t.Error("ATE0 was answered, and the echo is said to be on")
		}
		dbm, err := b.Signal(b.ctx)
		if err != nil || dbm == nil || *dbm != -55 || !b.Echoes() {
			t.Errorf("signal %v, %v, echo %v", dbm, err, b.Echoes())
		}
	})
}

// What the module says of its own accord reaches the session in order; noise does
// not.
func TestEvents(t *testing.T) {
	play(t, Options{}, nil, func(b *bench) {
		start := b.Mark()
		b.says("^MODE: 17,17", "+NITZ:11/08/02,09:27:39+32,0", "CLOSED", "SRING: 1", "+CPIN: SIM REMOVED 0", "+NO Service", "+E_UTRAN Service", "+SAPBR 1: DEACT", "+PDP DEACT", "0,CLOSED")
		select {
		case <-b.Events():
		default:
			t.Error("nobody was woken")
		}
		events, mark := b.Since(start)
		var kinds []EventKind
		for _, e := range events {
			kinds = append(kinds, e.Kind)
		}
		want := []EventKind{Closed, SIMRemoved, ServiceLost, ServiceBack, HTTPBearerLost, BearerLost}
		if fmt.Sprint(kinds) != fmt.Sprint(want) {
			t.Errorf("got %v, want %v", kinds, want)
		}
		if again, _ := b.Since(mark); len(again) != 0 {
			t.Errorf("again: %v", again)
		}
		if b.LastByte().IsZero() {
			t.Error("the module was never heard")
		}
		if b.counted(Unknown) != 1 || b.counted(SocketEvent) != 1 {
			t.Errorf("counted %v", b.kinds)
		}
	})
}

// P37: a reboot while nothing runs puts the engine out of step and takes the
// module's settings with it, the encoding of messages too.
func TestP37RebootForgetsTheSettings(t *testing.T) {
	for _, banner := range []string{`raw:^boot.rom'v'!\n`, "RDY", `raw:!\nRDY` + "\r\n", "NORMAL POWER DOWN", `raw:garbage^boot.rom'v'!\n` + "\r\nRDY\r\n"} {
		play(t, Options{}, script(ok("AT+MQTTMSGSET=0", "AT+MQTTMODE=1", "AT")), func(b *bench) {
			b.SetCapabilities(Capabilities{Hex: true})
			b.ok(b.Quiet(b.ctx))
			b.says(banner, "\r\n")
			events, _ := b.Since(0)
			if len(events) == 0 || events[0].Kind != Rebooted && events[0].Kind != PowerDown {
				t.Errorf("%q: events %v", banner, events)
			}
			if _, err := b.Signal(b.ctx); !errors.Is(err, atengine.ErrOutOfSync) || b.InSync() {
				t.Errorf("%q: %v", banner, err)
			}
			if len(events) > 0 && events[0].Kind == Rebooted && b.hexOut.Load() {
				t.Errorf("%q: still in hex mode", banner)
			}
			b.ok(b.Resync(b.ctx))
		})
	}
}

// Lines that are nobody's may be the middle of an answer whose header got lost:
// their text stays out of the log.
func TestUnknownLinesAreNotLogged(t *testing.T) {
	play(t, Options{}, nil, func(b *bench) {
		b.says(`{"code":200,"data":{"deviceSecret":"70c3e75ec3e7"}}`, `AT+MCONFIG="c","u","70c3e75ec3e7"`)
		b.silentAbout(nil, "70c3e75ec3e7")
		if events, _ := b.Since(0); len(events) != 0 {
			t.Errorf("kept %v", events)
		}
		if b.counted(Unknown) != 1 || b.counted(Echo) != 1 {
			t.Errorf("counted %v", b.kinds)
		}
	})
}

// The zero Options are usable, and a port that fails ends Run and every call.
func TestPortFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := errors.New("unplugged")
		m := New(brokenPort{gone}, Options{})
		ctx := t.Context()
		if err := m.Run(ctx); !errors.Is(err, gone) {
			t.Errorf("Run: %v", err)
		}
		m.SetBaud(9600)
		if err := m.Train(ctx, 3, time.Second); !errors.Is(err, atengine.ErrClosed) {
			t.Errorf("Train: %v", err)
		}
		if _, err := m.Publish(ctx, "t", 1, []byte("x")); !errors.Is(err, atengine.ErrClosed) || errors.Is(err, ErrNotSent) {
			t.Errorf("Publish: %v", err)
		}
	})
}

type brokenPort struct{ err error }

func (p brokenPort) Read([]byte) (int, error)  { return 0, p.err }
func (p brokenPort) Write([]byte) (int, error) { return 0, p.err }
