package provision

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"airbridged/internal/recovery"
	"airbridged/internal/secret"
)

func TestRepliesOfTheGuide(t *testing.T) {
	t.Parallel()
	if len(guideRegister) != 149 || len(guideAuth) != 128 {
		t.Fatalf("the guide's answers have 149 and 128 bytes, these %d and %d", len(guideRegister), len(guideAuth))
	}
	text, err := ParseRegister([]byte(guideRegister), guide)
	if err != nil || text != guideDevice {
		t.Errorf("%v", err)
	}
	before := time.Now()
	token, err := ParseAuth([]byte(guideAuth + "\r\n"))
	if err != nil || token.IotID != "PbUqGh2URAj1AtNyyd7X00107ceb00" || token.Secret.Reveal() != guideToken || token.ObtainedAt.Before(before) {
		t.Errorf("%v %+v", err, token)
	}
}

// An answer may name a host. It is known to be another one than the one that
// works, so nothing of it comes out.
func TestResourcesAreIgnored(t *testing.T) {
	t.Parallel()
	with := strings.Replace(guideAuth, `946a3"}`, `946a3","resources":{"mqtt":{"host":"evil.example","port":1883}}}`, 1)
	token, err := ParseAuth([]byte(with))
	if err != nil || strings.Contains(fmt.Sprintf("%+v", token), "evil") {
		t.Errorf("%v %+v", err, token)
	}
	if old := `{"code":200,"data":{"iotId":"x","iotToken":"^1^1589511374876^27f6f5a03b709fc"}}`; func() error { token, err = ParseAuth([]byte(old)); return err }() != nil || token.Secret.Reveal() != "^1^1589511374876^27f6f5a03b709fc" {
		t.Error(err)
	}
}

// The codes of Aliyun documents 89298 and 120329, and of the HTTPS
// authentication.
// A page for a browser is told apart from an answer that is only damaged: somebody
// answers in the cloud's place.
func TestPagesAreNoReplies(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]bool{
		"<!DOCTYPE html><html>": true, "\r\n <html>": true, "\ufeff<?xml version='1.0'?>": true, "<HTML>": true, "<!-- x -->": true,
		"": false, "{": false, `{"code":"<html>"}`: false, "<3": false, "not found": false,
	} {
		_, err := ParseAuth([]byte(raw))
		if !errors.Is(err, ErrReply) || errors.Is(err, ErrPage) != want {
			t.Errorf("%q: %v", raw, err)
		}
	}
}

func TestCodesAreClassified(t *testing.T) {
	t.Parallel()
	for code, cause := range map[int]recovery.Cause{
		401: recovery.SignatureRefused, 6600: recovery.SignatureRefused, 6292: recovery.SignatureRefused,
		6250: recovery.ProductUnknown, 6100: recovery.ProductUnknown, 5005: recovery.ProductUnknown, 5001: recovery.ProductUnknown,
		6288: recovery.RegistrationDisabled, 6289: recovery.AlreadyActivated,
		460: recovery.RequestRefused, 400: recovery.RequestRefused, 403: recovery.RequestRefused, 404: recovery.RequestRefused, 6200: recovery.RequestRefused, 6203: recovery.RequestRefused, 6204: recovery.RequestRefused,
		429: recovery.CloudError, 500: recovery.CloudError, 503: recovery.CloudError, 599: recovery.CloudError, 6760: recovery.CloudError,
		600: recovery.RequestRefused, 0: recovery.RequestRefused, -1: recovery.RequestRefused, 9999: recovery.RequestRefused,
	} {
		_, err := ParseRegister(fmt.Appendf(nil, `{"code":%d,"message":"device is already active"}`, code), guide)
		var refused *CloudError
		if !errors.As(err, &refused) || refused.Code != code || refused.Message != "device is already active" || refused.Cause() != cause {
			t.Errorf("%d: %v", code, err)
			continue
		}
		if text := err.Error(); text != fmt.Sprintf("the cloud answered code %d (device is already active)", code) {
			t.Error(text)
		}
	}
}

