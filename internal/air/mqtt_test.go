package air

import (
	"errors"
	"testing"
	"time"

	"airbridged/internal/atengine"
	"airbridged/internal/secret"
)

func dial(answers ...string) exchange { return on(`AT+SSLMIPSTART="h",1883`, answers...) }

func TestDial(t *testing.T) {
	for name, c := range map[string]struct {
		answers []string
		want    error
		text    string        // in the error
		within  time.Duration // 0: a minute
	}{
		"good":                  {answers: []string{"OK", "~1.4s", "CONNECT OK"}},
		"CIPMUX=1":              {answers: []string{"OK", "~1s", "7,CONNECT OK"}},
		"another socket's word": {answers: []string{"OK", "1,CONNECT FAIL", "0,CLOSED", "CONNECT OK"}},
		"no line end behind it": {answers: []string{"OK", "~1s", "raw:\r\nCONNECT OK"}},
		"OK is not enough":      {answers: []string{"OK"}, want: atengine.ErrTimeout},
		"fails":                 {answers: []string{"OK", "~1s", "CONNECT FAIL"}, want: ErrConnectFailed, text: "no reason", within: 2 * time.Second},
		"fails, CIPMUX=1":       {answers: []string{"OK", "7,CONNECT FAIL"}, want: ErrConnectFailed, within: time.Second},
		"fails with a state":    {answers: []string{"OK", "STATE:TCP CLOSED", "CONNECT FAIL"}, want: ErrConnectFailed, text: "STATE:TCP CLOSED", within: time.Second},
		"blank, CIPMUX=1":       {answers: []string{"OK", "~1s", "7, CONNECT OK"}, within: 2 * time.Second},
		"blank, fails":          {answers: []string{"OK", "~1s", "7, CONNECT FAIL"}, want: ErrConnectFailed, within: 2 * time.Second},
		"blank, closed":         {answers: []string{"OK", "1, CLOSED", "~1s", "7, CLOSED"}, want: ErrLinkLost, within: 2 * time.Second},
		"late ERROR":            {answers: []string{"OK", "~1s", "ERROR"}, want: ErrConnectFailed, text: "ERROR", within: 2 * time.Second},
		"late number":           {answers: []string{"OK", "~1s", "+CME ERROR: 767"}, want: ErrConnectFailed, text: "767", within: 2 * time.Second},
		"TCP ERROR":             {answers: []string{"OK", "~1s", "TCP ERROR:11"}, want: ErrConnectFailed, text: "TCP ERROR:11", within: 2 * time.Second},
		"already, then ERROR 2": {answers: []string{"OK", "~1s", "ALREADY CONNECT", "ERROR"}, want: ErrAlreadyConnected, within: 2 * time.Second},
		"ERROR, CONNECT OK":     {answers: []string{"OK", "~1s", "ERROR", "CONNECT OK"}, want: ErrDoubtful, within: 2 * time.Second},
		"already connected":     {answers: []string{"OK", "ALREADY CONNECT"}, want: ErrAlreadyConnected, within: time.Second},
		"already, then ERROR":   {answers: []string{"ALREADY CONNECT", "ERROR"}, want: ErrAlreadyConnected, within: time.Second},
		"refused":               {answers: []string{"+CME ERROR: 767"}, want: ErrConnectFailed, text: "767", within: time.Second},
		"closed":                {answers: []string{"OK", "~1s", "CLOSED"}, want: ErrLinkLost, within: 2 * time.Second},
		"bearer lost":           {answers: []string{"OK", "~1s", "+CGEV: NW PDN DEACT 1"}, want: ErrBearerLost, within: 2 * time.Second},
		"rebooted":              {answers: []string{"OK", "~1s", "RDY"}, want: atengine.ErrRebooted, within: 2 * time.Second},
		"rebooted before OK":    {answers: []string{"~1s", "RDY"}, want: atengine.ErrRebooted, within: 2 * time.Second},
		"silence":               {answers: nil, want: atengine.ErrTimeout, within: 10 * time.Second},
	} {
		play(t, Options{}, script(dial(c.answers...)), func(b *bench) {
			start := time.Now()
			err := b.Dial(b.ctx, "h", 1883, true)
			if !errors.Is(err, c.want) || c.text != "" && !contains(err.Error(), c.text) {
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
			if c.within == 0 {
				c.within = time.Minute
			}
			if took := time.Since(start); took > c.within {
				t.Errorf("%s: took %v", name, took)
			}
		})
	}
}

// P10: words from before a command do not complete it, whoever's they were: an
// acknowledgement of something given up, the CLOSED of the link before, the result
// of an earlier request.
func TestP10StaleWordsAreIgnored(t *testing.T) {
	play(t, Options{}, script(
		dial("OK", "~2s", "CONNECT OK"),
		on("AT+MCONNECT=1,60", "OK", "~2s", "CONNACK OK"),
		on(`AT+MSUB="f",0`, "OK", "~2s", "SUBACK"),
		on(`AT+MPUB="t",1,0,"x"`, "OK", "~2s", "PUBACK"),
		before(), act("OK", "~2s", "+HTTPACTION: 1,200,47"), read(), ok("AT+HTTPTERM"),
	), func(b *bench) {
		b.stale("dial", func() error { return b.Dial(b.ctx, "h", 1883, true) }, "CONNECT OK", "CLOSED", "CONNECT FAIL", "ALREADY CONNECT")
		b.stale("login", func() error { return b.Login(b.ctx, true, time.Minute) }, "CONNACK OK")
		b.stale("subscribe", func() error { return b.Subscribe(b.ctx, "f", 0) }, "SUBACK", "CLOSED", "CONNECT OK")
		b.stale("publish", func() error { _, err := b.Publish(b.ctx, "t", 1, []byte("x")); return err }, "PUBACK", "CLOSED")
		b.stale("post", func() error { _, err := b.Post(b.ctx, postURL, postBody); return err }, "+HTTPACTION: 1,601,0", "+SAPBR 1: DEACT")
	})
}

// stale says words and then runs a step that takes the module 2 s.
func (b *bench) stale(name string, step func() error, words ...string) {
	b.t.Helper()
	b.says(words...)
	start := time.Now()
	if err := step(); err != nil {
		b.t.Errorf("%s: %v", name, err)
	}
	if took := time.Since(start); took < 2*time.Second {
		b.t.Errorf("%s took a stale word after %v", name, took)
	}
}

func TestLogin(t *testing.T) {
	for name, c := range map[string]struct {
		answers []string
		want    error
	}{
		"good":               {[]string{"OK", "~200ms", "CONNACK OK"}, nil},
		"another socket":     {[]string{"OK", "0,CLOSED", "CONNACK OK"}, nil},
		"ERROR":              {[]string{"ERROR"}, ErrConnectRefused},
		"ERROR, then CLOSED": {[]string{"ERROR", "CLOSED"}, ErrConnectRefused},
		"CME 3":              {[]string{"+CME ERROR: 3"}, ErrConnectRefused},
		"CME 767":            {[]string{"+CME ERROR: 767"}, ErrConnectRefused},
		"OK, then CLOSED":    {[]string{"OK", "~300ms", "CLOSED"}, ErrConnectRefused},
		"CLOSED, then OK":    {[]string{"CLOSED", "OK"}, ErrConnectRefused},
		"bearer lost":        {[]string{"OK", "+PDP: DEACT"}, ErrBearerLost},
		"rebooted":           {[]string{"OK", "RDY"}, atengine.ErrRebooted},
		"OK is not enough":   {[]string{"OK"}, atengine.ErrTimeout},
		// The vendor's own page on MCONNECT: OK, and ERROR where CONNACK OK was due.
		"OK, then ERROR":         {[]string{"OK", "~500ms", "ERROR"}, ErrConnectRefused},
		"OK and ERROR in one":    {[]string{"OK", "ERROR"}, ErrConnectRefused},
		"OK, then CME 3":         {[]string{"OK", "~500ms", "+CME ERROR: 3"}, ErrConnectRefused},
		"OK, then words":         {[]string{"OK", "~500ms", "+CME ERROR: operation failed"}, ErrConnectRefused},
		"OK, ERROR, CLOSED":      {[]string{"OK", "~500ms", "ERROR", "CLOSED"}, ErrConnectRefused},
		"OK, ERROR, CONNACK OK":  {[]string{"OK", "~500ms", "ERROR", "CONNACK OK"}, ErrDoubtful},
		"two answers behind":     {[]string{"OK", "~500ms", "ERROR", "OK"}, ErrDoubtful},
		"CONNACK OK, then ERROR": {[]string{"OK", "CONNACK OK", "ERROR"}, nil},
	} {
		play(t, Options{}, script(dial("OK", "CONNECT OK"), on("AT+MCONNECT=1,300", c.answers...)), func(b *bench) {
			b.ok(b.Dial(b.ctx, "h", 1883, true))
			err := b.Login(b.ctx, true, 5*time.Minute)
			if !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
			// A refusal must not look like a lost link: it costs a new token,
			// the other only a new connection.
			if errors.Is(err, ErrConnectRefused) && errors.Is(err, ErrLinkLost) {
				t.Errorf("%s: %v is both", name, err)
			}
		})
	}
}

// A link that closed between CONNECT OK and MCONNECT was refused by nobody, and
// MCONNECT is not even written.
func TestLoginOnALinkThatIsGone(t *testing.T) {
	play(t, Options{}, script(dial("OK", "CONNECT OK")), func(b *bench) {
		b.ok(b.Dial(b.ctx, "h", 1883, true))
		b.says("CLOSED")
		if err := b.Login(b.ctx, true, 5*time.Minute); !errors.Is(err, ErrLinkLost) {
			t.Errorf("got %v", err)
		}
	})
}

func TestSubscribe(t *testing.T) {
	for name, c := range map[string]struct {
		answers []string
		want    error
	}{
		"good":             {[]string{"OK", "~300ms", "SUBACK"}, nil},
		"message between":  {[]string{"OK", `+MSUB: "f",2 byte,hi`, "SUBACK"}, nil},
		"SUBACK before OK": {[]string{"SUBACK", "OK"}, nil},
		"refused":          {[]string{"+CME ERROR: 767"}, atengine.ErrRefused},
		"closed":           {[]string{"OK", "CLOSED"}, ErrLinkLost},
		"no SUBACK":        {[]string{"OK", "UNSUBACK"}, atengine.ErrTimeout},
		"late ERROR":       {[]string{"OK", "~300ms", "ERROR"}, atengine.ErrRefused},
		"late number":      {[]string{"OK", "~300ms", "+CME ERROR: 767"}, atengine.ErrRefused},
		"in a message":     {[]string{"OK", `+MSUB: "/k/d/f",7 byte,` + "\r\nERROR", "SUBACK"}, nil},
		"in a broken one":  {[]string{"OK", `+MUB: "/k/d/f",16 byte,a`, "ERROR", "b", "~1s"}, atengine.ErrTimeout},
	} {
		play(t, Options{}, script(on(`AT+MSUB="f",1`, c.answers...)), func(b *bench) {
			if err := b.Subscribe(b.ctx, "f", 1); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
		})
	}
	play(t, Options{}, script(on(`AT+MUNSUB="f"`, "OK", "SUBACK", "~1s", "UNSUBACK")), func(b *bench) {
		start := time.Now()
		b.ok(b.Unsubscribe(b.ctx, "f"))
		if time.Since(start) < time.Second {
			t.Error("took SUBACK for UNSUBACK")
		}
	})
	play(t, Options{}, nil, func(b *bench) {
		for _, err := range []error{b.Subscribe(b.ctx, "a\"b", 0), b.Subscribe(b.ctx, "a", 2), b.Unsubscribe(b.ctx, "")} {
			if !errors.Is(err, atengine.ErrUnsafe) {
				t.Errorf("got %v", err)
			}
		}
	})
}

// Quiet asks for the encoding only where there is a choice, and for hexadecimal
// only where nothing better carries all bytes.
func TestQuiet(t *testing.T) {
	for name, c := range map[string]struct {
		caps   Capabilities
		script []exchange
		hex    bool
	}{
		"2G":               {Capabilities{}, ok("AT+MQTTMSGSET=0"), false},
		"4G":               {Best(), ok("AT+MQTTMSGSET=0", "AT+MQTTMODE=0"), false},
		"no MPUBEX":        {Capabilities{Hex: true}, ok("AT+MQTTMSGSET=0", "AT+MQTTMODE=1"), true},
		"all refused":      {Best(), refuse("AT+MQTTMSGSET=0", "AT+MQTTMODE=0"), false},
		"mode 1 refused":   {Capabilities{Hex: true}, script(ok("AT+MQTTMSGSET=0"), on("AT+MQTTMODE=1", "ERROR")), false},
		"nothing known of": {Capabilities{MPUBEX: true}, ok("AT+MQTTMSGSET=0"), false},
	} {
		play(t, Options{}, c.script, func(b *bench) {
			b.SetCapabilities(c.caps)
			b.ok(b.Quiet(b.ctx))
			if got := b.hexOut.Load(); got != c.hex {
				t.Errorf("%s: hex mode %v", name, got)
			}
		})
	}
	play(t, Options{}, script(on("AT+MQTTMSGSET=0")), func(b *bench) {
		if err := b.Quiet(b.ctx); !errors.Is(err, atengine.ErrTimeout) {
			t.Errorf("silence gives %v", err)
		}
	})
}

// A refusal that another answer follows was the answer to something else, and the
// command may have been taken: a filter would count as refused while its messages come, a
// good token be thrown away, and each message in the wrong mode be another one.
func TestAStrayRefusalIsNoRefusal(t *testing.T) {
	for name, c := range map[string]struct {
		line string
		run  func(b *bench) error
	}{
		"subscribe":   {`AT+MSUB="t",1`, func(b *bench) error { return b.Subscribe(b.ctx, "t", 1) }},
		"unsubscribe": {`AT+MUNSUB="t"`, func(b *bench) error { return b.Unsubscribe(b.ctx, "t") }},
		"login": {"AT+MCONNECT=1,300", func(b *bench) error {
			b.says("CONNECT OK")
			return b.Login(b.ctx, true, 300*time.Second)
		}},
		"encoding": {"AT+MQTTMODE=1", func(b *bench) error {
			b.SetCapabilities(Capabilities{Hex: true})
			return b.Quiet(b.ctx)
		}},
	} {
		var before []exchange
		if name == "encoding" {
			before = ok("AT+MQTTMSGSET=0")
		}
		play(t, Options{}, script(before, on(c.line, "ERROR", "~100ms", "OK")), func(b *bench) {
			b.expect(ConnectOK)
			if err := c.run(b); !errors.Is(err, ErrDoubtful) || errors.Is(err, ErrConnectRefused) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

func TestHangupIgnoresResults(t *testing.T) {
	play(t, Options{}, script(on("AT+MDISCONNECT", "+CME ERROR: 767"), on("AT+MIPCLOSE", "ERROR"), ok("AT+MDISCONNECT", "AT+MIPCLOSE")), func(b *bench) {
		b.Hangup(b.ctx)
		b.Hangup(b.ctx)
	})
}

// The module echoes MCONFIG back in some states: neither its error nor its log
// may hold the password.
func TestConfigureKeepsThePassword(t *testing.T) {
	const line = `AT+MCONFIG="c","u","70c3e75ec3e7"`
	play(t, Options{}, script(on(line, line, "+CME ERROR: 765"), on(line, "OK")), func(b *bench) {
		err := b.Configure(b.ctx, "c", "u", secret.New("70c3e75ec3e7"))
		if code, no := refusal(err); !no || code != 765 {
			t.Errorf("got %v", err)
		}
		b.silentAbout(err, "70c3e75ec3e7")
		err = b.Configure(b.ctx, "c", "u", secret.New("70c3e75ec3e7\r"))
		if !errors.Is(err, atengine.ErrUnsafe) {
			t.Errorf("got %v", err)
		}
		b.silentAbout(err, "70c3e75ec3e7")
		b.ok(b.Configure(b.ctx, "c", "u", secret.New("70c3e75ec3e7")))
		b.silentAbout(nil, "70c3e75ec3e7")
	})
}

func TestLink(t *testing.T) {
	play(t, Options{}, script(
		on("AT+MQTTSTATU", "+MQTTSTATU :1", "OK"), on("AT+MQTTSTATU", "+MQTTSTATU: 2", "OK"), on("AT+MQTTSTATU", "+MQTTSTATU:0", "OK"),
		on("AT+MQTTSTATU", "OK"), on("AT+MQTTSTATU", "+MQTTSTATU :9", "OK"), on("AT+MQTTSTATU", "ERROR"),
	), func(b *bench) {
		for _, want := range []LinkState{LinkUp, LinkTCP, LinkOffline} {
			if got, err := b.Link(b.ctx); err != nil || got != want {
				t.Errorf("got %d, %v; want %d", got, err, want)
			}
		}
		for _, want := range []error{ErrMalformed, ErrMalformed, atengine.ErrRefused} {
			if _, err := b.Link(b.ctx); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		}
	})
}

// Whoever asks for the state of the link every 30 s wants to know within 35 s that
// the module has fallen silent: 9 s of waiting for an answer that takes
// milliseconds made that 39.
func TestSilenceOfAPolledModuleIsKnownSoon(t *testing.T) {
	play(t, Options{}, script(on("AT+MQTTSTATU")), func(b *bench) {
		begun := time.Now()
		if _, err := b.Link(b.ctx); !errors.Is(err, atengine.ErrTimeout) {
			t.Errorf("got %v, want a time-out", err)
		}
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("it took %v to know", took)
		}
	})
}
