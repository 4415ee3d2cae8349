package air

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"airbridged/internal/atengine"
)

var errDisk = errors.New("disk full")

// readAs is an HTTPREAD that is answered with a body.
func readAs(body string) exchange {
	return on("AT+HTTPREAD", fmt.Sprintf("raw:\r\n+HTTPREAD: %d\r\n%s\r\nOK\r\n", len(body), body))
}

// The cloud gives a DeviceSecret once. The module keeps the answer until HTTPTERM,
// so that is not sent before the answer is known to be right, and kept.
func TestPostOnceEndsTheSessionOnlyWhenTheAnswerIsKept(t *testing.T) {
	done := act("OK", "~2s", "+HTTPACTION: 1,200,47")
	flipped := readAs(`{"code":200,"data":{"iotToken":"70c3e75ec3e5"}}`)
	term := ok("AT+HTTPTERM")
	for name, c := range map[string]struct {
		script []exchange
		keep   error
		kept   bool
		want   error
	}{
		"good":                        {script: script(before(), done, read(), read(), term), kept: true},
		"a bit flipped":               {script: script(before(), done, flipped, read(), read(), term), kept: true},
		"and in the second reading":   {script: script(before(), done, read(), flipped, read(), read(), term), kept: true},
		"each reading is another":     {script: script(before(), done, read(), flipped, read(), flipped), want: ErrMalformed},
		"shown only once":             {script: script(before(), done, read(), on("AT+HTTPREAD", "ERROR"), term), kept: true},
		"it cannot be kept":           {script: script(before(), done, read(), read()), kept: true, keep: errDisk, want: errDisk},
		"silence before it is read":   {script: script(before(), done, on("AT+HTTPREAD")), want: atengine.ErrTimeout},
		"silence while it is read":    {script: script(before(), done, read(), on("AT+HTTPREAD")), want: atengine.ErrTimeout},
		"no +HTTPACTION, but perhaps": {script: script(before(), act("OK")), want: atengine.ErrTimeout},
		"nothing was asked":           {script: script(before()[:1], on(`AT+HTTPPARA="URL","`+postURL+`"`, "ERROR"), term), want: atengine.ErrRefused},
	} {
		play(t, Options{}, c.script, func(b *bench) {
			kept := ""
			err := b.PostOnce(b.ctx, postURL, postBody, func(reply []byte) error { kept = string(reply); return c.keep })
			if !errors.Is(err, c.want) || c.kept != (kept == postData) || !c.kept && kept != "" {
				t.Errorf("%s: kept %q, %v", name, kept, err)
			}
			b.silentAbout(err, "51674e5ec3e7", "70c3e75ec3e")
		})
	}
	var status *HTTPError
	play(t, Options{}, script(before(), act("OK", "+HTTPACTION: 1,601,0"), term), func(b *bench) {
		if err := b.PostOnce(b.ctx, postURL, postBody, nil); !errors.As(err, &status) || status.Status != 601 {
			t.Errorf("%v", err)
		}
	})
}

// What a killed daemon left in the module: an answer, none, or a request that is
// under way still, which HTTPTERM would cut off.
func TestLeftoverWaitsForWhatIsUnderWay(t *testing.T) {
	for name, c := range map[string]struct {
		script []exchange
		found  bool
		took   time.Duration
		want   error
	}{
		"an answer":         {script: script(read(), read(), ok("AT+HTTPTERM")), found: true},
		"no session":        {script: script(on("AT+HTTPREAD", "ERROR"), ok("AT+HTTPINIT"))},
		"under way":         {script: script(on("AT+HTTPREAD", "ERROR"), on("AT+HTTPINIT", "ERROR", "~2s", "+HTTPACTION: 1,200,47"), read(), read(), ok("AT+HTTPTERM")), found: true, took: 2 * time.Second},
		"its end is unseen": {script: script(refuse("AT+HTTPREAD", "AT+HTTPINIT"), read(), read(), ok("AT+HTTPTERM")), found: true, took: leftoverPoll},
		"never ends": {
			script: script(refuse("AT+HTTPREAD", "AT+HTTPINIT", "AT+HTTPREAD", "AT+HTTPINIT", "AT+HTTPREAD", "AT+HTTPINIT", "AT+HTTPREAD"), ok("AT+HTTPTERM")),
			took:   3 * leftoverPoll,
		},
		"silence": {script: script(on("AT+HTTPREAD")), took: 9 * time.Second, want: atengine.ErrTimeout},
	} {
		play(t, Options{Timeouts: Timeouts{HTTP: 12 * time.Second}}, c.script, func(b *bench) {
			begun := time.Now()
			found, err := b.Leftover(b.ctx, func(reply []byte) error {
				if string(reply) != postData {
					t.Errorf("%s: %q", name, reply)
				}
				return nil
			})
			if found != c.found || !errors.Is(err, c.want) || time.Since(begun) != c.took {
				t.Errorf("%s: %v, %v after %v", name, found, err, time.Since(begun))
			}
		})
	}
}
