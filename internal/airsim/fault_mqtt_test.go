package airsim

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"airbridged/internal/airsim/simcloud"
)

// reconnect opens the connection anew and logs in.
func (r *rig) reconnect() {
	r.t.Helper()
	r.ask("AT+MDISCONNECT\rAT+MIPCLOSE\r")
	r.expect(guideStart+"\r", okay+"\r\nCONNECT OK\r\n")
	r.expect("AT+MCONNECT=1,300\r", okay+"\r\nCONNACK OK\r\n")
}

func mqttCases() map[string]faultCase {
	lost := func(r *rig, n int) {
		r.t.Helper()
		r.expect("AT+MQTTSTATU\r", fmt.Sprintf("\r\n+MQTTSTATU :%d\r\n", n)+okay)
	}
	return map[string]faultCase{
		"closed": on(func(r *rig) {
			r.do("closed")
			r.expect("", "\r\nCLOSED\r\n")
			lost(r, 0)
			r.expect(pubOne, "\r\n+CME ERROR: 767\r\n")
		}),
		"silent-closed": on(func(r *rig) {
			r.do("silent-closed")
			r.expect("", "")
			lost(r, 0)
		}),
		"half-open": on(func(r *rig) {
			r.do("half-open")
			r.expect("", "")
			lost(r, 1)
			r.expect(pubOne, okay)
			r.wait(7 * time.Minute)
			r.expect("", "")
			r.wait(time.Minute) // 1.5 keep-alive periods of 300 s are over
			r.expect("", "\r\nCLOSED\r\n")
			if n := len(r.c.Messages()); n != 0 {
				r.t.Errorf("%d messages reached the cloud, want none", n)
			}
		}),
		"connect": on(func(r *rig) {
			r.ask("AT+MDISCONNECT\rAT+MIPCLOSE\r")
			r.do("connect fail")
			r.expect(guideStart+"\r", okay+"\r\nSTATE: IP INITIAL\r\n\r\nCONNECT FAIL\r\n")
			r.do("connect never")
			r.expect(guideStart+"\r", okay)
			r.wait(time.Hour)
			r.expect("", "")
			r.expect("AT+MIPCLOSE\r", okay)
			r.reconnect()
		}),
		"connack": on(func(r *rig) {
			again := func(order, want string) {
				r.t.Helper()
				r.ask("AT+MDISCONNECT\rAT+MIPCLOSE\r")
				r.expect(guideStart+"\r", okay+"\r\nCONNECT OK\r\n")
				r.do(order)
				r.expect("AT+MCONNECT=1,300\r", want)
			}
			again("connack refuse", "\r\nERROR\r\n")
			again("connack close", okay+"\r\nCLOSED\r\n")
			again("connack never", okay)
			again("connack late 20s", okay)
			r.wait(20 * time.Second)
			r.expect("", "\r\nCONNACK OK\r\n")
		}),
		"suback": on(func(r *rig) {
			r.do("suback never")
			r.expect(subOne, okay)
			r.do("suback late 40s")
			r.expect(subOne, okay)
			r.wait(40 * time.Second)
			r.expect("", "\r\nSUBACK\r\n")
			r.do("suback dup")
			r.expect(subOne, okay+"\r\nSUBACK\r\n\r\nSUBACK\r\n")
		}),
		"unsuback": on(func(r *rig) {
			r.do("unsuback never")
			r.expect(`AT+MUNSUB="`+guideGet+`"`+"\r", okay)
			r.expect(`AT+MUNSUB="`+guideGet+`"`+"\r", okay+"\r\nUNSUBACK\r\n")
		}),
		"puback": on(func(r *rig) {
			r.do("puback never")
			r.expect(pubOne, okay)
			r.do("puback late 45s")
			r.expect(pubOne, okay)
			r.wait(45 * time.Second)
			r.expect("", "\r\nPUBACK\r\n")
			r.do("puback dup")
			r.expect(pubOne, acked+"\r\nPUBACK\r\n")
			if n := len(r.c.Messages()); n != 3 {
				r.t.Errorf("%d messages reached the cloud, want 3: a missing PUBACK is not a missing message", n)
			}
		}),
		"prompt": on(func(r *rig) {
			r.do("prompt never")
			r.expect(pubEx, "")
			// The module is in the data phase all the same: what is written
			// now becomes the payload.
			r.expect("AT\r", acked)
			if got := r.c.Messages(); len(got) != 1 || string(got[0].Payload) != "AT\r" {
				r.t.Errorf("the cloud received %q", got)
			}
			r.do("prompt late 2s")
			r.expect(pubEx, "")
			r.wait(2 * time.Second)
			r.expect("", ">")
			r.expect("abc", acked)
		}),
		"msub-lie": on(func(r *rig) {
			r.ask(subOne)
			r.do("msub-lie 5")
			r.c.Push(guideGet, 0, []byte("hello"))
			r.expect("", "\r\n"+`+MSUB: "`+guideGet+`",10 byte,hello`+"\r\n")
		}),
		"msub-form": on(func(r *rig) {
			r.ask(subOne)
			forms := map[string]string{
				"quoted":    `+MSUB: "` + guideGet + `",2 byte,hi`,
				"tight":     `+MSUB: "` + guideGet + `",2byte,hi`,
				"unquoted":  `+MSUB: ` + guideGet + `,2 byte,hi`,
				"bare":      `+MSUB: "` + guideGet + `",2,hi`,
				"nospace":   `+MSUB:"` + guideGet + `",2 byte,hi`,
				"quotedhex": `+MSUB: "` + guideGet + `",2 byte,hi`,
			}
			for _, form := range slices.Sorted(maps.Keys(msubForms)) {
				r.do("msub-form " + form)
				r.c.Push(guideGet, 0, []byte("hi"))
				r.expect("", "\r\n"+forms[form]+"\r\n")
			}
			r.do("msub-form quotedhex")
			r.ask("AT+MQTTMODE=1\r")
			r.c.Push(guideGet, 0, []byte{0, 0xff})
			r.expect("", "\r\n"+`+MSUB: "`+guideGet+`",2 byte,"00FF"`+"\r\n")
		}),
	}
}