// A captive portal, a cut answer, an answer for another device, one without a
// secret: none of them may end in the store.
func TestUselessAnswersAreRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]error{
		"":                          ErrReply,
		"<html>Login</html>":        ErrReply,
		guideRegister[:100]:         ErrReply,
		guideRegister + "x":         ErrReply,
		"{}":                        ErrReply,
		"[]":                        ErrReply,
		"null":                      ErrReply,
		`{"code":"200"}`:            ErrReply,
		`{"code":200}`:              ErrReply,
		`{"code":200,"data":null}`:  ErrReply,
		`{"code":200,"data":"x"}`:   ErrReply,
		`{"code":200,"data":{}}`:    ErrReply,
		strings.Repeat(" ", 17<<10): ErrReply,
		strings.Replace(guideRegister, `"deviceSecret":"mRMyB50qafv74A5FofvhxZ2h9iTL9wX7"`, `"deviceSecret":""`, 1):   ErrReply,
		strings.Replace(guideRegister, `"deviceSecret":"mRMyB50qafv74A5FofvhxZ2h9iTL9wX7"`, `"deviceSecret":null`, 1): ErrReply,
		strings.Replace(guideRegister, "mRMyB50qafv74A5F", `mRMyB50qafv74A\"5F`, 1):                                   ErrReply,
		strings.Replace(guideRegister, "mRMyB50qafv74A5F", `mRMyB50qafv74A 5F`, 1):                                    ErrReply,
		strings.Replace(guideRegister, "mRMyB50qafv74A5F", `mRMyB50qafv74A\r5F`, 1):                                   ErrReply,
		strings.Replace(guideRegister, "mRMyB50qafv74A5F", `mRMyB50qafv74A\u001a`, 1):                                 ErrReply,
		strings.Replace(guideRegister, "mRMyB50qafv74A5F", strings.Repeat("x", 250), 1):                               ErrReply,
		strings.Replace(guideRegister, "862991419835241", "862991419835242", 1):                                       ErrOtherDevice,
		strings.Replace(guideRegister, `"productKey":"b1KCi45LcCP"`, `"productKey":"b1kCi45LcCP"`, 1):                 ErrOtherDevice,
		strings.Replace(guideRegister, `"productKey":"b1KCi45LcCP"`, `"productKey":""`, 1):                            ErrOtherDevice,
		guideAuth: ErrReply,
	} {
		got, err := ParseRegister([]byte(text), guide)
		if !errors.Is(err, want) || !got.Empty() {
			t.Errorf("%q: %v", text, err)
		}
		if err != nil && strings.Contains(err.Error(), "mRMyB50q") {
			t.Errorf("the error shows the secret: %v", err)
		}
	}
	for _, text := range []string{
		guideRegister, strings.Replace(guideAuth, guideToken, "", 1), strings.Replace(guideAuth, "PbUqGh2URAj1AtNyyd7X00107ceb00", "", 1),
		strings.Replace(guideAuth, guideToken, `4256\n`, 1), strings.Replace(guideAuth, "PbUqGh", `\"`, 1), "", guideAuth[:99],
	} {
		if token, err := ParseAuth([]byte(text)); !errors.Is(err, ErrReply) || token != (Token{}) {
			t.Errorf("%q: %v %+v", text, err, token)
		}
	}
	// The echo is what the guide shows, but the secret is handed out once: an
	// answer without it is taken.
	bare := `{"code":200,"data":{"deviceSecret":"mRMyB50qafv74A5FofvhxZ2h9iTL9wX7"}}`
	if got, err := ParseRegister([]byte(bare), guide); err != nil || got != guideDevice {
		t.Error(err)
	}
}

