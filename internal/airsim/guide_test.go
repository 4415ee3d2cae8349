package airsim

import (
	"testing"

	"airbridged/internal/airsim/simcloud"
)

// The vendor quick guide's session, typed byte by byte as it is printed there,
// with the echo that a 2G module has by default. Every answer is compared whole.
func TestTheGuideSessionWithHTTPSAuthentication(t *testing.T) {
	simulate(t, simcloud.GuideOptions(), Options{Personality: "2g"}, func(r *rig) {
		say := func(command, answer string) {
			t.Helper()
			r.expect(command+"\r", command+"\r"+answer)
		}
		const okay = "\r\nOK\r\n"
		// The first AT trains the line; its own echo comes with the second.
		r.expect("AT\r", okay)
		say("AT", okay)
		say("AT+CGMR", "\r\nAirM2M_V5664_AT_S_SSL\r\n"+okay)
		say("AT+CGATT?", "\r\n+CGATT: 1\r\n"+okay)
		say(`AT+SAPBR=3,1,"CONTYPE","GPRS"`, okay)
		say(`AT+SAPBR=3,1,"APN","CMIOT"`, okay)
		say("AT+SAPBR=1,1", okay)

		post := func(url, size, body, action, read string) {
			t.Helper()
			say("AT+HTTPINIT", okay)
			say(`AT+HTTPPARA="URL","`+url+`"`, okay)
			say(`AT+HTTPPARA="USER_DEFINED","Content-Type: application/x-www-form-urlencoded"`, okay)
			say("AT+HTTPDATA="+size+",20000", "\r\nDOWNLOAD\r\n")
			r.expect(body, okay) // not echoed
			say("AT+HTTPACTION=1", okay+"\r\n"+action+"\r\n")
			say("AT+HTTPREAD", "\r\n"+read+"\r\nOK\r\n")
			say("AT+HTTPTERM", okay)
		}
		post("https://iot-auth.cn-shanghai.aliyuncs.com/auth/register/device", "120",
			"productKey=b1KCi45LcCP&deviceName=862991419835241&random=123456&sign=1770d38260cc980dbc4337ed7fe1e8de&signMethod=HmacMD5",
			"+HTTPACTION: 1,200,149",
			"+HTTPREAD: 149\r\n"+`{"code":200,"data":{"deviceName":"862991419835241","deviceSecret":"mRMyB50qafv74A5FofvhxZ2h9iTL9wX7","productKey":"b1KCi45LcCP"},"message":"success"}`)
		post("https://iot-auth.cn-shanghai.aliyuncs.com/auth/devicename", "112",
			"productKey=b1KCi45LcCP&sign=70e7bb641d7566ad26a305dd20e8e261&clientId=862991419835241&deviceName=862991419835241",
			"+HTTPACTION: 1,200,128",
			"+HTTPREAD: 128\r\n"+`{"code":200,"data":{"iotId":"PbUqGh2URAj1AtNyyd7X00107ceb00","iotToken":"425656f625b64560a4bff2a0f16946a3"},"message":"success"}`)

		say(`AT+MCONFIG="862991419835241","PbUqGh2URAj1AtNyyd7X00107ceb00","425656f625b64560a4bff2a0f16946a3"`, okay)
		say(guideStart, okay+"\r\nCONNECT OK\r\n")
		say("AT+MCONNECT=1,300", okay+"\r\nCONNACK OK\r\n")
		say(`AT+MSUB="`+guideGet+`",0`, okay+"\r\nSUBACK\r\n")
		say("AT+MQTTMSGSET=0", okay)
		say(`AT+MPUB="`+guideUpdate+`",0,0,"test0"`, okay)
		say(`AT+MPUB="`+guideUpdate+`",1,0,"test1"`, okay+"\r\nPUBACK\r\n")
		if n := r.c.Push(guideGet, 0, []byte("qos0 payload")); n != 1 {
			t.Fatalf("the message down was given to %d devices, want 1", n)
		}
		r.expect("", "\r\n"+`+MSUB: "/b1KCi45LcCP/862991419835241/get",12 byte,qos0 payload`+"\r\n")

		got := r.c.Messages()
		if len(got) != 2 || string(got[0].Payload) != "test0" || got[0].QoS != 0 || string(got[1].Payload) != "test1" || got[1].QoS != 1 {
			t.Errorf("the cloud received %+v, want test0 and test1", got)
		}
		if c := r.c.Counters(); c.Registrations != 1 || c.Auths != 1 || c.Connects != 1 || c.PubAcks != 1 {
			t.Errorf("counters %+v", c)
		}
	})
}

// The same device with the MQTT signature instead of a token, on every
// personality that can.
func TestTheGuideSessionWithDirectAuthentication(t *testing.T) {
	for _, p := range Personalities() {
		if p == "unsupported" {
			continue
		}
		t.Run(p, func(t *testing.T) {
			simulate(t, simcloud.GuideOptions(), Options{Personality: p}, func(r *rig) {
				r.mqttOn()
				r.expect(`AT+MPUB="`+guideUpdate+`",1,0,"{\22a\22:\0D\0A\5C22}"`+"\r", "\r\nOK\r\n\r\nPUBACK\r\n")
				got := r.c.Messages()
				if len(got) != 1 || string(got[0].Payload) != "{\"a\":\r\n\\22}" {
					t.Errorf("the cloud received %q", got)
				}
			})
		})
	}
}