func cloudCases() map[string]faultCase {
	refused := func(r *rig) {
		r.t.Helper()
		r.ask("AT+MDISCONNECT\rAT+MIPCLOSE\r")
		r.expect(guideStart+"\r", okay+"\r\nCONNECT OK\r\n")
		r.expect("AT+MCONNECT=1,300\r", "\r\nERROR\r\n")
	}
	code := func(word, url, body string, valid int) faultCase {
		return off(func(r *rig) {
			r.bearer()
			r.do(word + " 429")
			if got := r.post(url, body); !strings.Contains(got, `{"code":429,`) {
				r.t.Errorf("got %q, want the code 429", got)
			}
			if got := r.post(url, body); !strings.Contains(got, fmt.Sprintf(`{"code":%d,`, valid)) {
				r.t.Errorf("then got %q, want the code %d", got, valid)
			}
		})
	}
	return map[string]faultCase{
		"register": code("register", registerURL, guideRegister, 200),
		"auth":     code("auth", authURL, guideAuth, 200),
		"registration": off(func(r *rig) {
			r.bearer()
			r.do("registration off")
			if got := r.post(registerURL, guideRegister); !strings.Contains(got, `{"code":6288,`) {
				r.t.Errorf("got %q, want 6288", got)
			}
			r.do("registration on")
			if got := r.post(registerURL, guideRegister); !strings.Contains(got, `{"code":200,`) {
				r.t.Errorf("got %q, want 200", got)
			}
		}),
		"outage": on(func(r *rig) {
			r.do("outage on")
			r.expect("", "\r\nCLOSED\r\n")
			r.expect(guideStart+"\r", okay+"\r\nSTATE: IP INITIAL\r\n\r\nCONNECT FAIL\r\n")
			if got := r.post(authURL, guideAuth); !strings.Contains(got, "+HTTPACTION: 1,603,0") {
				r.t.Errorf("got %q, want 603", got)
			}
			r.do("outage off")
			r.reconnect()
		}),
		"cloud-time": on(func(r *rig) {
			names := simcloud.GuideProductKey + "/" + simcloud.GuideDeviceName
			r.ask(`AT+MSUB="/ext/ntp/` + names + `/response",0` + "\r")
			ask := `AT+MPUB="/ext/ntp/` + names + `/request",1,0,"{\22deviceSendTime\22:\227\22}"` + "\r"
			told := func(at time.Time) string {
				text := fmt.Sprintf(`{"deviceSendTime":"7","serverRecvTime":"%d","serverSendTime":"%d"}`, at.UnixMilli(), at.UnixMilli())
				return fmt.Sprintf("\r\n"+`+MSUB: "/ext/ntp/`+names+`/response",%d byte,%s`+"\r\n", len(text), text)
			}
			for order, off := range map[string]time.Duration{"cloud-time 0s": 0, "cloud-time -8h": -8 * time.Hour} {
				r.do(order)
				if got := r.ask(ask); !strings.Contains(got, "\r\nPUBACK\r\n") || !strings.Contains(got, told(time.Now().Add(off))) {
					r.t.Errorf("%s: got %q, want %q in it", order, got, told(time.Now().Add(off)))
				}
			}
			r.do("cloud-time silent")
			r.expect(ask, acked)
		}),
		"forbidden": on(func(r *rig) {
			other := `AT+MPUB="/` + simcloud.GuideProductKey + `/another/update",1,0,"one"` + "\r"
			r.expect(other, acked)
			r.do("forbidden close")
			r.expect(other, okay+"\r\nCLOSED\r\n")
			if n := len(r.c.Messages()); n != 0 {
				r.t.Errorf("%d messages to another device's topic were taken", n)
			}
		}),
		"throttle": on(func(r *rig) {
			r.do("throttle 2")
			r.expect(pubOne, acked)
			r.expect(pubOne, acked)
			r.expect(pubOne, okay)
			r.wait(time.Second)
			r.expect(pubOne, acked)
			if n := len(r.c.Messages()); n != 3 {
				r.t.Errorf("%d messages reached the cloud, want 3", n)
			}
		}),
		"connects": on(func(r *rig) {
			r.do("connects 2")
			r.reconnect()
			refused(r)
			r.do("connects 0")
			r.reconnect()
		}),
		"close": on(func(r *rig) {
			r.do("close")
			r.expect("", "\r\nCLOSED\r\n")
		}),
		"expire-tokens": off(func(r *rig) {
			r.bearer()
			r.post(authURL, guideAuth)
			r.do("expire-tokens")
			r.ask(tokenConfig + "\r")
			refused(r)
			r.post(authURL, guideAuth)
			r.reconnect()
		}),
		"push": on(func(r *rig) {
			r.ask(subOne)
			if got := r.do(`push ` + guideGet + ` "a\r\n\"b\"" qos=1`); got != "devices: 1" {
				r.t.Errorf("got %q", got)
			}
			r.expect("", "\r\n"+`+MSUB: "`+guideGet+`",6 byte,`+"a\r\n\"b\"\r\n")
		}),
		"kick": on(func(r *rig) {
			r.do("kick")
			r.expect("", "\r\n"+`+MSUB: "/ext/notify",54 byte,{"title":"kick","content":"Kicked by the same device"}`+"\r\n"+"\r\nCLOSED\r\n")
			if n := r.c.Counters().Kicks; n != 1 {
				r.t.Errorf("%d kicks counted", n)
			}
		}),
		"rotate-secret": on(func(r *rig) {
			r.do("rotate-secret")
			refused(r)
		}),
		"recreate": on(func(r *rig) {
			if got := r.post(registerURL, guideRegister); !strings.Contains(got, `{"code":6289,"message":"device is already active"}`) {
				r.t.Errorf("got %q, want 6289: the device has connected", got)
			}
			r.do("recreate " + guideID)
			if got := r.post(registerURL, guideRegister); !strings.Contains(got, `{"code":200,`) {
				r.t.Errorf("got %q, want 200", got)
			}
		}),
		"disable": on(func(r *rig) {
			r.do("disable")
			r.expect("", "\r\nCLOSED\r\n")
			refused(r)
		}),
		"enable": on(func(r *rig) {
			r.do("disable")
			r.input.take()
			r.do("enable")
			r.reconnect()
		}),
	}
}

