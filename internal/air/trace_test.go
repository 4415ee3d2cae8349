package air

import (
	"strings"
	"testing"

	"airbridged/internal/atengine"
	"airbridged/internal/bus"
)

// What the flight recorder shows of a command, and what it keeps to itself.
func TestTraceShowsTheShapeOfACommand(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"AT", "AT"},
		{"ATE0", "ATE0"},
		{"AT+CSQ", "AT+CSQ"},
		{"AT+CPIN?", "AT+CPIN?"},
		{"AT+MPUBEX=?", "AT+MPUBEX=?"},
		{"AT+CFUN=1,1", "AT+CFUN=1,1"},
		{"AT+SAPBR=2,1", "AT+SAPBR=2,1"},
		{`AT+SAPBR=3,1,"APN","CMIOT"`, `AT+SAPBR=3,1,"APN",[5 bytes]`},
		{`AT+MCONFIG="862991419835241","iotid","token"`, "AT+MCONFIG=[15 bytes],[5 bytes],[5 bytes]"},
		{`AT+SSLMIPSTART="pk.iot-as-mqtt.cn-shanghai.aliyuncs.com",1883`, "AT+SSLMIPSTART=[39 bytes],1883"},
		{`AT+MPUB="/pk/dn/update",1,0,"{\22t\22:21}"`, "AT+MPUB=[13 bytes],1,0,[12 bytes]"},
		{`AT+MPUBEX="/pk/dn/update",1,0,5`, "AT+MPUBEX=[13 bytes],1,0,5"},
		{`AT+HTTPPARA="URL","https://example.com/auth"`, `AT+HTTPPARA="URL",[24 bytes]`},
		{"AT+HTTPDATA=120,20000", "AT+HTTPDATA=120,20000"},
		// What package air never writes, but a person may: nothing of it but the size.
		{"AT+MCONFIG=862991419835241,iotid,token", "AT+MCONFIG[28 bytes]"},
		{`AT+MPUB="/pk/dn/update",1,0,12345`, "AT+MPUB[26 bytes]"},
		{"AT+CPIN=1234", "AT+CPIN[5 bytes]"},
		{`AT+CLCK="SC",0,"1234"`, "AT[19 bytes]"},
		{`AT+WISN="secret"`, "AT[14 bytes]"},
		{"ATDsecret", "AT[7 bytes]"},
		{"secret", "AT[4 bytes]"},
		{"AT+CSQ=secret", "AT+CSQ[7 bytes]"},
		{"AT+CSQ?secret", "AT+CSQ[7 bytes]"},
	} {
		if got := Redacted(c.line); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.line, got, c.want)
		}
	}
}

// What it shows of what the module says.
func TestTraceShowsTheWordsOfTheModule(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"OK", "OK"},
		{"CONNACK OK", "CONNACK OK"},
		{"PUBACK", "PUBACK"},
		{"+CME ERROR: 767", "+CME ERROR: 767"},
		{"+CME ERROR: operation failed", "+CME ERROR[18 bytes]"},
		{"+CSQ: 22,99", "+CSQ: 22,99"},
		{"+MQTTSTATU :1", "+MQTTSTATU :1"},
		{"+CPIN: SIM REMOVED 0", "+CPIN: SIM REMOVED 0"},
		{"+CGEV: NW PDN DEACT 1", "+CGEV: NW PDN DEACT 1"},
		{"+SAPBR 1: DEACT", "+SAPBR 1: DEACT"},
		{`+SAPBR: 1,1,"10.159.1.145"`, "+SAPBR: 1,1,[12 bytes]"},
		{"+SAPBR: 1,1,010.169.179.213", "+SAPBR[21 bytes]"},
		{`+CREG: 1,"1863","01a2c315",7`, "+CREG: 1,[4 bytes],[8 bytes],7"},
		{"+HTTPACTION: 1,200,149", "+HTTPACTION: 1,200,149"},
		{"+PDP DEACT", "+PDP DEACT"},
		{"STATE: IP INITIAL", "STATE: IP INITIAL"},
		{`^boot.rom'v'!\nRDY`, "^boot.rom [18 bytes]"},
		{"862991419835241", "[15 bytes]"},
		{"AirM2M_780EP_V1007_LTE_AT", "[25 bytes]"},
		// An echo, whole, cut off at either end, or changed on the way.
		{`AT+MPUB="/pk/dn/update",1,0,"12345"`, "AT+MPUB[28 bytes]"},
		{`AT+MPUB=/pk/dn/update,1,0,12345`, "AT+MPUB[24 bytes]"},
		{"AT+CSQ", "AT+CSQ"},
		{`AT+MCONFIG="secret`, "AT+MCONFIG[8 bytes]"},
		{`AT+MCOMFIG="secret"`, "AT[17 bytes]"},
		{`+MCONFIG="secret"`, "[17 bytes]"},
		{`CONFIG="a","b","secret"`, "[23 bytes]"},
		{`","secret"`, "[10 bytes]"},
		// The answer to a registration whose block was not recognised.
		{"+HTTPREAD: 149", "+HTTPREAD: 149"},
		{"+HTTPREAE: 149", "[14 bytes]"},
		{`{"code":200,"data":{"deviceSecret":"secret"},"message":"success"}`, "[65 bytes]"},
		{`+HTTPREAD: {"code":200,"data":{"deviceSecret":"secret"}}`, "+HTTPREAD[47 bytes]"},
		{`+CSQ: 22,99"deviceSecret":"secret"`, "+CSQ[30 bytes]"},
		{`+MSUB: "/pk/dn/get",12 bytes,payload`, "+MSUB[31 bytes]"},
	} {
		if got := string(appendToken(nil, atengine.Token{Kind: atengine.Line, Bytes: []byte(c.line)})); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.line, got, c.want)
		}
	}
}

