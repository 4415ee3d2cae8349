package air

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"airbridged/internal/atengine"
)

const (
	postURL  = "https://iot-auth.cn-shanghai.aliyuncs.com/auth/devicename"
	postBody = "productKey=pk&sign=51674e5ec3e7&clientId=c&deviceName=d"
	postData = `{"code":200,"data":{"iotToken":"70c3e75ec3e7"}}`
)

// before is what a request does up to HTTPACTION.
func before() []exchange {
	return script(
		ok("AT+HTTPINIT", `AT+HTTPPARA="URL","`+postURL+`"`, `AT+HTTPPARA="USER_DEFINED","Content-Type: application/x-www-form-urlencoded"`),
		on(fmt.Sprintf("AT+HTTPDATA=%d,20000", len(postBody)), "DOWNLOAD").takes(postBody, "OK"),
	)
}

func read() exchange {
	return on("AT+HTTPREAD", fmt.Sprintf("raw:\r\n+HTTPREAD: %d\r\n%s\r\nOK\r\n", len(postData), postData))
}

func act(answers ...string) exchange { return on("AT+HTTPACTION=1", answers...) }

func TestPost(t *testing.T) {
	term := ok("AT+HTTPTERM")
	for name, c := range map[string]struct {
		script []exchange
		status int   // of an HTTPError
		want   error // nil: the answer is postData
	}{
		"good":                        {script: script(before(), act("OK", "~2s", "+HTTPACTION: 1,200,47"), read(), term)},
		"URC without blank, repeated": {script: script(before(), act("OK", "~2s", "+HTTPACTION:1,200,47", "+HTTPACTION:1,200,47"), read(), term)},
		"method 0, wrong length":      {script: script(before(), act("OK", "+HTTPACTION: 0,200,1348"), read(), term)},
		"MQTT closes meanwhile":       {script: script(before(), act("OK", "CLOSED", "+HTTPACTION: 1,200,47"), read(), term)},
		"CME, and good all the same":  {script: script(before(), act("+CME ERROR: 3", "~1s", "+HTTPACTION: 1,200,47"), read(), term)},
		"session left over":           {script: script(on("AT+HTTPINIT", "+CME ERROR: 3"), ok("AT+HTTPTERM"), before(), act("OK", "+HTTPACTION: 1,200,47"), read(), term)},
		"HTTPTERM refused":            {script: script(before(), act("OK", "+HTTPACTION: 1,200,47"), read(), on("AT+HTTPTERM", "ERROR"))},
		"403":                         {script: script(before(), act("OK", "+HTTPACTION: 1,403,0"), term), status: 403},
		"module's own 601":            {script: script(before(), act("OK", "+HTTPACTION: 1,601,0"), term), status: 601},
		"CME, then 601":               {script: script(before(), act("+CME ERROR: 3", "+HTTPACTION: 1,601,0"), term), status: 601},
		"CME and nothing more":        {script: script(before(), act("+CME ERROR: 3"), term), want: atengine.ErrRefused},
		"bearer lost":                 {script: script(before(), act("OK", "+SAPBR 1: DEACT", "+HTTPACTION: 1,601,0"), term), want: ErrBearerLost},
		"PDP lost":                    {script: script(before(), act("OK", "+PDP DEACT"), term), want: ErrBearerLost},
		"no +HTTPACTION":              {script: script(before(), act("OK"), term), want: atengine.ErrTimeout},
		"broken +HTTPACTION":          {script: script(before(), act("OK", "+HTTPACTION: 1,200"), term), want: ErrMalformed},
		"HTTPDATA refused":            {script: script(before()[:3], on(fmt.Sprintf("AT+HTTPDATA=%d,20000", len(postBody)), "+CME ERROR: 3"), ok("AT"), term), want: atengine.ErrRefused},
		"URL refused":                 {script: script(before()[:1], on(`AT+HTTPPARA="URL","`+postURL+`"`, "ERROR"), term), want: atengine.ErrRefused},
	} {
		play(t, Options{}, c.script, func(b *bench) {
			reply, err := b.Post(b.ctx, postURL, postBody)
			var status *HTTPError
			switch {
			case c.status != 0:
				if !errors.As(err, &status) || status.Status != c.status {
					t.Errorf("%s: %v", name, err)
				}
			case c.want != nil:
				if !errors.Is(err, c.want) {
					t.Errorf("%s: %v, want %v", name, err, c.want)
				}
			case err != nil || string(reply) != postData:
				t.Errorf("%s: %q, %v", name, reply, err)
			}
			b.silentAbout(err, "51674e5ec3e7", "70c3e75ec3e7")
		})
	}
}