// The message goes into logs and status.
func TestMessagesAreFitToBeShown(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ message, data, want string }{
		{"device is already active", `{}`, "device is already active"},
		{"a\r\nOK\x1b[31m\x00b", `{}`, "a OK [31m b"},
		{"签名错误", `null`, "签名错误"},
		{"invalid sign 70e7bb641d7566ad26a305dd20e8e261", ``, "invalid sign [...]"},
		{"secret VWll9fiYWKiwraBk!", ``, "secret [...]!"},
		{"token ^1^1589511374876^27f6f5a03b709fc", ``, "token [...]"},
		{"it is short1", `{"deviceSecret":"short1"}`, withheld},
		{"it is shor\u0000t1", `["shor t1"]`, withheld},
		{"it is deep", `{"a":[{"b":"deep"}]}`, withheld},
		{"names of fields are deviceSecret", `{"deviceSecret":"x"}`, "names of fields are deviceSecret"},
		{strings.Repeat("é ", 300), `{}`, strings.Repeat("é ", 60)},
	} {
		if got := presentable(c.message, json.RawMessage(c.data)); got != c.want {
			t.Errorf("%q: got %q, want %q", c.message, got, c.want)
		}
	}
}

func TestTokenAge(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	at := func(obtained time.Time) Token { return Token{"id", secret.New("x"), obtained} }
	for _, c := range []struct {
		name     string
		obtained time.Time
		now      time.Time
		want     bool
	}{
		{"fresh", now, now, true},
		{"almost six days", now.Add(-6*day + time.Second), now, true},
		{"six days", now.Add(-6 * day), now, false},
		{"from the future: the clock was set back", now.Add(time.Second), now, false},
		{"obtained before the clock was set", time.Date(1970, 1, 1, 0, 5, 0, 0, time.UTC), now, false},
		{"obtained in this boot's 1970, or in an earlier one's", time.Date(1970, 1, 1, 0, 5, 0, 0, time.UTC), time.Date(1970, 1, 1, 0, 6, 0, 0, time.UTC), false},
		{"read before the clock is set", now.Add(-day), time.Date(1970, 1, 1, 0, 1, 0, 0, time.UTC), false},
		{"no time", time.Time{}, now, false},
	} {
		if got := at(c.obtained).Usable(c.now); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	if (Token{IotID: "id", ObtainedAt: now}).Usable(now) || (Token{Secret: secret.New("x"), ObtainedAt: now}).Usable(now) {
		t.Error("half a token is usable")
	}
	// Within one run the monotonic clock counts, whatever the wall clock says.
	synctest.Test(t, func(t *testing.T) {
		token := at(time.Now())
		time.Sleep(6*day - time.Second)
		if !token.Usable(time.Now()) {
			t.Error("aged too fast")
		}
		time.Sleep(time.Second)
		if token.Usable(time.Now()) {
			t.Error("does not age")
		}
	})
}

func FuzzParseReplies(f *testing.F) {
	for _, s := range []string{
		guideRegister, guideAuth, `{"code":6289,"message":"device is already active"}`, `{"code":401,"message":"invalid sign","data":{"a":["b",{"c":"d"}]}}`,
		`{"code":200,"data":{"deviceSecret":"a\u0000"}}`, `{"CODE":2e2,"data":[]}`, "{",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := ParseRegister(raw, guide)
		token, err2 := ParseAuth(raw)
		fit := func(s string) bool { return usable("", s) == nil }
		if (err == nil) != fit(got.Reveal()) || (err2 == nil) != (fit(token.IotID) && fit(token.Secret.Reveal())) {
			t.Fatalf("%v %v", err, err2)
		}
		for _, err := range []error{err, err2} {
			var refused *CloudError
			if err != nil && !errors.As(err, &refused) && !errors.Is(err, ErrReply) && !errors.Is(err, ErrOtherDevice) {
				t.Fatalf("unknown kind of error: %v", err)
			}
			if refused == nil {
				continue
			}
			var r reply
			if err := json.Unmarshal(raw, &r); err != nil || *r.Code != refused.Code || refused.Cause() == recovery.None {
				t.Fatalf("%v %+v", err, refused)
			}
			if runes := []rune(refused.Message); len(runes) > 120 || strings.ContainsFunc(refused.Message, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Fatalf("not presentable: %q", refused.Message)
			}
			for _, text := range texts(r.Data) {
				if len(text) >= 4 && refused.Message != withheld && strings.Contains(refused.Message, text) {
					t.Fatalf("%q shows %q of the data", refused.Message, text)
				}
			}
		}
	})
}