func TestTraceShowsTheLengthsOfABlock(t *testing.T) {
	for _, c := range []struct{ stream, want string }{
		{"+MSUB: \"/pk/dn/get\",12 byte,a\r\nOK\r\nqos0x\r\n", "+MSUB: [10 bytes],12,[12 bytes]"},
		{"+HTTPREAD: 9\r\n{\"a\":\"b\"}\r\nOK\r\n", "+HTTPREAD: 9 [9 bytes]|OK"},
		{strings.Repeat("x", 20000) + "\r\n", "[20000 bytes]"},
	} {
		if got := strings.Join(traced([]byte(c.stream), len(c.stream)), "|"); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

// traced is what the recorder shows of a stream that is read in pieces.
func traced(stream []byte, piece int) (list []string) {
	s := atengine.NewScanner(0, []atengine.Framer{
		{Name: msubFramer, Frame: func(buf []byte) (int, atengine.Verdict) { return frameMSUB(buf, false) }},
		{Name: httpReadFramer, Frame: frameHTTPRead},
	})
	emit := func(t atengine.Token) { list = append(list, string(appendToken(nil, t))) }
	for len(stream) > 0 {
		n := min(max(piece, 1), len(stream))
		s.ExpectPrompt(true)
		s.Feed(stream[:n], emit)
		stream = stream[n:]
	}
	s.Abandon(emit)
	s.Flush(emit)
	return list
}

// needles are what must never be found in the recorder: a DeviceSecret, a
// signature, a token, a payload and a topic. Six bytes in a row of one would be a
// leak; none of them has six digits in a row, which a length may have.
var needles = []string{
	"mRMyB50qafv74A5FofvhxZ2h9iTL9wX8", "e7a2c8b19f3d4a5b6c7d8e9f0a1b2c3d", "^1^15x89511-37487v6^27f6f5a03b709fc",
	"temperature=21.5degrees", "/b1KCi45LcCP/dn86299y/update",
}

func leak(shown string) string {
	for _, needle := range needles {
		for i := 0; i+6 <= len(needle); i++ {
			if strings.Contains(shown, needle[i:i+6]) {
				return needle[i : i+6]
			}
		}
	}
	return ""
}

// FuzzTrace: whatever noise does to a line that carries secrets, none of them
// gets into the recorder. The seeds are true dialogues with the echo on; the
// mutations cut off, lose, double and change bytes of them.
func FuzzTrace(f *testing.F) {
	secret, sign, token, payload, topic := needles[0], needles[1], needles[2], needles[3], needles[4]
	body := "productKey=b1KCi45LcCP&deviceName=dn86299y&random=123456&sign=" + sign + "&signMethod=HmacMD5"
	reply := `{"code":200,"data":{"deviceName":"dn86299y","deviceSecret":"` + secret + `","productKey":"b1KCi45LcCP"},"message":"success"}`
	for _, dialogue := range []string{
		"AT+MCONFIG=\"dn86299y\",\"iotid\",\"" + token + "\"\r\r\nOK\r\n",
		"AT+HTTPDATA=120,20000\r\r\nDOWNLOAD\r\n" + body + "\r\nOK\r\n",
		"\r\n+HTTPACTION: 1,200,149\r\n\r\n+HTTPREAD: 122\r\n" + reply + "\r\nOK\r\n",
		"AT+MPUB=\"" + topic + "\",1,0,\"" + payload + "\"\r\r\nOK\r\n\r\nPUBACK\r\n",
		"\r\n+MSUB: \"" + topic + "\",23 byte," + payload + "\r\n+CSQ: 22,99\r\nOK\r\n",
		"\r\n+CREG: 1,\"1863\",\"01a2c315\",7\r\n+CGEV: NW PDN DEACT 1\r\n+CME ERROR: " + secret + "\r\n",
		"AT+MSUB=\"" + topic + "\",1\r\r\nOK\r\n\r\nSUBACK\r\n^boot.rom'v'!\\nRDY\r\n" + secret + "\r\n",
	} {
		f.Add([]byte(dialogue), uint8(255))
		f.Add([]byte(dialogue)[12:], uint8(1))
	}
	f.Fuzz(func(t *testing.T, stream []byte, piece uint8) {
		for _, shown := range traced(stream, int(piece)) {
			if part := leak(shown); part != "" {
				t.Fatalf("%q leaks %q", shown, part)
			}
		}
		// And as if the daemon itself had sent it.
		for line := range strings.SplitSeq(string(stream), "\r") {
			if part := leak(Redacted(line)); part != "" {
				t.Fatalf("%q sent leaks %q", line, part)
			}
		}
	})
}

// The bytes of one publish into the recorder: what it costs the engine.
func BenchmarkTrace(b *testing.B) {
	flight := bus.NewFlight()
	tr := &tracer{sink: func(d TraceDir, text []byte, n int) { flight.Add(bus.Dir(d), text, n) }}
	publish := `AT+MPUB="/b1KCi45LcCP/862991419835241/update",1,0,"{\22temperature\22:23.5,\22humidity\22:41}"`
	ok, puback := atengine.Token{Kind: atengine.Line, Bytes: []byte("OK")}, atengine.Token{Kind: atengine.Line, Bytes: []byte("PUBACK")}
	b.ReportAllocs()
	for b.Loop() {
		tr.Command(publish)
		tr.Token(ok)
		tr.Token(puback)
	}
}
