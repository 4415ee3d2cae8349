package airsim

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"airbridged/internal/airsim/simcloud"
)

// The parser of MPUB: what is accepted arrives byte-exact, all else is ERROR and
// nothing arrives.
func TestMPUBArguments(t *testing.T) {
	simulate(t, simcloud.GuideOptions(), Options{Personality: "air780ep"}, func(r *rig) {
		r.mqttOn()
		for _, c := range []struct {
			message string
			want    string
		}{
			{`""`, ""},
			{`"a b"`, "a b"},
			{`"{\22k\22:1}"`, `{"k":1}`},
			{`"a\0D\0Ab"`, "a\r\nb"},
			{`"\5C22"`, `\22`},
			{`"\5C\5C"`, `\\`},
			{`"\0d\41\"`, `\0d\41\`}, // only the four, and only so
			{`"a,b;c=d?"`, "a,b;c=d?"},
			{"\"\x80\xff\"", "\x80\xff"},
			{`"grüße"`, "grüße"},
		} {
			r.expect(`AT+MPUB="`+guideUpdate+`",1,0,`+c.message+"\r", acked)
			got := r.c.Messages()
			if last := got[len(got)-1]; string(last.Payload) != c.want {
				t.Errorf("%s arrived as %q", c.message, last.Payload)
			}
		}
		before := len(r.c.Messages())
		long := strings.Repeat("x", 4101)
		for _, bad := range []string{
			`"` + guideUpdate + `",1,0,unquoted`,
			`"` + guideUpdate + `",1,0,"a"b"`,
			`"` + guideUpdate + `",1,0,"{"k":1}"`,
			`"` + guideUpdate + `",1,0,"a","b"`,
			`"` + guideUpdate + `",1,0,"a`,
			`"` + guideUpdate + `",1,0`,
			`"` + guideUpdate + `",2,0,"a"`,
			`"` + guideUpdate + `",1,2,"a"`,
			`"` + guideUpdate + `",x,0,"a"`,
			`"",1,0,"a"`,
			`"/` + strings.Repeat("t", 256) + `",1,0,"a"`,
			`"` + guideUpdate + `",1,0,"` + long + `"`,
		} {
			r.expect("AT+MPUB="+bad+"\r", "\r\nERROR\r\n")
		}
		if n := len(r.c.Messages()); n != before {
			t.Errorf("%d refused messages arrived", n-before)
		}
		r.expect(`AT+MPUB="`+guideUpdate+`",1,0,"`+long[1:]+`"`+"\r", acked)
	})
}

// The limit of each family, for MPUB and for MPUBEX.
func TestPayloadLimits(t *testing.T) {
	for p, limit := range map[string]int{"2g": 1360, "air724": 2348, "air780e": 4100, "air780ep": 4100, "air780epm": 4100, "air780el": 4100, "air700eaq": 5120} {
		t.Run(p, func(t *testing.T) {
			simulate(t, simcloud.GuideOptions(), Options{Personality: p}, func(r *rig) {
				r.mqttOn()
				pub := func(n int) string {
					return `AT+MPUB="` + guideUpdate + `",1,0,"` + strings.Repeat("x", n) + `"` + "\r"
				}
				r.expect(pub(limit), acked)
				r.expect(pub(limit+1), "\r\nERROR\r\n")
				if p == "2g" {
					return
				}
				ex := fmt.Sprintf(`AT+MPUBEX="%s",1,0,%d`+"\r", guideUpdate, limit)
				r.expect(ex, map[string]string{"air724": "\r\n> "}[p]+map[bool]string{true: ">"}[p != "air724"])
				payload := bytes.Repeat([]byte{0, 0xff, '"', '\r', '\n'}, limit/5+1)[:limit]
				r.expect(string(payload), acked)
				got := r.c.Messages()
				if !bytes.Equal(got[1].Payload, payload) {
					t.Error("the binary payload did not arrive as it was")
				}
				r.expect(fmt.Sprintf(`AT+MPUBEX="%s",1,0,%d`+"\r", guideUpdate, limit+1), "\r\n+CME ERROR: 50\r\n")
			})
		})
	}
}

// Hex mode: two digits a byte going up, and upper-case digits with the count of
// decoded bytes coming down (field log of an Air780EG).
func TestHexMode(t *testing.T) {
	simulate(t, simcloud.GuideOptions(), Options{Personality: "air780ep"}, func(r *rig) {
		r.mqttOn()
		r.ask(subOne)
		r.expect("AT+MQTTMODE=1\r", okay)
		r.expect(`AT+MPUB="`+guideUpdate+`",1,0,"3100fF"`+"\r", acked)
		if got := r.c.Messages(); string(got[0].Payload) != "1\x00\xff" {
			t.Errorf("the cloud received %q", got[0].Payload)
		}
		for _, bad := range []string{"310", "3x"} {
			r.expect(`AT+MPUB="`+guideUpdate+`",1,0,"`+bad+`"`+"\r", "\r\nERROR\r\n")
		}
		r.c.Push(guideGet, 0, []byte(`{"cmd": "123"}`))
		r.expect("", "\r\n"+`+MSUB: "`+guideGet+`",14 byte,7B22636D64223A2022313233227D`+"\r\n")
	})
}

// The order of commands that the cloud and the module insist on.
func TestConnecting(t *testing.T) {
	simulate(t, simcloud.GuideOptions(), Options{Personality: "air780ep"}, func(r *rig) {
		r.quiet()
		status := func(n int) {
			t.Helper()
			r.expect("AT+MQTTSTATU\r", fmt.Sprintf("\r\n+MQTTSTATU :%d\r\n", n)+okay)
		}
		r.expect(directConfig+"\r", okay)
		status(0)
		// The module's default context needs no bearer; a wrong name fails.
		for _, host := range []string{
			" b1KCi45LcCP.iot-as-mqtt.cn-shanghai.aliyuncs.com", "B1KCi45LcCP.iot-as-mqtt.cn-shanghai.aliyuncs.com",
			"unknown.iot-as-mqtt.cn-shanghai.aliyuncs.com", "example.com",
		} {
			r.expect(`AT+SSLMIPSTART="`+host+`",1883`+"\r", okay+"\r\nSTATE: IP INITIAL\r\n\r\nCONNECT FAIL\r\n")
		}
		r.expect(`AT+SSLMIPSTART="b1KCi45LcCP.iot-as-mqtt.cn-shanghai.aliyuncs.com",1884`+"\r", okay+"\r\nSTATE: IP INITIAL\r\n\r\nCONNECT FAIL\r\n")
		r.expect(`AT+SSLMIPSTART="b1KCi45LcCP.iot-as-mqtt.cn-shanghai.aliyuncs.com",0`+"\r", "\r\n+CME ERROR: 50\r\n")
		r.expect(`AT+SSLMIPSTART="iot-x.mqtt.iothub.aliyuncs.com","8883"`+"\r", okay+"\r\nCONNECT OK\r\n")
		status(2)
		r.expect(guideStart+"\r", okay+"\r\nALREADY CONNECT\r\n")
		r.expect(pubOne, "\r\n+CME ERROR: 767\r\n")
		r.expect("AT+MCONNECT=1,300\r", okay+"\r\nCONNACK OK\r\n")
		status(1)
		r.expect("AT+MCONNECT=1,300\r", "\r\n+CME ERROR: 767\r\n")
		r.expect(guideStart+"\r", okay+"\r\nALREADY CONNECT\r\n")
		r.expect("AT+MDISCONNECT\r", okay)
		status(2)
		r.expect("AT+MIPCLOSE\r", okay)
		status(0)
		r.expect("AT+MIPCLOSE\r", "\r\n+CME ERROR: 767\r\n")

		// MCONNECT later than 5 s after CONNECT OK.
		r.expect(guideStart+"\r", okay+"\r\nCONNECT OK\r\n")
		r.wait(4900 * time.Millisecond)
		r.expect("", "")
		r.wait(100 * time.Millisecond)
		r.expect("", "\r\nCLOSED\r\n")
		r.expect("AT+MCONNECT=1,300\r", "\r\n+CME ERROR: 767\r\n")
		// In time, even so late.
		r.expect(guideStart+"\r", okay+"\r\nCONNECT OK\r\n")
		r.wait(3100 * time.Millisecond)
		r.expect("AT+MCONNECT=1,300\r", okay+"\r\nCONNACK OK\r\n")
		r.wait(time.Hour)
		status(1)
		for _, bad := range []string{"AT+MCONNECT=2,300", "AT+MCONNECT=1,0", "AT+MCONNECT=1,65536", "AT+MCONNECT=1"} {
			r.expect(bad+"\r", "\r\n+CME ERROR: 50\r\n")
		}
	})
}

// 2G has no default context: MQTT goes over the bearer opened for HTTP.
func TestMQTTOn2GNeedsTheBearer(t *testing.T) {
	simulate(t, simcloud.GuideOptions(), Options{Personality: "2g"}, func(r *rig) {
		r.quiet()
		r.expect(directConfig+"\r", okay)
		r.expect(guideStart+"\r", okay+"\r\nCONNECT FAIL\r\n")
		r.bearer()
		r.expect(guideStart+"\r", okay+"\r\nCONNECT OK\r\n")
		r.expect("AT+MCONNECT=1,300\r", okay+"\r\nCONNACK OK\r\n")
		r.expect("AT+SAPBR=0,1\r", okay+"\r\nCLOSED\r\n")
	})
}

// Another device's topics: SUBACK and PUBACK as ever, and nothing comes of it.
func TestForbiddenTopicsLookGranted(t *testing.T) {
	simulate(t, simcloud.GuideOptions(), Options{Personality: "air780ep"}, func(r *rig) {
		r.mqttOn()
		for _, topic := range []string{"/b1KCi45LcCP/other/get", "/#", "/+/862991419835241/get"} {
			r.expect(`AT+MSUB="`+topic+`",0`+"\r", okay+"\r\nSUBACK\r\n")
		}
		r.expect(`AT+MSUB="`+guideGet+`",2`+"\r", okay+"\r\nSUBACK\r\n") // QoS 2
		if n := r.c.Push("/b1KCi45LcCP/other/get", 0, []byte("x")); n != 0 {
			t.Errorf("a message for another device was delivered to %d", n)
		}
		if n := r.c.Push(guideGet, 0, []byte("x")); n != 0 {
			t.Errorf("a message was delivered over a refused QoS 2 subscription to %d", n)
		}
		r.expect(`AT+MPUB="/b1KCi45LcCP/other/update",1,0,"x"`+"\r", acked)
		if n := len(r.c.Messages()); n != 0 {
			t.Errorf("%d messages to a forbidden topic were kept", n)
		}
		if n := r.c.Counters().Forbidden; n != 5 {
			t.Errorf("%d forbidden, want 5", n)
		}
	})
}

func TestWildcards(t *testing.T) {
	simulate(t, simcloud.GuideOptions(), Options{Personality: "air780ep"}, func(r *rig) {
		r.mqttOn()
		r.ask(`AT+MSUB="/sys/b1KCi45LcCP/862991419835241/thing/#",0` + "\r")
		r.ask(`AT+MSUB="/sys/b1KCi45LcCP/862991419835241/rrpc/request/+",1` + "\r")
		r.ask(`AT+MSUB="/broadcast/b1KCi45LcCP/all",0` + "\r")
		for topic, want := range map[string]int{
			"/sys/b1KCi45LcCP/862991419835241/thing/service/property/set": 1,
			"/sys/b1KCi45LcCP/862991419835241/rrpc/request/17":            1,
			"/sys/b1KCi45LcCP/862991419835241/rrpc/request/17/x":          0,
			"/broadcast/b1KCi45LcCP/all":                                  1,
			guideGet:                                                      0,
		} {
			if n := r.c.Push(topic, 0, nil); n != want {
				t.Errorf("%s was delivered to %d, want %d", topic, n, want)
			}
		}
		if n := strings.Count(r.ask(""), ",0 byte,\r\n"); n != 3 {
			t.Errorf("%d empty messages came, want 3", n)
		}
		r.expect(`AT+MUNSUB="/broadcast/b1KCi45LcCP/all"`+"\r", okay+"\r\nUNSUBACK\r\n")
		if n := r.c.Push("/broadcast/b1KCi45LcCP/all", 0, nil); n != 0 {
			t.Errorf("after MUNSUB it was delivered to %d", n)
		}
	})
}
