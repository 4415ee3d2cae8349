package air

import (
	"testing"
	"time"

	"airbridged/internal/secret"
)

// The vendor's quick guide, command for command and answer for answer, without
// the blanks that its line breaks put into secrets, hosts and topics. What this
// package adds is the echo, the identity, what the module can carry, and the
// check of the bearer.
func TestQuickGuideFromStartToFinish(t *testing.T) {
	const (
		register     = "https://iot-auth.cn-shanghai.aliyuncs.com/auth/register/device"
		auth         = "https://iot-auth.cn-shanghai.aliyuncs.com/auth/devicename"
		host         = "b1KCi45LcCP.iot-as-mqtt.cn-shanghai.aliyuncs.com"
		update       = "/b1KCi45LcCP/862991419835241/update"
		get          = "/b1KCi45LcCP/862991419835241/get"
		registerBody = "productKey=b1KCi45LcCP&deviceName=862991419835241&random=123456&sign=1770d38260cc980dbc4337ed7fe1e8de&signMethod=HmacMD5"
		authBody     = "productKey=b1KCi45LcCP&sign=70e7bb641d7566ad26a305dd20e8e261&clientId=862991419835241&deviceName=862991419835241"
		registered   = `{"code":200,"data":{"deviceName":"862991419835241","deviceSecret":"mRMyB50qafv74A5FofvhxZ2h9iTL9wX7","productKey":"b1KCi45LcCP"},"message":"success"}`
		authorised   = `{"code":200,"data":{"iotId":"PbUqGh2URAj1AtNyyd7X00107ceb00","iotToken":"425656f625b64560a4bff2a0f16946a3"},"message":"success"}`
	)
	form := `AT+HTTPPARA="USER_DEFINED","Content-Type: application/x-www-form-urlencoded"`
	post := func(url, length, body, n, reply string) []exchange {
		return script(
			ok("AT+HTTPINIT", `AT+HTTPPARA="URL","`+url+`"`, form),
			on("AT+HTTPDATA="+length+",20000", "DOWNLOAD").takes(body, "OK"),
			on("AT+HTTPACTION=1", "OK", "~2.2s", "+HTTPACTION: 1,200,"+n),
			on("AT+HTTPREAD", "raw:\r\n+HTTPREAD: "+n+"\r\n"+reply+"\r\nOK\r\n"),
			ok("AT+HTTPTERM"),
		)
	}
	play(t, Options{}, script(
		ok("AT", "ATE0", "AT+CMEE=1"),
		on("AT+CGMR", "AirM2M_V5664_AT_S_SSL", "OK"),
		on("AT+CGSN", "862991419835241", "OK"),
		on("AT+CCID", "89860449111880331234", "OK"),
		on("AT+MPUBEX=?", "ERROR"),
		on("AT+MQTTMODE?", "ERROR"),
		on("AT+CGATT?", "+CGATT: 1", "OK"),
		ok(`AT+SAPBR=3,1,"CONTYPE","GPRS"`, `AT+SAPBR=3,1,"APN","CMIOT"`, "AT+SAPBR=1,1"),
		on("AT+SAPBR=2,1", "+SAPBR: 1,1,010.169.179.213", "OK"),
		post(register, "120", registerBody, "149", registered),
		post(auth, "112", authBody, "128", authorised),
		ok("AT+MQTTMSGSET=0", `AT+MCONFIG="862991419835241","PbUqGh2URAj1AtNyyd7X00107ceb00","425656f625b64560a4bff2a0f16946a3"`),
		on(`AT+SSLMIPSTART="`+host+`",1883`, "OK", "~1.4s", "CONNECT OK"),
		on("AT+MCONNECT=1,300", "OK", "~200ms", "CONNACK OK"),
		on(`AT+MSUB="`+get+`",0`, "OK", "~300ms", "SUBACK"),
		on(`AT+MPUB="`+update+`",0,0,"test0"`, "OK"),
		on(`AT+MPUB="`+update+`",1,0,"test1"`, "OK", "~300ms", "PUBACK", `+MSUB: "`+get+`",12 byte,qos0 payload`),
	), func(b *bench) {
		b.ok(b.Train(b.ctx, 3, time.Second))
		id, err := b.Identify(b.ctx)
		b.ok(err)
		if want := (Identity{"AirM2M_V5664_AT_S_SSL", "Air2xx", "862991419835241", "89860449111880331234", "", false}); id != want {
			t.Errorf("identity %+v", id)
		}
		caps, err := b.Probe(b.ctx, id)
		b.ok(err)
		if want := (Capabilities{Firmware: id.Firmware, Model: "Air2xx", MaxPayload: 1360, Assumed: true}); caps != want {
			t.Errorf("capabilities %+v", caps)
		}
		attached, err := b.Attached(b.ctx)
		b.ok(err)
		if !attached {
			t.Error("not attached")
		}
		b.ok(b.OpenBearer(b.ctx, AccessPoint{Name: "CMIOT"}))
		for _, c := range [][3]string{{register, registerBody, registered}, {auth, authBody, authorised}} {
			reply, err := b.Post(b.ctx, c[0], c[1])
			b.ok(err)
			if string(reply) != c[2] {
				t.Errorf("%s answered %s", c[0], reply)
			}
		}
		b.ok(b.Quiet(b.ctx))
		b.ok(b.Configure(b.ctx, "862991419835241", "PbUqGh2URAj1AtNyyd7X00107ceb00", secret.New("425656f625b64560a4bff2a0f16946a3")))
		b.ok(b.Dial(b.ctx, host, 1883, true))
		b.ok(b.Login(b.ctx, true, 300*time.Second))
		b.ok(b.Subscribe(b.ctx, get, 0))
		r, err := b.Publish(b.ctx, update, 0, []byte("test0"))
		b.ok(err)
		if !r.AckedAt.IsZero() || r.WrittenAt.IsZero() {
			t.Errorf("QoS 0: %+v", r)
		}
		r, err = b.Publish(b.ctx, update, 1, []byte("test1"))
		b.ok(err)
		if r.AckedAt.Sub(r.WrittenAt) != 300*time.Millisecond || r.WireBytes != len(`AT+MPUB="`+update+`",1,0,"test1"`)+1 {
			t.Errorf("QoS 1: %+v", r)
		}
	})
}