// Orders that contain others.
func TestOrdersForLater(t *testing.T) {
	simulate(t, simcloud.GuideOptions(), Options{Personality: "air780ep"}, func(r *rig) {
		r.mqttOn()
		r.do("at 5s inject AT5")
		r.do("every 10s inject EVERY10")
		r.wait(31 * time.Second)
		if got := strings.Join(lines(r.input.take()), " "); got != "AT5 EVERY10 EVERY10 EVERY10" {
			t.Errorf("got %s", got)
		}
		r.do("clear")

		// Between OK and PUBACK: the message is on its way, the answer never
		// comes.
		r.do("on <OK closed")
		r.expect(pubOne, okay+"\r\nCLOSED\r\n")
		r.reconnect()
		// Between the payload and its OK.
		r.do("on >>abc inject RING")
		r.expect(pubEx, ">")
		r.expect("abc", "\r\nRING\r\n"+acked)
		// Before the command is executed.
		r.do("on >AT+MPUB skip=1 reboot")
		r.expect(pubOne, acked)
		if got := r.ask(pubOne); strings.Contains(got, "OK") || !strings.Contains(got, "RDY") {
			t.Errorf("got %q, want a boot banner and no answer", got)
		}
	})
}

// An order that causes what it waits for must not hang the simulator.
func TestAnOrderThatSetsItselfOff(t *testing.T) {
	simulate(t, simcloud.GuideOptions(), Options{Personality: "air780ep"}, func(r *rig) {
		r.quiet()
		r.do("on <RING count=20 inject RING")
		r.do("inject RING")
		r.wait(time.Second)
		if n := strings.Count(r.input.take(), "RING"); n != 21 {
			t.Errorf("%d lines, want 21", n)
		}
		r.expect("AT\r", okay)
	})
}