// A DeviceSecret is handed out once: an answer that lost bytes on the serial line
// is read again, the module still has it.
func TestPostReadsAgainWhenBytesWereLost(t *testing.T) {
	short := on("AT+HTTPREAD", fmt.Sprintf("raw:\r\n+HTTPREAD: %d\r\n%s\r\nOK\r\n", len(postData)+20, postData))
	resync := ok("AT")
	play(t, Options{}, script(before(), act("OK", "+HTTPACTION: 1,200,47"), short, resync, short, resync, read(), ok("AT+HTTPTERM")), func(b *bench) {
		reply, err := b.Post(b.ctx, postURL, postBody)
		if err != nil || string(reply) != postData {
			t.Errorf("%q, %v", reply, err)
		}
		b.silentAbout(err, "51674e5ec3e7", "70c3e75ec3e7")
	})
	play(t, Options{}, script(before(), act("OK", "+HTTPACTION: 1,200,47"), short, resync, short, resync, short, resync, ok("AT+HTTPTERM")), func(b *bench) {
		_, err := b.Post(b.ctx, postURL, postBody)
		if !errors.Is(err, atengine.ErrTimeout) {
			t.Errorf("got %v", err)
		}
		b.silentAbout(err, "51674e5ec3e7", "70c3e75ec3e7")
	})
	// It stays in the module, however often it is read in vain: the cloud gives none twice.
	play(t, Options{}, script(before(), act("OK", "+HTTPACTION: 1,200,47"), short, resync, short, resync, short, resync, read(), read(), ok("AT+HTTPTERM")), func(b *bench) {
		keep := func(reply []byte) error {
			if string(reply) != postData {
				t.Errorf("kept %q", reply)
			}
			return nil
		}
		if err := b.PostOnce(b.ctx, postURL, postBody, keep); !errors.Is(err, atengine.ErrTimeout) {
			t.Errorf("got %v", err)
		}
		if found, err := b.Leftover(b.ctx, keep); !found || err != nil {
			t.Errorf("left over: %v, %v", found, err)
		}
	})
}

// A body of the cloud's that spells the end of the answer does not end it, whatever
// became of its count.
func TestP02BodyThatLooksLikeAnAnswer(t *testing.T) {
	const body = "{\r\nOK\r\n\r\nRDY\r\n\r\n+HTTPREAD: 2\r\n{}\r\nERROR\r\n}"
	// "}" behind the body is no line of a module; in the other cases the block went wrong,
	// and no OK is believed.
	for lie, resync := range map[int][]exchange{0: nil, 9: ok("AT"), -3: nil, 10 - len(body): ok("AT")} {
		whole := on("AT+HTTPREAD", fmt.Sprintf("raw:\r\n+HTTPREAD: %d\r\n%s\r\nOK\r\n", len(body), body))
		steps := script(before(), act("OK", "+HTTPACTION: 1,200,47"))
		if lie != 0 {
			steps = script(steps, on("AT+HTTPREAD", fmt.Sprintf("raw:\r\n+HTTPREAD: %d\r\n%s\r\nOK\r\n", len(body)+lie, body)), resync)
		}
		play(t, Options{}, script(steps, whole, ok("AT+HTTPTERM")), func(b *bench) {
			reply, err := b.Post(b.ctx, postURL, postBody)
			if err != nil || string(reply) != body {
				t.Errorf("a count wrong by %d: %q, %v", lie, reply, err)
			}
		})
	}
}

// A request that could not be ended leaves a session behind, and the next one
// ends it first. P21: no DOWNLOAD, so not a byte of the body was written.
func TestPostAfterOneThatWasStuck(t *testing.T) {
	play(t, Options{}, script(
		before()[:3], on(fmt.Sprintf("AT+HTTPDATA=%d,20000", len(postBody))),
		ok("AT", "AT+HTTPTERM"),
		before(), act("OK", "+HTTPACTION: 1,200,47"), read(), ok("AT+HTTPTERM"),
	), func(b *bench) {
		if _, err := b.Post(b.ctx, postURL, postBody); !errors.Is(err, atengine.ErrTimeout) {
			t.Errorf("got %v", err)
		}
		start := time.Now()
		b.ok(b.Resync(b.ctx))
		if waited := time.Since(start); waited < 20*time.Second {
			t.Errorf("resync wrote after %v, within the module's data phase", waited)
		}
		reply, err := b.Post(b.ctx, postURL, postBody)
		if err != nil || string(reply) != postData {
			t.Errorf("%q, %v", reply, err)
		}
	})
}

// P37: a reboot ends the wait at once.
func TestP37PostEndsWithAReboot(t *testing.T) {
	play(t, Options{}, script(before(), act("OK", "~3s", `raw:^boot.rom'v'!\n`, "raw:\r\nRDY\r\n")), func(b *bench) {
		start := time.Now()
		if _, err := b.Post(b.ctx, postURL, postBody); !errors.Is(err, atengine.ErrRebooted) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestPostRefusesWhatCannotBeWritten(t *testing.T) {
	play(t, Options{}, nil, func(b *bench) {
		for _, c := range [][2]string{{"https://x/\"\rAT", "a"}, {"", "a"}, {postURL, ""}, {postURL, string(make([]byte, 3357))}} {
			if _, err := b.Post(b.ctx, c[0], c[1]); !errors.Is(err, atengine.ErrUnsafe) {
				t.Errorf("got %v", err)
			}
		}
	})
}

// silentAbout fails the test if an error or a log entry holds one of the words.
func (b *bench) silentAbout(err error, words ...string) {
	b.t.Helper()
	text := fmt.Sprint(err)
	for _, e := range b.log.All() {
		text += fmt.Sprint("\n", e.Message, e.ContextMap())
	}
	for _, w := range words {
		if contains(text, w) {
			b.t.Errorf("a secret got out: %s", text)
		}
	}
}