func TestScript(t *testing.T) {
	s, err := ParseScript(strings.NewReader("# a bad morning\ninject ONE\nwait 10s\ninject TWO\nat 5s inject THREE\n\nwait 20s\non <FOUR inject FIVE\ninject FOUR\n"))
	if err != nil {
		t.Fatal(err)
	}
	simulate(t, simcloud.GuideOptions(), Options{Personality: "air780ep"}, func(r *rig) {
		r.quiet()
		r.m.Play(s)
		for _, want := range []struct {
			wait  time.Duration
			lines string
		}{{0, "ONE"}, {10 * time.Second, "TWO"}, {5 * time.Second, "THREE"}, {15 * time.Second, "FOUR FIVE"}} {
			r.wait(want.wait)
			if got := strings.Join(lines(r.input.take()), " "); got != want.lines {
				t.Errorf("got %q, want %q", got, want.lines)
			}
		}
	})
	_, err = ParseScript(strings.NewReader("closed now\nwait\nbogus\ndrop\n"))
	if err == nil {
		t.Fatal("a bad script was taken")
	}
	for _, want := range []string{`line 1: "now" is too much`, "line 2: wait is missing", `line 3: unknown command "bogus"`, "line 4: PREFIX is missing"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not among the mistakes:\n%v", want, err)
		}
	}
}

func TestMistakesInTheLanguage(t *testing.T) {
	for command, want := range map[string]string{
		"":                      "empty command",
		"drop":                  "PREFIX is missing",
		"drop A count=0":        "count is a number from 1",
		"drop A prob=2":         "prob is a number from 0 to 1",
		"drop A every=2s":       "it has no option every",
		"silence long":          "DURATION is not a duration",
		"http-status 1000":      "N is not a number from 100 to 999",
		"connack wobble":        `how is "wobble"; it is one of refuse, close, error, never, late`,
		"puback late":           "DURATION is missing",
		`inject "RING`:          "a quoted word has no end",
		`inject "\q"`:           `\q is not known`,
		`inject "\x1"`:          `needs two hexadecimal digits`,
		"at soon closed":        "DURATION is not a duration",
		"at 5s":                 "empty command",
		"every 0s closed":       "DURATION is longer than 0",
		"on":                    "PATTERN is missing",
		"on RDY count=x closed": "count is a number",
		"push /a/b":             "PAYLOAD is missing",
		"push /a/b c qos=2":     "qos is 0 or 1",
		"baud 12345":            "RATE is one of",
	} {
		if _, err := language().Parse(command); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", command, err, want)
		}
	}
	c := simcloud.New(simcloud.GuideOptions())
	if _, err := c.Do("closed"); err == nil {
		t.Error("the cloud alone took a command that concerns a module")
	}
	if text, err := c.Do("push /x y"); err != nil || text != "devices: 0" {
		t.Errorf("push: %q %v", text, err)
	}
}
